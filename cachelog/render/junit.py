"""The report as JUnit XML (Jenkins' junit-10.xsd, which GitLab, GitHub actions and Azure read as well).

With a verdict of `check` one test case for it and one a check: failed, passed, or skipped where it is inconclusive.
Without one a test case a rule and model: failed by findings above information. A rule that raised is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from cachelog.contract.finding import Finding, Report, Severity
from cachelog.contract.verdict import NOTHING, Check, Outcome, Setting, Verdict
from cachelog.render import document, text

_NAME = 200  # characters of the name of a test case
_SAID = 1_200  # ... of a message
_LINES = 5  # of proof a finding


@dataclass(frozen=True)
class _Case:
    group: str
    name: str
    state: str = ""  # failure, skipped, error; "" passed
    message: str = ""
    kind: str = ""
    body: str = ""


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the report as an XML document."""
    cases = [*(_judged(report, setting.verdict) if setting.verdict else _found(report)), *_broken(report)]
    counts = {"tests": str(len(cases)), "failures": _count(cases, "failure"), "errors": _count(cases, "error")}
    top = ElementTree.Element("testsuites", {"name": "cachelog", "time": "0.000", **counts})
    counts["skipped"] = _count(cases, "skipped")
    suite = ElementTree.SubElement(top, "testsuite", {"name": "cachelog", "time": "0.000", **counts})
    if end := document.instant(report.end):
        suite.set("timestamp", end.partition(".")[0])  # of the logs: the same logs, the same bytes
    for case in cases:
        _add(suite, case)
    ElementTree.SubElement(suite, "system-out").text = text.headline(report, setting)
    ElementTree.indent(top, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(top, encoding="unicode") + "\n"


def _count(cases: Sequence[_Case], state: str) -> str:
    return str(sum(case.state == state for case in cases))


def _add(suite: ElementTree.Element, case: _Case) -> None:
    made = ElementTree.SubElement(suite, "testcase", classname=case.group, name=case.name, time="0.000")
    if case.state:
        said = ElementTree.SubElement(made, case.state, message=case.message)
        if case.state != "skipped":
            said.set("type", case.kind)
        said.text = case.body or None


def _judged(report: Report, verdict: Verdict) -> Iterator[_Case]:
    by_id = {finding.id: finding for finding in report.findings}
    yield _case("cachelog.check", Check("verdict", verdict.outcome, verdict.sentence), [])
    for check in verdict.checks:
        yield _case("cachelog.check.model" if check.model else "cachelog.check.logs", check, _known(check, by_id))


def _known(check: Check, by_id: dict[str, Finding]) -> list[Finding]:
    return [by_id[name] for name in check.findings if name in by_id]


def _case(group: str, check: Check, findings: Sequence[Finding]) -> _Case:
    name, said = text.short(check.name, _NAME), text.short(check.sentence, _SAID)
    if check.outcome is Outcome.PASS:
        return _Case(group, name)
    if check.outcome is Outcome.INCONCLUSIVE:
        return _Case(group, name, "skipped", said)
    kind = findings[0].rule if findings else "check"
    return _Case(group, name, "failure", said, kind, "\n".join(_body(findings)))


def _found(report: Report) -> Iterator[_Case]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.rule, finding.model or ""), []).append(finding)
    for (rule, model), findings in groups.items():
        bad = [finding for finding in findings if finding.severity > Severity.INFO]
        name = text.short(f"{rule}: {model}" if model else rule, _NAME)
        said = text.short(bad[0].title, _SAID) if bad else ""
        yield _Case("cachelog.findings", name, "failure" if bad else "", said, rule, "\n".join(_body(bad)))
    named = {model for _, model in groups}
    for model in sorted({row.model for row in report.models} - named):
        yield _Case("cachelog.models", text.short(model, _NAME))


def _broken(report: Report) -> Iterator[_Case]:
    for number, error in enumerate(report.errors, 1):
        yield _Case("cachelog.rules", f"rule {number} runs", "error", text.short(error, _SAID), "bug")


def _body(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.id} {finding.severity.word}: {text.short(finding.title, _SAID)}"
        yield text.short(finding.summary, _SAID)
        yield from (text.quoted(item) for item in finding.evidence[:_LINES])
        yield from (f"next: {text.short(step, _SAID)}" for step in finding.next_steps)
