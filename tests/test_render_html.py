"""The HTML page as text: nothing from outside, nothing of a log is markup, every part is there without a script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import pipeline
from cachelog.cli import app
from cachelog.contract.limits import DEFAULT
from cachelog.contract.verdict import Check, Outcome, Setting, Verdict
from cachelog.metrics import charting
from cachelog.render import html
from tests import reports
from tests.test_charting import START, frames

WEB = Path(html.__file__).parent / "web"
ATTACKS = (
    "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "\"><svg onload='alert(3)'>", "{{ 7 * 7 }}",
    "<!--", "]]>", "&lt;b&gt;", "javascript:alert(4)", "' onmouseover='alert(5)", "</style></title><h1>owned",
)  # fmt: skip
VOID = {"meta", "link", "input", "br"}


@cache
def incident():
    return pipeline.analyze(["sample-logs/stale-replica"], pipeline.Options(charts=True))


class Page(HTMLParser):
    """The tags and the visible text of a page; tags that do not close are an error."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text, self.data = "", ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data
        elif self.open and self.tags[-1][1].get("type") == "application/json":
            self.data += data


def shape(page: Page):
    """Return tags and names of attributes; a label of a band is there where it fits, which is left out."""
    return [(tag, tuple(given)) for tag, given in page.tags if given.get("class") != "version"]


def evil(words: str):
    """Return the incident with these words wherever words of a log stand."""
    base = incident()
    bad = reports.regression(
        title=words, summary=words, model=words, cache=words, replicas=(words,), version_from=words, version_to=words,
        next_steps=(words,), numbers={"x": words}, rule=words, fingerprint=words,
        evidence=tuple(replace(e, text=words, path=words, role=words) for e in base.findings[0].evidence),
    )  # fmt: skip
    drawn = base.charts.pictures["F1"]
    lanes = tuple(
        replace(lane, replica=words + str(at), bands=tuple(replace(band, version=words) for band in lane.bands))
        for at, lane in enumerate(drawn.lanes)
    )
    marks = tuple(replace(mark, version=words, replica=mark.replica and lanes[0].replica) for mark in drawn.marks)
    charts = replace(
        base.charts, pictures={"F1": replace(drawn, lanes=lanes, marks=marks, versions=(words,), rest={words: 1})}
    )
    return reports.report(
        findings=(bad, reports.shift(title=words), reports.note(title=words)), charts=charts, errors=(words,),
        inputs=(reports.source(words, format=words, clock=words, note=words),),
        models=(reports.row(words, cache=words, versions=(reports.version(words),)),),
    )  # fmt: skip


def setting(words: str = "rules"):
    verdict = Verdict(Outcome.FAIL, words, (Check(words, Outcome.FAIL, words),))
    return Setting(verdict=verdict, pages={words: words})


@cache
def harmless():
    return shape(Page(html.render(evil("x"), setting("x"))))


@pytest.mark.parametrize("words", ATTACKS)
def test_words_of_logs_are_text_and_change_no_tag(words):
    attacked = Page(html.render(evil(words), setting(words)))
    assert shape(attacked) == harmless()
    assert words in attacked.text
    assert json.loads(attacked.data)["finding-1"]["lanes"][0]["name"] == words + "0"


@settings(max_examples=15)
@given(words=st.text(min_size=1, max_size=60).filter(str.strip))
def test_no_text_whatever_changes_the_tags_of_the_page(words):
    assert shape(Page(html.render(evil(words), setting(words)))) == harmless()


def test_what_is_not_seen_is_written_out():
    shown = html.render(reports.hostile())
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\ufeff\x00-\x08\x1b\x9b\ud800-\udfff]", shown)
    assert "a\\u202ecod.exe" in shown


@pytest.mark.parametrize(
    "report", [reports.report(), reports.healthy(), reports.empty(), reports.crowd(), reports.hostile()]
)
def test_every_report_becomes_a_page_that_is_well_formed(report):
    page = Page(html.render(report))
    assert page.open == []
    assert [tag for tag, _ in page.tags].count("h1") == 1
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in page.tags if t == "a" and a["href"].startswith("#")} <= set(ids)


def test_the_page_loads_nothing_and_runs_only_its_own_script():
    source = html.render(incident(), setting())
    page = Page(source)
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base", "form", "img")
        assert not any(name.startswith("on") or name in ("src", "style", "srcdoc") for name in attributes)
        assert tag != "link" or attributes["href"] == "data:,"
        assert tag != "a" or attributes["href"].startswith("#")
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    bodies = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", source, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    assert len(hashes) == 2 and all(f"'sha256-{value}'" in policy for value in hashes)
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    assert "@import" not in bodies[0] and "url(" not in bodies[0]


def test_the_vendored_library_is_the_one_that_was_published():
    found = hashlib.sha256((WEB / "uPlot.iife.min.js").read_bytes()).hexdigest()
    assert found == "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"  # uplot 1.6.32 on npm
    assert "MIT" in (WEB / "uPlot.LICENSE").read_text()


def test_the_answer_stands_first_and_all_of_it_without_a_script():
    page = Page(html.render(incident(), setting()))
    body = page.text[page.text.index("Skip to the findings") :]
    finding = incident().findings[0]
    order = [
        "fail: rules",
        "older version v9 loaded after newer v10",
        finding.summary,
        "What to do next",
        "Proof",
        "By version, newest first",
        "Not understood",
    ]
    places = [body.index(words) for words in order]
    assert places == sorted(places)
    assert all(item.text in page.text for item in finding.evidence)
    assert all(note.blocks in page.text for note in incident().limits)
    drawn = [attributes.get("class") for tag, attributes in page.tags if tag in ("path", "rect", "circle")]
    assert {"rate line0", "rate line1", "interval line0", "v0", "v1", "shade"} <= set(drawn)
    figures = re.findall(r"\d\d:\d\d:\d\d(\d+\.\d % \(\d+\.\d to \d+\.\d\), \d+ of \d+)", page.text.replace("\n", ""))
    assert len(figures) >= 12


@pytest.mark.parametrize(
    "outcome, level",
    [(Outcome.PASS, "fine"), (Outcome.FAIL, "critical"), (Outcome.INCONCLUSIVE, "medium"), (None, "critical")],
)
def test_the_verdict_of_a_check_is_the_headline(outcome, level):
    verdict = Verdict(outcome, "because of so and so") if outcome else None
    source = html.render(reports.report(), Setting(verdict=verdict))
    said = f"{outcome.value}: because of so and so" if outcome else "fraud: older version v41 loaded"
    assert f"<h1>{said}" in source and f'<header class="verdict {level}">' in source


def test_the_chart_is_said_in_words_for_those_who_do_not_see_it():
    labels = [a.get("aria-label") or "" for t, a in Page(html.render(incident())).tags if t == "svg"]
    assert "2 affected 7.9 % before the finding began, 32.6 % from then on" in labels[0], labels[0]


def test_a_crowd_of_findings_is_told_in_brief_and_counted():
    many = tuple(reports.note(number + 1) for number in range(html.STORIES + 1200))
    source = html.render(reports.report(findings=many))
    assert source.count('<article class="card') == html.STORIES
    assert "and 200 findings more" in source


def test_the_fullest_charts_still_make_a_page_of_under_2_mb():
    many = [
        reports.regression(id=f"F{i + 1}", model="m", replicas=("pod-0",), end=START + timedelta(days=2))
        for i in range(50)
    ]
    charts = charting.charts(frames(60, 1440), many, replace(DEFAULT, chart_window_lookups=0))
    assert min(picture.rates.windows for picture in charts.pictures.values()) > DEFAULT.chart_points / 2
    source = html.render(
        reports.report(findings=tuple(many), charts=charts, models=tuple(map(reports.row, map(str, range(50)))))
    )
    assert source.count('<svg class="chart') == DEFAULT.chart_findings
    assert 500_000 < len(source) < 2_000_000


def test_the_same_report_gives_the_same_bytes():
    assert html.render(incident(), setting()) == html.render(incident(), setting())


def test_the_command_writes_a_page_by_the_ending_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    out = tmp_path / "report.html"
    assert app.run(["sample-logs/flapping", "-o", str(out)]) == 0
    page = Page(out.read_text())
    assert '"lanes"' in page.data and "version-flapping" in page.text
    assert "When it stays quiet" in page.text  # the manual of its rule
