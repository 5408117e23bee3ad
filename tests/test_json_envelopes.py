"""Envelopes that are JSON: nothing is lost in them, whatever they are around, and nothing is taken for one that is none."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest

from cachelog import rooms
from tests import wrapping_json as wraps
from tests.reading import events, read_apart, read_lines
from tests.test_laws_ingest import LOCUS, SAMPLES
from tests.wrapping import POD, WRAPPERS
from tests.wrapping_json import JSON_WRAPPERS

#: Of what begins with blanks some envelopes of text keep none.
LINES = [sample for _, sample in SAMPLES if sample == sample.lstrip()]
#: Objects of APIs, which are dumps of their own, are in one envelope at most.
_NAMES = sorted(n for n in {name for name, _ in SAMPLES} if not hasattr(rooms.dialects()[n], "LAYOUTS"))
#: Whole dialects, for some lines say something only beside others of theirs.
THIRDS = [[s for n, s in SAMPLES if n in _NAMES[k::3] and s == s.lstrip()] for k in range(3)]
WRAPS = [(name, wrap) for name, found in JSON_WRAPPERS.items() for wrap in found]
by_wrap = pytest.mark.parametrize(("name", "wrap"), WRAPS, ids=[wrap.__name__ for _, wrap in WRAPS])
HIT = json.dumps({"event": "cache_lookup", "result": "hit", "model": "m", "version": "1", "key": "a b"})
MISS = "2026-11-23 15:16:29,500 INFO scorer: predict model=m version=1 key=k cache=MISS 1.5ms"


def books(staged):
    (found,) = staged.inputs
    return found.events, found.quiet, found.joined, found.unclaimed, found.bad


def told(found):
    """Return what events say, without that of figures: those of counters become lookups only where there are times.

    Figures of an interval name no model, and an envelope that names the replica tells whose they are.
    """
    figures = (pl.col("op") == "sample") | pl.col("reason").is_in(["counter", "interval"]).fill_null(False)
    return found.filter(~figures).sort("line", "version", "model", "outcome", "seconds").drop(LOCUS)


@by_wrap
def test_what_an_envelope_is_around_stays_what_it_is_two_deep(tmp_path, name, wrap):
    """All samples alone, and those of a third of the dialects in a file for each combination with another envelope."""
    shift = WRAPS.index((name, wrap))
    # of two that are JSON one is inside in half of all pairs, the other in the other half
    turns = [other for at, (_, other) in enumerate(WRAPS) if at != shift and (at < shift) == ((at + shift) % 2 > 0)]
    others = [*WRAPPERS.values(), *turns][shift % 3 :: 3]
    _same(tmp_path / "alone", LINES, name, wrap, [str])
    for which, third in enumerate(THIRDS):
        _same(tmp_path / str(which), third, name, wrap, others[which::3])


@cache
def _bare(lines):
    with TemporaryDirectory() as folder:
        return told(events(read_lines(Path(folder), *lines)))


def _same(folder, lines, name, wrap, others):
    """Assert that lines in both envelopes, a file for each other one, say what they say bare."""
    folder.mkdir()
    bare = _bare(tuple(lines))
    for place, other in enumerate(others):
        (folder / f"{place}.log").write_text("".join(f"{wrap(other(line))}\n" for line in lines))
    staged = read_apart(folder)
    assert len(staged.inputs) == len(others)
    for source, found in enumerate(staged.inputs):
        assert told(events(staged).filter(pl.col("source") == source)).equals(bare), found.path
        assert name in found.envelope.split("+"), found.path
        assert (found.lines, found.bad) == (len(lines), 0), found.path


@by_wrap
def test_the_envelope_tells_time_and_pod_where_the_line_does_not(tmp_path, name, wrap):
    found = events(read_lines(tmp_path, wrap(HIT))).row(0, named=True)
    timed = wrap not in (wraps.stern_json, wraps.stern_extjson)
    assert (found["ts"] is not None) == timed
    assert not timed or found["ts"].strftime("%F %T") == "2026-11-23 15:16:30"
    assert found["replica"] == ("app" if wrap is wraps.otlp_attributes else POD)


@pytest.mark.parametrize("many", [wraps.cloudwatch_events, wraps.otlp_records])
def test_a_line_of_many_records_is_one_line_with_all_their_events(tmp_path, many):
    staged = read_lines(tmp_path, MISS, many([HIT, "nothing", MISS, HIT]), MISS)
    found = events(staged)
    assert found["line"].to_list() == [1, 2, 2, 2, 3]
    assert sorted(found["outcome"][1:4]) == ["hit", "hit", "miss"]
    assert books(staged) == (3, 0, 0, 0, 0)


def test_records_in_records_keep_what_is_around_both(tmp_path):
    inner = wraps.otlp_attributes(HIT)
    staged = read_lines(tmp_path, wraps.cloudwatch_events([inner, wraps.otlp_records([HIT, HIT]), "x"]))
    assert events(staged)["replica"].to_list() == [POD] * 3
    assert books(staged) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (wraps.cloudwatch_events([]), (0, 1, 0, 0, 0)),
        (wraps.cloudwatch_events(["free words"]), (0, 0, 0, 1, 0)),
        (wraps.cloudwatch_events(["free words", "", "{"]), (0, 0, 0, 0, 1)),
        (wraps.cloudwatch_events([HIT, "{"]), (1, 0, 0, 0, 0)),
        (wraps.cloudwatch_events([HIT]).replace('"events": [', '"events": [1, null, "x", '), (1, 0, 0, 0, 0)),
        ('{"events":[{"timestamp":1,"ingestionTime":1,"message":5}]}', (0, 0, 0, 0, 1)),
        ('{"events":[{"timestamp":1,"ingestionTime":1,"message":["x"]}]}', (0, 0, 0, 0, 1)),
        ('{"insertId":"0","timestamp":"2026-11-23T15:16:30Z","protoPayload":{"a":1}}', (0, 1, 0, 0, 0)),
        ('{"insertId":"0","timestamp":"2026-11-23T15:16:30Z","jsonPayload":7}', (0, 0, 0, 0, 1)),
        ('{"__REALTIME_TIMESTAMP":"1","MESSAGE":[255,255]}', (0, 0, 0, 0, 1)),
        ('{"__REALTIME_TIMESTAMP":"1","MESSAGE":[300]}', (0, 0, 0, 0, 1)),
        ('{"__REALTIME_TIMESTAMP":"1","_BOOT_ID":"1","MESSAGE":null}', (0, 1, 0, 0, 0)),
        (wraps.cloudwatch_events([HIT])[:-3], (0, 0, 0, 0, 1)),
        ('{"index":{"_index":"logs"}}', (0, 1, 0, 0, 0)),
        (f"[{HIT},{HIT}]", (1, 0, 0, 0, 0)),
        (f"[{HIT},7]", (1, 0, 0, 0, 0)),
        ("[{main}] INFO started", (0, 0, 0, 1, 0)),
    ],
)
def test_what_is_wrong_or_empty_in_a_line_is_told(tmp_path, line, expected):
    assert books(read_lines(tmp_path, line)) == expected


@pytest.mark.parametrize(
    "found",
    [
        {"log": "a", "stream": "stdout", "time": "2026-11-23T15:16:30Z", "model": "m", "cache": "hit"},
        {"message": "INFO x", "kubernetes": {"pod_name": "p"}, "event": "cache_hit", "model": "m"},
        {
            "@timestamp": "2026-11-23T15:16:30Z",
            "ecs.version": "1",
            "message": "cache hit for model m",
            "labels": {"model": "m"},
        },
        {"_msg": "a", "_time": "2026-11-23T15:16:30Z", "model": "m", "cache_hit": True},
        {"events": [{"message": "b"}], "event": "cache_hit", "model": "m"},
        {"records": [{"a": 1}], "event": "cache_hit", "model": "m"},
        {"data": [{"message": "b"}], "event": "cache_hit", "model": "m"},
    ],
)
def test_an_application_that_writes_the_same_keys_is_read_by_its_own(tmp_path, found):
    staged = read_lines(tmp_path, json.dumps(found))
    assert events(staged).select("op", "outcome", "model").rows() == [("lookup", "hit", "m")]
    assert staged.inputs[0].envelope is None


LOOSE = (wraps.ecs, wraps.elasticsearch, wraps.fluent, wraps.stern_json, wraps.vector, wraps.victorialogs)


@pytest.mark.parametrize("wrap", LOOSE, ids=lambda wrap: wrap.__name__)
def test_where_no_dialect_reads_the_text_the_object_around_it_is_read(tmp_path, wrap):
    assert books(read_lines(tmp_path, wrap("free words"))) == (0, 1, 0, 0, 0)
