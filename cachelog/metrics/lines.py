"""The lines that findings cite: loads, restarts and served lookups of one model on one replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Evidence
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames

_PLACE = ["ts", "source", "line"]
_LOOKED_AT = 200  # misses among which lines to cite are sought
_PAIRS = 2  # cited


def load_line(frames: Frames, model: str, replica: str, version: str, until: datetime, role: str) -> Evidence | None:
    """Return the last line up to `until` that says the version was loaded there."""
    loads = frames.changes.filter(
        (pl.col("op") == "load") & (pl.col("model") == model) & (pl.col("replica") == replica)
        & (pl.col("version") == version) & (pl.col("ts") <= until)
    )  # fmt: skip
    return _cited(loads.tail(1), role)


def restart_line(frames: Frames, replica: str, before: datetime, limits: Limits) -> Evidence | None:
    """Return the last line within limits.restart_before_s of `before` that says the replica's process started."""
    near = (pl.col("ts") <= before) & (pl.col("ts") >= before - timedelta(seconds=limits.restart_before_s))
    boots = frames.changes.filter((pl.col("op") == "restart") & (pl.col("replica") == replica) & near)
    return _cited(boots.tail(1), "restarted")


def served_line(
    events: Events,
    model: str,
    replica: str,
    version: str,
    *,
    role: str,
    before: datetime | None = None,
    since: datetime | None = None,
) -> Evidence | None:
    """Return the last lookup before `before`, or the first one since `since`, that the version answered there."""
    scope = (
        (pl.col("op") == "lookup")
        & (pl.col("replica").cast(pl.String) == replica)
        & (pl.col("version").cast(pl.String) == version)
    )
    if before is not None:
        scope &= pl.col("ts") <= before
    if since is not None:
        scope &= pl.col("ts") >= since
    found = events.of(model).filter(scope).select("source", "line", "ts")
    one = (
        found.bottom_k(1, by=["ts", "source", "line"])
        if before is None
        else found.top_k(1, by=["ts", "source", "line"])
    )
    return _cited(one.collect(), role)


def _cited(line: pl.DataFrame, role: str) -> Evidence | None:
    if line.is_empty():
        return None
    source, number, time = line.select("source", "line", "ts").row(0)
    return Evidence(source, number, time, role)


def any_line(
    events: Events,
    frames: Frames,
    replica: str,
    *,
    role: str,
    before: datetime | None = None,
    since: datetime | None = None,
) -> Evidence | None:
    """Return the last line of a replica up to `before`, or its first one from `since` on, whatever it says."""
    time = pl.col("ts") <= before if before is not None else pl.col("ts") >= since
    told = frames.changes.filter((pl.col("replica") == replica) & time).select("source", "line", "ts")
    near = timedelta(minutes=2)
    close = pl.col("ts") >= before - near if before is not None else pl.col("ts") <= (since or datetime.max) + near
    rows = events.all().filter(time & close & (pl.col("replica").cast(pl.String) == replica))
    both = pl.concat([told.lazy(), rows.select("source", "line", "ts")])
    one = (
        both.top_k(1, by=["ts", "source", "line"])
        if before is not None
        else both.bottom_k(1, by=["ts", "source", "line"])
    )
    return _cited(one.collect(), role)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where lines are looked for: lookups of a model in a cache, on some replicas or all, in a stretch of time."""

    model: str
    cache: str
    replicas: tuple[str, ...]
    start: datetime
    end: datetime
    shared: bool = False  # all replicas use one cache


def misses_with_past(events: Events, scene: Scene, pasts: Sequence[str], role: tuple[str, str]) -> tuple[Evidence, ...]:
    """Return the first misses of a scene whose key has a line of one of these ops before, each with that line.

    `role`: what the line before shows, and what the miss shows.
    """
    mine = _of(events, scene)
    first = mine.filter((pl.col("outcome") == "miss") & pl.col("ts").is_between(scene.start, scene.end))
    misses = first.bottom_k(_LOOKED_AT, by=_PLACE).select(*_PLACE, "key", pl.col("replica").cast(pl.String)).collect()
    op = pl.col("op").cast(pl.String)
    before = events.of(scene.model).filter(
        op.is_in(list(pasts))
        & (pl.col("ts") <= scene.end)
        & pl.col("key").is_in(misses["key"].drop_nulls().unique().to_list())
    )
    entry = ["key"] if scene.shared else ["key", "replica"]
    lines = (
        before.select(*_PLACE, "key", pl.col("replica").cast(pl.String)).collect().sort(_PLACE).select(*_PLACE, *entry)
    )
    asked = misses.sort(_PLACE).join_asof(
        lines.rename({"ts": "past", "source": "past_source", "line": "past_line"}),
        left_on="ts", right_on="past", by=entry, check_sortedness=False, allow_exact_matches=False,
    )  # fmt: skip
    told = asked.drop_nulls("past").head(_PAIRS)
    rows = told.select("past_source", "past_line", "past", "source", "line", "ts").iter_rows()
    return tuple(e for a, b, c, d, f, g in rows for e in (Evidence(a, b, c, role[0]), Evidence(d, f, g, role[1])))


def first_lookups(events: Events, scene: Scene, role: str) -> tuple[Evidence, ...]:
    """Return the first misses of a scene whose key nobody had asked for before."""
    mine = _of(events, replace(scene, replicas=()))
    first = mine.filter((pl.col("outcome") == "miss") & pl.col("ts").is_between(scene.start, scene.end))
    misses = first.bottom_k(_LOOKED_AT, by=_PLACE).select(*_PLACE, "key").drop_nulls("key").collect()
    known = (
        mine.filter((pl.col("ts") < scene.start) & pl.col("key").is_in(misses["key"].unique().to_list()))
        .select("key")
        .unique()
    )
    new = (
        misses.sort(_PLACE).unique("key", keep="first", maintain_order=True).join(known.collect(), on="key", how="anti")
    )
    rows = new.sort(_PLACE).head(_PAIRS + 1).select("source", "line", "ts").iter_rows()
    return tuple(Evidence(source, line, ts, role) for source, line, ts in rows)


def first_misses(events: Events, scene: Scene, role: str) -> tuple[Evidence, ...]:
    """Return the first misses of a scene."""
    found = _of(events, scene).filter((pl.col("outcome") == "miss") & pl.col("ts").is_between(scene.start, scene.end))
    rows = found.bottom_k(_PAIRS + 1, by=_PLACE).select("source", "line", "ts").collect().sort("ts", "source", "line")
    return tuple(Evidence(source, line, ts, role) for source, line, ts in rows.iter_rows())


def _of(events: Events, scene: Scene) -> pl.LazyFrame:
    mine = events.of(scene.model).filter((pl.col("op") == "lookup") & (pl.col("cache") == scene.cache))
    return mine.filter(pl.col("replica").is_in(list(scene.replicas))) if scene.replicas else mine


def misses_of_key(events: Events, scene: Scene, key: int, role: str) -> tuple[Evidence, ...]:
    """Return the first misses of a key in a scene."""
    found = _of(events, scene).filter(
        (pl.col("outcome") == "miss") & (pl.col("key") == key) & pl.col("ts").is_between(scene.start, scene.end)
    )
    rows = found.bottom_k(2 * _PAIRS, by=_PLACE).select("source", "line", "ts").collect().sort("ts", "source", "line")
    return tuple(Evidence(source, line, ts, role) for source, line, ts in rows.iter_rows())
