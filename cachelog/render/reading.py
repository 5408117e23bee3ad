"""How the inputs were read: what each was taken for, which names for which fields, and what was not understood."""

from __future__ import annotations

from collections.abc import Sequence

from cachelog.contract.finding import InputReport, Report
from cachelog.render import text
from cachelog.render.page import PLAIN, Look, Page

_GROUPS = 12  # ways of reading shown
_PATHS = 6  # inputs named for each
_UNREAD = 5  # lines that were not understood, cited for each
_LABEL = 10

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
        _way(page, way, inputs)
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


def _way(page: Page, way: _Way, inputs: Sequence[InputReport]) -> None:
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
    for number, line in enumerate([line for item in inputs for line in item.unread][:_UNREAD]):
        place = f"{page.safe(line.path)}:{line.line} ({line.role})"
        page.prose(place, first=(("not read" if number == 0 else "").ljust(_LABEL),), style="cyan")
        page.quote(line.text, first=" " * _LABEL, lines=2)


def _limits(page: Page, report: Report) -> None:
    if report.limits:
        page.heading("what these logs cannot tell")
    for note in report.limits:
        where = f" ({page.safe(note.where)})" if note.where else ""
        page.prose(
            f"{page.safe(note.what)}{where}; not known: {page.safe(note.blocks)}", first=(f"{page.sign('item')} ",)
        )
