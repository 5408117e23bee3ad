"""What an excess of misses is made of, read from the keys: is the cache worse, or are entries just old or cold?

A cache with a time to live misses in bursts when entries that were filled together expire together, and a restarted
cache misses each entry once. Neither lasts. What shows that a cache got worse: misses of entries younger than the
oldest that were hit before, and of keys never seen; after a cold start, misses of entries asked for again since.
Each is held against the same kind before the onset.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.event import TS
from cachelog.contract.limits import Limits

_ENTRY = ("replica", "version", "key")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A rise to be explained."""

    start: datetime
    end: datetime
    expected: float  # the rate had the old level held
    earlier: float  # the rate of all lookups before the start
    cold: pl.DataFrame  # [replica, cold]: when the replica went cold; empty where the rise begins with no cold event


def certain_share(
    lookups: pl.LazyFrame, total: int, log_start: datetime, stretch: Stretch, limits: Limits
) -> float | None:
    """Return the share of the excess that neither cold entries nor old ones explain, 0..1.

    `lookups` are EVENT rows of one model and cache, about `total` of them. None where too few have a key. In big logs
    a sample of keys is followed, with all lookups of each.
    """
    until = lookups.filter(pl.col("ts") < stretch.end)
    if until.select(pl.col("key").count()).collect().item() < limits.ages_keyed * total:
        return None
    rows = _followed(until, -(-total // limits.ages_rows))
    length = min(stretch.end - stretch.start, stretch.start - log_start)
    earlier = rows.filter(pl.col("ts") < stretch.start)
    after = rows.filter(pl.col("ts") >= stretch.start)
    before = earlier.filter(pl.col("ts") >= stretch.start - length)
    expected = stretch.expected * _mean(earlier, pl.col("miss")) / max(stretch.earlier, 1e-9)  # of these keys
    if stretch.cold.is_empty():
        return _share(*_young(earlier, before, after), after, expected)
    after = after.filter(pl.col("ts") < stretch.start + length)
    return _share(*_asked_again(before, after, stretch, length), after, expected)


def _followed(lookups: pl.LazyFrame, modulus: int) -> pl.DataFrame:
    """Return lookups with a key: ts, replica, version, key, miss, when the entry was asked for last, its age."""
    keyed = pl.col("key").is_not_null() & (pl.col("key") % modulus == 0)
    filled = pl.when("miss").then("ts").forward_fill().shift(1).over(_ENTRY)
    return (
        lookups.filter(keyed & pl.col("outcome").is_in(["hit", "miss", "stale"]))
        .select("ts", "replica", pl.col("version").to_physical(), "key", miss=pl.col("outcome") == "miss")
        .sort(pl.col("replica").to_physical(), "version", "key", "ts", "miss")
        .with_columns(asked=pl.col("ts").shift(1).over(_ENTRY), age=pl.col("ts") - filled)
        .collect()
    )


def _young(earlier: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> tuple[float, float, int]:
    """Return the rates of misses of young or new entries before and after, and the lookups after.

    Old: as old as no entry that was hit before, or filled before the log, so of unknown age.
    """
    oldest = earlier.filter(~pl.col("miss"))["age"].max()
    limit = oldest if isinstance(oldest, timedelta) else timedelta(0)
    is_old = pl.col("asked").is_not_null() & (pl.col("age") >= limit).fill_null(True)
    young = pl.col("miss") & ~is_old
    return _mean(before, young), _mean(after, young), after.height


def _asked_again(
    before: pl.DataFrame, after: pl.DataFrame, stretch: Stretch, length: timedelta
) -> tuple[float, float, int]:
    """Return the miss rates of entries asked for again, within as much time before and since the cold events."""
    again = before.filter(pl.col("asked") >= stretch.start - length)
    marks = stretch.cold.select("replica", pl.col("cold").cast(TS)).sort("cold", "replica")
    named = after.with_columns(pl.col("replica").cast(pl.String)).sort("ts", maintain_order=True)
    dated = named.join_asof(marks, left_on="ts", right_on="cold", by="replica", check_sortedness=False)
    since = pl.max_horizontal(pl.col("cold"), pl.lit(stretch.start).cast(TS))
    warm = dated.filter(pl.col("asked") >= since)
    return _mean(again, pl.col("miss")), _mean(warm, pl.col("miss")), warm.height


def _mean(rows: pl.DataFrame, what: pl.Expr) -> float:
    value = rows.select(what.cast(pl.Float64).mean()).item()
    return float(value) if value is not None else 0.0


def _share(rate_before: float, rate_after: float, lookups: int, after: pl.DataFrame, expected: float) -> float:
    excess = float(after["miss"].sum()) - expected * after.height
    sure = (rate_after - rate_before) * lookups
    return min(1.0, max(0.0, sure / excess)) if excess > 0 else 0.0
