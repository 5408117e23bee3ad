"""Counts of lookups per model, cache, version, replica and window, and the table of models made of them.

Window width: METHODS §1.1, but down to 10 s. Counts are sums, minima and maxima, so they merge over shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import MISS_CAUSES, ModelRow, VersionRow
from cachelog.contract.rule import Frames
from cachelog.metrics.proportions import wilson
from cachelog.metrics.tally import LABELS, sums

#: Seconds; each divides the next, so that base windows add up to wider ones.
LADDER = (10, 60, 300, 900, 3600)
_MOST_WINDOWS = 2000
_MICRO = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED = ("hits", "misses", "stale", "bypass", "errors")
_OUTCOME = {"hits": "hit", "misses": "miss", "stale": "stale", "bypass": "bypass", "errors": "error"}
_TREND = 24  # points of the sparkline
Causes = Mapping[tuple[str, str], Mapping[str, int]]  # of (model, cache): misses by cause

COUNTS: pl.Schema = pl.Schema(
    dict.fromkeys(("model", "cache", "version", "replica"), pl.String())
    | {"w": pl.Datetime("us", "UTC")}
    | {"set": pl.UInt32()}
    | dict.fromkeys(("lookups", *_COUNTED, "expired"), pl.Int64())
    | {"hit_seconds": pl.Float64(), "hit_timed": pl.Int64(), "miss_seconds": pl.Float64(), "miss_timed": pl.Int64()}
    | {"first": pl.Datetime("us", "UTC"), "last": pl.Datetime("us", "UTC")}
)


def base_window(start: datetime, end: datetime) -> timedelta:
    """Return the narrowest window of the ladder, else of whole hours, that cuts the period into at most 2,000."""
    span = (end - start).total_seconds()
    widest = LADDER[-1] * max(1, -(-int(span) // (LADDER[-1] * _MOST_WINDOWS)))
    return timedelta(seconds=next((s for s in LADDER if span / s <= _MOST_WINDOWS), widest))


def counts(events: Events, start: datetime, end: datetime) -> tuple[pl.DataFrame, timedelta]:
    """Return Frames.counts and the width of its windows, of the events that have a time."""
    base = base_window(start, end)
    width = base // _MICRO
    first = (start - _EPOCH) // base * width
    windows = ((end - _EPOCH) // _MICRO - first) // width + 1
    found = sums(events, first, width, windows)
    full = _sorted(_summed(events, first, width)) if found is None else found
    return full.with_columns(
        *(pl.col(name).cast(COUNTS["first"]) for name in ("first", "last")),
        (pl.col("w").cast(pl.Int64) * width + first).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        pl.col("hit_seconds", "miss_seconds") / 1e9,
        lookups=pl.col("hits") + pl.col("misses") + pl.col("stale"),
    ).select(pl.col(name).cast(dtype) for name, dtype in COUNTS.items()), base  # fmt: skip


def _sorted(summed: pl.DataFrame) -> pl.DataFrame:
    """Few labels, many windows: labels are put in order once, and rows by the number of theirs, not by their texts."""
    order = summed.select(LABELS).unique().with_columns(pl.col(LABELS).cast(pl.String).name.prefix("_"))
    order = order.sort([f"_{name}" for name in LABELS]).with_row_index("set")
    return summed.join(order, on=LABELS, nulls_equal=True).sort("set", "w").with_columns(
        pl.col(f"_{name}").alias(name) for name in LABELS
    )  # fmt: skip


def _summed(events: Events, first: int, width: int) -> pl.DataFrame:
    """Return LABELS, w (number of the window), SUMS: outcomes become columns first, sums of filters cost more."""
    n, misses = pl.col("n").cast(pl.Int64), pl.col("outcome") == "miss"
    columns = [
        *(pl.when(pl.col("outcome") == word).then(n).otherwise(0).alias(name) for name, word in _OUTCOME.items()),
        pl.when(misses & (pl.col("reason") == "expired")).then(n).otherwise(0).alias("expired"),
        *_latency("hit"),
        *_latency("miss"),
    ]
    since = pl.col("ts").dt.timestamp("us") - first
    lookups = events.all().filter((pl.col("op") == "lookup") & pl.col("ts").is_not_null()).select(
        *LABELS, "ts", *columns, w=since // width
    )  # fmt: skip
    added = pl.exclude(*LABELS, "w", "ts").sum()
    return lookups.group_by(*LABELS, "w").agg(added, first=pl.col("ts").min(), last=pl.col("ts").max()).collect()


def _latency(outcome: str) -> list[pl.Expr]:
    """In whole nanoseconds: sums of doubles depend on their order, which threads decide."""
    mine = pl.col("outcome") == outcome
    nanoseconds = (pl.col("seconds") * 1e9).round().cast(pl.Int64, strict=False)
    timed = (mine & nanoseconds.is_not_null()).cast(pl.Int64)
    return [pl.when(mine).then(nanoseconds).alias(f"{outcome}_seconds"), timed.alias(f"{outcome}_timed")]


def totals(counts: pl.DataFrame) -> pl.DataFrame:
    """Return Frames.totals: counts summed over their windows."""
    sums = ("lookups", *_COUNTED, "expired", "hit_seconds", "hit_timed", "miss_seconds", "miss_timed")
    first = pl.col("first").min(), pl.col("last").max()
    summed = counts.group_by("set").agg(pl.col(sums).sum(), *first).sort("set")
    labels = counts.filter(counts["set"].diff().fill_null(1) != 0).select(*LABELS, "set")
    return labels.join(summed, on="set", maintain_order="left")


def numbered(counts: pl.DataFrame, labels: list[str]) -> tuple[pl.Series, pl.DataFrame]:
    """Return, per row, the number of its labels in their order, and the labels by number (`at`, labels).

    To group and sort by a number costs a fraction of what texts cost. Rows of one `set` stand together.
    """
    sets = counts["set"]
    heads = counts.filter(sets.diff().fill_null(1) != 0).select(labels) if counts.height else counts.select(labels)
    runs = sets.rle_id()
    order = heads.unique().sort(labels).with_row_index("at")
    at = heads.join(order, on=labels, nulls_equal=True, how="left", maintain_order="left")["at"]
    return at.gather(runs), order


def rate_known(cache: str, hits: int, stale: int) -> bool:
    """Return whether misses of this cache can be set against hits; servers log misses of loaded models only."""
    return cache != "model" or hits + stale > 0


def models(frames: Frames, causes: Causes | None = None) -> tuple[ModelRow, ...]:
    """Return the table of models: one row a model and cache, and one for a model that is known by its loads only.

    `causes` are those of metrics/causes.py; without them misses have the cause that their own line says.
    """
    sums = _totals(frames.totals, ["model", "cache"])
    known = _rated_caches(frames.totals)
    versions = _versions(frames)
    trends = _trends(frames)
    rows = [_row(r, known, versions, trends, causes) for r in sums.sort("model", "cache").iter_rows(named=True)]
    counted = {row.model for row in rows}
    rows += [_load_only(m, versions) for m in sorted({m for m, _ in versions} - counted)]
    return tuple(sorted(rows, key=lambda row: (row.model, row.cache)))


def _totals(table: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return table.group_by(keys).agg(
        pl.col("lookups", *_COUNTED, "expired").sum(), pl.col("first").min(), pl.col("last").max(),
        replicas=pl.col("replica").drop_nulls().unique().sort(),
    )  # fmt: skip


def _rated_caches(table: pl.DataFrame) -> Mapping[str, bool]:
    sums = table.group_by("cache").agg(pl.col("hits", "stale").sum())
    return {cache: rate_known(cache, hits, stale) for cache, hits, stale in sums.iter_rows()}


def _row(
    total: Mapping[str, object],
    known: Mapping[str, bool],
    versions: Mapping[tuple[str, str], tuple[VersionRow, ...]],
    trends: Mapping[tuple[str, str], tuple[float | None, ...]],
    causes: Causes | None,
) -> ModelRow:
    model, cache = str(total["model"]), str(total["cache"])
    n = {name: int(str(total[name])) for name in ("lookups", *_COUNTED, "expired")}
    rated = known[cache]
    rate, low, high = wilson(n["misses"], n["lookups"]) if rated else (None, None, None)
    return ModelRow(
        model=model,
        cache=cache,
        lookups=n["lookups"] if rated else None,
        hits=n["hits"] if rated else None,
        misses=n["misses"],
        stale=n["stale"],
        bypass=n["bypass"],
        errors=n["errors"],
        miss_rate=rate,
        miss_rate_low=low,
        miss_rate_high=high,
        causes=_causes(n["misses"], n["expired"]) if causes is None else causes.get((model, cache), _causes(0, 0)),
        versions=versions.get((model, cache), ()),
        trend=trends.get((model, cache), ()) if rated else (),
    )


def _load_only(model: str, versions: Mapping[tuple[str, str], tuple[VersionRow, ...]]) -> ModelRow:
    """A model of which the logs hold loads but no lookup: nothing is known of its rate."""
    return ModelRow(
        model=model, cache="model", lookups=None, hits=None, misses=0, stale=0, bypass=0, errors=0, miss_rate=None,
        miss_rate_low=None, miss_rate_high=None, causes=_causes(0, 0), versions=versions[model, "model"],
    )  # fmt: skip


def _causes(misses: int, expired: int) -> Mapping[str, int]:
    """Split misses by what the lines themselves say: EXPIRED is the TTL; the rest is not explained."""
    return dict.fromkeys(MISS_CAUSES, 0) | {"ttl": expired, "unexplained": misses - expired}


def _versions(frames: Frames) -> Mapping[tuple[str, str], tuple[VersionRow, ...]]:
    """Version rows by model and cache, oldest first; loaded versions that nobody asked for are in, without counts."""
    asked = _totals(frames.totals.filter(pl.col("version").is_not_null()), ["model", "cache", "version"])
    resident = _resident(frames).join(asked, on=["model", "version"], how="anti")
    rated = _rated_caches(frames.totals)
    table = pl.concat([asked, resident], how="diagonal").join(frames.order, on=["model", "version"], how="left")
    found: dict[tuple[str, str], list[VersionRow]] = {}
    for row in table.sort("model", "cache", "ord", "version", nulls_last=True).iter_rows(named=True):
        known = row["lookups"] is not None and rated.get(row["cache"], False)
        found.setdefault((row["model"], row["cache"]), []).append(
            VersionRow(
                version=row["version"],
                order=row["ord"],
                basis=row["basis"] or "unknown",
                lookups=row["lookups"] if known else None,
                hits=row["hits"] if known else None,
                misses=row["misses"] or 0,
                first=row["first"],
                last=row["last"],
                replicas=tuple(row["replicas"]),
            )
        )
    return {key: tuple(rows) for key, rows in found.items()}


def _resident(frames: Frames) -> pl.DataFrame:
    """Versions known from loads, in the cache that the model's lookups name first, else `model`."""
    loads = frames.changes.filter((pl.col("op") == "load") & pl.col("version").is_not_null())
    caches = frames.totals.group_by("model").agg(pl.col("cache").filter(pl.col("cache") != "model").min())
    return (
        loads.group_by("model", "version")
        .agg(first=pl.col("ts").min(), last=pl.col("ts").max(), replicas=pl.col("replica").drop_nulls().unique().sort())
        .join(caches, on="model", how="left")
        .with_columns(pl.col("cache").fill_null("model"))
    )


def _trends(frames: Frames) -> Mapping[tuple[str, str], tuple[float | None, ...]]:
    """Miss rate over the period in _TREND steps; None where nothing was looked up."""
    step = max((frames.end - frames.start) // timedelta(microseconds=_TREND), 1)
    since = (pl.col("w") - frames.start).dt.total_microseconds()
    at = (since // step).clip(0, _TREND - 1)
    number, labels = numbered(frames.counts, ["model", "cache"])
    cells = frames.counts.select("misses", "lookups", number=number, at=at)
    table = cells.group_by("number", "at").agg(pl.col("misses", "lookups").sum())
    table = table.join(labels.rename({"at": "number"}), on="number")
    found: dict[tuple[str, str], list[float | None]] = {}
    for model, cache, position, misses, lookups in (
        table.select("model", "cache", "at", "misses", "lookups").sort("model", "cache", "at").iter_rows()
    ):
        line = found.setdefault((model, cache), [None] * _TREND)
        line[position] = misses / lookups if lookups else None
    return {key: tuple(line) for key, line in found.items()}
