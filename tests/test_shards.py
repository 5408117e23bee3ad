"""stage, detect and merge: the report of one machine, to the byte, from any number of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelog import pipeline, shards
from cachelog.contract import wire
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Finding, Report
from cachelog.pipeline import Options
from cachelog.render import json as report_json
from cachelog.shards import Shard

SAMPLES = Path(__file__).parent.parent / "sample-logs"
FOLDERS = sorted(path for path in SAMPLES.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Every sample staged by itself."""
    home = tmp_path_factory.mktemp("staged")
    for folder in FOLDERS:
        shards.stage([str(folder)], str(home / folder.name), Options())
    return [str(home / folder.name) for folder in FOLDERS]


@pytest.fixture(scope="module")
def whole():
    return report_json.render(pipeline.analyze([str(SAMPLES)]))


def test_logs_staged_one_by_one_give_the_report_on_all(staged, whole):
    for folders in (staged, staged[::-1]):
        assert report_json.render(shards.merge(folders, [], Options())) == whole


@pytest.mark.parametrize("many", [1, 2, 5])
def test_any_number_of_shards_gives_the_same_report(staged, whole, many, tmp_path):
    files = []
    for number in range(1, many + 1):
        file = tmp_path / f"found-{number}.json"
        file.write_text(shards.detect(staged, Shard(number, many), Options()))
        files.append(str(file))
    assert report_json.render(shards.merge(staged, files[::-1], Options())) == whole


def test_every_finding_is_of_exactly_one_shard(staged):
    every = json.loads(shards.detect(staged, Shard(), Options()))["findings"]
    parts = [f for k in range(1, 4) for f in json.loads(shards.detect(staged, Shard(k, 3), Options()))["findings"]]
    assert sorted(map(str, parts)) == sorted(map(str, every))


def test_a_shard_that_is_missing_is_said(staged, tmp_path):
    file = tmp_path / "found.json"
    file.write_text(shards.detect(staged, Shard(2, 3), Options()))
    with pytest.raises(UsageError, match="of 3 shards these were given: 2"):
        shards.merge(staged, [str(file)], Options())


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "other"}', '{"schema": "cachelog.found/1", "findings": [{}]}'])
def test_a_file_that_is_none_is_said(staged, tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(UsageError, match="is no file that `cachelog detect` wrote"):
        shards.merge(staged, [str(tmp_path / "x")], Options())


def test_a_folder_that_is_none_is_said(tmp_path):
    with pytest.raises(UsageError, match="is no folder that `cachelog stage` wrote"):
        shards.merge([str(tmp_path)], [], Options())


def test_the_same_logs_twice_are_said(staged):
    with pytest.raises(UsageError, match="was staged twice"):
        shards.merge([staged[0], staged[0]], [], Options())


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="is not empty"):
        shards.stage([str(FOLDERS[0])], str(tmp_path), Options())
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_records_come_back_as_they_were():
    report = pipeline.analyze([str(SAMPLES)])
    assert wire.read(Report, json.loads(json.dumps(wire.told(report)))) == report


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_what_is_no_record_is_refused(said):
    with pytest.raises((KeyError, TypeError, ValueError)):
        wire.read(Finding, said)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cachelog", *arguments], capture_output=True, text=True, check=False)


def test_the_commands_do_it_from_end_to_end(tmp_path):
    sample, into = str(FOLDERS[0]), str(tmp_path / "events")
    made = run("stage", sample, "-o", into)
    assert (made.returncode, made.stdout) == (0, "")
    assert "lines" in made.stderr
    found = [str(tmp_path / f"{k}.json") for k in (1, 2)]
    for k, file in enumerate(found, 1):
        assert run("detect", into, "--shard", f"{k}/2", "-o", file).returncode == 0
    merged = run("merge", into, *found, "--format", "json")
    assert merged.stdout == run("analyze", sample, "--format", "json", "--no-cache").stdout
    assert run("detect", into, "--shard", "3/2").returncode == 2
    assert run("merge", *found).returncode == 2
    cleared = run("cache", "clear")
    assert cleared.returncode == 0
    assert cleared.stdout.startswith("freed ")
