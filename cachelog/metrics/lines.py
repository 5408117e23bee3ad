"""The lines that findings cite: loads, restarts and served lookups of one model on one replica."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Evidence
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames


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
