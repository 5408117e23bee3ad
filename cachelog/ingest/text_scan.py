"""Dialects of text that the native readers of _text understand: lines of bytes to what they say, without strings.

What a line means is defined by the dialect's own parse; lines of which the native reader is not sure go there
(tests/test_text_scan.py holds them together). pairs.hpp reads logfmt, access.hpp reads access logs of nginx.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract import jsonlines, own, pairs, urls
from cachelog.dialects import json_app, logfmt, nginx
from cachelog.ingest.said import Said

_Rows = npt.NDArray[np.uint32]
_Spec = list[tuple[str, str, list[str]]]

#: How fields are handed over; all others are words.
KINDS = {
    "time": "time",
    "replica": "label",
    "key": "hash",
    "duration": "measure",
    "ms": "number",
    "seconds": "number",
}


@dataclass(frozen=True)
class Reader:
    """A native reader's arguments, and what makes PARSED columns of the words it found."""

    kind: str
    names: Mapping[str, tuple[str, ...]]
    words: list[list[str]]
    shape: Callable[[pl.DataFrame], pl.DataFrame]

    def make(self, native: ModuleType) -> Any:
        """Return the reader; it is for one thread."""
        mine = own.current().aliases
        spec: _Spec = [(field, KINDS.get(field, "word"), list(names)) for field, names in self.names.items()]
        spec += [(column, "label", list(names)) for column, names in mine.items() if self.kind == "logfmt"]
        return native.Reader(self.kind, spec, self.words)


READERS = {
    logfmt.NAME: Reader(
        "logfmt",
        pairs.FIELDS,
        [sorted(pairs.ALL.flags), sorted(pairs.ALL.prose), list(logfmt.OWNED)],
        json_app.shape,
    ),
    nginx.NAME: Reader(
        "access",
        nginx.FIELDS,
        [list(nginx.STATUSES), list(nginx.OTHER_STATUSES), list(urls.TELLING)],
        nginx.shape,
    ),
}

_THREAD = threading.local()


@dataclass(frozen=True)
class Scanned:
    """What lines say; the numbers of all lines that the dialect claims and that are read, and of those not its own."""

    said: Said
    claimed: _Rows
    others: _Rows


def scan(native: ModuleType, dialect: str, lines: Any, numbers: _Rows) -> Scanned:
    """Read those of the native sorter's lines that are surely a dialect's of READERS, or surely not."""
    readers = _THREAD.__dict__.setdefault("readers", {})
    wanted = dialect, own.current()
    if wanted not in readers:
        readers[wanted] = READERS[dialect].make(native)
    rows, said, claimed, others = readers[wanted].read(lines, numbers)
    found = _numbers(pl.DataFrame(rows))
    words = READERS[dialect].shape(pl.DataFrame(said))
    if not words.width:  # lines that say nothing say one thing
        words = pl.DataFrame({"op": pl.Series([None] * (1 if found.height else 0), dtype=pl.String)})
    return Scanned(Said(found, words), np.frombuffer(claimed, np.uint32), np.frombuffer(others, np.uint32))


def _numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Read the few numbers that are of another form than JSON's, as the dialects' parse and conform do."""
    read: dict[str, Callable[[pl.Expr], pl.Expr]] = {"ms": jsonlines.double, "seconds": _float}
    for name, number in read.items():
        if f"{name}_text" in rows.columns:
            known = [pl.col(name)] if name in rows.columns else []
            rows = rows.with_columns(pl.coalesce(*known, number(pl.col(f"{name}_text"))).alias(name))
            rows = rows.drop(f"{name}_text")
    return rows


def _float(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)
