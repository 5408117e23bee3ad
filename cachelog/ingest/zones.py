"""The zone of times that have none, out of the times of the envelopes around their lines.

An envelope is written within seconds of its line, so the two differ by whole quarters of an hour, which is the zone,
and a little. Where they differ by anything else, as when old files were shipped at once, nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from cachelog.contract.limits import DEFAULT

_SAMPLED = 64  # lines of each input and replica in a unit
_WIDEST = 14 * 3600  # seconds: no zone is further from another's clock than that from UTC
_PLACE = ["source", "env_replica"]


def with_zone(placed: pl.DataFrame, clock: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Return events with `ts` in the zone that is told and `off`, the seconds it is from the zone assumed.

    Expects source, ts, naive, yearless, env_time, env_replica; `clock` reads env_time of rows (clock.CLOCK). Where the
    zone is told, also where it is the one assumed, `naive` is false; elsewhere `off` is null.
    """
    mine = placed["naive"] & ~placed["yearless"] & placed["ts"].is_not_null() & placed["env_time"].is_not_null()
    told = _told(placed.filter(mine), clock) if mine.any() else None
    if told is None or told.is_empty():
        return placed.with_columns(off=pl.lit(None, pl.Int32))
    found = placed.join(told, on=_PLACE, how="left", nulls_equal=True, maintain_order="left")
    off = pl.when(mine).then(pl.col("off"))
    return found.with_columns(
        off, ts=pl.col("ts") - pl.duration(seconds=off.fill_null(0)), naive=pl.col("naive") & off.is_null()
    )


def _told(naive: pl.DataFrame, clock: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Return source, env_replica and off, of those where nearly all sampled lines agree."""
    every = pl.len().over(_PLACE) // _SAMPLED + 1
    sample = naive.filter(pl.int_range(pl.len()).over(_PLACE) % every == 0)
    outer = clock(sample)
    apart = (sample["ts"] - outer["ts"]).dt.total_microseconds() / 1e6
    off = (apart / DEFAULT.zone_step_s).round() * DEFAULT.zone_step_s
    late = off - apart
    agrees = (late >= -DEFAULT.zone_early_s) & (late <= DEFAULT.zone_late_s) & (off.abs() <= _WIDEST) & ~outer["naive"]
    judged = sample.select(*_PLACE, off=off.cast(pl.Int32), agrees=agrees.fill_null(False))
    likely = judged.filter("agrees").group_by(_PLACE).agg(off=pl.col("off").mode().min())
    share = (pl.col("agrees") & (pl.col("off") == pl.col("off_right"))).mean()
    agreed = judged.join(likely, on=_PLACE, nulls_equal=True).group_by([*_PLACE, pl.col("off_right").alias("told")])
    return agreed.agg(share=share).filter(pl.col("share") >= DEFAULT.zone_share).select(*_PLACE, off="told")
