"""The laws of the house (DESIGN): who imports whom, and what no input, order or sharding may change."""

from __future__ import annotations

import ast
import random
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from cachelog import pipeline
from cachelog.attribution.cause import link
from cachelog.contract.finding import Severity
from cachelog.rank import named, rank
from cachelog.rooms import detectors
from tests.fleet import split
from tests.reading import read

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "cachelog"
SAMPLES = sorted(p for p in (ROOT / "sample-logs").iterdir() if p.is_dir())

#: room -> the rooms it may import, besides itself; a file beside them is a room of its own
MAY_IMPORT = {
    "contract": set(),
    "envelopes": {"contract"},
    "dialects": {"contract"},
    "versions": {"contract"},
    "metrics": {"contract", "versions"},
    "detectors": {"contract", "versions", "metrics"},
    "attribution": {"contract", "metrics"},
    "rank": {"contract", "attribution"},
    "render": {"contract"},
    "ingest": {"contract", "envelopes", "dialects"},
    "rooms": {"contract"},
    "custom": {"contract"},
    "blindness": {"contract", "metrics"},
    "request": {"contract"},
    "verification": {"contract"},
    "origin": {"contract"},
    "closer": {"contract", "metrics"},
    "pipeline": {
        "closer",
        "contract",
        "versions",
        "metrics",
        "attribution",
        "rank",
        "ingest",
        "rooms",
        "blindness",
        "request",
        "origin",
        "custom",
    },
    "samples": {"contract", "custom", "ingest", "pipeline"},
    "shards": {"contract", "ingest", "pipeline"},
    "inspection": {"contract", "ingest", "metrics", "pipeline", "request", "rooms"},
    "recall": {"contract", "ingest", "pipeline", "request"},
    "demo": set(),
    "gate": {"contract", "metrics"},
    "following": {"contract", "ingest", "pipeline", "rooms"},
    "cli": {
        "contract",
        "pipeline",
        "recall",
        "render",
        "rooms",
        "demo",
        "shards",
        "request",
        "verification",
        "custom",
        "samples",
        "inspection",
        "gate",
        "following",
    },
    "__main__": {"cli"},
    "__init__": set(),
}
#: rooms whose files must not know one another
SEPARATE = ("envelopes", "dialects", "detectors", "render")
FORBIDDEN = {
    "detectors": {"rich", "typer"},
    "metrics": {"rich", "typer"},
    "ingest": {"rich", "typer"},
    "contract": {"rich", "typer"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path):
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda p: str(p.relative_to(HOUSE)))
def test_imports_go_in_one_direction(path):
    mine = room(path)
    names = set(imported(path))
    rooms = {name.split(".")[1] for name in names if name.startswith("cachelog.")}
    assert rooms - {mine} - {"__version__"} <= MAY_IMPORT[mine]
    assert not {name.split(".")[0] for name in names} & FORBIDDEN.get(mine, set())


@pytest.mark.parametrize(
    "path", sorted(p for r in SEPARATE for p in (HOUSE / r).glob("*.py")), ids=lambda p: str(p.relative_to(HOUSE))
)
def test_files_of_one_room_do_not_know_one_another(path):
    mine = room(path)
    shared = {
        "app",
        "options",
        "printing",
        "text",
        "page",
        "document",
        "figures",
        "drawing",
    }  # the frame of the commands and of the text renderers
    others = {p.stem for p in (HOUSE / mine).glob("*.py")} - {path.stem, "__init__"} - shared
    names = {name.split(".")[2] for name in imported(path) if name.startswith(f"cachelog.{mine}.")}
    assert path.stem in shared or not names & others


HEADINGS = ("What it says", "Why it matters", "How it decides", "When it stays quiet", "What to do")


@pytest.mark.parametrize("rule", sorted(detectors()))
def test_the_docstring_of_a_detector_is_its_manual_page(rule):
    page = (detectors()[rule].__doc__ or "").splitlines()
    assert page[0].startswith(f"{rule}: ")
    assert [line for line in page if line in HEADINGS] == list(HEADINGS)


def told(report):
    """Everything that must not depend on the way."""
    return replace(report, inputs=tuple(sorted(report.inputs, key=lambda i: i.path)))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.name)
def test_the_same_logs_give_the_same_report_in_any_order_of_files(sample):
    files = [str(p) for p in sorted(sample.rglob("*")) if p.is_file() and p.name != "EXPECT.json"]
    expected = told(pipeline.analyze(files))
    for seed in range(2):
        shuffled = random.Random(seed).sample(files, len(files))
        assert told(pipeline.analyze(shuffled)) == expected


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.name)
def test_detecting_model_by_model_gives_what_detecting_all_at_once_gives(sample):
    events, rare = split(read(sample).events)
    frames = pipeline._frames(events, rare, pipeline.Options())
    whole, _ = pipeline._detect(events, frames, pipeline.DEFAULT)
    parts = []
    for model in sorted({*events.models(), *rare["model"].drop_nulls().cast(pl.String)}):
        parts += per_model(split(events.of(model).collect())[0], frames, model)
    assert rank(link(named(parts), frames, pipeline.DEFAULT)) == rank(
        link(named([f for f in whole if f.model is not None]), frames, pipeline.DEFAULT)
    )


def per_model(events, frames, model):
    """One shard: the events of one model and of no model; the frames, small and mergeable, are those of the fleet."""
    found, errors = pipeline._detect(events, frames, pipeline.DEFAULT)
    assert not errors
    return [f for f in found if f.model == model]


@pytest.mark.parametrize("name", ["clean-rolling-deploy"])
def test_healthy_logs_give_nothing_above_information(name):
    report = pipeline.analyze([str(ROOT / "sample-logs" / name)])
    assert [f.title for f in report.findings if f.severity > Severity.INFO] == []


def test_a_detector_that_raises_costs_only_itself(monkeypatch):
    def broken(events, frames, limits):
        raise ZeroDivisionError("no luck")

    sample = str(ROOT / "sample-logs" / "stale-replica")
    whole = pipeline.analyze([sample])
    kept = dict(detectors()) | {"cold-start": SimpleNamespace(detect=broken)}
    monkeypatch.setattr(pipeline, "detectors", lambda: kept)
    report = pipeline.analyze([sample])
    assert report.errors == ("cold-start: ZeroDivisionError: no luck",)
    assert [f.fingerprint for f in report.findings] == [f.fingerprint for f in whole.findings if f.rule != "cold-start"]


def test_a_copy_elsewhere_gives_the_same_findings(tmp_path):
    sample = ROOT / "sample-logs" / "stale-replica"
    shutil.copytree(sample, tmp_path / "logs")
    here, there = pipeline.analyze([str(sample)]), pipeline.analyze([str(tmp_path / "logs")])
    assert [f.fingerprint for f in here.findings] == [f.fingerprint for f in there.findings]
