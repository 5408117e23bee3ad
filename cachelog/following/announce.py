"""Findings as they arise, one note each: told when they are certain, corrected when late lines change them.

A finding is certain when two looks in a row found it: the end of a log is where rules err. The same goes for a change
of its severity or replicas, and for its end. At the last look everything is certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cachelog.contract.finding import Finding, Severity

_LOOKS = 2

Key = tuple[str | int | None, ...]


class Kind(StrEnum):
    """What a note says of a finding."""

    FOUND = "found"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be told of a finding; `before`: as it was told last, where it was."""

    kind: Kind
    finding: Finding
    before: Finding | None = None


class Announcer:
    """Remembers what was told, and what waits for another look. Mere information, or what is below `least`, is not."""

    def __init__(self, least: Severity = Severity.LOW) -> None:
        self._least = max(least, Severity.LOW)
        self._told: dict[Key, Finding] = {}
        self._waiting: dict[Key, tuple[Finding | None, int]] = {}

    @property
    def waiting(self) -> bool:
        """Whether another look would tell something."""
        return bool(self._waiting)

    def look(self, findings: Sequence[Finding], *, last: bool = False) -> list[Note]:
        """Return what is to be told after a look; `last`: without waiting for another."""
        here = _keyed([f for f in findings if f.severity >= self._least])
        notes: list[Note] = []
        waiting: dict[Key, tuple[Finding | None, int]] = {}
        for key in [*here, *(key for key in self._told if key not in here)]:
            finding, told = here.get(key), self._told.get(key)
            if _same(finding, told):
                continue
            before, looks = self._waiting.get(key, (None, 0))
            looks = looks + 1 if looks and _same(finding, before) else 1
            if last or looks >= _LOOKS:
                notes.append(self._tell(key, finding, told))
            else:
                waiting[key] = (finding, looks)
        self._waiting = waiting
        return notes

    def _tell(self, key: Key, finding: Finding | None, told: Finding | None) -> Note:
        if finding is None:
            gone = self._told.pop(key)
            return Note(Kind.WITHDRAWN, gone, gone)
        self._told[key] = finding
        return Note(Kind.CHANGED if told else Kind.FOUND, finding, told)


def _keyed(findings: Sequence[Finding]) -> dict[Key, Finding]:
    """Return findings by what stays the same while they grow; of several alike the first is the first in time."""
    seen: Counter[Key] = Counter()
    begun = {f.fingerprint: f.start.isoformat() if f.start else "" for f in findings}
    keyed: dict[str, Key] = {}
    for finding in sorted(findings, key=lambda f: (begun[f.fingerprint], f.fingerprint)):
        kind: Key = (finding.rule, finding.model, finding.cache, finding.version_from, finding.version_to)
        seen[kind] += 1
        keyed[finding.fingerprint] = (*kind, seen[kind])
    return {keyed[finding.fingerprint]: finding for finding in findings}


def _same(one: Finding | None, other: Finding | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.severity, one.replicas) == (other.severity, other.replicas)
