"""What an excess of misses is made of, read from the keys: is the cache worse, or are entries just old or cold?

A cache with a time to live misses in bursts when entries that were filled together expire together, and a restarted
cache misses each entry once. Neither lasts. What shows that a cache got worse: entries younger than the oldest that was
hit before miss more often than they did, and so do, after a cold start, entries asked for again since; or more keys
are asked for that were never seen. What it cannot show: entries filled before the log, whose age is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.event import TS
from cachelog.contract.limits import Limits

_ENTRY = ("replica", "version", "key")
COLD_TABLE: pl.Schema = pl.Schema({"replica": pl.String(), "cold": TS})
_SEEN = 0.8  # of the log before a rise: hits of entries that old would show that nothing ends them
_SHARED = ("version", "key")  # where all replicas have one cache


@dataclass(frozen=True, slots=True)
class Stretch:
    """A rise to be explained."""

    start: datetime
    end: datetime
    expected: float  # the rate had the old level held
    earlier: float  # the rate of all lookups before the start
    cold: pl.DataFrame  # [replica, cold]: when the replica went cold; empty where the rise begins with no cold event
    shared: bool = False  # all replicas have one cache


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of an excess, 0..1 each; the rest is misses of entries of unknown age."""

    sure: float  # a worse cache, or new keys
    explained: float  # entries that had come of age, or were asked for the first time since the cold start


def shares(lookups: pl.LazyFrame, total: int, log_start: datetime, stretch: Stretch, limits: Limits) -> Shares | None:
    """Return what the excess of a stretch is made of.

    `lookups` are EVENT rows of one model and cache, about `total` of them. None where too few have a key. In big logs
    a sample of keys is followed, with all lookups of each.
    """
    until = lookups.filter(pl.col("ts") < stretch.end)
    if until.select(pl.col("key").count()).collect().item() < limits.ages_keyed * total:
        return None
    rows = _followed(until, -(-total // limits.ages_rows), _SHARED if stretch.shared else _ENTRY)
    earlier = rows.filter(pl.col("ts") < stretch.start)
    after = rows.filter(pl.col("ts") >= stretch.start)
    length = min(stretch.end - stretch.start, stretch.start - log_start)
    before = earlier.filter(pl.col("ts") >= stretch.start - length)
    expected = stretch.expected * _mean(earlier, pl.col("miss")) / max(stretch.earlier, 1e-9)  # of these keys
    if stretch.cold.is_empty():
        return _by_age(earlier, before, after, expected, stretch.start - log_start)
    return _by_asking(before, after, stretch, length / 2, expected)


def _followed(lookups: pl.LazyFrame, modulus: int, entry: Sequence[str]) -> pl.DataFrame:
    """Return lookups with a key: ts, replica, version, key, miss, when the entry was asked for last, its age, and
    whether the key was asked for before of any replica or version."""
    keyed = pl.col("key").is_not_null() & (pl.col("key") % modulus == 0)
    filled = pl.when("miss").then("ts").forward_fill().shift(1).over(entry)
    since = pl.coalesce(filled, pl.col("ts").first().over(entry))  # an entry filled before the log is that old at least
    return (
        lookups.filter(keyed & pl.col("outcome").is_in(["hit", "miss", "stale"]))
        .select("ts", "replica", pl.col("version").to_physical(), "key", miss=pl.col("outcome") == "miss")
        .sort(*(pl.col("replica").to_physical() if name == "replica" else name for name in entry), "ts", "miss")
        .with_columns(
            asked=pl.col("ts").shift(1).over(entry),
            age=pl.col("ts") - filled,
            least=pl.col("ts") - since,
            known=pl.col("ts").min().over("key") < pl.col("ts"),
        )
        .collect()
    )


def _oldest(rows: pl.DataFrame, age: str) -> timedelta:
    """Return the greatest age of a hit."""
    oldest = rows.filter(~pl.col("miss"))[age].max()
    return oldest if isinstance(oldest, timedelta) else timedelta(0)


def _by_age(
    earlier: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame, expected: float, seen: timedelta
) -> Shares:
    """Hold misses of young entries, of old ones and of new keys against the same before.

    Old: as old as none that was hit before, in `seen` of log. How often young entries miss does not depend on
    how many there are. A key that is known, but not in this cache or of this version, is no new one: the entry is cold.
    """
    limit = _oldest(earlier, "age")
    young, old, first = pl.col("age") < limit, pl.col("age") >= limit, pl.col("asked").is_null()
    least = _oldest(earlier, "least")
    if least <= _SEEN * seen:  # there was time to be hit at a greater age, also for what was filled before the log
        old |= pl.col("age").is_null() & (pl.col("least") >= least)
    worse = _mean(after.filter(young), pl.col("miss")) - _mean(before.filter(young), pl.col("miss"))
    sure = max(0.0, worse) * after.filter(young).height
    kinds = (first & ~pl.col("known"), first & pl.col("known"), old & ~first)
    new, cold, aged = (kind.fill_null(False) & pl.col("miss") for kind in kinds)
    usual = before.filter(pl.col("miss"))
    idle = sum(
        max(0.0, _mean(after, what) - expected * _mean(usual, what)) * after.height for what in (cold, aged)
    )  # beside the level that it is held against, which may be that of a time before
    return _shares(sure + _rise(before, after, new), idle, after, expected)


def _by_asking(
    before: pl.DataFrame, after: pl.DataFrame, stretch: Stretch, length: timedelta, expected: float
) -> Shares:
    """Hold entries asked for again since the cold events against those asked for again before, after as short a time.

    In the last part of both times: what is cold passes, what is worse stays.
    """
    last = after["ts"].max()
    end = last if isinstance(last, datetime) else stretch.end
    soon = pl.col("ts") - pl.col("asked") <= length
    earlier = before.filter(pl.col("ts") >= stretch.start - length)
    dated = _since_cold(after.filter(pl.col("ts") >= end - length), stretch)
    again, warm = earlier.filter(soon), dated.filter(soon & (pl.col("asked") >= pl.col("cold")))
    worse = max(0.0, _mean(warm, pl.col("miss")) - _mean(again, pl.col("miss"))) * warm.height
    found = _shares(worse, 0.0, dated, expected)
    return Shares(found.sure, 1.0 - found.sure)


def _since_cold(rows: pl.DataFrame, stretch: Stretch) -> pl.DataFrame:
    """Add when the replica went cold last, or when the rise began."""
    marks = stretch.cold.select("replica", pl.col("cold").cast(TS)).sort("cold", "replica")
    named = rows.with_columns(pl.col("replica").cast(pl.String)).sort("ts", maintain_order=True)
    dated = named.join_asof(marks, left_on="ts", right_on="cold", by="replica", check_sortedness=False)
    return dated.with_columns(pl.max_horizontal("cold", pl.lit(stretch.start).cast(TS)))


def _rise(before: pl.DataFrame, after: pl.DataFrame, what: pl.Expr) -> float:
    """Return how many more of these there are than there were, for as many lookups."""
    return max(0.0, _mean(after, what) - _mean(before, what)) * after.height


def _shares(sure: float, explained: float, after: pl.DataFrame, expected: float) -> Shares:
    excess = float(after["miss"].sum()) - expected * after.height
    if excess <= 0:
        return Shares(0.0, 1.0)
    certain = min(1.0, sure / excess)
    return Shares(certain, min(1.0 - certain, explained / excess))


def _mean(rows: pl.DataFrame, what: pl.Expr) -> float:
    value = rows.select(what.cast(pl.Float64).mean()).item()
    return float(value) if value is not None else 0.0
