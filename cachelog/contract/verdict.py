"""The verdict of `cachelog check`, and what else a renderer is told beside the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cachelog.contract.finding import Number
from cachelog.contract.standing import Told

#: The schema of a verdict as plain values.
VERDICT = "cachelog.check/1"


class Outcome(StrEnum):
    """What a judge says; too little data is no pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was judged: a model, or an expectation of the user."""

    name: str  # unique within the verdict, the same from run to run
    outcome: Outcome
    sentence: str  # why, with its numbers
    model: str | None = None
    findings: tuple[str, ...] = ()  # ids of the findings that it rests on
    numbers: Mapping[str, Number] = field(default_factory=dict)  # what the sentence says, by name
    state: str | None = None  # against a baseline: new, worse or known; None where there is nothing to compare


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a whole run in one sentence, and the checks that it is made of."""

    outcome: Outcome
    sentence: str
    checks: tuple[Check, ...] = ()

    @property
    def said(self) -> str:
        """Return outcome and sentence."""
        return f"{self.outcome.value}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A file of the repository that results point to: logs are no part of it."""

    path: str
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a renderer is told beside the report; nothing of it changes what the report says."""

    verdict: Verdict | None = None  # of `check`
    check: Mapping[str, Any] | None = None  # ... as plain values, schema cachelog.check/1
    anchor: Anchor | None = None
    pages: Mapping[str, str] = field(default_factory=dict)  # rule -> its manual page
    states: Mapping[str, str] = field(default_factory=dict)  # fingerprint -> new, unchanged, updated; empty: not known
    routing_key: str | None = None  # of PagerDuty
    told: Told | None = None  # of `report`


NOTHING = Setting()
