"""The report as JSON, schema cachelog.report/1 of CONTRACT: every key always there, null where a figure does not apply.

The text is pure ASCII, so that neither a terminal nor a parser meets what a log may hold, and the same report gives the
same bytes. Left out are what only the terminal shows: why an input was not read (it is in `limits`) and sparklines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from cachelog.contract.errors import UsageError
from cachelog.contract.finding import (
    SCHEMA,
    Cause,
    Confidence,
    Evidence,
    Finding,
    Impact,
    InputReport,
    LimitNote,
    ModelRow,
    Number,
    Rejected,
    Report,
    Severity,
    VersionRow,
)

INPUT_KEYS = ("path", "format", "envelope", "bytes", "lines", "events", "quiet", "joined", "unclaimed", "bad", "clock")
MISS_CAUSES = ("cold", "capacity", "version-change", "ttl", "flush", "duplicate", "new-keys", "error", "unexplained")

_DIGITS = 6  # of a share: a millionth of all lookups is less than any rule looks at


def render(report: Report) -> str:
    """Return the report as one JSON document, indented, ended by a newline."""
    return _dumped(as_json(report))


def inspected(report: Report) -> str:
    """Return how the inputs were read (cachelog.inspect/1): as in the report, and fields taken and lines not read."""
    known = as_json(report)
    inputs = [
        {
            **taken,
            "note": item.note,
            "fields": dict(report.fields.get(item.path, {})),
            "unread": [{"line": line.line, "state": line.role, "text": line.text} for line in item.unread],
        }
        for item, taken in zip(report.inputs, known["inputs"], strict=True)
    ]
    kept = {key: known[key] for key in ("tool", "partial", "period")}
    return _dumped({"schema": "cachelog.inspect/1", **kept, "inputs": inputs, "limits": known["limits"]})


def finding_alone(finding: Finding) -> str:
    """Return one finding as JSON, as it stands in the report."""
    return _dumped({"schema": "cachelog.finding/1", "finding": _finding(finding)})


def _dumped(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values, keys in the order of the contract."""
    return {
        "schema": SCHEMA,
        "tool": {"name": report.tool["name"], "version": report.tool["version"]},
        "partial": report.partial,
        "period": {"start": _time(report.start), "end": _time(report.end)},
        "inputs": [_input(item) for item in report.inputs],
        "limits": [{"what": note.what, "blocks": note.blocks, "where": note.where} for note in report.limits],
        "models": [_model(row) for row in report.models],
        "findings": [_finding(finding) for finding in report.findings],
    }


def _input(item: InputReport) -> dict[str, Any]:
    return {key: getattr(item, key) for key in INPUT_KEYS}


def _model(row: ModelRow) -> dict[str, Any]:
    plain = ("model", "cache", "lookups", "hits", "misses", "stale", "bypass", "errors")
    shares = ("miss_rate", "miss_rate_low", "miss_rate_high")
    return {
        **{key: getattr(row, key) for key in plain},
        **{key: _number(getattr(row, key)) for key in shares},
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
        "first": _time(row.first),
        "last": _time(row.last),
        "replicas": list(row.replicas),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "rule": finding.rule,
        "severity": finding.severity.word,
        "confidence": finding.confidence.word,
        "score": _number(finding.score),
        "title": finding.title,
        "summary": finding.summary,
        "model": finding.model,
        "cache": finding.cache,
        "replicas": list(finding.replicas),
        "version_from": finding.version_from,
        "version_to": finding.version_to,
        "order_basis": finding.order_basis,
        "start": _time(finding.start),
        "end": _time(finding.end),
        "onset_low": _time(finding.onset_low),
        "onset_high": _time(finding.onset_high),
        "ongoing": finding.ongoing,
        "impact": {field.name: _number(getattr(finding.impact, field.name)) for field in fields(Impact)},
        "numbers": {name: _number(value) for name, value in finding.numbers.items()},
        "causes": [_cause(cause) for cause in finding.causes],
        "caused_by": finding.caused_by,
        "rejected": [{"cause": item.cause, "why": item.why} for item in finding.rejected],
        "evidence": [_evidence(item) for item in finding.evidence],
        "next_steps": list(finding.next_steps),
        "fingerprint": finding.fingerprint,
    }


def _cause(cause: Cause) -> dict[str, Any]:
    share = _number(cause.share)
    return {"finding": cause.finding, "share": share, "confidence": cause.confidence.word, "why": cause.why}


def _evidence(item: Evidence) -> dict[str, Any]:
    return {"path": item.path, "line": item.line, "time": _time(item.time), "text": item.text, "role": item.role}


def _time(time: datetime | None) -> str | None:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z" if time else None


def _number(value: Number) -> Number:
    """Round to what matters; a figure that is no number is none, and a small one (a p-value) keeps its digits."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    rounded = round(value, _DIGITS)
    return rounded + 0.0 if rounded or not value else float(f"{value:.{_DIGITS}g}")


def read(text: str) -> Report:
    """Return the report that `render` wrote; raises UsageError on anything else."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        return _report(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"this is no report that `cachelog analyze --format json` wrote: {error}") from None


def _report(document: Mapping[str, Any]) -> Report:
    period = document["period"]
    return Report(
        tool=document["tool"],
        partial=bool(document["partial"]),
        start=_instant(period["start"]),
        end=_instant(period["end"]),
        inputs=tuple(InputReport(**{key: item[key] for key in INPUT_KEYS}) for item in document["inputs"]),
        limits=tuple(LimitNote(**note) for note in document["limits"]),
        models=tuple(_model_row(row) for row in document["models"]),
        findings=tuple(_read_finding(item) for item in document["findings"]),
    )


def _model_row(row: Mapping[str, Any]) -> ModelRow:
    return ModelRow(**{**row, "versions": tuple(_version_row(version) for version in row["versions"])})


def _version_row(row: Mapping[str, Any]) -> VersionRow:
    times = {key: _instant(row[key]) for key in ("first", "last")}
    return VersionRow(**{**row, **times, "replicas": tuple(row["replicas"])})


def _read_finding(item: Mapping[str, Any]) -> Finding:
    times = {key: _instant(item[key]) for key in ("start", "end", "onset_low", "onset_high")}
    causes = ({**cause, "confidence": Confidence[cause["confidence"].upper()]} for cause in item["causes"])
    lines = ({**line, "time": _instant(line["time"]), "source": 0} for line in item["evidence"])
    read: dict[str, Any] = {
        "severity": Severity[item["severity"].upper()],
        "confidence": Confidence[item["confidence"].upper()],
        "replicas": tuple(item["replicas"]),
        "impact": Impact(**item["impact"]),
        "causes": tuple(Cause(**cause) for cause in causes),
        "rejected": tuple(Rejected(**rejected) for rejected in item["rejected"]),
        "evidence": tuple(Evidence(**line) for line in lines),
        "next_steps": tuple(item["next_steps"]),
    }
    return Finding(**{**item, **times, **read})


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
