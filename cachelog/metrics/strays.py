"""Times far from all others: a line of 1970 or 9999 is a clock that was not set, and must not stretch the period.

Ends of the period are where all but one event in a thousand are; what lies more than ten times its length, and more
than a day, beyond them is a stray. A period of up to a day has none, nor one of few events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract import platform
from cachelog.contract.events import Events
from cachelog.contract.limits import Limits

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Strays:
    """`many` events are before `low` or after `high`, from `first` to `last`, each to the hour."""

    low: datetime
    high: datetime
    many: int
    first: datetime
    last: datetime


def strays(events: Events, rare: pl.DataFrame, limits: Limits) -> Strays | None:
    """Return which events are strays, None where none is; what the platform says is older by its nature."""
    frames = [*(part.rows.lazy() for part in events.parts), rare.filter(~platform.told()).lazy()]
    ends = [f.select(low=pl.col("ts").min(), high=pl.col("ts").max()).collect() for f in frames]
    low, high = (pl.concat(ends)[name] for name in ("low", "high"))
    first, last = low.min(), high.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime) or last - first <= _least(limits):
        return None
    hours = pl.concat([f.drop_nulls("ts").group_by(pl.col("ts").dt.truncate("1h")).len() for f in frames]).collect()
    return _beyond(hours.group_by("ts").agg(pl.col("len").cast(pl.Int64).sum()).sort("ts"), limits)


def _beyond(hours: pl.DataFrame, limits: Limits) -> Strays | None:
    """Find strays by the number of events an hour (ts, len)."""
    total = int(hours["len"].sum())
    if total < limits.stray_events:
        return None
    upto = hours["len"].cum_sum()
    edge = total * limits.stray_share
    low = hours["ts"][int((upto > edge).arg_max() or 0)]
    high = hours["ts"][int((upto >= total - edge).arg_max() or 0)] + _HOUR
    reach = max(_least(limits), limits.stray_times * (high - low))
    early, late = _moved(low, -reach), _moved(high, reach)
    out = hours.filter((pl.col("ts") < early) | (pl.col("ts") > late))
    if out.is_empty():
        return None
    return Strays(early, late, int(out["len"].sum()), out["ts"][0], out["ts"][-1])


def _least(limits: Limits) -> timedelta:
    return timedelta(seconds=limits.stray_least_s)


def _moved(time: datetime, by: timedelta) -> datetime:
    """Return a time moved, as far as times go."""
    try:
        return time + by
    except OverflowError:
        return (datetime.max if by > timedelta(0) else datetime.min).replace(tzinfo=time.tzinfo)


def without(events: Events, rare: pl.DataFrame, found: Strays | None) -> tuple[Events, pl.DataFrame]:
    """Return the events that are no strays."""
    if found is None:
        return events, rare
    near = pl.col("ts").is_between(found.low, found.high).fill_null(True)
    kept = tuple(p.where(pl.repeat(True, p.words.height, eager=True), near) for p in events.parts)
    return Events(kept), rare.filter(near | platform.told())
