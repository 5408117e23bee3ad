"""Only the window asked for: where in a big file in order of time the lines of `--since` to `--until` are.

Probes of some lines are read as any lines are, so every format that names times can be searched. A file counts as in
order of time when probes spread over it are; lines out of order by more than a minute are then not found, and the
report says that this was assumed (PERF §3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import BinaryIO

import polars as pl

from cachelog.contract.limits import Limits
from cachelog.ingest import json_scan, records, settle
from cachelog.ingest.claim import Reader, read_unit
from cachelog.ingest.discover import Source
from cachelog.ingest.lines import Segment, Unit
from cachelog.ingest.opened import Window, is_compressed

_PROBE = 64 << 10  # bytes of a probe; four times as many where these name no time, twice
_PROBES = 16  # spread over the file, to see that it is in order
_COUNTED = 8 << 20  # bytes of which the newlines are counted at once


@dataclass(frozen=True)
class Span:
    """The time asked for; None: no end."""

    since: datetime | None = None
    until: datetime | None = None


def window(index: int, source: Source, span: Span, reader: Reader, limits: Limits) -> Window | None:
    """Return the part of a file that may hold the time asked for; None where all of it is to be read.

    `index` is that of the input. What cannot be searched is read whole.
    """
    if source.pipe or source.note or source.size < limits.sought_bytes or span == Span():
        return None
    try:
        with open(source.path, "rb") as raw:
            head = raw.read(_PROBE)
            if is_compressed(head) or records.shaped(head):
                return None
            return _sought(raw, source.size, span, _timer(raw, source.size, index, reader), limits)
    except OSError:
        return None


_Time = Callable[[int], tuple[datetime, int] | None]


def _timer(raw: BinaryIO, size: int, index: int, reader: Reader) -> _Time:
    """Return what gives the time of the first event behind an offset, and where the line behind the offset begins."""

    @lru_cache(maxsize=256)
    def time(offset: int) -> tuple[datetime, int] | None:
        for length in (_PROBE, 4 * _PROBE, 16 * _PROBE):
            raw.seek(offset)
            data = raw.read(length)
            start = data.find(b"\n") + 1 if offset else 0
            end = len(data) if offset + len(data) >= size and data.endswith(b"\n") else data.rfind(b"\n") + 1
            if start < end and (found := _first(data[start:end], index, reader)):
                return found, offset + start
        return None

    return time


def _first(data: bytes, index: int, reader: Reader) -> datetime | None:
    """Return the time of the first event of some lines; None also where it may be moved when all is read."""
    unit = Unit(memoryview(data), (Segment(0, index, 1),), json_scan.newlines(data))
    read = read_unit(unit, reader)
    columns = ["line", "ts", "clock"]
    parts = [read.rare.select(columns), *(rows.select(columns) for rows, _ in read.bulk)]
    timed = pl.concat(parts).drop_nulls("ts").sort("line")
    if settle.open_year(timed["clock"]) or settle.other_zone(read.books.votes):
        return None
    first = timed["ts"][0] if timed.height else None
    return first if isinstance(first, datetime) else None


def _sought(raw: BinaryIO, size: int, span: Span, time: _Time, limits: Limits) -> Window | None:
    slack = timedelta(seconds=limits.disorder_s)
    probes = [time(size * at // _PROBES) for at in range(_PROBES)]
    times = [probe[0] for probe in probes if probe]
    if len(times) < _PROBES // 2 or any(a > b + slack for a, b in pairwise(times)):
        return None
    start = _bisected(0, size, span.since - slack, time) if span.since else 0
    end = _bisected(start, size, span.until + slack, time, after=True) if span.until else size
    return Window(start, 1 + _newlines(raw, start), end)


def _bisected(low: int, high: int, wanted: datetime, time: _Time, after: bool = False) -> int:
    """Return where the last line begins that is known to be before a time; with `after`, the first known to be not."""
    begin, end = low, high
    while high - low > _PROBE:
        middle = (low + high) // 2
        found = time(middle)
        if found is not None and found[0] < wanted:
            low, begin = middle, found[1]
        else:
            high, end = middle, found[1] if found else end
    return end if after else begin


def _newlines(raw: BinaryIO, end: int) -> int:
    """Count the lines before an offset."""
    raw.seek(0)
    buffer = memoryview(bytearray(_COUNTED))
    count, left = 0, end
    while left > 0 and (many := raw.readinto(buffer[:left])):  # type: ignore[attr-defined]
        count, left = count + json_scan.newlines(buffer[:many]), left - many
    return count
