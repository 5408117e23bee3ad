"""Which versions of a model were on which replica, when: from loads and unloads, and from the versions that lookups
were served with (METHODS §4).

A version is resident from its load to its unload, its eviction or the restart of the process, and wherever it served
lookups. The level of a replica is the newest of its resident versions: an old version beside a newer one, loaded on
demand, in any order at a start, or kept by policy, does not lower it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

import polars as pl

from cachelog.contract.event import EVENT, SWITCHED
from cachelog.contract.limits import Limits
from cachelog.metrics.service import spells
from cachelog.versions.order import order

_LABELS = ("replica", "cache", "model", "version")

LEVELS: pl.Schema = pl.Schema(
    {
        "model": pl.String(),
        "replica": pl.String(),
        "ord": pl.Int32(),
        "version": pl.String(),
        "start": pl.Datetime("us", "UTC"),
        "end": pl.Datetime("us", "UTC"),
        "source": pl.UInt32(),  # null with `line` where lookups, not a line of their own, began the run
        "line": pl.UInt64(),
        "observed": pl.String(),
    }
)


def changes(events: pl.DataFrame) -> pl.DataFrame:
    """Return the events that have a time, labels as String, by time, source and line."""
    labels = [pl.col(name).cast(pl.String) for name in (*_LABELS, "op", "outcome")]
    timed = events.filter(pl.col("ts").is_not_null())
    return timed.with_columns(labels).select(list(EVENT)).sort("ts", "source", "line", "version")


def replicas(totals: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Return Frames.replicas: model, replica, first, last, lookups, loads."""
    asked = totals.group_by("model", "replica").agg(
        pl.col("first").min(), pl.col("last").max(), pl.col("lookups").sum(), loads=pl.lit(0, pl.Int64)
    )
    loaded = (
        changed.filter(pl.col("model").is_not_null())
        .group_by("model", "replica")
        .agg(
            first=pl.col("ts").min(),
            last=pl.col("ts").max(),
            lookups=pl.lit(0, pl.Int64),
            loads=(pl.col("op") == "load").sum().cast(pl.Int64),
        )
    )
    both = pl.concat([asked, loaded]).filter(pl.col("replica").is_not_null())
    return (
        both.group_by("model", "replica")
        .agg(pl.col("first").min(), pl.col("last").max(), pl.col("lookups", "loads").sum())
        .sort("model", "replica")
    )


def ordered(
    totals: pl.DataFrame, changed: pl.DataFrame, active: pl.DataFrame, start: datetime, end: datetime,
    declared: Sequence[str] = (),
) -> pl.DataFrame:  # fmt: skip
    """Return Frames.order: model, version, ord, basis, for every label seen in lookups or loads."""
    seen = _taken_up(_first_seen(totals, changed), active, start, end)
    labels: dict[str, dict[str, float | None]] = {}
    for model, version, time in seen.sort("model", "version").iter_rows():
        labels.setdefault(model, {})[version] = time
    rows: list[tuple[str, str, int | None, str]] = []
    for model, times in labels.items():
        found = order(list(times), declared, times)
        rows += [(model, label, found.ranks[label], found.basis) for label in times]
    schema = pl.Schema({"model": pl.String(), "version": pl.String(), "ord": pl.Int32(), "basis": pl.String()})
    return pl.DataFrame(rows, schema=schema, orient="row")


def _first_seen(totals: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """model, version, replica, first: when a replica first had a version, or was asked for it."""
    named = pl.col("model").is_not_null() & pl.col("version").is_not_null()
    served = totals.filter(named).select("model", "version", "replica", "first")
    had = changed.filter(named & pl.col("op").is_in(["load", "unload", "evict", "rollout"]))
    return pl.concat([served, had.select("model", "version", "replica", first="ts")]).group_by(
        "model", "version", "replica"
    ).agg(pl.col("first").min())  # fmt: skip


_OPENING = 0.05  # of the period: what is there from the start replaced nothing that this log saw


def _taken_up(first: pl.DataFrame, active: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """model, version, seconds: when the majority of the model's replicas had the version; null: never.

    All versions of the opening of the log get the same time: this log does not know their order.
    """
    many = active.group_by("model").agg(fleet=pl.len())
    opening = (end - start).total_seconds() * _OPENING
    ranked = (
        first.filter(pl.col("replica").is_not_null())
        .join(many, on="model", how="left")
        .sort("model", "version", "first")
        .with_columns(place=pl.int_range(1, pl.len() + 1).over("model", "version"))
        .filter(pl.col("place") == (pl.col("fleet") + 1) // 2)
        .with_columns(seconds=((pl.col("first") - start).dt.total_microseconds() / 1e6).clip(opening))
    )
    labels = first.select("model", "version").unique()
    return labels.join(ranked.select("model", "version", "seconds"), on=["model", "version"], how="left")


@dataclass(frozen=True, slots=True)
class _Turn:
    """A version becomes resident (`on`) or goes; `line` names what said so, None for served lookups."""

    ts: datetime
    ord: int
    on: bool
    by: str  # "load" or "lookup": each keeps its own account of what is resident
    source: int | None
    line: int | None


@dataclass(slots=True)
class _Run:
    """A stretch of time with one level; mutable while runs are merged."""

    ord: int
    start: datetime
    end: datetime
    source: int | None
    line: int | None
    by: str
    emptied: bool = False  # it ended with nothing resident: a shutdown, not the end of the log


def levels(
    counts: pl.DataFrame, changed: pl.DataFrame, ranks: pl.DataFrame, active: pl.DataFrame, end: datetime,
    limits: Limits,
) -> pl.DataFrame:  # fmt: skip
    """Return Frames.levels: runs of the newest resident version of each model on each replica."""
    turns = _turns(counts, changed, ranks, limits)
    ends = _ends(active, end)
    labels = {(m, o): v for m, v, o, _ in ranks.sort("version").iter_rows() if o is not None}
    rows = [
        (model, replica, run.ord, labels[model, run.ord], run.start, run.end, run.source, run.line, run.by)
        for (model, replica), mine in sorted(turns.items())
        for run in _steady(_runs(mine, ends[model, replica]), limits)
    ]
    return pl.DataFrame(rows, schema=LEVELS, orient="row").sort("model", "replica", "start")


def _ends(active: pl.DataFrame, end: datetime) -> Mapping[tuple[str, str], datetime]:
    """Until when a replica is known to be there: its last lookup of any model, else the last sign of its peers."""
    served = active.group_by("replica").agg(last=pl.col("last").max(), lookups=pl.col("lookups").sum())
    known = {replica: last for replica, last, lookups in served.iter_rows() if lookups}
    peers = active.with_columns(pl.col("last").max().over("replica")).group_by("model").agg(pl.col("last").max())
    shared = {model: min(last, end) for model, last in peers.iter_rows()}
    pairs = active.select("model", "replica").iter_rows()
    return {(model, replica): known.get(replica, shared[model]) for model, replica in pairs}


def _turns(
    counts: pl.DataFrame, changed: pl.DataFrame, ranks: pl.DataFrame, limits: Limits
) -> dict[tuple[str, str], list[_Turn]]:
    turns: dict[tuple[str, str], list[_Turn]] = {}
    for key, turn in _loaded(changed, ranks, limits):
        turns.setdefault(key, []).append(turn)
    for key, turn in _served(counts, changed, ranks, limits):
        turns.setdefault(key, []).append(turn)
    for mine in turns.values():
        mine.sort(key=lambda t: (t.ts, t.on, t.by, t.line or 0, t.ord))
    return turns


def _loaded(changed: pl.DataFrame, ranks: pl.DataFrame, limits: Limits) -> Iterator[tuple[tuple[str, str], _Turn]]:
    """Turns out of load, unload, evict and restart lines."""
    told = _told(changed, ranks)
    silent = _silent(told)
    boots = changed.filter((pl.col("op") == "restart") & pl.col("replica").is_not_null())
    pairs = told.select("model", "replica").unique()
    restarts = boots.drop("model").join(pairs, on="replica").with_columns(ord=pl.lit(None, pl.Int32))
    columns = ["model", "replica", "ts", "source", "line", "op", "ord"]
    table = pl.concat([told.select(columns), restarts.select(columns), _switched(changed, ranks).select(columns)])
    table = table.sort("model", "replica", "ts", "source", "line", "ord", nulls_last=False)
    for key, rows in groupby(table.iter_rows(), key=lambda row: (row[0], row[1])):
        yield from ((key, turn) for turn in _resident(list(rows), key in silent, limits))


def _told(changed: pl.DataFrame, ranks: pl.DataFrame) -> pl.DataFrame:
    """The loads, unloads and evictions of models, with the rank of their version."""
    lines = changed.filter(pl.col("op").is_in(["load", "unload", "evict"]) & pl.col("model").is_not_null())
    return lines.join(
        ranks.select("model", "version", "ord"), on=["model", "version"], how="left", maintain_order="left"
    )


def _switched(changed: pl.DataFrame, ranks: pl.DataFrame) -> pl.DataFrame:
    """The lines in which a server itself says which version it answers with from now on, as `load` lines with op null.

    They name no replica, but stand among the loads of one.
    """
    own = changed.filter((pl.col("op") == "load") & pl.col("replica").is_not_null())
    alone = own.group_by("source", "model").agg(pl.col("replica").unique()).filter(pl.col("replica").list.len() == 1)
    lines = changed.filter((pl.col("op") == "rollout") & (pl.col("reason") == SWITCHED)).drop("replica")
    whose = lines.join(alone.explode("replica"), on=["source", "model"]).with_columns(
        op=pl.lit(None, changed.schema["op"])
    )
    return whose.join(ranks.select("model", "version", "ord"), on=["model", "version"])


_FEW_SILENT = 0.2  # of a model's replicas


def _silent(told: pl.DataFrame) -> frozenset[tuple[str, str]]:
    """Replicas whose log holds no unloads, so that a load must be taken to replace what was there.

    Where only a few of a model's replicas lack them, these replicas just did not unload anything yet.
    """
    own = told.group_by("model", "replica").agg(out=pl.col("op").is_in(["unload", "evict"]).any())
    share = own.group_by("model").agg(lack=1 - pl.col("out").mean())
    lacking = own.join(share, on="model").filter(~pl.col("out") & (pl.col("lack") > _FEW_SILENT))
    return frozenset(lacking.select("model", "replica").iter_rows())


_Row = tuple[str, str, datetime, int, int, str | None, int | None]


def _resident(rows: Sequence[_Row], replaces: bool, limits: Limits) -> Iterator[_Turn]:
    """Turn the lines of one model on one replica into what became resident and what went."""
    since: dict[int, datetime] = {}
    for _, _, ts, source, line, op, rank in rows:
        if op == "restart":
            yield from (_Turn(ts, other, False, "load", source, line) for other in sorted(since))
            since.clear()
        elif rank is None:
            continue
        elif op is None:
            if rank in since:  # the others may stay in memory, but are asked for by their number only
                yield from (_Turn(ts, other, False, "load", source, line) for other in sorted(since) if other != rank)
                yield _Turn(ts, rank, True, "load", source, line)
        elif op == "load":
            if replaces:
                # versions loaded in one burst are served side by side: a start of a server with several of them
                old = [o for o, at in since.items() if o != rank and (ts - at).total_seconds() > limits.skew_s]
                yield from (_Turn(ts, other, False, "load", source, line) for other in sorted(old))
                since = {o: at for o, at in since.items() if o not in old}
            since[rank] = ts
            yield _Turn(ts, rank, True, "load", source, line)
        elif since.pop(rank, None) is not None:
            yield _Turn(ts, rank, False, "load", source, line)


def _served(
    counts: pl.DataFrame, changed: pl.DataFrame, ranks: pl.DataFrame, limits: Limits
) -> Iterator[tuple[tuple[str, str], _Turn]]:
    """Turns out of lookups: a version that was served is resident until others are asked for in its place."""
    for model, replica, rank, first, last, over in spells(counts, ranks, _removals(changed, ranks, limits)).iter_rows():
        yield (model, replica), _Turn(first, rank, True, "lookup", None, None)
        if over:  # after it began, also where a single lookup is all that was served
            yield (model, replica), _Turn(max(last, first + _INSTANT), rank, False, "lookup", None, None)


_INSTANT = timedelta(microseconds=1)


def _removals(changed: pl.DataFrame, ranks: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """model, replica, ord, ts: when a line says that a version is no longer resident on a replica."""
    told = _told(changed, ranks)
    known = ranks.select("model", "ord").drop_nulls("ord").unique()
    out = told.filter(pl.col("op").is_in(["unload", "evict"])).drop_nulls("ord")
    boots = changed.filter((pl.col("op") == "restart") & pl.col("replica").is_not_null()).select("replica", "ts")
    silent = pl.DataFrame(
        sorted(_silent(told), key=str), schema={"model": pl.String, "replica": pl.String}, orient="row"
    )
    loads = told.filter(pl.col("op") == "load").join(silent, on=["model", "replica"]).rename({"ord": "loaded"})
    ended = pl.col("ts") + pl.duration(milliseconds=round(1000 * limits.in_flight_s))
    switched = _switched(changed, ranks).rename({"ord": "loaded"}).with_columns(ended)
    columns = ["model", "replica", "loaded", "ts"]
    instead = pl.concat([loads.select(columns), switched.select(columns)])
    replaced = instead.join(known, on="model").filter(pl.col("ord") != pl.col("loaded"))
    columns = ["model", "replica", "ord", "ts"]
    return pl.concat([out.select(columns), boots.join(known, how="cross").select(columns), replaced.select(columns)])


def _runs(turns: Sequence[_Turn], end: datetime) -> list[_Run]:
    """Follow the newest resident version; while nothing is resident the last level stands, but does not last."""
    held: dict[tuple[str, int], bool] = {}
    runs: list[_Run] = []
    empty_since: datetime | None = None
    for ts, group in groupby(turns, key=lambda turn: turn.ts):
        together = list(group)
        for turn in together:
            if turn.on:
                held[turn.by, turn.ord] = True
            else:
                held.pop((turn.by, turn.ord), None)
        if not held:
            empty_since = ts
            continue
        empty_since = None
        top = max(rank for _, rank in held)
        if not runs or runs[-1].ord != top:
            runs.append(_begun(top, ts, end, together))
    for before, after in pairwise(runs):
        before.end = after.start
    if runs and empty_since is not None and empty_since > runs[-1].start:
        runs[-1].end = max(min(runs[-1].end, end), empty_since) if runs[-1].by == "lookup" else empty_since
        runs[-1].emptied = True
    return runs


def _begun(top: int, ts: datetime, end: datetime, together: Sequence[_Turn]) -> _Run:
    """A run is named by the line that loads its version, else by one that takes the newer away."""
    told = [t for t in together if t.line is not None]
    told.sort(key=lambda t: not (t.on and t.ord == top))
    line = told[0] if told else None
    by = "load" if line else "lookup"
    return _Run(top, ts, max(end, ts), line.source if line else None, line.line if line else None, by)


def _steady(runs: list[_Run], limits: Limits) -> list[_Run]:
    """Drop runs shorter than the skew of clocks and the overlap of a rollout, and merge what then touches.

    The last run stays when a load began it and the log ends on it: how long it will hold nobody knows yet.
    """
    merged = _merged(runs)
    last = merged[-1:] if merged and merged[-1].by == "load" and not merged[-1].emptied else []
    long = [run for run in merged if (run.end - run.start).total_seconds() >= limits.skew_s or run in last]
    return _merged(long)


def _merged(runs: Sequence[_Run]) -> list[_Run]:
    kept: list[_Run] = []
    for run in runs:
        if kept and kept[-1].ord == run.ord:
            kept[-1].end, kept[-1].emptied = run.end, run.emptied
        else:
            if kept:
                kept[-1].end = max(kept[-1].end, run.start)
            kept.append(run)
    return kept
