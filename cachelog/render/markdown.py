"""The report to paste into an issue, a pull request or a step summary: GitHub-flavoured Markdown of under 60 lines.

The verdict, a table of what is wrong, and the proof folded away. Words of logs are escaped: no markup, no HTML, no
links, and no mention of people or issues comes out of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cachelog.contract.finding import Finding, Report, Severity
from cachelog.contract.verdict import NOTHING, Check, Outcome, Setting
from cachelog.render import text
from cachelog.render.text import Story

_ROWS = 8  # findings in the table
_DETAILS = 2  # ... with their proof
_PROOF = 3  # lines of it
_STEPS = 2
_LIMITS = 4
_CHECKS = 6
_TITLE = 300  # characters
_SAID = 800
_NAME = 80
_LINE = 300
_MARKS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "⚠️"}
_WORDS = {Outcome.FAIL: "failed", Outcome.INCONCLUSIVE: "inconclusive", Outcome.PASS: "passed"}

_MARKUP = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?i:(?<=www)\.|(?<=mailto):|(?<=xmpp):)")
_BLOCK = re.compile(r"^([0-9]{1,9})?((?(1)[.)]|[#+=-]))")  # a heading, a rule or a list, where it stands first
_ENTITY = {"|": "&#124;", "<": "&lt;", ">": "&gt;", "&": "&amp;", "//": "&#47;/"}
_MENTION = re.compile(r"(?<=[@#!%^])(?=[\w\"])")
_NO_BREAK = "\u2060"  # word joiner: seen by nobody, and what stands beside it is no mention


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the report as Markdown."""
    told = text.stories(report.findings)
    bad = [story for story in told if story.cause.severity > Severity.INFO]
    blocks = (
        _opening(report, setting),
        _checks(setting),
        _table(bad, report),
        _notes(told, bad),
        *(_detail(story) for story in bad[:_DETAILS]),
        _limits(report),
        (f"<sub>{escaped(text.books(report.inputs))}</sub>",),
    )
    return "\n\n".join("\n".join(block) for block in map(list, blocks) if block) + "\n"


def escaped(said: str, most: int = _SAID) -> str:
    """Return words of a log as text of one line, which no renderer takes for markup, a link or a mention."""
    shown = _MARKUP.sub(lambda found: _ENTITY.get(found[0], "\\" + found[0]), text.short(said.strip(), most))
    shown = _BLOCK.sub(r"\1\\\2", shown)
    return _MENTION.sub(_NO_BREAK, shown)


def _opening(report: Report, setting: Setting) -> Iterator[str]:
    mark = f"{_MARKS[setting.verdict.outcome]} " if setting.verdict else ""
    yield f"**{mark}{escaped(text.headline(report, setting))}**"
    facts = [text.by_severity([story.cause for story in text.stories(report.findings)])]
    if report.start and report.end:
        facts.append(text.span(report.start, report.end))
    facts.append(text.looked_at(report, period=False))
    yield ""
    yield " · ".join(filter(None, facts))
    if report.partial:
        yield ""
        yield "**Partial: reading was interrupted; this covers only what was read until then.**"
    for error in report.errors[:_DETAILS]:
        yield ""
        yield f"**A rule failed, its findings are missing:** {escaped(error)}"


def _checks(setting: Setting) -> Iterator[str]:
    """How many checks had which outcome, and those that no finding of the table explains."""
    checks = setting.verdict.checks if setting.verdict else ()
    if not checks:
        return
    counts = {outcome: sum(check.outcome is outcome for check in checks) for outcome in _WORDS}
    yield "Checks: " + ", ".join(f"{number:,} {_WORDS[outcome]}" for outcome, number in counts.items() if number)
    unexplained = [check for check in checks if check.outcome is not Outcome.PASS and not check.findings]
    if unexplained:
        yield ""
    for check in unexplained[:_CHECKS]:
        yield f"- {_MARKS[check.outcome]} {_of(check)}"
    if len(unexplained) > _CHECKS:
        yield f"- and {len(unexplained) - _CHECKS:,} more"


def _of(check: Check) -> str:
    return f"**{escaped(check.name, _NAME)}**: {escaped(check.sentence, _TITLE)}"


def _table(told: Sequence[Story], report: Report) -> Iterator[str]:
    if not told:
        return
    yield "| | what | severity | since (UTC) | cost |"
    yield "|---|---|---|---|---|"
    for story in told[:_ROWS]:
        yield _row(story, report)
    if len(told) > _ROWS:
        yield f"| | and {text.many(len(told) - _ROWS, 'finding')} more | | | |"


def _row(story: Story, report: Report) -> str:
    cause = story.cause
    since = text.moment(cause.start, report.end) if cause.start else ""
    effects = "".join(f" → {escaped(effect.id)}" for effect in story.effects[:3])
    cost = text.explained(story) or text.harm(cause)
    cells = (escaped(cause.id) + effects, escaped(cause.title, _TITLE), cause.severity.word, since, escaped(cost))
    return f"| {' | '.join(cells)} |"


def _notes(told: Sequence[Story], bad: Sequence[Story]) -> Iterator[str]:
    if notes := len(told) - len(bad):
        yield f"{text.many(notes, 'finding')} for information only."


def _detail(story: Story) -> Iterator[str]:
    """The proof of a finding, folded; log lines stand in a fence longer than any in them."""
    finding = story.cause
    yield f"<details><summary>{escaped(finding.id)}: proof and next steps</summary>"
    yield ""
    yield escaped(finding.summary)
    yield from _fenced(finding)
    yield from (f"- {escaped(step)}" for step in finding.next_steps[:_STEPS])
    yield "</details>"


def _fenced(finding: Finding) -> Iterator[str]:
    lines = [text.quoted(item, _LINE) for item in finding.evidence[:_PROOF]]
    if not lines:
        yield ""
        return
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
    yield from ("", f"{fence}text", *lines, fence)


def _limits(report: Report) -> Iterator[str]:
    if not report.limits:
        return
    yield "<details><summary>What these logs cannot tell</summary>"
    yield ""
    for note in report.limits[:_LIMITS]:
        yield f"- {escaped(note.what, _TITLE)}; not known: {escaped(note.blocks, _TITLE)}"
    if len(report.limits) > _LIMITS:
        yield f"- and {len(report.limits) - _LIMITS:,} more"
    yield "</details>"
