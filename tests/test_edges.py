"""Caches in front of models: what each line of their logs means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cachelog import rooms
from cachelog.ingest.meaning import classify
from cachelog.ingest.words import EDGE_WORDS, OUTCOME_WORDS
from tests.reading import events, read_lines

DIALECTS = rooms.dialects()


def at(day, clock):
    """23 or 24 November 2026, UTC."""
    hour, minute, second = clock.split(":")
    return datetime(2026, 11, day, int(hour), int(minute), tzinfo=UTC) + timedelta(seconds=float(second))


def lookup(model, version, outcome, ts, seconds=None, reason=None):
    return [("lookup", "edge", model, version, outcome, reason, seconds, ts)]


#: dialect -> what each of its samples means; None: quiet
GOLDEN = {
    "varnish": [
        lookup("fraud", "41", "miss", at(24, "11:46:10"), 0.001366),
        lookup("fraud", "41", "bypass", at(24, "11:46:11")),
        None,
        lookup("short", "1", "stale", at(24, "11:46:13.835873"), 0.000132),
    ],
    "squid": [
        lookup("reval", "3", "hit", at(24, "11:47:30.843"), 0.0),
        lookup("fraud", "41", "miss", at(24, "11:47:27.922"), 0.001),
        lookup("fraud", "41", "bypass", at(24, "11:47:28.547"), 0.0),
        None,
        lookup("resnet", "2", "miss", at(24, "11:47:28"), None, "expired"),
        None,
        None,
    ],
    "traffic_server": [
        lookup("fraud", "41", "miss", at(24, "11:47:36.446"), 0.005),
        lookup("reval", "3", "hit", at(24, "11:47:39.124"), 0.0),
        None,
        lookup("short", "1", "miss", at(24, "11:47:39"), None, "expired"),
        None,
        lookup("resnet", "2", "miss", at(24, "11:47:36"), 0.003),
    ],
    "haproxy": [
        lookup("fraud", "41", "hit", at(24, "11:47:43.810"), 0.0),
        lookup("fraud", "41", "miss", at(24, "11:47:43.744"), 0.002),
        None,
        None,
        None,
        None,
        None,
    ],
    "envoy": [
        lookup("fraud", "41", "hit", at(23, "15:13:01.310"), 0.001),
        lookup("fraud", "41", "miss", at(23, "15:13:01.520"), 0.226),
        lookup("fraud", None, "miss", at(23, "15:13:02"), 0.0),
        lookup("fraud", None, "hit", at(23, "15:13:02.500"), 0.012),
        None,
    ],
    "cloudfront": [
        lookup("resnet", "2", "hit", datetime(2020, 6, 25, 23, 55, 59, tzinfo=UTC), 0.001),
        lookup("fraud", "41", "miss", at(23, "15:13:01"), 0.034),
        lookup("fraud", None, "error", at(23, "15:13:02"), 0.034),
        None,
    ],
    "w3c": [
        lookup("fraud", "41", "hit", at(23, "15:13:01"), 0.382),
        lookup("fraud", None, "bypass", at(23, "15:13:01"), 0.382),
        None,
        None,
        None,
    ],
    "redis": [
        [("restart", "redis", None, None, None, None, None, at(24, "11:47:47.671"))],
        None,
        None,
        [("flush", "redis", None, None, None, None, None, at(24, "12:00:01.004"))],
        [("flush", "redis", None, None, None, None, None, at(24, "11:47:50.722213"))],
        None,
        [("evict", "redis", "fraud", "41", None, None, None, at(24, "11:47:50.722213"))],  # the time of the line before
    ],
    "memcached": [
        [
            ("lookup", "memcached", "(unnamed)", None, "hit", None, None, None),
            ("lookup", "memcached", "(unnamed)", None, "miss", None, None, None),
            ("lookup", "memcached", "(unnamed)", None, "miss", None, None, None),
        ],
        [("lookup", "memcached", "(unnamed)", None, "miss", None, None, None)],
        [("flush", "memcached", None, None, None, None, None, None)],
        None,
        None,
        [("restart", "memcached", None, None, None, None, None, None)],
        None,
        None,
        None,
        [("evict", "memcached", "fraud", None, None, None, None, at(24, "11:53:30.719595"))],
    ],
    "nginx": [
        lookup("fraud", "41", "miss", at(23, "15:13:01"), 0.022),
        None,
        lookup("resnet", "1", "hit", at(23, "15:14:38")),
        None,
        lookup("resnet", "2", "miss", at(24, "11:48:04")),
        lookup("resnet", "2", "miss", at(24, "11:48:04"), 0.001),
        lookup("fraud", "41", "miss", at(24, "11:48:04")),
        lookup("short", "1", "stale", at(24, "11:48:04"), 0.002),
        lookup("resnet", "2", "miss", at(24, "11:48:04.191"), 0.001),
        lookup("fraud", None, "hit", at(24, "11:48:04")),
        lookup("m", None, "hit", at(24, "11:48:05")),
        lookup("fraud", None, "miss", at(24, "11:48:06")),
        None,
    ],
}


def said(frame):
    names = ["op", "cache", "model", "version", "outcome", "reason", "seconds", "ts"]
    found = frame.sort("line", "outcome", maintain_order=True).select("line", *names).rows()
    lines = {}
    for line, *row in found:
        lines.setdefault(line, []).append(tuple(row))
    return lines


@pytest.mark.parametrize("dialect", sorted(GOLDEN))
def test_each_sample_means_what_its_system_meant(tmp_path, dialect):
    samples = DIALECTS[dialect].SAMPLES
    found = said(events(read_lines(tmp_path, *samples)))
    assert len(samples) == len(GOLDEN[dialect])
    assert [found.get(line) for line in range(1, len(samples) + 1)] == GOLDEN[dialect]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("CacheCacheStatus", ("fraud", "41", "stale", "FRA")),
        ("response_state", ("fraud", "41", "stale", "cache-fra-eddf8230051-FRA")),
        ("handling", ("resnet", "2", "miss", None)),
        ("cache-status", ("fraud", "41", "miss", None)),
        ("resp_headers", ("fraud", "41", "hit", None)),
        ("ScriptName", None),
        ("$workers", ("fraud", "41", "hit", None)),
    ],
)
def test_edges_that_log_json_are_read_by_the_names_of_their_fields(tmp_path, field, expected):
    (line,) = [s for s in DIALECTS["json_app"].SAMPLES if f'"{field}"' in s]
    found = events(read_lines(tmp_path, line, name="edge.log"))
    rows = (
        found.with_columns(pl.col("replica").replace("edge", None))
        .select("model", "version", "outcome", "replica")
        .rows()
    )
    assert rows == ([] if expected is None else [expected])


#: what a header or tag says, in the word that a log has
WORDS = {
    "HIT": "hit", "Hit from cloudfront": "hit", "RefreshHit": "hit", "OriginShieldHit": "hit", "MISS, HIT": "hit",
    "HIT, MISS": "miss", "HIT-CLUSTER": "hit", "MISS-WAIT": "miss", "HIT-STALE": "stale", "HITPASS-CLUSTER": "bypass",
    "PASS": "bypass", "TCP_MISS_ABORTED": "miss", "TCP_MEM_HIT:HIER_NONE": "hit", "TCP_HIT from a23-1.deploy": "hit",
    "TCP_REFRESH_FAIL_OLD": "stale", "TCP_REF_FAIL_HIT": "stale", "TCP_REFRESH_FAIL_ERR": "error",
    "ERR_CONNECT_FAIL": "error", "LimitExceeded": "error", "REVALIDATED": "hit", "updating": "stale",
    "dynamic": "bypass", "hitmiss": "miss", "hitpass": "bypass", "pipe": "bypass", "synth": None, "TCP_DENIED": None,
    "Redirect": None, "unknown": None, "-": None, "Souin; hit; ttl=9990": "hit", "Souin; hit; ttl=-5": "stale",
    "Souin; fwd=uri-miss; stored; key=GET-http-x-/": "miss", "A; fwd=stale": "miss", "A; fwd=method": "bypass",
    'Origin; hit; ttl=1100, "CDN"; fwd=uri-miss': "miss", "CONFIG_NOCACHE": "bypass", "REMOTE_HIT": "hit",
}  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_words_of_caches_mean_what_their_manuals_say(tmp_path, word):
    quoted = word.replace('"', '\\"')
    line = f'{{"time":"2026-11-23T15:13:01Z","x_cache":"{quoted}","uri":"/v1/models/fraud"}}'
    assert events(read_lines(tmp_path, line))["outcome"].to_list() == ([WORDS[word]] if WORDS[word] else [])


def test_sentences_of_applications_are_no_tags(tmp_path):
    lines = [
        f'{{"model":"m","result":"{said}"}}' for said in ("hit the limit", "missed deadline", "error, hit", "pass")
    ]
    assert events(read_lines(tmp_path, *lines)).is_empty()


def test_no_word_means_two_things():
    assert all(EDGE_WORDS[word] == outcome for word, outcome in OUTCOME_WORDS.items())
    assert all(word == word.lower() for word in EDGE_WORDS)


SAID = {
    "Cache entry for key 'fraud:41' found in cache 'models'": "hit",
    "No cache entry for key 'fraud:41' in cache(s) [models]": "miss",
    "key fraud:41 not found in cache, computing": "miss",
    "answer served from cache": "hit",
    "Model weights found in cache": None,
    "tokenizer not found in cache directory": None,
    "no stale lock found in cache": None,
}


@pytest.mark.parametrize("text", SAID)
def test_caches_of_libraries_say_hit_and_miss_in_words_of_their_own(text):
    found = pl.DataFrame({"t": [text]}).select(classify(pl.col("t"))).row(0)
    assert found == (("lookup", SAID[text]) if SAID[text] else (None, None))


HAPROXY = DIALECTS["haproxy"].SAMPLES
PROXIED = [line for line in HAPROXY if " be/o " in line and "GET" in line]


def test_a_proxy_without_a_cache_misses_nothing(tmp_path):
    assert events(read_lines(tmp_path, *PROXIED)).is_empty()
    other = HAPROXY[0].replace("fraud", "churn")
    assert events(read_lines(tmp_path, *PROXIED, other))["model"].to_list() == ["churn"]


def test_a_proxy_that_names_the_result_is_believed(tmp_path):
    named = [f"{PROXIED[0]} cache_hit=0", f'{PROXIED[0]} cache="MISS"', f"{PROXIED[0]} cache_hit=1"]
    assert events(read_lines(tmp_path, *named))["outcome"].to_list() == ["miss", "miss", "hit"]


def test_handling_counts_before_hitmiss(tmp_path):
    line = DIALECTS["varnish"].SAMPLES[0]
    both = [f"{line} pass", line.removesuffix("miss") + "pass miss"]
    assert events(read_lines(tmp_path, *both))["outcome"].to_list() == ["bypass", "bypass"]


def test_a_client_cannot_say_what_the_cache_did(tmp_path):
    line = DIALECTS["varnish"].SAMPLES[2].replace('"curl/7.88.1"', '"x hit \\" hit"')
    record = (
        DIALECTS["varnish"]
        .SAMPLES[3]
        .replace("\x1f-   Hit ", "\x1f-   ReqHeader X: -   VCL_call       MISS\x1f-   Hit ")
    )
    assert events(read_lines(tmp_path, line, record))["outcome"].to_list() == ["stale"]


REQUEST = """*   << Request  >> 32797
-   Begin          req 32796 rxreq
-   Timestamp      Start: 1795520773.835873 0.000000 0.000000
-   ReqMethod      GET
-   ReqURL         /models/short/1/m
-   VCL_call       MISS
-   Timestamp      Process: 1795520773.836006 0.000132 0.000004
-   End
**  << BeReq    >> 32798
--  Begin          bereq 32797 bgfetch
--  BereqURL       /models/short/1/m
--  End
"""
QUESTIONS = (
    "<24 get a b", "<25 get a", ">24 sending key a", ">25 END", ">24 END", "<24 get c", ">24 SERVER_ERROR out of memory",
    "<24 get d", "<26 get never-answered",
)  # fmt: skip


def test_a_record_of_varnishlog_is_one_request(tmp_path):
    staged = read_lines(tmp_path, *REQUEST.splitlines())
    (books,) = staged.inputs
    assert (books.events, books.quiet, books.joined, books.unclaimed) == (1, 1, 10, 0)
    assert events(staged).select("line", "model", "outcome", "seconds").rows() == [(1, "short", "miss", 0.000132)]


def test_lines_of_a_connection_to_memcached_are_one_question(tmp_path):
    found = events(read_lines(tmp_path, *QUESTIONS)).select("line", "outcome").rows()
    assert sorted(found) == [(1, "hit"), (1, "miss"), (2, "miss"), (6, "miss"), (8, "miss"), (9, "miss")]


@pytest.mark.parametrize("dialect", [name for name, module in DIALECTS.items() if hasattr(module, "HINTS")])
def test_each_line_of_a_dialect_holds_one_of_its_hints(dialect):
    module = DIALECTS[dialect]
    assert [line for line in module.SAMPLES if not any(hint in line for hint in module.HINTS)] == []
