"""Loads of models: how long each took, and how often a replica dropped one only to load it again."""

from __future__ import annotations

import polars as pl

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames

_WHERE = ["model", "replica"]
_PLACE = ["ts", "source", "line"]


def timed(frames: Frames) -> pl.DataFrame:
    """Return model, version, replica, ts, source, line, seconds of the loads whose time is known, in order of time.

    As the line says; else since the last line on the replica that a load of that version began.
    """
    loads = frames.changes.filter((pl.col("op") == "load") & pl.col("model").is_not_null())
    columns = ["model", "version", "replica", *_PLACE, "seconds"]
    said = loads.filter(pl.col("seconds").is_not_null()).select(columns)
    open_ = loads.filter(
        pl.col("seconds").is_null() & pl.col("version").is_not_null() & pl.col("replica").is_not_null()
    )
    by = ["model", "version", "replica"]
    starts = frames.changes.filter(pl.col("op") == "load_start").select(*by, "ts", began="ts").drop_nulls()
    ended = open_.select(*by, "ts", ended="ts").with_columns(last=pl.col("ts").shift(1).over(by))
    since = open_.with_columns(last=ended["last"]).join_asof(starts, on="ts", by=by, check_sortedness=False)
    fresh = since.filter(pl.col("began") > pl.col("last").fill_null(frames.start - frames.base))
    found = fresh.with_columns(seconds=(pl.col("ts") - pl.col("began")).dt.total_microseconds() / 1e6).select(columns)
    return pl.concat([said, found]).filter(pl.col("seconds") > 0).sort(*_PLACE, *by)


def cycles(frames: Frames, limits: Limits) -> pl.DataFrame:
    """Return the loads of a version that the replica had had and dropped, with nothing of the model loaded in between.

    model, version, replica, ts, source, line (of the load), dropped, dropped_source, dropped_line, gap (seconds since
    it was dropped), in order of model, replica and time. A restart in between is another story.
    """
    ops = ["load", "unload", "evict", "restart"]
    rows = frames.changes.filter(
        pl.col("op").is_in(ops) & (pl.col("replica").is_not_null()) & (pl.col("model").is_not_null())
    )
    boots = frames.changes.filter((pl.col("op") == "restart") & pl.col("replica").is_not_null()).select(
        "ts", "replica", boot="ts"
    )
    ordered = rows.sort(*_WHERE, *_PLACE)
    before = [pl.col(c).shift(k).over(_WHERE).alias(f"{c}_{k}") for k in (1, 2) for c in ("op", "version", *_PLACE)]
    again = (
        (pl.col("op") == "load") & pl.col("op_1").is_in(["unload", "evict"]) & (pl.col("op_2") == "load")
        & pl.col("version").eq_missing(pl.col("version_1")) & pl.col("version").eq_missing(pl.col("version_2"))
    )  # fmt: skip
    found = ordered.with_columns(before).filter(again).sort("ts")
    dated = found.join_asof(boots.sort("ts"), on="ts", by="replica", check_sortedness=False)
    kept = dated.filter(pl.col("boot").is_null() | (pl.col("boot") < pl.col("ts_2")))
    gap = (pl.col("ts") - pl.col("ts_1")).dt.total_microseconds() / 1e6
    return kept.select(
        "model",
        "version",
        "replica",
        *_PLACE,
        dropped="ts_1",
        dropped_source="source_1",
        dropped_line="line_1",
        gap=gap,
    ).sort("model", "replica", *_PLACE)
