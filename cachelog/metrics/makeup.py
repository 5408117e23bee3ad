"""What a rise of the miss rate is made of: its extra misses by cause (metrics/causes.py), for the rules that name one.

Extra misses of a cause are those beyond its share of the lookups before; they add up to the extra misses. A cause is
the reason of a rise when it has half of what became more; what became less meanwhile is no credit to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.counted import Counted, everywhere, rated
from cachelog.contract.events import Events
from cachelog.contract.finding import MISS_CAUSES, Confidence, Finding, Impact, Number, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import percent
from cachelog.metrics.causes import Explained, explained
from cachelog.metrics.emptied import OPS
from cachelog.metrics.excursions import Excursion, changes
from cachelog.metrics.harm import added_seconds, severity_of_harm
from cachelog.metrics.lines import Scene
from cachelog.metrics.spans import Study


@dataclass(frozen=True)
class Makeup:
    """Misses by cause before and after an onset, on the replicas that changed."""

    lookups_before: int
    lookups_after: int
    before: Mapping[str, int]
    after: Mapping[str, int]
    fresh: tuple[int, int]  # misses of keys that nobody had asked for, before and after

    def extra(self, cause: str) -> float:
        """Return the misses of a cause beyond its share of the lookups before, negative for fewer."""
        return self.after[cause] - self.before[cause] * self.lookups_after / max(self.lookups_before, 1)

    def risen(self, cause: str) -> float:
        """Return what became more of a cause, 0 for what became less.

        First lookups of a key are cold while the log is young and of new keys from then on: of both together, new keys
        are what became more of keys that nobody had asked for. Each of them may push out an entry of a full cache.
        """
        pushed = min(self._new(), max(0.0, self.extra("capacity")))
        if cause == "new-keys":
            return self._new() + pushed
        if cause == "capacity":
            return max(0.0, self.extra(cause)) - pushed
        if cause == "cold":
            return max(0.0, self.extra(cause) + self.extra("new-keys") - self._new())
        return max(0.0, self.extra(cause))

    def _new(self) -> float:
        return max(0.0, self.fresh[1] - self.fresh[0] * self.lookups_after / max(self.lookups_before, 1))

    def share(self, cause: str) -> float:
        """Return its part of all that became more, 0..1."""
        more = sum(self.risen(c) for c in MISS_CAUSES)
        return self.risen(cause) / more if more else 0.0

    def extra_low(self, cause: str) -> float:
        """Return the lower end of the 95 % interval of the extra misses, by the binomial variance of both counts."""
        scale = self.lookups_after / max(self.lookups_before, 1)
        return self.extra(cause) - 1.96 * math.sqrt(self.after[cause] + scale**2 * (self.before[cause] + 1))

    def rates(self, cause: str) -> tuple[float, float]:
        """Return its share of the lookups before and after."""
        return (
            self.before[cause] / max(self.lookups_before, 1),
            self.after[cause] / max(self.lookups_after, 1),
        )


@dataclass(frozen=True)
class Rise:
    """A lasting rise of the miss rate of a model, and what it is made of."""

    studied: Study
    excursion: Excursion
    makeup: Makeup
    start: datetime
    end: datetime

    @property
    def model(self) -> str:
        """Return the model."""
        return self.studied.series.model

    @property
    def cache(self) -> str:
        """Return the cache."""
        return self.studied.series.cache

    @property
    def replicas(self) -> tuple[str, ...]:
        """Return the replicas that changed."""
        return tuple(self.studied.series.replicas[row] for row in self.excursion.rows)

    def unsettled(self, limits: Limits) -> bool:
        """Was it over soon, did it begin shortly before the end, or with cold caches from which it comes down?"""
        lasted = (self.end - self.start).total_seconds()
        brief = not self.excursion.ongoing and lasted < limits.shift_transient_s
        pending = self.excursion.ongoing and lasted < limits.shift_pending_s
        return brief or pending or self.excursion.waning


def rises(events: Events, frames: Frames, limits: Limits) -> Iterator[Rise]:
    """Yield all lasting rises with what they are made of."""
    found = explained(events, frames, limits)
    for studied, excursions in changes(frames, limits):
        for one in excursions:
            if one.rising:
                start, end = studied.series.time(one.at), studied.series.time(one.end)
                made = makeup(found, frames, studied, one)
                yield Rise(studied, one, made, max(start, frames.start), min(end, frames.end))


def of_cause(
    events: Events, frames: Frames, cause: str, limits: Limits
) -> tuple[list[Rise], list[Standing]]:  # fmt: skip
    """Return the rises that are mostly of a cause, and the other models of which most misses always were of it."""
    risen = [r for r in rises(events, frames, limits) if r.makeup.share(cause) >= limits.cause_share]
    told = {(r.model, r.cache) for r in risen}
    always = [s for s in standing(events, frames, cause, limits) if (s.model, s.cache) not in told]
    return risen, always


def makeup(found: Explained, frames: Frames, studied: Study, one: Excursion) -> Makeup:
    """Return misses by cause in the stretch and in as much time before its onset, on the replicas that changed."""
    series = studied.series
    rows = one.rows or range(len(series.replicas))
    names = [series.replicas[row] for row in rows]
    mine = frames.totals.filter(
        (pl.col("model") == series.model) & (pl.col("cache") == series.cache)
        & pl.col("replica").fill_null("(unnamed)").is_in(names)
    )["set"]  # fmt: skip
    first, second = _stretches(studied, one)
    (n0, before), (n1, after) = (_sums(found, frames, mine, *stretch) for stretch in (first, second))
    new0, new1 = (int(_inside(found.fresh, mine, *stretch)["misses"].sum()) for stretch in (first, second))
    return Makeup(n0, n1, before, after, (new0, new1))


def _sums(
    found: Explained, frames: Frames, sets: pl.Series, start: datetime, end: datetime
) -> tuple[int, Mapping[str, int]]:
    lookups = _inside(frames.counts, sets, start, end)["lookups"].sum()
    sums = _inside(found.table, sets, start, end).group_by("cause").agg(pl.col("misses").sum())
    return int(lookups), dict.fromkeys(MISS_CAUSES, 0) | dict(sums.iter_rows())


def _inside(table: pl.DataFrame, sets: pl.Series, start: datetime, end: datetime) -> pl.DataFrame:
    return table.filter(pl.col("set").is_in(sets.to_list()) & (pl.col("w") >= start) & (pl.col("w") < end))


def finding_of(rule: str, rise: Rise, cause: str, frames: Frames, limits: Limits) -> Finding:
    """Return what all rules that name the cause of a rise say alike; title, summary and evidence are theirs."""
    told, made = rise.excursion, rise.makeup
    extra, low = made.extra(cause), made.extra_low(cause)
    lost = added_seconds(frames, rise.model, rise.cache, rise.start, rise.end, max(0.0, extra))
    return Finding(
        rule=rule,
        severity=_severity(rise, cause, limits),
        confidence=Confidence.MEDIUM if rise.unsettled(limits) else Confidence.HIGH,
        title="",
        summary="",
        model=rise.model,
        cache=rise.cache,
        replicas=rise.replicas,
        start=rise.start,
        end=rise.end,
        onset_low=max(rise.studied.series.time(told.low), frames.start),
        onset_high=min(rise.studied.series.time(told.high + 1), frames.end),
        ongoing=told.ongoing,
        impact=Impact(
            lookups=made.lookups_after,
            excess_misses=round(extra, 1),
            excess_misses_low=round(low, 1),
            added_seconds=None if lost is None else round(lost, 3),
        ),
        numbers=numbers_of(made, cause),
        counted=_counted(rise),
    )


def _counted(rise: Rise) -> dict[str, tuple[Counted, ...]]:
    """Return which lines are split by cause: misses before and after the onset, on the replicas that changed."""
    series, one = rise.studied.series, rise.excursion
    names = tuple(series.replicas[row] for row in one.rows or range(len(series.replicas)))
    before, after = (
        rated(rise.model, everywhere(*stretch, names), cache=rise.cache) for stretch in _stretches(rise.studied, one)
    )
    return {
        "impact.lookups": after[1:],
        "lookups_before": before[1:],
        "lookups_after": after[1:],
        "misses_before": before[:1],
        "misses_after": after[:1],
    }


def _stretches(studied: Study, one: Excursion) -> tuple[tuple[datetime, datetime], tuple[datetime, datetime]]:
    """Return the time of a change, after as much time before its onset."""
    start, end, low = (studied.series.time(window) for window in (one.at, one.end, one.low))
    return (low - (end - start), low), (start, end)


def _severity(rise: Rise, cause: str, limits: Limits) -> Severity:
    before, after = rise.makeup.rates(cause)
    share = rise.makeup.lookups_after / max(rise.excursion.whole.lookups, 1.0)
    worst = severity_of_harm(after - before, 1.0, rise.makeup.extra_low(cause), share, rise.excursion.ongoing, limits)
    return min(worst, Severity.LOW) if rise.unsettled(limits) else worst


def numbers_of(made: Makeup, cause: str) -> dict[str, Number]:
    """Return the figures of a cause in a rise, and the extra misses of every cause."""
    before, after = made.rates(cause)
    told: dict[str, Number] = {
        "share_of_extra_misses": round(made.share(cause), 4),
        "rate_before": round(before, 6),
        "rate_after": round(after, 6),
        "misses_before": made.before[cause],
        "misses_after": made.after[cause],
        "lookups_before": made.lookups_before,
        "lookups_after": made.lookups_after,
    }
    return told | {f"extra_{c.replace('-', '_')}": round(made.extra(c), 1) for c in MISS_CAUSES}


def said_of(made: Makeup, cause: str) -> str:
    """Return the sentence on how much of a rise has this cause."""
    before, after = made.rates(cause)
    return (
        f"They went from {percent(before)} to {percent(after)} of the lookups: {made.extra(cause):,.0f} extra misses,"
        f" {percent(made.share(cause))} of all that became more."
    )


def tells_evictions(events: Events, model: str, cache: str) -> bool:
    """Return whether lines tell of evictions of entries of a model in a cache."""
    mine = (pl.col("op") == "evict") & (pl.col("model") == model)
    mine &= pl.col("cache").cast(pl.String).is_in([cache, "default"]) | pl.col("cache").is_null()
    return any(not part.words.filter(mine.fill_null(False)).is_empty() for part in events.parts)


@dataclass(frozen=True)
class Flush:
    """Most of what became more is of entries that were gone at once."""

    share: float  # of all that became more
    line: tuple[int, int, datetime] | None  # source, line and time of what says so


def flush_of(
    events: Events, frames: Frames, studied: Study, one: Excursion, limits: Limits
) -> Flush | None:  # fmt: skip
    """Return the flush that a rise is made of; None where another line, of a restart or a load, may have brought it."""
    share = makeup(explained(events, frames, limits), frames, studied, one).share("flush")
    if share < limits.cause_share:
        return None
    slack = timedelta(seconds=limits.link_slack_s)
    low, high = studied.series.time(one.low) - slack, studied.series.time(one.high + 1) + slack
    near = frames.changes.filter(pl.col("ts").is_between(low, high) & pl.col("op").is_in(list(OPS)))
    near = near.filter(pl.col("model").is_null() | (pl.col("model") == studied.series.model))
    flushes = near.filter(pl.col("op") == "flush").select("source", "line", "ts")
    if flushes.is_empty() and not near.is_empty():
        return None
    return Flush(share, flushes.row(0) if len(flushes) else None)


@dataclass(frozen=True, slots=True)
class Standing:
    """A cause of misses that is there all the time."""

    model: str
    cache: str
    lookups: int
    misses: int
    mine: int  # misses of the cause

    @property
    def rate(self) -> float:
        """Return its share of the lookups."""
        return self.mine / self.lookups


def standing(events: Events, frames: Frames, cause: str, limits: Limits) -> list[Standing]:
    """Return the models of which most misses have this cause, and many lookups are such misses, over the whole log."""
    owner = frames.totals.select("set", "model", "cache")
    table = explained(events, frames, limits).table.filter(pl.col("cause") == cause).join(owner, on="set")
    mine = table.group_by("model", "cache").agg(mine=pl.col("misses").sum())
    whole = frames.totals.group_by("model", "cache").agg(pl.col("lookups", "misses", "hits", "stale").sum())
    rated = whole.filter((pl.col("hits") + pl.col("stale") > 0) & (pl.col("lookups") >= limits.shift_lookups))
    found = rated.join(mine, on=["model", "cache"]).filter(
        (pl.col("mine") >= limits.stands_known * pl.col("lookups"))
        & (pl.col("mine") >= limits.cause_share * pl.col("misses"))
        & (pl.col("mine") >= limits.medium_misses)
    )
    rows = found.sort("model", "cache").select("model", "cache", "lookups", "misses", "mine")
    return [Standing(*row) for row in rows.iter_rows()]


def finding_of_standing(rule: str, one: Standing, frames: Frames) -> Finding:
    """Return what all rules say alike of a cause that is there all the time: what always was is no incident."""
    return Finding(
        rule=rule,
        severity=Severity.INFO,
        confidence=Confidence.MEDIUM,
        title="",
        summary="",
        model=one.model,
        cache=one.cache,
        start=frames.start,
        end=frames.end,
        ongoing=True,
        impact=Impact(lookups=one.lookups),
        numbers={"misses": one.misses, "misses_of_this_cause": one.mine, "rate": round(one.rate, 6)},
    )


def scene_of(one: Rise | Standing, events: Events, frames: Frames, limits: Limits) -> Scene:
    """Return where lines that show it are to be looked for."""
    shared = (one.model, one.cache) in explained(events, frames, limits).shared
    if isinstance(one, Standing):
        return Scene(one.model, one.cache, (), frames.start, frames.end, shared)
    return Scene(one.model, one.cache, one.replicas, one.start, one.end, shared)
