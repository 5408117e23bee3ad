"""Is what was deployed where it should be: every replica has the version and answers with it; all have the same one."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import polars as pl

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed

_OPENING = 0.05  # of the log: a replica that was there so early took nobody's place
_ENDING = 0.1  # of the log: a replica silent for longer before its end has left


@dataclass(frozen=True, slots=True)
class Expected:
    """A version that replicas of a model are to have."""

    model: str
    version: str
    replicas: str = "*"  # a glob of names


@dataclass(frozen=True, slots=True)
class State:
    """One replica of a model at the end of the log."""

    replica: str
    version: str | None  # the newest resident one; None: not known
    since: datetime | None
    answered: Mapping[str, int]  # version -> lookups since it has this version, as far as lines name one
    lookups: int  # ... and of any version or none


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """How far an expectation holds; True, False, or None where the logs do not tell."""

    holds: bool | None
    sentence: str
    replicas: int
    as_expected: int


def states(frames: Frames, model: str, limits: Limits) -> list[State]:
    """Return the replicas of a model that are still there at the end, by name.

    One that fell silent has left; so has one that says nothing more since another came that took its place.
    """
    told = pl.concat([frames.totals.select("replica", "last"), frames.changes.select("replica", last="ts")])
    signs = dict(told.drop_nulls().group_by("replica").agg(pl.col("last").max()).iter_rows())
    runs = _last_runs(frames, model)
    mine = frames.replicas.filter(pl.col("model") == model).sort("replica")
    span = (frames.end - frames.start).total_seconds()
    opening, late = _OPENING * span, max(limits.hold_s, _ENDING * span)
    came = max((t for t in mine["first"] if (t - frames.start).total_seconds() > opening), default=frames.start)
    silent = {r for r, lookups in mine.select("replica", "lookups").iter_rows() if not lookups}  # loads leave no trail
    alive = [
        r
        for r in mine["replica"]
        if r in silent or (signs[r] >= came and (frames.end - signs[r]).total_seconds() <= late)
    ]
    return [_state(frames, model, name, runs.get(name), limits) for name in alive]


def _last_runs(frames: Frames, model: str) -> dict[str, tuple[str, datetime]]:
    """Return the version that each replica has at the end, and since when; from loads and lookups where no order is."""
    mine = frames.levels.filter(pl.col("model") == model).sort("replica", "start")
    if mine.height:
        last = mine.group_by("replica", maintain_order=True).last()
        return {r: (v, t) for r, v, t in last.select("replica", "version", "start").iter_rows()}
    loads = frames.changes.filter((pl.col("model") == model) & (pl.col("op") == "load"))
    served = frames.counts.filter(pl.col("model") == model).select("replica", "version", ts="first")
    seen = pl.concat([loads.select("replica", "version", "ts"), served]).drop_nulls()
    firsts = seen.group_by("replica", "version").agg(pl.col("ts").min()).sort("replica", "ts", "version")
    return {replica: (str(rows[-1][1]), rows[-1][2]) for replica, rows in _grouped(firsts.rows())}


def _grouped(rows: Sequence[tuple[str, str, datetime]]) -> list[tuple[str, list[tuple[str, str, datetime]]]]:
    return [(name, list(group)) for name, group in groupby(rows, key=lambda row: row[0])]


def _state(frames: Frames, model: str, replica: str, run: tuple[str, datetime] | None, limits: Limits) -> State:
    since = run[1] if run else frames.start
    settled = since + timedelta(seconds=limits.stale_grace_s) if since > frames.start else since
    mine = frames.counts.filter(
        (pl.col("model") == model) & (pl.col("replica") == replica) & (pl.col("cache") != "model")
        & (pl.col("last") >= since)
    )  # fmt: skip
    own = pl.col("version") == (run[0] if run else "")
    counted = mine.filter(own | (pl.col("w") >= settled)).group_by("version").agg(pl.col("lookups").sum())
    named = counted.drop_nulls().filter(pl.col("lookups") > 0).sort("version")
    return State(
        replica, run[0] if run else None, run[1] if run else None,
        dict(named.iter_rows()), int(counted["lookups"].sum()),
    )  # fmt: skip


def fulfilled(frames: Frames, wanted: Expected, limits: Limits) -> Fulfilment:
    """Tell whether every replica has loaded a version and answers with it."""
    every = states(frames, wanted.model, limits)
    mine = [s for s in every if fnmatch.fnmatchcase(s.replica, wanted.replicas)]
    if not mine:
        seen = f"its replicas are {listed([s.replica for s in every], 5)}" if every else "the logs do not name it"
        return Fulfilment(None, f"no replica {wanted.replicas!r} of {wanted.model}; {seen}", 0, 0)
    other = [s for s in mine if s.version not in (None, wanted.version)]
    answers = [s for s in mine if s.version == wanted.version and set(s.answered) - {wanted.version}]
    unknown = [s for s in mine if s.version is None]
    named = any(s.answered for s in every)
    waiting = [s for s in mine if s.version == wanted.version and named and not s.answered]
    good = len(mine) - len({s.replica for s in (*other, *answers, *unknown, *waiting)})
    holds = False if other or answers else None if unknown or waiting else True
    said = f"{good} of {len(mine)} replicas have {wanted.model} {wanted.version}"
    said += " and answer with it" if named else "" if any(s.lookups for s in mine) else " loaded"
    return Fulfilment(holds, said + _but(other, answers, unknown, waiting, named), len(mine), good)


def _but(
    other: Sequence[State], answers: Sequence[State], unknown: Sequence[State], waiting: Sequence[State], named: bool
) -> str:
    parts = []
    for version, group in groupby(sorted(other, key=lambda s: (s.version or "", s.replica)), key=lambda s: s.version):
        parts.append(f"{listed([s.replica for s in group], 5)} still on {version}")
    for one in answers[:5]:
        wrong = {v: n for v, n in one.answered.items() if v != one.version}
        parts.append(f"{one.replica} has it, but {sum(wrong.values()):,} lookups got {listed(sorted(wrong), 3)}")
    if unknown:
        parts.append(f"no line tells the version of {listed([s.replica for s in unknown], 5)}")
    if waiting:
        parts.append(f"{listed([s.replica for s in waiting], 5)} loaded it and answered nothing yet")
    if not named:
        parts.append("lookups do not name the version that answers")
    return f"; {'; '.join(parts)}" if parts else ""


def converged(
    frames: Frames, model: str, deployed: datetime | None, within: timedelta, limits: Limits
) -> Fulfilment:  # fmt: skip
    """Tell whether all replicas of a model got to one version within a time of the deploy."""
    mine = [s for s in states(frames, model, limits) if s.version is not None]
    versions = sorted({str(s.version) for s in mine})
    since = deployed or frames.start
    latest = max((s.since for s in mine if s.since), default=since)
    if len(versions) <= 1:
        took = max(latest - since, timedelta(0)) if deployed else timedelta(0)
        said = f"all {len(mine)} replicas of {model} have {versions[0] if versions else 'no known version'}"
        if not versions:
            return Fulfilment(None, f"no line tells a version of {model}", 0, 0)
        if not deployed:
            return Fulfilment(True, f"{said} all along", len(mine), len(mine))
        said = f"{said} {lasting(took.total_seconds())} after the deploy ({lasting(within.total_seconds())} allowed)"
        return Fulfilment(took <= within, said, len(mine), len(mine))
    count = {v: sum(s.version == v for s in mine) for v in versions}
    passed = frames.end - since
    said = f"{model} is not on one version: {', '.join(f'{n} replicas on {v}' for v, n in count.items())}"
    said += f" {lasting(passed.total_seconds())} after the deploy" if deployed else " throughout"
    told = f"{said} ({lasting(within.total_seconds())} allowed)"
    return Fulfilment(False if passed > within or not deployed else None, told, len(mine), max(count.values()))
