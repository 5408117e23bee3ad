"""What is new since the last run: findings held against those that were told before, and what a run says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cachelog.contract.finding import Finding, Severity


class Standing(StrEnum):
    """How a finding stands to the last run."""

    NEW = "new"
    WORSE = "worse"
    KNOWN = "known"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Noted:
    """A finding that was told; `severity` is the worst that was told of it."""

    fingerprint: str
    rule: str
    severity: Severity
    title: str
    model: str | None
    first_seen: datetime  # time of the run
    last_seen: datetime
    runs: int = 1


@dataclass(frozen=True, slots=True)
class News:
    """Findings by their standing, each best first; those of mere information are in none."""

    new: tuple[Finding, ...] = ()
    worse: tuple[Finding, ...] = ()
    known: tuple[Finding, ...] = ()
    resolved: tuple[Noted, ...] = ()

    def of(self, finding: Finding) -> Standing | None:
        """Return how a finding stands; None for mere information."""
        sets = {Standing.NEW: self.new, Standing.WORSE: self.worse, Standing.KNOWN: self.known}
        return next((s for s, found in sets.items() if any(f.fingerprint == finding.fingerprint for f in found)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run of `cachelog report` says of itself: that it ran, and had input."""

    number: int  # from 1, over the life of the state
    at: datetime
    seconds: float
    lines: int  # new ones, and their bytes
    bytes: int
    inputs: int
    partial: str | None = None  # why it did not read all there was
    findings: dict[str, int] | None = None  # by severity


@dataclass(frozen=True, slots=True)
class Told:
    """What a run of `cachelog report` says beside the report."""

    run: Run
    news: News


def compared(noted: Sequence[Noted], findings: Sequence[Finding], *, whole: bool = True) -> News:
    """Hold findings against those that were told; `whole`: what is not there any more is resolved."""
    known = {n.fingerprint: n for n in noted}
    mine = [f for f in findings if f.severity > Severity.INFO]
    worse = [f for f in mine if f.fingerprint in known and f.severity > known[f.fingerprint].severity]
    seen = {f.fingerprint for f in mine}
    return News(
        new=tuple(f for f in mine if f.fingerprint not in known),
        worse=tuple(worse),
        known=tuple(f for f in mine if f.fingerprint in known and f not in worse),
        resolved=tuple(n for n in noted if n.fingerprint not in seen) if whole else (),
    )


def told(noted: Sequence[Noted], news: News, at: datetime) -> tuple[Noted, ...]:
    """Return what has been told after a run told its news."""
    before = {n.fingerprint: n for n in noted}
    gone = {n.fingerprint for n in news.resolved}
    here = [_noted(f, before.get(f.fingerprint), at) for f in (*news.new, *news.worse, *news.known)]
    seen = {n.fingerprint for n in here}
    left = [n for n in noted if n.fingerprint not in seen and n.fingerprint not in gone]
    return tuple(sorted([*here, *left], key=lambda n: n.fingerprint))


def _noted(finding: Finding, before: Noted | None, at: datetime) -> Noted:
    if before is None:
        severity, title = finding.severity, finding.title
        return Noted(finding.fingerprint, finding.rule, severity, title, finding.model, at, at)
    worst = max(before.severity, finding.severity)
    return replace(before, severity=worst, title=finding.title, last_seen=at, runs=before.runs + 1)
