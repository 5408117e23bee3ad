"""Counts as dense arrays: for each model and cache, misses and lookups by replica and window.

Windows are as METHODS §1.1 says: the narrowest of the ladder with enough lookups expected, merged from base windows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.counted import Spell
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.proportions import Floats
from cachelog.metrics.windows import LADDER, numbered, rate_known

Ints = npt.NDArray[np.int64]
_MICRO = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Series:
    """One model in one cache; rows of the arrays are replicas in order of name, columns are windows."""

    model: str
    cache: str
    replicas: tuple[str, ...]
    first: datetime  # start of window 0
    seconds: float  # width of a window
    misses: Floats
    lookups: Floats

    @property
    def windows(self) -> int:
        """Return the number of windows."""
        return int(self.lookups.shape[1])

    def time(self, window: int) -> datetime:
        """Return the start of a window."""
        return self.first + timedelta(seconds=self.seconds * window)

    def window(self, time: datetime) -> int:
        """Return the window that holds a time, clipped to the period."""
        return int(min(max((time - self.first).total_seconds() // self.seconds, 0), self.windows - 1))

    def count(self, seconds: float) -> int:
        """Return how many windows a span of time takes, at least one."""
        return max(1, round(seconds / self.seconds))


def stretches(one: Series, cells: npt.NDArray[np.bool_]) -> tuple[Spell, ...]:
    """Return the stretches of time that some cells (replicas, windows) cover, of all replicas where these are alike.

    Windows without lookups are as those beside them.
    """
    some, left_out = np.asarray(cells.any(axis=0)), np.asarray((~cells & (one.lookups > 0)).any(axis=0))
    if not (some & left_out).any():
        return tuple(Spell(None, *stretch) for stretch in _runs(one, some))
    return tuple(
        Spell(name, *stretch) for name, mine in zip(one.replicas, cells, strict=True) for stretch in _runs(one, mine)
    )


def _runs(one: Series, windows: npt.NDArray[np.bool_]) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of each run of marked windows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], windows, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2).tolist():
        yield one.time(start), one.time(end)


def part(one: Series, replicas: Collection[str]) -> Series:
    """Return the series of some replicas."""
    rows = [row for row, name in enumerate(one.replicas) if name in replicas]
    return replace(
        one, replicas=tuple(one.replicas[row] for row in rows), misses=one.misses[rows], lookups=one.lookups[rows]
    )


def series(frames: Frames, limits: Limits) -> Iterator[Series]:
    """Yield the series that have enough lookups for a shift to show, by model and cache."""
    counts = frames.counts.with_columns(pl.col("replica").fill_null("(unnamed)"))
    mine, labels = numbered(counts, ["model", "cache"])
    bounds = np.searchsorted(mine.to_numpy(), np.arange(labels.height + 1))  # counts are sorted by model and cache
    for at, model, cache in labels.iter_rows():
        rows = counts[bounds[at] : bounds[at + 1]]
        lookups, misses = int(rows["lookups"].sum()), int(rows["misses"].sum())
        if not rate_known(cache, lookups - misses, 0):
            continue
        if lookups >= limits.shift_lookups and misses >= limits.shift_misses:
            yield _dense(model, cache, rows.filter(pl.col("lookups") > 0), frames, _width(lookups, frames, limits))


def _floor(time: datetime, width: timedelta) -> datetime:
    """Return the start of the window of this width that holds a time; windows are aligned to the epoch."""
    return _EPOCH + (time - _EPOCH) // width * width


def _width(lookups: int, frames: Frames, limits: Limits) -> timedelta:
    """Return the narrowest width, not under the base, with enough expected lookups and not too many windows."""
    span = max((frames.end - frames.start).total_seconds(), 1.0)
    base = frames.base.total_seconds()
    wide = [s for s in LADDER if s >= base and span / s <= limits.shift_windows]
    enough = (s for s in wide if lookups * s / span >= limits.shift_window_lookups)
    return timedelta(seconds=next(enough, max(wide, default=base)))


def _dense(model: str, cache: str, rows: pl.DataFrame, frames: Frames, width: timedelta) -> Series:
    first = _floor(frames.start, width)
    windows = (frames.end - first) // width + 1
    replica, names = numbered(rows, ["replica"])
    since = rows["w"].to_physical().to_numpy() - (first - _EPOCH) // _MICRO
    cell = replica.to_numpy() * windows + since // (width // _MICRO)
    y, n = (_summed(cell, rows[name].to_numpy(), (names.height, windows)) for name in ("misses", "lookups"))
    return Series(model, cache, tuple(names["replica"].to_list()), first, width / timedelta(seconds=1), y, n)


def _summed(cell: Ints, count: Ints, shape: tuple[int, int]) -> Floats:
    return np.bincount(cell, weights=count, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
