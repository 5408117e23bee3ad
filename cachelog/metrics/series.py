"""Counts as dense arrays: for each model and cache, misses and lookups by replica and window.

Windows are as METHODS §1.1 says: the narrowest of the ladder with enough lookups expected, merged from base windows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.proportions import Floats
from cachelog.metrics.windows import LADDER, numbered, rate_known

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
        return int(np.clip((time - self.first).total_seconds() // self.seconds, 0, self.windows - 1))

    def count(self, seconds: float) -> int:
        """Return how many windows a span of time takes, at least one."""
        return max(1, round(seconds / self.seconds))


def part(one: Series, replicas: Collection[str]) -> Series:
    """Return the series of some replicas."""
    rows = [row for row, name in enumerate(one.replicas) if name in replicas]
    return replace(
        one, replicas=tuple(one.replicas[row] for row in rows), misses=one.misses[rows], lookups=one.lookups[rows]
    )


def series(frames: Frames, limits: Limits) -> Iterator[Series]:
    """Yield the series that have enough lookups for a shift to show, by model and cache."""
    long = _long(frames)
    if long.is_empty():
        return
    for (model, cache), rows in long.group_by("model", "cache", maintain_order=True):
        lookups, misses = int(rows["n"].sum()), int(rows["y"].sum())
        if not rate_known(str(cache), lookups - misses, 0):
            continue
        if lookups >= limits.shift_lookups and misses >= limits.shift_misses:
            yield _dense(str(model), str(cache), rows, frames, _width(lookups, frames, limits))


def _long(frames: Frames) -> pl.DataFrame:
    """Return model, cache, replica, at (base windows since the first of the period) | y, n."""
    since = pl.col("w") - _floor(frames.start, frames.base)
    at = since.dt.total_microseconds() // (frames.base // _MICRO)
    labels = ["model", "cache", "replica"]
    place, places = numbered(frames.counts.with_columns(pl.col("replica").fill_null("(unnamed)")), labels)
    return (
        frames.counts.lazy()
        .with_columns(place.alias("place"))
        .filter(pl.col("lookups") > 0)
        .group_by("place", at=at)
        .agg(y=pl.col("misses").sum(), n=pl.col("lookups").sum())
        .sort("place", "at")
        .join(places.lazy().rename({"at": "place"}), on="place", maintain_order="left")
        .select(*labels, "at", "y", "n")
        .collect()
    )


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
    lead = (_floor(frames.start, frames.base) - first) // frames.base
    windows = (frames.end - first) // width + 1
    names = rows["replica"].unique().sort()
    replica = rows["replica"].replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64).to_numpy()
    window = (rows["at"].to_numpy() + lead) // (width // frames.base)
    y, n = (_summed(replica, window, rows[c].to_numpy(), (len(names), windows)) for c in ("y", "n"))
    return Series(model, cache, tuple(names.to_list()), first, width / timedelta(seconds=1), y, n)


def _summed(replica: Floats, window: Floats, count: Floats, shape: tuple[int, int]) -> Floats:
    at = replica * shape[1] + window
    return np.bincount(at, weights=count, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
