"""The report as workflow commands of GitHub Actions: annotations, and the lines of proof in folded groups.

GitHub shows ten annotations of a kind and step, so the verdict and the worst findings are told, and how many are left.
The runner carries out commands that it finds in the output: raw lines stand between `::stop-commands::` tokens, and
the token is a hash of them, so that no line can name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from cachelog.contract.finding import Finding, Report, Severity
from cachelog.contract.verdict import NOTHING, Anchor, Outcome, Setting
from cachelog.render import text

_LEVELS = {
    Severity.INFO: "notice",
    Severity.LOW: "warning",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
_OUTCOMES = {Outcome.PASS: "notice", Outcome.INCONCLUSIVE: "warning", Outcome.FAIL: "error"}
_COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)  # actions/runner, ActionCommand.TryParseV2 and TryParse
_SHOWN = 10  # annotations of a kind and step
_TITLE = 200  # characters; GitHub takes 255
_SAID = 4_000  # ... of a message; GitHub takes 64 kB
_GROUPS = 10  # findings whose lines are printed
_LINES = 20


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the commands, one a line."""
    return "".join(line + "\n" for line in (*_annotations(report, setting), *_proof(report.findings)))


def shielded(page: str) -> str:
    """Return a page of text for the log of a step, between tokens where the runner would obey a part of it."""
    if not _COMMAND.search(page):
        return page
    token = _token(page)
    return f"::stop-commands::{token}\n{page}::{token}::\n"


def _token(printed: str) -> str:
    """Return a hash of what is printed: whoever writes it into a log changes it."""
    return sha256(printed.encode("utf-8", "backslashreplace")).hexdigest()


def _annotations(report: Report, setting: Setting) -> Iterator[str]:
    verdict = setting.verdict
    top = _OUTCOMES[verdict.outcome] if verdict else "notice"
    room = dict.fromkeys(("error", "warning", "notice"), _SHOWN)
    room[top] -= 1
    told: list[str] = []
    for finding in report.findings:
        level = _LEVELS[finding.severity]
        if room[level]:
            room[level] -= 1
            told.append(_annotation(level, _of(finding), finding.summary, setting.anchor))
    left = len(report.findings) - len(told)
    said = text.headline(report, setting) + (f" {text.many(left, 'finding')} more in the report." if left else "")
    title = f"cachelog check: {verdict.outcome.value}" if verdict else "cachelog"
    yield _annotation(top, title, said, setting.anchor)
    yield from told


def _of(finding: Finding) -> str:
    return f"{finding.id} {finding.severity.word}: {finding.title}"


def _annotation(level: str, title: str, message: str, anchor: Anchor | None) -> str:
    place = {"file": anchor.path, "line": str(anchor.line)} if anchor else {}
    return _command(level, {**place, "title": text.short(title, _TITLE)}, text.short(message, _SAID))


def _command(name: str, properties: Mapping[str, str], message: str = "") -> str:
    """Return a command, escaped as in @actions/core."""
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name}{' ' if listed else ''}{listed}::{_data(message)}"


def _data(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(text.printable(value)).replace(":", "%3A").replace(",", "%2C")


def _proof(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in [f for f in findings if f.evidence and f.severity > Severity.INFO][:_GROUPS]:
        lines = [f"  {text.quoted(item, _SAID)}" for item in finding.evidence[:_LINES]]
        token = _token("\n".join(lines))
        yield _command("group", {}, text.short(_of(finding), _TITLE))
        yield f"::stop-commands::{token}"
        yield from lines
        yield f"::{token}::"
        yield "::endgroup::"
