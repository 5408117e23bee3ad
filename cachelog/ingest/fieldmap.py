"""Which name in the log was taken for which field: for `cachelog inspect`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import ModuleType

import numpy as np
import polars as pl

from cachelog.contract import jsonlines, opening
from cachelog.contract.fields import INTO
from cachelog.contract.finding import Candidate
from cachelog.contract.heads import cut
from cachelog.contract.own import SAME, current
from cachelog.ingest import texts
from cachelog.ingest.cite import again
from cachelog.ingest.claim import Layouts
from cachelog.ingest.discover import Source
from cachelog.ingest.ledger import Rows
from cachelog.ingest.lines import ReadLog, units
from cachelog.ingest.suggest import candidates
from cachelog.ingest.unwrap import DEPTH, unwrap

_LOOKED_AT = 400  # lines of the head of an input, and about as many of what follows
_PAIR = re.compile(r'(?:^|[\s,;(\[{])([A-Za-z_@][\w.\-@]*)=(?="|[^\s=])')


Modules = Mapping[str, ModuleType]
#: Canonical field -> the name it has in the head of an input; and what places look like fields there.
Examined = tuple[Mapping[str, str], tuple[Candidate, ...]]


def examined(source: Source, envelopes: Modules, dialects: Modules, spool: str | None = None) -> Examined:
    """Return the names and the candidates in the head of an input."""
    lines = list(_head(source, envelopes, Layouts.of(envelopes, dialects), spool))
    known = _fields(lines)
    return known, candidates([line for line in lines if line.strip()])


def _fields(lines: Sequence[str]) -> Mapping[str, str]:
    """Return canonical field -> the name it has, what the user says, else the best alias that occurs."""
    seen = set[str]().union(*(_names(text) for text in lines))
    written = {f: (a.replace(INTO, ".") for a in aliases) for f, aliases in jsonlines.FIELDS.items()}
    found = {field: next((name for name in names if name in seen), None) for field, names in written.items()}
    mine = {SAME.get(one.field, one.field): one.said.partition("=")[2] for one in current().maps}
    headed = "time" not in found or found["time"] is None
    if headed and lines and cut(pl.Series(lines, dtype=pl.String))["time"].count() * 2 > len(lines):
        found["time"] = "the head of the line"
    return {field: name for field, name in (found | mine).items() if name is not None}


def _head(source: Source, envelopes: Modules, layouts: Layouts, spool: str | None) -> Iterator[str]:
    """Yield the first lines without their envelopes."""
    if (opened := again(source, spool)) is None:
        return
    for unit in islice(units([opened], ReadLog()), 1):
        every = bytes(unit.data).split(b"\n")[:-1]
        spread = every[_LOOKED_AT :: max(1, len(every) // _LOOKED_AT)]
        head = b"".join(line + b"\n" for line in (*every[:_LOOKED_AT], *spread))
        lines, _ = texts.decoded(head)
        inner, _ = unwrap(lines, envelopes, Rows.of(np.zeros(head.count(b"\n"), np.uint32)))
        for text in inner["text"]:
            yield from _opened(text, layouts, DEPTH)


def _opened(text: str, layouts: Layouts, depth: int) -> Iterator[str]:
    """Yield the lines in a line that is an envelope of JSON, else the line; nothing of a dialect's objects."""
    root = jsonlines.decode_any(text) if depth and text[:1] == "{" else None
    found = opening.opened(root, layouts.layouts) if root is not None else None
    if found is None or found.layout < 0:
        yield text
        return
    if layouts.dialects[found.layout] >= 0:
        return
    for record in found.records:
        yield from _opened(record.line, layouts, depth - 1)


def _names(text: str) -> set[str]:
    start = text.find("{")
    if start >= 0:
        try:
            return set(_paths(json.loads(text[start:])))
        except (ValueError, RecursionError):
            pass
    return set(_PAIR.findall(text))


def _paths(value: object, prefix: str = "", depth: int = 0) -> Iterator[str]:
    if not isinstance(value, dict) or depth > 3:
        return
    for key, inner in value.items():
        yield prefix + str(key)
        yield from _paths(inner, f"{prefix}{key}.", depth + 1)
        if isinstance(inner, str) and depth == 0 and key in jsonlines.FIELDS["message"]:
            yield from _names(inner)
