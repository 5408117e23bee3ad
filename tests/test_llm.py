"""Servers of language models: what their lines say, alone and beside one another."""

from __future__ import annotations

import polars as pl
import pytest

from cachelog import rooms
from cachelog.dialects import llamacpp, lmcache, ollama, sglang, tgi, vllm
from tests.reading import events, read_lines

MINE = ("vllm", "sglang", "lmcache", "ollama", "llamacpp", "tgi", "prometheus")


def told(staged):
    """Return op, cache, outcome, model, version, n and clock of every event that is no leftover."""
    rows = events(staged).filter((pl.col("op") != "sample") | (pl.col("reason") == "hit rate"))
    clock = pl.col("ts").dt.to_string("%m-%d %T")
    return rows.sort("line", "op", "outcome").select("op", "cache", "outcome", "model", "version", "n", clock).rows()


def test_vllm_tells_starts_loads_flushes_and_a_rate_that_is_no_count(tmp_path):
    laguna, phi = "poolside/Laguna-S-2.1-NVFP4", "microsoft/phi-1_5"
    staged = read_lines(tmp_path, *vllm.SAMPLES)
    assert told(staged) == [
        ("load_start", "model", None, laguna, None, 1, "08-01 20:59:16"),
        ("load_start", "model", None, phi, "b6a7e2f", 1, "12-06 11:39:30"),
        ("load", "model", None, phi, "b6a7e2f", 1, "08-01 21:23:42"),
        ("restart", "default", None, None, None, 1, "08-01 21:23:42"),
        ("sample", "prefix", None, phi, "b6a7e2f", 1, "08-01 21:24:29"),
        ("sample", "prefix", None, phi, "b6a7e2f", 1, "02-25 11:11:31"),
        ("load", "model", None, "tiny", None, 1, "07-12 10:02:11"),
        ("unload", "model", None, "tiny", None, 1, "07-12 10:12:11"),
        ("flush", "prefix", None, None, None, 1, "07-12 10:13:00"),
        ("load_fail", "model", None, phi, "b6a7e2f", 1, "07-12 10:14:00"),
    ]
    rates = events(staged).filter(pl.col("reason") == "hit rate")["seconds"].to_list()
    assert rates == [0.169, 0.5236]
    assert events(staged).filter(pl.col("op") == "load")["seconds"].to_list() == [867.33, None]


def test_sglang_counts_the_tokens_of_batches(tmp_path):
    flash, qwen = "RadixArk/Qwen3.8-Flash-Next-NVFP4", "qwen/qwen2.5-0.5b-instruct"
    assert told(read_lines(tmp_path, *sglang.SAMPLES)) == [
        ("load_start", "model", None, flash, "7b71922", 1, "08-28 21:19:23"),
        ("load_start", "model", None, qwen, None, 1, "03-21 03:31:56"),
        ("restart", "default", None, None, None, 1, "08-02 00:33:50"),
        ("lookup", "prefix", "hit", qwen, None, 1200, "08-02 00:33:51"),
        ("lookup", "prefix", "miss", qwen, None, 7, "08-02 00:33:51"),
        ("lookup", "prefix", "hit", qwen, None, 1, "04-01 04:00:11"),
        ("lookup", "prefix", "miss", qwen, None, 5, "04-01 04:00:11"),
        ("load", "model", None, qwen, None, 1, "08-02 00:33:53"),
        ("flush", "prefix", None, None, None, 1, "08-02 00:34:53"),
    ]


def test_lmcache_counts_the_tokens_of_each_request_once(tmp_path):
    again = lmcache.SAMPLES[0].replace("22:22:32", "22:22:33")
    assert told(read_lines(tmp_path, *lmcache.SAMPLES, again)) == [
        ("lookup", "lmcache", "hit", "(unnamed)", None, 256, "08-14 22:22:32"),
        ("lookup", "lmcache", "miss", "(unnamed)", None, 322, "08-14 22:22:32"),
        ("lookup", "lmcache", "hit", "(unnamed)", None, 64, "02-09 22:55:49"),
        ("lookup", "lmcache", "miss", "(unnamed)", None, 17, "02-09 22:55:49"),
        ("lookup", "lmcache", "hit", "(unnamed)", None, 24, "02-09 22:55:49"),
        ("lookup", "lmcache", "miss", "(unnamed)", None, 8, "02-09 22:55:49"),
    ]


def test_lmcache_in_the_stream_of_vllm_is_about_its_model(tmp_path):
    rows = told(read_lines(tmp_path, vllm.SAMPLES[0], lmcache.SAMPLES[1]))
    assert rows[1][:4] == ("lookup", "lmcache", "hit", "poolside/Laguna-S-2.1-NVFP4")


def test_ollama_tells_starts_loads_lookups_and_evictions(tmp_path):
    llama, gemma = "sha256-dde5aa3fc5ff", "sha256-0800cbac9c20"
    staged = read_lines(tmp_path, *ollama.SAMPLES)
    assert told(staged) == [
        ("restart", "default", None, None, None, 1, "02-10 05:28:48"),
        ("restart", "default", None, None, None, 1, "01-11 20:41:03"),
        ("load_start", "model", None, llama, None, 1, "02-10 05:29:48"),
        ("lookup", "model", "miss", llama, None, 1, "02-10 05:29:48"),
        ("load", "model", None, llama, None, 1, "10-03 11:18:05"),
        ("lookup", "model", "hit", llama, None, 1, "10-03 11:22:30"),
        ("lookup", "prefix", "hit", llama, None, 19, "10-03 11:22:30"),
        ("lookup", "prefix", "miss", llama, None, 7, "10-03 11:22:30"),
        ("evict", "model", None, gemma, None, 1, "08-29 08:18:37"),
        ("unload", "model", None, llama, None, 1, "08-29 08:23:37"),
        ("load_fail", "model", None, llama, None, 1, "08-29 08:24:37"),
    ]
    rows = {row["op"]: row for row in events(staged).to_dicts()}
    assert (rows["load"]["seconds"], rows["evict"]["reason"]) == (0.78, "to make room")
    assert rows["load_fail"]["reason"] == "llama runner process has terminated: exit status 2"
    assert rows["evict"]["digest"] == "0800cbac9c2064dde519420e75e512a83cb360de3ad5df176185dc69652fc515"


def test_llamacpp_counts_what_a_request_found_in_its_slot_first(tmp_path):
    model = "gemma-4-E4B-it-Q8_0.gguf"
    rows = told(read_lines(tmp_path, *llamacpp.SAMPLES))
    assert [row[:6] for row in rows] == [
        ("load_start", "model", None, model, None, 1),
        ("load_fail", "model", None, model, None, 1),
        ("load", "model", None, model, None, 1),
        ("restart", "default", None, None, None, 1),
        ("lookup", "prefix", "miss", model, None, 6291 - 1377),
        ("lookup", "prefix", "hit", model, None, 1377),
        ("lookup", "prefix", "miss", model, None, 1),
        ("lookup", "prefix", "hit", model, None, 21),
    ]
    assert {row[6] for row in rows} == {None}


def test_tasks_of_two_processes_are_two_requests(tmp_path):
    asked, found = llamacpp.SAMPLES[5:7]
    start = llamacpp.SAMPLES[0]
    rows = told(read_lines(tmp_path, start, asked, found, found, start, asked, found))
    assert [row[5] for row in rows if row[0] == "lookup"] == [4914, 1377, 4914, 1377]


def test_tgi_tells_starts_and_loads(tmp_path):
    falcon, llama = "h2oai/falcon-40b", "meta-llama/Meta-Llama-3-70B-Instruct"
    assert told(read_lines(tmp_path, *tgi.SAMPLES)) == [
        ("load_start", "model", None, falcon, "7c46948b3c3329e7", 1, "06-19 21:23:01"),
        ("load_start", "model", None, llama, None, 1, "06-19 21:23:01"),
        ("restart", "default", None, None, None, 1, "06-17 13:12:09"),
        ("load", "model", None, llama, None, 1, "06-17 13:12:12"),
        ("load_fail", "model", None, llama, None, 1, "06-17 13:12:12"),
    ]


@pytest.mark.parametrize("name", MINE)
def test_a_dialect_says_where_it_is_from_and_what_it_cannot_tell(name):
    module = rooms.dialects()[name]
    assert name == module.NAME and module.SOURCE and module.BLIND
    hints = getattr(module, "HINTS", ("",))
    assert all(any(hint in sample for hint in hints) for sample in module.SAMPLES)


OTHERS = [
    'time=2026-01-02T11:32:00Z level=INFO source=cache.py:3 msg="cache miss" model=m',
    'time=2026-01-02T11:32:00Z level=INFO source=lookup.go:3 msg="cache miss" model=m',
    "[2026-01-02 11:32:00] Cache hit for model m",
    "[2026-11-23 15:13:01 +0000] [7] [INFO] Booting worker with pid: 9",
    "INFO 2026-01-02 11:32:00 app.py:3] cache miss model=m",
    "(main pid=3) cache miss",
    "load: cache miss model=m",
]


@pytest.mark.parametrize("line", OTHERS)
def test_lines_of_other_programs_are_left_to_others(line):
    text = pl.DataFrame({"t": [line]})
    assert not [name for name in MINE if text.select(rooms.dialects()[name].claim(pl.col("t"))).item()]
