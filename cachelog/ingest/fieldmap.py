"""Which name in the log was taken for which field: for `cachelog inspect`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice

from cachelog.contract import jsonlines
from cachelog.ingest.discover import Source
from cachelog.ingest.lines import ReadLog, again, units

_LOOKED_AT = 400  # lines of the head of an input
_PAIR = re.compile(r'(?:^|[\s,;(\[{])([A-Za-z_@][\w.\-@]*)=(?="|[^\s=])')


def fields(source: Source, spool: str | None = None) -> Mapping[str, str]:
    """Return canonical field -> the name it has in the head of this input, the best alias that occurs there."""
    seen: set[str] = set()
    for text in _head(source, spool):
        seen |= _names(text)
    found = {field: next((a for a in aliases if a in seen), None) for field, aliases in jsonlines.FIELDS.items()}
    return {field: name for field, name in found.items() if name is not None}


def _head(source: Source, spool: str | None) -> Iterator[str]:
    if (opened := again(source, spool)) is None:
        return
    for unit in islice(units([opened], ReadLog()), 1):
        for line in unit.data.split(b"\n", _LOOKED_AT)[:_LOOKED_AT]:
            yield line.decode("utf-8", "replace")


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
        if isinstance(inner, str) and inner.startswith("{") and depth == 0:
            yield from _names(inner)
