"""Compares a report with what is so: which findings are missed, which are false, which counts differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from cachelog.contract.finding import Finding, Report, Severity
from tests.simulate import Count, Expected, Forbidden


def missed(findings: Sequence[Finding], expect: Iterable[Expected], start: datetime) -> list[Expected]:
    """Return what should have been found and was not; `start` is the time that Expected.at counts from."""
    return [wanted for wanted in expect if not any(fits(finding, wanted, start) for finding in findings)]


def false(
    findings: Sequence[Finding], expect: Sequence[Expected], forbid: Iterable[Forbidden], start: datetime
) -> list[Finding]:
    """Return the findings that must not be there."""
    open_ = [f for f in findings if not any(fits(f, wanted, start) for wanted in expect)]
    return [f for f in open_ if any(_forbids(rule, f) for rule in forbid)]


def fits(finding: Finding, wanted: Expected, start: datetime) -> bool:
    """Return whether a finding says what was expected: the same replicas and versions, and about the same time."""
    if finding.rule not in (wanted.rule, *wanted.instead):
        return False
    versions = wanted.version_from in (None, finding.version_from) and wanted.version_to in (None, finding.version_to)
    replicas = not wanted.replicas or set(wanted.replicas) == set(finding.replicas)
    return wanted.model in (None, finding.model) and versions and replicas and _in_time(finding, wanted, start)


def _in_time(finding: Finding, wanted: Expected, start: datetime) -> bool:
    if wanted.at is None:
        return True
    off = finding.start - start - timedelta(seconds=wanted.at) if finding.start else timedelta.max
    return abs(off) <= timedelta(seconds=wanted.tolerance_s)


def _forbids(rule: Forbidden, finding: Finding) -> bool:
    named = rule.rule in ("*", finding.rule) and rule.model in (None, finding.model)
    return named and finding.severity >= Severity[rule.severity.upper()]


def counted(report: Report) -> dict[str, Count]:
    """Return the counts of lookups that the report has for each model; rows of loaded models are not looked at."""
    rows = {row.model: row for row in report.models if row.cache != "model" and row.lookups}
    return {model: Count(row.hits or 0, row.misses, row.stale) for model, row in rows.items()}


def counted_versions(report: Report) -> dict[str, tuple[int | None, int]]:
    """Return "model@version" -> (lookups, misses) as the report has them."""
    rows = [row for row in report.models if row.cache != "model" and row.lookups]
    return {f"{row.model}@{v.version}": (v.lookups, v.misses) for row in rows for v in row.versions if v.lookups}


def described(findings: Iterable[Finding]) -> list[str]:
    """Return findings in a line each, for the message of a test that fails."""
    return [
        f"{f.rule}/{f.severity.word} {f.model} {f.version_from}->{f.version_to} {','.join(f.replicas)} {f.start}"
        for f in findings
    ]


def expected_of(said: Mapping[str, object], start: datetime) -> Expected:
    """Read one entry of "findings" in an EXPECT.json."""
    at = said.get("start")
    replicas, instead = said.get("replicas", []), said.get("any_of", [])
    assert isinstance(replicas, list) and isinstance(instead, list)
    return Expected(
        rule=str(said["rule"]),
        model=_text(said.get("model")),
        replicas=tuple(str(r) for r in replicas),
        version_from=_text(said.get("version_from")),
        version_to=_text(said.get("version_to")),
        at=(datetime.fromisoformat(str(at)) - start).total_seconds() if at else None,
        tolerance_s=float(str(said.get("tolerance_s", 60))),
        instead=tuple(str(r) for r in instead),
    )


def forbidden_of(said: Mapping[str, object]) -> Forbidden:
    """Read one entry of "never" in an EXPECT.json."""
    return Forbidden(str(said["rule"]), str(said["severity"]), _text(said.get("model")))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
