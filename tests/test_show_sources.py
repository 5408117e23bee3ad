"""`cachelog show` says of which lines each figure is the number, and these lines are there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cachelog import pipeline
from cachelog.cli import app
from cachelog.contract.counted import Counted, Spell, everywhere
from cachelog.metrics.sources import lines_of
from cachelog.render import detail, figures
from tests.fleet import T0, E, at, frames, lookups, split, table

SAMPLES = Path(__file__).parent.parent / "sample-logs"


@pytest.fixture(scope="module")
def proofs():
    """Every finding of a sample with the lines of its figures."""
    logs = [str(SAMPLES / "stale-replica")]
    found = pipeline.analyze(logs).findings
    return [pipeline.prove(logs, pipeline.Options(), lambda r, i=i: r.findings[i])[1:] for i in range(len(found))]


def value(finding, name):
    return detail._value_of(finding, name)


EXACT = ("impact.lookups", "stale_served", "rate_before", "rate_after", "lookups_before", "lookups_after",
         "lookups_on_regressed", "rate_of_others_meanwhile", "restarted_before", "replicas_regressed")  # fmt: skip


def test_the_lines_of_a_figure_are_as_many_as_it_says(proofs):
    seen = set()
    for finding, sources in proofs:
        for name in EXACT:
            # rates of one cause, and of cold caches, are shares of the misses counted
            if name in sources and not (finding.rule in ("eviction-thrash", "cold-start") and name != "lookups_after"):
                assert detail._is_exact(value(finding, name), sources[name]), (finding.rule, name)
                seen.add(name)
    assert seen == set(EXACT)


def test_first_and_last_line_are_what_the_figure_counts(proofs):
    finding, sources = proofs[0]
    stale = sources["stale_served"][0]
    for place in (stale.first, stale.last):
        path, line = place.rsplit(":", 1)
        said = json.loads(Path(path).read_text().split("\n")[int(line) - 1])
        assert (said["model"], said["version"]) == (finding.model, finding.version_to)
        assert said["msg"].startswith("result cache")


def test_counting_by_hand_gives_the_same(proofs):
    finding, sources = proofs[0]
    counted = sources["stale_served"][0].counted
    many = 0
    for spell in counted.spells:
        for line in (SAMPLES / "stale-replica" / f"{spell.replica}.log").read_text().splitlines():
            said = json.loads(line)
            time = datetime.fromtimestamp(said["ts"], UTC)
            many += (
                said["msg"].startswith("result cache")
                and (said["model"], said["version"]) == (finding.model, finding.version_to)
                and spell.since <= time <= spell.until
            )
    assert many == finding.impact.stale_served


@pytest.mark.parametrize("sample", sorted(p.name for p in SAMPLES.iterdir() if p.is_dir()))
def test_every_figure_is_explained(sample):
    for finding in pipeline.analyze([str(SAMPLES / sample)]).findings:
        assert all(figures.meaning(name) for name in finding.numbers)
        known = {f"impact.{n}" for n in finding.impact.__slots__} | set(finding.numbers)
        assert all(name in known for name in finding.counted if value(finding, name) is not None)


def test_show_tells_them_with_paths_and_without_where_the_logs_are(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert app.run(["show", "F1", str(SAMPLES / "stale-replica")]) == 0
    told = capsys.readouterr().out
    assert "counted from\n" in told
    assert "= 411 lookups answered by v9 on " in told
    assert app.run(["show", "F1"]) == 0
    assert capsys.readouterr().out == told


def test_a_saved_report_without_its_logs_says_how_to_see_them(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    app.run(["analyze", str(SAMPLES / "stale-replica"), "--format", "json", "-o", str(tmp_path / "r.json")])
    said = json.loads((tmp_path / "r.json").read_text())
    said["inputs"][0]["path"] = "gone.log"
    (tmp_path / "r.json").write_text(json.dumps(said))
    assert app.run(["show", "F1", "--report", str(tmp_path / "r.json")]) == 0
    assert "`cachelog show F1 LOGS` says which lines each figure counts" in capsys.readouterr().out


def test_whole_windows_and_spells_count_as_rules_do():
    events = [*lookups("a", "v1", 0, 100), *lookups("b", "v1", 0, 100), E(50.5, "load", "a", "v2")]
    made = split(table(events))[0], frames(events)
    cut = (Spell("a", at(5), at(35)),)
    plain = Counted(what="lookups", model="m", spells=cut, closed=False)
    whole = Counted(what="lookups", model="m", spells=cut, closed=False, whole=True)
    others = Counted(what="lookups", model="m", spells=everywhere(T0, at(100)), without=("a",))
    loads = Counted(what="loads", op="load", model="m", spells=everywhere(T0, at(100)))
    assert lines_of(plain, *made)[0] == 30
    assert lines_of(whole, *made)[0] == 20  # the windows from 10 s and from 20 s
    assert lines_of(others, *made)[0] == 100
    assert lines_of(loads, *made) == (1, (0, 201), (0, 201))
