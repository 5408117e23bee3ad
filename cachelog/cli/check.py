"""cachelog check: is this deploy all right: pass, fail or inconclusive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.analyze import explain_errors
from cachelog.cli.options import FailOn, Filters, Outputs, Paths
from cachelog.cli.publishing import planned, publish
from cachelog.cli.running import analysed, damaged, exit_code, fails
from cachelog.cli.settings import Reading
from cachelog.contract.finding import Finding, LimitNote, ModelRow, Report, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.contract.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from cachelog.render.page import Look


def check(
    paths: Paths = None,
    *,
    fail_on: Annotated[FailOn, typer.Option(help="Fail when a finding is at least this bad.")] = FailOn.HIGH,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 when an input is damaged.")] = False,
    filters: Filters,
    reading: Reading,
    outputs: Outputs,
) -> int:
    """Judge a deploy: pass (exit 0), fail (1) or inconclusive (3)."""
    plan = planned(outputs)
    report = analysed(paths, filters, fail_on, reading, charts=plan.charts)
    code = exit_code(report, fail_on, strict, zero=False)
    if code == 0 and (too_little(report) or untold(report)):
        code = 3
    verdict = judged(report, code, fail_on)

    def page(look: Look) -> str:
        from cachelog.render import terminal

        return terminal.judged(verdict.said, _behind(report, fail_on), look)

    publish(report, plan, page, verdict)
    explain_errors(report)
    return 0 if exit_zero and code in (1, 3, 4) else code


def too_little(report: Report) -> str:
    """Return why the logs do not bear a verdict, "" where they do: loads alone do, for the rules of versions."""
    lookups = sum(row.lookups or 0 for row in report.models)
    why = _too_few(lookups, any(row.misses or row.versions for row in report.models))
    return why if lookups or not why else f"{why} in {sum(item.lines for item in report.inputs):,} lines"


def judged(report: Report, code: int, fail_on: FailOn) -> Verdict:
    """Return the verdict that the exit code stands for, with a check for each model and one for what has none."""
    outcome = _OUTCOMES.get(code, Outcome.INCONCLUSIVE)
    return Verdict(outcome, _reason(report, code, fail_on), tuple(_checks(report, code, fail_on)))


_OUTCOMES = {0: Outcome.PASS, 1: Outcome.FAIL}


def _checks(report: Report, code: int, fail_on: FailOn) -> Iterator[Check]:
    bad = [finding for finding in report.findings if fails(finding, fail_on)]
    blind = code in (4, 70, 130) or (code == 3 and bool(untold(report)))
    unread = _reason(report, code, fail_on) if blind else ""
    rows: dict[str, list[ModelRow]] = {}
    for row in report.models:
        rows.setdefault(row.model, []).append(row)
    for model in sorted(rows.keys() | {finding.model for finding in bad if finding.model}):
        mine = [finding for finding in bad if finding.model == model]
        yield _of_model(model, rows.get(model, []), mine, fail_on, unread)
    if rest := [finding for finding in bad if finding.model is None]:
        yield Check("all models", Outcome.FAIL, _told(rest), None, tuple(finding.id for finding in rest))


def _of_model(model: str, rows: list[ModelRow], bad: list[Finding], fail_on: FailOn, unread: str) -> Check:
    if bad:
        return Check(model, Outcome.FAIL, _told(bad), model, tuple(finding.id for finding in bad))
    lookups = sum(row.lookups or 0 for row in rows)
    if why := unread or _too_few(lookups, any(row.misses or row.versions for row in rows)):
        return Check(model, Outcome.INCONCLUSIVE, why, model)
    seen = f"{lookups:,} lookups" if lookups else "its loads"
    return Check(model, Outcome.PASS, f"nothing at or above {fail_on.value} in {seen}", model)


def _told(bad: list[Finding]) -> str:
    more = f" and {len(bad) - 1:,} more" if len(bad) > 1 else ""
    return f"{bad[0].id} ({bad[0].severity.word}): {bad[0].title}{more}"


def _too_few(lookups: int, others: bool) -> str:
    if not lookups and not others:
        return "neither lookups nor loads"
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
