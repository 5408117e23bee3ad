"""The findings as annotations for Grafana's dashboards (POST /api/annotations), one JSON document a line.

Every finding that has a time, information too: deploys and rollbacks are what a curve is explained by. Grafana shows
the text of an annotation as HTML, so it is escaped.
"""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from typing import Any

from cachelog.contract.finding import Finding, Report
from cachelog.contract.verdict import NOTHING, Setting
from cachelog.render import text

_SAID = 1_200  # characters
_TAG = 100  # that Grafana keeps of a tag


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return one annotation a line."""
    told = [_annotation(finding, finding.start) for finding in report.findings if finding.start]
    return "".join(json.dumps(annotation) + "\n" for annotation in told)


def _annotation(finding: Finding, start: datetime) -> dict[str, Any]:
    tags = ["cachelog", finding.rule, f"severity:{finding.severity.word}"]
    if finding.model:
        tags.append(text.short(f"model:{finding.model}", _TAG))
    made: dict[str, Any] = {"time": _milliseconds(start)}
    if finding.end and finding.end > start:
        made["timeEnd"] = _milliseconds(finding.end)
    said = f"{finding.id} {finding.severity.word}: {finding.title}"
    return made | {"tags": tags, "text": escape(f"{text.short(said, _SAID)}\n{text.short(finding.summary, _SAID)}")}


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
