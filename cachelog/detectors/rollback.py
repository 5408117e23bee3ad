"""rollback: the fleet went back to an older version together.

What it says
    The replicas that had a newer version of a model all went back to an older one, or a rollout line asked for it.
    The end of a canary, where few replicas had the newer version and all of them went back, is told here as well.

Why it matters
    Somebody most likely did this on purpose. It explains cold misses after it, and it rules out the reading that
    some replicas are stale.

How it decides
    The same steps back as in version-regression. It is a rollback when the latest rollout line before it asks for the
    older version, or when at least nine tenths of the replicas that had the newer version went back.

When it stays quiet
    When others keep the newer version (version-regression); when replicas go back and forth (version-flapping); when
    the log knows one replica only and no line announces it, for then nobody can tell.

What to do
    Nothing, if it was meant. If no line announces it and nobody knows of it, ask who changed the default version.
"""

from __future__ import annotations

from datetime import timedelta

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Number, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import listed, replicas
from cachelog.metrics.episodes import Episode, episodes
from cachelog.metrics.lines import load_line, served_line
from cachelog.metrics.margins import of_episode


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each rollback and each end of a canary."""
    return [_finding(e, events, frames, limits) for e in episodes(frames, limits) if e.verdict != "regression"]


def _finding(episode: Episode, events: Events, frames: Frames, limits: Limits) -> Finding:
    margin = of_episode(episode, events, frames, limits)
    return Finding(
        rule="rollback",
        severity=Severity.INFO,
        confidence=Confidence.HIGH if episode.announced else Confidence.MEDIUM,
        title=_title(episode),
        summary=f"{_summary(episode)} {margin.said}",
        model=episode.model,
        replicas=episode.replicas,
        version_from=episode.newer,
        version_to=episode.older,
        order_basis=episode.basis,
        start=episode.start,
        end=max(step.start for step in episode.steps),
        onset_low=episode.start,
        onset_high=episode.start,
        numbers=_numbers(episode) | margin.numbers,
        evidence=_evidence(episode, events, frames, limits),
        next_steps=() if episode.announced else ("no rollout line announces it: ask whether it was meant",),
    )


def _title(episode: Episode) -> str:
    many = f"{len(episode.steps)} of {len(episode.had)}"
    if episode.verdict == "canary-abort":
        ended = f"{episode.model}: canary of {episode.newer} ended"
        return f"{ended}, back to {episode.older} on {replicas(len(episode.steps))}"
    return f"{episode.model}: rolled back from {episode.newer} to {episode.older} on {many} replicas that had it"


def _summary(episode: Episode) -> str:
    span = (max(step.start for step in episode.steps) - episode.start).total_seconds()
    told = (
        f"A rollout line at {episode.announced.ts:%H:%M:%S} UTC asks for {episode.older}."
        if episode.announced
        else "No rollout line announces it."
    )
    went = f"{listed(episode.replicas, 5)} went back within {span:.0f} s from {episode.start:%H:%M:%S} UTC."
    return f"{went} {told}"


def _numbers(episode: Episode) -> dict[str, Number]:
    return {
        "replicas_back": len(episode.steps),
        "replicas_that_had_newer": len(episode.had),
        "replicas_active": len(episode.fleet),
        "announced": episode.announced is not None,
        "canary": episode.verdict == "canary-abort",
    }


def _evidence(episode: Episode, events: Events, frames: Frames, limits: Limits) -> tuple[Evidence, ...]:
    asked = episode.announced
    lines = [Evidence(asked.source, asked.line, asked.ts, "rollout asked for")] if asked else []
    for step in (episode.steps[0], episode.steps[-1]):
        until = step.start + timedelta(seconds=limits.skew_s)
        older = load_line(frames, step.model, step.replica, step.older.version, until, "older version loaded")
        served = served_line(
            events, step.model, step.replica, step.older.version, since=step.start, role="older version served"
        )
        lines += [line for line in (older or served,) if line]
    return tuple(dict.fromkeys(lines))
