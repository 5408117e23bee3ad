"""Free text lines: heads of common loggers, words about models, and what is nothing of the kind."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.contract import heads, prose
from cachelog.dialects import nginx, text_kv
from cachelog.ingest import clock, digits
from cachelog.ingest.clock import Zone, instants
from tests.reading import events, read_lines

LOADED = "Loaded model fraud version v41"
#: head -> what stands behind the time; the message follows
HEADS = {
    "2026-11-23 15:16:30,388 INFO  [19307] scorer: ": "2026-11-23 15:16:30,388",
    "2026-11-23 15:16:30,388 - scorer - INFO - ": "2026-11-23 15:16:30,388",
    "2026-11-23 15:16:30.388 | INFO     | app.scorer:load:12 - ": "2026-11-23 15:16:30.388",
    "2026-11-23T15:16:30.388Z INFO [main] com.example.Scorer - ": "2026-11-23T15:16:30.388Z",
    "2026-11-23T15:16:30.388+01:00  INFO 1 --- [main] c.e.Scorer : ": "2026-11-23T15:16:30.388+01:00",
    "[2026-11-23 15:16:30 +0000] [7] [INFO] ": "2026-11-23 15:16:30 +0000",
    "2026/11/23 15:16:30 ": "2026/11/23 15:16:30",
    "23 Nov 2026 15:16:30.388 INFO ": "23 Nov 2026 15:16:30.388",
    "[23/Nov/2026:15:16:30 +0000] INFO: ": "23/Nov/2026:15:16:30 +0000",
    "2026-11-23 15:16:30 UTC [info] ": "2026-11-23 15:16:30Z",
    "I1123 15:16:30.388000   10645 scorer.go:12] ": "1123 15:16:30.388000",
    "15:16:30.388 [main] INFO  com.example.Scorer - ": "15:16:30.388",
    "INFO:     ": None,
    "INFO:scorer:": None,
    "WARNING ": None,
    "[INFO] ": None,
    "<info> ": None,
    "": None,
}


@pytest.mark.parametrize("many", [1, 300])
@pytest.mark.parametrize("head", HEADS)
def test_the_head_of_a_line_is_its_time_and_no_part_of_its_message(head, many):
    found = heads.cut(pl.Series([head + LOADED] * many))
    assert found["time"].to_list() == [HEADS[head]] * many
    assert {message.removeprefix("scorer:") for message in found["message"]} == {LOADED}


@pytest.mark.parametrize("head", HEADS)
def test_a_line_with_a_head_is_claimed_and_read(tmp_path, head):
    (row,) = events(read_lines(tmp_path, head + LOADED)).to_dicts()
    assert (row["op"], row["model"], row["version"], row["cache"]) == ("load", "fraud", "v41", "model")


PIECE = st.sampled_from(
    [*HEADS, "[x] ", "INFO ", "a.b.C ", "name - ", "| ", "- ", "12 ", "[ModelCache] ", "lru: ", "--- "]
)
REST = st.sampled_from(
    [LOADED, "cache: hit", "x", "", "[open", "a - b", "hit 12 times", "Registry: x", "word.word word"]
)


@given(st.lists(st.tuples(st.lists(PIECE, max_size=4).map("".join), REST).map("".join), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_heads_are_the_same_alone_and_among_many_of_their_kind(lines):
    alone = pl.concat([heads.cut(pl.Series([line])) for line in lines])
    assert heads.cut(pl.Series(lines * 50)).equals(pl.concat([alone] * 50))


@pytest.mark.parametrize(
    ("head", "message", "cache"),
    [
        ("[ModelCache] ", "Miss for fraud version 3", "model"),
        ("com.example.LruCache - ", "hit for fraud version 3", "default"),
    ],
)
def test_a_logger_that_is_a_cache_says_what_was_hit(tmp_path, head, message, cache):
    (row,) = events(read_lines(tmp_path, f"2026-11-23 15:16:30 INFO {head}{message}")).to_dicts()
    assert (row["op"], row["cache"], row["model"], row["version"]) == ("lookup", cache, "fraud", "3")


def one(tmp_path, message):
    found = events(read_lines(tmp_path, f"2026-11-23 15:16:30,388 INFO scorer: {message}"))
    return found.row(0, named=True) if found.height else None


LINES = {
    "predict model=fraud version=v41 key=f3 cache=MISS 7.39ms": ("lookup", "miss", "fraud", "v41", 0.00739),
    "predict model=fraud version=v41 cache=HIT latency_ms=3": ("lookup", "hit", "fraud", "v41", 0.003),
    "cache hit model=fraud version=v42 key=a took 2 ms": ("lookup", "hit", "fraud", "v42", 0.002),
    "cache lookup for fraud version v42 result=stale": ("lookup", "stale", "fraud", "v42", None),
    "Model cache miss for fraud version v41, loading": ("lookup", "miss", "fraud", "v41", None),
    f"{LOADED} from s3://x/v41 in 1.5 seconds (sha 268941b8)": ("load", None, "fraud", "v41", 1.5),
    "Loading model fraud@v41": ("load_start", None, "fraud", "v41", None),
    "Failed to load model fraud version v42: no such file": ("load_fail", None, "fraud", "v42", None),
    "Evicted model fraud version v41 (LRU, 4/5 slots)": ("evict", None, "fraud", "v41", None),
    "Unloaded model 'fraud' version 41": ("unload", None, "fraud", "41", None),
    "Registry: fraud current version v9 -> v10 (deploy)": ("rollout", None, "fraud", "v10", None),
    "Rolled back fraud to v41": ("rollout", None, "fraud", "v41", None),
    "event=model_loaded model=fraud version=41 duration=1.5s": ("load", None, "fraud", "41", 1.5),
    "msg=cache_hit model=fraud version=41 time=12:00": ("lookup", "hit", "fraud", "41", None),
}


@pytest.mark.parametrize("message", LINES)
def test_what_a_sentence_says_is_read(tmp_path, message):
    row = one(tmp_path, message)
    assert row is not None
    assert tuple(row[n] for n in ("op", "outcome", "model", "version")) == LINES[message][:4]
    assert row["seconds"] == (None if LINES[message][4] is None else pytest.approx(LINES[message][4]))
    assert row["ts"] == datetime(2026, 11, 23, 15, 16, 30, 388000, tzinfo=UTC)


def test_reason_and_digest_are_read_out_of_sentences(tmp_path):
    assert one(tmp_path, "Failed to load model fraud version v42: no such file")["reason"] == "no such file"
    assert one(tmp_path, "Evicted model fraud version v41 (LRU, 4/5 slots)")["reason"] == "LRU, 4/5 slots"
    assert one(tmp_path, f"{LOADED} (sha 268941b8c6e9)")["digest"] == "268941b8c6e9"
    assert one(tmp_path, f"{LOADED} digest=abc reason=deploy")["digest"] == "abc"


@pytest.mark.parametrize(
    "message",
    [
        "Engine 000: Prefix cache hit rate: 32.2%", "cache hit ratio 96.8 %, hits=96.8% misses=3.2%", "12 hits, no more",
        "Ready, 5 models loaded", "Unknown model nosuch requested", "Config pins fraud=v41, registry ignored",
        "Loaded config version 5", "Loading checkpoint shards", "Connected to redis version 7.0.15", "GET /v1/models/fraud 200",
        "Loading model registry from disk", "cache miss ratio 5%", "Waiting for application startup.",
    ],
)  # fmt: skip
def test_figures_and_other_things_are_quiet(tmp_path, message):
    assert one(tmp_path, message) is None


@pytest.mark.parametrize(
    "line",
    [
        "19306:M 23 Nov 2026 15:16:28.692 # Configuration loaded", "Traceback (most recent call last):", "  at com.example.X",
        "127.0.0.1 - - [23/Nov/2026:15:13:01 +0000] \"GET / HTTP/1.1\" 200 3", "key=value other=value", '{"a": 1}',
        "2022-05-23T23:49:14Z I 153 model_lifecycle.cc:624] loading", "2026/11/23 15:13:00 [notice] 14562#14562: start",
        "2018-01-01 00:00:00.000000: I tensorflow_serving/core/loader_harness.cc:66] Approving load", "some words, no more",
    ],
)  # fmt: skip
def test_lines_of_other_kinds_are_not_claimed(line):
    assert not pl.DataFrame({"t": [line]}).select(text_kv.claim(pl.col("t"))).item()


PROSE = {
    "model 'org/llama-7b' unloaded": ("org/llama-7b", None),
    "Model version v41 of fraud loaded": ("fraud", "v41"),
    "Model fraud loaded (version v41)": ("fraud", "v41"),
    "Model: fraud, Version: 12": ("fraud", "12"),
    "Loading fraud:42": ("fraud", "42"),
    "loaded version abcdef1 of model fraud": ("fraud", "abcdef1"),
    "ready, version abc": (None, None),
    "cache miss for user 123": (None, None),
    "http://host:8080/x": (None, None),
}


@pytest.mark.parametrize("text", PROSE)
def test_only_what_names_a_model_beyond_doubt_is_taken(text):
    found = pl.DataFrame({"t": [text]}).select(m=prose.model(pl.col("t")), v=prose.version(pl.col("t")))
    assert found.row(0) == PROSE[text]


def test_of_two_versions_the_one_gone_to_is_taken():
    said = pl.DataFrame({"t": ["Switching fraud from v41 to v42", "fraud v41 → v42", "to the end"]})
    assert said.select(prose.to_version(pl.col("t"))).to_series().to_list() == ["v42", "v42", None]


TIME = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)).map(lambda t: t.isoformat(timespec="microseconds"))
LAYOUTS = (
    lambda t: t + "Z", lambda t: t[:19] + "Z", lambda t: t.replace("T", " ").replace(".", ",")[:23], lambda t: t + "+05:30",
    lambda t: t[:19] + " -0800", lambda t: t.replace("-", "/"), lambda t: t + "123Z", lambda t: t[:19] + ".5",
)  # fmt: skip


@given(
    st.lists(TIME, min_size=1, max_size=20),
    st.sampled_from(LAYOUTS),
    st.sampled_from(["UTC", "Europe/Berlin", "-03:00"]),
)
@settings(max_examples=60, deadline=None)
def test_arithmetic_on_digits_reads_times_as_the_parser_does(times, layout, zone):
    texts = pl.Series([layout(t) for t in times] * 260)
    newest = pl.Series([datetime(2026, 1, 1)]).new_from_index(0, len(texts))
    quick = instants(texts, newest, Zone(zone))
    parsed = pl.concat(
        [instants(texts.slice(i, 200), newest.slice(i, 200), Zone(zone)) for i in range(0, len(texts), 200)]
    )
    assert quick.equals(parsed)


@pytest.mark.parametrize("odd", ["2026-13-23T15:16:30Z", "2026-02-29T15:16:30Z", "2026-11-23T15:16:6xZ", "2026-1x-23T15:16:30Z",
                                 "2026-11-23T25:16:30Z", "2026-11-23T15:16:30+", "2026-11-23_15:16:30Z"])  # fmt: skip
def test_a_time_that_is_none_costs_only_itself(odd):
    texts = pl.Series(["2026-11-23T15:16:30Z"] * 400 + [odd])
    newest = pl.Series([datetime(2026, 1, 1)]).new_from_index(0, len(texts))
    found = instants(texts, newest, Zone())["ts"]
    assert found.null_count() == 1
    assert found[400] is None


def test_few_times_or_other_texts_are_left_to_the_parser():
    assert digits.read(pl.Series(["2026-11-23T15:16:30Z"] * 20)) == []
    assert digits.read(pl.Series(["no time at all here!"] * 400)) == []
    assert clock.SHAPES[0].pattern


ACCESS = '10.0.0.1 - - [23/Nov/2026:15:13:01 +0000] "{}" 200 77 "-" "{}" {}'
EDGES = {
    ACCESS.format("GET /v1/models/fraud:predict?key=a HTTP/1.1", "curl", "HIT"): ("hit", "fraud", None),
    ACCESS.format("GET /v1/models/fraud/versions/3:predict HTTP/1.1", "curl", "cs=EXPIRED rt=0.5"): ("miss", "fraud", "3"),
    ACCESS.format("GET /p?model=fraud&version=3 HTTP/1.1", "curl", 'cache="UPDATING"'): ("stale", "fraud", "3"),
    ACCESS.format("GET /predictions/fraud/1.0 HTTP/1.1", "model=x cache=HIT", "cache=MISS"): ("miss", "fraud", "1.0"),
    ACCESS.format("POST /v2/models/fraud/infer HTTP/1.1", "curl", 'ucs=BYPASS urt="0.101, 0.020 : 0.300"'): ("bypass", "fraud", None),
    ACCESS.format("GET /v1/models/fraud HTTP/1.1", "curl", "cache=-"): None,
    ACCESS.format("GET /logo.png HTTP/1.1", "curl", "cache=HIT"): None,
    ACCESS.format("GET /v1/models/fraud HTTP/1.1", "curl", "rt=0.1"): None,
    ACCESS.format("\\x16\\x03", "-", "cache=HIT"): None,
}  # fmt: skip


@pytest.mark.parametrize("line", EDGES)
def test_access_logs_say_what_the_edge_answered(tmp_path, line):
    found = events(read_lines(tmp_path, line)).select("outcome", "model", "version").rows()
    assert found == ([] if EDGES[line] is None else [EDGES[line]])


def test_times_of_several_upstreams_are_added(tmp_path):
    line = ACCESS.format("GET /v1/models/m HTTP/1.1", "curl", 'cache=MISS urt="0.101, 0.020 : 0.300"')
    assert events(read_lines(tmp_path, line))["seconds"].to_list() == [pytest.approx(0.421)]


def test_lines_of_the_error_log_are_quiet():
    lines = pl.DataFrame({"row": pl.Series([0], dtype=pl.UInt32), "text": [nginx.SAMPLES[-1]]})
    assert nginx.parse(lines).is_empty()
