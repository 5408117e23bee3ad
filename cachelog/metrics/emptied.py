"""When caches were emptied: at lines that may mean it, and at times when nothing that was asked for again survived.

A hit proves that its entry was there all the time since the lookup before it. At a time that many such stretches
cover the cache was not emptied, whatever a line says; at one that none covers, while entries known before are missed
after, it was (METHODS §5, item 3; the test is this file's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.reuse import EVICT, EXPIRE, MISS, History, Ints, Mask

if TYPE_CHECKING:
    from cachelog.metrics.causes import Batch

#: Lines after which a cache may be empty.
OPS = ("restart", "flush", "load", "unload")
_REL = 44  # bits of microseconds since the start: half a year
_GRID = 2000  # times at which a flush that left no line is looked for


@dataclass(frozen=True, slots=True)
class Span:
    """The period, in microseconds of the epoch."""

    start: int
    end: int


def last_before(times: Ints, ts: Ints) -> Ints:
    """Return the last of some sorted times that is no later; the beginning of time where there is none."""
    padded = np.concatenate([[np.iinfo(np.int64).min], times])
    return np.asarray(padded[np.searchsorted(times, ts, side="right")])


def emptied(batch: Batch, at: Ints, frames: Frames, limits: Limits) -> Mask:
    """Mark misses since whose entry's last lookup a line says that their cache was emptied, and it was."""
    told = batch.told
    found = np.zeros(len(at), np.bool_)
    events = _events(batch, frames)
    if not len(events[0]):
        return found
    real = events[0][_proven(batch, events, limits)]
    if not len(real):
        return found
    real.sort()
    row = told.order[at]
    scope = _scope(batch, batch.place[row], batch.scope[row])
    now = (scope << _REL) + told.ts[at] - batch.span.start
    last = last_before(real, now)
    before = (scope << _REL) + told.ts[np.maximum(told.before[at], 0)] - batch.span.start
    return np.asarray((told.before[at] >= 0) & (last > before))


def _scope(batch: Batch, place: Ints, scope: Ints) -> Ints:
    return place * (int(batch.rows.replica.max(initial=0)) + 1) + scope


def _events(batch: Batch, frames: Frames) -> tuple[Ints, Ints]:
    """Return (scope and time in one number, place and kind in one number) of lines after which a cache may be empty."""
    pairs = np.unique(_scope(batch, batch.place, batch.scope))
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
    """Mark the events of a kind and place after which nearly nothing was left, of what was asked for again."""
    told = batch.told
    again = np.flatnonzero((told.before >= 0) & (told.kind != EVICT) & (told.kind != EXPIRE))
    step = max(1, len(again) // (4 * limits.causes_sample))
    again = again[told.start[again] % step == 0] if step > 1 else again
    row = told.order[again]
    scope = _scope(batch, batch.place[row], batch.scope[row]) << _REL
    since, until = (scope + t - batch.span.start for t in (told.ts[told.before[again]], told.ts[again]))
    hit = told.kind[again] < MISS
    alive, dead = (
        np.searchsorted(np.sort(since[w]), events[0]) - np.searchsorted(np.sort(until[w]), events[0])
        for w in (hit, ~hit)
    )
    size = int(events[1].max()) + 1
    left, gone = (np.bincount(events[1], weights=n, minlength=size) for n in (alive, dead))
    return np.asarray((gone > 0) & (left <= limits.flush_alive * (left + gone)))[events[1]]


def silently_emptied(told: History, asked: Ints, span: Span, limits: Limits) -> Ints:
    """Return the times at which everything went without a line, of one place; `asked` are lookups of known entries."""
    grid = np.linspace(span.start, span.end, _GRID + 1)[1:-1]
    hit = told.kind[asked] < MISS
    since, until = told.ts[told.before[asked]], told.ts[asked]
    alive, dead = (
        np.searchsorted(np.sort(since[w]), grid) - np.searchsorted(np.sort(until[w]), grid) for w in (hit, ~hit)
    )
    usual = np.median(alive[alive + dead > 0]) if (alive + dead > 0).any() else 0
    gone = (dead >= limits.flush_entries) & (alive <= limits.flush_alive * dead) & (dead >= usual / 2)
    gone &= usual >= limits.flush_entries
    runs = np.flatnonzero(gone)
    if not len(runs):
        return runs
    starts = runs[np.concatenate([[True], np.diff(runs) > 1])]
    return np.asarray(grid[starts].astype(np.int64))
