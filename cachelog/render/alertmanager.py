"""The findings as alerts for Alertmanager (POST /api/v2/alerts), one a story from the severity low on.

The labels are what tells an alert from another and stay from run to run; numbers are annotations. What had ended in
the logs has an end, so Alertmanager takes it for resolved; what is ongoing has none.
"""

from __future__ import annotations

import json
from typing import Any

from cachelog.contract.finding import Finding, Report, Severity
from cachelog.contract.verdict import NOTHING, Setting
from cachelog.render import document, text
from cachelog.render.text import Story

_SAID = 1_200  # characters
_LABEL = 200
_PROOF = 5


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the alerts as one JSON array, `[]` where nothing is wrong."""
    told = [story for story in text.stories(report.findings) if story.cause.severity > Severity.INFO]
    return json.dumps([_alert(story) for story in told], indent=1) + "\n"


def _alert(story: Story) -> dict[str, Any]:
    finding = story.cause
    labels = {
        "alertname": "".join(word.title() for word in finding.rule.split("-")),
        "job": "cachelog",
        "rule": finding.rule,
        "severity": finding.severity.word,
        "model": text.short(finding.model or "", _LABEL),
        "cache": text.short(finding.cache or "", _LABEL),
        "fingerprint": finding.fingerprint,
    }
    made: dict[str, Any] = {"labels": {key: value for key, value in labels.items() if value}}
    made["annotations"] = _annotations(story)
    return made | _times(finding)


def _times(finding: Finding) -> dict[str, str]:
    """Return startsAt and endsAt; Alertmanager refuses an end that is not after the start."""
    start, end = document.instant(finding.start), document.instant(finding.end)
    if start is None:
        return {}
    return {"startsAt": start, "endsAt": end} if end and end > start and not finding.ongoing else {"startsAt": start}


def _annotations(story: Story) -> dict[str, str]:
    finding = story.cause
    made = {
        "summary": text.short(finding.title, _SAID),
        "description": text.short(finding.summary, _SAID),
        "cost": text.short(text.explained(story) or text.harm(finding), _SAID),
        "replicas": text.short(", ".join(finding.replicas), _SAID),
        "proof": "\n".join(text.quoted(item) for item in finding.evidence[:_PROOF]),
        "next": "\n".join(text.short(step, _SAID) for step in finding.next_steps[:_PROOF]),
    }
    return {key: value for key, value in made.items() if value}
