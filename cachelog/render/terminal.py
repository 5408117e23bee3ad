"""The report for someone who reads it at 3 a.m.: verdict, findings as cards, the models, and what could not be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len

from cachelog.contract.finding import (
    Confidence,
    Evidence,
    Finding,
    InputReport,
    LimitNote,
    ModelRow,
    Report,
    Severity,
    VersionRow,
)
from cachelog.contract.verdict import Check, Outcome
from cachelog.contract.wording import listed, percent
from cachelog.render import text
from cachelog.render.page import PLAIN, SEVERITY_STYLES, Look, Page, Part
from cachelog.render.text import Story

CARDS = 5  # stories told in full; the rest get a line each
_NOTES = 12  # lines for findings that are information only, and for stories without a card
_EVIDENCE = 3  # lines of proof on a card
_QUOTED = 2  # lines that a cited log line takes on a card
_MODELS = 20
_LIMITS = 12
_INPUTS = 3
_VERSIONS = 3
_STEPS = 24  # of a sparkline
_STACK = 14  # cells beyond which versions stand below one another where there is no room
_LABEL = 10
_ROOMY = 96  # cells from which on sparklines have all their steps
_WIDE = 76  # cells from which on the models stand in a table


def render(report: Report, look: Look = PLAIN) -> str:
    """Return the report as a page of text."""
    page = Page(look)
    told = text.stories(report.findings)
    bad = [s for s in told if s.cause.severity > Severity.INFO]
    _opening(page, report)
    _cards(page, bad, report.end)
    _notes(page, [s for s in told if s.cause.severity == Severity.INFO], report.end)
    _models(page, report)
    _untold(page, report)
    _closing(page, report)
    return page.text()


@dataclass(frozen=True)
class Told:
    """A verdict: its sentence, the checks that it is made of where there are several, and what else is to be said."""

    sentence: str
    checks: Sequence[Check] = ()
    notes: Sequence[str] = ()


def judged(told: Told, findings: Sequence[Finding], look: Look = PLAIN) -> str:
    """Return a verdict with its checks and the findings that it rests on, as cards."""
    page = Page(look)
    page.prose(page.safe(told.sentence), style="bold")
    if told.checks:
        page.blank()
    for check in told.checks:
        page.prose(page.safe(check.sentence), first=((check.outcome.value.ljust(_OUTCOME), _OUTCOMES[check.outcome]),))
    for note in told.notes:
        page.prose(page.safe(note), style="dim")
    known = text.stories(findings)
    _cards(page, known, max((f.start for f in findings if f.start), default=None))
    return page.text()


_OUTCOME = 14  # cells
_OUTCOMES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "yellow"}


# -- verdict --------------------------------------------------------------------------------------------


def _opening(page: Page, report: Report) -> None:
    worst = max((f.severity for f in report.findings), default=Severity.INFO)
    style = SEVERITY_STYLES[worst] if worst > Severity.INFO else "bold"
    if report.partial:
        page.prose("PARTIAL: reading was interrupted; this covers only what was read until then.", style="bold yellow")
    page.prose(page.safe(text.verdict(report)), style=style)
    facts = [text.by_severity([story.cause for story in text.stories(report.findings)])]
    if report.start and report.end:
        facts.append(text.span(report.start, report.end))
    if worst > Severity.INFO:
        facts.append(text.looked_at(report, period=False))
    if any(facts):
        page.prose(" | ".join(filter(None, facts)), style="dim")
    for error in report.errors:
        page.prose(f"a rule failed, its findings are missing: {page.safe(error)}", style="bold red")


# -- findings -------------------------------------------------------------------------------------------


def _cards(page: Page, told: Sequence[Story], end: datetime | None) -> None:
    for story in told[:CARDS]:
        page.blank()
        with page.barred(SEVERITY_STYLES[story.cause.severity]):
            _card(page, story)
    rest = told[CARDS:]
    if rest:
        page.heading("more findings")
        _one_liners(page, rest, end)


def _card(page: Page, story: Story) -> None:
    finding = story.cause
    page.headline(finding)
    page.prose(page.safe(finding.summary))
    _facts(page, finding)
    for effect in story.effects:
        _effect(page, effect, finding)
    _proof(page, finding.evidence or next((e.evidence for e in story.effects if e.evidence), ()), finding.id)
    page.fact("ruled out", page.names([item.cause for item in finding.rejected]))
    _next(page, finding.next_steps)


def _facts(page: Page, finding: Finding) -> None:
    """Add where and when a finding is, between which versions, what it cost and how sure it is."""
    page.fact("where", _where(page, finding))
    page.fact("replicas", page.names(finding.replicas))
    page.fact("when", text.when(finding))
    page.fact("cost", page.safe(text.harm(finding)))
    page.fact("miss rate", f" {page.sign('arrow')} ".join(text.rates(finding.numbers)))
    if finding.confidence < Confidence.HIGH:
        page.fact("sure", f"{finding.confidence.word} confidence")


def _where(page: Page, finding: Finding) -> str:
    """Return model, cache and the pair of versions of a finding."""
    versions = [page.fit(page.safe(v), 40) for v in (finding.version_from, finding.version_to) if v]
    parts = [page.fit(page.safe(finding.model), 60)] if finding.model else []
    if finding.cache:
        parts.append(f"{page.fit(page.safe(finding.cache), 40)} cache")
    if versions:
        order = f" ({_basis(page.safe(finding.order_basis))})" if finding.order_basis and len(versions) > 1 else ""
        parts.append(f" {page.sign('arrow')} ".join(versions) + order)
    return ", ".join(parts)


def _basis(basis: str) -> str:
    kind, _, scheme = basis.partition(":")
    if kind == "unknown":
        return "which is newer is not known"
    return f"ordered as {scheme}" if scheme else f"order as {kind}"


def _effect(page: Page, effect: Finding, cause: Finding) -> None:
    share = next((c.share for c in effect.causes if c.finding == cause.id), None)
    explained = f" ({100 * share:.0f} % of it explained by this)" if share is not None else ""
    title = effect.title.removeprefix(f"{cause.model}: ")
    page.prose(
        f"{page.safe(title)}{explained}. {page.safe(effect.summary)}",
        first=((f"{page.sign('effect')} effect".ljust(_LABEL), "dim"), f"{page.safe(effect.id)} "),
        indent=_LABEL,
    )
    others = [c.finding for c in effect.causes if c.finding != cause.id]
    if others:
        page.fact("", f"also fits: {page.names(others)}", indent=_LABEL)


def _proof(page: Page, evidence: Sequence[Evidence], finding: str) -> None:
    for number, item in enumerate(evidence[:_EVIDENCE]):
        _cite(page, item, "proof" if number == 0 else "")
    if len(evidence) > _EVIDENCE:
        more = f"and {text.many(len(evidence) - _EVIDENCE, 'line')} more: cachelog show {page.safe(finding)}"
        page.fact("", more, indent=_LABEL)


def _cite(page: Page, item: Evidence, label: str) -> None:
    """Add one piece of evidence: time, role and place, and the head of the line."""
    place = f"{page.safe(item.path)}:{item.line}"
    role = f"{text.moment(item.time, item.time)} {page.safe(item.role)}" if item.time else page.safe(item.role)
    margin = (label.ljust(_LABEL), "dim")
    if _LABEL + cell_len(role) + 2 + cell_len(place) <= page.width:
        page.line(margin, f"{role}  ", (place, "cyan"))
    else:
        page.prose(role, first=(margin,))
        indent = _LABEL if _LABEL + cell_len(place) <= page.width else 2  # a path in one piece can be copied
        page.prose(place, style="cyan", first=(" " * indent,))
    if item.text:
        page.quote(item.text, first=" " * _LABEL, lines=_QUOTED)


def _next(page: Page, steps: Sequence[str]) -> None:
    for number, step in enumerate(steps):
        label = "next" if number == 0 else ""
        page.prose(page.safe(step), first=((label.ljust(_LABEL), "dim"), f"{page.sign('item')} "))


def _notes(page: Page, told: Sequence[Story], end: datetime | None) -> None:
    if told:
        page.heading("for information")
        _one_liners(page, told, end)


def _one_liners(page: Page, told: Sequence[Story], end: datetime | None) -> None:
    for story in told[:_NOTES]:
        _one_line(page, story.cause, end)
        for effect in story.effects:
            first = (f"   {page.sign('effect')} ", f"{page.safe(effect.id)} ")
            page.prose(page.safe(effect.title), style="dim", first=first)
    if len(told) > _NOTES:
        page.prose(f"and {len(told) - _NOTES:,} more: --top, --min-severity, --rule and --model choose", style="dim")


def _one_line(page: Page, finding: Finding, end: datetime | None) -> None:
    """Add a finding in brief, its time without the date where that is the one on which the logs end."""
    style = SEVERITY_STYLES[finding.severity]
    word = f"{page.severity(finding.severity)} {finding.severity.word:<8} "
    at = f"{text.moment(finding.start, end)} " if finding.start else ""
    page.prose(page.safe(finding.title), first=((word, style), f"{page.safe(finding.id)} {at}"), indent=4)


# -- models ---------------------------------------------------------------------------------------------


def _models(page: Page, report: Report) -> None:
    if not report.models:
        return
    page.heading("models")
    concerned = {f.model for f in report.findings if f.severity > Severity.INFO}
    rows = sorted(
        report.models, key=lambda r: (r.model not in concerned, -r.misses, -(r.lookups or 0), r.model, r.cache)
    )
    if page.width < _WIDE:
        for row in rows[:_MODELS]:
            _model_stacked(page, row)
    else:
        _model_table(page, rows[:_MODELS])
    if len(rows) > _MODELS:
        rest = rows[_MODELS:]
        misses, lookups = sum(r.misses for r in rest), sum(r.lookups or 0 for r in rest)
        counts = f"{misses:,} misses in {text.many(lookups, 'lookup')}"
        page.prose(f"and {text.many(len(rest), 'row')} more with {counts}: --model chooses", style="dim")


def _model_table(page: Page, rows: Sequence[ModelRow]) -> None:
    caches = {row.cache for row in rows} != {"default"}
    trends = any(row.trend for row in rows)
    heads = ["model", *(["cache"] if caches else []), "lookups", "miss rate (95 %)", "by version"]
    steps = _STEPS if page.width >= _ROOMY else _STEPS // 2
    cells: list[list[Part]] = []
    for row in rows:
        cache = [page.fit(page.safe(row.cache), 12)] if caches else []
        line: list[Part] = [_name(page, row), *cache, _lookups(row), _rate(row), _versions(page, row.versions)]
        cells.append([*line, (page.spark(row.trend, steps), "cyan")] if trends else line)
    page.table([*heads, *(["over time"] if trends else [])], cells, right=("lookups",), fold=("by version",))


def _model_stacked(page: Page, row: ModelRow) -> None:
    cache = f" ({page.fit(page.safe(row.cache), 20)} cache)" if row.cache != "default" else ""
    page.prose(_name(page, row) + cache, indent=2)
    page.prose(f"{_lookups(row)} lookups, miss rate {_rate(row)}", first=("  ",))
    if row.versions:
        page.prose(f"versions {_versions(page, row.versions)}".replace("\n", " "), first=("  ",))
    if row.trend:
        page.line("  ", (page.spark(row.trend, _STEPS), "cyan"), ("  over time", "dim"))


def _name(page: Page, row: ModelRow) -> str:
    return page.fit(page.safe(row.model), max(page.width // 4, 20))


def _lookups(row: ModelRow) -> str:
    return f"{row.lookups:,}" if row.lookups is not None else "not logged"


def _rate(row: ModelRow) -> str:
    if row.miss_rate is None:
        return f"unknown, {text.many(row.misses, 'miss', 'misses')}" if row.misses else "unknown"
    return text.rate(row.miss_rate, row.miss_rate_low, row.miss_rate_high)


def _versions(page: Page, rows: Sequence[VersionRow]) -> str:
    """The newest versions, oldest of them first, each with its miss rate where there is one."""
    roomy = page.width >= _ROOMY
    shown = [
        page.fit(page.safe(row.version), 24) + (f" {percent(row.misses / row.lookups)}" if row.lookups else "")
        for row in rows[-(_VERSIONS if roomy else _VERSIONS - 1) :]
    ]
    if len(shown) < len(rows):
        shown[0] = f"{page.sign('gap')} {shown[0]}"
    apart = not roomy and sum(map(cell_len, shown)) > _STACK
    return (",\n" if apart else ", ").join(shown)


# -- what could not be told -----------------------------------------------------------------------------


def _untold(page: Page, report: Report) -> None:
    named = {note.where for note in report.limits}
    damaged = [i for i in report.inputs if (i.bad or i.unclaimed) and i.path not in named]
    if not report.limits and not damaged:
        return
    page.heading("what these logs cannot tell")
    for note in report.limits[:_LIMITS]:
        _limit(page, note)
    if len(report.limits) > _LIMITS:
        page.prose(f"and {len(report.limits) - _LIMITS:,} more: --format json has all", style="dim")
    if damaged:
        _damaged(page, damaged)


def _limit(page: Page, note: LimitNote) -> None:
    place = f" ({page.fit(page.safe(note.where), 60)})" if note.where else ""
    page.prose(f"{page.safe(note.what)}{place}; not known: {page.safe(note.blocks)}", first=(f"{page.sign('item')} ",))


def _damaged(page: Page, inputs: Sequence[InputReport]) -> None:
    lost = sorted(inputs, key=lambda i: (-(i.bad + i.unclaimed), i.path))
    shown = [f"{page.fit(page.safe(i.path), 60)} ({_lost(i)})" for i in lost[:_INPUTS]]
    total = sum(i.bad + i.unclaimed for i in inputs)
    page.prose(
        f"{text.many(total, 'line')} not understood: {listed(shown, _INPUTS)}"
        + (f" and {len(lost) - _INPUTS:,} more inputs" if len(lost) > _INPUTS else "")
        + "; `cachelog inspect` says more",
        first=(f"{page.sign('item')} ",),
    )


def _lost(item: InputReport) -> str:
    parts = [f"{number:,} {word}" for number, word in ((item.unclaimed, "unclaimed"), (item.bad, "bad")) if number]
    return f"{', '.join(parts)} of {item.lines:,}"


def _closing(page: Page, report: Report) -> None:
    """Add the books of reading, which add up, and where the proof is."""
    page.blank()
    page.prose(f"read {text.books(report.inputs)}", style="dim")
    worst = next((f for f in report.findings if f.severity > Severity.INFO), None)
    if worst:
        page.prose(f"proof in full: cachelog show {page.safe(worst.id)}", style="dim")
    elif not sum(i.events for i in report.inputs):
        page.prose("how the inputs were read: cachelog inspect PATH...", style="dim")
