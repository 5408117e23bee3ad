"""The lines behind a figure: how many of them there are, and which is the first and the last."""

from __future__ import annotations

import polars as pl

from cachelog.contract.counted import Counted
from cachelog.contract.events import Events
from cachelog.contract.rule import Frames

_PLACE = ("ts", "source", "line")
_RATED = ("hit", "miss", "stale")
_LABELS = ("replica", "cache", "version", "outcome")
_SPELLS = pl.Schema({"replica": pl.String(), "since": pl.Datetime("us", "UTC"), "until": pl.Datetime("us", "UTC")})

Place = tuple[int, int]  # source, line


def lines_of(counted: Counted, events: Events, frames: Frames) -> tuple[int, Place | None, Place | None]:
    """Return the sum of the weights of the lines, and the first and last of them in order of time."""
    rows = _lookups(counted, events) if counted.op == "lookup" else _changes(counted, frames)
    inside = _in_spells(rows.filter(~pl.col("replica").is_in(list(counted.without))), counted, frames)
    if counted.op == "lookup":
        inside = inside.filter(pl.col("outcome").is_in(list(counted.outcomes or _RATED)))
    if inside.is_empty():
        return 0, None, None
    places = inside.sort(_PLACE).select("source", "line")
    return int(inside["n"].sum()), places.row(0), places.row(-1)


def _changes(counted: Counted, frames: Frames) -> pl.DataFrame:
    mine = [pl.col("op") == counted.op]
    mine += [] if counted.model is None else [pl.col("model") == counted.model]
    mine += [] if counted.version is None else [pl.col("version") == counted.version]
    return _named(frames.changes.lazy().filter(mine)).collect()


def _lookups(counted: Counted, events: Events) -> pl.DataFrame:
    rows = events.of(counted.model) if counted.model is not None else events.all()
    mine = [pl.col("op") == "lookup", pl.col("ts").is_not_null()]
    mine += [pl.col("cache") == counted.cache if counted.cache else pl.col("cache").cast(pl.String) != "model"]
    mine += [] if counted.version is None else [pl.col("version") == counted.version]
    return _named(rows.filter(mine)).collect()


def _named(rows: pl.LazyFrame) -> pl.LazyFrame:
    labels = (pl.col(name).cast(pl.String) for name in _LABELS)
    return rows.select(*_PLACE, "n", *labels).with_columns(pl.col("replica").fill_null("(unnamed)"))


def _in_spells(rows: pl.DataFrame, counted: Counted, frames: Frames) -> pl.DataFrame:
    """Keep the rows in a spell; where windows count whole, those of windows that lie in one from their first row on."""
    if counted.whole:
        width = int(frames.base.total_seconds() * 1e6)
        cell = ["cache", "version", "replica", pl.col("ts").dt.timestamp("us") // width]
        rows = rows.with_columns(begin=pl.col("ts").min().over(cell), end=pl.col("ts").max().over(cell))
    else:
        rows = rows.with_columns(begin=pl.col("ts"), end=pl.col("ts"))
    told = [(s.replica, s.since, s.until) for s in counted.spells]
    spells = pl.DataFrame(told, schema=_SPELLS, orient="row").sort("since")
    rows = rows.sort("begin")
    ours = rows.join_asof(spells.filter(pl.col("replica").is_null()).drop("replica"), left_on="begin", right_on="since")
    theirs = rows.join_asof(
        spells.drop_nulls("replica"), left_on="begin", right_on="since", by="replica", check_sortedness=False
    )
    inside = pl.col("end") <= pl.col("until") if counted.closed else pl.col("end") < pl.col("until")
    return pl.concat([ours.filter(inside), theirs.filter(inside)])
