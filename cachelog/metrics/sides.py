"""Lookups before and after a deploy, without what every deploy costs: the counts that a check judges (METHODS §2).

A replica is after when it has taken the deploy up (a load, a restart, its first lookup), a short grace is over, and the
rate has settled (metrics/settling.py). Where lookups have keys, first lookups of a key since the deploy that missed are
known as well: caches of rare keys stay cold for hours. METHODS leaves first lookups out on both sides, but the time
before has no cold cache: its first lookups are those of rare keys, and without them it looks better than it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from cachelog.contract.event import TS
from cachelog.contract.events import Events
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.causes import explained
from cachelog.metrics.judge import Side
from cachelog.metrics.settling import Wave, cold_starts
from cachelog.metrics.windows import LADDER, rate_known

Place = tuple[str, str]  # model, cache
_KEYS = ("model", "cache", "replica", "w")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Counted lookups by window; `cold` are the misses of keys that were asked for the first time since the deploy.
COUNTED: pl.Schema = pl.Schema(
    dict.fromkeys(("model", "cache", "replica"), pl.String())
    | {"w": TS}
    | dict.fromkeys(("lookups", "misses", "cold"), pl.Int64())
)


@dataclass(frozen=True)
class Parted:
    """The two sides of a model in a cache; None where there is nothing to count."""

    before: Side | None
    after: Side | None
    warm: Side | None  # after without cold misses, as far as keys tell them


def deploys(frames: Frames, limits: Limits) -> dict[str, datetime]:
    """Return when each model got the version that came last in these logs; models that got none are not in."""
    named = pl.col("version").is_not_null()
    served = frames.totals.filter(named).select("model", "version", "first")
    loaded = frames.changes.filter(named & (pl.col("op") == "load")).select("model", "version", first="ts")
    first = pl.concat([served, loaded.drop_nulls()]).group_by("model", "version").agg(pl.col("first").min())
    began = first.group_by("model").agg(pl.col("first").min().alias("began"), pl.col("first").max().alias("last"))
    late = pl.col("last") > pl.col("began") + timedelta(seconds=limits.dwell_s)
    return dict(began.filter(late).sort("model").select("model", "last").iter_rows())


def taken_up(frames: Frames, at: datetime, model: str, limits: Limits) -> dict[str, datetime]:
    """Return when each replica took a deploy of a model up; those that did not are not in."""
    since = at - timedelta(seconds=limits.clock_slack_s)
    mine = frames.changes.filter(pl.col("op").is_in(["load", "restart"]) & (pl.col("ts") >= since))
    mine = mine.filter((pl.col("model") == model) | pl.col("model").is_null()).select("replica", at="ts")
    runs = frames.levels.filter((pl.col("model") == model) & (pl.col("start") >= since)).select("replica", at="start")
    fresh = frames.replicas.filter((pl.col("model") == model) & (pl.col("first") >= since))
    found = pl.concat([mine, runs, fresh.select("replica", at="first")]).drop_nulls()
    return dict(found.group_by("replica").agg(pl.col("at").min()).sort("replica").iter_rows())


def sides(
    events: Events, frames: Frames, at: Mapping[str, datetime], grace: timedelta | None, limits: Limits
) -> dict[Place, Parted]:
    """Return the sides of every model whose deploy is known; `grace` None lets the logs tell how long it takes."""
    table = counted(events, frames, at, grace is None, limits)
    least = grace if grace is not None else timedelta(seconds=limits.check_grace_s)
    found: dict[Place, Parted] = {}
    for (model, cache), rows in _by_place(table, frames):
        if model in at:
            after = _after(rows, frames, at[model], model, least, limits)
            before = _before(rows, frames, at[model], after, limits)
            width = _width((before, after), frames, limits)
            found[model, cache] = Parted(_side(before, width), _side(after, width), _side(_warm(after), width))
    return found


def whole(events: Events, frames: Frames, limits: Limits) -> dict[Place, Parted]:
    """Return all lookups of settled caches as the side after, for logs that hold one side only."""
    table = counted(events, frames, {}, True, limits)
    parts = {place: _side(rows, _width((rows,), frames, limits)) for place, rows in _by_place(table, frames)}
    return {place: Parted(None, one, one) for place, one in parts.items()}


def unsettled(frames: Frames) -> dict[Place, Parted]:
    """Return all lookups as the side after, where any of the misses may be one of a cold cache."""
    sums = frames.totals.group_by("model", "cache").agg(pl.col("lookups", "misses").sum()).sort("model", "cache")
    found = {}
    for model, cache, lookups, misses in sums.iter_rows():
        if rate_known(cache, lookups - misses, 0) and lookups:
            n = np.array([lookups], np.float64)
            found[model, cache] = Parted(None, Side(np.array([misses], np.float64), n), Side(np.zeros(1), n))
    return found


def counted(
    events: Events, frames: Frames, at: Mapping[str, datetime], settling: bool, limits: Limits
) -> pl.DataFrame:  # fmt: skip
    """Return COUNTED of the windows in which caches had settled."""
    rows = frames.counts.filter(pl.col("lookups") > 0).group_by(_KEYS).agg(pl.col("lookups", "misses").sum())
    firsts = _first_misses(events, frames, at, limits)
    told = rows.join(firsts, on=_KEYS, how="left", nulls_equal=True).with_columns(pl.col("cold").fill_null(0))
    masked = _unsettled(frames, at, settling, limits)
    return told.select(list(COUNTED)).join(masked, on=_KEYS, how="anti", nulls_equal=True).sort(_KEYS)


def _first_misses(events: Events, frames: Frames, at: Mapping[str, datetime], limits: Limits) -> pl.DataFrame:
    """Return by window (_KEYS, cold) the misses of keys that were asked for the first time since the deploy."""
    shared = explained(events, frames, limits).shared
    found = [pl.DataFrame(schema={**{name: COUNTED[name] for name in _KEYS}, "cold": pl.Int64()})]
    for model, since in sorted(at.items()):
        lookups = _lookups(events, model).filter(pl.col("ts") >= since)
        for cache in lookups.select(pl.col("cache").unique().sort()).collect()["cache"]:
            whose = () if (model, cache) in shared else ("replica",)
            found.append(_first_of(lookups.filter(pl.col("cache") == cache), whose, frames))
    return pl.concat(found)


def _lookups(events: Events, model: str) -> pl.LazyFrame:
    asked = (pl.col("op") == "lookup") & pl.col("outcome").is_in(["hit", "miss", "stale"]) & pl.col("ts").is_not_null()
    labels = pl.col("model", "cache", "replica").cast(pl.String)
    version, n, miss = pl.col("version").to_physical(), pl.col("n").cast(pl.Int64), pl.col("outcome") == "miss"
    return events.of(model).filter(asked).select(labels, version, "ts", "key", n, miss=miss)


def _first_of(lookups: pl.LazyFrame, whose: Sequence[str], frames: Frames) -> pl.DataFrame:
    """Count keys once for each version and replica, or version where all share a cache; of ties the miss is first."""
    of = ("model", "cache", "n", "miss", "ts", *(() if whose else ("replica",)))
    since = (pl.col("ts"), ~pl.col("miss"), pl.col("replica"))
    first = (
        lookups.filter(pl.col("key").is_not_null())
        .group_by("key", "version", *whose)
        .agg(pl.col(name).sort_by(*since, nulls_last=True).first() for name in of)
    )
    missed = first.filter("miss").with_columns(w=pl.col("ts").dt.truncate(frames.base))
    return missed.group_by(_KEYS).agg(cold=pl.col("n").sum()).select(*_KEYS, "cold").collect()


def _unsettled(
    frames: Frames, at: Mapping[str, datetime], settling: bool, limits: Limits
) -> pl.DataFrame:  # fmt: skip
    """Return the windows (_KEYS) in which caches were cold."""
    found = [pl.DataFrame(schema={name: COUNTED[name] for name in _KEYS})]
    base = int(frames.base.total_seconds())
    for one, waves in cold_starts(frames, limits)[1]:
        mask = np.zeros(one.lookups.shape, np.bool_)
        for wave in waves:
            if _counts(wave, at.get(one.model), settling, limits):
                mask |= wave.mask
        rows, columns = np.nonzero(mask)
        fine = int(one.seconds) // base  # base windows in one of the series
        row = np.repeat(rows, fine)
        start = (np.repeat(columns, fine) * fine + np.tile(np.arange(fine), len(rows))) * base
        names = pl.Series("replica", [None if r == "(unnamed)" else r for r in one.replicas], pl.String)
        w = pl.Series("w", start) * 1_000_000 + (one.first - _EPOCH) // timedelta(microseconds=1)
        found.append(
            pl.DataFrame({"replica": names.gather(row), "w": w.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")})
            .with_columns(model=pl.lit(one.model), cache=pl.lit(one.cache))
            .select(_KEYS)
        )
    return pl.concat(found)


def _counts(wave: Wave, at: datetime | None, settling: bool, limits: Limits) -> bool:
    """Is it a cold start of before, or of the deploy itself? What gets cold later is no cold start of the deploy."""
    if at is None:
        return True
    begun = (wave.events[0].time - at).total_seconds()
    return begun < -limits.clock_slack_s or (settling and begun <= limits.settle_max_s)


def _by_place(table: pl.DataFrame, frames: Frames) -> Iterator[tuple[Place, pl.DataFrame]]:
    """Yield the rows of every model and cache of which rates are known, none where all of them were cold."""
    sums = frames.totals.group_by("cache").agg(pl.col("lookups", "misses").sum()).iter_rows()
    rated = {cache for cache, lookups, misses in sums if rate_known(cache, lookups - misses, 0)}
    parts = {(str(m), str(c)): rows for (m, c), rows in table.group_by("model", "cache", maintain_order=True)}
    asked = frames.totals.filter(pl.col("lookups") > 0).select("model", "cache").drop_nulls().unique().sort(pl.all())
    for model, cache in asked.iter_rows():
        if cache in rated:
            yield (model, cache), parts.get((model, cache), table.clear())


def _after(
    rows: pl.DataFrame, frames: Frames, at: datetime, model: str, grace: timedelta, limits: Limits
) -> pl.DataFrame:
    """Replicas that did not take the deploy up are on no side after it, unless none did as far as lines say."""
    took = taken_up(frames, at, model, limits)
    mine = [(name, time) for name, time in took.items() if name in set(rows["replica"])]
    if not mine:
        return rows.filter(pl.col("w") >= at + grace)
    schema = {"replica": pl.String(), "took": TS}
    begun = rows.join(pl.DataFrame(mine, schema=schema, orient="row"), on="replica", maintain_order="left")
    since = pl.max_horizontal("took", pl.lit(at).cast(TS)) + grace
    return begun.filter(pl.col("w") >= since).drop("took")


def _before(
    rows: pl.DataFrame, frames: Frames, at: datetime, after: pl.DataFrame, limits: Limits
) -> pl.DataFrame:  # fmt: skip
    """The time right before: as much as says something of the traffic after."""
    span = _span(after, frames)
    back = timedelta(seconds=max(limits.check_before_s, limits.check_before_times * span))
    return rows.filter((pl.col("w") + frames.base <= at) & (pl.col("w") >= at - back))


def _span(rows: pl.DataFrame, frames: Frames) -> float:
    low, high = rows["w"].min(), rows["w"].max()
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        return 0.0
    return (high - low + frames.base).total_seconds()


def _width(parts: Sequence[pl.DataFrame], frames: Frames, limits: Limits) -> timedelta:
    shortest = min(_span(rows, frames) for rows in parts)
    base = frames.base.total_seconds()
    fits = [s for s in LADDER if base <= s <= limits.check_slice_s and shortest / s >= limits.check_slices]
    return timedelta(seconds=max(fits, default=base))


def _warm(rows: pl.DataFrame) -> pl.DataFrame:
    kept = rows.with_columns(pl.col("lookups") - pl.col("cold"), pl.col("misses") - pl.col("cold"))
    return kept.filter(pl.col("lookups") > 0)


def _side(rows: pl.DataFrame, width: timedelta) -> Side | None:
    """Return COUNTED by slices of time, over all replicas; None without lookups."""
    if rows.is_empty():
        return None
    cut = rows.group_by(pl.col("w").dt.truncate(width)).agg(pl.col("misses", "lookups").sum()).sort("w")
    return Side(cut["misses"].to_numpy().astype(np.float64), cut["lookups"].to_numpy().astype(np.float64))
