"""`cachelog verify`: a saved report holds for its logs, and for no others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelog import pipeline, request
from cachelog.cli import app
from cachelog.cli.options import deployed
from cachelog.contract.finding import Severity
from cachelog.render import json as report_json

DEPLOY = deployed("2026-09-14T05:33:30Z,search-ranker,v10", datetime(2026, 9, 14, tzinfo=UTC), "UTC")
SAMPLES = Path(__file__).parent.parent / "sample-logs"


@pytest.fixture
def saved(tmp_path):
    """A copy of a sample, and the report on it."""
    logs = shutil.copytree(SAMPLES / "stale-replica", tmp_path / "logs")
    (tmp_path / "report.json").write_text(report_json.render(pipeline.analyze([str(logs)])))
    return tmp_path / "report.json", logs


@pytest.fixture
def verified(capsys):
    def ran(*arguments):
        code = app.run(["verify", *map(str, arguments)])
        return code, capsys.readouterr().out

    return ran


def lines_of(path):
    return path.read_text().split("\n")


def cited(report, index=0):
    return json.loads(report.read_text())["findings"][0]["evidence"][index]


def test_a_report_holds_for_its_logs_and_where_they_were_moved(saved, verified, tmp_path):
    report, logs = saved
    assert verified(report, logs)[0] == 0
    elsewhere = shutil.copytree(logs, tmp_path / "other" / "place")
    code, out = verified(report, elsewhere)
    assert code == 0
    assert out.startswith("All hold: ")


def test_a_changed_cited_line_is_named_with_what_it_was_and_is(saved, verified):
    report, logs = saved
    line = cited(report)
    text = lines_of(Path(line["path"]))
    text[line["line"] - 1] = text[line["line"] - 1].replace('"took_ms":2', '"took_ms":3')
    Path(line["path"]).write_text("\n".join(text))
    code, out = verified(report, logs, "--format", "json")
    found = [d for d in json.loads(out)["differences"] if d["field"] == "text"]
    assert code == 1
    assert f"{line['path']}:{line['line']}" in found[0]["where"]
    assert found[0]["was"] == line["text"]
    assert found[0]["is"] == text[line["line"] - 1]
    _, page = verified(report, logs)
    flat = "".join(page.split())  # a long path may be cut anywhere
    assert flat.startswith(f"Doesnothold:{line['path']}:{line['line']}isnotascited;")
    assert f"line{line['path']}:{line['line']}" in flat.split("•")[1]  # the first of them


def test_a_hit_turned_into_a_miss_fails_by_the_names_of_the_figures(saved, verified):
    report, logs = saved
    path = sorted(logs.glob("search-*.log"))[0]
    path.write_text(path.read_text().replace("cache hit", "cache miss", 1))
    code, out = verified(report, logs, "--format", "json")
    named = {(d["where"], d["field"]) for d in json.loads(out)["differences"]}
    models = {where for where, field in named if field in ("hits", "misses", "miss_rate")}
    assert code == 1
    assert len(models) >= 1
    assert {f for w, f in named if w in models} >= {"hits", "misses", "miss_rate"}


def test_a_figure_changed_in_the_report_is_the_one_named(saved, verified):
    report, logs = saved
    said = json.loads(report.read_text())
    said["findings"][0]["numbers"]["stale_served"] += 1
    said["models"][0]["causes"]["cold"] += 1
    report.write_text(json.dumps(said))
    code, out = verified(report, logs, "--format", "json")
    assert code == 1
    assert [d["field"] for d in json.loads(out)["differences"]] == ["causes.cold", "numbers.stale_served"]


def test_missing_logs_are_3_and_no_report_is_2(saved, verified, tmp_path):
    report, logs = saved
    assert verified(report, tmp_path / "nowhere")[0] == 3
    assert verified(logs / "deployer.log", logs)[0] == 2
    assert verified(tmp_path / "none.json", logs)[0] == 2
    next(iter(sorted(logs.glob("search-*.log")))).unlink()
    assert verified(report, logs)[0] == 3


def test_lines_added_since_are_named(saved, verified):
    report, logs = saved
    (logs / "new.log").write_text("nothing\n")
    code, out = verified(report, logs)
    assert code == 1
    assert "new.log" in out


def test_a_report_on_a_part_holds_for_that_part(saved, verified):
    report, logs = saved
    options = pipeline.Options(
        since=datetime(2026, 9, 14, 5, 30, tzinfo=UTC), models=("search-*",), min_severity=Severity.LOW, top=2,
        deploys=(DEPLOY,),
    )  # fmt: skip
    part = pipeline.analyze([str(logs)], options)
    assert part.start > pipeline.analyze([str(logs)]).start
    report.write_text(report_json.render(part))
    assert verified(report, logs)[0] == 0


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
TIMES = st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))


@given(
    st.builds(
        pipeline.Options,
        since=TIMES, until=TIMES, models=st.lists(WORDS, max_size=2).map(tuple), top=st.none() | st.integers(0, 99),
        replicas=st.lists(WORDS, max_size=2).map(tuple), rules=st.lists(WORDS, max_size=2).map(tuple),
        min_severity=st.sampled_from(Severity), tz=WORDS,
        deploys=st.sampled_from([(), (DEPLOY,)]),
        order=st.lists(WORDS.filter(lambda word: "," not in word), max_size=3).map(tuple),
    ),
    st.none() | st.integers(300 << 20, 1 << 40),
)  # fmt: skip
def test_options_come_back_out_of_what_the_report_says_of_them(options, memory):
    asked = options.within(memory) if memory else options
    assert request.recalled(request.noted(asked)) == asked


def test_only_options_that_change_a_report_are_noted():
    assert request.noted(pipeline.Options()) == ()
    assert request.noted(pipeline.Options(cache=True)) == ()
    strange = request.noted(pipeline.Options(top=1))[0]
    with pytest.raises(ValueError):
        request.recalled([replace(strange, what=strange.what.replace("--top", "--exec"))])
