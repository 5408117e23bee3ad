"""Bytes to lines: every way a file can be broken costs only what is broken."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.contract.errors import UsageError
from cachelog.contract.limits import DEFAULT
from cachelog.ingest.discover import Source, discover, stem
from cachelog.ingest.lines import OVERLONG, ReadLog, cite, units
from tests.reading import read, read_lines

HIT = '{"ts":"2026-11-20T12:00:00Z","event":"cache_lookup","result":"hit","model":"m","version":"1","pod":"p"}'


def rows(path, **limits):
    log = ReadLog()
    found = list(units([Source(str(path))], log, limits=replace(DEFAULT, **limits)))
    return b"".join(u.data for u in found), found, log


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b), max_size=60), st.booleans())
@settings(max_examples=60, deadline=None)
def test_blocks_hold_every_line_once_whatever_their_size(tmp_path_factory, lines, newline_at_end):
    path = tmp_path_factory.mktemp("cut") / "a.log"
    body = b"\n".join(lines) + (b"\n" if newline_at_end and lines else b"")
    path.write_bytes(b"x" + body)
    data, found, _ = rows(path, block_bytes=16, line_bytes=1000)
    expected = b"x" + body
    assert data == (expected if expected.endswith(b"\n") else expected + b"\n")
    numbers = [n for unit in found for n in unit.lines().tolist()]
    assert numbers == list(range(1, data.count(b"\n") + 1))


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstandard.compress, lambda b: gzip.compress(b[:50]) + gzip.compress(b[50:])]
)
def test_compressed_input_reads_like_plain(tmp_path, pack):
    body = b"".join(b"line %d\n" % i for i in range(1000))
    path = tmp_path / "a.log.x"
    path.write_bytes(pack(body))
    data, _, log = rows(path)
    assert data == body
    assert log.bytes == {0: len(body)}


def test_zstd_with_several_frames_reads_to_the_end(tmp_path):
    path = tmp_path / "a.zst"
    path.write_bytes(zstandard.compress(b"a\n") + zstandard.compress(b"b\n"))
    assert rows(path)[0] == b"a\nb\n"


def test_a_truncated_gzip_gives_what_it_holds_and_says_so(tmp_path):
    body = random.Random(1).randbytes(200_000).hex().encode().replace(b"0", b"\n")
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(body)[:-5000])
    data, _, log = rows(path)
    assert body.startswith(data[:-1])
    assert len(data) > len(body) // 2
    assert "ended early" in log.notes[0]


def test_an_overlong_line_is_one_bad_line_and_the_next_is_read(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n" + b"x" * 5000 + b"\nthree\n")
    data, found, _ = rows(path, block_bytes=512, line_bytes=1000)
    # chunks are larger than this file; a line is only given up when it outgrows what is held
    assert data.startswith(b"one\n")
    assert data.endswith(b"three\n")
    assert sum(u.rows for u in found) == 3


def test_a_hundred_megabytes_of_one_line_do_not_fill_memory(tmp_path):
    path = tmp_path / "big.log"
    with path.open("wb") as out:
        for _ in range(100):
            out.write(b"y" * (1 << 20))
        out.write(b"\n" + HIT.encode() + b"\n")
    data, _, log = rows(path)
    assert data == OVERLONG + b"\n" + HIT.encode() + b"\n"
    assert log.bytes[0] > 100 << 20


def test_small_files_share_a_unit_and_keep_their_line_numbers(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.log").write_bytes(b"a\nb" if i % 2 else b"a\nb\n")
    found = list(units(discover([str(tmp_path)]), ReadLog()))
    assert len(found) == 1
    assert found[0].lines().tolist() == [1, 2] * 5
    assert found[0].sources().tolist() == [i for i in range(5) for _ in range(2)]


def test_a_cited_line_is_read_again_with_its_context(tmp_path):
    path = tmp_path / "a.log.gz"
    path.write_bytes(gzip.compress(b"".join(b"line %d\xff\n" % i for i in range(1, 101))))
    assert cite(Source(str(path)), [50], 1) == {n: f"line {n}\\xff" for n in (49, 50, 51)}


def test_a_missing_path_is_bad_usage():
    with pytest.raises(UsageError, match="no such file"):
        discover(["/does/not/exist"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pod-1.log", "pod-1"),
        ("pod-1.log.2.gz", "pod-1"),
        ("0.log.20261123-151733.gz", "0"),
        ("x", "x"),
        (".log", ".log"),
    ],
)
def test_endings_of_logs_rotation_and_compression_are_no_part_of_a_name(name, expected):
    assert stem(f"/var/{name}") == expected


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path):
    for edge in ("edge-a", "edge-b"):
        (tmp_path / edge / "logs").mkdir(parents=True)
        (tmp_path / edge / "logs" / "access.log").write_text("x\n")
    (tmp_path / "other.log").write_text("x\n")
    assert [s.fallback for s in discover([str(tmp_path)])] == ["edge-a", "edge-b", "other"]


def test_a_file_reached_twice_is_read_once(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("x\n")
    (tmp_path / "b.log").symlink_to(path)
    assert [s.path for s in discover([str(path), str(tmp_path)])] == [str(path)]


DAMAGE = {
    "invalid utf-8": (HIT.encode().replace(b'"p"', b'"\xff"'), "bad"),
    "not json after all": (b'{"event":"cache_lookup","result":', "bad"),
    "nul padding": (b"\0" * 100 + HIT.encode(), "events"),
    "carriage return": (HIT.encode() + b"\r", "events"),
    "byte order mark": (b"\xef\xbb\xbf" + HIT.encode(), "events"),
    "colour": (b"\x1b[32m" + HIT.encode() + b"\x1b[0m", "events"),
    "two objects on one line": (HIT.encode() * 2, "bad"),
    "blank": (b"   ", "quiet"),
    "free text": (b"Traceback (most recent call last):", "unclaimed"),
    "several megabytes": (HIT.encode()[:-1] + b',"blob":"' + b"x" * 3_000_000 + b'"}', "events"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_costs_only_its_own_line(tmp_path, name):
    line, state = DAMAGE[name]
    expected = {"events": 0, "quiet": 0, "joined": 0, "unclaimed": 0, "bad": 0}
    staged = read_lines(tmp_path, line, HIT, HIT)
    expected["events"] += 2
    expected[state] += 1
    (books,) = staged.inputs
    assert {k: getattr(books, k) for k in expected} == expected
    assert books.lines == 3


def test_a_truncated_last_line_is_counted_bad(tmp_path):
    (tmp_path / "a.log").write_bytes(HIT.encode() + b"\n" + HIT.encode()[:40])
    (books,) = read(tmp_path).inputs
    assert (books.events, books.bad, books.lines) == (1, 1, 2)


@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.sampled_from([line for line, _ in DAMAGE.values() if len(line) < 500])),
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_every_line_read_is_accounted_for(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("books") / "a.log"
    path.write_bytes(b"\n".join(lines))
    (books,) = read(path).inputs
    assert books.lines == books.events + books.quiet + books.joined + books.unclaimed + books.bad
    body = b"\n".join(lines)
    assert books.lines == body.count(b"\n") + (not body.endswith(b"\n") and body != b"")
