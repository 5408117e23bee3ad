"""What `cachelog report` says beside the report: what is new, what stayed, what went; and the trend of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from cachelog.contract.finding import Finding, Report
from cachelog.contract.standing import News, Noted, Run
from cachelog.render import text
from cachelog.render.page import PLAIN, SEVERITY_STYLES, Look, Page

_LISTED = 20  # findings of a kind
_RUNS = 20  # of a trend
_MODELS = 20
_LEVELS = ("critical", "high", "medium", "low")


def sentence(news: News, run: Run) -> str:
    """Return what is new in one sentence."""
    counts = {"new": news.new, "worse": news.worse, "known": news.known, "resolved": news.resolved}
    said = ", ".join(f"{len(found)} {word}" for word, found in counts.items() if found) or "nothing to tell"
    since = "first look" if run.number == 1 else f"run {run.number}"
    return f"{since}: {said}; {text.many(run.lines, 'new line')} ({text.size(run.bytes)})"


def told(report: Report, news: News) -> list[Finding]:
    """Return the findings that are new or worse, in rank order, each with what it is an effect of."""
    fresh = {f.id for f in (*news.new, *news.worse)}
    stories = [s for s in text.stories(report.findings) if any(f.id in fresh for f in (s.cause, *s.effects))]
    return [f for s in stories for f in (s.cause, *s.effects) if f.id in fresh or f is s.cause]


def notes(report: Report, news: News) -> list[str]:
    """Say what is worse, and which effects that are news have a cause that is none."""
    states = {f.id: "new" for f in news.new} | {f.id: "worse" for f in news.worse}
    titles = {f.id: f.title for f in report.findings}
    said = []
    for finding in report.findings:
        known = finding.caused_by in titles and finding.caused_by not in states
        if finding.id in states and (known or states[finding.id] == "worse"):
            cause = f", an effect of {finding.caused_by} (known): {titles[finding.caused_by or '']}" if known else ""
            said.append(f"{states[finding.id]}: {finding.id} {finding.title}{cause}")
    return said


def render(report: Report, news: News, run: Run, look: Look = PLAIN) -> str:
    """Return what comes below the new findings: those that stayed, those that went, and what bounds the answer."""
    page = Page(look)
    shown = {f.id for f in told(report, news)}
    _section(page, "still there", [f for f in news.known if f.id not in shown])
    if news.resolved:
        page.heading("resolved")
        for noted in news.resolved[:_LISTED]:
            _resolved(page, noted)
    if run.partial:
        page.blank()
        page.prose(page.safe(f"PARTIAL: {run.partial}; the next run goes on from there."), style="bold yellow")
    page.blank()
    page.prose(page.safe(text.looked_at(report)), style="dim")
    return page.text()


def _section(page: Page, title: str, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    page.heading(title)
    for finding in findings[:_LISTED]:
        word = f"{page.severity(finding.severity)} {finding.severity.word:<8} "
        style = SEVERITY_STYLES[finding.severity]
        page.prose(page.safe(finding.title), first=((word, style), f"{page.safe(finding.id)} "), indent=4)
    if len(findings) > _LISTED:
        page.prose(f"and {len(findings) - _LISTED:,} more", style="dim")


def _resolved(page: Page, noted: Noted) -> None:
    word = f"{page.severity(noted.severity)} {noted.severity.word:<8} "
    since = f" (since {text.moment(noted.first_seen)})"
    page.prose(page.safe(noted.title) + since, first=((word, "dim"),), indent=4)


def trend(history: pl.DataFrame, look: Look = PLAIN) -> str:
    """Return the last runs of a HISTORY, and the miss rate of each model over them."""
    page = Page(look)
    if history.is_empty():
        page.prose("no run yet")
        return page.text()
    runs = history.filter(pl.col("model").is_null()).sort("run").tail(_RUNS)
    heads = ["run", "time", "new lines", "lookups", "miss rate", "findings", "new", "worse", "resolved"]
    page.table(heads, [_trend_row(row) for row in runs.iter_rows(named=True)], right=heads[2:])
    _trends(page, history.filter(pl.col("run") >= int(runs["run"][0])))
    return page.text()


def _trend_row(row: dict[str, Any]) -> list[str]:
    counts = [f"{sum(row[name] for name in _LEVELS):,}", *(f"{row[name]:,}" for name in ("new", "worse", "resolved"))]
    lines = f"{row['lines']:,}{'+' if row['partial'] else ''}"
    return [str(row["run"]), text.moment(row["at"]), lines, f"{row['lookups']:,}", _rate(row), *counts]


def _rate(row: dict[str, Any]) -> str:
    return f"{row['misses'] / row['lookups']:.1%}" if row["lookups"] else ""


def _trends(page: Page, history: pl.DataFrame) -> None:
    """Add a line for each of the models with the most misses."""
    named = history.drop_nulls("model").with_columns(rate=pl.col("misses") / pl.col("lookups"))
    last = named.sort("run").group_by("model", "cache", maintain_order=True).agg(pl.col("misses").last(), "rate")
    worst = last.filter(pl.col("rate").list.len() > 1).sort(
        ["misses", "model", "cache"], descending=[True, False, False]
    )
    for row in worst.head(_MODELS).iter_rows(named=True):
        rates = [rate if rate is not None and rate == rate else None for rate in row["rate"]]
        page.line(page.fit(page.safe(row["model"]), 30), "  ", page.spark(rates, _RUNS))
