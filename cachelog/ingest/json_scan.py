"""JSON lines of a block of bytes to canonical fields: the native scanner where it is built, Polars elsewhere.

Both give the same rows. The native one is the extension cachelog.ingest._scan, built from scan.cpp when a C++
compiler is there at install time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.limits import DEFAULT
from cachelog.dialects import json_app

#: How the native scanner hands a field over.
_KINDS = {
    "time": "time",
    "message": "text",
    "reason": "text",
    "url": "text",
    "digest": "label",
    "key": "hash",
    "ms": "number",
    "seconds": "number",
    "n": "number",
    "duration": "text",
}
_SPEC = [(name, _KINDS.get(name, "label"), list(aliases)) for name, aliases in json_app.FIELDS.items()]


def _native() -> ModuleType | None:
    try:
        return import_module("cachelog.ingest._scan")
    except ImportError:
        return None


NATIVE = _native()
_THREAD = threading.local()


def engine() -> str:
    """Return which engine reads JSON lines: "native" or "polars"."""
    return "native" if NATIVE else "polars"


@dataclass(frozen=True)
class Scanned:
    """PARSED-like rows of valid objects (ts and naive where read); rows that are bad, blank, or no JSON lines."""

    fields: pl.DataFrame
    bad: npt.NDArray[np.uint32]
    blank: npt.NDArray[np.uint32]
    other: npt.NDArray[np.uint32]


def scan(block: bytes) -> Scanned:
    """Scan a block of whole lines; row numbers count from 0 in it."""
    return _scan_native(block) if NATIVE else _scan_polars(block)


def _scan_polars(block: bytes) -> Scanned:
    lines = block.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    texts: list[str] = []
    rows: list[int] = []
    bad: list[int] = []
    blank: list[int] = []
    other: list[int] = []
    for row, line in enumerate(lines):
        bare = line.strip(b" \t\r")
        if bare[:1] == b"{":
            try:
                texts.append(bare.decode())
                rows.append(row)
            except UnicodeDecodeError:
                bad.append(row)
        else:
            (other if bare else blank).append(row)
    frame = pl.DataFrame({"row": pl.Series(rows, dtype=pl.UInt32), "text": pl.Series(texts, dtype=pl.String)})
    fields = json_app.parse(frame)
    invalid = np.setdiff1d(np.array(rows, np.uint32), fields["row"].to_numpy())
    return Scanned(fields, np.sort(np.append(np.array(bad, np.uint32), invalid)), _rows(blank), _rows(other))


def _rows(rows: list[int]) -> npt.NDArray[np.uint32]:
    return np.array(rows, np.uint32)


def _scan_native(block: bytes) -> Scanned:
    scanner = getattr(_THREAD, "scanner", None)
    if scanner is None:
        assert NATIVE is not None
        scanner = _THREAD.scanner = NATIVE.Scanner(_SPEC, DEFAULT.line_bytes)
    result = scanner.scan(block)
    raw = pl.DataFrame(result)
    return Scanned(
        json_app.shape(_parsed(raw)),
        *(np.frombuffer(part, np.uint32) for part in (result.bad, result.blank, result.other)),
    )


def _parsed(raw: pl.DataFrame) -> pl.DataFrame:
    """Rename the scanner's columns to PARSED; times it could read become ts."""
    return (
        raw.rename({"time": "_us", "time_text": "time", "time_naive": "naive"})
        .with_columns(
            ts=pl.col("_us").cast(pl.Datetime("us", "UTC")),
            n=pl.col("n").cast(pl.UInt32, strict=False),
        )
        .drop("_us", strict=False)
    )
