"""What cachelog wrote itself is no log: it is named, and not read."""

from __future__ import annotations

import json

import pytest

from cachelog import demo, pipeline
from cachelog.cli.app import run


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "logs"
    folder.mkdir()
    demo.write(folder)
    return folder


@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.html", "r.prom", "r.sarif", "r.xml", "r.ndjson"])
def test_a_report_beside_the_logs_is_named_and_not_read(logs, name, capsys):
    before = pipeline.inputs([str(logs)])
    assert run(["analyze", str(logs), "-o", str(logs / name)]) == 0
    capsys.readouterr()
    assert (logs / name).stat().st_size
    assert pipeline.inputs([str(logs)]) == before
    assert run(["analyze", str(logs), "--format", "json", "--strict"]) == 0
    out, err = capsys.readouterr()
    assert [item["path"] for item in json.loads(out)["inputs"]] == before
    assert err.count(f"not read, since cachelog wrote it: {logs / name}") <= 1


def test_a_report_that_lies_beside_its_logs_is_verified(logs, capsys):
    saved = logs / "report.json"
    assert run(["analyze", str(logs), "-o", str(saved)]) == 0
    assert run(["verify", str(saved), str(logs)]) == 0
    document = json.loads(saved.read_text())
    old = {**document["inputs"][0], "path": str(saved), "events": 0, "lines": 1, "quiet": 1, "bytes": 9}
    saved.write_text(json.dumps(document | {"inputs": [*document["inputs"], old]}))  # one of earlier versions
    assert run(["verify", str(saved), str(logs)]) == 0
    assert run(["verify", str(saved), str(logs / "nowhere")]) == 3
    capsys.readouterr()


def test_lines_that_only_look_like_a_report_are_read(tmp_path):
    (tmp_path / "a.json").write_text('{"schema": "other/1", "msg": "cache hit", "model": "m"}\n')
    assert pipeline.inputs([str(tmp_path)]) == [str(tmp_path / "a.json")]
