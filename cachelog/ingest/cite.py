"""Cited lines read once more: the raw text of a few lines of an input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import numpy as np

from cachelog.ingest.discover import Source
from cachelog.ingest.lines import ReadLog, units
from cachelog.ingest.opened import MAGIC, copy_of, is_compressed


def again(source: Source, spool: str | None) -> Source | None:
    """Return what to open in order to read an input once more; None for a pipe that was not kept."""
    if not source.pipe:
        return source
    copy = copy_of(source, spool)
    return Source(copy) if copy and os.path.exists(copy) else None


def cite(
    source: Source,
    wanted: Sequence[int],
    context: int = 0,
    spool: str | None = None,
    marks: Sequence[tuple[int, int]] = (),
) -> dict[int, str]:
    """Return the raw text of 1-based lines `wanted` with `context` lines around each, by line number.

    Reads the input once more up to the last wanted line; of a file that is not compressed only the blocks that hold
    them, where `marks` (ReadLog.marks) tell. Undecodable bytes are shown as escapes.
    """
    if source.said:
        return {number: source.said[number - 1] for number in wanted}
    if (kept := again(source, spool)) is None:
        return {}
    numbers = sorted({n for w in wanted for n in range(max(1, w - context), w + context + 1)})
    if marks and not source.pipe and numbers and (picked := _picked(kept.path, numbers, marks)) is not None:
        return picked
    found: dict[int, str] = {}
    first = 1
    for unit in units([kept], ReadLog()):
        stop = first + unit.rows
        if here := [n for n in numbers if first <= n < stop]:
            found |= _pick(unit.data, here, first)
        if not numbers or numbers[-1] < stop:
            break
        first = stop
    return found


def is_picked(source: Source, marks: Sequence[tuple[int, int]]) -> bool:
    """Return whether lines of an input are read without all that stands before them."""
    with suppress(OSError):
        if marks and not source.pipe and not source.archive:
            with open(source.path, "rb") as raw:
                return not is_compressed(raw.read(MAGIC))
    return False


def _picked(path: str, numbers: list[int], marks: Sequence[tuple[int, int]]) -> dict[int, str] | None:
    """Read only the blocks that hold lines; None where the file is compressed or has changed since."""
    found: dict[int, str] = {}
    with suppress(OSError), open(path, "rb") as raw:
        if is_compressed(raw.read(MAGIC)):
            return None
        for (first, start), (stop, end) in pairwise(marks):
            if not (here := [n for n in numbers if first <= n < stop]):
                continue
            raw.seek(start)
            data = raw.read(end - start)
            data += b"" if data.endswith(b"\n") else b"\n"
            if data.count(b"\n") != stop - first:
                return None
            found |= _pick(data, here, first)
        return found
    return None


def _pick(data: bytes | memoryview, numbers: list[int], first: int) -> dict[int, str]:
    view = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(view == ord("\n"))
    picked: dict[int, str] = {}
    for number in numbers:
        row = number - first
        start = int(ends[row - 1]) + 1 if row else 0
        picked[number] = bytes(data[start : int(ends[row])]).rstrip(b"\r").decode("utf-8", "backslashreplace")
    return picked
