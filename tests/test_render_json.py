"""The JSON report: the keys of the contract at every level, the same bytes every time, and back again."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelog import pipeline
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Evidence, Impact
from cachelog.render import json as renderer
from tests import reports

#: The block of the contract, as it stands there.
CONTRACT = """
{"schema": "cachelog.report/1", "tool": {"name", "version"}, "partial": false,
 "period": {"start", "end"},                         times: RFC 3339, UTC, microseconds, Z
 "inputs": [{"path", "format", "envelope", "bytes", "lines", "events", "quiet", "joined", "unclaimed", "bad", "clock"}],
 "limits": [{"what", "blocks", "where"}],            what this log cannot tell, and which conclusions that blocks
 "models": [{"model", "cache", "lookups", "hits", "misses", "stale", "bypass", "errors",
             "miss_rate", "miss_rate_low", "miss_rate_high",          misses/lookups and its 95 % Wilson interval; null where lookups are unknown
             "causes": {"cold", "capacity", "version-change", "ttl", "flush", "duplicate", "new-keys", "error", "unexplained"},   adds up to misses, exactly
             "versions": [{"version", "order", "basis", "lookups", "hits", "misses", "first", "last", "replicas"}]}],
 "findings": [{"id": "F1", "rule", "severity", "confidence", "score", "title", "summary",
               "model", "cache", "replicas": [], "version_from", "version_to", "order_basis",
               "start", "end", "onset_low", "onset_high", "ongoing",
               "impact": {"lookups", "excess_misses", "excess_misses_low", "stale_served", "added_seconds"},
               "numbers": {},                         every other figure of the rule, by name
               "causes": [{"finding": "F2", "share", "confidence", "why"}], "caused_by": "F2",
               "rejected": [{"cause", "why"}],         checked and ruled out
               "evidence": [{"path", "line", "time", "text", "role"}], "next_steps": [], "fingerprint"}]}
"""


def schema():
    """Read the block as JSON: notes at the ends of lines go, and a key without a value is null."""
    bare = re.sub(r' {3,}[a-z][^"]*$', "", CONTRACT, flags=re.MULTILINE)
    return json.loads(re.sub(r'(?<!: )"([^"]+)"(?=\s*[,}])', r'"\1": null', bare))


def keys(value):
    """Return the keys at all levels, in order; a list stands for its first item."""
    if isinstance(value, list):
        return keys(value[0]) if value else []
    return [(key, keys(inner)) for key, inner in value.items()] if isinstance(value, dict) else []


def rendered(report):
    return json.loads(renderer.render(report))


def test_every_level_has_the_keys_of_the_contract_in_their_order():
    finding = reports.shift(rejected=reports.regression().rejected, numbers={})
    assert keys(rendered(reports.report(findings=(finding,)))) == keys(schema())
    assert len(schema()["findings"][0]) == 26


@pytest.mark.parametrize("made", [reports.report(), reports.hostile(), reports.crowd(), reports.empty()])
def test_no_key_is_ever_missing(made):
    document, contract = rendered(made), schema()
    assert list(document) == list(contract)
    for part in ("inputs", "models", "findings", "limits"):
        assert {tuple(item) for item in document[part]} <= {tuple(contract[part][0])}


def test_what_the_engine_finds_keeps_the_schema():
    found = rendered(pipeline.analyze(["sample-logs/stale-replica"]))
    assert {tuple(finding) for finding in found["findings"]} == {tuple(schema()["findings"][0])}
    assert {tuple(row["causes"]) for row in found["models"]} == {tuple(schema()["models"][0]["causes"])}
    assert all(sum(row["causes"].values()) == row["misses"] for row in found["models"])


def test_what_does_not_apply_is_null():
    bare = rendered(
        reports.report(findings=(reports.note(impact=Impact(), start=None, end=None),), start=None, end=None)
    )
    finding = bare["findings"][0]
    assert set(finding["impact"].values()) == {None}
    assert [finding[key] for key in ("cache", "start", "end", "onset_low", "caused_by", "order_basis")] == [None] * 6
    assert bare["period"] == {"start": None, "end": None}
    assert bare["models"][1]["miss_rate"] is None


def test_times_are_utc_to_the_microsecond():
    berlin = datetime(2026, 11, 24, 0, 30, 1, 5, tzinfo=timezone(timedelta(hours=1)))
    assert rendered(reports.report(start=berlin))["period"]["start"] == "2026-11-23T23:30:01.000005Z"
    times = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', renderer.render(reports.report()))
    assert len(times) > 20
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time) for time in times)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1 / 3, 0.333333),
        (0.1 + 0.2, 0.3),
        (2 / 3 * 1e6, 666666.666667),
        (1.2345678e-10, 1.23457e-10),
        (-0.0, 0.0),
        (math.nan, None),
        (math.inf, None),
        (True, True),
        (7, 7),
        ("v1", "v1"),
        (None, None),
    ],
)
def test_figures_are_rounded_to_what_matters(value, written):
    made = rendered(reports.report(findings=(reports.regression(numbers={"x": value}),)))
    found = made["findings"][0]["numbers"]["x"]
    assert found == written
    assert type(found) is type(written)
    assert math.copysign(1, found or 0) == math.copysign(1, written or 0) if isinstance(written, float) else True


def test_causes_that_a_row_leaves_out_are_zero():
    made = rendered(reports.report(models=(reports.row(causes={"unexplained": 5}),)))
    assert sum(made["models"][0]["causes"].values()) == 5


def test_the_same_report_gives_the_same_bytes():
    assert renderer.render(reports.crowd()) == renderer.render(reports.crowd())


def test_an_interrupted_report_says_so():
    assert rendered(reports.report(partial=True))["partial"] is True


def test_json_is_ascii_and_holds_no_sequence():
    written = renderer.render(reports.hostile())
    assert written.isascii()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", written)
    assert json.loads(written)["findings"][0]["title"] == "".join(reports.HOSTILE)


def restored(report):
    """What a report is after it was written and read: without what only the terminal shows."""
    return replace(
        report, errors=(), fields={}, inputs=tuple(replace(i, note=None) for i in report.inputs),
        models=tuple(replace(row, trend=()) for row in report.models),
    )  # fmt: skip


@pytest.mark.parametrize(
    "made", [reports.report(), reports.crowd(), reports.empty(), reports.healthy(), reports.hostile()]
)
def test_a_report_is_read_back_as_it_was_written(made):
    again = renderer.read(renderer.render(made))
    assert renderer.render(again) == renderer.render(made)
    assert again.findings[0].title == made.findings[0].title if made.findings else not again.findings
    assert [i.path for i in again.inputs] == [i.path for i in restored(made).inputs]
    assert [f.evidence[0].time for f in again.findings if f.evidence] == [
        f.evidence[0].time for f in made.findings if f.evidence
    ]


@given(
    st.text(max_size=60),
    st.floats(allow_nan=True),
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.timezones()),
)
def test_any_text_figure_and_time_survives(word, number, time):
    made = reports.report(findings=(reports.regression(title=word, numbers={word: number}, start=time),))
    written = renderer.render(made)
    assert renderer.render(renderer.read(written)) == written
    assert json.loads(written)["findings"][0]["title"] == word


@pytest.mark.parametrize(
    "given_text",
    ["", "no json", "[]", "{}", '{"schema": "cachelog.report/2"}', '{"schema": "cachelog.report/1"}', "[" * 100_000, "null",
     '{"schema": "cachelog.report/1", "period": 3}'],
)  # fmt: skip
def test_what_is_no_report_is_refused_in_one_sentence(given_text):
    with pytest.raises(UsageError, match="this is no report"):
        renderer.read(given_text)


def test_inspect_as_json_says_why_an_input_was_not_read_and_which_names_were_taken():
    made = replace(reports.empty(), fields={"a.log": {"model": "m"}})
    found = json.loads(renderer.inspected(made))
    assert found["schema"] == "cachelog.inspect/1"
    assert list(found) == ["schema", "tool", "partial", "period", "inputs", "limits"]
    assert [(i["path"], i["note"], i["fields"]) for i in found["inputs"]] == [
        ("a.log", None, {"model": "m"}),
        ("b.log", "not read: Permission denied", {}),
    ]


def test_inspect_as_json_cites_what_was_not_understood():
    lost = (Evidence(0, 3, None, "bad", "a.log", '{"torn'),)
    found = json.loads(renderer.inspected(reports.report(inputs=(reports.source(unread=lost),))))
    assert found["inputs"][0]["unread"] == [{"line": 3, "state": "bad", "text": '{"torn'}]
    assert "unread" not in rendered(reports.report(inputs=(reports.source(unread=lost),)))["inputs"][0]


def test_one_finding_alone_stands_as_in_the_report():
    alone = json.loads(renderer.finding_alone(reports.shift()))
    assert alone["finding"] == rendered(reports.report())["findings"][1]
    assert alone["schema"] == "cachelog.finding/1"
