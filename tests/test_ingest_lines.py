"""Bytes to lines: every way a file can be broken costs only what is broken."""

from __future__ import annotations

import gzip
import os
import random
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.contract.errors import UsageError
from cachelog.contract.limits import DEFAULT
from cachelog.ingest.cite import cite
from cachelog.ingest.discover import Source, discover, stem
from cachelog.ingest.lines import OVERLONG, ReadLog, units
from cachelog.ingest.opened import drop_spool, open_spool
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


def test_a_damaged_gzip_gives_what_it_holds_and_says_so(tmp_path):
    packed = bytearray(gzip.compress(b"".join(b"%d\n" % (i * i) for i in range(50_000))))
    path = tmp_path / "a.gz"
    for at in (len(packed) // 2, len(packed) - 6):  # within, and in the checksum
        path.write_bytes(packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :])
        data, _, log = rows(path)
        assert data.startswith(b"0\n1\n4\n")
        assert "ended early" in log.notes[0]


def test_a_truncated_zstd_gives_what_it_holds_and_says_so(tmp_path):
    body = random.Random(1).randbytes(400_000).hex().encode().replace(b"0", b"\n")
    path = tmp_path / "a.zst"
    path.write_bytes(zstandard.compress(body)[:-5000])
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
    body = b"\n".join([b"no compressed file begins like this", *lines])
    path.write_bytes(body)
    (books,) = read(path).inputs
    assert books.lines == books.events + books.quiet + books.joined + books.unclaimed + books.bad
    assert books.lines == body.count(b"\n") + (not body.endswith(b"\n"))


def test_a_pipe_is_kept_so_that_its_lines_can_be_cited(tmp_path):
    """Process substitution, <(kubectl logs ...), is such a pipe: it cannot be opened twice."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("one\ntwo\nthree\n"))
    writer.start()
    (source,) = discover([str(pipe)])
    spool = open_spool()
    try:
        assert [u.rows for u in units([source], ReadLog(), spool=spool)] == [3]
        assert cite(source, [2], 0, spool) == {2: "two"}
        assert cite(source, [2]) == {}
    finally:
        writer.join()
        drop_spool(spool)
    assert not Path(spool).exists()


def test_standard_input_is_read_under_its_name(tmp_path, monkeypatch):
    (tmp_path / "in").write_bytes(HIT.encode() + b"\n")
    with (tmp_path / "in").open("rb") as handle:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=handle))
        staged = read("-")
    assert [(i.path, i.events) for i in staged.inputs] == [("-", 1)]


def test_a_pipe_inside_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.log").write_text(HIT + "\n")
    assert [(i.lines, i.note) for i in read(tmp_path).inputs] == [(1, None), (0, "not read: not a regular file")]


def test_a_file_that_vanishes_or_is_forbidden_is_said(tmp_path):
    (tmp_path / "gone.log").write_text(HIT + "\n")
    (tmp_path / "b.log").write_text(HIT + "\n")
    (tmp_path / "dangling.log").symlink_to(tmp_path / "nowhere")
    sources = discover([str(tmp_path)])
    (tmp_path / "gone.log").unlink()
    log = ReadLog()
    assert sum(u.rows for u in units(sources, log)) == 1
    assert log.notes == {2: "ended early: No such file or directory"}
    assert [s.note for s in sources] == [None, "not read: No such file or directory", None]


def test_a_folder_that_cannot_be_listed_is_said(tmp_path, monkeypatch):
    def forbidden(top, onerror):
        onerror(PermissionError(13, "Permission denied", str(top)))
        return iter(())

    monkeypatch.setattr("os.walk", forbidden)
    (source,) = discover([str(tmp_path)])
    assert (source.path, source.note) == (str(tmp_path), "not read: Permission denied")


def test_globs_name_files_and_folders(tmp_path):
    for name in ("a.log", "b.txt", "c/d.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n")
    found = discover([str(tmp_path / "*.log"), str(tmp_path / "c*")])
    assert [s.path for s in found] == [str(tmp_path / "a.log"), str(tmp_path / "c" / "d.log")]


def test_an_empty_file_is_an_input_without_lines(tmp_path):
    (tmp_path / "a.log").write_bytes(b"")
    assert [(i.lines, i.note) for i in read(tmp_path).inputs] == [(0, None)]


@pytest.mark.parametrize("body", [b"\x1f\x8bgarbage", b"\x28\xb5\x2f\xfdgarbage"])
def test_what_only_begins_like_a_compressed_file_is_said(tmp_path, body):
    (tmp_path / "a.gz").write_bytes(body)
    (books,) = read(tmp_path).inputs
    assert books.note.startswith("ended early: ")


def test_a_bomb_of_brackets_costs_one_line(tmp_path):
    deep = b'{"a":' + b"[" * 2_000_000
    (books,) = read_lines(tmp_path, deep, b'{"a":' * 500_000, HIT, b"[" * 2_000_000).inputs
    assert (books.events, books.bad, books.unclaimed) == (1, 2, 1)


def test_random_bytes_are_counted_and_never_fatal(tmp_path):
    body = random.Random(5).randbytes(300_000)
    (tmp_path / "a.log").write_bytes(body + b"\n" + HIT.encode() + b"\n")
    (books,) = read(tmp_path).inputs
    assert books.events == 1
    assert books.lines == books.events + books.quiet + books.joined + books.unclaimed + books.bad
    assert books.bad > 1000


def test_thousands_of_tiny_files_are_read_in_a_moment(tmp_path):
    for i in range(2000):
        (tmp_path / f"pod-{i}.log").write_text(HIT.replace('"p"', f'"p{i % 7}"') + "\n")
    started = time.perf_counter()
    staged = read(tmp_path)
    assert time.perf_counter() - started < 5
    assert staged.events.height == 2000
    assert staged.events["source"].n_unique() == 2000


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_line_is_cited_by_where_its_block_begins_as_by_reading_all(tmp_path, start, end):
    path = tmp_path / "a.log"
    path.write_bytes(start + b"\n".join(b"line %d" % i for i in range(1, 301)) + end)
    log, source = ReadLog(), Source(str(path))
    list(units([source], log, limits=replace(DEFAULT, block_bytes=200)))
    marks = log.marks[0]
    assert len(marks) > 10
    wanted = [1, 2, 150, 299, 300]
    assert cite(source, wanted, marks=marks) == cite(source, wanted) == {n: f"line {n}" for n in wanted}
    path.write_bytes(b"grown\n" + path.read_bytes())
    assert cite(source, [1, 2], marks=marks)[1] == "grown"


def test_no_offsets_are_kept_where_a_line_was_given_up(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n" + b"x" * 5000 + b"\nthree\n")
    log, source = ReadLog(), Source(str(path))
    list(units([source], log, limits=replace(DEFAULT, block_bytes=100, line_bytes=1000)))
    assert log.marks[0] == []
    assert cite(source, [3], marks=log.marks[0]) == {3: "three"}
