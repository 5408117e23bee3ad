"""One finding in full: its arithmetic, its timeline, what was checked, and the raw lines behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime

from rich.cells import cell_len

from cachelog.contract.counted import Located
from cachelog.contract.finding import Evidence, Finding, Impact, Number, Report
from cachelog.contract.wording import listed, percent
from cachelog.render import figures, text
from cachelog.render.page import PLAIN, Look, Page

Context = Callable[[Evidence], Sequence[tuple[int, str, bool]]]
"""What stands around a cited line: line number, raw text, and whether it is the cited line."""

Sources = Mapping[str, Sequence[Located]]
"""The lines that figures count, by the names of these."""

_FIGURE = 11  # cells of a number
_MEANING = 12  # cells that its explanation needs beside it, else the three stand in a sentence
_SHOWN = 4  # replicas that are named beside a figure
_QUOTED = 6  # lines of the page that a raw line may take


def nothing(evidence: Evidence) -> Sequence[tuple[int, str, bool]]:
    """Return no context: the report alone is at hand."""
    return ()


def render(
    report: Report, finding: Finding, look: Look = PLAIN, context: Context = nothing, sources: Sources | None = None
) -> str:
    """Return the finding as a page of text; `context` reads the lines around its evidence again.

    `sources` are the lines that its figures count, None where the logs were not looked at.
    """
    page = Page(look)
    effects = next((s.effects for s in text.stories(report.findings) if s.cause.id == finding.id), ())
    _head(page, finding)
    _figures(page, finding)
    _sources(page, finding, sources)
    _links(page, report, finding, effects)
    _timeline(page, finding, effects)
    _lines(page, finding, context)
    _next(page, finding)
    return page.text()


def _head(page: Page, finding: Finding) -> None:
    page.headline(finding)
    page.prose(page.safe(finding.summary))
    page.blank()
    page.fact("rule", f"{page.safe(finding.rule)} (cachelog explain {page.safe(finding.rule)})")
    page.fact("model", page.safe(finding.model or ""))
    page.fact("cache", page.safe(finding.cache or ""))
    arrow = f" {page.sign('arrow')} "
    page.fact("versions", arrow.join(page.safe(v) for v in (finding.version_from, finding.version_to) if v))
    page.fact("order", page.safe(finding.order_basis or ""))
    page.fact("replicas", page.names(finding.replicas, most=100))
    page.fact("sure", f"{finding.confidence.word} confidence")
    page.fact("stable id", page.safe(finding.fingerprint))


def _figures(page: Page, finding: Finding) -> None:
    """Every number by the name that it has in the JSON report."""
    rows = [
        (page.fit(page.safe(name), 48), page.safe(value), page.safe(means)) for name, value, means in _rows(finding)
    ]
    if not rows:
        return
    page.heading("arithmetic")
    width = max(cell_len(name) for name, _, _ in rows)
    for name, value, means in rows:
        figure = value.rjust(_FIGURE) if value.isascii() else value
        if width + 2 + cell_len(figure) + 2 + _MEANING <= page.width:
            page.prose(means, style="dim", first=(name + " " * (width - cell_len(name) + 2), f"{figure}  "))
        else:
            page.prose(f"{name} = {value}" + (f" ({means})" if means else ""), indent=2)
    _sums(page, finding)
    _parts(page, finding)


def _rows(finding: Finding) -> Iterator[tuple[str, str, str]]:
    """Yield (name, figure, what it is) of the impact and of all other numbers."""
    for field in fields(Impact):
        if (value := getattr(finding.impact, field.name)) is not None:
            name = f"impact.{field.name}"
            yield name, _plain(value), figures.meaning(name)
    for name, value in finding.numbers.items():
        if name.startswith(figures.PART):
            continue
        plain = _plain(value)
        yield name, plain, figures.words(name, value, plain)


def _plain(value: Number) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return text.figure("", value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _sums(page: Page, finding: Finding) -> None:
    """Add how figures follow from one another, where both are there."""
    before, after = finding.numbers.get("rate_before"), finding.numbers.get("rate_after")
    if isinstance(before, float) and isinstance(after, float):
        points = 100 * (after - before)
        page.fact("", f"{percent(after)} - {percent(before)} = {points:+.1f} points of the miss rate", indent=0)
    impact = finding.impact
    if impact.stale_served and impact.lookups:
        share = percent(impact.stale_served / impact.lookups)
        page.fact("", f"{impact.stale_served:,} / {impact.lookups:,} = {share} answered by the wrong version", indent=0)


def _parts(page: Page, finding: Finding) -> None:
    """Add a table of the parts of a change: what is worse within each, and what comes of it being asked more."""
    found: dict[str, dict[str, str]] = {}
    for name, value in finding.numbers.items():
        if name.startswith(figures.PART):
            part, _, kind = name.removeprefix(figures.PART).rpartition(", ")
            row = found.setdefault(part, {}) if kind in ("within", "mix") else found.setdefault(f"{part}, {kind}", {})
            row[kind if kind in ("within", "mix") else "both"] = text.figure("difference", value)
    if found:
        page.heading("the change of the rate by part")
        rows = [
            (page.fit(page.safe(part), 60), row.get("within", ""), row.get("mix", ""), row.get("both", ""))
            for part, row in found.items()
        ]
        page.table(("part", "within", "mix", "both"), rows, right=("within", "mix", "both"))


def _sources(page: Page, finding: Finding, sources: Sources | None) -> None:
    """Say of which lines figures are the number, the first and the last of them; figures of the same lines together."""
    if sources is None and finding.numbers:
        page.prose(f"`cachelog show {page.safe(finding.id)} LOGS` says which lines each figure counts", style="dim")
    if not sources:
        return
    page.heading("counted from")
    together: dict[tuple[Located, ...], list[str]] = {}
    for name, located in sources.items():
        if _value_of(finding, name) is not None:
            together.setdefault(tuple(located), []).append(name)
    for located, names in together.items():
        page.line((page.safe(", ".join(names)), "bold"))
        exact = any(_is_exact(_value_of(finding, name), located) for name in names)
        for one in located:
            page.prose(page.safe(_counted(one, exact)), first=(f"  {'=' if exact else page.sign('item')} ",))


def _is_exact(value: Number, located: Sequence[Located]) -> bool:
    """Is the figure the number of the lines, or the share that the first lines have of the last?"""
    counts = [one.n for one in located]
    if isinstance(value, float) and len(counts) == 2 and value <= 1:
        return abs(counts[0] - value * counts[1]) <= 1e-6 * counts[1]
    return value == sum(counts)


def _value_of(finding: Finding, name: str) -> Number:
    part, _, own = name.partition(".")
    return getattr(finding.impact, own) if part == "impact" else finding.numbers.get(name)


def _counted(one: Located, exact: bool) -> str:
    """Return one sentence on some lines: how many, where, when, the first and the last."""
    spells = one.counted.spells
    since, until = min(s.since for s in spells), max(s.until for s in spells)
    names = sorted({s.replica for s in spells if s.replica})
    where = f" on {listed(names, _SHOWN)}" if names else ""
    where += f" but on {listed(one.counted.without, _SHOWN)}" if one.counted.without else ""
    said = f"{one.n:,} {one.counted.what}{where} between {text.moment(since)} and {text.moment(until, since)} UTC"
    ends = f": first {one.first}, last {one.last}" if one.n > 1 else f": {one.first}" if one.n else ""
    cut = ", in whole windows" if one.counted.whole else "" if exact else ", all in all"
    return said + cut + ends


def _links(page: Page, report: Report, finding: Finding, effects: Sequence[Finding]) -> None:
    titles = {f.id: f.title for f in report.findings}
    if finding.causes:
        page.heading("explained by")
    for cause in finding.causes:
        share = f"{percent(cause.share)} of its extra misses, " if cause.share is not None else ""
        sure = f"{share}{cause.confidence.word} confidence"
        said = f"{titles.get(cause.finding, '')} ({sure}): {cause.why}"
        page.prose(page.safe(said), first=(f"{page.safe(cause.finding)} ",))
    if effects:
        page.heading("what followed from it")
    for effect in effects:
        page.prose(f"{page.safe(effect.title)}. {page.safe(effect.summary)}", first=(f"{page.safe(effect.id)} ",))
    if finding.rejected:
        page.heading("checked and ruled out")
    for item in finding.rejected:
        page.prose(f"{page.safe(item.cause)}: {page.safe(item.why)}", first=(f"{page.sign('item')} ",))


def _timeline(page: Page, finding: Finding, effects: Sequence[Finding]) -> None:
    """Everything that has a time, in its order: begin, cited lines, effects, end."""
    moments: list[tuple[datetime, int, str]] = []
    for own in (finding, *effects):
        name = "" if own is finding else f"{own.id} "
        if own.onset_low and own.onset_high and own.onset_low < own.onset_high:
            moments.append((own.onset_low, 0, f"{name}began between this time ..."))
            moments.append((own.onset_high, 1, f"{name}... and this"))
        elif own.start:
            moments.append((own.start, 1, f"{name}began"))
        if own.end and own.end != own.start:
            moments.append((own.end, 3, name + ("still so at the end of the logs" if own.ongoing else "ended")))
        moments += [(e.time, 2, f"{name}{e.role}, {e.path}:{e.line}") for e in own.evidence if e.time]
    if not moments:
        return
    page.heading("timeline (UTC)")
    last: datetime | None = None
    for time, _, said in sorted(set(moments)):
        shown = text.moment(time, last)
        page.prose(page.safe(said), first=((f"{shown.rjust(19)}  ", "dim"),))
        last = time


def _lines(page: Page, finding: Finding, context: Context) -> None:
    """The raw lines file by file, each once, also where the surroundings of two cited lines overlap."""
    if finding.evidence:
        page.heading("lines")
    for path in dict.fromkeys(item.path for item in finding.evidence):
        page.prose(page.safe(path), style="cyan")
        mine = [item for item in finding.evidence if item.path == path]
        _file(page, mine, context)


def _file(page: Page, evidence: Sequence[Evidence], context: Context) -> None:
    roles: dict[int, list[str]] = {}
    lines: dict[int, str] = {}
    for item in evidence:
        roles.setdefault(item.line, []).append(item.role)
        lines |= {number: line for number, line, _ in context(item) or ((item.line, item.text, True),)}
    width = len(str(max(lines)))
    before: int | None = None
    for number, line in sorted(lines.items()):
        if before is not None and number > before + 1:
            page.line(f"  {page.sign('gap'):>{width}}")
        before = number
        cited = number in roles
        if cited:
            page.prose(page.safe(", ".join(roles[number])), style="bold", first=(" " * (width + 4),))
        page.quote(
            line, first=f"{'>' if cited else ' '} {number:>{width}}  ", lines=_QUOTED, style="" if cited else "dim"
        )


def _next(page: Page, finding: Finding) -> None:
    if finding.next_steps:
        page.heading("next")
    for step in finding.next_steps:
        page.prose(page.safe(step), first=(f"{page.sign('item')} ",))
