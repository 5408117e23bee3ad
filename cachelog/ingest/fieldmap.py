"""Which name in the log was taken for which field: for `cachelog inspect`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from types import ModuleType

import numpy as np

from cachelog.contract import jsonlines, opening
from cachelog.ingest import texts
from cachelog.ingest.cite import again
from cachelog.ingest.claim import Layouts
from cachelog.ingest.discover import Source
from cachelog.ingest.ledger import Rows
from cachelog.ingest.lines import ReadLog, units
from cachelog.ingest.unwrap import DEPTH, unwrap

_LOOKED_AT = 400  # lines of the head of an input
_PAIR = re.compile(r'(?:^|[\s,;(\[{])([A-Za-z_@][\w.\-@]*)=(?="|[^\s=])')


Modules = Mapping[str, ModuleType]


def fields(source: Source, envelopes: Modules, dialects: Modules, spool: str | None = None) -> Mapping[str, str]:
    """Return canonical field -> the name it has in the head of this input, the best alias that occurs there."""
    seen: set[str] = set()
    for text in _head(source, envelopes, Layouts.of(envelopes, dialects), spool):
        seen |= _names(text)
    found = {field: next((a for a in aliases if a in seen), None) for field, aliases in jsonlines.FIELDS.items()}
    return {field: name for field, name in found.items() if name is not None}


def _head(source: Source, envelopes: Modules, layouts: Layouts, spool: str | None) -> Iterator[str]:
    """Yield the first lines without their envelopes."""
    if (opened := again(source, spool)) is None:
        return
    for unit in islice(units([opened], ReadLog()), 1):
        head = b"".join(line + b"\n" for line in bytes(unit.data).split(b"\n", _LOOKED_AT)[:_LOOKED_AT])
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
