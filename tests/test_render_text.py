"""Words, figures and hostile text, as every renderer says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cachelog.contract.finding import Cause, Confidence, Impact, Severity
from cachelog.render import manual, text
from cachelog.render.page import Look, Page, wrapped
from tests import reports


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb\ufeff\u00ad", "a\\u200bb\\ufeff\\xad"),
        ("\u3164\u2800\ufe0f", "\\u3164\\u2800\\ufe0f"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("e\u0301", "e\u0301"),
        ("e\u0301\u0302\u0303", "e\u0301\u0302\\u0303"),
        ("模型 🦀", "模型 🦀"),
        ("a\u00a0b", "a\\xa0b"),
    ],
)
def test_every_character_is_seen(raw, shown):
    assert text.printable(raw) == shown


def test_ascii_shows_other_scripts_by_their_codes():
    assert text.printable("é 模 🦀", ascii_only=True) == "\\xe9 \\u6a21 \\U0001f980"


def test_a_log_line_loses_its_colours_but_no_other_sequence():
    assert text.log_line("\x1b[32m\x1b[1minfo\x1b[0m\tok\x1b[2J ") == "info  ok\\x1b[2J"


@given(st.text())
def test_printed_text_steers_no_terminal(raw):
    for shown in (text.printable(raw), text.log_line(raw)):
        assert shown == "" or shown.isprintable()
        assert not set(shown) & set("\u3164\u2800\u115f\ufe0f\u034f")
    assert text.printable(raw, ascii_only=True).isascii()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (text.many(1, "miss", "misses"), "1 miss"),
        (text.many(1204.4, "extra miss", "extra misses"), "1,204 extra misses"),
        (text.rate(0.319, 0.302, 0.336), "31.9 % (30.2 to 33.6)"),
        (text.rate(0.319, None, 0.336), "31.9 %"),
        (text.size(0), "0 B"),
        (text.size(999), "999 B"),
        (text.size(58_416), "58.4 kB"),
        (text.size(3_000_000), "3.0 MB"),
        (text.size(999_000_000_000_000), "999 TB"),
        (text.size(5 * 10**16), "50000 TB"),
        (text.span(reports.START, reports.END), "2026-11-23 15:09:56 to 15:39:56 UTC (30 min)"),
        (text.figure("rate_before", 0.077411), "7.7 %"),
        (text.figure("share_of_lookups", 1.0), "100.0 %"),
        (text.figure("difference_low", 0.171793), "+17.2 points"),
        (text.figure("window_seconds", 10.0), "10 s"),
        (text.figure("older_held_seconds", 1242.699), "20 min 43 s"),
        (text.figure("p", 1.2e-10), "1.2e-10"),
        (text.figure("lookups_after", 14140), "14,140"),
        (text.figure("control_z", None), "not known"),
        (text.figure("announced", True), "yes"),
        (text.figure("canary", False), "no"),
        (text.figure("scope", "fleet"), "fleet"),
    ],
)
def test_figures_read_well(said, expected):
    assert said == expected


def test_times_are_told_in_utc_whatever_their_zone():
    berlin = datetime(2026, 11, 24, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert text.moment(berlin) == "2026-11-23 23:30:00"
    assert text.moment(berlin, datetime(2026, 11, 23, tzinfo=UTC)) == "23:30:00"


def test_an_effect_is_told_with_its_cause_and_not_as_a_second_alarm():
    told = text.stories(reports.report().findings)
    assert [(s.cause.id, [e.id for e in s.effects]) for s in told] == [("F1", ["F2"]), ("F3", [])]


def test_an_effect_of_an_effect_is_told_by_the_first_cause():
    findings = [reports.regression(), reports.shift(), reports.shift(id="F3", caused_by="F2")]
    assert [[e.id for e in s.effects] for s in text.stories(findings)] == [["F2", "F3"]]


def test_a_cause_that_is_not_shown_leaves_its_effect_a_story_of_its_own():
    assert [s.cause.id for s in text.stories([reports.shift(caused_by="F77")])] == ["F2"]


def test_findings_that_blame_each_other_are_all_told():
    findings = [reports.regression(caused_by="F2"), reports.shift(caused_by="F1"), reports.note(caused_by="F3")]
    told = text.stories(findings)
    assert sorted(f.id for s in told for f in (s.cause, *s.effects)) == ["F1", "F2", "F3"]


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (
            reports.report(),
            "fraud: older version v41 loaded after newer v42 on 2 of 4 replicas since 15:18:02 UTC;"
            " it explains 78 % of 1,204 extra misses.",
        ),
        (
            reports.report(findings=(reports.regression(ongoing=False),)),
            "fraud: older version v41 loaded after newer v42 on 2 of 4 replicas at 15:18:02 UTC;"
            " 2,000 of 9,411 lookups answered by v41, 940 extra misses (at least 872).",
        ),
        (reports.report(findings=(reports.regression(start=None, impact=Impact()),)), f"{reports.regression().title}."),
        (reports.report(findings=(reports.note(),)), "Nothing wrong found in 12,034 lookups of 2 models on 2 replicas in 30 min."),
        (reports.healthy(), "Nothing wrong found in 12,034 lookups of 1 model on 2 replicas in 30 min."),
        (
            reports.report(findings=(), models=(reports.report().models[1],)),
            "Nothing wrong found in the loads of 1 model on 2 replicas in 30 min.",
        ),
        (reports.empty(), "Nothing to judge: no lookups and no model events in 12 lines of 2 inputs."),
    ],
    ids=["explained", "harm", "bare", "info", "healthy", "loads", "empty"],
)  # fmt: skip
def test_the_verdict_is_one_sentence(report, sentence):
    assert text.verdict(report) == sentence


@pytest.mark.parametrize(
    ("impact", "said"),
    [
        (Impact(), ""),
        (Impact(excess_misses=20.5, excess_misses_low=-6.6), ""),
        (Impact(excess_misses=-3.0), ""),
        (Impact(excess_misses=1.2), "1 extra miss"),
        (Impact(excess_misses=20.5, excess_misses_low=6.6), "20 extra misses (at least 7)"),
        (Impact(stale_served=5), "5 lookups answered by v41"),
    ],
)
def test_a_cost_is_told_only_where_it_is_proven(impact, said):
    assert text.harm(reports.regression(impact=impact)) == said


def test_shares_of_effects_on_several_caches_are_weighed_by_their_misses():
    half = reports.shift(
        id="F3", model="other", causes=(Cause("F1", 0.5, Confidence.LOW, ""),), impact=Impact(excess_misses=1204.4)
    )
    story = text.Story(reports.regression(), (reports.shift(), half))
    assert text.explained(story) == "it explains 64 % of 2,409 extra misses"


def test_effects_on_one_cache_are_the_same_misses_and_count_once():
    less = reports.shift(id="F3", causes=(Cause("F1", 0.5, Confidence.LOW, ""),), impact=Impact(excess_misses=900.0))
    story = text.Story(reports.regression(), (reports.shift(), less))
    assert text.explained(story) == "it explains 78 % of 1,204 extra misses"
    assert text.explained(text.Story(reports.regression(), (reports.shift(impact=Impact()),))) == ""


def test_severities_are_counted_worst_first():
    findings = [reports.note(), reports.regression(severity=Severity.LOW), reports.regression(), reports.note()]
    assert text.by_severity(findings) == "1 critical, 1 low, 2 info"


def test_the_books_of_reading_add_up():
    said = text.books(reports.report().inputs)
    assert said == "2 inputs, 3.0 MB: 12,200 lines = 12,034 events + 143 quiet + 12 unclaimed + 11 bad"
    assert 12034 + 143 + 12 + 11 == 12200


@given(st.text(max_size=300), st.integers(8, 60), st.integers(8, 60))
def test_wrapped_text_fits_and_loses_nothing_but_blanks(raw, first, rest):
    shown = text.printable(raw)
    lines = wrapped(shown, first, rest)
    assert all(cell_len(line) <= (first if n == 0 else rest) for n, line in enumerate(lines))
    assert "".join(lines).replace(" ", "") == shown.replace(" ", "")


def test_a_number_keeps_its_unit_beside_it():
    assert wrapped("it explains 78 % of 1,204 misses in 22 min", 14, 14) == [
        "it explains",
        "78 % of 1,204",
        "misses in",
        "22 min",
    ]


@given(st.text(), st.integers(8, 50), st.booleans())
def test_a_shortened_name_fits_and_keeps_both_ends(raw, cells, ascii_only):
    page = Page(Look(ascii_only=ascii_only))
    name = page.safe(raw)
    short = page.fit(name, cells)
    assert cell_len(short) <= cells
    assert short == name or page.sign("gap") in short


def test_names_are_five_and_how_many_more():
    page = Page(Look())
    assert page.names(["a", "b"]) == "a, b"
    assert page.names([f"r{i}" for i in range(17)]) == "r0, r1, r2, r3, r4 and 12 more"


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_sparkline_rises_with_the_rate_and_is_blank_where_nothing_was_asked(ascii_only):
    page = Page(Look(ascii_only=ascii_only))
    low, high = ("_", "#") if ascii_only else ("▁", "█")
    assert page.spark((0.0, None, 0.4), 24) == f"{low} {high}"
    assert page.spark((0.0, 0.001), 24) == low * 2
    assert len(page.spark((0.1,) * 24, 12)) == 12
    assert page.spark((), 12) == ""


def test_a_page_of_the_manual_keeps_headings_and_reflows_paragraphs():
    page = manual.render(
        "rule: says.\n\n    What it says\n        one two\n        three\n\n        four", Look(width=40)
    )
    assert page == "rule: says.\n\nWhat it says\n    one two three\n\n    four\n"


def test_terms_stand_in_a_column_under_their_headings():
    assert manual.terms({"heads": {"a": "one", "bcd": "two"}, "": {"e": "x"}}, Look(), "end.") == (
        "heads\n  a    one\n  bcd  two\n\ne  x\n\nend.\n"
    )


def test_of_a_rollout_that_stopped_the_version_it_comes_from_is_the_wrong_one():
    said = {"version_from": "41", "version_to": "42", "impact": Impact(lookups=90, stale_served=30)}
    assert text.harm(reports.regression(rule="stuck-rollout", **said)) == "30 of 90 lookups answered by 41"
    assert text.harm(reports.regression(**said)) == "30 of 90 lookups answered by 42"


@pytest.mark.parametrize(
    ("seconds", "said"), [(71 * 3600, "71 h"), (72 * 3600, "3 d"), (30 * 86400 - 60, "29 d 23 h"), (3660, "1 h 1 min")]
)
def test_days_are_said_from_three_on(seconds, said):
    assert text.lasting(seconds) == said
