"""The page at 3 a.m.: golden texts, widths, signs, colours, and logs that attack the reader.

`python -m tests.test_render_terminal` writes the golden texts anew; read their diff before you commit it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from cachelog.contract.finding import Confidence, Evidence, LimitNote, Severity
from cachelog.render import detail, reading, terminal
from cachelog.render.page import Look, Page
from tests import reports

GOLDEN = Path(__file__).parent / "golden"
REPORTS = {
    "incident": reports.report(),
    "healthy": reports.healthy(),
    "empty": reports.empty(),
    "partial": reports.report(partial=True, errors=("cold-start: ValueError: x",)),
    "hostile": reports.hostile(),
    "crowd": reports.crowd(),
}
WIDTHS = (60, 80, 200)
PAGES = {
    **{f"{name}-{width}": (name, Look(width=width, bars=True)) for name in ("incident", "healthy", "empty") for width in WIDTHS},
    "piped": ("incident", Look()),
    "ascii": ("incident", Look(width=80, bars=True, ascii_only=True)),
    "colour": ("incident", Look(width=80, bars=True, colour=True)),
    "partial": ("partial", Look(width=80)),
    "hostile": ("hostile", Look(width=80, bars=True)),
}  # fmt: skip
#: What a terminal obeys, beside the newline; and what hides text or turns its direction.
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def shown(page):
    name, look = PAGES[page]
    return terminal.render(REPORTS[name], look)


def unwrapped(page):
    """The words of a page on one line."""
    return " ".join(page.split())


def every_page(report, look):
    """All that renderers of text make of a report."""
    yield terminal.render(report, look)
    yield reading.render(report, look)
    yield from (detail.render(report, finding, look) for finding in report.findings)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_the_golden_one(page):
    assert shown(page) == (GOLDEN / f"{page}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("bars", [False, True])
@pytest.mark.parametrize("width", [40, 60, 75, 80, 100, 200])
def test_no_line_is_wider_than_the_page(name, bars, width):
    for page in every_page(REPORTS[name], Look(width=width, bars=bars)):
        wide = [line for line in page.splitlines() if cell_len(line) > width]
        assert wide == []


@pytest.mark.parametrize("name", REPORTS)
def test_no_line_ends_in_blanks(name):
    for page in every_page(REPORTS[name], Look(bars=True)):
        assert all(line == line.rstrip() for line in page.split("\n"))


@pytest.mark.parametrize("name", REPORTS)
def test_ascii_is_nothing_but_ascii(name):
    for page in every_page(REPORTS[name], Look(width=80, bars=True, ascii_only=True)):
        assert page.isascii()


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_log_steers_the_terminal(name, ascii_only):
    for page in every_page(REPORTS[name], Look(width=80, ascii_only=ascii_only)):
        assert not STEERING.search(page)


def test_colours_are_the_only_sequences_of_a_coloured_page():
    for page in every_page(reports.hostile(), Look(width=80, colour=True, bars=True)):
        plain = re.sub(r"\x1b\[[0-9;]*m", "", page)
        assert not STEERING.search(plain)
    assert "\x1b[1;31m■ CRITICAL\x1b[0m" in shown("colour")


def test_a_coloured_page_says_what_a_plain_one_says():
    coloured = terminal.render(reports.hostile(), Look(width=80, colour=True, bars=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown("hostile")


def test_rich_markup_in_names_is_text():
    assert "[red]x[/red]" in terminal.render(reports.report(models=(reports.row("[red]x[/red]"),)), Look())


def test_a_pipe_gets_no_bars_and_no_colours():
    page = shown("piped")
    assert not set("┃│─╭╮╰╯") & set(page)
    assert "\x1b" not in page


def test_severity_is_told_without_colour():
    for level in Severity:
        page = terminal.render(reports.report(findings=(reports.regression(severity=level),)), Look())
        assert (level.name if level > Severity.INFO else "info ") in page


def test_one_story_is_one_card():
    page = shown("piped")
    assert page.count("CRITICAL") == 1
    assert "HIGH" not in page
    assert re.search(r"└ effect +F2 miss rate rose .* \(78 % of", page)
    assert page.index("F1") < page.index("F2") < page.index("F3")


def test_the_number_of_everything_is_bounded_and_said():
    page = terminal.render(reports.crowd(), Look(width=80))
    assert len(page.splitlines()) < 250
    for said in (
        "and 12 more",
        "more findings",
        "and 13 more: --top",
        "and 8 more: --top",
        "and 40 rows more with",
        "and 18 more: --format",
        "and 14 more inputs",
    ):
        assert said in page
    assert page.count("\nproof  ") == 5


def test_a_card_cites_three_lines_and_says_where_the_rest_is():
    cited = tuple(Evidence(0, n, None, "role", "a.log", "text") for n in range(1, 6))
    page = terminal.render(reports.report(findings=(reports.regression(evidence=cited),)), Look())
    assert re.findall(r"a\.log:(\d)", page) == ["1", "2", "3"]
    assert "and 2 lines more: cachelog show F1" in page


def test_a_cause_that_is_information_is_told_with_its_effect():
    findings = (reports.note(1), reports.shift(severity=Severity.INFO, caused_by="F1"))
    page = terminal.render(reports.report(findings=findings), Look())
    assert re.search(r"F1 15:11:56 spam: rolled back.*\n +└ F2 fraud: miss rate", page)
    assert page.startswith("Nothing wrong found")


def test_a_finding_without_end_has_no_length():
    page = terminal.render(reports.report(findings=(reports.regression(end=None, ongoing=False),)), Look())
    assert "when      2026-11-23 15:18:02 UTC\n" in page


def test_a_model_without_versions_and_rate_fits_too():
    bare = reports.row(versions=(), trend=(), cache="default", miss_rate=None, misses=0, lookups=None)
    for width in (60, 80):
        assert "unknown" in terminal.render(reports.report(models=(bare,)), Look(width=width))


def test_models_with_findings_stand_first():
    rows = (reports.row("zebra", misses=10**6), reports.row("fraud", misses=1))
    page = terminal.render(reports.report(models=rows), Look())
    table = page[page.index("\nmodels\n") :]
    assert table.index("fraud") < table.index("zebra")


def test_a_model_name_of_megabytes_is_shortened():
    long = "m" * 3_000_000
    made = reports.regression(title=f"{long}: older version", model=long, summary=long)
    page = terminal.render(reports.report(findings=(made,), models=(reports.row(long),)), Look(width=80))
    assert len(page) < 20_000


def test_a_cited_line_of_megabytes_shows_both_ends():
    text = "head" + "x" * 3_000_000 + "tail"
    cited = (Evidence(0, 1, None, "role", "a.log", text),)
    page = terminal.render(reports.report(findings=(reports.regression(evidence=cited),)), Look(width=80))
    assert len(page) < 5_000
    assert "head" in page
    assert "tail" in page


def test_what_is_not_known_is_not_shown_as_zero():
    bare = reports.regression(
        model=None, cache=None, replicas=(), version_from=None, version_to=None, start=None, end=None, onset_low=None, onset_high=None,
        numbers={}, evidence=(), rejected=(), next_steps=(), impact=replace(reports.regression().impact, lookups=None),
    )  # fmt: skip
    page = terminal.render(reports.report(findings=(bare,), models=()), Look())
    for label in ("where", "replicas", "when", "proof", "ruled out", "next", "models"):
        assert not re.search(rf"^{label}(  |$)", page, re.MULTILINE)
    assert "unknown, 13 misses" in shown("piped")
    assert "not logged" in shown("piped")


def test_only_doubts_are_told():
    assert "confidence" not in shown("piped")
    unsure = reports.report(findings=(reports.regression(confidence=Confidence.LOW),))
    assert "sure      low confidence" in terminal.render(unsure, Look())


@pytest.mark.parametrize(
    ("basis", "said"),
    [
        ("parsed:int", "(ordered as int)"),
        ("observed", "(order as observed)"),
        ("declared", "(order as declared)"),
        ("unknown", "(which is newer is not known)"),
    ],
)
def test_the_order_of_versions_comes_with_its_basis(basis, said):
    page = terminal.render(reports.report(findings=(reports.regression(order_basis=basis),)), Look())
    assert f"v42 → v41 {said}" in page


def test_an_effect_names_other_causes_that_fit():
    causes = (*reports.shift().causes, replace(reports.shift().causes[0], finding="F7"))
    page = terminal.render(reports.report(findings=(reports.regression(), reports.shift(causes=causes))), Look())
    assert "also fits: F7" in page


def test_an_onset_that_is_an_interval_is_told_as_one():
    page = terminal.render(reports.report(findings=(reports.shift(caused_by=None),)), Look())
    assert "began between 15:17:56 and 15:18:26" in unwrapped(page)
    assert "4.1 % (3.7 to 4.6) → 31.0 % (30.2 to 31.9)" in page


def test_an_input_that_a_limit_names_is_not_named_again():
    notes = (LimitNote("23 of 6100 lines were not understood", "what they say", "logs/fraud-1.log"),)
    assert terminal.render(reports.report(limits=notes), Look()).count("logs/fraud-1.log") == 1


def test_a_finding_in_full_names_every_number():
    finding = reports.shift()
    page = detail.render(reports.report(), finding, Look())
    for name in (*finding.numbers, "impact.lookups", "impact.excess_misses", "impact.added_seconds"):
        assert re.search(rf"^{re.escape(name)} ", page, re.MULTILINE), name
    assert "0.041  4.1 %" in page
    assert "31.0 % - 4.1 % = +26.9 points" in page
    assert "F1 fraud: older version v41" in page
    assert "78.0 % of its extra misses, high confidence" in unwrapped(page)


def test_the_timeline_is_in_order_of_time_and_names_its_lines():
    page = detail.render(reports.report(), reports.regression(), Look())
    lines = page[page.index("timeline") : page.index("\nlines\n")]
    times = re.findall(r"\d\d:\d\d:\d\d", lines)
    assert times == sorted(times)
    assert "newer version loaded, logs/fraud-0.log:84" in lines
    assert "F2 miss after the onset, logs/fraud-1.log:7" in lines


def test_raw_lines_stand_once_with_what_is_around_them():
    near = (
        Evidence(0, 10, None, "newer version loaded", "a.log", "ten"),
        Evidence(0, 12, None, "older", "a.log", "twelve"),
    )

    def around(item):
        return [(n, f"line {n}", n == item.line) for n in range(item.line - 1, item.line + 2)]

    page = detail.render(reports.report(), reports.regression(evidence=near), Look(), around)
    lines = page[page.index("\nlines\n") : page.index("\nnext\n")].splitlines()[2:]
    assert [line.strip() for line in lines if line] == [
        "a.log", "9  line 9", "newer version loaded", "> 10  line 10", "11  line 11", "older", "> 12  line 12", "13  line 13",
    ]  # fmt: skip


def test_without_the_logs_the_cited_lines_of_the_report_are_shown():
    page = detail.render(reports.report(), reports.regression(), Look())
    assert '>  84  {"msg":"loaded","version":"v42"}' in page
    assert '> 199  {"msg":"loaded","version":"v41"}' in page


def test_a_bare_finding_in_full_is_short():
    bare = reports.note(start=None, end=None)
    page = detail.render(reports.report(findings=(bare,)), bare, Look())
    for heading in ("arithmetic", "timeline", "lines", "next", "explained by", "what followed"):
        assert heading not in page


def test_inputs_that_were_read_alike_stand_together():
    many = tuple(reports.source(f"pod-{i:03}.log") for i in range(40))
    odd = reports.source("odd.log", format="triton", envelope="cri", note="ended early: the file is cut short")
    page = reading.render(reports.report(inputs=(*many, odd), partial=True), Look())
    assert "and 34 inputs more" in page
    assert "triton in cri" in page
    assert "not whole  ended early" in page
    assert "PARTIAL" in page
    assert len(page.splitlines()) < 30


def test_lines_that_were_not_understood_are_cited():
    lost = tuple(Evidence(0, n, None, "unclaimed", "a.log", f"what is {n}?") for n in (3, 7, 9))
    inputs = (reports.source("a.log", unread=lost), reports.source("b.log", unread=lost))
    page = reading.render(reports.report(inputs=inputs), Look())
    assert "not read   a.log:3 (unclaimed)\n           what is 3?\n" in page
    assert page.count("what is") == 5


def test_many_ways_of_reading_are_bounded():
    inputs = tuple(reports.source(f"{i}.log", format=f"f{i}") for i in range(30))
    assert "and 18 more ways of reading" in reading.render(reports.report(inputs=inputs), Look())


def test_inspect_says_which_name_was_taken_for_what():
    made = reports.report(fields={"logs/fraud-0.log": {"model": "model_name", "time": "ts"}})
    assert "model ← model_name, time ← ts" in reading.render(made, Look())
    assert "model <- model_name" in reading.render(made, Look(ascii_only=True))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=80), st.integers(40, 200), st.booleans())
def test_any_name_fits_any_page(name, width, ascii_only):
    made = reports.report(
        findings=(reports.regression(title=name, model=name, replicas=(name,) * 3, version_to=name, next_steps=(name,)),),
        models=(reports.row(name, cache=name, versions=(reports.version(name),)),),
    )  # fmt: skip
    page = terminal.render(made, Look(width=width, bars=True, ascii_only=ascii_only))
    assert max(map(cell_len, page.splitlines())) <= width
    assert not STEERING.search(page)


def test_a_page_is_never_narrower_than_can_be_read():
    assert Page(Look(width=3)).width == 40


if __name__ == "__main__":
    for page in PAGES:
        (GOLDEN / f"{page}.txt").write_text(shown(page), encoding="utf-8", newline="\n")
