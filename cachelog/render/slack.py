"""The report as a Slack message (Block Kit): the verdict, and each story with its cost, its proof and what to do.

All words of logs stand in rich text and plain text, which Slack shows as they are: no mention, link or markup comes
out of them. The fallback for notifications is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from cachelog.contract.finding import Report, Severity
from cachelog.contract.verdict import NOTHING, Outcome, Setting
from cachelog.render import text
from cachelog.render.text import Story

_STORIES = 5
_PROOF = 3
_SAID = 800
_LINE = 250
_SIGNS = {
    Severity.CRITICAL: "large_red_square",
    Severity.HIGH: "red_circle",
    Severity.MEDIUM: "large_orange_diamond",
    Severity.LOW: "large_blue_circle",
    Severity.INFO: "white_circle",
}
_MARKS = {Outcome.PASS: "white_check_mark", Outcome.FAIL: "x", Outcome.INCONCLUSIVE: "warning"}


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the message as JSON, as incoming webhooks and chat.postMessage take it."""
    said = text.headline(report, setting)
    told = [story for story in text.stories(report.findings) if story.cause.severity > Severity.INFO]
    blocks = [_opening(said, setting), _context(report)]
    for story in told[:_STORIES]:
        blocks += [{"type": "divider"}, *_story(story)]
    if len(told) > _STORIES:
        blocks.append(_rich([_words(f"and {text.many(len(told) - _STORIES, 'finding')} more")]))
    return json.dumps({"text": _escaped(said), "blocks": blocks}, indent=1) + "\n"


def _escaped(said: str) -> str:
    """Escape what Slack reads as a mention or link: api.slack.com, formatting text."""
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _opening(said: str, setting: Setting) -> dict[str, Any]:
    mark = [{"type": "emoji", "name": _MARKS[setting.verdict.outcome]}, _words(" ")] if setting.verdict else []
    return _rich([*mark, _words(said, bold=True)])


def _context(report: Report) -> dict[str, Any]:
    facts = [text.by_severity([story.cause for story in text.stories(report.findings)])]
    if report.start and report.end:
        facts.append(text.span(report.start, report.end))
    facts.append(text.looked_at(report, period=False))
    if report.partial:
        facts.append("partial: reading was interrupted")
    return {"type": "context", "elements": [{"type": "plain_text", "text": " | ".join(filter(None, facts))}]}


def _story(story: Story) -> Iterator[dict[str, Any]]:
    finding = story.cause
    sign = {"type": "emoji", "name": _SIGNS[finding.severity]}
    title = f" {finding.id} {text.short(finding.title, _SAID)}"
    yield _rich([sign, _words(title, bold=True), _words("\n" + (text.short(finding.summary, _SAID)))])
    cost = text.explained(story) or text.harm(finding)
    facts = [("cost", cost), ("effects", ", ".join(effect.id for effect in story.effects[:_PROOF]))]
    facts += [("next", step) for step in finding.next_steps[:_PROOF]]
    if any(value for _, value in facts):
        yield _rich(_listed(facts))
    lines = [text.quoted(item, _LINE) for item in finding.evidence[:_PROOF]]
    if lines:
        yield {
            "type": "rich_text",
            "elements": [{"type": "rich_text_preformatted", "elements": [_words(_joined(lines))]}],
        }


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines)


def _listed(facts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for label, value in facts:
        if value:
            made += [_words(f"{label} ", bold=True), _words(text.short(value, _SAID) + "\n")]
    return made


def _rich(elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def _words(said: str, *, bold: bool = False) -> dict[str, Any]:
    return {"type": "text", "text": said or " ", **({"style": {"bold": True}} if bold else {})}
