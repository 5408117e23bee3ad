"""The bench writes the same day in every format, its jobs give the same sums of it, and its arithmetic is right."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from bench import __main__ as command
from bench import (
    chart,
    count_job,
    fleet,
    generate,
    inputs,
    inside,
    measure,
    polars_job,
    render,
    results,
    sections,
    shapes,
    verdicts,
)
from bench.measure import Command
from bench.results import Entry, Row
from bench.sections import ANALYZE, DUCKDB, READ, WINDOW

LINES = 5_000
LOADS = 24 * 32 * 2 + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Inputs go here and not to the folder in which measured ones are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("bench")))
        yield


@pytest.fixture(scope="module")
def day():
    """What the inputs say, counted from the day itself."""
    frame = pl.concat(fleet.parts(LINES))
    lookups = frame.filter(pl.col("kind") == "lookup")
    groups = lookups.select("model", "pod", "version", pl.col("at") // 60_000_000).n_unique()
    misses = lookups.filter(pl.col("cache") == "miss").height
    return {"lookups": lookups.height, "misses": misses, "groups": groups, "loads": LOADS, "older": 1}


def expected(kind, day):
    """Triton logs no lookups, and nginx no loads."""
    return {
        **day,
        **{"triton": {"lookups": 0, "misses": 0, "groups": 0}, "nginx": {"loads": 0, "older": 0}}.get(kind, {}),
    }


@pytest.mark.parametrize("kind", [kind for kind in inputs.FORMATS if kind != "short"])
def test_duckdb_counts_the_same_in_every_format(kind, folder, day):
    job = pytest.importorskip("bench.duckdb_job", reason="extra bench")
    assert job.answer(kind, str(generate.made(kind, LINES))) == expected(kind, day)


@pytest.mark.parametrize("kind", ["json", "mixed", "shuffled", "logfmt", "triton", "nginx", "gzip", "zstd"])
def test_cachelog_counts_the_same_in_every_format(kind, folder, day):
    assert count_job.answer(str(generate.made(kind, LINES))) == expected(kind, day)


def test_polars_counts_the_same(folder, day):
    assert polars_job.answer(str(generate.made("json", LINES))) == day


def test_an_input_is_written_once(folder):
    path = generate.made("short", LINES)
    assert path.read_bytes().count(b"\n") == 1_000
    path.write_text("as it was")
    assert generate.made("short", LINES).read_text() == "as it was"


def test_nothing_is_written_where_the_disk_has_no_room(folder):
    with pytest.raises(OSError, match="are free in"):
        generate.made("json", 10**13)


def test_shuffled_lines_say_what_fixed_lines_say():
    frame = next(fleet.parts(LINES))
    one, other = (shape(frame)["text"].to_list() for shape in (shapes.fixed, shapes.shuffled))
    assert [json.loads(a) for a in one] == [{k: v for k, v in json.loads(b).items() if k != "http"} for b in other]
    assert len({tuple(json.loads(line)) for line in other}) > 100


def test_parquet_has_times_and_numbers(folder):
    schema = pl.read_parquet_schema(generate.made("parquet", LINES))
    assert schema["ts"] == pl.Datetime("us", "UTC")
    assert (schema["latency_ms"], schema["version"]) == (pl.Float64, pl.String)


def test_who_measures_imports_nothing_heavy():
    """The peak of a child is never below that of its parent."""
    code = "import sys, bench.__main__; sys.exit(bool({'polars', 'numpy', 'pyarrow', 'duckdb'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=measure.ROOT, check=False).returncode == 0


def test_commands_run_in_alternation(tmp_path):
    log = tmp_path / "log"
    commands = [Command(n, ["sh", "-c", f"echo {n} >> {log}; echo {n}"]) for n in "ab"]
    runs = measure.alternate(commands, 2)
    assert log.read_text().split() == list("ababab")  # the first of each warms up
    assert [run.out for run in runs["b"]] == ["b\n", "b\n"]
    assert all(0 < run.wall < 60 and run.peak > 0 for run in runs["a"])


def test_a_command_that_fails_is_not_measured():
    with pytest.raises(RuntimeError, match="x ended with 3: oh"):
        measure.run(Command("x", ["sh", "-c", "echo oh >&2; exit 3"]))


def test_a_wrong_answer_is_not_measured():
    report = {"models": [{"lookups": 5, "misses": 1}, {"lookups": None, "misses": 7}]}
    sections._check(ANALYZE, json.dumps(report), json.dumps({"lookups": 5, "misses": 1, "loads": 3}))
    with pytest.raises(RuntimeError, match="says"):
        sections._check(READ, json.dumps({"lookups": 5}), json.dumps({"lookups": 6}))


def test_the_stages_inside_are_timed(folder):
    walls = inside.measured(str(generate.made("json", LINES)), 1)
    assert {"counts", "levels", "conform", "rule miss-rate-shift"} <= set(walls)
    assert all(wall > 0 for found in walls.values() for wall in found)


def entry(rows):
    made = {name: Row(walls, walls, [peak]) for name, (walls, peak) in rows.items()}
    return Entry("2026-11-24 12:00 UTC", "a machine", 0.5, 1_000_000, made, [])


def test_ratios_are_taken_within_a_round():
    found = entry({READ: ([1, 10, 3], 50), DUCKDB: ([2, 20, 4], 100)})
    assert found.ratio(READ, DUCKDB, "wall") == 0.5
    assert found.ratio(READ, DUCKDB, "peak") == 0.5


def test_a_target_is_met_or_not():
    kept = {"json": {4_000_000: entry({READ: ([1], 90), DUCKDB: ([2], 100)})}}
    said = {(v.row, v.measure): v.said() for v in verdicts.everything(kept) if v.section == "json"}
    assert said[READ, "wall"] == "met"
    assert said[READ, "peak"] == "not met"
    assert said[ANALYZE, "wall"] == "not measured"
    small = verdicts.of_row("json", 1_000_000, kept["json"][4_000_000], READ)
    assert [v.said() for v in small] == ["(met)", "(not met)"]


def grown(power):
    sizes = (1_000_000, 4_000_000, 16_000_000)
    return entry({sections.grown(READ, lines): ([(lines / 1e6) ** power], lines**0.1) for lines in sizes})


@pytest.mark.parametrize(("power", "word"), [(1.05, "met"), (1.2, "not met")])
def test_growth_is_an_exponent(power, word):
    time, peak = verdicts.growth({"growth": {16_000_000: grown(power)}}, READ)
    assert time.found == pytest.approx(power)
    assert time.said() == word
    assert peak.found == pytest.approx(4**0.1)


def test_results_are_kept_and_written(tmp_path):
    rows = entry({READ: ([1.25], 90), ANALYZE: ([3], 95), DUCKDB: ([2], 100)})
    kept = {
        "json": {4_000_000: rows},
        "growth": {16_000_000: grown(1)},
        "inside": {1_000_000: entry({"scan": ([1], 0)})},
    }
    kept["window"] = {4_000_000: entry({sections.WHOLE: ([4], 90), WINDOW: ([1], 50)})}
    kept["parquet"] = {4_000_000: replace(rows, rows={DUCKDB: rows.rows[DUCKDB]}, notes=["cachelog does not read it"])}
    command._write(tmp_path, kept)
    assert results.load(tmp_path / "results.json") == kept
    page = (tmp_path / "RESULTS.md").read_text()
    assert f"| {READ} | 1.25 | 0.62 |" in page
    assert "wall at most 0.30: met" in page
    assert "Cachelog does not read it" in page
    assert (tmp_path / "RESULTS.svg").read_text().count("<rect") > 4


def test_an_empty_page_says_what_was_not_measured():
    assert render.page({}).count("not measured") == sum(map(len, sections.TARGETS.values())) + 4
    assert chart.drawing({}).startswith("<svg")


def test_the_last_fifteen_minutes_are_of_the_day_that_is_written():
    assert datetime.fromtimestamp(sections._DAY_END.timestamp() - 86_400, fleet.START.tzinfo) == fleet.START


def test_sizes_are_chosen_by_section():
    asked = [100_000, 1_000_000, 4_000_000, sections.LARGE]
    chosen = {name: section.sizes(asked) for name, section in sections.SECTIONS.items()}
    assert chosen["json"] == [[lines] for lines in asked]
    assert chosen["nginx"] == [[lines] for lines in asked[:3]]
    assert chosen["growth"] == [asked[1:]]
    assert (chosen["window"], chosen["inside"]) == ([[4_000_000]], [[1_000_000]])


def test_a_run_that_failed_leaves_no_second_run(tmp_path):
    with pytest.raises(RuntimeError, match="left nothing"):
        sections._filled(tmp_path)
    (tmp_path / "x").write_text("")
    sections._filled(tmp_path)
    sections._emptied(tmp_path)
    assert not list(tmp_path.iterdir())


def test_targets_and_bases_are_of_sections():
    assert set(sections.BASES) - set(sections.SECTIONS) == {"short"}
    assert {section for section, _ in sections.TARGETS} <= set(sections.SECTIONS)
