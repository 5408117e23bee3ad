"""Severity by harm to users, the same for every rule (METHODS §7)."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from cachelog.contract.finding import Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames


def severity_of_harm(
    dp: float, odds: float, excess_low: float, affected_share: float, ongoing: bool, limits: Limits
) -> Severity:
    """Return how bad a rise of the miss rate is.

    `dp` is the difference of the rates and `odds` their odds ratio, both on the affected replicas; `excess_low` the
    lower end of the 95 % interval of the extra misses (with answers of a wrong version added, where there are any);
    `affected_share` the share of the model's lookups that went to the affected replicas.
    """
    enough = excess_low >= limits.medium_misses
    if dp >= limits.critical_rate and affected_share >= limits.critical_share and ongoing and enough:
        return Severity.CRITICAL
    if (dp >= limits.high_rate or odds >= limits.high_odds) and excess_low >= limits.high_misses:
        return Severity.HIGH
    if dp >= limits.medium_rate and enough:
        return Severity.MEDIUM
    return Severity.LOW


def added_seconds(
    frames: Frames, model: str, cache: str, start: datetime, end: datetime, misses: float
) -> float | None:
    """Return what so many extra misses cost in seconds of waiting; None where hits or misses have no latency.

    From the mean latencies of hits and misses of the model in that cache between the two times.
    """
    inside = (pl.col("w") >= start) & (pl.col("w") < end) & (pl.col("model") == model) & (pl.col("cache") == cache)
    columns = ("hit_seconds", "hit_timed", "miss_seconds", "miss_timed")
    hits, hit_n, missed, miss_n = frames.counts.filter(inside).select(pl.col(columns).sum()).row(0)
    if not hit_n or not miss_n:
        return None
    return misses * max(0.0, float(missed / miss_n - hits / hit_n))
