"""A block of bytes as a column of texts, all lines at once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

#: Rows of a unit and their text.
LINES: pl.Schema = pl.Schema({"row": pl.UInt32(), "text": pl.String()})

_ANSI = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])"
_TOGETHER = 256  # lines that are tried at once
_Rows = npt.NDArray[np.uint32]


def decoded(data: bytes, rows: _Rows | None = None) -> tuple[pl.DataFrame, _Rows]:
    """Return LINES of the given rows (all for None) without their ends, and the rows that are no UTF-8.

    `data` holds whole lines, each ended by a newline.
    """
    offsets = _offsets(data)
    wanted = np.arange(len(offsets) - 1, dtype=np.uint32) if rows is None else rows
    bad = np.intersect1d(_undecodable(data, offsets), wanted, assume_unique=True).astype(np.uint32)
    if len(bad):
        wanted = np.setdiff1d(wanted, bad, assume_unique=True)
    raw = _lines(data, offsets)
    chosen = raw if len(wanted) == len(raw) else raw.gather(wanted)
    text = chosen.cast(pl.String).str.strip_chars_end("\r\n")
    return pl.DataFrame([pl.Series("row", wanted, pl.UInt32), text.alias("text")]), bad


def picked(data: bytes, rows: _Rows) -> bytes:
    """Return the given lines of a block, each ended by a newline."""
    lines = _lines(data, _offsets(data)).gather(rows)
    return b"".join(lines.to_list())


def _offsets(data: bytes) -> npt.NDArray[np.int64]:
    """Return where each line begins, and the end."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    return np.concatenate([[0], ends + 1]).astype(np.int64)


def _lines(data: bytes, offsets: npt.NDArray[np.int64]) -> pl.Series:
    """Lay the lines over the bytes as they are: Arrow needs no more than where each begins."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pl.Series(pl.from_arrow(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)))


def _undecodable(data: bytes, offsets: npt.NDArray[np.int64]) -> _Rows:
    """Return the rows with bytes that are no UTF-8; lines are looked at one by one only near such bytes."""
    if data.isascii() or _decodes(data):
        return np.zeros(0, np.uint32)
    bad: list[int] = []
    last = len(offsets) - 1
    for first in range(0, last, _TOGETHER):
        bounds = offsets[first : min(first + _TOGETHER, last) + 1].tolist()
        if not _decodes(data[bounds[0] : bounds[-1]]):
            bad += [first + i for i, (start, end) in enumerate(pairwise(bounds)) if not _decodes(data[start:end])]
    return np.array(bad, np.uint32)


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def clean(lines: pl.DataFrame) -> pl.DataFrame:
    """Drop blanks at the end, NULs (a truncated and rewritten file begins with them), BOM and terminal colours."""
    text = pl.col("text")
    return uncoloured(lines).with_columns(text.str.strip_chars_end("\r \t").str.strip_chars_start("\x00\ufeff"))


def uncoloured(lines: pl.DataFrame) -> pl.DataFrame:
    """Drop what moves or colours a terminal: tools put it around what they write before lines, too."""
    if not lines["text"].str.contains("\x1b", literal=True).any():
        return lines
    return lines.with_columns(pl.col("text").str.replace_all(_ANSI, ""))


def joined(texts: pl.Series) -> bytes:
    """Return the texts as lines, each ended by a newline; a newline inside a text becomes a blank."""
    if texts.str.contains("\n", literal=True).any():
        texts = texts.str.replace_all("\n", " ", literal=True)
    return str(texts.str.join("\n").item()).encode() + b"\n" if len(texts) else b""
