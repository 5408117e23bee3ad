"""Misses beyond what would have been: affected replicas against themselves before and against the others meanwhile.

Difference in differences on counts; its variance is binomial, so its interval is honest for independent lookups and
somewhat narrow for bursts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.counted import Counted, rated
from cachelog.contract.counted import Spell as Stretch
from cachelog.contract.rule import Frames

Spell = tuple[datetime, datetime]

_BEFORE = timedelta(minutes=30)  # at most: what was before is compared from near by


@dataclass(frozen=True, slots=True)
class Excess:
    """Lookups and extra misses on the affected replicas; `low` is the lower end of the 95 % interval."""

    lookups: int
    misses: float
    low: float
    rate_before: float
    rate_after: float
    rate_others: float | None  # of the replicas not affected, meanwhile
    shared: bool  # the others rose by at least half as much: what they share, a cache perhaps, carries it over


@dataclass(frozen=True, slots=True)
class _Tally:
    lookups: int = 0
    misses: int = 0

    @property
    def rate(self) -> float:
        return self.misses / self.lookups if self.lookups else 0.0

    @property
    def variance(self) -> float:
        """Of the rate; the half added keeps it from being 0 where no miss was seen."""
        rate = (self.misses + 0.5) / (self.lookups + 1)
        return rate * (1 - rate) / self.lookups if self.lookups else 0.0


def excess(frames: Frames, model: str, spells: Mapping[str, Spell], since: Mapping[str, datetime]) -> Excess | None:
    """Return the excess of `model` on the replicas of `spells` within their spells; None without lookups to compare.

    `since` says per replica from when the time before its spell counts.
    """
    mine = frames.counts.filter((pl.col("model") == model) & (pl.col("cache") != "model"))
    if mine.is_empty():
        return None
    first, last = min(s for s, _ in spells.values()), max(e for _, e in spells.values())
    after = [_tally(mine, r, start, end) for r, (start, end) in spells.items()]
    before = [_tally(mine, r, _since(since[r], start), start) for r, (start, _) in spells.items()]
    others = mine.filter(~pl.col("replica").is_in(list(spells)))
    control_before = _tally(others, None, max(min(since.values()), first - _BEFORE), first)
    control_after = _tally(others, None, first, last)
    return _difference(_sum(before), _sum(after), control_before, control_after)


def lines_compared(
    model: str, spells: Mapping[str, Spell], since: Mapping[str, datetime]
) -> dict[str, tuple[Counted, ...]]:
    """Return which lines the rates of an excess count, by the name of the figure."""
    after = tuple(Stretch(r, start, end) for r, (start, end) in spells.items())
    before = tuple(Stretch(r, _since(since[r], start), start) for r, (start, _) in spells.items())
    first, last = min(s for s, _ in spells.values()), max(e for _, e in spells.values())
    others = rated(model, (Stretch(None, first, last),), whole=True)
    return {
        "rate_before": rated(model, before, whole=True),
        "rate_after": rated(model, after, whole=True),
        "lookups_on_regressed": rated(model, after, whole=True)[1:],
        "rate_of_others_meanwhile": tuple(replace(c, without=tuple(sorted(spells))) for c in others),
    }


def _since(known: datetime, start: datetime) -> datetime:
    """Return from when the time before a spell counts."""
    return max(min(known, start), start - _BEFORE)


def _tally(counts: pl.DataFrame, replica: str | None, start: datetime, end: datetime) -> _Tally:
    """Whole windows within [start, end); a window that is cut by either belongs to neither side."""
    scope = pl.lit(True) if replica is None else pl.col("replica") == replica
    inside = counts.filter(scope & (pl.col("first") >= start) & (pl.col("last") < end))
    lookups, misses = inside.select(pl.col("lookups", "misses").sum()).row(0)
    return _Tally(lookups, misses)


def _sum(tallies: list[_Tally]) -> _Tally:
    return _Tally(sum(t.lookups for t in tallies), sum(t.misses for t in tallies))


def _difference(before: _Tally, after: _Tally, others_before: _Tally, others_after: _Tally) -> Excess | None:
    if not after.lookups or not before.lookups:
        return None
    controlled = bool(others_before.lookups and others_after.lookups)
    drift = others_after.rate - others_before.rate if controlled else 0.0
    expected = min(1.0, max(0.0, before.rate + drift))
    variance = before.variance + after.variance
    if controlled:
        variance += others_before.variance + others_after.variance
    extra = after.misses - after.lookups * expected
    low = extra - 1.96 * after.lookups * math.sqrt(variance)
    others = others_after.rate if controlled else None
    shared = controlled and drift > 0 and 2 * drift >= after.rate - before.rate
    return Excess(after.lookups, extra, low, before.rate, after.rate, others, shared)
