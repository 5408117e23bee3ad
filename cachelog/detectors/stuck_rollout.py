"""stuck-rollout: some replicas never got the newer version.

What it says
    A rollout of a newer version began, reached some of the replicas of a model, and then stopped: these replicas have
    the older version still, for so long, and answered so many lookups with it. Where pods and events of Kubernetes are
    beside the logs, in what their manifests differ from those of the others, and what the platform says of them.

Why it matters
    Users get one answer or another, by which replica they reach. Where a cache is shared, its keys carry the version,
    so two versions share its room and each misses what the other filled. Typical reasons: a replica that cannot load
    the version, a node that is full, a deployment that waits for a probe, a pinned version in one pod's environment.

How it decides
    At the end of the log the newest version is on some replicas of the model, and others have an older one and never
    had the newer. It has stopped when no replica took it up for ten minutes (a sixth of the log, where it is shorter
    than an hour), for three times the rollout's longest pause between two replicas, and for as long as all of it took.
    After 30 minutes that is certain. Replicas that appear with the newer version count as taking it up.

When it stays quiet
    A rollout that may be under way; a canary, which is a quarter of the fleet at most that nobody asked to be more, and
    arms of a test, at most half of the fleet for two hours (version-skew tells them as information); versions that
    differ from the log's start on (likewise); replicas that had the newer version and went back (version-regression,
    rollback); models loaded and dropped as requests want them; replicas that have left. Low, where it may be a test: at
    most half of the fleet has the newer version and no line asked for it. Failed loads of it are its cause.

What to do
    Look at what these replicas do instead of loading it: events of the deployment, errors of the loader, free memory,
    a version in their own environment. Then load it there, or roll back the others.
"""

from __future__ import annotations

from datetime import datetime

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Number, Rejected, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, percent, replicas
from cachelog.metrics.beside import Beside, compared
from cachelog.metrics.lines import load_line, restart_line, served_line
from cachelog.metrics.margins import Margin
from cachelog.metrics.rollout import Split, answered, lines_counted, splits

_SHOWN = 3  # replicas whose lines are cited


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each model whose rollout stopped half-way."""
    stuck = (s for s in splits(frames, limits) if s.verdict == "stuck")
    return [_beside(s, frames).added(_finding(s, s.start, events, frames, limits)) for s in stuck if s.start]


def _beside(split: Split, frames: Frames) -> Beside:
    """Return what the platform says of those behind, compared with those that have the newer version."""
    return compared(frames, split.replicas, split.having, split.start or frames.start, split.end)


def _finding(split: Split, start: datetime, events: Events, frames: Frames, limits: Limits) -> Finding:
    stale, total = answered(split, frames)
    margin = Margin(split.quiet - split.grace, False)
    return Finding(
        rule="stuck-rollout",
        severity=Severity.LOW if _is_doubtful(split) else Severity.MEDIUM,
        confidence=_confidence(split, limits),
        title=_title(split),
        summary=f"{_summary(split, start, stale, total)} {margin.said}",
        model=split.model,
        replicas=split.replicas,
        version_from=split.older,
        version_to=split.newer,
        order_basis=split.basis,
        start=start,
        end=split.end,
        onset_low=start,
        onset_high=split.last,
        ongoing=True,
        impact=Impact(lookups=total, stale_served=stale),
        numbers=_numbers(split, stale, total) | margin.numbers,
        rejected=_rejected(split, limits),
        evidence=_evidence(split, events, frames, limits),
        next_steps=_next_steps(split),
        counted=lines_counted(split, frames),
    )


def _is_doubtful(split: Split) -> bool:
    """May it be a test that began, or may those behind be gone?"""
    have = len(split.took) + len(split.held)
    pushed = split.asked is not None or any(b.failed for b in split.behind)
    return (not pushed and 2 * have <= split.fleet) or not any(b.seen for b in split.behind)


def _confidence(split: Split, limits: Limits) -> Confidence:
    if _is_doubtful(split):
        return Confidence.LOW
    known = split.basis not in ("observed", "unknown") and all(b.seen for b in split.behind)
    return Confidence.HIGH if known and split.quiet >= limits.rollout_sure_s else Confidence.MEDIUM


def _title(split: Split) -> str:
    many = f"{len(split.behind)} of {replicas(split.fleet)}"
    return f"{split.model}: rollout of {split.newer} stopped, {many} still have {split.older}"


def _summary(split: Split, start: datetime, stale: int | None, total: int | None) -> str:
    have = len(split.took) + len(split.held)
    said = f"{replicas(have)} took {split.newer} up within {lasting(split.span)} from {start:%H:%M:%S} UTC"
    said += f"; {listed(split.replicas, 5)} did not in the {lasting(split.quiet)} since."
    if failed := sum(b.failed for b in split.behind):
        said += f" It failed to load there {failed} times."
    if stale is not None and total:
        said += f" {stale:,} of {total:,} lookups since then got an older version ({percent(stale / total)})."
    return said


def _numbers(split: Split, stale: int | None, total: int | None) -> dict[str, Number]:
    return {
        "replicas_behind": len(split.behind),
        "replicas_with_newer": len(split.took) + len(split.held),
        "replicas_active": split.fleet,
        "rollout_seconds": round(split.span, 3),
        "quiet_seconds": round(split.quiet, 3),
        "grace_seconds": round(split.grace, 3),
        "announced": split.asked is not None,
        "load_failures": sum(b.failed for b in split.behind),
        "stale_served": stale,
        "stale_share": round(stale / total, 6) if stale is not None and total else None,
    }


def _rejected(split: Split, limits: Limits) -> tuple[Rejected, ...]:
    have = len(split.took) + len(split.held)
    why = f"no replica took it up for {lasting(split.quiet)}; its pace gives it {lasting(split.grace)}"
    found = [Rejected("a rollout under way", why)]
    if have > max(1, limits.canary_share * split.fleet):
        found.append(Rejected("canary", f"{have} of {replicas(split.fleet)} have {split.newer}"))
    if 2 * have > split.fleet:
        found.append(Rejected("arms of a test", f"most of the fleet has {split.newer}, and it did not before"))
    return tuple(found)


def _evidence(split: Split, events: Events, frames: Frames, limits: Limits) -> tuple[Evidence, ...]:
    asked = split.asked
    found = [Evidence(asked.source, asked.line, asked.ts, "rollout asked for")] if asked else []
    for took in (split.took[0], split.took[-1]):
        line = load_line(frames, split.model, took.replica, split.newer, took.at, "newer version loaded")
        line = line or served_line(
            events, split.model, took.replica, split.newer, since=took.at, role="newer version served"
        )
        found += [line] if line else []
    for behind in split.behind[:_SHOWN]:
        last = served_line(
            events, split.model, behind.replica, behind.run.version, before=behind.run.end, role="older version served"
        )
        last = last or load_line(
            frames, split.model, behind.replica, behind.run.version, behind.run.end, "older version loaded"
        )
        found += [line for line in (restart_line(frames, behind.replica, behind.run.end, limits), last) if line]
    return tuple(dict.fromkeys(found))


def _next_steps(split: Split) -> tuple[str, ...]:
    where = listed(split.replicas, 5)
    failed = [b.replica for b in split.behind if b.failed]
    look = f"read why {split.newer} fails to load on {listed(failed, 5)}" if failed else ""
    return (
        look or f"look at what {where} did when the others loaded {split.newer}: deployment events, loader, memory",
        f"load {split.newer} there, or roll back the others",
    )
