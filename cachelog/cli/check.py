"""cachelog check: is this deploy all right: pass, fail or inconclusive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.analyze import explain_errors
from cachelog.cli.deciding import Allowed, Comparing, Inconclusive, Logs, decided
from cachelog.cli.options import FailOn, Filters, Outputs, Paths
from cachelog.cli.publishing import Judged, planned, publish
from cachelog.cli.running import damaged, exit_code, fails
from cachelog.cli.settings import Reading
from cachelog.contract.finding import Finding, LimitNote, ModelRow, Report, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.contract.verdict import Check, Outcome, Verdict

if TYPE_CHECKING:
    from cachelog.cli.deciding import Look as Seen
    from cachelog.render.page import Look


def check(
    paths: Paths = None,
    *,
    fail_on: Annotated[FailOn, typer.Option(help="Fail when a finding is at least this bad.")] = FailOn.HIGH,
    comparing: Comparing,
    allowed: Allowed,
    inconclusive: Annotated[
        Inconclusive, typer.Option(help="What an inconclusive verdict exits as: 3, or as a pass or fail.")
    ] = Inconclusive.OWN,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 when an input is damaged.")] = False,
    filters: Filters,
    reading: Reading,
    outputs: Outputs,
) -> int:
    """Judge a deploy: pass (exit 0), fail (1) or inconclusive (3).

    Fails on findings from --fail-on on, on miss rates that rose by more than allowed with 95 % certainty, and on
    expectations that do not hold. Miss rates are compared per model, before and after the deploy, without the cold
    misses that every deploy costs. Too few lookups to tell are inconclusive, never a pass.
    """
    from cachelog.gate import block

    plan = planned(outputs)
    logs = Logs(paths, filters, reading, fail_on, plan.charts)
    seen = decided(logs, (comparing, allowed), lambda seen: judged(seen, fail_on, strict)[0])
    verdict, code = judged(seen, fail_on, strict)

    def page(look: Look) -> str:
        from cachelog.render import terminal

        told = terminal.Told(verdict.said, _untold(verdict, _shown(seen, fail_on, strict)), _notes(seen))
        return terminal.judged(told, _behind(seen, fail_on), look)

    states = {mark: _SARIF[state] for mark, state in seen.known.states.items()}
    publish(seen.report, plan, page, Judged(verdict, block(verdict, seen.known, seen.deployed), states))
    explain_errors(seen.report)
    if code == 3:
        code = {Inconclusive.PASS: 0, Inconclusive.FAIL: 1}.get(inconclusive, 3)
    return 0 if exit_zero and code in (1, 3, 4) else code


_SARIF = {"new": "new", "worse": "updated", "known": "unchanged"}


def judged(seen: Seen, fail_on: FailOn, strict: bool) -> tuple[Verdict, int]:
    """Return the verdict on one look at the logs, and its exit code: findings first, then what else was checked."""
    from cachelog.gate import combined

    report = _counted(seen)
    code = _code(seen, fail_on, strict)
    checks = tuple(_checks(report, code, fail_on))
    verdict = combined(_of_findings(seen, code, fail_on), checks, () if code in (4, 70, 130) else seen.more)
    return verdict, {Outcome.FAIL: 1, Outcome.INCONCLUSIVE: code or 3}.get(verdict.outcome, code)


def _counted(seen: Seen) -> Report:
    """Return the report without the findings that were there before or are suppressed."""
    return replace(seen.report, findings=tuple(f for f in seen.report.findings if seen.known.counts(f)))


def _code(seen: Seen, fail_on: FailOn, strict: bool) -> int:
    """Return what the findings alone exit with; where rates or versions are checked, few lookups are their matter."""
    report = _counted(seen)
    code = exit_code(report, fail_on, strict, zero=False)
    return 3 if code == 0 and ((too_little(report) and not seen.more) or untold(report)) else code


def _of_findings(seen: Seen, code: int, fail_on: FailOn) -> Check:
    outcome = _OUTCOMES.get(code, Outcome.INCONCLUSIVE)
    said = _reason(_counted(seen), code, fail_on, _because(seen))
    if seen.known.states and code in _OUTCOMES:
        said = said.replace(f" at or above {fail_on.value} in ", f" new or worse at or above {fail_on.value} in ")
    return Check("findings", outcome, said)


def _because(seen: Seen) -> str:
    """Return what the worst finding that counts is an effect of, where that itself does not count."""
    everything = {f.id: f for f in seen.report.findings}
    worst = next(iter(_counted(seen).findings), None)
    cause = everything.get(worst.caused_by or "") if worst else None
    if cause is None or seen.known.counts(cause):
        return ""
    held = "suppressed" if cause.fingerprint in seen.known.suppressed else "known"
    return f", an effect of {cause.id} ({held}): {cause.title}"


def _shown(seen: Seen, fail_on: FailOn, strict: bool) -> tuple[Check, ...]:
    """Return the checks as the page tells them: one for all findings, and the others."""
    return (_of_findings(seen, _code(seen, fail_on, strict), fail_on), *seen.more) if seen.more else ()


def _untold(verdict: Verdict, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Return the checks whose sentence the verdict does not say anyway."""
    return tuple(check for check in checks if check.sentence not in verdict.sentence)


def _notes(seen: Seen) -> list[str]:
    """Say what a baseline and suppressions changed."""
    titles = {f.fingerprint: f"{f.id} {f.title}" for f in seen.report.findings if f.severity > Severity.INFO}
    notes = [f"{state}: {titles[mark]}" for mark, state in seen.known.states.items() if mark in titles]
    notes += [f"{one.state}: {one.name}" for one in seen.more if one.state]
    notes += [f"resolved: {what}" for what in (*(f.title for f in seen.known.resolved), *seen.known.mended)]
    for word, held in (("suppressed", seen.known.suppressed), ("no longer suppressed", seen.known.expired)):
        notes += [f"{word} (until {s.until}, {s.reason}): {titles[m]}" for m, s in held.items() if m in titles]
    return notes


def too_little(report: Report) -> str:
    """Return why the logs do not bear a verdict, "" where they do: loads alone do, for the rules of versions."""
    lookups = sum(row.lookups or 0 for row in report.models)
    why = _too_few(lookups, any(row.misses or row.versions for row in report.models))
    return why if lookups or not why else f"{why} in {sum(item.lines for item in report.inputs):,} lines"


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
    where = f" ({note.where})" if note.where and note.where not in note.what else ""
    return f"{note.what}{where}, which hides {note.blocks}"


def _behind(seen: Seen, fail_on: FailOn) -> list[Finding]:
    """Return the findings that count at or above the level, each with those it explains or that explain it."""
    from cachelog.render.text import stories

    told = [(story.cause, *story.effects) for story in stories(seen.report.findings)]
    return [f for story in told if any(fails(f, fail_on) and seen.known.counts(f) for f in story) for f in story]


def _reason(report: Report, code: int, fail_on: FailOn, because: str = "") -> str:
    from cachelog.render.text import looked_at, many, verdict

    seen = looked_at(report)
    if code == 1:
        bad = many(sum(fails(f, fail_on) for f in report.findings), "finding")
        return f"{verdict(report).removesuffix('.')}{because} ({bad} at or above {fail_on.value} in {seen})"
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
