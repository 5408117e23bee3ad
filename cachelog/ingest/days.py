"""Days of times that have none (15:16:30.388, as logback, log4j2 and Serilog print by default), once all is read.

While lines are read such a time stands on the second day of 1970. The last of an input is put where it is nearest to
the file's own time; before it, midnight has passed wherever the time of day falls by hours from one line to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import polars as pl

from cachelog.contract.events import FOLLOWING, YEARLESS
from cachelog.contract.limits import DEFAULT
from cachelog.ingest.clock import NEW_DAY, from_mtime

_DAY = timedelta(days=1)
_MOST = 400  # midnights in one input: with more, times of day are in no order, and tell no day

#: From a line of an input on, so many days are added; null: nobody knows.
_STEPS: pl.Schema = pl.Schema({"source": pl.UInt32(), "line": pl.UInt64(), "days": pl.Int64()})

Change = Callable[[pl.LazyFrame], pl.LazyFrame]


def dateless() -> pl.Expr:
    """Return which events have a time of day alone, their own or that of the event before."""
    return ((pl.col("clock") & (YEARLESS | FOLLOWING) != 0) & (pl.col("ts") < NEW_DAY)).fill_null(False)


def placed(tables: Sequence[pl.LazyFrame], written: Sequence[float | None]) -> Change | None:
    """Return what puts times of day on their days, given when each input was last written; None for nothing to do."""
    known = pl.concat(pl.collect_all([t.filter(dateless()).select("source", "line", "ts") for t in tables]))
    if known.is_empty():
        return None
    parts = known.sort("source", "line", "ts").partition_by("source", maintain_order=True)
    steps = pl.DataFrame([s for part in parts for s in _steps(part, written)], _STEPS, orient="row")
    lost = steps.filter(pl.col("days").is_null())["source"].implode()
    added = [_from(*step) for step in steps.drop_nulls().iter_rows()]
    more = pl.sum_horizontal(pl.lit(0, pl.Int64), *added)
    own = pl.when(~pl.col("source").is_in(lost)).then(pl.col("ts") + pl.duration(days=more))

    def change(rows: pl.LazyFrame) -> pl.LazyFrame:
        mine = dateless()
        clock = pl.when(mine).then(pl.col("clock") & pl.lit(255 - YEARLESS, pl.UInt8)).otherwise("clock")
        return rows.with_columns(ts=pl.when(mine).then(own).otherwise("ts"), clock=clock)

    return change


def _steps(times: pl.DataFrame, written: Sequence[float | None]) -> Iterator[tuple[int, int, int | None]]:
    """Yield the _STEPS of an input: at its first line, and one more day at each midnight."""
    source, fall = int(times["source"][0]), timedelta(seconds=DEFAULT.midnight_fall_s)
    midnights = times.filter(pl.col("ts").diff() < -fall)["line"].unique(maintain_order=True).to_list()
    if len(midnights) > _MOST:
        yield source, 0, None
        return
    last = times["ts"][-1].replace(tzinfo=None)
    until = round((from_mtime(written[source]) - last) / _DAY)
    yield source, 0, until - len(midnights)
    yield from ((source, line, 1) for line in midnights)


def _from(source: int, line: int, days: int) -> pl.Expr:
    here = (pl.col("source") == source) & (pl.col("line") >= line)
    return pl.when(here).then(pl.lit(days, pl.Int64)).otherwise(pl.lit(0, pl.Int64))
