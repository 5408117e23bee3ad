"""The report as plain values, schema cachelog.report/1 of CONTRACT: every key always there, null where none applies.

Left out are what only the terminal shows: why an input was not read (it is in `limits`) and sparklines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from cachelog.contract.finding import (
    MISS_CAUSES,
    SCHEMA,
    Cause,
    Evidence,
    Finding,
    Impact,
    InputReport,
    ModelRow,
    Number,
    Report,
    VersionRow,
)
from cachelog.contract.standing import Noted, Told

INPUT_KEYS = ("path", "format", "envelope", "bytes", "lines", "events", "quiet", "joined", "unclaimed", "bad", "clock")

_DIGITS = 6  # of a share: a millionth of all lookups is less than any rule looks at


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values, keys in the order of the contract."""
    return {
        "schema": SCHEMA,
        "tool": {"name": report.tool["name"], "version": report.tool["version"]},
        "partial": report.partial,
        "period": {"start": instant(report.start), "end": instant(report.end)},
        "inputs": [_input(item) for item in report.inputs],
        "limits": [{"what": note.what, "blocks": note.blocks, "where": note.where} for note in report.limits],
        "models": [_model(row) for row in report.models],
        "findings": [finding_values(finding) for finding in report.findings],
    }


def _input(item: InputReport) -> dict[str, Any]:
    return {key: getattr(item, key) for key in INPUT_KEYS}


def _model(row: ModelRow) -> dict[str, Any]:
    plain = ("model", "cache", "lookups", "hits", "misses", "stale", "bypass", "errors")
    shares = ("miss_rate", "miss_rate_low", "miss_rate_high")
    return {
        **{key: getattr(row, key) for key in plain},
        **{key: number(getattr(row, key)) for key in shares},
        "causes": {cause: row.causes.get(cause, 0) for cause in MISS_CAUSES},
        "versions": [_version(version) for version in row.versions],
    }


def _version(row: VersionRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "order": row.order,
        "basis": row.basis,
        "lookups": row.lookups,
        "hits": row.hits,
        "misses": row.misses,
        "first": instant(row.first),
        "last": instant(row.last),
        "replicas": list(row.replicas),
    }


def finding_values(finding: Finding) -> dict[str, Any]:
    """Return one finding as plain values."""
    return {
        "id": finding.id,
        "rule": finding.rule,
        "severity": finding.severity.word,
        "confidence": finding.confidence.word,
        "score": number(finding.score),
        "title": finding.title,
        "summary": finding.summary,
        "model": finding.model,
        "cache": finding.cache,
        "replicas": list(finding.replicas),
        "version_from": finding.version_from,
        "version_to": finding.version_to,
        "order_basis": finding.order_basis,
        "start": instant(finding.start),
        "end": instant(finding.end),
        "onset_low": instant(finding.onset_low),
        "onset_high": instant(finding.onset_high),
        "ongoing": finding.ongoing,
        "impact": {field.name: number(getattr(finding.impact, field.name)) for field in fields(Impact)},
        "numbers": {name: number(value) for name, value in finding.numbers.items()},
        "causes": [_cause(cause) for cause in finding.causes],
        "caused_by": finding.caused_by,
        "rejected": [{"cause": item.cause, "why": item.why} for item in finding.rejected],
        "evidence": [_evidence(item) for item in finding.evidence],
        "next_steps": list(finding.next_steps),
        "fingerprint": finding.fingerprint,
    }


def _cause(cause: Cause) -> dict[str, Any]:
    share = number(cause.share)
    return {"finding": cause.finding, "share": share, "confidence": cause.confidence.word, "why": cause.why}


def _evidence(item: Evidence) -> dict[str, Any]:
    return {"path": item.path, "line": item.line, "time": instant(item.time), "text": item.text, "role": item.role}


def run_values(told: Told) -> dict[str, Any]:
    """Return what a run of `cachelog report` says of itself, and how findings stand to the run before, by id."""
    run, news = told.run, told.news
    counts = {"seconds": run.seconds, "lines": run.lines, "bytes": run.bytes, "inputs": run.inputs}
    here = {"new": news.new, "worse": news.worse, "known": news.known}
    return {
        "number": run.number,
        "at": instant(run.at),
        **counts,
        "partial": run.partial,
        **{standing: [finding.id for finding in found] for standing, found in here.items()},
        "resolved": [_noted(noted) for noted in news.resolved],
    }


def _noted(noted: Noted) -> dict[str, Any]:
    known = {"fingerprint": noted.fingerprint, "rule": noted.rule, "severity": noted.severity.word}
    seen = {"first_seen": instant(noted.first_seen), "last_seen": instant(noted.last_seen)}
    return {**known, "title": noted.title, "model": noted.model, **seen}


def instant(time: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC, to the microsecond."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z" if time else None


def number(value: Number) -> Number:
    """Round to what matters; a figure that is no number is none, and a small one (a p-value) keeps its digits."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    rounded = round(value, _DIGITS)
    return rounded + 0.0 if rounded or not value else float(f"{value:.{_DIGITS}g}")


def sound(value: Any) -> Any:
    """Return plain values with every half of a pair of surrogates written out, so that any JSON parser takes them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {sound(key): sound(inner) for key, inner in value.items()}
    return [sound(inner) for inner in value] if isinstance(value, list | tuple) else value
