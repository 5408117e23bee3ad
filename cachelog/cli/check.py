"""cachelog check: is this deploy all right: pass, fail or inconclusive."""

from __future__ import annotations

from typing import Annotated

import typer

from cachelog.cli.analyze import explain_errors, rendered
from cachelog.cli.options import FailOn, Filters, Format, Output, Paths
from cachelog.cli.printing import look, put, say
from cachelog.cli.running import analysed, damaged, exit_code, fails
from cachelog.contract.finding import Finding, LimitNote, Report, Severity
from cachelog.contract.limits import DEFAULT


def check(
    paths: Paths = None,
    *,
    fail_on: Annotated[FailOn, typer.Option(help="Fail when a finding is at least this bad.")] = FailOn.HIGH,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 when an input is damaged.")] = False,
    filters: Filters,
    output: Output,
) -> int:
    """Judge a deploy: pass (exit 0), fail (1) or inconclusive (3)."""
    report = analysed(paths, filters, fail_on)
    code = exit_code(report, fail_on, strict, zero=False)
    if code == 0 and (too_little(report) or untold(report)):
        code = 3
    _put(report, code, fail_on, output)
    explain_errors(report)
    return 0 if exit_zero and code in (1, 3, 4) else code


def too_little(report: Report) -> str:
    """Return why the logs do not bear a verdict, "" where they do: loads alone do, for the rules of versions."""
    lookups = sum(row.lookups or 0 for row in report.models)
    if not any(row.lookups or row.misses or row.versions for row in report.models):
        return f"neither lookups nor loads in {sum(item.lines for item in report.inputs):,} lines"
    if 0 < lookups < DEFAULT.shift_lookups:
        return f"{lookups:,} lookups, and a changed miss rate shows from {DEFAULT.shift_lookups:,} on"
    return ""


def untold(report: Report) -> str:
    """Return what the logs cannot tell that may hide the very thing that is asked for, "" for nothing."""
    barring = [note for note in report.limits if note.bars]
    return "; ".join(_said(note) for note in barring[:3]) + (f"; and {len(barring) - 3} more" if barring[3:] else "")


def _said(note: LimitNote) -> str:
    """Write a limit that bars a verdict."""
    return f"{note.what}{f' ({note.where})' if note.where else ''}, which hides {note.blocks}"


def _put(report: Report, code: int, fail_on: FailOn, output: Output) -> None:
    """Write the verdict and the findings behind it; beside JSON, which is the report alone, it is a message."""
    said = f"{_VERDICTS.get(code, 'inconclusive')}: {_reason(report, code, fail_on)}"
    if output.format is Format.JSON:
        put(rendered(report, output), output)
        say(f"cachelog: {said}")
        return
    from cachelog.render import terminal

    put(terminal.judged(said, _behind(report, fail_on), look(output)), output)


_VERDICTS = {0: "pass", 1: "fail"}


def _behind(report: Report, fail_on: FailOn) -> list[Finding]:
    """Return the findings at or above the level, each with those it explains or that explain it."""
    from cachelog.render.text import stories

    told = [(story.cause, *story.effects) for story in stories(report.findings)]
    return [finding for story in told if any(fails(f, fail_on) for f in story) for finding in story]


def _reason(report: Report, code: int, fail_on: FailOn) -> str:
    from cachelog.render.text import looked_at, many, verdict

    seen = looked_at(report)
    if code == 1:
        bad = many(sum(fails(f, fail_on) for f in report.findings), "finding")
        return f"{verdict(report).removesuffix('.')} ({bad} at or above {fail_on.value} in {seen})"
    if code == 130:
        return f"interrupted after {seen}"
    if code == 70:
        return "a rule failed, so its findings are missing"
    if code == 4:
        return f"inputs are damaged or incomplete: {', '.join(damaged(report)[:5])}"
    if code == 3:
        little, hidden = too_little(report), untold(report)
        return f"too little to judge: {little or seen}" if little or not hidden else f"these logs do not tell: {hidden}"
    below = [f for f in report.findings if f.severity > Severity.INFO]
    told = f"; below it {below[0].id} ({below[0].severity.word}): {below[0].title}" if below else ""
    return f"nothing at or above {fail_on.value} in {seen}{told}"
