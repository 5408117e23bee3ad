"""Where events stand, when they happened and whose they are, where the line itself does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.event import EVENT, LABEL
from cachelog.contract.events import FOLLOWING, NAIVE, READ, YEARLESS
from cachelog.ingest import settle
from cachelog.ingest.clock import NEW_DAY, Zone, instants
from cachelog.ingest.unwrap import positions

#: READ, and the row of the unit and what happened.
PLACED: pl.Schema = pl.Schema({"row": pl.UInt32(), "op": EVENT["op"]} | dict(READ))

_Counts = tuple[tuple[int, str, int], ...]


@dataclass(frozen=True)
class Facts:
    """What was assumed of times, and which zones envelopes tell (settle.votes): source, what, number of events."""

    assumed: _Counts
    votes: _Counts


@dataclass(frozen=True)
class Inputs:
    """Facts about each input, and the zone in which naive times are read."""

    zone: Zone
    newest: Sequence[object]  # naive datetime of its last change
    locus: Sequence[str | None]  # replica that its path names


def place(
    events: pl.DataFrame,
    around: pl.DataFrame,
    source: npt.NDArray[np.uint32],
    line: npt.NDArray[np.uint64],
    inputs: Inputs,
) -> tuple[pl.DataFrame, Facts]:
    """Add where each event stands and which replica it is of; return PLACED rows and what was assumed of times.

    `around` is what envelopes say (unwrap.AROUND), `source` and `line` tell of each row where it stands.
    """
    rows = events["row"]
    placed = events.with_columns(source=pl.Series(source).gather(rows), line=pl.Series(line).gather(rows))
    full = _clocked(_replicas(_with_envelope(placed, around, inputs), inputs))
    votes = settle.votes(full) if "env_ts" in full.columns else ()
    facts = Facts(_assumed(full, inputs.zone), votes)
    return full.select(pl.col(name).cast(dtype) for name, dtype in PLACED.items()), facts


def _clocked(placed: pl.DataFrame) -> pl.DataFrame:
    """Add what was assumed of each time, as bits."""
    if not (placed["ts"].null_count() or placed["naive"].any() or placed["yearless"].any()):
        return placed.with_columns(clock=pl.lit(0, pl.UInt8))
    timed = pl.col("ts").is_not_null()
    bits = {NAIVE: timed & pl.col("naive"), YEARLESS: timed & pl.col("yearless"), FOLLOWING: ~timed}
    return placed.with_columns(clock=pl.sum_horizontal(when.cast(pl.UInt8) * bit for bit, when in bits.items()))


def _replicas(placed: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Name the replica of each event that needs one: the line's own, else the envelope's, the path's.

    The name of the file, which depends on the other files, is put there when all is read (stage.py).
    """
    of_one = pl.col("op") != "rollout"
    if not placed.select((of_one & pl.col("replica").is_null()).any()).item():
        return placed
    by_path = pl.Series(inputs.locus, dtype=LABEL).gather(placed["source"])
    named = pl.coalesce("replica", pl.col("env_replica").cast(LABEL), by_path)
    return placed.with_columns(replica=pl.when(of_one).then(named).otherwise("replica"))


def _with_envelope(placed: pl.DataFrame, around: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Add what the envelope said; its time stands in for a line's own that is missing or has no year."""
    if around.is_empty():
        return placed.with_columns(env_replica=pl.lit(None, pl.String))
    at = positions(placed["row"], around["row"])
    wrapped = placed.with_columns(around["env_replica"].gather(at))
    worse = wrapped["ts"].is_null() | wrapped["yearless"]
    open_ = worse | (wrapped["naive"] & settle.sampled(wrapped["line"]))
    if not open_.any():
        return wrapped
    newest = pl.Series(inputs.newest, dtype=pl.Datetime("us")).gather(wrapped["source"])
    times = around["env_time"].gather(at)
    clock = instants(times.set(~open_, None), newest, inputs.zone)
    told = wrapped.with_columns(
        env_ts=clock["ts"], _naive=clock["naive"], _yearless=clock["yearless"], env_zoned=~clock["naive"]
    )
    better = pl.col("ts").is_null() | (pl.col("yearless") & pl.col("env_ts").is_not_null() & pl.col("env_zoned"))
    return told.with_columns(
        ts=pl.when(better).then(pl.col("env_ts")).otherwise(pl.col("ts")),
        naive=pl.when(better).then(pl.col("_naive")).otherwise(pl.col("naive")),
        yearless=pl.when(better).then(pl.col("_yearless")).otherwise(pl.col("yearless")),
    ).with_columns(env_ts=pl.when(~better).then("env_ts"))


def _assumed(placed: pl.DataFrame, zone: Zone) -> _Counts:
    facts = {
        f"no zone in the lines, read as {zone.name}": pl.col("naive") & pl.col("ts").is_not_null(),
        "no year in the lines, taken from the file's own time": pl.col("yearless") & (pl.col("ts") >= NEW_DAY),
        "no date in the lines, taken from the file's own time": pl.col("yearless") & (pl.col("ts") < NEW_DAY),
        "no time in the lines, taken from the event before": pl.col("ts").is_null(),
    }
    found: list[tuple[int, str, int]] = []
    if not (placed["ts"].null_count() or placed["naive"].any() or placed["yearless"].any()):
        return ()
    for what, when in facts.items():
        counts = placed.filter(when).group_by("source").len().sort("source")
        found += [(source, what, many) for source, many in counts.iter_rows()]
    return tuple(found)
