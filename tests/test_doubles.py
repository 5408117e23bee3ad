"""The same line delivered twice counts once; two equal lines that are two events stay two."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import pipeline, shards
from cachelog.contract.limits import DEFAULT
from cachelog.pipeline import Options
from cachelog.render import json as report_json
from tests.reading import read

START = datetime(2026, 11, 23, 15, 0, 0, tzinfo=UTC)


def instants(seed=1, many=300, pause=0.37):
    rng, at = random.Random(seed), START
    for _ in range(many):
        at += timedelta(milliseconds=round(rng.expovariate(1 / pause) * 1000))
        yield at, rng


def text(seed=1, many=300, pause=0.37, keys=40, stamp="%Y-%m-%d %H:%M:%S,%f"):
    """Lines of one replica that do not name it."""
    return [
        f"{at.strftime(stamp)[:23]} INFO scorer: predict model=m version=v1 "
        f"key=k{rng.randrange(keys)} cache={rng.choice(['HIT', 'HIT', 'MISS'])}"
        for at, rng in instants(seed, many, pause)
    ]


def write(folder, name, lines):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    os.utime(path, (1_800_000_000, 1_800_000_000))
    return path


def counts(staged):
    """Return events, and those by replica."""
    events = staged.events
    return events.height, dict(events["replica"].cast(str).value_counts().sort("replica").iter_rows())


def balanced(staged):
    for item in staged.inputs:
        assert item.lines == item.events + item.quiet + item.joined + item.unclaimed + item.bad
    return sum(item.events for item in staged.inputs) == staged.events.height


def test_an_overlap_of_two_fetches_counts_once_and_is_one_replica(tmp_path):
    lines = text()
    write(tmp_path, "one.log", lines[:200])
    write(tmp_path, "two.log", lines[150:])
    staged = read(tmp_path)
    assert counts(staged) == (300, {"one": 300}) and balanced(staged)
    assert staged.dropped.rows() == [(1, 0, 50)]
    (note,) = [n for n in pipeline.analyze([str(tmp_path)]).limits if "counts once" in n.what]
    assert note.what == f"50 lines are in {tmp_path}/one.log too; each counts once"
    assert (note.blocks, note.where) == ("whether equal lines were several events", f"{tmp_path}/two.log")


def test_a_pod_from_kubectl_and_from_its_node_counts_once(tmp_path):
    lines = text()
    stamped = [f"{at:%Y-%m-%dT%H:%M:%S.%f}001Z" for at, _ in instants()]
    pod = "var/log/pods/prod_scorer-6d9f7c5b8-4kq2x_1d7220dd-4059-14ad-1f3c-d2044d9714b0/scorer/0.log"
    write(tmp_path, pod, [f"{at} stdout F {line}" for at, line in zip(stamped, lines, strict=True)])
    write(tmp_path, "all.log", [f"[pod/scorer-6d9f7c5b8-4kq2x/scorer] {line}" for line in lines[100:]])
    write(tmp_path, "bare.log", lines[:120])
    staged = read(tmp_path)
    assert counts(staged) == (300, {"scorer-6d9f7c5b8-4kq2x": 300}) and balanced(staged)


def test_a_mix_of_pods_holds_what_the_pods_say(tmp_path):
    """The names of the pods stay, also where the biggest file has none."""
    pods = {name: text(seed) for seed, name in enumerate("ab")}
    for name, lines in pods.items():
        write(tmp_path, f"{name}.log", [f"[pod/{name}/c] {line}" for line in lines])
    write(tmp_path, "mixed.log", sorted(pods["a"] + pods["b"] + text(9)))
    assert counts(read(tmp_path)) == (900, {"a": 300, "b": 300, "mixed": 300})


def test_of_equal_lines_the_greater_number_counts(tmp_path):
    lines = text()
    write(tmp_path, "a.log", [*lines[:100], lines[100], *lines[100:]])
    write(tmp_path, "b.log", [*lines[:100], lines[100], lines[100], *lines[100:200], lines[200], *lines[200:]])
    assert counts(read(tmp_path))[0] == 303


def test_equal_lines_of_one_input_are_events_of_their_own(tmp_path):
    lines = text(many=100)
    write(tmp_path, "a.log", [line for at, line in enumerate(lines) for _ in range(2 if at % 3 else 1)])
    assert counts(read(tmp_path))[0] == 166


def test_replicas_of_other_names_tell_nothing_twice(tmp_path):
    for name in "ab":
        write(tmp_path, f"{name}.log", [f"[pod/{name}/c] {line}" for line in text()])
    assert counts(read(tmp_path)) == (600, {"a": 300, "b": 300})


def whole_seconds(seed, many=2000, pause=0.5):
    """Lines that say little: a second, no key."""
    head = "%Y-%m-%dT%H:%M:%SZ"
    return [
        json.dumps({"ts": at.strftime(head), "event": f"cache_{rng.choice(['hit', 'hit', 'miss'])}", "model": "m"})
        for at, rng in instants(seed, many, pause)
    ]


@pytest.mark.parametrize("pause", [2.0, 0.5, 0.02])
def test_replicas_that_do_alike_in_the_same_seconds_are_not_one(tmp_path, pause):
    for seed in range(3):
        write(tmp_path, f"r{seed}.log", whole_seconds(seed, pause=pause))
    assert counts(read(tmp_path)) == (6000, {"r0": 2000, "r1": 2000, "r2": 2000})


def test_a_copy_with_whole_seconds_counts_once(tmp_path):
    write(tmp_path, "a.log", whole_seconds(1))
    write(tmp_path, "old/a.log.1", whole_seconds(1)[:1500])
    assert counts(read(tmp_path))[0] == 2000


def test_loads_that_all_make_at_the_same_seconds_are_of_all(tmp_path):
    for name in "abc":
        loads = [
            json.dumps({"ts": f"2026-11-23T15:00:{s:02d}Z", "event": "model_loaded", "model": f"m{s}", "version": "1"})
            for s in range(50)
        ]
        write(tmp_path, f"{name}.log", loads)
    assert counts(read(tmp_path))[0] == 150


def test_lines_without_a_time_are_never_equal(tmp_path):
    for name in "ab":
        write(tmp_path, f"{name}.log", [line.split(" scorer: ")[1] for line in text()])
    assert counts(read(tmp_path))[0] == 600


def test_a_logger_with_two_handlers_writes_lines_twice(tmp_path):
    lines = text()
    path = write(tmp_path, "a.log", [line for line in lines for _ in "12"])
    staged = read(tmp_path)
    assert counts(staged) == (300, {"a": 300}) and balanced(staged)
    (note,) = [n for n in pipeline.analyze([str(tmp_path)]).limits if "counts once" in n.what]
    assert (note.what, note.where) == ("300 lines stand there twice in a row; each counts once", str(path))


def test_a_request_that_looks_twice_is_two_lookups(tmp_path):
    """Each request asks two caches in the same millisecond, which sometimes answer differently."""
    lines = [line for line in text(keys=1) for _ in "12"]
    rng = random.Random(5)
    asked = [line.replace("HIT", "MISS") if rng.random() < 0.1 else line for line in lines]
    write(tmp_path, "a.log", asked)
    assert counts(read(tmp_path))[0] == 600


def test_torchserve_repeats_server_lines_in_one_file_and_all_in_another(tmp_path):
    said = []
    for n, (at, _) in enumerate(instants(many=8)):
        time = at.strftime("%Y-%m-%dT%H:%M:%S,%f")[:23]
        handler = f"{time} [INFO ] W-9000-m_1.0-stdout MODEL_LOG - cache hit model=m version=1.0 key=k{n}"
        server = f"{time} [DEBUG] W-9000-m_1.0 org.pytorch.serve.wlm.ModelVersionedRefs - Setting default version to {n}.0 for model m"
        said.append((handler, server))
    write(tmp_path, "model_log.log", [h for h, _ in said])
    write(tmp_path, "ts_log.log", [line for h, s in said for line in (h, s, s)])
    write(tmp_path, "stdout.log", [line for h, s in said for line in (h, s)])
    staged = read(tmp_path)
    assert dict(staged.events["op"].cast(str).value_counts().iter_rows()) == {"lookup": 8, "rollout": 8}
    assert set(staged.events["replica"].drop_nulls().cast(str)) == {"ts_log"}
    assert balanced(staged)


@pytest.fixture
def doubled(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lines = text(many=3000)
    write(tmp_path, "logs/a/one.log", lines[:2000])
    write(tmp_path, "logs/b/two.log", lines[1500:])
    write(tmp_path, "logs/c/other.log", text(2, many=3000))
    return tmp_path / "logs"


def told(paths, **options):
    return report_json.render(pipeline.analyze([str(p) for p in paths], Options(**options)))


def test_neither_order_nor_memory_nor_what_was_read_before_matters(doubled):
    files = sorted(doubled.rglob("*.log"))
    whole = told(files)
    small = replace(DEFAULT, block_bytes=20_000, held_events=500, cached_bytes=1)
    assert json.loads(whole)["models"][0]["lookups"] == 6000
    assert told(files[::-1]) == whole
    assert told(files, limits=small) == whole
    assert told(files, limits=small, cache=True) == told(files, limits=small, cache=True) == whole


def test_what_is_staged_apart_is_put_together_once(doubled, tmp_path):
    folders = [str(tmp_path / f"staged-{name}") for name in "abc"]
    for name, folder in zip("abc", folders, strict=True):
        shards.stage([str(doubled / name)], folder, Options())
    files = []
    for number in (1, 2):
        files.append(str(tmp_path / f"{number}.json"))
        (tmp_path / f"{number}.json").write_text(shards.detect(folders, shards.Shard(number, 2), Options()))
    whole = told([doubled / name for name in "abc"])
    assert report_json.render(shards.merge(folders[::-1], [], Options())) == whole
    assert report_json.render(shards.merge(folders, files, Options())) == whole


def test_a_short_overlap_of_long_logs_is_found(tmp_path, monkeypatch):
    """The sample alone would miss it: the ends of inputs are looked at besides."""
    monkeypatch.setattr("cachelog.ingest.doubles.DEFAULT", replace(DEFAULT, double_sample=50, double_ends=100))
    lines = text(many=6000)
    write(tmp_path, "a.log", lines[:3010])
    write(tmp_path, "b.log", lines[3000:])
    assert counts(read(tmp_path)) == (6000, {"a": 6000})


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(1, 6)), min_size=1, max_size=5))
def test_cuts_of_logs_however_they_overlap_say_each_line_once(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("cuts")
    logs = [text(seed) for seed in range(3)]
    held = set()
    for number, (log, start, end) in enumerate(cuts):
        write(folder, f"f{number}.log", logs[log][50 * start : 50 * end])
        held |= {(log, at) for at in range(50 * start, 50 * end)}
    assert counts(read(folder))[0] == len(held)
