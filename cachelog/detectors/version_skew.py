"""version-skew: replicas serve different versions for longer than a rollout takes.

What it says
    Replicas of one model had different versions, since when, and what speaks for intention: a canary, arms of a test,
    a split that was there before the log began, the rest of a rollback, or a rollout that stood still in its middle and
    went on later. And in what the manifests of both sides differ, where pods of Kubernetes are beside the logs.

Why it matters
    Users get one answer or another, by which replica they reach, and where a cache is shared the versions share its
    room. It may well be meant; then it explains why miss rates of replicas differ.

How it decides
    The newest resident version of each replica. A split at the end of the log that is no stopped rollout: the newer
    version is on a quarter of the fleet at most (a canary), or on half of it at most for two hours (arms), or no
    replica changed at all (the log cannot tell why), or those with the older one were rolled back and others were not.
    And a rollout that is complete, but stood still for more than half an hour and four times as long as otherwise, with
    more than a quarter of the fleet and less than all of it on the newer version.

When it stays quiet
    Replicas that each have all of the versions; rollouts that may be under way; replicas that never got the newer
    version of a rollout that stopped (stuck-rollout), or went back from it (version-regression, version-flapping);
    models loaded and dropped as requests want them. It is information where it may be meant, low where a rollout stood
    still and is over, medium where a rollback did not reach all.

What to do
    If nobody meant it: look at what the replicas with the older version read at their start, and load one version
    everywhere.
"""

from __future__ import annotations

from datetime import timedelta

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Number, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, percent, replicas
from cachelog.metrics.beside import Beside, compared
from cachelog.metrics.lines import load_line, served_line
from cachelog.metrics.margins import Margin
from cachelog.metrics.rollout import Pause, Split, answered, lines_counted, skews

_SHOWN = 2  # replicas of each side whose lines are cited
_MEANT = {
    "canary": "a canary, or a rollout that stopped after it",
    "arms": "arms of a test, most likely",
    "standing": "it was so when the log began, and no rollout is in it: meant, or stuck since before",
    "leftover": "the rollback did not reach all",
}


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each model with a split that is no stopped rollout, and for each that lasted too long."""
    now, over = skews(frames, limits)
    told = [_beside(s, frames).added(_split(s, events, frames)) for s in now if s.verdict in _MEANT]
    return told + [_pause(p, events, frames, limits) for p in over]


def _beside(split: Split, frames: Frames) -> Beside:
    return compared(frames, split.replicas, split.having, split.start or frames.start, split.end)


def _split(split: Split, events: Events, frames: Frames) -> Finding:
    odd = split.verdict == "leftover"
    stale, total = answered(split, frames)
    start = split.start or frames.start
    have = split.having
    return Finding(
        rule="version-skew",
        severity=Severity.MEDIUM if odd else Severity.INFO,
        confidence=Confidence.MEDIUM,
        title=f"{split.model}: {len(have)} of {replicas(split.fleet)} have {split.newer}, the others {split.older}",
        summary=f"{_summary(split, have, stale, total)} {Margin(split.quiet, False).said}",
        model=split.model,
        replicas=have if odd or split.verdict == "canary" else split.replicas,
        version_from=split.older,
        version_to=split.newer,
        order_basis="unknown" if split.verdict == "standing" and split.basis == "unknown" else split.basis,
        start=start,
        end=split.end,
        onset_low=split.start,
        onset_high=split.last,
        ongoing=True,
        impact=Impact(lookups=total, stale_served=None),
        numbers=_numbers(split, have, stale) | Margin(split.quiet, False).numbers,
        evidence=_both_sides(split, have, events, frames),
        counted=lines_counted(split, frames),
        next_steps=(f"ask whether two versions of {split.model} are meant; if not, load one everywhere",),
    )


def _summary(split: Split, have: tuple[str, ...], stale: int | None, total: int | None) -> str:
    said = f"{listed(have)} have {split.newer}, {listed(split.replicas)} have {split.older}, for {lasting(split.quiet)}"
    said += f" by the end of the log: {_MEANT[split.verdict]}."
    if stale is not None and total:
        said += f" {stale:,} of {total:,} lookups meanwhile got {split.older} ({percent(stale / total)})."
    return said


def _numbers(split: Split, have: tuple[str, ...], stale: int | None) -> dict[str, Number]:
    return {
        "replicas_with_newer": len(have),
        "replicas_with_older": len(split.behind),
        "replicas_active": split.fleet,
        "split_seconds": round(split.quiet, 3),
        "looks_like": split.verdict,
        "lookups_of_older": stale,
    }


def _both_sides(split: Split, have: tuple[str, ...], events: Events, frames: Frames) -> tuple[Evidence, ...]:
    newer = [(name, split.newer, "newer version") for name in have[:_SHOWN]]
    older = [(b.replica, b.run.version, "older version") for b in split.behind[:_SHOWN]]
    found = []
    for name, version, role in newer + older:
        line = load_line(frames, split.model, name, version, split.end, f"{role} loaded")
        line = line or served_line(events, split.model, name, version, before=split.end, role=f"{role} served")
        found += [line] if line else []
    return tuple(dict.fromkeys(found))


def _pause(pause: Pause, events: Events, frames: Frames, limits: Limits) -> Finding:
    seconds = (pause.end - pause.start).total_seconds()
    margin = Margin(seconds - max(limits.rollout_sure_s, limits.rollout_stall * pause.usual), False)
    late = tuple(sorted(t.replica for t in pause.after))
    many = f"{len(late)} of {replicas(len(pause.before) + len(late))}"
    ends = (pause.before[-1], pause.after[0])
    lines = [
        load_line(frames, pause.model, t.replica, t.run.version, t.at, "newer version loaded")
        or served_line(events, pause.model, t.replica, t.run.version, since=t.at, role="newer version served")
        for t in ends
    ]
    return Finding(
        rule="version-skew",
        severity=Severity.LOW,
        confidence=Confidence.MEDIUM,
        title=f"{pause.model}: rollout of {pause.version} stood still for {lasting(seconds)}, {many} got it later",
        summary=f"{len(pause.before)} had {pause.version} by {pause.start:%H:%M:%S} UTC, {listed(late, 5)} from"
        f" {pause.end:%H:%M:%S} UTC on; the longest pause between two replicas was {lasting(pause.usual)} otherwise."
        f" {margin.said}",
        model=pause.model,
        replicas=late,
        version_to=pause.version,
        order_basis=pause.basis,
        start=pause.start,
        end=pause.end,
        onset_low=pause.start,
        onset_high=pause.start + timedelta(seconds=pause.usual),
        numbers={
            "replicas_before": len(pause.before),
            "replicas_after": len(late),
            "pause_seconds": round(seconds, 3),
            **margin.numbers,
        },
        evidence=tuple(line for line in lines if line),
        next_steps=(f"find out what {listed(late, 5)} waited for",),
    )
