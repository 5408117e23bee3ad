"""The report as one HTML page that needs nothing else: no network, and no script to be read.

Everything that comes out of logs is text: the template escapes it, and what is not seen (control characters, bidi
overrides) is written out first. The page's own style and script are named by their hashes in its Content Security
Policy, so nothing else runs or loads even if an escape were missing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from inspect import cleandoc
from itertools import groupby
from typing import TYPE_CHECKING, Any

from cachelog.contract.charting import Picture
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, ModelRow, Report, Severity
from cachelog.contract.verdict import NOTHING, Outcome, Setting
from cachelog.contract.wording import listed, percent
from cachelog.render import drawing, figures, text
from cachelog.render.text import Story

if TYPE_CHECKING:
    from jinja2 import Environment

STORIES = 40  # told in full; the others get a line each
_LINES = 1000  # of those, and rows of a table
_PROOF = 3  # cited lines at once; the others unfold
_QUOTED = 1200  # characters of a cited line
_NAMES = 12  # replicas named in a list
_SENTENCE = 600  # characters of a verdict
_VERSIONS = 3  # of a model
_LINKS = 4  # from a model to its findings
_SPARK = (96, 20)  # size of a sparkline


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the report as one HTML document."""
    told = _stories(report, setting)
    style, script = _style(), _script()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            setting=setting,
            told=told,
            headline=text.short(setting.verdict.said if setting.verdict else text.verdict(report), _SENTENCE),
            level=_level(told, setting),
            facts=_facts(report),
            models=_models(report),
            caches={row.cache for row in report.models} != {"default"},
            most=_LINES,
            manual=_manual(report, setting),
            charts=_data(told),
            policy=_policy(style, script),
            style=_own(style),
            script=_own(script),
        )
    )


# -- the page around it ---------------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    """Return the templates: every expression is made printable, then escaped; a name that is not there is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("cachelog.render", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "moment": text.moment,
        "size": text.size,
        "many": text.many,
        "percent": percent,
        "short": text.short,
    }
    made.globals |= {"drawn": drawing, "evidence": _evidence}
    return made


def _printable(value: Any) -> Any:
    """Write out what is not seen in a text of the report; markup of the page itself stays as it is."""
    return text.printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _own(words: str) -> str:
    """Mark what is part of the program, and may so stand in the page as it is."""
    from markupsafe import Markup

    return Markup(words)


def _part(name: str) -> str:
    return files("cachelog.render").joinpath("web", name).read_text("utf-8")


@cache
def _style() -> str:
    return _part("uPlot.min.css") + _part("report.css")


@cache
def _script() -> str:
    return _part("uPlot.iife.min.js") + _part("report.js")


def _policy(style: str, script: str) -> str:
    """Return the Content Security Policy (W3C CSP 3): nothing but this style and script, no connection anywhere."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(words: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()}'"


def _data(told: Told) -> str:
    """Return what the script draws, as JSON that no parser of HTML can take for a tag."""
    charts = {card.anchor: card.values for card in (*told.bad, *told.notes) if card.values is not None}
    plain = json.dumps(charts, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return _own(plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _level(told: Told, setting: Setting) -> str:
    """Return how bad it is, as a class of the style: what the verdict of `check` says, else the worst finding."""
    worst = told.worst.word if told.worst else None
    if setting.verdict is None:
        return worst or "fine"
    if setting.verdict.outcome is Outcome.FAIL:
        return worst or "critical"
    return "fine" if setting.verdict.outcome is Outcome.PASS else "medium"


def _facts(report: Report) -> list[str]:
    facts = [text.by_severity([story.cause for story in text.stories(report.findings)])]
    if report.start and report.end:
        facts.append(text.span(report.start, report.end))
    return [fact for fact in (*facts, text.looked_at(report, period=False)) if fact]


# -- findings -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A story as the page tells it."""

    anchor: str
    finding: Finding
    effects: tuple[tuple[Finding, str], ...]  # with how much of it the cause explains
    facts: tuple[tuple[str, str], ...]
    proof: tuple[Evidence, ...]
    more_proof: tuple[Evidence, ...]
    figures: tuple[tuple[str, str, str], ...]  # name, value, what it is
    state: str  # new, unchanged ..., "" where that is not known
    drawing: drawing.Drawing | None
    subject: str  # what the chart is of
    course: str  # the chart in words
    values: Mapping[str, Any] | None


@dataclass(frozen=True)
class Told:
    """All stories: cards for what is wrong and for what is information only, the others in brief."""

    bad: tuple[Card, ...]
    notes: tuple[Card, ...]
    brief: tuple[Finding, ...]
    left_out: int

    @property
    def worst(self) -> Severity | None:
        """Return the severity of the worst story, None where nothing is wrong."""
        return max((card.finding.severity for card in self.bad), default=None)


def _stories(report: Report, setting: Setting) -> Told:
    told = sorted(text.stories(report.findings), key=lambda story: story.cause.severity <= Severity.INFO)
    anchors = _anchors(report)
    cards = [_card(story, anchors[story.cause.id], report, setting) for story in told[:STORIES]]
    return Told(
        bad=tuple(card for card in cards if card.finding.severity > Severity.INFO),
        notes=tuple(card for card in cards if card.finding.severity <= Severity.INFO),
        brief=tuple(story.cause for story in told[STORIES : STORIES + _LINES]),
        left_out=max(len(told) - STORIES - _LINES, 0),
    )


def _card(story: Story, anchor: str, report: Report, setting: Setting) -> Card:
    finding = story.cause
    picture = report.charts.pictures.get(finding.id) if report.charts else None
    proof = finding.evidence or next((effect.evidence for effect in story.effects if effect.evidence), ())
    return Card(
        anchor=anchor,
        finding=finding,
        effects=tuple((effect, _share(effect, finding)) for effect in story.effects),
        facts=tuple((name, said) for name, said in _told(finding) if said),
        proof=proof[:_PROOF],
        more_proof=proof[_PROOF:],
        figures=tuple(_arithmetic(finding)),
        state=setting.states.get(finding.fingerprint, ""),
        drawing=drawing.drawing(picture, finding) if picture else None,
        subject=_subject(picture, finding) if picture else "",
        course=drawing.course(picture.rates, picture, finding) if picture and picture.rates else "",
        values=drawing.values(picture, finding) if picture else None,
    )


def _subject(picture: Picture, finding: Finding) -> str:
    """Return the caption of a chart; of a finding of no model it names the one that is shown."""
    bands = any(lane.bands for lane in picture.lanes)
    parts = [*(["miss rate"] if picture.rates else []), *(["versions"] if bands else [])]
    model = f" of {text.short(picture.model, 80)}" if picture.model and finding.model is None else ""
    said = (" and ".join(parts) or "events") + model + " over time (UTC)"
    cache = f", {text.short(picture.rates.cache, 40)} cache, shaded: 95 % interval" if picture.rates else ""
    return said[0].upper() + said[1:] + cache


def _anchors(report: Report) -> Mapping[str, str]:
    """Return the names of the findings within the page, by their ids."""
    return {finding.id: f"finding-{number}" for number, finding in enumerate(report.findings, 1)}


def _share(effect: Finding, cause: Finding) -> str:
    share = next((c.share for c in effect.causes if c.finding == cause.id), None)
    return f"{100 * share:.0f} % of it explained by this" if share is not None else ""


def _told(finding: Finding) -> Iterator[tuple[str, str]]:
    """Yield where and when a finding is, what it cost and how sure it is."""
    yield "Where", _where(finding)
    yield "Replicas", listed(finding.replicas, _NAMES)
    yield "When", text.when(finding)
    yield "Cost", text.harm(finding)
    yield "Miss rate", " → ".join(text.rates(finding.numbers))
    yield "Sure", f"{finding.confidence.word} confidence" if finding.confidence < Confidence.HIGH else ""
    yield "Ruled out", listed([item.cause for item in finding.rejected], _NAMES)


def _arithmetic(finding: Finding) -> Iterator[tuple[str, str, str]]:
    """Yield every number by the name that it has in the JSON report, with what it is."""
    impact = {f"impact.{field.name}": getattr(finding.impact, field.name) for field in fields(Impact)}
    for name, value in {**impact, **finding.numbers}.items():
        if value is not None:
            yield name, text.figure(name, value), figures.meaning(name)


def _where(finding: Finding) -> str:
    versions = " → ".join(text.short(v, 60) for v in (finding.version_from, finding.version_to) if v)
    cache = f"{text.short(finding.cache, 60)} cache" if finding.cache else ""
    return ", ".join(part for part in (text.short(finding.model or "", 100), cache, versions) if part)


def _evidence(item: Evidence) -> dict[str, str]:
    """Return when and where a cited line stands, what it shows and its text."""
    at = text.moment(item.time) + " UTC" if item.time else ""
    return {"at": at, "role": item.role, "place": f"{text.short(item.path, 300)}:{item.line}", "text": _line(item.text)}


def _line(raw: str) -> str:
    shown = text.log_line(raw[:_QUOTED])
    return shown if len(raw) <= _QUOTED else f"{shown} … ({len(raw):,} characters)"


# -- models ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A row of the table of models; what it sorts by are plain numbers."""

    row: ModelRow
    findings: tuple[tuple[str, Finding], ...]  # with their anchors, the worst first
    rate: str
    causes: tuple[str, ...]
    versions: tuple[str, ...]
    spark: str  # path of the course of its miss rate
    trend: str  # the course in words


def _by_concern(report: Report) -> list[ModelRow]:
    """Return the models with those of findings first, then by misses: who does not sort sees what matters."""
    worst: dict[str | None, int] = {}
    for finding in report.findings:
        worst[finding.model] = max(worst.get(finding.model, 0), finding.severity)
    return sorted(report.models, key=lambda r: (-worst.get(r.model, 0), -r.misses, -(r.lookups or 0), r.model, r.cache))


def _models(report: Report) -> list[Model]:
    """Return the rows, each with links to the stories that its findings are told in."""
    anchors = _anchors(report)
    stories: dict[str | None, list[tuple[str, Finding]]] = {}
    for story in text.stories(report.findings):
        for finding in (story.cause, *story.effects):
            stories.setdefault(finding.model, []).append((anchors[story.cause.id], finding))
    ranked = {model: sorted(mine, key=lambda pair: -pair[1].severity) for model, mine in stories.items()}
    return [_model(row, ranked.get(row.model, ())) for row in _by_concern(report)[:_LINES]]


def _model(row: ModelRow, mine: Sequence[tuple[str, Finding]]) -> Model:
    known = [value for value in row.trend if value is not None]
    return Model(
        row=row,
        findings=tuple((anchor, f) for anchor, f in mine if f.cache in (None, row.cache))[:_LINKS],
        rate=text.rate(row.miss_rate, row.miss_rate_low, row.miss_rate_high)
        if row.miss_rate is not None
        else "unknown",
        causes=_causes(row),
        versions=_versions(row),
        spark=_spark(row.trend) if len(known) > 1 else "",
        trend=f"from {percent(known[0])} to {percent(known[-1])}, at most {percent(max(known))}" if known else "",
    )


def _causes(row: ModelRow) -> tuple[str, ...]:
    """Return the two causes with the most misses, each with its share of them."""
    ranked = sorted((-misses, cause) for cause, misses in row.causes.items() if misses)
    return tuple(f"{cause} {100 * -less / row.misses:.0f} %" for less, cause in ranked[:2]) if row.misses else ()


def _versions(row: ModelRow) -> tuple[str, ...]:
    """Return the newest versions, the newest first, each with its miss rate where there is one."""
    shown = [
        text.short(version.version, 40) + (f" {percent(version.misses / version.lookups)}" if version.lookups else "")
        for version in row.versions[: -_VERSIONS - 1 : -1]
    ]
    more = len(row.versions) - len(shown)
    return (*shown, *([f"and {more} more"] if more else []))


def _spark(trend: Sequence[float | None]) -> str:
    width, height = _SPARK
    highest = max((value for value in trend if value), default=1.0)
    step = width / max(len(trend) - 1, 1)
    places = [
        f"{at * step:.1f} {1 + (height - 2) * (1 - value / highest):.1f}"
        for at, value in enumerate(trend)
        if value is not None  # where windows are wider than the steps of a trend, most steps are empty
    ]
    return "M" + "L".join(places)


# -- manual ---------------------------------------------------------------------------------------------


def _manual(report: Report, setting: Setting) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return the page of each rule with a finding: its title, and headings with their paragraphs."""
    rules = sorted({finding.rule for finding in report.findings} & setting.pages.keys())
    return [(rule, list(_sections(setting.pages[rule]))) for rule in rules]


def _sections(page: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (heading, paragraphs); lines at the edge are headings, as `cachelog explain` shows them."""
    heading, words = "", list[str]()
    blocks = [list(b) for blank, b in groupby(cleandoc(page).splitlines(), lambda line: not line.strip()) if not blank]
    for indented, lines in ((g, list(b)) for block in blocks for g, b in groupby(block, lambda x: x.startswith(" "))):
        said = " ".join(line.strip() for line in lines)
        if indented:
            words.append(said)
            continue
        if heading or words:
            yield heading, words
        heading, words = said, []
    yield heading, words
