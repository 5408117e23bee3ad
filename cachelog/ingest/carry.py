"""What one line leaves to another: versions that the line of a load, or of a rollout, does not name.

Triton since 2023 writes `loading: fraud:42` and later `successfully loaded 'fraud'`; the version is in the first
line only. TensorFlow Serving writes `(Re-)adding model: fraud` when its configuration is reloaded, and the version in
the lines of the load that follows, if one does. Works on the few events that are no lookups.

And whether a proxy has a cache at all, which its log tells only by what the cache served (contract/proxylines.py).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl

from cachelog.contract import platform
from cachelog.contract.events import Events, Part
from cachelog.contract.limits import DEFAULT
from cachelog.contract.proxylines import PERHAPS_HIT, PERHAPS_MISS

OPS = ("load_start", "load", "load_fail", "rollout", "restart")  # what carries, and what is carried to


def settle_caches(bulk: Events) -> Events:
    """Drop lookups that are perhaps misses, of models for which no proxy served anything out of its cache."""
    cached = {model for part in bulk.parts for model in part.words.filter(_is(PERHAPS_HIT))["model"].cast(pl.String)}
    return Events(tuple(_settled(part, sorted(cached)) for part in bulk.parts))


def _settled(part: Part, cached: list[str]) -> Part:
    guessed = _is(PERHAPS_HIT) | _is(PERHAPS_MISS)
    if not part.words.select(guessed.any()).item():
        return part
    sure = ~_is(PERHAPS_MISS) | pl.col("model").cast(pl.String).is_in(cached)
    kept = part.where(part.words.select(sure.alias("sure")).to_series(), None)
    named = pl.when(sure).then(pl.col("model"))  # what is dropped leaves no model without events behind
    return replace(kept, words=part.words.with_columns(model=named, reason=pl.when(~guessed).then(pl.col("reason"))))


def _is(reason: str) -> pl.Expr:
    return (pl.col("reason") == reason).fill_null(False)


def carry_versions(events: pl.DataFrame) -> pl.DataFrame:
    """Complete loads and rollouts (EVENT rows of OPS); rollouts that led to nothing are dropped."""
    return _loads(_rollouts(events))


def _rollouts(events: pl.DataFrame) -> pl.DataFrame:
    """Give each rollout without a version those that its model then begins to load, one row a version.

    It counts when the model had been loaded before, and the process does not start meanwhile: at a start every model
    is added.
    """
    open_ = ((pl.col("op") == "rollout") & pl.col("version").is_null() & ~platform.told()).fill_null(False)
    if not events.select(open_.any()).item():
        return events
    ordered = events.sort("source", "ts", "line", maintain_order=True).with_row_index("_at")
    asked = ordered.filter(open_).drop("version")
    place, reach = ["source", "model"], timedelta(seconds=DEFAULT.declared_s)
    starts = ordered.filter((pl.col("op") == "load_start") & pl.col("version").is_not_null())
    led = starts.select(*place, "version", "_at", _then="ts").join_asof(
        asked.select(*place, "_at", _by="_at", _since="ts"), on="_at", by=place, check_sortedness=False
    )
    first = ordered.filter(pl.col("op") == "load").group_by(place).agg(_first=pl.col("_at").min())
    boots = ordered.filter(pl.col("op") == "restart").select("source", _booted="ts")
    begun = led.join(boots, on="source").filter(pl.col("_booted").is_between("_since", pl.col("_since") + reach))
    fits = (pl.col("_then") - pl.col("_since") <= reach) & (pl.col("_first") < pl.col("_by"))
    meant = led.join(first, on=place).filter(fits).join(begun.select("_by"), on="_by", how="anti")
    known = meant.select(pl.col("_by").alias("_at"), "version").unique().sort("_at", "version")
    given = asked.join(known, on="_at", maintain_order="left_right").select(ordered.columns)
    return pl.concat([ordered.filter(~open_), given]).drop("_at")


def _loads(events: pl.DataFrame) -> pl.DataFrame:
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
