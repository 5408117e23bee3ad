"""Only the window asked for: the same answer as from reading everything, from a part of the bytes."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cachelog import pipeline
from cachelog.contract.limits import DEFAULT
from cachelog.render import json as report_json

T0 = datetime(2026, 11, 20, tzinfo=UTC)
SOUGHT = replace(DEFAULT, sought_bytes=1)
WHOLE = replace(DEFAULT, sought_bytes=1 << 60)
LINES = 40_000  # 1 s each, about 5 MB


def line(at: int) -> str:
    said = {"ts": (T0 + timedelta(seconds=at)).isoformat(), "event": "cache_lookup", "result": ("hit", "miss")[at % 7 == 0],
            "model": "m", "version": "1", "pod": f"p{at % 3}", "pad": "x" * 60}  # fmt: skip
    return json.dumps(said)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("sought") / "a.log"
    path.write_text("\n".join(line(at) for at in range(LINES)) + "\n")
    return path


def told(path, since, until, limits):
    asked = pipeline.Options(
        since=None if since is None else T0 + timedelta(seconds=since),
        until=None if until is None else T0 + timedelta(seconds=until),
        limits=limits,
    )
    return pipeline.analyze([str(path)], asked)


def same(path, since, until):
    """The report from the window, after seeing that it says what the whole file does."""
    part, whole = told(path, since, until, SOUGHT), told(path, since, until, WHOLE)
    inputs = replace(part, inputs=whole.inputs, limits=whole.limits)
    assert report_json.render(inputs) == report_json.render(whole)
    return part


@pytest.mark.parametrize(
    ("since", "until", "most"),
    [
        (39_000, None, 0.2),
        (20_000, 20_600, 0.2),
        (None, 900, 0.2),
        (50_000, None, 0.1),
        (None, -500, 0.1),
        (0, 40_000, 1),
    ],
)
def test_the_window_says_what_the_whole_file_does(log, since, until, most):
    part = same(log, since, until)
    (read,) = part.inputs
    assert read.bytes <= most * log.stat().st_size
    assert read.lines == read.events + read.quiet + read.joined + read.unclaimed + read.bad
    assert any("time asked for" in limit.what for limit in part.limits)


def test_cited_lines_have_the_numbers_of_the_whole_file(tmp_path):
    path = tmp_path / "a.log"
    texts = [line(at) for at in range(LINES)]
    for at, version in ((30_000, "2"), (30_400, "1")):
        texts[at] = json.dumps({"ts": (T0 + timedelta(seconds=at)).isoformat(), "event": "model_loaded", "model": "m",
                                "version": version, "pod": "p1"})  # fmt: skip
    path.write_text("\n".join(texts) + "\n")
    report = same(path, 29_900, 31_000)
    cited = {(e.line, e.text) for f in report.findings for e in f.evidence}
    assert (30_401, texts[30_400]) in cited
    assert all(texts[number - 1] == text for number, text in cited)


def test_a_file_that_is_not_in_order_is_read_whole(tmp_path):
    path = tmp_path / "a.log"
    texts = [line(at) for at in range(LINES)]
    random.Random(1).shuffle(texts)
    path.write_text("\n".join(texts) + "\n")
    report = same(path, 39_000, None)
    assert report.inputs[0].lines == LINES
    assert not any("time asked for" in limit.what for limit in report.limits)


def test_a_file_that_names_no_times_is_read_whole(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("nothing here names a time\n" * 100_000)
    assert same(path, 0, None).inputs[0].lines == 100_000


def test_a_compressed_file_is_read_whole(tmp_path, log):
    path = tmp_path / "a.log.gz"
    path.write_bytes(gzip.compress(log.read_bytes(), 1))
    assert same(path, 39_000, None).inputs[0].lines == LINES


def test_lines_out_of_order_by_less_than_a_minute_are_found(tmp_path):
    path = tmp_path / "a.log"
    wild = random.Random(2)
    order = sorted(range(LINES), key=lambda at: at + wild.uniform(0, 50))
    path.write_text("\n".join(line(at) for at in order) + "\n")
    same(path, 20_000, 20_500)
