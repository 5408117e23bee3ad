"""Steps back to an older version, gathered into episodes and told apart: regression, rollback or end of a canary.

The state rule of METHODS §4. Only the order of events on one replica counts, never that between replicas, so clocks
that differ do no harm. Three rules read these episodes; each speaks of its own verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

import polars as pl

from cachelog.contract.finding import Confidence
from cachelog.contract.limits import DEFAULT, Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.once import once

Verdict = Literal["regression", "rollback", "canary-abort"]


@dataclass(frozen=True, slots=True)
class Run:
    """One row of Frames.levels."""

    ord: int
    version: str
    start: datetime
    end: datetime
    source: int | None
    line: int | None
    observed: str


@dataclass(frozen=True, slots=True)
class Step:
    """A replica went from a newer version to an older one."""

    model: str
    replica: str
    newer: Run
    older: Run
    end: datetime  # when it had the newer version or a later one again, else its last sign of life
    recovered: bool
    seen_on: str  # the replica that had the newer version: itself, or a peer where its log begins with a start

    @property
    def start(self) -> datetime:
        """Return when the older version took over."""
        return self.older.start

    @property
    def dwell(self) -> float:
        """Return for how many seconds the newer version had been there."""
        return (self.older.start - self.newer.start).total_seconds()

    @property
    def held(self) -> float:
        """Return for how many seconds the older version stayed."""
        return (self.end - self.older.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Rollout:
    """A line in which somebody asks for a version."""

    ts: datetime
    version: str
    source: int
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Episode:
    """Steps of one model that belong together, and what they are."""

    model: str
    steps: tuple[Step, ...]  # by time, one a replica
    fleet: tuple[str, ...]  # replicas active for this model
    had: tuple[str, ...]  # of them, those that had had the newer version
    announced: Rollout | None
    verdict: Verdict
    basis: str

    @property
    def start(self) -> datetime:
        """Return when the first replica stepped back."""
        return min(step.start for step in self.steps)

    @property
    def end(self) -> datetime:
        """Return when the last replica was on the newer version again, or was last seen."""
        return max(step.end for step in self.steps)

    @property
    def ongoing(self) -> bool:
        """Return whether a replica still has the older version at the end of its log."""
        return not all(step.recovered for step in self.steps)

    @property
    def replicas(self) -> tuple[str, ...]:
        """Return the replicas that stepped back, sorted."""
        return tuple(sorted(step.replica for step in self.steps))

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the replicas that had the newer version and did not step back."""
        return tuple(r for r in self.had if r not in self.replicas)

    @property
    def started_stale(self) -> bool:
        """Return whether all its steps are starts with an older version than the fleet had by then."""
        return all(step.seen_on != step.replica for step in self.steps)

    @property
    def newer(self) -> str:
        """Return the newest version that was left."""
        return max(self.steps, key=lambda s: (s.newer.ord, s.replica)).newer.version

    @property
    def older(self) -> str:
        """Return the version that most replicas went back to, the oldest of equally many."""
        seen = [(s.older.ord, s.older.version) for s in self.steps]
        return min(set(seen), key=lambda pair: (-seen.count(pair), pair))[1]


@once
def runs(frames: Frames) -> Mapping[tuple[str, str], tuple[Run, ...]]:
    """Return Frames.levels by model and replica."""
    columns = ["model", "replica", *Run.__slots__]
    rows = frames.levels.select(columns).iter_rows()
    return {key: tuple(Run(*row[2:]) for row in mine) for key, mine in groupby(rows, key=lambda row: (row[0], row[1]))}


def rollouts(frames: Frames) -> Mapping[str, tuple[Rollout, ...]]:
    """Return the rollout lines by model, oldest first."""
    asked = frames.changes.filter((pl.col("op") == "rollout") & pl.col("version").is_not_null())
    found: dict[str, list[Rollout]] = {}
    columns = ["model", "ts", "version", "source", "line", "reason"]
    for model, ts, version, source, line, reason in asked.select(columns).iter_rows():
        found.setdefault(model, []).append(Rollout(ts, version, source, line, reason or ""))
    return {model: tuple(lines) for model, lines in found.items()}


def announcement(lines: Sequence[Rollout], version: str, at: datetime, limits: Limits) -> Rollout | None:
    """Return the rollout line that asks for `version` at the time `at`: only the latest before it counts."""
    slack, reach = timedelta(seconds=limits.clock_slack_s), timedelta(seconds=limits.announced_s)
    before = [line for line in lines if at - reach <= line.ts <= at + slack]
    return before[-1] if before and before[-1].version == version else None


@once
def flapping(frames: Frames, limits: Limits) -> Mapping[tuple[str, str], tuple[Run, ...]]:
    """Return, by model and replica, the runs of those that go back and forth.

    That is: limits.flap_changes changes within limits.flap_s, at least two of them steps back that nobody asked for.
    """
    asked = rollouts(frames)
    found: dict[tuple[str, str], tuple[Run, ...]] = {}
    for (model, replica), mine in runs(frames).items():
        changed = mine[1:]
        if not _dense([run.start for run in changed], limits.flap_changes, limits.flap_s):
            continue
        back = [new for old, new in zip(mine, changed, strict=False) if new.ord < old.ord]
        unasked = [r for r in back if not announcement(asked.get(model, ()), r.version, r.start, limits)]
        if len(unasked) >= limits.flap_changes // 2:
            found[model, replica] = mine
    return found


def _dense(times: Sequence[datetime], many: int, within: float) -> bool:
    return any((b - a).total_seconds() <= within for a, b in zip(times, times[many - 1 :], strict=False))


@once
def episodes(frames: Frames, limits: Limits) -> tuple[Episode, ...]:
    """Return all episodes, by model and time; what flaps is no part of them."""
    flaps = flapping(frames, limits)
    levels = runs(frames)
    asked = rollouts(frames)
    steps = [
        step
        for key, mine in levels.items()
        if key not in flaps
        for step in _steps(key, mine, asked.get(key[0], ()), limits)
    ]
    stepped = {(step.model, step.replica) for step in steps} | set(flaps)
    steps += _stale_starts({k: mine for k, mine in levels.items() if k not in stepped}, levels, frames, limits)
    steps.sort(key=lambda step: (step.model, step.start, step.replica))
    fleets = _fleets(frames)
    bases = dict(frames.order.select("model", "basis").unique(keep="first", maintain_order=True).iter_rows())
    return tuple(
        _judged(group, levels, fleets[group[0].model], asked.get(group[0].model, ()), bases[group[0].model], limits)
        for group in _grouped(steps, limits)
    )


def _fleets(frames: Frames) -> Mapping[str, tuple[str, ...]]:
    grouped = frames.replicas.group_by("model").agg(pl.col("replica").unique().sort())
    return {model: tuple(names) for model, names in grouped.iter_rows()}


def _steps(key: tuple[str, str], mine: Sequence[Run], asked: Sequence[Rollout], limits: Limits) -> Iterator[Step]:
    """Yield the steps back of one replica; what happens before it has recovered belongs to the step."""
    at = 1
    while at < len(mine):
        newer, older = mine[at - 1], mine[at]
        at += 1
        if older.ord >= newer.ord:
            continue
        while at < len(mine) and mine[at].ord < newer.ord:
            at += 1
        recovered = at < len(mine)
        short = recovered and (mine[at].start - older.start).total_seconds() < limits.hold_s
        if short and not announcement(asked, older.version, older.start, limits):
            continue  # a start that loads several versions one after the other, or a slow replacement
        yield Step(*key, newer, older, mine[at].start if recovered else mine[-1].end, recovered, seen_on=key[1])


def _stale_starts(
    candidates: Mapping[tuple[str, str], Sequence[Run]],
    levels: Mapping[tuple[str, str], Sequence[Run]],
    frames: Frames,
    limits: Limits,
) -> Iterator[Step]:
    """Yield replicas whose log begins with a start, and that then loaded an older version than their peers had.

    `kubectl logs` and overwritten files show only what came after a restart: the newer version that the replica had
    before is not in its own log. Peers stand in: at least half of those running then had held it for limits.dwell_s.
    One that gets the newer version within limits.hold_s was just not its turn yet in a rollout.
    """
    begun = _begun_by_start(frames)
    by_model: dict[str, dict[str, Sequence[Run]]] = {}
    for (model, replica), mine in levels.items():
        by_model.setdefault(model, {})[replica] = mine
    for (model, replica), mine in sorted(candidates.items()):
        first = mine[0]
        if begun.get(replica) is None or begun[replica] > first.start:
            continue
        peers = {r: _at(theirs, first.start) for r, theirs in by_model[model].items() if r != replica}
        alive = {r: run for r, run in peers.items() if run}
        settled = {r: run for r, run in alive.items() if _held(run, first.start) >= limits.dwell_s}
        seen_on = min(settled, key=lambda r: (-settled[r].ord, settled[r].start, r), default=None)
        if seen_on is None or settled[seen_on].ord <= first.ord:
            continue
        newer = settled[seen_on]
        again = next((run for run in mine if run.ord >= newer.ord), None)
        step = Step(model, replica, newer, first, again.start if again else mine[-1].end, again is not None, seen_on)
        many = sum(run.ord >= newer.ord for run in alive.values())
        if 2 * many >= len(alive) and (not step.recovered or step.held >= limits.hold_s):
            yield step


def _begun_by_start(frames: Frames) -> Mapping[str, datetime]:
    """Return the replicas that appear after the log began, with a start or a load as their first sign, and when."""
    signs = (
        frames.changes.filter(pl.col("replica").is_not_null())
        .group_by("replica")
        .agg(pl.col("ts").first(), pl.col("op").first())
    )
    served = frames.totals.group_by("replica").agg(served=pl.col("first").min())
    late = signs.join(served, on="replica", how="left").filter(
        pl.col("op").is_in(["restart", "load_start", "load"])
        & (pl.col("ts") > frames.start)
        & (pl.col("served").is_null() | (pl.col("served") >= pl.col("ts")))
    )
    return dict(late.select("replica", "ts").iter_rows())


def _at(mine: Sequence[Run], time: datetime) -> Run | None:
    return next((run for run in mine if run.start <= time < run.end), None)


def _held(run: Run, until: datetime) -> float:
    return (until - run.start).total_seconds()


def _grouped(steps: Sequence[Step], limits: Limits) -> Iterator[tuple[Step, ...]]:
    """Split sorted steps into episodes: another model, a long pause, or a replica that steps back again."""
    group: list[Step] = []
    for step in steps:
        if group and (
            step.model != group[-1].model
            or (step.start - group[-1].start).total_seconds() > limits.episode_gap_s
            or step.replica in {s.replica for s in group}
        ):
            yield tuple(group)
            group = []
        group.append(step)
    if group:
        yield tuple(group)


def _judged(
    steps: tuple[Step, ...],
    levels: Mapping[tuple[str, str], tuple[Run, ...]],
    fleet: tuple[str, ...],
    asked: Sequence[Rollout],
    basis: str,
    limits: Limits,
) -> Episode:
    model, rank = steps[0].model, min(step.newer.ord for step in steps)
    last = max(step.start for step in steps)
    had = tuple(r for r in fleet if any(run.ord >= rank and run.start <= last for run in levels.get((model, r), ())))
    targets = sorted({step.older.version for step in steps})
    lines = [announcement(asked, version, steps[0].start, limits) for version in targets]
    announced = next((line for line in lines if line), None)
    affected = len({*had, *(step.replica for step in steps)})
    return Episode(model, steps, fleet, had, announced, _verdict(steps, fleet, affected, announced, limits), basis)


def _verdict(
    steps: Sequence[Step], fleet: Sequence[str], affected: int, announced: Rollout | None, limits: Limits
) -> Verdict:
    """Tell an episode by who went along; `affected` replicas had the newer version, or should have it.

    A fleet of one cannot show that the rest stayed: only an announcement makes its step back a rollback.
    """
    if announced:
        return "rollback"
    if len(fleet) > 1 and affected <= max(1, limits.canary_share * len(fleet)) and len(steps) >= affected:
        return "canary-abort"
    if len(fleet) > 1 and len(steps) >= limits.fleet_share * affected:
        return "rollback"
    return "regression"


def certainty(episode: Episode, limits: Limits) -> Confidence:
    """High: both versions held as long as METHODS §4 asks; medium: as long as this log allows; low: shorter.

    A fleet of one cannot show that the others stayed, and an order only observed, or a newer version only seen on
    peers, is never certain.
    """
    held, dwell = max(s.held for s in episode.steps), max(s.dwell for s in episode.steps)
    if len(episode.fleet) == 1:
        return Confidence.LOW
    if held >= DEFAULT.hold_s and dwell >= DEFAULT.dwell_s:
        return Confidence.MEDIUM if episode.basis == "observed" or episode.started_stale else Confidence.HIGH
    return Confidence.MEDIUM if held >= limits.hold_s and dwell >= limits.dwell_s else Confidence.LOW
