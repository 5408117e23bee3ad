"""What one JSON line means: the definition, in plain Python, that both fast engines are held to.

A line is valid when it is one JSON object by RFC 8259, UTF-8, not longer than limits.line_bytes and not deeper nested
than DEPTH; everything is checked, also what no field asks for. The canonical fields are read like this:

* Of a key that occurs twice in one object the first counts. null, objects and arrays are no value, but an array of one
  string is that string: Go writes headers so.
* A field's best alias that has a value wins. "a.b" is the key "a.b" or, after it, b in the object a; what is behind
  fields.INTO is looked for in the object before it alone.
* Strings are unescaped; a lone surrogate becomes U+FFFD. true and false are these words.
* A number is text as written (version 1.10 is not 1.1), but in measures (times, durations) it is a double unless it is
  an integer: its shortest text, without an exponent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

import polars as pl

from cachelog.contract import own
from cachelog.contract.fields import ALIASES, BESIDE, EDGE_ALIASES, INTO

#: Deepest nesting of a line; the object itself is 1. Python's own reader stands no more than about 900.
DEPTH = 512

#: Canonical field -> aliases; `edge` is the status of an HTTP cache, which no other field may shadow.
FIELDS: Mapping[str, tuple[str, ...]] = ALIASES | {
    "outcome": tuple(a for a in ALIASES["outcome"] if a not in EDGE_ALIASES),
    "edge": EDGE_ALIASES,
    **BESIDE,
}
#: Fields whose numbers are doubles; of the second kind only the double is kept.
MEASURES = ("time", "duration", "ms", "seconds", "nanos", "hits", "misses", "lookups")
NUMBERS = ("ms", "seconds", "nanos", "hits", "misses", "lookups")
#: Fields that say what happened: few combinations of them occur in a log, and words are read once for each.
WORDS = tuple(name for name in FIELDS if name not in (*MEASURES, "key", "replica", "origin", "context"))

FLAT: pl.Schema = pl.Schema(
    {"row": pl.UInt32()} | {name: pl.Float64() if name in NUMBERS else pl.String() for name in FIELDS}
)


class Written(str):
    """A number as written."""

    __slots__ = ()


@dataclass
class Asked:
    """A key that fields ask for: (field, rank) where it is a value, and the keys asked for in it as an object."""

    targets: list[tuple[str, int]] = field(default_factory=list)
    inside: dict[str, Asked] = field(default_factory=dict)


def fields() -> Mapping[str, tuple[str, ...]]:
    """Return FIELDS, and the columns of what the user said (contract/own.py)."""
    return {**FIELDS, **mine} if (mine := own.current().aliases) else FIELDS


def asked() -> Mapping[str, Asked]:
    """Return the keys that fields() ask for."""
    return _asked(own.current())


@lru_cache(maxsize=8)
def _asked(said: own.Own) -> dict[str, Asked]:
    root: dict[str, Asked] = {}
    for name, aliases in {**FIELDS, **said.aliases}.items():
        for order, alias in enumerate(aliases):
            *around, path = alias.split(INTO)
            outer = root
            for head in around:
                outer = outer.setdefault(head, Asked()).inside
            outer.setdefault(path, Asked()).targets.append((name, 2 * order))
            *heads, last = path.split(".")
            keys = outer
            for head in heads:
                keys = keys.setdefault(head, Asked()).inside
            if heads:
                keys.setdefault(last, Asked()).targets.append((name, 2 * order + 1))
    return root


_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]')  # an open string ends the line: always linear
_SURROGATE = re.compile("[\ud800-\udfff]")


def first(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of keys and values; of equal keys the first counts."""
    return dict(reversed(pairs))


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=first, parse_float=Written, parse_int=Written, parse_constant=_refuse)


def decode(text: str) -> dict[str, object] | None:
    """Return the object that a line holds, numbers as Written, of equal keys the first; None for a bad line."""
    found = decode_any(text)
    return found if isinstance(found, dict) else None


def decode_any(text: str) -> object:
    """Return what a line of JSON holds, as `decode` does an object; None for a bad line, and for null."""
    if too_deep(text):
        return None
    try:
        return _DECODER.decode(text.strip(" \t\r"))
    except (ValueError, RecursionError):
        return None


def too_deep(text: str) -> bool:
    """Return whether brackets are nested deeper than DEPTH."""
    return text.count("{") + text.count("[") > DEPTH and _depth(text) > DEPTH


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in _BRACKET.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        deepest = max(deepest, depth)
    return deepest


Ranked = dict[str, tuple[int, str]]


def values(found: Mapping[str, object], keys: Mapping[str, Asked] | None = None, best: Ranked | None = None) -> Ranked:
    """Return field -> (rank, text) of what an object says (None: of asked()); of a field the lowest rank is kept."""
    best, keys = {} if best is None else best, asked() if keys is None else keys
    for key in found.keys() & keys.keys():
        value, wanted = _single(found[key]), keys[key]
        if isinstance(value, dict):
            values(value, wanted.inside, best)
        elif value is not None and not isinstance(value, list):
            for name, rank in wanted.targets:
                if name not in best or rank < best[name][0]:
                    best[name] = rank, text(name, value)
    return best


def _single(value: object) -> object:
    """Return the string of an array of one, else the value."""
    if not isinstance(value, list) or len(value) != 1:
        return value
    (only,) = value
    return only if isinstance(only, str) and not isinstance(only, Written) else value


def text(name: str, value: object) -> str:
    """Return the text of a scalar in a field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Written):
        return _measure(value) if name in MEASURES else str(value)
    said = str(value)
    return said if said.isascii() else _SURROGATE.sub("\ufffd", said)


def _measure(number: str) -> str:
    if not any(c in number for c in ".eE"):
        return "0" if number == "-0" else str(number)
    double = float(number)
    if math.isinf(double):
        return str(number)
    return format(Decimal(repr(double)), "f").removesuffix(".0")


def read(texts: Sequence[str], rows: Iterable[int]) -> pl.DataFrame:
    """Read lines one by one to a FLAT frame, without the columns that have no value; bad lines are left out."""
    columns: dict[str, list[str | None]] = {}
    kept: list[int] = []
    for line, row in zip(texts, rows, strict=True):
        found = decode(line)
        if found is None:
            continue
        for name, (_, said) in values(found).items():
            column = columns.setdefault(name, [])
            column.extend([None] * (len(kept) - len(column)))
            column.append(said)
        kept.append(row)
    made = {n: pl.Series(c + [None] * (len(kept) - len(c)), dtype=pl.String) for n, c in columns.items()}
    return typed(pl.DataFrame({"row": pl.Series(kept, dtype=pl.UInt32), **made}))


def typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn the text of numbers to doubles; what is no finite number is null."""
    return frame.with_columns(double(pl.col(name)) for name in NUMBERS if name in frame.columns)


def double(said: pl.Expr) -> pl.Expr:
    """Return the finite double that a text means, else null; there is no negative zero."""
    value = said.str.strip_chars().cast(pl.Float64, strict=False) + 0.0
    return pl.when(value.is_finite()).then(value)
