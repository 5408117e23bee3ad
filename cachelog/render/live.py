"""What `cachelog watch` shows: a line for each note, and on a terminal a view of how things stand."""

from __future__ import annotations

import json as plain_json
from datetime import UTC, datetime
from typing import Any

from cachelog.contract.finding import Finding, ModelRow, Report, Severity
from cachelog.render import text
from cachelog.render.page import PLAIN, SEVERITY_STYLES, Look, Page

SCHEMA = "cachelog.watch/1"
_FINDINGS = 8
_MODELS = 8
_SPARK = 24
_REPLICAS = 3  # named in a line
_PATH = 160  # cells


def line(
    kind: str, finding: Finding, before: Finding | None, at: datetime | None, look: Look = PLAIN,
    cause: Finding | None = None,
) -> str:  # fmt: skip
    """Return a note in one line; `at` is the time of the last event, `cause` what the finding is an effect of."""
    page = Page(look)
    word = f"{page.severity(finding.severity)} {finding.severity.name}"
    page.line(
        f"{text.moment(at)} " if at else "", (word, SEVERITY_STYLES[finding.severity]),
        f" {_said(kind, finding, before)}{page.safe(finding.title)} ({_where(page, finding, cause)})",
    )  # fmt: skip
    return page.text()


def _where(page: Page, finding: Finding, cause: Finding | None) -> str:
    """Return the rule, and of what model, versions and replicas, its cause, and the first line that proves it."""
    said = _rule(page, finding)
    versions = [page.names([name]) for name in (finding.version_from, finding.version_to) if name]
    said += ", " + f" {page.sign('arrow')} ".join(versions) if versions else ""
    said += f", on {page.names(finding.replicas, most=_REPLICAS)}" if finding.replicas else ""
    said += f"; effect of {_rule(page, cause)}" if cause else ""
    first = next(iter(finding.evidence), None)
    return said + (f"; {page.fit(page.safe(first.path), _PATH, tail=0.8)}:{first.line}" if first else "")


def _rule(page: Page, finding: Finding) -> str:
    return finding.rule + (f" of {page.names([finding.model])}" if finding.model else "")


def _said(kind: str, finding: Finding, before: Finding | None) -> str:
    if kind == "withdrawn":
        return "withdrawn: "
    if kind != "changed" or before is None:
        return ""
    if before.severity != finding.severity:
        return f"was {before.severity.word}: "
    return f"now on {text.many(len(finding.replicas), 'replica')}: "


def as_jsonl(kind: str, at: datetime | None, **said: str) -> str:
    """Return a note as a line of JSON; what is said are JSON documents by name, each as it is or within its name."""
    stamp = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z" if at else None
    told: dict[str, Any] = {name: plain_json.loads(document) for name, document in said.items()}
    told = {name: document.get(name, document) for name, document in told.items()}
    return plain_json.dumps({"schema": SCHEMA, "kind": kind, "at": stamp, **told}, allow_nan=False) + "\n"


def view(report: Report, taken: tuple[int, int], look: Look = PLAIN) -> str:
    """Return how things stand, for a screen: what was taken (lines, bytes), the worst findings, the worst models."""
    lines, octets = taken
    page = Page(look)
    read = f"{text.many(lines, 'line')} ({text.size(octets)}) of {text.many(len(report.inputs), 'input')}"
    page.line((f"{read}, up to {text.moment(report.end)}" if report.end else read, "dim"))
    bad = [f for f in report.findings if f.severity > Severity.INFO]
    for finding in bad[:_FINDINGS]:
        word = f"{page.severity(finding.severity)} {finding.severity.word:<8} "
        room = page.width - len(word)
        page.line((word, SEVERITY_STYLES[finding.severity]), page.fit(page.safe(finding.title), room))
    if len(bad) > _FINDINGS:
        page.line((f"and {len(bad) - _FINDINGS:,} more findings", "dim"))
    for row in sorted(report.models, key=lambda r: (-r.misses, r.model, r.cache))[:_MODELS]:
        page.line(*_model(page, row))
    return page.text()


def _model(page: Page, row: ModelRow) -> list[str]:
    name = page.fit(page.safe(row.model), 28).ljust(28)
    rate = f"{row.miss_rate:6.1%} missed" if row.miss_rate is not None else f"{row.misses:,} misses"
    return [name, "  ", rate, "  ", page.spark(row.trend, _SPARK)]
