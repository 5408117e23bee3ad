"""The report as a GitLab code quality report: an array of what is wrong, `[]` where nothing is.

A finding stands at the anchor where there is one, else at its first line of proof. The verdict of `check` is an entry
of its own. Fingerprints are those of the report, so GitLab tells what a merge request adds and resolves.
"""

from __future__ import annotations

import json
from typing import Any

from cachelog.contract.finding import Finding, Report, Severity
from cachelog.contract.verdict import NOTHING, Anchor, Outcome, Setting, Verdict
from cachelog.render import text

_SEVERITIES = {
    Severity.INFO: "info",
    Severity.LOW: "minor",
    Severity.MEDIUM: "major",
    Severity.HIGH: "critical",
    Severity.CRITICAL: "blocker",
}
_OUTCOMES = {Outcome.PASS: "info", Outcome.INCONCLUSIVE: "major", Outcome.FAIL: "critical"}
_SAID = 1_200  # characters of a description
_PATH = 4_096  # PATH_MAX of Linux; names within archives know no limit


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the report as one JSON array."""
    entries = [_of_verdict(setting.verdict, report, setting.anchor)] if setting.verdict else []
    entries += [_of_finding(finding, report, setting.anchor) for finding in report.findings]
    return json.dumps(_unique(entries), indent=1) + "\n"


def _of_verdict(verdict: Verdict, report: Report, anchor: Anchor | None) -> dict[str, Any]:
    return {
        "description": text.short(verdict.said, _SAID),
        "check_name": "check",
        "fingerprint": f"check-{verdict.outcome.value}",
        "severity": _OUTCOMES[verdict.outcome],
        "location": _place(*_somewhere(report, anchor)),
    }


def _of_finding(finding: Finding, report: Report, anchor: Anchor | None) -> dict[str, Any]:
    first = next(((item.path, item.line) for item in finding.evidence), None)
    path, line = (anchor.path, anchor.line) if anchor else first or _somewhere(report, None)
    proof = f" [{text.quoted(finding.evidence[0])}]" if finding.evidence else ""
    return {
        "description": text.short(f"{finding.title}. {finding.summary}", _SAID) + proof,
        "check_name": finding.rule,
        "fingerprint": finding.fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": _place(path, line),
    }


def _somewhere(report: Report, anchor: Anchor | None) -> tuple[str, int]:
    return (anchor.path, anchor.line) if anchor else (report.inputs[0].path if report.inputs else "-", 1)


def _place(path: str, line: int) -> dict[str, Any]:
    """Return a place; GitLab takes paths within the repository only, without `./`."""
    parts = [part for part in text.short(path, _PATH).split("/") if part not in ("", ".", "..")]
    return {"path": "/".join(parts) or "-", "lines": {"begin": max(line, 1)}}


def _unique(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the fingerprints that come again: GitLab drops entries that share one."""
    seen: dict[str, int] = {}
    for entry in entries:
        mark = entry["fingerprint"]
        seen[mark] = seen.get(mark, 0) + 1
        if seen[mark] > 1:
            entry["fingerprint"] = f"{mark}-{seen[mark]}"
    return entries
