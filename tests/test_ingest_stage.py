"""Reading as a whole: interrupted, shown, and what one line leaves to another."""

from __future__ import annotations

import json

import polars as pl
import pytest

from cachelog import rooms
from cachelog.contract.quoting import unescape
from cachelog.dialects import json_app
from cachelog.ingest import texts
from cachelog.ingest.discover import Source, discover
from cachelog.ingest.fieldmap import examined
from cachelog.ingest.stage import Asked, stage
from tests.reading import events, read_lines
from tests.wrapping import cri, docker_json

HIT = {"ts": "2026-11-20T12:00:00Z", "event": "cache_lookup", "result": "hit", "model": "m", "model_version": "1"}


def test_an_interrupt_gives_what_was_read_so_far(tmp_path):
    """Two units; the user interrupts while the second is read."""
    line = json.dumps(HIT | {"blob": "x" * 1000}) + "\n"
    (tmp_path / "a.log").write_text(line * 20_000)
    (tmp_path / "b.log").write_text(line * 20_000)

    def impatient(done, total):
        assert total == 40_000 * len(line)
        if done > total * 0.9:
            raise KeyboardInterrupt

    staged = stage([str(tmp_path)], rooms.dialects(), rooms.envelopes(), Asked(progress=impatient))
    assert staged.read.partial
    assert sum(i.lines for i in staged.inputs) <= 40_000
    assert staged.events.height == sum(i.events for i in staged.inputs)


def taken(tmp_path, *lines):
    (tmp_path / "a.log").write_text("".join(f"{line}\n" for line in lines))
    (source,) = discover([str(tmp_path / "a.log")])
    return dict(examined(source, rooms.envelopes(), rooms.dialects())[0])


JSON_NAMES = {"time": "ts", "event": "event", "outcome": "result", "model": "model", "version": "model_version"}


@pytest.mark.parametrize("wrap", [json.dumps, lambda h: cri(json.dumps(h)), lambda h: docker_json(json.dumps(h))])
def test_which_name_was_taken_for_which_field_is_shown(tmp_path, wrap):
    assert taken(tmp_path, wrap(HIT), "not json", '{"broken') == JSON_NAMES


def test_names_are_found_in_pairs_in_objects_and_in_messages(tmp_path):
    assert taken(tmp_path, "ts=1 model_name=m cache=hit") == {"time": "ts", "model": "model_name", "outcome": "cache"}
    assert taken(tmp_path, '{"labels": {"model": "m"}}') == {"model": "labels.model"}
    found = taken(tmp_path, json.dumps({"message": "predict model=m cache=HIT"}))
    assert found == {"message": "message", "model": "model", "outcome": "cache"}


def test_a_pipe_that_was_not_kept_has_no_names():
    assert examined(Source("-", pipe=True), rooms.envelopes(), rooms.dialects())[0] == {}


TRITON = [
    'I1123 15:09:56.579892 1 model_lifecycle.cc:472] "loading: fraud:41"',
    'I1123 15:09:56.679892 1 model_lifecycle.cc:472] "loading: fraud:42"',
    "E1123 15:09:56.700000 1 model_lifecycle.cc:596] \"failed to load 'fraud' version 42: no such file\"",
    "I1123 15:09:57.932261 1 model_lifecycle.cc:839] \"successfully loaded 'fraud'\"",
    "I1123 15:09:58.000000 1 model_lifecycle.cc:839] \"successfully loaded 'unknown'\"",
    "I1123 15:09:59.000000 1 model_lifecycle.cc:624] \"successfully unloaded 'fraud' version 41\"",
    "I1123 15:10:00.000000 1 x.cc:1] successfully loaded 'ns::a' version 1I1123 15:10:00.000001 1 x.cc:1] loading: b:2",
    "E1123 15:10:01.000000 1 x.cc:1] failed to load 'c' version -1: at least one version must be available",
    "E1123 15:10:02.000000 1 x.cc:1] Poll failed for model directory 'd': unexpected platform",
    "I1123 15:10:03.000000 1 model_lifecycle.cc:849] \"failed to load 'd'\"",
    "I1123 15:10:04.000000 1 pinned_memory_manager.cc:275] \"Pinned memory pool is created at '0x7f' with size 268435456\"",
]


def test_the_versions_of_triton_loads_are_those_that_it_began_to_load(tmp_path):
    found = events(read_lines(tmp_path, *TRITON, name="triton-0.log"))
    assert found.select("op", "model", "version").rows() == [
        ("load_start", "fraud", "41"), ("load_start", "fraud", "42"), ("load_fail", "fraud", "42"), ("load", "fraud", "41"),
        ("load", "unknown", None), ("unload", "fraud", "41"), ("load", "ns::a", "1"), ("load_start", "b", "2"),
        ("load_fail", "c", None), ("load_fail", "d", None), ("restart", None, None),
    ]  # fmt: skip
    assert set(found["replica"]) == {"triton-0"}
    assert set(found["cache"]) == {"model", "default"}


def test_the_json_dialect_reads_texts_as_the_scanner_reads_bytes():
    lines = pl.DataFrame({"row": pl.Series([3, 5], dtype=pl.UInt32), "text": [json.dumps(HIT), "{broken"]})
    found = json_app.parse(lines)
    assert found.select("row", "model", "outcome").rows() == [(3, "m", "hit")]


def test_texts_become_lines_whatever_is_in_them():
    assert texts.joined(pl.Series(["a\nb", "c"])) == b"a b\nc\n"
    assert texts.joined(pl.Series([], dtype=pl.String)) == b""


@pytest.mark.parametrize(
    ("inner", "plain"),
    [(r"a\"b", 'a"b'), (r"a\\nb", r"a\nb"), (r"\u00e9\ud83d\ude00", "é😀"), (r"\q", r"\q"), (r"\t\/\b", "\t/\b"), (r"\ud800x", "�x")],
)  # fmt: skip
def test_escapes_in_quotes_are_decoded(inner, plain):
    assert unescape(pl.Series([inner, "plain"])).to_list() == [plain, "plain"]
