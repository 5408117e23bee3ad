"""The findings as events of PagerDuty's Events API v2, one JSON document a line.

One event a story (a cause with its effects), from the severity low on; the fingerprint is its key, so that the same
finding of the next run adds to the incident that is open. The routing key is read from the environment.
"""

from __future__ import annotations

import json
from typing import Any

from cachelog.contract.finding import Report, Severity
from cachelog.contract.verdict import NOTHING, Setting
from cachelog.render import document, text
from cachelog.render.text import Story

_SEVERITIES = {
    Severity.LOW: "info",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "critical",
}
_SUMMARY = 1_024  # characters that PagerDuty takes
_SAID = 1_200
_PROOF = 5
_EVENTS = 100  # it takes 120 a minute


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return one event a line, nothing where nothing is wrong."""
    told = [story for story in text.stories(report.findings) if story.cause.severity > Severity.INFO]
    return "".join(json.dumps(_event(story, report, setting)) + "\n" for story in told[:_EVENTS])


def _event(story: Story, report: Report, setting: Setting) -> dict[str, Any]:
    finding = story.cause
    payload = {
        "summary": text.short(finding.title, _SUMMARY),
        "source": text.short(", ".join(finding.replicas[:_PROOF]) or finding.model or "logs", _SUMMARY),
        "severity": _SEVERITIES[finding.severity],
        "timestamp": document.instant(finding.start or report.end),
        "component": text.short(finding.model or "", _SUMMARY) or None,
        "group": text.short(finding.cache or "", _SUMMARY) or None,
        "class": finding.rule,
        "custom_details": _details(story, setting),
    }
    return {
        "routing_key": setting.routing_key or "",
        "event_action": "trigger",
        "dedup_key": f"cachelog-{finding.fingerprint}",
        "client": "cachelog",
        "payload": {key: value for key, value in payload.items() if value is not None},
    }


def _details(story: Story, setting: Setting) -> dict[str, Any]:
    finding = story.cause
    details = {
        "finding": finding.id,
        "summary": text.short(finding.summary, _SAID),
        "confidence": finding.confidence.word,
        "cost": text.short(text.explained(story) or text.harm(finding), _SAID),
        "effects": [f"{f.id}: {text.short(f.title, _SAID)}" for f in story.effects[:_PROOF]],
        "proof": [text.quoted(item) for item in finding.evidence[:_PROOF]],
        "next": [text.short(step, _SAID) for step in finding.next_steps[:_PROOF]],
        "verdict": text.short(setting.verdict.said, _SAID) if setting.verdict else "",
    }
    return {key: value for key, value in details.items() if value}
