"""When caches were emptied: at lines that may mean it, and at times when nothing that was asked for again survived.

A hit proves that its entry was there all the time since the lookup before it. At a time that many such stretches
cover the cache was not emptied, whatever a line says; at one that none covers, while entries known before are missed
after, it was (METHODS §5, item 3; the test is this file's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.reuse import EVICT, EXPIRE, MISS, History, Ints, Mask

if TYPE_CHECKING:
    from cachelog.metrics.batch import Batch

#: Lines after which a cache may be empty.
OPS = ("restart", "flush", "load", "unload")
NEVER = int(np.iinfo(np.int64).min)
_REL = 44  # bits of microseconds since the start: half a year
_CONTROLS = 20  # times in each cache to which lines are compared
_ENOUGH = 5.0  # entries that should have been left: none of them is no chance (e^-5)
_GRID = 2000  # times at which a flush that left no line is looked for


@dataclass(frozen=True, slots=True)
class Span:
    """The period, in microseconds of the epoch."""

    start: int
    end: int


def last_before(times: Ints, ts: Ints) -> Ints:
    """Return the last of some sorted times that is no later; the beginning of time where there is none."""
    padded = np.concatenate([[NEVER], times])
    return np.asarray(padded[np.searchsorted(times, ts, side="right")])


def emptied(batch: Batch, at: Ints, frames: Frames, limits: Limits) -> Ints:
    """Return for each miss when, since its entry's last lookup, a line says that the cache was emptied, and it was.

    Microseconds of the epoch, NEVER for not.
    """
    told = batch.told
    found = np.full(len(at), NEVER)
    events = _events(batch, frames)
    if not len(events[0]):
        return found
    real = events[0][_proven(batch, events, limits)]
    if not len(real):
        return found
    real.sort()
    row = told.order[at]
    begin = (_scope(batch, batch.place[row], batch.scope[row]) << _REL) - batch.span.start
    last = last_before(real, begin + told.ts[at])
    since = (told.before[at] >= 0) & (last > begin + told.ts[np.maximum(told.before[at], 0)])
    return np.where(since, last - begin, NEVER)


def _scope(batch: Batch, place: Ints, scope: Ints) -> Ints:
    return place * (int(batch.rows.replica.max(initial=0)) + 1) + scope


def _scopes(batch: Batch) -> Ints:
    """Return the caches that there are, each a place and whose it is in one number."""
    return np.flatnonzero(np.bincount(_scope(batch, batch.place, batch.scope)))


def _events(batch: Batch, frames: Frames) -> tuple[Ints, Ints]:
    """Return (scope and time in one number, place and kind in one number) of lines after which a cache may be empty."""
    pairs = _scopes(batch)
    width = int(batch.rows.replica.max(initial=0)) + 1
    names = frames.totals["replica"].drop_nulls().unique().sort()
    numbers = pl.DataFrame({"replica": names, "number": names.cast(pl.Categorical()).to_physical().cast(pl.Int64) + 1})
    owners = batch.words.places.with_columns(place=pl.int_range(pl.len()))
    scopes = pl.DataFrame({"place": pairs // width, "scope": pairs % width, "code": pairs})
    scopes = scopes.join(owners, on="place")
    lines = frames.changes.filter(pl.col("op").is_in(OPS) & pl.col("ts").is_not_null())
    lines = lines.with_columns(kind=pl.col("op").cast(pl.String).replace_strict({o: i for i, o in enumerate(OPS)}))
    lines = lines.select("model", "cache", "replica", "kind", at=pl.col("ts").to_physical() - batch.span.start)
    lines = lines.join(numbers, on="replica", how="left").rename({"model": "of", "cache": "where"})
    fits = pl.col("number").is_null() | (pl.col("scope") == 0) | (pl.col("scope") == pl.col("number"))
    fits &= pl.col("of").is_null() | (pl.col("of") == pl.col("model"))
    flush = pl.col("kind") == OPS.index("flush")
    fits &= (
        ~flush
        | pl.col("where").is_null()
        | pl.col("where").is_in(["default", "model"])
        | (pl.col("where") == pl.col("cache"))
    )
    fits &= (pl.col("cache") != "model") | (pl.col("kind") != OPS.index("load"))
    parts = [
        lines.filter(pl.col("of").is_not_null()).join(scopes, left_on="of", right_on="model", coalesce=False),
        lines.filter(pl.col("of").is_null()).join(scopes, how="cross"),
    ]
    found = pl.concat([part.filter(fits).select("code", "at", "place", "kind") for part in parts]).unique()
    found = found.sort("code", "at", "kind")
    code, at, place, kind = (found[name].cast(pl.Int64).to_numpy() for name in ("code", "at", "place", "kind"))
    return (code << _REL) + at, place * len(OPS) + kind


def _proven(batch: Batch, events: tuple[Ints, Ints], limits: Limits) -> Mask:
    """Mark the events of a kind and place after which much less was left than at other times.

    Of what is asked for again. Where that is too little to tell, restarts and flushes are taken at their word.
    """
    told = batch.told
    again = np.flatnonzero((told.before >= 0) & (told.kind != EVICT) & (told.kind != EXPIRE))
    step = max(1, len(again) // limits.causes_sample)
    again = again[told.start[again] % step == 0] if step > 1 else again
    row = told.order[again]
    scope = _scope(batch, batch.place[row], batch.scope[row]) << _REL
    since, until = (scope + t - batch.span.start for t in (told.ts[told.before[again]], told.ts[again]))
    hit = told.kind[again] < MISS
    covers = [(np.sort(since[w]), np.sort(until[w])) for w in (hit, ~hit)]
    codes = _scopes(batch)
    times = np.linspace(0, batch.span.end - batch.span.start, _CONTROLS + 2)[1:-1].astype(np.int64)
    usual = _left(
        covers,
        ((codes[:, None] << _REL) + times).ravel(),
        np.repeat(codes // (int(batch.rows.replica.max()) + 1), _CONTROLS),
    )
    found = _left(covers, *events)
    share = (usual[0] / np.maximum(usual.sum(0), 1))[np.arange(found.shape[1]) // len(OPS)]
    expected = share * found.sum(0)
    word = np.isin(np.arange(found.shape[1]) % len(OPS), [OPS.index("restart"), OPS.index("flush")])
    few = expected < _ENOUGH
    real = (found[1] > 0) & (found[0] <= limits.flush_alive * expected) & (~few | word)
    return np.asarray(real)[events[1]]


def _left(covers: list[tuple[Ints, Ints]], times: Ints, group: Ints) -> npt.NDArray[np.float64]:
    """Return, per group of times, how many stretches that end with a hit, and with a miss, cover them."""
    alive, dead = (np.searchsorted(a, times) - np.searchsorted(b, times) for a, b in covers)
    return np.array([np.bincount(group, weights=n) for n in (alive, dead)])


def silently_emptied(told: History, asked: Ints, span: Span, limits: Limits) -> Ints:
    """Return the times at which everything went without a line, of one place; `asked` are lookups of known entries."""
    grid = np.linspace(span.start, span.end, _GRID + 1)[1:-1]
    hit = told.kind[asked] < MISS
    since, until = told.ts[told.before[asked]], told.ts[asked]
    alive, dead = (
        np.searchsorted(np.sort(since[w]), grid) - np.searchsorted(np.sort(until[w]), grid) for w in (hit, ~hit)
    )
    usual = np.median(alive[alive + dead > 0]) if (alive + dead > 0).any() else 0
    gone = (dead >= limits.flush_entries) & (alive <= limits.flush_alive * np.minimum(dead, usual))
    gone &= (dead >= usual / 2) & (usual >= limits.flush_entries)
    runs = np.flatnonzero(gone)
    if not len(runs):
        return runs
    starts = runs[np.concatenate([[True], np.diff(runs) > 1])]
    return np.asarray(grid[starts].astype(np.int64))
