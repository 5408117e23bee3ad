"""Hours of a log of many days in which a model missed far more than around them: where a closer look may pay.

Over days windows are wide, and what lasts an hour drowns in them. Stretches of half an hour to four hours are held
against the half day around them, on the arcsine scale (Anscombe 1948), and against how stretches of that length vary in
the same model: its wander from hour to hour is no incident. What comes back at the same time of day is its rhythm.
The answer is where to look, not what is so: that the rules say, on the narrow windows of a short period.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cachelog.contract.events import Events
from cachelog.contract.limits import Limits
from cachelog.metrics.changepoints import design, null_rate
from cachelog.metrics.proportions import Floats
from cachelog.metrics.windows import rate_known

_CELL_S = 900.0
_LENGTHS = (2, 4, 8, 16)  # cells: half an hour to four hours
_AROUND = 48  # cells on either side: half a day
_MAD = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
_DAY_S = 86_400.0

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in which one model, in one cache, missed more than around it."""

    model: str
    cache: str
    start: datetime
    end: datetime
    z: float  # in standard deviations of such stretches of the model


@dataclass(frozen=True)
class _Cells:
    """Counts of all models, (series, cells), in order of model and cache."""

    names: Sequence[tuple[str, str]]
    first: datetime
    misses: Floats
    lookups: Floats


def suspected(events: Events, start: datetime, end: datetime, limits: Limits) -> list[Stretch]:
    """Return the stretches that stand out, the clearest first, at most limits.passing_looks of them."""
    cells = _cells(events, start, end, limits)
    if not cells.names:
        return []
    expected = cells.lookups * null_rate(cells.misses, cells.lookups, design(cells.lookups.shape[1], _CELL_S, limits))
    found = [s for k in range(len(cells.names)) for s in _of_series(cells, expected[k], k, limits)]
    return sorted(found, key=lambda s: (-s.z, s.start, s.model, s.cache))[: limits.passing_looks]


def _cells(events: Events, start: datetime, end: datetime, limits: Limits) -> _Cells:
    """Count the models that have lookups enough, and of which the rate is known."""
    table = _counted(events)
    sums = table.group_by("model", "cache").agg(pl.col("misses", "lookups").sum()).sort("model", "cache")
    caches = dict(sums.group_by("cache").agg((pl.col("lookups") - pl.col("misses")).sum()).iter_rows())
    enough = (pl.col("lookups") >= limits.shift_lookups) & (pl.col("misses") >= limits.shift_misses)
    known = [cache for cache, hits in caches.items() if rate_known(cache, int(hits), 0)]
    names = sums.filter(enough & pl.col("cache").is_in(known)).select("model", "cache").with_row_index("at")
    first = start.replace(minute=0, second=0, microsecond=0)
    many = int((end - first).total_seconds() // _CELL_S) + 1
    if names.height * many > limits.passing_cells:  # a period of centuries, by one wrong clock
        names, many = names.clear(), 1
    rows = table.join(names, on=["model", "cache"])
    since = (rows["w"] - first).dt.total_seconds().to_numpy() // int(_CELL_S)
    cell = rows["at"].cast(pl.Int64).to_numpy() * many + since
    shape = names.height, many
    y, n = (_summed(cell, rows[name].to_numpy(), shape) for name in ("misses", "lookups"))
    return _Cells([(m, c) for _, m, c in names.iter_rows()], first, y, n)


def _summed(cell: Places, count: Places, shape: tuple[int, int]) -> Floats:
    return np.bincount(cell, weights=count, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)


def _counted(events: Events) -> pl.DataFrame:
    """Return model, cache, w (start of the cell), misses, lookups."""
    n = pl.col("n").cast(pl.Int64)
    asked = events.all().filter(
        (pl.col("op") == "lookup") & pl.col("ts").is_not_null() & pl.col("outcome").is_in(["hit", "miss", "stale"])
    )
    cells = asked.group_by("model", "cache", w=pl.col("ts").dt.truncate(f"{_CELL_S:.0f}s")).agg(
        misses=pl.when(pl.col("outcome") == "miss").then(n).otherwise(0).sum(), lookups=n.sum()
    )
    return cells.with_columns(pl.col("model", "cache").cast(pl.String)).collect()


def _of_series(cells: _Cells, expected: Floats, k: int, limits: Limits) -> Iterator[Stretch]:
    """Yield what stands out in one series, unless it comes back at the same time of day."""
    model, cache = cells.names[k]
    apart = _apart(_standing_out(cells.misses[k], cells.lookups[k], expected, limits))
    for at, length, z in apart:
        if sum(_same_time(at, other) for other, *_ in apart) <= limits.passing_habit:
            begin = cells.first + timedelta(seconds=at * _CELL_S)
            yield Stretch(model, cache, begin, begin + timedelta(seconds=length * _CELL_S), z)


def _standing_out(y: Floats, n: Floats, expected: Floats, limits: Limits) -> list[tuple[int, int, float]]:
    """Return (first cell, cells, z) of the stretches that stand out, the clearest first."""
    found: list[tuple[int, int, float]] = []
    for length in _LENGTHS:
        if len(y) <= 4 * length:
            break
        z, extra = _deviations(y, n, expected, length)
        far = np.flatnonzero((z >= limits.passing_z) & (extra >= limits.shift_misses))
        found += [(int(at), length, float(z[at])) for at in far]
    return sorted(found, key=lambda one: (-one[2], one[0], one[1]))


def _deviations(y: Floats, n: Floats, expected: Floats, length: int) -> tuple[Floats, Floats]:
    """Return, by first cell of a stretch, its deviation in those of its like, and the misses beyond those expected."""
    misses, lookups, usual = (_moving(a, length) for a in (y, n, expected))
    around = [_around(a, length) for a in (y, expected)]
    usual = np.minimum(usual * (around[0] + 0.5) / (around[1] + 0.5), lookups)
    level = np.arcsin(np.sqrt((usual + 0.375) / (lookups + 0.75)))
    z = 2 * np.sqrt(lookups + 0.5) * (np.arcsin(np.sqrt((misses + 0.375) / (lookups + 0.75))) - level)
    asked = z[lookups > 0]
    spread = max(1.0, _MAD * float(np.median(np.abs(asked - np.median(asked))))) if len(asked) else 1.0
    return z / spread, misses - usual


def _moving(values: Floats, length: int) -> Floats:
    upto = np.pad(np.cumsum(values), (1, 0))
    sums: Floats = upto[length:] - upto[:-length]
    return sums


def _around(values: Floats, length: int) -> Floats:
    """Return the sum of half a day before and after each stretch; as much as it lasts beside it is no part of that."""
    upto = np.pad(np.cumsum(values), (1, 0))
    at, most = np.arange(len(values) - length + 1), len(values)

    def between(start: Places, end: Places) -> Floats:
        sums: Floats = upto[np.clip(end, 0, most)] - upto[np.clip(start, 0, most)]
        return sums

    return between(at - length - _AROUND, at - length) + between(at + 2 * length, at + 2 * length + _AROUND)


def _apart(found: Sequence[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Keep the clearest of those that are one: less than half a day apart."""
    kept: list[tuple[int, int, float]] = []
    for one in found:
        if all(abs(one[0] - other[0]) > _AROUND // 2 for other in kept):
            kept.append(one)
    return kept


def _same_time(one: int, other: int) -> bool:
    """Is it the same time of day, up to an hour and a half?"""
    day = round(_DAY_S / _CELL_S)
    apart = abs(one - other) % day
    return min(apart, day - apart) <= 6
