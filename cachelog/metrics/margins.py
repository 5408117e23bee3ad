"""Up to which error of clocks a finding about versions holds (NOVEL 6).

Clocks of replicas, and that of whoever asks for versions, may be off by constants. What lines of one file say of one
replica keeps its order whatever they are. What is held against other replicas, or against a rollout line, changes once
a difference of clocks is as large as the time in between: the least such difference is the margin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Number
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting
from cachelog.metrics.episodes import Episode, Rollout, Run, Step, announcement, rollouts, runs
from cachelog.metrics.lines import served_line
from cachelog.metrics.staleness import Stale

_LOOKED_AT = 20  # replicas with stale answers; more are alike


@dataclass(frozen=True, slots=True)
class Margin:
    """`seconds`: clocks may be off by less, infinite for any error; `in_files`: lines prove each replica's order."""

    seconds: float
    in_files: bool

    @property
    def numbers(self) -> dict[str, Number]:
        """Return the figures of a finding; None seconds: whatever the clocks."""
        held = None if math.isinf(self.seconds) else round(max(0.0, self.seconds), 3)
        return {"holds_up_to_skew_seconds": held, "order_within_a_file": self.in_files}

    @property
    def said(self) -> str:
        """Return the sentence on it."""
        if math.isinf(self.seconds):
            return "It holds whatever the clocks: it is the order of lines within files."
        if self.seconds < 1.0:
            return "It holds only where clocks agree to the second."
        which = "The order of lines proves the step; the rest holds" if self.in_files else "It holds"
        return f"{which} while clocks are off by less than {lasting(math.floor(max(0.0, self.seconds)))}."


def of_episode(episode: Episode, events: Events, frames: Frames, limits: Limits) -> Margin:
    """Return the margin of a regression, a rollback or the end of a canary."""
    own = [s for s in episode.steps if s.seen_on == s.replica]
    pairs = {s.replica: (s.newer, s.older) for s in own}
    unproven = [s for s in own if s.replica not in in_one_file(episode.model, pairs, events, frames)]
    held = [s.dwell for s in unproven]
    held += [_peers(s, runs(frames), limits) for s in episode.steps if s.seen_on != s.replica]
    asked = rollouts(frames).get(episode.model, ())
    told = min(_until_announced(asked, v, episode, limits) for v in {s.older.version for s in episode.steps})
    if episode.verdict == "regression":
        held += [told, _others(episode, runs(frames), limits)]
    else:
        held.append(max(told if episode.announced else 0.0, _together(episode, limits)))
    return Margin(min(held, default=math.inf), not unproven and len(own) == len(episode.steps))


def _peers(step: Step, levels: Mapping[tuple[str, str], Sequence[Run]], limits: Limits) -> float:
    """Return by how much the replica's clock may be off until less than half of its peers had the newer version."""
    at = step.older.start
    alive = [
        next((run for run in mine if run.start <= at < run.end), None)
        for (model, replica), mine in levels.items()
        if model == step.model and replica != step.replica
    ]
    held = sorted((at - run.start).total_seconds() for run in alive if run and run.ord >= step.newer.ord)
    needed = -(-sum(run is not None for run in alive) // 2)
    return held[-needed] - limits.dwell_s if 0 < needed <= len(held) else 0.0


def _others(episode: Episode, levels: Mapping[tuple[str, str], Sequence[Run]], limits: Limits) -> float:
    """Return by how much clocks may differ until too few of the others had the newer version before the last step."""
    if len(episode.fleet) == 1:
        return math.inf
    last, steps = max(s.start for s in episode.steps), len(episode.steps)
    rank = min(s.newer.ord for s in episode.steps)
    needed = math.floor(steps / limits.fleet_share) + 1 - steps
    needed = max(needed, math.floor(max(1, limits.canary_share * len(episode.fleet))) + 1 - steps)
    had = {name: [run.start for run in levels[episode.model, name] if run.ord >= rank] for name in episode.kept}
    since = sorted((last - min(starts)).total_seconds() for starts in had.values())
    return since[-needed] if 0 < needed <= len(since) else 0.0


def _until_announced(asked: Sequence[Rollout], version: str, episode: Episode, limits: Limits) -> float:
    """Return by how much the clock of rollout lines may be off until one announces a step, or none does any more."""
    at = min(s.start for s in episode.steps)
    now = announcement(asked, version, at, limits) is not None
    edges = [
        (at + bound - line.ts).total_seconds()
        for line in asked
        for bound in (timedelta(seconds=limits.clock_slack_s), -timedelta(seconds=limits.announced_s))
    ]
    for edge in sorted(edges, key=abs):
        for by in (edge - 1e-3, edge, edge + 1e-3):
            moved = [replace(line, ts=line.ts + timedelta(seconds=by)) for line in asked]
            if (announcement(moved, version, at, limits) is not None) != now:
                return abs(edge)
    return math.inf


def _together(episode: Episode, limits: Limits) -> float:
    """Return by how much clocks may differ until steps of one episode would be two."""
    times = sorted(s.start for s in episode.steps)
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    return limits.episode_gap_s - max(gaps) if gaps else math.inf


def in_one_file(model: str, pairs: Mapping[str, tuple[Run, Run]], events: Events, frames: Frames) -> frozenset[str]:
    """Return the replicas of which one file shows both runs, the first before the second by its lines."""
    known = {
        r
        for r, (a, b) in pairs.items()
        if a.source is not None and a.source == b.source and (a.line or 0) < (b.line or 0)
    }
    open_ = {r: pair for r, pair in pairs.items() if r not in known and None in (pair[0].line, pair[1].line)}
    return frozenset(known | (_served_in_order(model, open_, events, frames) if open_ else set()))


def _served_in_order(model: str, pairs: Mapping[str, tuple[Run, Run]], events: Events, frames: Frames) -> set[str]:
    """Return the replicas of which the lines of both runs, loads and lookups, are in one file and in their order."""
    told = [(r, a.version, b.version, a.start, b.start) for r, (a, b) in pairs.items()]
    names = ("replica", "first", "second", "since", "turn")
    schema = pl.Schema(dict.fromkeys(names[:3], pl.String()) | dict.fromkeys(names[3:], pl.Datetime("us", "UTC")))
    wanted = pl.DataFrame(told, schema=schema, orient="row")
    labels = [pl.col(name).cast(pl.String) for name in ("replica", "version")]
    served = events.of(model).filter(pl.col("op") == "lookup").select("ts", "source", "line", *labels)
    mine = frames.changes.filter((pl.col("op") == "load") & (pl.col("model") == model))
    lines = pl.concat([served, mine.lazy().select("ts", "source", "line", "replica", "version")])
    near = lines.join(wanted.lazy(), on="replica")
    before = (
        (pl.col("version") == pl.col("first")) & (pl.col("ts") >= pl.col("since")) & (pl.col("ts") < pl.col("turn"))
    )
    after = (pl.col("version") == pl.col("second")) & (pl.col("ts") >= pl.col("turn"))
    ends = (
        getattr(pl.col("line").filter(which), end)().alias(f"{name}_{end}")
        for name, which in (("old", before), ("new", after))
        for end in ("min", "max")
    )
    sums = near.group_by("replica").agg(*ends, files=pl.col("source").filter(before | after).n_unique()).collect()
    in_order = (pl.col("old_min") < pl.col("new_min")) & (pl.col("old_max") < pl.col("new_max"))
    proven = sums.filter((pl.col("files") == 1) & in_order)
    return set(proven["replica"].to_list())


def of_flapping(model: str, mine: Mapping[str, Sequence[Run]], events: Events, frames: Frames) -> Margin:
    """Return the margin of changes back and forth: each replica's own lines show them."""
    ends = {replica: (changed[0], changed[-1]) for replica, changed in mine.items()}
    proven = in_one_file(model, ends, events, frames)
    rest = [
        (b.start - a.start).total_seconds()
        for replica, changed in mine.items()
        if replica not in proven
        for a, b in pairwise(changed)
    ]
    return Margin(min(rest, default=math.inf), not rest)


def of_stale(mine: Sequence[Stale], events: Events) -> Margin:
    """Return the margin of answers of an older version after the line that says the newer was loaded there."""
    margins = [_after(s, events) for s in mine[:_LOOKED_AT]]
    least = min(m.seconds for m in margins)
    return Margin(least, all(m.in_files for m in margins))


def _after(one: Stale, events: Events) -> Margin:
    served = served_line(events, one.model, one.replica, one.older, since=one.first, role="")
    if served and served.source == one.source and served.line > one.line:
        return Margin(math.inf, True)
    return Margin((one.first - one.loaded).total_seconds(), False)
