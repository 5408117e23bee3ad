"""Lookups that an older version answered on a replica which has a newer one loaded, and stretches of stale entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames

How = Literal["alone", "unloaded", "hits"]


@dataclass(frozen=True, slots=True)
class Stale:
    """A replica goes on answering with an older version after a line said that a newer one is loaded."""

    model: str
    replica: str
    newer: str
    older: str
    loaded: datetime  # when the newer one was, by the line `line` of `source`
    source: int
    line: int
    first: datetime  # the first and the last such lookup, those soon after the load left out
    last: datetime
    until: datetime  # the end of the time in which the newer one was loaded
    answered: int  # by the older version
    newly: int  # by the newer one meanwhile
    how: How


def stale_replicas(frames: Frames, limits: Limits) -> list[Stale]:
    """Return them by model and replica, but for older versions served beside the newer on purpose."""
    table = _cells(frames, limits)
    if table.is_empty():
        return []
    out, back = _told(frames, ["unload", "evict"]), _told(frames, ["load"])
    known = _known(frames)
    found = (_stale(row, out, back, limits) for row in table.iter_rows(named=True))
    return [s for s in found if s and (s.model, s.newer) in known and (s.model, s.older) in known]


_RUN = ("model", "replica", "start")


def _cells(frames: Frames, limits: Limits) -> pl.DataFrame:
    """Return, by run that a load began and older version served in it, what that answered, and what the newer."""
    runs = frames.levels.filter((pl.col("observed") == "load") & pl.col("line").is_not_null())
    runs = runs.rename({"version": "newer", "ord": "top"}).drop("observed")
    asked = frames.counts.filter((pl.col("cache") != "model") & (pl.col("lookups") > 0)).drop_nulls("replica")
    asked = asked.join(frames.order.select("model", "version", "ord"), on=["model", "version"]).drop_nulls("ord")
    asked = asked.select("model", "replica", "version", "ord", "lookups", "misses", "first", "last").sort("first")
    placed = asked.join_asof(
        runs.sort("start"), left_on="first", right_on="start", by=["model", "replica"], check_sortedness=False
    ).drop_nulls("top")
    grace = timedelta(seconds=limits.stale_grace_s)
    late = placed.filter((pl.col("first") >= pl.col("start") + grace) & (pl.col("last") <= pl.col("end")))
    old = late.filter(pl.col("ord") < pl.col("top")).group_by(*_RUN, "version").agg(
        pl.col("newer", "end", "source", "line").first(), pl.col("lookups", "misses").sum(),
        pl.col("first").min(), pl.col("last").max(),
    )  # fmt: skip
    long = (pl.col("last") - pl.col("first")) >= grace
    old = old.filter((pl.col("lookups") >= limits.stale_lookups) & long)
    new = late.filter(pl.col("ord") >= pl.col("top")).join(
        old.select(*_RUN, "version", since="first", until="last"), on=list(_RUN)
    )
    newly = new.filter(pl.col("first").is_between("since", "until")).group_by(*_RUN, pl.col("version_right")).agg(
        newly=pl.col("lookups").sum(), new_misses=pl.col("misses").sum()
    )  # fmt: skip
    both = old.join(newly, left_on=[*_RUN, "version"], right_on=[*_RUN, "version_right"], how="left")
    return both.with_columns(pl.col("newly", "new_misses").fill_null(0)).sort(*_RUN, "version")


_Times = Mapping[tuple[str, str, str], Sequence[datetime]]


def _told(frames: Frames, ops: Sequence[str]) -> _Times:
    """Return when lines say so, by model, replica and version."""
    lines = frames.changes.filter(pl.col("op").is_in(ops)).drop_nulls(["model", "replica", "version"])
    times: dict[tuple[str, str, str], list[datetime]] = {}
    for model, replica, version, ts in lines.select("model", "replica", "version", "ts").iter_rows():
        times.setdefault((model, replica, version), []).append(ts)
    return times


def _known(frames: Frames) -> frozenset[tuple[str, str]]:
    """Return the versions that both lookups and lines about loads name, and of models with one such all others.

    Where the two have no name in common, what lookups call a version may be that of an interface.
    """
    served = frames.totals.filter(pl.col("cache") != "model").select("model", "version").drop_nulls().unique()
    loaded = frames.changes.filter(pl.col("op").is_in(["load", "unload", "evict"])).select("model", "version")
    models = served.join(loaded.drop_nulls().unique(), on=["model", "version"]).select("model").unique()
    named = frames.order.join(models, on="model", how="semi").select("model", "version")
    return frozenset(named.iter_rows())


def _stale(row: Mapping[str, object], out: _Times, back: _Times, limits: Limits) -> Stale | None:
    first, last, start, end = (_time(row[name]) for name in ("first", "last", "start", "end"))
    model, replica, older = (str(row[name]) for name in ("model", "replica", "version"))
    answered, newly = int(str(row["lookups"])), int(str(row["newly"]))
    grace = timedelta(seconds=limits.stale_grace_s)
    gone = [at for at in out.get((model, replica, older), ()) if at <= last - grace]
    again = [at for at in back.get((model, replica, older), ()) if start < at <= last]
    how = _how(row, bool(gone) and not again, bool(again), limits)
    if how is None:
        return None
    return Stale(
        model, replica, str(row["newer"]), older, start, int(str(row["source"])), int(str(row["line"])),
        first, last, end, answered, newly, how,
    )  # fmt: skip


def _how(row: Mapping[str, object], gone: bool, again: bool, limits: Limits) -> How | None:
    """Say what shows that the older version should not answer; None where it may well be meant to.

    Both versions that hit and miss side by side are served on purpose; hits alone are entries that outlived their
    version.
    """
    answered, newly, misses, new_misses = (int(str(row[n])) for n in ("lookups", "newly", "misses", "new_misses"))
    if again:
        return None  # it was loaded after the newer one: the rules of versions tell what that is
    if newly < limits.stale_alone * answered:
        return "alone"
    if gone:
        return "unloaded"
    expected = answered * new_misses / newly
    return "hits" if misses == 0 and expected >= limits.stale_expected else None


def _time(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value


@dataclass(frozen=True, slots=True)
class Entries:
    """Stale entries of a model in a cache: all of them, and the stretch in which they were many."""

    model: str
    cache: str
    lookups: int
    stale: int
    start: datetime  # of the stretch; where there is none, of the log
    end: datetime
    much: bool  # there is such a stretch
    lookups_then: int
    stale_then: int


def stale_entries(frames: Frames, limits: Limits) -> list[Entries]:
    """Return the models and caches with stale answers worth a word, by name."""
    sums = frames.totals.group_by("model", "cache").agg(pl.col("lookups", "stale").sum())
    worth = (pl.col("stale") >= limits.stale_lookups) & (pl.col("stale") >= limits.stale_share * pl.col("lookups"))
    found = sums.filter(worth).sort("model", "cache")
    return [_entries(frames, model, cache, n, stale, limits) for model, cache, n, stale in found.iter_rows()]


def _entries(frames: Frames, model: str, cache: str, lookups: int, stale: int, limits: Limits) -> Entries:
    width = max(frames.base, timedelta(seconds=limits.stale_grace_s))
    mine = frames.counts.filter((pl.col("model") == model) & (pl.col("cache") == cache))
    cells = mine.group_by(at=(pl.col("w") - frames.start).dt.total_microseconds() // _micros(width)).agg(
        pl.col("lookups", "stale").sum(), pl.col("first").min(), pl.col("last").max()
    )
    for start, end, n, many in sorted(_stretches(cells.sort("at"), limits), key=lambda s: (-s[3], s[0])):
        rest = (stale - many) / max(lookups - n, 1)
        if (end - start).total_seconds() >= limits.hold_s and many / n >= limits.stale_times * rest and n < lookups / 2:
            return Entries(model, cache, lookups, stale, start, end, True, n, many)
    return Entries(model, cache, lookups, stale, frames.start, frames.end, False, lookups, stale)


def _micros(width: timedelta) -> int:
    return width // timedelta(microseconds=1)


def _stretches(cells: pl.DataFrame, limits: Limits) -> Iterator[tuple[datetime, datetime, int, int]]:
    """Yield start, end, lookups and stale answers of the runs of windows with a large share of stale ones."""
    high = pl.col("stale") >= limits.stale_much * pl.col("lookups")
    runs = cells.with_columns(high=high, run=high.rle_id()).filter("high").group_by("run", maintain_order=True)
    told = runs.agg(pl.col("first").min(), pl.col("last").max(), pl.col("lookups", "stale").sum())
    yield from told.select("first", "last", "lookups", "stale").iter_rows()
