"""The report as JSON, schema cachelog.report/1 of CONTRACT: every key always there, null where a figure does not apply.

The text is pure ASCII, so that neither a terminal nor a parser meets what a log may hold, and the same report gives the
same bytes. `cachelog check` adds its verdict as one more key, `check`, which has a schema of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
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
    Insight,
    LimitNote,
    ModelRow,
    Rejected,
    Report,
    Severity,
    VersionRow,
)
from cachelog.contract.verdict import NOTHING, VERDICT, Check, Outcome, Setting
from cachelog.render.document import INPUT_KEYS, as_json, finding_values, number, run_values


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the report as one JSON document, indented, ended by a newline."""
    check = {"check": setting.check} if setting.check else {}
    run = {"run": run_values(setting.told)} if setting.told else {}
    return _dumped(as_json(report) | check | run)


def inspected(report: Report) -> str:
    """Return how the inputs were read (cachelog.inspect/1): as in the report, and fields taken and lines not read."""
    known = as_json(report)
    inputs = [
        {
            **taken,
            "note": item.note,
            "fields": dict(report.fields.get(item.path, {})),
            **_insight(report.insights.get(item.path), item),
            "unread": [{"line": line.line, "state": line.role, "text": line.text} for line in item.unread],
        }
        for item, taken in zip(report.inputs, known["inputs"], strict=True)
    ]
    kept = {key: known[key] for key in ("tool", "partial", "period")}
    return _dumped({"schema": "cachelog.inspect/1", **kept, "inputs": inputs, "limits": known["limits"]})


def _insight(insight: Insight | None, item: InputReport) -> dict[str, Any]:
    known = insight or Insight((), (), (), ())
    return {
        "claimed": [{"dialect": name, "lines": many, "about": about} for name, many, about in known.claimed],
        "mapped": [{"map": what, "lines": many} for what, many in item.mapped.items()],
        "candidates": [
            {
                "field": c.field,
                "place": c.place,
                "filled": number(c.filled),
                "examples": list(c.examples),
                "sure": c.sure,
                "layout": c.layout,
            }
            for c in known.candidates
        ],
        "maps": list(known.maps),
        "templates": [{"text": t.text, "lines": t.lines, "first": t.first} for t in known.templates],
    }


def finding_alone(finding: Finding) -> str:
    """Return one finding as JSON, as it stands in the report."""
    return _dumped({"schema": "cachelog.finding/1", "finding": finding_values(finding)})


def _dumped(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def read(text: str) -> Report:
    """Return the report that `render` wrote; raises UsageError on anything else."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        return _report(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"this is no report that `cachelog analyze --format json` wrote: {error}") from None


def checks(text: str) -> tuple[Check, ...]:
    """Return the checks of the verdict in a report that `cachelog check` wrote, none where another command wrote it.

    Raises UsageError where they cannot be read.
    """
    block = json.loads(text).get("check") or {}
    try:
        if block and block["schema"] != VERDICT:
            raise ValueError(f"its schema is not {VERDICT}")
        return tuple(_check(one) for one in block.get("checks", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"the verdict in this report is none that `cachelog check` wrote: {error}") from None


def _check(one: Mapping[str, Any]) -> Check:
    numbers = {str(name): value for name, value in one["numbers"].items()}
    return Check(one["name"], Outcome(one["outcome"]), one["sentence"], one["model"], numbers=numbers)


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
