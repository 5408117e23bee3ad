"""What a JSON envelope says: the definition, in plain Python, that the native scanner is held to.

A line is an envelope when all `tells` of a layout are there and none of `unless` (the first layout that fits counts),
and, where the layout is loose, when no field of the application says what happened. An object that says nothing but a
message which may be a line of its own is an envelope without a name. Each record gives one inner line:

* null is no value. The payload is the first that has one: a text is the line itself, an object the line of JSON it is
  written as, a list of numbers the bytes of a text (journald), anything else is bad. No payload is an empty line.
* Newlines at the end of a text are dropped, those within become blanks.
* Times and replicas that the record does not say are those of what is around it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cachelog.contract import jsonlines
from cachelog.contract.jsonlines import Ranked, Written
from cachelog.contract.layout import Layout, Place
from cachelog.contract.own import current

#: Fields by which an application says what happened: with one of them a line is its own, not something around a line.
OWN = ("model", "outcome", "edge", "hit", "miss", "event")

#: Messages that may be lines of their own: a time, a level, a bracket or a pair at the beginning, or telling pairs.
RECORD = re.compile(
    r"\s*(?:[\[(<{]|\d\d|[A-Z]+\d* |[a-z_]+=)|.*\b(?:model|model_name|modelName|cache|cache_status)=",
    re.ASCII | re.DOTALL,
)
BAD = "{"
_TYPED = ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "kvlistValue", "arrayValue")


@dataclass(frozen=True)
class Record:
    """An inner line and what is said around it, as written."""

    line: str
    time: str | None
    replica: str | None
    stream: str | None  # of a message alone the logger
    ended: bool  # the payload ended with a newline


@dataclass(frozen=True)
class Opened:
    """The records of a line, and which of the layouts they lie in; -1 for a message alone."""

    layout: int
    records: tuple[Record, ...]


def opened(root: object, layouts: Sequence[Layout], *, bodies: bool = False) -> Opened | None:
    """Return the records of a line that is an envelope, else None; with `bodies` a message alone is one always."""
    said = jsonlines.values(root) if isinstance(root, dict) else {}
    own = any(name in said for name in (*OWN, *current().telling))
    for code, layout in enumerate(layouts):
        records = _records(root, layout, own)
        if records is not None:
            return Opened(code, tuple(records))
    if own or "message" not in said or not (bodies or RECORD.match(said["message"][1])):
        return None
    line, ended = _text(said["message"][1])
    told = _finer(_said(said, "time"), _said(said, "nanos")), _said(said, "replica"), _said(said, "origin")
    return Opened(-1, (Record(line, *told, ended),))


def _said(said: Ranked, name: str) -> str | None:
    return said[name][1] if name in said else None


def _finer(time: str | None, nanos: str | None) -> str | None:
    """Add the nanoseconds that log4j writes apart from its whole seconds."""
    if time is None or nanos is None or not re.fullmatch("[0-9]+", time) or not re.fullmatch("[0-9]{1,9}", nanos):
        return time
    return f"{time}.{nanos:0>9}"


def _records(root: object, layout: Layout, own: bool) -> list[Record] | None:
    if layout.loose and own:
        return None
    found = [_Found(layout, levels) for levels in _walk([root], layout.arrays)]
    if not any(all(one.has(group) for group in layout.tells) for one in found):
        return None
    if any(_Found(layout, [root]).has((path,)) for path in layout.unless):
        return None
    if layout.loose and not all(one.is_line() for one in found):
        return None
    return [one.record() for one in found]


def _walk(levels: list[object], arrays: Sequence[str]) -> Iterator[list[object]]:
    """Yield the elements around and of each record, outermost first."""
    if not arrays:
        if isinstance(levels[-1], dict) or len(levels) > 1:
            yield levels
        return
    inner = _inside(levels[-1], arrays[0])
    for element in inner if isinstance(inner, list) else []:
        yield from _walk([*levels, element], arrays[1:])


def _inside(value: object, path: str) -> object:
    """Return what is at a path, none of whose keys has a dot; the empty path is the value itself."""
    for key in path.split(".") if path else []:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _values(levels: Sequence[object], place: Place, layout: Layout) -> Iterator[object]:
    """Yield what is at a place: at the key with its dots, and at the keys between them."""
    for found in _keyed(levels[place.level], place.key) if place.level < len(levels) else ():
        if not place.pair:
            yield found
        elif isinstance(found, list):
            yield next((value for key, value in _tags(found, layout.typed) if key == place.pair), None)


def _keyed(value: object, key: str) -> Iterator[object]:
    if not key:
        yield value
    elif isinstance(value, list):
        yield value[int(key)] if key.isdigit() and int(key) < len(value) else None
    elif isinstance(value, dict):
        yield value.get(key)
        yield _inside(value, key)


def _tags(array: list[object], typed: bool) -> Iterator[tuple[str, object]]:
    """Yield pairs of either kind: objects of key and value, and texts "key:value"."""
    for element in array:
        if isinstance(element, str) and not isinstance(element, Written) and ":" in element:
            key, _, value = element.partition(":")
            yield key, value
        yield from _pairs([element], typed)


def _pairs(array: list[object], typed: bool) -> Iterator[tuple[str, object]]:
    for element in array:
        if not isinstance(element, dict):
            continue
        key = element["key"] if "key" in element else element.get("field")
        if isinstance(key, str) and not isinstance(key, Written):
            yield key, _untyped(element.get("value"), typed)


def _untyped(value: object, typed: bool) -> object:
    """Take the wrapping of an AnyValue off: lists of pairs become objects, other lists are no value."""
    if not typed or not isinstance(value, dict):
        return value
    kind = next((name for name in _TYPED if value.get(name) is not None), None)
    if kind is None:
        return value
    if kind == "arrayValue":
        return None
    return _object(_inside(value[kind], "values"), typed) if kind == "kvlistValue" else value[kind]


def _object(pairs: object, typed: bool) -> dict[str, object]:
    return jsonlines.first(list(_pairs(pairs, typed)) if isinstance(pairs, list) else [])


@dataclass(frozen=True)
class _Found:
    """A record and the elements around it."""

    layout: Layout
    levels: Sequence[object]

    def values(self, place: Place) -> Iterator[object]:
        """Yield what is at a place and not null."""
        return (value for value in _values(self.levels, place, self.layout) if value is not None)

    def has(self, group: tuple[str, ...]) -> bool:
        """Is anything at one of these paths?"""
        return any(True for place in self.layout.places(group) for _ in self.values(place))

    def said(self, name: str, paths: tuple[str, ...]) -> str | None:
        """Return the first scalar, from the record outwards, as a field of this name has it; no word is a time."""
        places = sorted(self.layout.places(paths), key=lambda place: -place.level)
        for value in (value for place in places for value in self.values(place)):
            if isinstance(value, str) or (name != "time" and isinstance(value, bool)):
                return jsonlines.text(name, value)
        return None

    def payload(self) -> object:
        """Return the best payload that has a value."""
        for parts in self.layout.payloads:
            joined = len(parts) > 1
            found = [value for place in parts if (value := self._part(place, joined=joined)) is not None]
            if found:
                return _joined(found, self.layout.typed) if joined else found[0]
        return None

    def _part(self, place: Place, *, joined: bool) -> object:
        values = (_part(value, self.layout.typed) if joined else value for value in self.values(place))
        return next((value for value in values if value is not None), None)

    def is_line(self) -> bool:
        """Is there a text or an object that may be a line?"""
        said = self.payload()
        return isinstance(said, str | dict) and not isinstance(said, Written)

    def record(self) -> Record:
        layout = self.layout
        of_kind = isinstance(self.levels[-1], list if layout.of_arrays else dict)
        line, ended = _line(self.payload()) if of_kind else (BAD, False)
        time, replica = self.said("time", layout.time), self.said("replica", layout.replica)
        return Record(line, time, replica, self.said("stream", layout.stream), ended)


def _part(value: object, typed: bool) -> object:
    found = _untyped(value, typed)
    return None if isinstance(found, dict | list) and not found else found


def _joined(parts: list[object], typed: bool) -> object:
    if len(parts) == 1 and isinstance(parts[0], str) and not isinstance(parts[0], Written):
        return parts[0]
    members: list[tuple[str, object]] = []
    for part in parts:
        if isinstance(part, dict):
            members += part.items()
        elif isinstance(part, list):
            members += _pairs(part, typed)
        else:
            members.append(("message", part))
    return jsonlines.first(members)


def _line(payload: object) -> tuple[str, bool]:
    if payload is None:
        return "", False
    if isinstance(payload, dict):
        return written(payload), False
    if isinstance(payload, list):
        payload = _bytes(payload)
    return _text(payload) if isinstance(payload, str) and not isinstance(payload, Written) else (BAD, False)


def _text(said: str) -> tuple[str, bool]:
    line = jsonlines.text("message", said)
    return line.removesuffix("\n").replace("\n", " "), line.endswith("\n")


def _bytes(array: list[object]) -> str | None:
    numbers = [str(value) for value in array if isinstance(value, Written)]
    if len(numbers) < len(array) or not all(number.isdigit() and int(number) < 256 for number in numbers):
        return None
    try:
        return bytes(map(int, numbers)).decode()
    except UnicodeDecodeError:
        return None


def written(value: object) -> str:
    """Return JSON of a value, its numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{written(key)}:{written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return str(value) if isinstance(value, Written) else json.dumps(value)
