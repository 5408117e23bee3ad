"""Zones and years of times that have none, once all inputs are read: what envelopes and other inputs tell.

An envelope is written within seconds of its line, so the two differ by whole quarters of an hour, which is the zone,
and a little. Where they differ by anything else, as when old files were shipped at once, nothing is concluded. While
units are read, lines only vote (by their number, so that it does not matter how inputs are cut); here the votes of each
input and replica are counted.

A time without a year has the latest year that its file's own time allows. A file that was copied is younger than its
lines: where the inputs with years leave one year only in which they meet, it is that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.event import LABEL
from cachelog.contract.events import FOLLOWING, NAIVE, YEARLESS, Events
from cachelog.contract.finding import ZONE, InputReport
from cachelog.contract.limits import DEFAULT
from cachelog.ingest import days

_FIRST, _EVERY = 64, 16  # lines that vote: the first ones, then one in so many
_WIDEST = 14 * 3600  # seconds: no zone is further from another's clock than that from UTC
_YEARS = 30  # a log is no older

_ZONELESS = "no zone in the lines, read as "
_YEARLESS = "no year in the lines, taken from "

#: Seconds by which the times of an input and replica are ahead.
_OFFS: pl.Schema = pl.Schema({"source": pl.UInt32(), "replica": LABEL, "off": pl.Int64()})


@dataclass(frozen=True)
class Settled:
    """Events (ROWS and EVENT) with the times that are known by now, and the inputs with what is still assumed."""

    bulk: Events
    rare: pl.DataFrame
    inputs: tuple[InputReport, ...]


def settle(bulk: Events, rare: pl.DataFrame, inputs: Sequence[InputReport], written: Sequence[float | None]) -> Settled:
    """Return READ parts and RARE events with zones, days and years that votes, files and other inputs tell.

    `written` is when each input was last written, in seconds since 1970.
    """
    change = days.placed(tuple(_tables(bulk, rare)), written)
    if change is not None:
        bulk, rare = _each(bulk, change), change(rare.lazy()).collect()
    zoned = _zoned(bulk, rare, tuple(inputs))
    dated = _dated(zoned)
    parts = tuple(replace(part, rows=part.rows.drop("clock")) for part in dated.bulk.parts)
    return Settled(Events(parts), dated.rare.drop("clock"), dated.inputs)


# -- zones ------------------------------------------------------------------------------------------------


def sampled(line: pl.Series) -> pl.Series:
    """Return which lines of their input vote."""
    return (line <= _FIRST) | (line % _EVERY == 0)


def votes(placed: pl.DataFrame) -> tuple[tuple[int, str, int], ...]:
    """Return how many lines vote for what: input, ZONE, the seconds, a blank and the replica, number of lines.

    Expects source, line, replica, ts, naive, yearless, env_ts (null where it says nothing) and env_zoned.
    """
    ours = pl.col("naive") & ~pl.col("yearless") & pl.col("ts").is_not_null()
    mine = placed.filter(ours & pl.col("env_ts").is_not_null() & pl.col("env_zoned") & sampled(placed["line"]))
    if mine.is_empty():
        return ()
    apart = (pl.col("ts") - pl.col("env_ts")).dt.total_microseconds() / 1e6
    off = (apart / DEFAULT.zone_step_s).round() * DEFAULT.zone_step_s
    late = off - apart
    sure = late.is_between(-DEFAULT.zone_early_s, DEFAULT.zone_late_s) & (off.abs() <= _WIDEST)
    said = pl.when(sure).then(off.cast(pl.Int64).cast(pl.String)).otherwise(pl.lit(""))
    named = pl.format("{}{} {}", pl.lit(ZONE), said, pl.col("replica").cast(pl.String).fill_null(""))
    counts = mine.group_by("source", vote=named).agg(n=pl.len()).sort("source", "vote")
    return tuple(counts.iter_rows())


def other_zone(cast: Sequence[tuple[int, str, int]]) -> bool:
    """Return whether some lines vote for another zone than was assumed."""
    return any(vote.removeprefix(ZONE).partition(" ")[0] not in ("", "0") for _, vote, _ in cast)


def _offs(inputs: Sequence[InputReport]) -> pl.DataFrame:
    """Return _OFFS: what nearly all lines of an input and replica vote for."""
    found = []
    for source, item in enumerate(inputs):
        cast: dict[str, dict[str, int]] = {}
        for sign, n in item.signs.items():
            if sign.startswith(ZONE):
                off, _, replica = sign.removeprefix(ZONE).partition(" ")
                cast.setdefault(replica, {})[off] = n
        for replica, counts in sorted(cast.items()):
            most, off = max((n, off) for off, n in counts.items())
            if off and most >= DEFAULT.zone_lines and most >= DEFAULT.zone_share * sum(counts.values()):
                found.append((source, replica or None, int(off)))
    return pl.DataFrame(found, schema=_OFFS, orient="row")


def _zoned(bulk: Events, rare: pl.DataFrame, inputs: tuple[InputReport, ...]) -> Settled:
    """Take off the zone of times that had none, where it is told."""
    offs = _offs(inputs)
    if offs.is_empty():
        return Settled(bulk, rare, inputs)
    place, here = ["source", "replica"], pl.col("source").is_in(offs["source"].unique().implode())
    of_day = pl.when(pl.col("clock") & YEARLESS == 0).then("off").alias("off")

    def placed(rows: pl.LazyFrame) -> pl.LazyFrame:
        known = rows.join(offs.lazy(), on=place, how="left", nulls_equal=True, maintain_order="left")
        return known.with_columns(of_day)

    naive = pl.col("clock") & NAIVE != 0
    counts = [placed(t.filter(naive & here)).group_by("source", "off").agg(n=pl.len()) for t in _tables(bulk, rare)]
    sums = pl.concat(pl.collect_all(counts)).group_by("source", "off").agg(pl.col("n").sum()).sort("source", "off")
    one = sums.group_by("source").agg(many=pl.len(), every=pl.col("off").first())
    alike = one.filter(pl.col("many") == 1).select("source", "every").drop_nulls()

    def moved(rows: pl.LazyFrame) -> pl.LazyFrame:
        full = placed(rows).join(alike.lazy(), on="source", how="left", maintain_order="left")
        off = pl.when(naive).then("off").when(pl.col("clock") == FOLLOWING).then("every").fill_null(0)
        return full.with_columns(ts=pl.col("ts") - pl.duration(seconds=off)).drop("off", "every")

    told = {source: rows for (source,), rows in sums.partition_by("source", as_dict=True, maintain_order=True).items()}
    clocks = {source: _clock(inputs[source].clock or "", rows) for source, rows in told.items()}
    return Settled(_each(bulk, moved), moved(rare.lazy()).collect(), _said(inputs, clocks))


def _clock(assumed: str, sums: pl.DataFrame) -> str | None:
    """Write anew what is assumed of an input, given how many of its times (n) are off by what (null: not told)."""
    parts = assumed.split("; ")
    zone = next((p.removeprefix(_ZONELESS).rsplit(" (", 1)[0] for p in parts if p.startswith(_ZONELESS)), "")
    found = [p for p in parts if p and not p.startswith(_ZONELESS)]
    for off, many in sums.select("off", "n").iter_rows():
        if off is None:
            found.append(f"{_ZONELESS}{zone} ({many} events)")
        elif off:
            found.append(f"{_ZONELESS}{zone}{_signed(off)}, as their envelopes tell ({many} events)")
    return "; ".join(sorted(found)) or None


def _signed(seconds: int) -> str:
    """Write an offset: +05:30."""
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


# -- years ------------------------------------------------------------------------------------------------


def open_year(clock: pl.Series) -> bool:
    """Return whether one of some times has a year that other inputs may change."""
    return bool((clock & YEARLESS != 0).any())


def _dated(settled: Settled) -> Settled:
    """Move times without a year to the only year in which their input meets those with years, where it meets none."""
    if not any(_YEARLESS in (item.clock or "") for item in settled.inputs):
        return settled
    years = _years(settled)
    if not years:
        return settled
    table = pl.DataFrame(list(years.items()), schema={"source": pl.UInt32(), "years": pl.Int64()}, orient="row")

    def moved(rows: pl.LazyFrame) -> pl.LazyFrame:
        joined = rows.join(table.lazy(), on="source", how="left", maintain_order="left")
        by = pl.format("{}y", pl.when(pl.col("clock") & (YEARLESS | FOLLOWING) != 0).then("years").fill_null(0))
        return joined.with_columns(ts=pl.col("ts").dt.offset_by(by)).drop("years")

    old, new = f"{_YEARLESS}the file's own time", f"{_YEARLESS}the other inputs"
    clocks = {source: (settled.inputs[source].clock or "").replace(old, new) for source in years}
    bulk, rare = _each(settled.bulk, moved), moved(settled.rare.lazy()).collect()
    return Settled(bulk, rare, _said(settled.inputs, clocks))


def _years(settled: Settled) -> Mapping[int, int]:
    """Return by how many years the times of inputs have to be moved."""
    kind = pl.when(pl.col("clock") & YEARLESS != 0).then(1).when(pl.col("clock") == FOLLOWING).then(2).otherwise(0)
    timed = [t.drop_nulls("ts").group_by("source", kind=kind) for t in _tables(settled.bulk, settled.rare)]
    spans = pl.concat(pl.collect_all([t.agg(low=pl.col("ts").min(), high=pl.col("ts").max()) for t in timed]))
    known = spans.filter(pl.col("kind") == 0)
    if known.is_empty():
        return {}
    slack = timedelta(seconds=DEFAULT.year_slack_s)
    low, high = min(known["low"].to_list()) - slack, max(known["high"].to_list()) + slack
    mine = spans.filter(~pl.col("source").is_in(known["source"].unique().implode()))
    both = mine.group_by("source").agg(pl.col("low").min(), pl.col("high").max()).sort("source")
    found: dict[int, int] = {}
    for source, first, last in both.iter_rows():
        meets = [n for n in range(-_YEARS, _YEARS + 1) if _later(first, n) <= high and _later(last, n) >= low]
        if len(meets) == 1 and meets[0]:
            found[source] = meets[0]
    return found


def _later(time: datetime, years: int) -> datetime:
    """Return the time so many years later; of 29 February, the day before it."""
    day = min(time.day, 28) if time.month == 2 else time.day
    return time.replace(year=min(max(time.year + years, 1), 9999), day=day)


# -- both -------------------------------------------------------------------------------------------------


def _tables(bulk: Events, rare: pl.DataFrame) -> Iterator[pl.LazyFrame]:
    yield rare.lazy()
    yield from (part.rows.lazy() for part in bulk.parts)


def _each(bulk: Events, change: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Events:
    """Return the events with all rows changed, in memory where they were."""
    changed = (
        change(p.rows.lazy()).collect() if isinstance(p.rows, pl.DataFrame) else change(p.rows) for p in bulk.parts
    )
    return Events(tuple(replace(part, rows=rows) for part, rows in zip(bulk.parts, changed, strict=True)))


def _said(inputs: Sequence[InputReport], clocks: Mapping[int, str | None]) -> tuple[InputReport, ...]:
    return tuple(replace(item, clock=clocks[at]) if at in clocks else item for at, item in enumerate(inputs))
