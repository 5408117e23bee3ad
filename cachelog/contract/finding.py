"""FINDING and Report: what cachelog says, as plain frozen records.

The JSON report (`cachelog.report/1`) is these records field by field.
Times are aware datetimes in UTC; a figure that does not apply is None, never missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from cachelog.contract.charting import Charts
from cachelog.contract.counted import Counted

SCHEMA = "cachelog.report/1"

#: InputReport.signs: of the first lines of an input that give no events, how many bear a level, and one of INFO or
#: below; behind the next, how lines say themselves that others are left out; behind the last, how many seconds the
#: times of lines are ahead by those of their envelopes ("" for nothing sure), and after a blank the replica.
LEVELS, LOW, SAMPLED, ZONE = "level", "low level", "sampled: ", "zone: "


class Severity(IntEnum):
    """Harm to users, not kind of rule."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """Return the name as the report writes it."""
        return self.name.lower()


class Confidence(IntEnum):
    """How sure the finding is, apart from how bad it would be."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2

    @property
    def word(self) -> str:
        """Return the name as the report writes it."""
        return self.name.lower()


#: Why lookups miss, as reports have it; every miss has one of them (metrics/causes.py).
MISS_CAUSES = ("cold", "capacity", "version-change", "ttl", "flush", "duplicate", "new-keys", "error", "unexplained")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of one input that a finding rests on.

    Detectors give source, line, time and role; the pipeline adds path and text.
    """

    source: int
    line: int
    time: datetime | None
    role: str  # what the line shows, e.g. "older version loaded"
    path: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Impact:
    """What a finding cost, in lookups; None where the logs cannot tell."""

    lookups: int | None = None  # lookups in the finding's scope and time
    excess_misses: float | None = None
    excess_misses_low: float | None = None  # lower end of the 95 % interval
    stale_served: int | None = None  # lookups answered by the wrong version
    added_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Another finding that explains part of this one."""

    finding: str  # id; while ids are not given yet, the fingerprint
    share: float | None  # of this finding's excess misses, 0..1
    confidence: Confidence
    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A cause that was checked and ruled out."""

    cause: str
    why: str


Number = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that went wrong, with its proof."""

    rule: str
    severity: Severity
    confidence: Confidence
    title: str  # one line, plain text
    summary: str  # one to three sentences with the numbers
    model: str | None = None
    cache: str | None = None
    replicas: tuple[str, ...] = ()  # sorted
    version_from: str | None = None
    version_to: str | None = None
    order_basis: str | None = None  # declared, parsed:int, ..., observed, unknown
    start: datetime | None = None
    end: datetime | None = None
    onset_low: datetime | None = None
    onset_high: datetime | None = None
    ongoing: bool = False
    impact: Impact = Impact()
    numbers: Mapping[str, Number] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    caused_by: str | None = None
    rejected: tuple[Rejected, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    next_steps: tuple[str, ...] = ()
    score: float = 0.0
    id: str = ""
    fingerprint: str = ""
    counted: Mapping[str, tuple[Counted, ...]] = field(default_factory=dict)  # not in the JSON schema: by figure


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place of lines that looks like a field: as --map has it, the share of lines that have it, the most frequent
    values, whether name and values both speak for it, words of outcomes whose meaning is not known, and how times are
    written where that is not one of the usual ways."""

    field: str
    place: str
    filled: float
    examples: tuple[str, ...]
    sure: bool
    words: tuple[str, ...] = ()
    layout: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """Lines that were not understood and differ in some words only: the template, how many, the number of the first."""

    text: str
    lines: int
    first: int


@dataclass(frozen=True, slots=True)
class Insight:
    """What `inspect` says of an input beside its books: which dialect claimed how many lines, and what that dialect is;
    which places look like which field, the maps that would read them, and templates of lines that were not read."""

    claimed: tuple[tuple[str, int, str], ...]
    candidates: tuple[Candidate, ...]
    maps: tuple[str, ...]
    templates: tuple[Template, ...]
    unread: bool = False  # so little was read that these are of use


@dataclass(frozen=True, slots=True)
class InputReport:
    """How one input was read: lines = events + quiet + joined + unclaimed + bad.

    `events` counts lines that gave events; `clock` says what was assumed about its times.
    """

    path: str
    format: str
    envelope: str | None
    bytes: int
    lines: int
    events: int
    quiet: int
    joined: int
    unclaimed: int
    bad: int
    clock: str | None
    note: str | None = None  # not in the JSON schema: why it was not read
    unread: tuple[Evidence, ...] = ()  # likewise: the first lines not understood, role "unclaimed" or "bad"
    signs: Mapping[str, int] = field(default_factory=dict)  # likewise: what its first lines show (LEVELS ...)
    mapped: Mapping[str, int] = field(default_factory=dict)  # likewise: what the user's maps found, in how many lines
    claimed: Mapping[str, int] = field(default_factory=dict)  # likewise: the dialects that claimed lines
    strange: Mapping[str, int] = field(
        default_factory=dict
    )  # likewise: "map\0word" of outcomes that no word is known for


@dataclass(frozen=True, slots=True)
class LimitNote:
    """Something the logs cannot tell."""

    what: str
    blocks: str
    where: str | None = None
    bars: bool = False  # not in the JSON schema: because of it the logs do not show that all is well


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of one model in one cache."""

    version: str
    order: int | None
    basis: str
    lookups: int | None
    hits: int | None
    misses: int
    first: datetime | None
    last: datetime | None
    replicas: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model in one cache; lookups, hits and the rate are None where only misses are logged."""

    model: str
    cache: str
    lookups: int | None
    hits: int | None
    misses: int
    stale: int
    bypass: int
    errors: int
    miss_rate: float | None
    miss_rate_low: float | None
    miss_rate_high: float | None
    causes: Mapping[str, int]
    versions: tuple[VersionRow, ...]
    trend: tuple[float | None, ...] = ()  # not in the JSON schema: miss rate over the period, for a sparkline


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything one run says."""

    tool: Mapping[str, str]
    partial: bool
    start: datetime | None
    end: datetime | None
    inputs: tuple[InputReport, ...]
    limits: tuple[LimitNote, ...]
    models: tuple[ModelRow, ...]
    findings: tuple[Finding, ...]
    errors: tuple[str, ...] = ()  # detectors that raised: "rule: Type: message"
    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # path -> field -> name in the log
    insights: Mapping[str, Insight] = field(default_factory=dict)  # by path, of `inspect`
    hidden: int = 0  # not in the JSON schema: findings above information that the user asked not to see
    charts: Charts | None = None  # likewise: what the charts of the HTML page show, where they are asked for
