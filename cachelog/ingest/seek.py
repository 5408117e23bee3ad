"""Only the window asked for: where in a big file in order of time the lines of `--since` to `--until` are.

Probes of some lines are read as any lines are, so every format that names times can be searched. A file counts as in
order of time when probes spread over it are; lines out of order by more than a minute are then not found, and the
report says that this was assumed (PERF §3).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import BinaryIO

import numpy as np
import polars as pl

from cachelog.contract.events import FOLLOWING
from cachelog.contract.limits import Limits
from cachelog.ingest import json_scan, records, settle
from cachelog.ingest.claim import Reader, read_unit
from cachelog.ingest.discover import Source
from cachelog.ingest.lines import Segment, Unit
from cachelog.ingest.opened import Window, is_compressed

_PROBE = (8 << 10, 64 << 10, 1 << 20)  # bytes of a probe; more where these name no time
_HEAD = 64 << 10  # bytes that tell of what kind a file is
_PROBES = 16  # spread over the file, to see that it is in order
_STEPS = 8  # probes of a round of the search: to read many at once takes little longer than to read one
_NEAR = 64 << 10  # bytes; more exactly nobody needs to know
_COUNTED = 8 << 20  # bytes of which the newlines are counted at once
_COUNTERS = 2  # threads


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
            head = raw.read(_HEAD)
            if is_compressed(head) or records.shaped(head):
                return None
            return _sought(_Probes(raw, source.size, index, reader), span, limits)
    except OSError:
        return None


_Probe = tuple[datetime, int]  # the time of the first event behind an offset, and where the line behind it begins


@dataclass(frozen=True)
class _Probes:
    """Looks into a file, which is the input `index`."""

    raw: BinaryIO
    size: int
    index: int
    reader: Reader
    known: dict[int, _Probe | None] = field(default_factory=dict)

    def at(self, offsets: Sequence[int]) -> list[_Probe | None]:
        """Return what stands behind offsets, None where no event near it has a time for certain."""
        for length in _PROBE:
            open_ = [offset for offset in dict.fromkeys(offsets) if self.known.get(offset) is None]
            pieces = [self._lines(offset, length) for offset in open_]
            times = _firsts([data for _, data in pieces], self.index, self.reader)
            for offset, (start, _), time in zip(open_, pieces, times, strict=True):
                self.known[offset] = (time, start) if time else None
        return [self.known[offset] for offset in offsets]

    def _lines(self, offset: int, length: int) -> tuple[int, bytes]:
        """Return where the line behind an offset begins, and the whole lines that begin there."""
        self.raw.seek(offset)
        data = self.raw.read(length)
        start = data.find(b"\n") + 1 if offset else 0
        end = len(data) if offset + len(data) >= self.size and data.endswith(b"\n") else data.rfind(b"\n") + 1
        return offset + start, data[start:end]


def _firsts(pieces: Sequence[bytes], index: int, reader: Reader) -> list[datetime | None]:
    """Return the time of the first event of each piece; None also where it may be moved when all is read."""
    data = b"".join(pieces)
    if not data:
        return [None] * len(pieces)
    unit = Unit(memoryview(data), (Segment(0, index, 1),), json_scan.newlines(data))
    read = read_unit(unit, reader)
    columns = ["line", "ts", "clock"]
    parts = [read.rare.select(columns), *(rows.select(columns) for rows, _ in read.bulk)]
    timed = pl.concat(parts).drop_nulls("ts")
    if settle.open_year(timed["clock"]) or settle.other_zone(read.books.votes):
        return [None] * len(pieces)
    timed = timed.filter(pl.col("clock") & FOLLOWING == 0).sort("line")
    ends = list(accumulate(piece.count(b"\n") for piece in pieces))
    first = np.searchsorted(timed["line"].to_numpy(), [1, *(1 + end for end in ends)])
    found = timed["ts"].to_list()
    return [found[at] if at < end else None for at, end in pairwise(first.tolist())]


def _sought(probes: _Probes, span: Span, limits: Limits) -> Window | None:
    slack, size = timedelta(seconds=limits.disorder_s), probes.size
    spread = probes.at([size * at // _PROBES for at in range(_PROBES)])
    times = [probe[0] for probe in spread if probe]
    if len(times) < _PROBES // 2 or any(a > b + slack for a, b in pairwise(times)):
        return None
    start = _narrowed(0, size, span.since - slack, probes) if span.since else 0
    end = _narrowed(start, size, span.until + slack, probes, after=True) if span.until else size
    return Window(start, 1 + _newlines(probes.raw, start), end)


def _narrowed(low: int, high: int, wanted: datetime, probes: _Probes, after: bool = False) -> int:
    """Return where the last line begins that is known to be before a time; with `after`, the first known to be not."""
    begin, end = low, high
    while high - low > _NEAR:
        width = high - low
        offsets = [low + width * step // (_STEPS + 1) for step in range(1, _STEPS + 1)]
        for offset, found in zip(offsets, probes.at(offsets), strict=True):
            if found is None or found[0] >= wanted:
                high, end = offset, found[1] if found else end
                break
            low, begin = offset, found[1]
    return end if after else begin


def _newlines(raw: BinaryIO, end: int) -> int:
    """Count the lines before an offset."""
    cuts = [end * at // _COUNTERS for at in range(_COUNTERS + 1)]
    with ThreadPoolExecutor(_COUNTERS) as pool:
        return sum(pool.map(lambda part: _newlines_of(raw.name, *part), pairwise(cuts)))


def _newlines_of(path: str, start: int, end: int) -> int:
    buffer = memoryview(bytearray(_COUNTED))
    count = 0
    with open(path, "rb", buffering=0) as raw:
        raw.seek(start)
        while start < end and (many := raw.readinto(buffer[: end - start])):
            count, start = count + json_scan.newlines(buffer[:many]), start + many
    return count
