"""How a JSON envelope lies around its lines: paths, as data. ingest/scan.cpp reads by them as contract/opening.py says.

Paths start at the record, or with a slash at the outermost object:

    a.b      the key "a.b" or, after it, b in the object a
    /a[].b   b in the element of the array a in which the record is
    1        the second element of a record that is an array
    a{k}     what the list of pairs at a has at k: [{"key": k, "value": v}] (or "field"), ["k:v"]; {k} of the record
    (empty)  the record itself
    a+b      only in payloads: a and b in one object; text becomes its message, lists of pairs become keys
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

#: Arrays of records in documents, as Layout.records begins: an element of them is a document of its own.
DOCUMENTS = frozenset(
    (
        "",
        "events",
        "logEvents",
        "results",
        "data.result",
        "streams",
        "resourceLogs",
        "hits.hits",
        "records",
        "data",
        "logs",
        "items",
        "status.history",
    )
)


class Place(NamedTuple):
    """Where something stands: `key` in the element of the level-th array (0: the line), and the name in a list."""

    level: int
    key: str
    pair: str


@dataclass(frozen=True)
class Layout:
    """One way in which an envelope lies around records; of every tuple of paths the first that has a value counts."""

    payload: tuple[str, ...]
    time: tuple[str, ...] = ()
    replica: tuple[str, ...] = ()
    stream: tuple[str, ...] = ()
    records: str = ""  # the array of records, "a.b[].c[]"; empty: the line is the one record
    tells: tuple[tuple[str, ...], ...] = ()  # each has one of its paths: then it is this envelope. The rarest first
    unless: tuple[str, ...] = ()  # none of these is there
    loose: bool = False  # an application may write the same with fields of its own, and then it is no envelope
    typed: bool = False  # values are wrapped as OTLP's AnyValue, {"stringValue": v}

    @cached_property
    def arrays(self) -> tuple[str, ...]:
        """The arrays from the line to the records, each as seen from the element of the one before."""
        return tuple(part.strip(".") for part in self.records.split("[]")[:-1])

    def place(self, path: str) -> Place:
        """Return where a path leads."""
        path, _, pair = path.rstrip("}").partition("{")
        if not path.startswith("/"):
            return Place(len(self.arrays), path, pair)
        *arrays, key = path[1:].split("[]")
        return Place(len(arrays), key.strip("."), pair)

    def places(self, paths: tuple[str, ...]) -> list[Place]:
        """Return where paths lead."""
        return [self.place(path) for path in paths]

    @cached_property
    def payloads(self) -> list[list[Place]]:
        """The payloads, best first, each with the places of its parts."""
        return [self.places(tuple(path.split("+"))) for path in self.payload]

    @cached_property
    def of_arrays(self) -> bool:
        """Are the records arrays themselves?"""
        own = [p for parts in self.payloads for p in parts if p.level == len(self.arrays)]
        return any(p.key.isdigit() or (not p.key and p.pair) for p in own)

    def spec(self) -> tuple[object, ...]:
        """Return what the native scanner wants to know."""
        roles = [self.places(paths) for paths in (self.time, self.replica, self.stream, self.unless)]
        tells = [self.places(paths) for paths in self.tells]
        return (list(self.arrays), self.payloads, *roles, tells, self.loose, self.typed, self.of_arrays)
