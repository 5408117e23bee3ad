"""How a newer version spread over the replicas of a model, and who was left behind (METHODS §4: skew, stuck rollout).

The state at the end of the log is read per replica, from Frames.levels. Where labels have no order (digests), the one
that came later in this log counts as the newer, for that is what a rollout is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

import polars as pl

from cachelog.contract.counted import Counted, everywhere
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.episodes import Rollout, Run, episodes, flapping, rollouts, runs
from cachelog.metrics.residency import levels
from cachelog.versions.order import ALIASES

Verdict = Literal["stuck", "canary", "arms", "standing", "leftover", "under way"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPENING = 0.05  # of the log: what is there from the start was taken up by nobody in this log
_ENDING = 0.1  # of the log: a replica silent for longer before its end has left


@dataclass(frozen=True, slots=True)
class TakeUp:
    """A replica has the newer version from then on."""

    replica: str
    at: datetime
    run: Run
    fresh: bool  # the replica itself appeared with it


@dataclass(frozen=True, slots=True)
class Behind:
    """A replica that has an older version at the end."""

    replica: str
    run: Run
    had: bool  # it had the newer one before
    failed: int  # failed loads of the newer one there
    seen: bool  # it gave a sign of life after the rollout had come to its end


@dataclass(frozen=True, slots=True)
class Split:
    """Replicas of one model that have different versions at the end of the log."""

    model: str
    newer: str
    basis: str
    took: tuple[TakeUp, ...]  # by time
    held: tuple[str, ...]  # those that had the newer version from the start
    behind: tuple[Behind, ...]  # by name
    asked: Rollout | None
    end: datetime
    quiet: float  # seconds from the last take-up to the end; where there was none, of the whole split
    grace: float  # seconds in which the next one should have come
    verdict: Verdict

    @property
    def fleet(self) -> int:
        """Return how many replicas are there at the end."""
        return len(self.took) + len(self.held) + len(self.behind)

    @property
    def older(self) -> str:
        """Return the version that most of those behind have, the oldest of equally many."""
        seen = [(b.run.ord, b.run.version) for b in self.behind]
        return min(set(seen), key=lambda pair: (-seen.count(pair), pair))[1]

    @property
    def replicas(self) -> tuple[str, ...]:
        """Return those that are behind, sorted."""
        return tuple(b.replica for b in self.behind)

    @property
    def having(self) -> tuple[str, ...]:
        """Return those that have the newer version, sorted."""
        return tuple(sorted((*(t.replica for t in self.took), *self.held)))

    @property
    def start(self) -> datetime | None:
        """Return when the first replica took the newer version up; None where none did in this log."""
        return self.took[0].at if self.took else None

    @property
    def last(self) -> datetime | None:
        """Return when the last one did."""
        return self.took[-1].at if self.took else None

    @property
    def span(self) -> float:
        """Return for how many seconds the rollout went on."""
        return (self.took[-1].at - self.took[0].at).total_seconds() if self.took else 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A rollout that is complete, and stood still in its middle."""

    model: str
    version: str
    basis: str
    before: tuple[TakeUp, ...]  # by time
    after: tuple[TakeUp, ...]
    usual: float  # seconds: its longest pause otherwise

    @property
    def start(self) -> datetime:
        """Return when the last replica took it up before it stood still."""
        return self.before[-1].at

    @property
    def end(self) -> datetime:
        """Return when the next one did."""
        return self.after[0].at


@dataclass(frozen=True)
class _Fleet:
    """What is known of the replicas, for all models."""

    runs: Mapping[str, Mapping[str, tuple[Run, ...]]]  # model -> replica -> runs
    asked: Mapping[str, tuple[Rollout, ...]]
    failed: Mapping[tuple[str, str, str], int]  # model, replica, version
    signs: Mapping[str, datetime]  # the last line of each replica
    bases: Mapping[str, str]
    apart: frozenset[tuple[str, str]]  # model, replica: another rule tells of these
    back: frozenset[tuple[str, str]]  # went back with the fleet, or because somebody asked for it
    opening: datetime
    swapped: frozenset[str]  # models that are pushed out and loaded again as requests want them


def splits(frames: Frames, limits: Limits) -> list[Split]:
    """Return the models whose replicas differ at the end of the log, by name; at most one split a model."""
    return _splits(_fleet(frames, limits), limits)


def skews(frames: Frames, limits: Limits) -> tuple[list[Split], list[Pause]]:
    """Return the splits at the end of the log, and the rollouts that stood still and went on, by model.

    A rollout stood still when its longest pause is beyond METHODS §4's grace and beyond its own pace.
    """
    fleet = _fleet(frames, limits)
    found = []
    for model, mine in sorted(fleet.runs.items()):
        if model not in fleet.swapped:
            ranks = sorted({run.ord for runs in mine.values() for run in runs})
            found += [pause for rank in ranks if (pause := _stood_still(model, rank, mine, fleet, limits))]
    return _splits(fleet, limits), found


def _splits(fleet: _Fleet, limits: Limits) -> list[Split]:
    found = (_split(model, mine, fleet, limits) for model, mine in sorted(fleet.runs.items()))
    return [split for split in found if split and (split.asked or split.model not in fleet.swapped)]


def _fleet(frames: Frames, limits: Limits) -> _Fleet:
    span = (frames.end - frames.start).total_seconds()
    steps = episodes(frames, limits)
    apart = {(e.model, r) for e in steps if e.verdict == "regression" for r in e.replicas}
    return _Fleet(
        runs=_runs(frames, limits),
        asked=rollouts(frames),
        failed=_failed(frames),
        signs=_signs(frames),
        bases=dict(frames.order.select("model", "basis").unique(keep="first", maintain_order=True).iter_rows()),
        apart=frozenset(apart | set(flapping(frames, limits))),
        back=frozenset((e.model, r) for e in steps if e.verdict == "rollback" for r in e.replicas),
        opening=frames.start + timedelta(seconds=max(limits.skew_s, _OPENING * span)),
        swapped=frozenset(frames.changes.filter(pl.col("op") == "evict")["model"].drop_nulls().unique().to_list()),
    )


def _runs(frames: Frames, limits: Limits) -> Mapping[str, Mapping[str, tuple[Run, ...]]]:
    found: dict[str, dict[str, tuple[Run, ...]]] = {}
    for (model, replica), mine in {**runs(frames), **_unordered(frames, limits)}.items():
        found.setdefault(model, {})[replica] = mine
    return found


def _unordered(frames: Frames, limits: Limits) -> Mapping[tuple[str, str], tuple[Run, ...]]:
    """Return the runs of models whose labels have no order, ranked by when they were first seen."""
    unknown = frames.order.filter((pl.len() > 1).over("model") & pl.col("ord").is_null().all().over("model"))
    unknown = unknown.filter(~pl.col("version").str.to_lowercase().is_in(ALIASES).any().over("model"))
    if unknown.is_empty():
        return {}
    ranks = _by_first_sight(unknown, frames)
    counts = frames.counts.join(ranks.select("model").unique(), on="model", how="semi", maintain_order="left")
    changed = frames.changes.drop("ord")
    made = levels(counts, changed, ranks, frames.replicas, frames.end, limits)
    keys, columns = ["model", "replica"], list(Run.__slots__)
    found: dict[tuple[str, str], tuple[Run, ...]] = {}
    for row in made.select(*keys, *columns).iter_rows():
        found[row[0], row[1]] = (*found.get((row[0], row[1]), ()), Run(*row[2:]))
    return found


def _by_first_sight(unknown: pl.DataFrame, frames: Frames) -> pl.DataFrame:
    named = pl.col("version").is_not_null()
    served = frames.totals.filter(named).select("model", "version", "first")
    loaded = frames.changes.filter(named & (pl.col("op") == "load")).select("model", "version", first="ts")
    first = pl.concat([served, loaded]).group_by("model", "version").agg(pl.col("first").min())
    seen = unknown.join(first, on=["model", "version"]).sort("model", "first", "version")
    rank = pl.int_range(pl.len(), dtype=pl.Int32).over("model")
    return seen.select("model", "version", "basis", ord=rank).select("model", "version", "ord", "basis")


def _failed(frames: Frames) -> Mapping[tuple[str, str, str], int]:
    lines = frames.changes.filter(pl.col("op") == "load_fail").drop_nulls(["model", "replica", "version"])
    many = lines.group_by("model", "replica", "version").len()
    return {(model, replica, version): n for model, replica, version, n in many.iter_rows()}


def _signs(frames: Frames) -> Mapping[str, datetime]:
    served = frames.totals.select("replica", "last")
    told = frames.changes.select("replica", last="ts")
    last = pl.concat([served, told]).drop_nulls().group_by("replica").agg(pl.col("last").max())
    return dict(last.iter_rows())


def _split(model: str, mine: Mapping[str, tuple[Run, ...]], fleet: _Fleet, limits: Limits) -> Split | None:
    end = max(run[-1].end for run in mine.values())
    begun = min(run[0].start for run in mine.values())
    late = max(limits.hold_s, _ENDING * (end - begun).total_seconds())
    alive = {r: run for r, run in mine.items() if (end - run[-1].end).total_seconds() <= late}
    top = max((run[-1] for run in alive.values()), key=lambda run: run.ord, default=None)
    if top is None or all(run[-1].ord == top.ord for run in alive.values()):
        return None
    newer = {r: run for r, run in alive.items() if run[-1].ord == top.ord}
    took = _took(newer, top.ord, fleet)
    held = tuple(sorted(set(newer) - {t.replica for t in took}))
    behind = _behind(model, alive, top, took[-1].at if took else None, fleet)
    if any(t.fresh for t in took):  # replicas that take the place of others: who says nothing any more has gone
        behind = tuple(b for b in behind if b.seen)
    return _judged(model, top, took, held, behind, fleet, limits) if behind else None


def _took(newer: Mapping[str, Sequence[Run]], rank: int, fleet: _Fleet) -> tuple[TakeUp, ...]:
    found = []
    for replica, mine in newer.items():
        place, run = next((i, run) for i, run in enumerate(mine) if run.ord >= rank)
        if place or run.start > fleet.opening:
            found.append(TakeUp(replica, run.start, run, fresh=place == 0))
    return tuple(sorted(found, key=lambda t: (t.at, t.replica)))


def _behind(
    model: str, alive: Mapping[str, Sequence[Run]], top: Run, last: datetime | None, fleet: _Fleet
) -> tuple[Behind, ...]:
    return tuple(
        Behind(
            replica,
            mine[-1],
            any(run.ord >= top.ord for run in mine),
            fleet.failed.get((model, replica, top.version), 0),
            last is None or fleet.signs.get(replica, last) > last,
        )
        for replica, mine in sorted(alive.items())
        if mine[-1].ord < top.ord and (model, replica) not in fleet.apart
    )


def _judged(
    model: str,
    top: Run,
    took: tuple[TakeUp, ...],
    held: tuple[str, ...],
    behind: tuple[Behind, ...],
    fleet: _Fleet,
    limits: Limits,
) -> Split:
    lines = [line for line in fleet.asked.get(model, ()) if line.version == top.version]
    end = min(b.run.end for b in behind)
    since = took[-1].at if took else min(b.run.start for b in behind)
    split = Split(
        model,
        top.version,
        fleet.bases[model],
        took,
        held,
        behind,
        lines[-1] if lines else None,
        end,
        quiet=(end - since).total_seconds(),
        grace=_grace(took, limits),
        verdict="standing",
    )
    back = [b.run.start for b in behind if (model, b.replica) in fleet.back]
    return replace(split, verdict=_verdict(split, max(back, default=None), limits))


def _grace(took: Sequence[TakeUp], limits: Limits) -> float:
    """Return how long the next take-up may be waited for: as the rollout's own pauses and span say.

    METHODS §4 has 30 minutes at least, which no log of an hour can show; here they are what makes it certain.
    """
    pauses = [(b.at - a.at).total_seconds() for a, b in pairwise(took)]
    own = max([limits.rollout_pauses * pause for pause in pauses], default=0.0)
    return max(limits.rollout_grace_s, own, sum(pauses))


def _verdict(split: Split, back: datetime | None, limits: Limits) -> Verdict:
    """Tell a rollout that stopped from versions that differ on purpose; `back` is when the last one was rolled back.

    A canary is a small part of the fleet that nobody asked to be more; arms are at most half of it, for hours.
    """
    have = len(split.took) + len(split.held)
    pushed = split.asked is not None or any(b.failed for b in split.behind)
    if back:
        return "leftover" if (split.end - back).total_seconds() >= split.grace else "under way"
    if not split.took:
        return "standing" if split.quiet >= limits.rollout_grace_s else "under way"
    if split.quiet < split.grace:
        return "under way"
    if not pushed and have <= max(1, limits.canary_share * split.fleet) and split.fleet > limits.canary_fleet:
        return "canary"
    if not pushed and 2 * have <= split.fleet and split.quiet >= limits.arms_s:
        return "arms"
    return "stuck"


def answered(split: Split, frames: Frames) -> tuple[int | None, int | None]:
    """Return the lookups that those behind answered with their version since the split began, and all of the model.

    Whole windows that begin in it; None where the log holds no lookups of the model then.
    """
    since = split.start or frames.start
    mine = frames.counts.filter(
        (pl.col("model") == split.model) & (pl.col("cache") != "model") & (pl.col("w") >= since)
    )
    old = pl.DataFrame(
        [(b.replica, b.run.version) for b in split.behind],
        schema={"replica": pl.String, "version": pl.String},
        orient="row",
    )
    total = int(mine["lookups"].sum())
    stale = int(mine.join(old, on=["replica", "version"], how="semi")["lookups"].sum())
    return (stale, total) if total else (None, None)


def lines_counted(split: Split, frames: Frames) -> dict[str, tuple[Counted, ...]]:
    """Return which lines `answered` counts, by the names that rules give the figures."""
    since = split.start or frames.start
    since += -(since - _EPOCH) % frames.base  # the first window that begins in it; they are on a grid
    every = Counted(what="lookups", model=split.model, spells=everywhere(since, frames.end))
    old = tuple(
        Counted(what=f"lookups answered by {version}", model=split.model, version=version,
                spells=everywhere(since, frames.end, [b.replica for b in split.behind if b.run.version == version]))
        for version in sorted({b.run.version for b in split.behind})
    )  # fmt: skip
    return {"impact.lookups": (every,)} | dict.fromkeys(
        ("impact.stale_served", "stale_served", "lookups_of_older"), old
    )


def _stood_still(
    model: str, rank: int, mine: Mapping[str, Sequence[Run]], fleet: _Fleet, limits: Limits
) -> Pause | None:
    """All replicas that were there throughout took the version up, the later ones too late."""
    having = {r: runs for r, runs in mine.items() if any(run.ord == rank for run in runs)}
    took = tuple(t for t in _took(having, rank, fleet) if not t.fresh and t.run.ord == rank)
    if len(took) < 2 or len(took) < len(mine) or any((model, t.replica) in fleet.apart for t in took):
        return None
    gaps = [(b.at - a.at).total_seconds() for a, b in pairwise(took)]
    at = max(range(len(gaps)), key=lambda i: (gaps[i], -i))
    usual = max([gap for i, gap in enumerate(gaps) if i != at], default=0.0)
    few = at + 1 <= max(1, limits.canary_share * len(took))
    if few or gaps[at] < max(limits.rollout_sure_s, limits.rollout_stall * usual):
        return None
    return Pause(model, took[0].run.version, fleet.bases[model], took[: at + 1], took[at + 1 :], usual)
