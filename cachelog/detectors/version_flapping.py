"""version-flapping: a replica goes back and forth between versions.

What it says
    The newest resident version of a model on a replica changed at least four times within an hour, and at least two
    of the steps back were asked for by nobody.

Why it matters
    Every change empties what the cache had for the version, so each one brings a wave of cold misses, and users get
    answers of two models in turns. Typical reasons: two controllers with different ideas of the current version, a
    crash loop with a stale volume, a poller that reads two registry replicas in turns.

How it decides
    Levels as in version-regression (METHODS §4): the newest version resident on a replica, runs shorter than 30
    seconds dropped.

When it stays quiet
    A deploy followed by a rollback; steps back that rollout lines ask for; versions served side by side; restarts that
    load the same version again (replica-restart).

What to do
    Find the two sources of truth: which process loaded each version, and from where. Stop one, then look at misses.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import polars as pl

from cachelog.contract.counted import Counted, Spell
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Number, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, replicas
from cachelog.metrics.episodes import Run, flapping
from cachelog.metrics.excess import Excess, excess, lines_compared
from cachelog.metrics.lines import served_line
from cachelog.metrics.margins import of_flapping

_SHOWN = 6  # changes cited


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding a model with the replicas that go back and forth."""
    found: dict[str, dict[str, tuple[Run, ...]]] = {}
    for (model, replica), mine in flapping(frames, limits).items():
        found.setdefault(model, {})[replica] = mine
    return [_finding(model, mine, events, frames) for model, mine in sorted(found.items())]


def _finding(model: str, mine: Mapping[str, Sequence[Run]], events: Events, frames: Frames) -> Finding:
    fleet = frames.replicas.filter(pl.col("model") == model).height
    newest = max((run for r in mine.values() for run in r), key=lambda run: run.ord)
    oldest = min((run for r in mine.values() for run in r[1:]), key=lambda run: run.ord)
    start = min(_first_step_back(r).start for r in mine.values())
    end = max(r[-1].start for r in mine.values())
    changes = sum(len(r) - 1 for r in mine.values())
    spells = {replica: (_first_step_back(r).start, r[-1].end) for replica, r in mine.items()}
    margin = of_flapping(model, mine, events, frames)
    since = dict.fromkeys(mine, frames.start)
    cost = excess(frames, model, spells, since)
    basis = frames.order.filter(pl.col("model") == model)["basis"][0]
    return Finding(
        rule="version-flapping",
        severity=Severity.HIGH if cost and cost.low > 0 else Severity.MEDIUM,
        confidence=Confidence.MEDIUM if basis == "observed" else Confidence.HIGH,
        title=f"{model}: versions {oldest.version} and {newest.version} flap on {len(mine)} of {replicas(fleet)}",
        summary=f"{_summary(sorted(mine), changes, (end - start).total_seconds(), cost)} {margin.said}",
        model=model,
        replicas=tuple(sorted(mine)),
        version_from=newest.version,
        version_to=oldest.version,
        order_basis=basis,
        start=start,
        end=end,
        onset_low=start,
        onset_high=start,
        ongoing=any(r[-1].ord < newest.ord for r in mine.values()),
        impact=Impact(
            lookups=cost.lookups if cost else None,
            excess_misses=round(cost.misses, 1) if cost else None,
            excess_misses_low=round(cost.low, 1) if cost else None,
        ),
        numbers=_numbers(mine, fleet, changes, cost) | margin.numbers,
        evidence=_evidence(model, mine, events),
        counted=lines_compared(model, spells, since) | _counted(model, mine),
        next_steps=(f"find out which two sources tell {listed(sorted(mine))} what to load, and stop one",),
    )


def _counted(model: str, mine: Mapping[str, Sequence[Run]]) -> dict[str, tuple[Counted, ...]]:
    """Return which lines show the changes of version."""
    spells = tuple(Spell(replica, r[1].start, r[-1].start) for replica, r in sorted(mine.items()))
    return {"changes": (Counted(what="loads", op="load", model=model, spells=spells),)}


def _first_step_back(mine: Sequence[Run]) -> Run:
    return next(new for old, new in itertools.pairwise(mine) if new.ord < old.ord)


def _summary(names: Sequence[str], changes: int, seconds: float, cost: Excess | None) -> str:
    said = f"{listed(names, 5)} changed version {changes} times in {lasting(seconds)}."
    if cost and cost.low > 0:
        said += (
            f" Their miss rate went from {100 * cost.rate_before:.1f} % to {100 * cost.rate_after:.1f} %:"
            f" {cost.misses:,.0f} extra misses (at least {cost.low:,.0f})."
        )
    return said


def _numbers(mine: Mapping[str, Sequence[Run]], fleet: int, changes: int, cost: Excess | None) -> dict[str, Number]:
    found: dict[str, Number] = {
        "changes": changes,
        "most_changes_of_a_replica": max(len(r) - 1 for r in mine.values()),
        "replicas_active": fleet,
    }
    if cost:
        found |= {"rate_before": round(cost.rate_before, 6), "rate_after": round(cost.rate_after, 6)}
    return found


def _evidence(model: str, mine: Mapping[str, Sequence[Run]], events: Events) -> tuple[Evidence, ...]:
    """The lines of the first changes, shared out over the replicas."""
    each = max(2, _SHOWN // len(mine))
    lines: list[Evidence] = []
    for replica, levels in sorted(mine.items())[:_SHOWN]:
        for run in levels[1 : each + 1]:
            role = f"{run.version} on {replica}"
            if run.source is not None and run.line is not None:
                lines.append(Evidence(run.source, run.line, run.start, role))
            elif line := served_line(events, model, replica, run.version, since=run.start, role=role):
                lines.append(line)
    return tuple(dict.fromkeys(lines))
