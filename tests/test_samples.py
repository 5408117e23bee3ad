"""sample-logs/ shows what it says: the findings and exact counts of every EXPECT.json, and nothing that it excludes."""

from __future__ import annotations

import filecmp
import functools
import json
import os
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from cachelog import demo
from cachelog.contract.finding import Report, Severity
from cachelog.pipeline import analyze
from tests.judging import counted, counted_versions, described, expected_of, false, forbidden_of, missed
from tests.make_samples import ROOT, SAMPLES, make
from tests.simulate import simulate, totals

NAMES = sorted(SAMPLES)
LIMIT = 300_000  # bytes of logs a sample


@functools.cache
def expectation(name: str) -> dict:
    return json.loads((ROOT / name / "EXPECT.json").read_text())


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, Report]:
    """Analyse copies whose files are as old as the incident: Triton's times have no year."""
    folder = tmp_path_factory.mktemp("samples")
    return {name: analyze([str(aged(name, folder))]) for name in NAMES}


def aged(name: str, folder: Path) -> Path:
    copy = shutil.copytree(ROOT / name, folder / name)
    written = datetime.fromisoformat(expectation(name)["written"]).timestamp()
    for path in copy.rglob("*"):
        os.utime(path, (written, written))
    return copy


def start(name: str) -> datetime:
    return SAMPLES[name].scenario.start


@pytest.mark.parametrize("name", NAMES)
def test_what_happened_is_found(reports, name):
    wanted = [expected_of(said, start(name)) for said in expectation(name)["findings"]]
    assert not missed(reports[name].findings, wanted, start(name)), described(reports[name].findings)


@pytest.mark.parametrize("name", NAMES)
def test_what_did_not_happen_is_not_found(reports, name):
    wanted = [expected_of(said, start(name)) for said in expectation(name)["findings"]]
    never = [forbidden_of(said) for said in expectation(name)["never"]]
    assert not described(false(reports[name].findings, wanted, never, start(name)))


@pytest.mark.parametrize("name", [name for name in NAMES if SAMPLES[name].scenario.expect])
def test_the_incident_ranks_first(reports, name):
    assert reports[name].findings[0].rule in {said["rule"] for said in expectation(name)["findings"]}


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_exact(reports, name):
    got = {model: vars_of(count) for model, count in counted(reports[name]).items()}
    assert got == expectation(name)["models"]
    versions = {name: (count["lookups"], count["misses"]) for name, count in expectation(name)["versions"].items()}
    assert counted_versions(reports[name]) == versions


def vars_of(count) -> dict[str, int]:
    return {"lookups": count.lookups, "hits": count.hits, "misses": count.misses, "stale": count.stale}


def test_requests_that_went_round_the_cache_are_counted_beside_it(reports):
    assert sum(row.bypass for row in reports["nginx-edges"].models) == expectation("nginx-edges")["bypass"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_accounted_for_and_few_are_not_understood(reports, name):
    for read in reports[name].inputs:
        assert read.lines == read.events + read.quiet + read.joined + read.unclaimed + read.bad
        assert read.note is None and read.bad == 0 and read.unclaimed == 0, read.path


@pytest.mark.parametrize("name", NAMES)
def test_findings_that_matter_cite_the_lines_that_prove_them(reports, name):
    for finding in reports[name].findings:
        assert finding.evidence or finding.severity < Severity.MEDIUM, finding.title
        assert all(item.text and item.line > 0 for item in finding.evidence)


def test_the_shift_of_the_stale_replica_is_told_as_its_effect(reports):
    findings = {finding.rule: finding for finding in reversed(reports["stale-replica"].findings)}
    cause, effect = findings["version-regression"], findings["miss-rate-shift"]
    assert (cause.id, effect.caused_by) == ("F1", "F1")
    assert effect.causes[0].finding == "F1"
    assert effect.impact.excess_misses == pytest.approx(true_excess("stale-replica", "search-ranker"), rel=0.25)


def true_excess(name: str, model: str) -> int:
    """Count the misses that there would not have been if the replicas had not restarted."""
    sample = SAMPLES[name]
    before = min(step.at for step in sample.scenario.steps if step.what == "restart")
    calm = replace(sample.scenario, steps=tuple(step for step in sample.scenario.steps if step.at < before))
    real, other = (totals(simulate(s, sample.seed).truth, 0)[model,] for s in (sample.scenario, calm))
    return real.misses - other.misses


def test_samples_are_small(tmp_path):
    for name in NAMES:
        files = [path for path in (ROOT / name).rglob("*") if path.is_file()]
        assert 1 <= len(files) <= 10 and sum(path.stat().st_size for path in files) < LIMIT, name


def test_samples_are_what_the_simulator_makes(tmp_path):
    make(tmp_path)
    made, kept = files_under(tmp_path), files_under(ROOT)
    assert made == kept
    _, differ, failed = filecmp.cmpfiles(tmp_path, ROOT, made, shallow=False)
    assert not differ and not failed


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_demo_shows_its_incident_first(tmp_path):
    demo.write(tmp_path / "demo")
    top = analyze([str(tmp_path / "demo")]).findings[0]
    assert (top.rule, top.version_from, top.version_to, top.replicas) == (
        "version-regression", "v10", "v9", ("recommend-6c8f7d5b9-7wkxc", "recommend-6c8f7d5b9-x5rgl"),
    )  # fmt: skip
    assert top.severity >= Severity.HIGH


def test_the_demo_is_always_the_same(tmp_path):
    demo.write(tmp_path / "one")
    demo.write(tmp_path / "two")
    assert not filecmp.dircmp(tmp_path / "one", tmp_path / "two").diff_files
    assert files_under(tmp_path / "one") == files_under(tmp_path / "two") == ["lookups.jsonl", "models.jsonl"]
