"""How the inputs were read: what each was taken for, which names for which fields, and what was not understood."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cachelog.contract.finding import Candidate, InputReport, Insight, Report
from cachelog.render import text
from cachelog.render.page import PLAIN, Look, Page

_GROUPS = 12  # ways of reading shown
_PATHS = 6  # inputs named for each
_TEMPLATES = 8  # of lines that nobody claims
_UNREAD = 5  # lines that were not understood, cited for each
_LABEL = 11
#: Where no place looks like an outcome.
_HINT = (
    "no place looks like hit or miss; if a line says it, name the place, --map outcome=$.path or 'outcome=/(regex)/', "
    "and its words, --map outcome:WORD=hit (docs/own-formats.md)"
)

_Way = tuple[str, str, tuple[tuple[str, str], ...], str]  # format, envelope, fields, why not read


def render(report: Report, look: Look = PLAIN) -> str:
    """Return the inputs as a page of text; inputs that were read the same way stand together."""
    page = Page(look)
    page.prose(f"read {text.books(report.inputs)}", style="bold")
    if report.partial:
        page.prose("PARTIAL: reading was interrupted.", style="bold yellow")
    if report.start and report.end:
        page.prose(text.span(report.start, report.end), style="dim")
    ways = _ways(report)
    for way, inputs in ways[:_GROUPS]:
        _way(page, report, way, inputs)
    if len(ways) > _GROUPS:
        page.blank()
        page.prose(f"and {len(ways) - _GROUPS:,} more ways of reading: --format json has all", style="dim")
    _limits(page, report)
    return page.text()


def _ways(report: Report) -> list[tuple[_Way, list[InputReport]]]:
    """Group the inputs, the group with the most lines first."""
    groups: dict[_Way, list[InputReport]] = {}
    for item in report.inputs:
        fields = tuple(report.fields.get(item.path, {}).items())
        groups.setdefault((item.format, item.envelope or "", fields, item.note or ""), []).append(item)
    return sorted(groups.items(), key=lambda pair: (-sum(i.lines for i in pair[1]), pair[1][0].path))


def _way(page: Page, report: Report, way: _Way, inputs: Sequence[InputReport]) -> None:
    form, envelope, fields, note = way
    page.blank()
    page.prose(", ".join(page.safe(item.path) for item in inputs[:_PATHS]), style="bold")
    if len(inputs) > _PATHS:
        page.prose(f"and {text.many(len(inputs) - _PATHS, 'input')} more", style="dim")
    if note:
        page.fact("not whole", page.safe(note), indent=_LABEL)
    page.fact("format", f"{page.safe(form)} in {page.safe(envelope)}" if envelope else page.safe(form), indent=_LABEL)
    page.fact("lines", text.books(inputs), indent=_LABEL)
    for clock in sorted({item.clock for item in inputs if item.clock}):
        page.fact("clock", page.safe(clock), indent=_LABEL)
    taken = ", ".join(f"{page.safe(field)} {page.sign('from')} {page.safe(name)}" for field, name in fields)
    page.fact("fields", taken, indent=_LABEL)
    if found := [report.insights[item.path] for item in inputs if item.path in report.insights]:
        _insight(page, found[0], inputs)
    for number, line in enumerate([line for item in inputs for line in item.unread][:_UNREAD]):
        place = f"{page.safe(line.path)}:{line.line} ({line.role})"
        page.prose(place, first=(("not read" if number == 0 else "").ljust(_LABEL),), style="cyan")
        page.quote(line.text, first=" " * _LABEL, lines=2)


def _insight(page: Page, insight: Insight, inputs: Sequence[InputReport]) -> None:
    """Say who claimed the lines, what the first input's fields look like, what to type, and what nobody claimed."""
    for number, (name, many, about) in enumerate(insight.claimed):
        page.fact("claimed" if not number else "", f"{text.many(many, 'line')} by {name}: {about}", indent=_LABEL)
    for one in (line for item in inputs[:1] for line in item.mapped.items()):
        page.fact("mapped", f"{page.safe(one[0])} in {text.many(one[1], 'line')}", indent=_LABEL)
    if insight.unread:
        for number, found in enumerate(insight.candidates):
            page.fact("looks like" if not number else "", _candidate(page, found), indent=_LABEL)
        if insight.maps:
            _typed(page, insight.maps, inputs)
        else:
            page.fact("try", _HINT, indent=_LABEL)
    for number, template in enumerate(insight.templates[:_TEMPLATES]):
        head = f"{text.many(template.lines, 'line')}, first {template.first:,}: "
        page.quote(head + template.text, first=("unclaimed" if not number else "").ljust(_LABEL), lines=2)


def _candidate(page: Page, found: Candidate) -> str:
    examples = ", ".join(page.safe(value) for value in found.examples)
    sure = "" if found.sure else " (perhaps)"
    return f"{found.field}{sure} {page.sign('from')} {page.safe(found.place)}, in {found.filled:.0%}: {examples}"


def _typed(page: Page, maps: Sequence[str], inputs: Sequence[InputReport]) -> None:
    """Write the command that would read the lines: as it is, to be copied."""
    paths = " ".join(shlex.quote(page.raw(item.path)) for item in inputs[:_PATHS])
    lines = [f"cachelog analyze {paths}", *(f"  --map {shlex.quote(page.raw(one))}" for one in maps)]
    for number, line in enumerate(lines):
        end = " \\" if number + 1 < len(lines) else ""
        page.line(("try" if not number else "").ljust(_LABEL), (line + end, "bold"))


def _limits(page: Page, report: Report) -> None:
    if report.limits:
        page.heading("what these logs cannot tell")
    for note in report.limits:
        where = f" ({page.safe(note.where)})" if note.where else ""
        page.prose(
            f"{page.safe(note.what)}{where}; not known: {page.safe(note.blocks)}", first=(f"{page.sign('item')} ",)
        )
