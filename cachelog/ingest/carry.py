"""What one line leaves to another: the version of a load whose success line does not name it.

Triton since 2023 writes `loading: fraud:42` and later `successfully loaded 'fraud'`; the version is in the first
line only. Works on the few events that are no lookups.
"""

from __future__ import annotations

import polars as pl


def carry_versions(events: pl.DataFrame) -> pl.DataFrame:
    """Give each load without a version those of its replica's pending load_start lines, one row a version.

    Expects EVENT columns; a load for which no load_start is pending keeps a null version.
    """
    bare = (pl.col("op") == "load") & pl.col("version").is_null()
    if not events.select(bare.any()).item():
        return events
    ordered = events.sort("source", "ts", "line", maintain_order=True).with_row_index("_at")
    pairs = _pending(ordered)
    loads = ordered.filter(bare)
    given = (
        loads.join(pairs, on="_at", how="left", maintain_order="left")
        .with_columns(version=pl.col("_version"))
        .drop("_version")
    )
    return pl.concat([ordered.filter(~bare.fill_null(False)), given]).drop("_at")


_PLACE = ["source", "replica", "model"]


def _pending(ordered: pl.DataFrame) -> pl.DataFrame:
    """Return (_at of a load, _version) for every start that waits when the load is reported.

    A start waits until a load or a failure that names no version closes all of its model, or a failure names it.
    """
    op, version = pl.col("op"), pl.col("version")
    closing = ordered.filter(op.is_in(["load", "load_fail"]) & version.is_null())
    spans = closing.select(*_PLACE, "op", "_at", _before=pl.col("_at").shift(1).over(_PLACE).fill_null(0))
    starts = ordered.filter((op == "load_start") & version.is_not_null()).select(
        *_PLACE, _start="_at", _version="version"
    )
    failed = ordered.filter((op == "load_fail") & version.is_not_null()).select(
        *_PLACE, _failed="_at", _version="version"
    )
    waiting = (
        spans.filter(op == "load")
        .join(starts, on=_PLACE, nulls_equal=True)
        .filter((pl.col("_start") < pl.col("_at")) & (pl.col("_start") >= pl.col("_before")))
    )
    dropped = waiting.join(failed, on=[*_PLACE, "_version"], nulls_equal=True).filter(
        (pl.col("_failed") > pl.col("_start")) & (pl.col("_failed") < pl.col("_at"))
    )
    kept = waiting.join(dropped, on=["_at", "_start"], how="anti")
    return kept.select("_at", "_version").unique().sort("_at", "_version")
