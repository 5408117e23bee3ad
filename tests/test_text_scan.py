"""Dialects with native readers: these, and the dialect's own claim and parse, say the same of any line."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import rooms
from cachelog.contract import jsonlines
from cachelog.dialects import logfmt, nginx
from cachelog.ingest import sorting, text_scan
from cachelog.ingest.claim import _checked
from cachelog.ingest.said import Said, grouped
from tests.scanning import COLUMNS, flat
from tests.text_corpus import Writer

pytestmark = pytest.mark.skipif(sorting.NATIVE is None, reason="the native readers are not built")

WRITERS = {logfmt.NAME: Writer.line, nginx.NAME: Writer.access}
DIALECTS = {logfmt.NAME: logfmt, nginx.NAME: nginx}
by_dialect = pytest.mark.parametrize("name", DIALECTS)


def defined(dialect, frame):
    """Return the rows claimed and what they say, by definition."""
    claimed = frame.filter(pl.col("text").pipe(dialect.claim).fill_null(False))
    if claimed.is_empty():
        return set(), None
    parsed = _checked(dialect.parse(claimed))
    if "ms" in parsed.columns:
        parsed = parsed.with_columns(jsonlines.double(pl.col("ms")))
    return set(claimed["row"]), flat(grouped(parsed))


def scanned(dialect, data):
    """Return the same by the native reader, the definition reading what that leaves."""
    found = sorting.Sorter(DIALECTS, {}).block(data, None)
    said, rows = found.scanned(dialect) or (
        Said(pl.DataFrame({"row": [], "said": []}, schema_overrides={"row": pl.UInt32}), pl.DataFrame()),
        [],
    )
    left, more = defined(dialect, found.asked(dialect))
    parts = [part for part in (flat(said) if said.rows.height else None, more) if part is not None]
    return {*rows, *left}, pl.concat(parts).sort("row") if parts else None, len(rows)


def check(dialect, lines):
    lines = [line.replace("\n", " ").rstrip(" \t\r") for line in lines]
    lines = ["-" if not line or line.lstrip(" \t").startswith("{") else line for line in lines]
    frame = pl.DataFrame({"row": range(len(lines)), "text": lines}, schema_overrides={"row": pl.UInt32})
    rows, said = defined(dialect, frame)
    mine, read, sure = scanned(dialect, "".join(line + "\n" for line in lines).encode())
    assert [lines[i] for i in sorted(rows ^ mine)] == []
    if said is None or read is None:
        assert said is None or said.is_empty()
        assert read is None or read.is_empty()
        return sure
    assert [lines[i] for i in sorted({*said["row"]} ^ {*read["row"]})] == []
    for name in COLUMNS[1:]:
        different = said[name].ne_missing(read[name])
        assert not different.any(), (
            name,
            lines[said["row"].filter(different)[0]],
            said[name].filter(different)[0],
            read[name].filter(different)[0],
        )
    return sure


@by_dialect
@pytest.mark.parametrize("seed", range(12))
def test_lines_of_every_kind_mean_the_same(name, seed):
    writer = Writer(seed)
    lines = [WRITERS[name](writer) for _ in range(400)]
    assert check(DIALECTS[name], lines) > 30


@by_dialect
def test_each_line_alone_means_what_it_means_among_others(name):
    writer = Writer(77)
    for _ in range(150):
        check(DIALECTS[name], [WRITERS[name](writer)])


@by_dialect
@given(st.integers(0, 10**6), st.integers(0, 300), st.text("ab=\"'\\ \t,)[]{-.:/?HIT0é", max_size=4))
@settings(max_examples=150, deadline=None)
def test_what_is_put_anywhere_into_a_line_means_the_same(name, seed, at, put):
    line = WRITERS[name](Writer(seed))
    at %= len(line) + 1
    check(DIALECTS[name], [line[:at] + put + line[at:], line[:at] + put + line[at + len(put) :]])


@by_dialect
def test_samples_are_read_natively(name):
    lines = [line for line in DIALECTS[name].SAMPLES if "[notice]" not in line]
    assert check(DIALECTS[name], lines) >= len(lines) - 1


def test_the_reader_refuses_what_it_cannot_do():
    make = sorting.NATIVE.Reader
    lines = sorting.NATIVE.Sorter([(False, [], [], "")]).block(b"a=1 b=2\n", None)
    for wrong in (
        lambda: make("x", [], [], []), lambda: make("logfmt", [("a", "colour", [])], [], []), lambda: make("access", [], [], []), lambda: make("logfmt", "x", [], []),
        lambda: make.__new__(make).read(lines, b""), lambda: make("logfmt", [], [], []).read("x", b""), lambda: make("logfmt", [], [1], []),
        lambda: make("logfmt", [], [], []).read(lines, b"\1\0\0\0"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, IndexError, RuntimeError, SystemError)):
            wrong()


def test_every_reader_is_of_a_dialect():
    assert set(text_scan.READERS) <= set(rooms.dialects())
