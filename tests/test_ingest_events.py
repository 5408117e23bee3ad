"""Lines to events: what applications say in their own words."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import polars as pl
import pytest

from cachelog.contract.errors import UsageError
from cachelog.ingest.clock import Zone, fixed_offset, instants
from cachelog.ingest.meaning import classify
from tests.reading import events, read, read_lines

T = "2026-11-20T12:00:00Z"


def one(tmp_path, **fields):
    found = events(read_lines(tmp_path, json.dumps({"ts": T, **fields})))
    return found.row(0, named=True) if found.height else None


LOOKUPS = [
    ({"event": "cache_lookup", "result": "hit", "model": "m"}, "hit", "default"),
    ({"event": "prediction", "cache": "miss", "model": "m", "model_version": "v1"}, "miss", "default"),
    ({"msg": "cache hit", "model_name": "m"}, "hit", "default"),
    ({"msg": "Cache miss for request 12", "model": "m"}, "miss", "default"),
    ({"event": "model_cache_miss", "model": "m"}, "miss", "model"),
    ({"msg": "predict", "cache_hit": True, "model": "m"}, "hit", "default"),
    ({"msg": "predict", "hit": False, "model": "m"}, "miss", "default"),
    ({"upstream_cache_status": "EXPIRED", "model": "m"}, "miss", "edge"),
    ({"upstream_cache_status": "UPDATING", "model": "m"}, "stale", "edge"),
    ({"upstream_cache_status": "REVALIDATED", "model": "m"}, "hit", "edge"),
    ({"upstream_cache_status": "BYPASS", "model": "m"}, "bypass", "edge"),
    ({"event": "lookup", "outcome": "HIT", "model": "m", "cache_name": "prefix"}, "hit", "prefix"),
    ({"msg": "lookup", "result": "miss", "labels": {"model": "m"}}, "miss", "default"),
    ({"msg": "lookup", "result": "miss", "ml.model.name": "m"}, "miss", "default"),
]


@pytest.mark.parametrize(("fields", "outcome", "cache"), LOOKUPS)
def test_lookups_are_told_from_fields_and_words(tmp_path, fields, outcome, cache):
    row = one(tmp_path, **fields)
    assert row is not None
    assert (row["op"], row["outcome"], row["cache"], row["model"]) == ("lookup", outcome, cache, "m")


CHANGES = [
    ({"event": "model_load", "model": "m", "version": "1"}, "load"),
    ({"event": "model_loaded", "model": "m", "version": "1"}, "load"),
    ({"msg": "model loaded", "model": "m", "version": "1"}, "load"),
    ({"event": "ModelLoaded", "model": "m", "version": "1"}, "load"),
    ({"event": "load_model", "model": "m", "version": "1"}, "load"),
    ({"msg": "model is ready", "model": "m", "version": "1"}, "load"),
    ({"event": "ModelUnloaded", "model": "m", "version": "1"}, "unload"),
    ({"event": "model_loading", "model": "m", "version": "1"}, "load_start"),
    ({"event": "model_load_failed", "model": "m", "version": "1", "error": "OOM"}, "load_fail"),
    ({"msg": "failed to load model", "model": "m", "version": "1"}, "load_fail"),
    ({"event": "model_unload", "model": "m", "version": "1"}, "unload"),
    ({"msg": "model unloaded", "model": "m", "version": "1"}, "unload"),
    ({"event": "model_evicted", "model": "m", "version": "1", "reason": "lru"}, "evict"),
    ({"event": "rollout", "model": "m", "version": "1", "action": "deploy"}, "rollout"),
    ({"event": "registry_changed", "model": "m", "from_version": "0", "to_version": "1"}, "rollout"),
]


@pytest.mark.parametrize(("fields", "op"), CHANGES)
def test_version_events_are_told_from_words(tmp_path, fields, op):
    row = one(tmp_path, **fields)
    assert row is not None
    assert (row["op"], row["model"], row["version"], row["cache"]) == (op, "m", "1", "model")


@pytest.mark.parametrize(
    "words", ["server_start", "starting", "server starting", "Started server process [7]", "Scorer starting"]
)
def test_a_starting_process_is_a_restart_of_its_replica(tmp_path, words):
    row = one(tmp_path, event=words, pod="p1")
    assert row is not None
    assert (row["op"], row["replica"]) == ("restart", "p1")


@pytest.mark.parametrize(
    "words",
    [
        "flushed 118 metrics in 3 ms", "retrying upstream after 502", "GET /healthz 200", "connection pool resized to 32",
        "Application startup complete.", "Waiting for application startup.", "Ready, 5 models loaded", "unknown_model",
        "started request 5", "worker thread started", "config loaded", "deployment finished",
    ],
)  # fmt: skip
def test_other_lines_are_quiet(tmp_path, words):
    staged = read_lines(tmp_path, json.dumps({"ts": T, "msg": words, "pod": "p1"}))
    assert staged.events.is_empty()
    assert staged.inputs[0].quiet == 1


def test_a_request_without_a_model_is_no_lookup_of_a_model_cache_at_the_edge(tmp_path):
    assert one(tmp_path, upstream_cache_status="HIT", request="GET /logo.png HTTP/1.1") is None


def test_a_hit_of_an_application_that_names_no_model_is_kept(tmp_path):
    assert one(tmp_path, msg="cache hit", key="k")["model"] == "(unnamed)"


def test_the_result_cache_and_the_cache_of_loaded_models_are_not_mixed(tmp_path):
    lines = [{"event": "prediction", "cache": "hit", "model": "m"}, {"event": "model_cache_miss", "model": "m"}]
    found = events(read_lines(tmp_path, *(json.dumps({"ts": T, **line}) for line in lines)))
    assert found.select("cache", "outcome").rows() == [("default", "hit"), ("model", "miss")]


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [({"latency_ms": 12.5}, 0.0125), ({"dur": "3.5ms"}, 0.0035), ({"request_time": "0.022"}, 0.022), ({"duration": "250µs"}, 0.00025),
     ({"elapsed_s": 2}, 2.0), ({"latency": "fast"}, None)],
)  # fmt: skip
def test_durations_are_read_with_their_unit(tmp_path, fields, seconds):
    row = one(tmp_path, event="cache_lookup", result="hit", model="m", **fields)
    assert row is not None
    assert row["seconds"] == (None if seconds is None else pytest.approx(seconds))


def test_a_key_first_seen_late_is_not_lost(tmp_path):
    plain = json.dumps({"ts": T, "event": "cache_lookup", "result": "hit", "model": "m"})
    late = json.dumps({"ts": T, "event": "model_loaded", "servable": "m", "servable_version": "9"})
    found = events(read_lines(tmp_path, *[plain] * 3000, late, *[plain] * 3000))
    assert found.filter(pl.col("op") == "load").select("model", "version", "line").rows() == [("m", "9", 3001)]


def test_the_replica_is_named_by_the_line_else_by_the_file(tmp_path):
    line = {"ts": T, "event": "cache_lookup", "result": "hit", "model": "m"}
    found = events(
        read_lines(tmp_path, json.dumps(line), json.dumps(line | {"pod": "p9", "host": "h"}), name="pod-7.log")
    )
    assert found["replica"].to_list() == ["pod-7", "p9"]


def test_an_event_without_a_time_takes_the_one_before_it_and_this_is_said(tmp_path):
    timed = {"ts": T, "event": "cache_lookup", "result": "hit", "model": "m"}
    staged = read_lines(tmp_path, json.dumps(timed), json.dumps({k: v for k, v in timed.items() if k != "ts"}))
    assert events(staged)["ts"].n_unique() == 1
    assert "taken from the event before (1 events)" in (staged.inputs[0].clock or "")


def test_a_time_without_zone_is_read_in_the_zone_given_and_this_is_said(tmp_path):
    line = json.dumps({"asctime": "2026-11-20 12:00:00,123", "message": "cache hit", "model": "m"})
    staged = read_lines(tmp_path, line, tz="Europe/Berlin")
    assert events(staged)["ts"].to_list() == [datetime(2026, 11, 20, 11, 0, 0, 123000, tzinfo=UTC)]
    assert staged.inputs[0].clock == "no zone in the lines, read as Europe/Berlin (1 events)"


TIMES = {
    "2026-11-20T12:00:00.123456Z": "2026-11-20T12:00:00.123456",
    "2026-11-20T12:00:00.123456789Z": "2026-11-20T12:00:00.123456",
    "2026-11-20T12:00:00+05:30": "2026-11-20T06:30:00",
    "2026-11-20T12:00:00-0800": "2026-11-20T20:00:00",
    "2026-11-20 12:00:00,123": "2026-11-20T12:00:00.123",
    "2026/11/20 12:00:00": "2026-11-20T12:00:00",
    "1763640000": "2025-11-20T12:00:00",
    "1763640000.057085": "2025-11-20T12:00:00.057085",
    "1763640000057": "2025-11-20T12:00:00.057",
    "1763640000057085": "2025-11-20T12:00:00.057085",
    "1763640000057085123": "2025-11-20T12:00:00.057085",
    "20/Nov/2026:12:00:00 +0130": "2026-11-20T10:30:00",
    "1120 12:00:00.250369": "2026-11-20T12:00:00.250369",
    "1224 12:00:00.000001": "2025-12-24T12:00:00.000001",  # a month ahead of the file: last year's
    "Nov  3 15:13:01": "2026-11-03T15:13:01",
    "23 Nov 2026 15:16:28.691": "2026-11-23T15:16:28.691",
    "yesterday": None,
    "2026-13-45T12:00:00Z": None,
}


def test_every_way_to_write_a_time_is_read_to_the_microsecond():
    newest = pl.Series([datetime(2026, 11, 24)] * len(TIMES), dtype=pl.Datetime("us"))
    read = instants(pl.Series(list(TIMES)), newest, Zone())["ts"]
    expected = [None if t is None else datetime.fromisoformat(t).replace(tzinfo=UTC) for t in TIMES.values()]
    assert read.to_list() == expected


def test_an_unknown_zone_is_bad_usage():
    with pytest.raises(UsageError, match="unknown time zone"):
        fixed_offset("Mars/Olympus")


@pytest.mark.parametrize(
    ("text", "op", "outcome"),
    [
        ("Model cache miss for fraud version v41, loading", "lookup", "miss"),
        ("Loaded model fraud version v41 from s3://x in 120.8 ms", "load", None),
        ("Evicted model spam version v3 from model cache (LRU, 4/5 slots)", "evict", None),
        ("Registry: churn current version v9 -> v10 (deploy)", "rollout", None),
        ("rolled back fraud to v41", "rollout", None),
        ("Failed to load 'm' version 3: no such file", "load_fail", None),
        ("cache flushed by operator", "flush", None),
        ("entry key expired", "expire", None),
        ("Shutting down, model cache hits=1219 misses=9", None, None),
    ],
)
def test_free_texts_are_classified(text, op, outcome):
    read = pl.DataFrame({"t": [text]}).select(classify(pl.col("t")))
    assert read.row(0) == (op, outcome)


NESTED = [
    {"fields": {"message": "cache hit", "model": "m", "version": "7"}, "level": "INFO"},  # Rust's tracing
    {"message": "cache hit", "labels": {"model": "m", "version": "7"}},  # ECS
    {"message": "cache hit", "labels.model": "m", "labels.version": "7"},
    {"body": "lookup", "attributes": {"model": "m", "model_version": "7", "cache_hit": True}},
    {"message": "predict model=m version=7 cache=HIT 0.29ms", "level": "INFO"},
    {"log": "2026-11-20 12:00:00,000 INFO scorer: predict model=m version=7 cache=HIT", "stream": "stdout"},
    {"message": "cache hit for model m version 7"},
]


@pytest.mark.parametrize("fields", NESTED, ids=str)
def test_fields_are_found_in_objects_and_in_messages(tmp_path, fields):
    row = one(tmp_path, **fields)
    assert row is not None
    assert (row["op"], row["outcome"], row["model"], row["version"]) == ("lookup", "hit", "m", "7")


@pytest.mark.parametrize("older", ["t.log.1", "t.log.2.gz", "t.log-20261123"])
def test_a_version_is_carried_over_a_rotation(tmp_path, older):
    head = 'I1123 15:{}:57.932261 1 model_lifecycle.cc:{}] "{}"\n'.format
    began = head("09", 472, "loading: fraud:42").encode()
    (tmp_path / older).write_bytes(gzip.compress(began) if older.endswith("gz") else began)
    (tmp_path / "t.log").write_text(head("10", 839, "successfully loaded 'fraud'"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "t.log").write_text(head("10", 839, "successfully loaded 'fraud'"))
    loads = events(read(tmp_path)).filter(pl.col("op") == "load")
    assert loads["version"].to_list() == [None, "42"]
