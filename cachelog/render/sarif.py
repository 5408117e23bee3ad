"""The report as SARIF 2.1.0 (OASIS), within the limits of GitHub's code scanning.

Log files are no part of a repository, so with an anchor every result stands there and its log lines are related
locations; without one it stands at its first log line. The verdict of `check` and rules that raised are notifications
of the invocation; what the logs cannot tell are configuration notifications.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import Any
from urllib.parse import quote

from cachelog.contract.finding import Confidence, Evidence, Finding, LimitNote, Report, Severity
from cachelog.contract.verdict import NOTHING, Outcome, Setting
from cachelog.render import text
from cachelog.render.document import finding_values, sound

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
_OUTCOMES = {Outcome.PASS: "note", Outcome.INCONCLUSIVE: "warning", Outcome.FAIL: "error"}
_PRECISION = {Confidence.LOW: "low", Confidence.MEDIUM: "medium", Confidence.HIGH: "high"}
_RESULTS = 25_000  # GitHub refuses a run with more
_LOCATIONS = 100  # ... and shows no more of a result
_NOTES = 100
_SAID = 1_200  # characters of a message
_SNIPPET = 1_000
_NAME = 200
_NAMES = 100  # replicas of a finding
_PATH = 4_096  # PATH_MAX of Linux; names within archives know no limit
_KEPT = ("model", "cache", "replicas", "version_from", "version_to", "order_basis", "start", "end", "ongoing")


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the report as a log of one run."""
    findings = report.findings[:_RESULTS]
    rules = sorted({finding.rule for finding in findings})
    run = {
        "tool": {"driver": _driver(report, rules, setting.pages)},
        "automationDetails": {"id": "cachelog/check/" if setting.verdict else "cachelog/analyze/"},
        "invocations": [_invocation(report, setting)],
        "results": [_result(finding, rules, report, setting) for finding in findings],
        "columnKind": "unicodeCodePoints",
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(sound(document), indent=1, allow_nan=False) + "\n"


def _driver(report: Report, rules: Sequence[str], pages: Mapping[str, str]) -> dict[str, Any]:
    name, version = report.tool["name"], report.tool["version"]
    described = [_rule(rule, cleandoc(pages.get(rule, ""))) for rule in rules]
    return {"name": name, "version": version, "semanticVersion": version, "rules": described}


def _rule(rule: str, page: str) -> dict[str, Any]:
    """Describe a rule by its manual page, where there is one: its first line, and the whole."""
    described: dict[str, Any] = {"id": rule, "name": "".join(word.title() for word in rule.split("-"))}
    if page:
        first, _, rest = page.partition("\n")
        described["shortDescription"] = {"text": first.partition(": ")[2] or first}
        described["fullDescription"] = {"text": _first_paragraph(rest) or first}
        described["help"] = {"text": page, "markdown": f"```text\n{page}\n```"}
    return described | {"properties": {"tags": ["model-serving", "cache"]}}


def _first_paragraph(page: str) -> str:
    """Return what stands below the first heading."""
    paragraph = page.strip().split("\n\n")[0].splitlines()[1:]
    return " ".join(line.strip() for line in paragraph)


def _invocation(report: Report, setting: Setting) -> dict[str, Any]:
    told = [_note(setting.verdict.said, _OUTCOMES[setting.verdict.outcome], "verdict")] if setting.verdict else []
    told += [_note(f"a rule failed: {error}", "error", "rule-failed") for error in report.errors[:_NOTES]]
    limits = [_note(_limit(note), "warning" if note.bars else "note", "limit") for note in report.limits[:_NOTES]]
    whole = not report.errors and not report.partial
    return {
        "executionSuccessful": whole,
        "toolExecutionNotifications": told,
        "toolConfigurationNotifications": limits,
    }


def _note(said: str, level: str, kind: str) -> dict[str, Any]:
    return {"descriptor": {"id": kind}, "level": level, "message": {"text": text.short(said, _SAID)}}


def _limit(note: LimitNote) -> str:
    return f"{note.what}{f' ({note.where})' if note.where else ''}; not known: {note.blocks}"


def _result(finding: Finding, rules: Sequence[str], report: Report, setting: Setting) -> dict[str, Any]:
    lines = [_location(item, number) for number, item in enumerate(finding.evidence[:_LOCATIONS], 1)]
    made: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "rank": _rank(finding),
        "message": {"text": text.short(f"{finding.title}. {finding.summary}", _SAID)},
        "locations": [_primary(lines, report, setting)],
        "relatedLocations": lines,
        "fingerprints": {"cachelog/v1": finding.fingerprint},
        "partialFingerprints": {"primaryLocationLineHash": f"{finding.fingerprint}:1"},
        "properties": _properties(finding),
    }
    if state := setting.states.get(finding.fingerprint):
        made["baselineState"] = state
    return made


def _rank(finding: Finding) -> float:
    """Return 0 to 100: the severity, and within it the confidence."""
    steps = len(Confidence)
    return round(100 * (finding.severity * steps + finding.confidence + 1) / (len(Severity) * steps), 1)


def _properties(finding: Finding) -> dict[str, Any]:
    values = finding_values(finding)
    kept = {key: _bounded(values[key]) for key in _KEPT if values[key] not in (None, [])}
    impact = {key: value for key, value in values["impact"].items() if value is not None}
    precision = _PRECISION[finding.confidence]
    return {"id": finding.id, "severity": finding.severity.word, "precision": precision, **kept, "impact": impact}


def _bounded(value: Any) -> Any:
    """Return names short, and no more of them than anybody reads."""
    if isinstance(value, str):
        return text.short(value, _NAME)
    return [_bounded(inner) for inner in value[:_NAMES]] if isinstance(value, list) else value


def _primary(lines: Sequence[Mapping[str, Any]], report: Report, setting: Setting) -> dict[str, Any]:
    """Return the place of a result: GitHub takes none without."""
    if anchor := setting.anchor:
        return {"physicalLocation": _physical(anchor.path, anchor.line)}
    if lines:
        return {"physicalLocation": lines[0]["physicalLocation"]}
    path = report.inputs[0].path if report.inputs else "-"
    return {"physicalLocation": _physical(path, 1)}


def _location(item: Evidence, number: int) -> dict[str, Any]:
    place = _physical(item.path, item.line)
    if item.text:
        place["region"]["snippet"] = {"text": text.short(item.text, _SNIPPET)}
    role = text.short(item.role, _SAID) or "cited line"
    return {"id": number, "message": {"text": role}, "physicalLocation": place}


def _physical(path: str, line: int) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(path)}, "region": {"startLine": max(line, 1)}}


def _uri(path: str) -> str:
    """Return a path as a relative reference (RFC 3986), an absolute one as a file URI; bytes that are no text stay."""
    try:
        raw = path[:_PATH].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path[:_PATH].encode("utf-8", "surrogatepass")
    return ("file://" if path.startswith("/") else "") + quote(raw, safe="/!")
