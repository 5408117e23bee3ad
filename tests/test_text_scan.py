"""Dialects with native readers: these, and the dialect's own claim and parse, say the same of any line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import rooms
from cachelog.ingest import sorting, text_scan
from tests.text_corpus import Writer
from tests.text_reading import DIALECTS, WRITERS, check

pytestmark = pytest.mark.skipif(sorting.NATIVE is None, reason="the native readers are not built")

by_dialect = pytest.mark.parametrize("name", DIALECTS)


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
    """Those of the common form: a time in brackets right before the request."""
    usual = [line for line in DIALECTS[name].SAMPLES if name != "nginx" or ('] "GET ' in line and "HIT-" not in line)]
    assert check(DIALECTS[name], usual) >= len(usual) - 1


def test_the_reader_refuses_what_it_cannot_do():
    make = sorting.NATIVE.Reader
    lines = sorting.NATIVE.Sorter([(False, [], [], "")]).block(b"a=1 b=2\n", None)
    for wrong in (
        lambda: make("x", [], [[], [], []]), lambda: make("logfmt", [("a", "colour", [])], [[], [], []]), lambda: make("access", [], [[], [], []]), lambda: make("logfmt", "x", [[], [], []]),
        lambda: make.__new__(make).read(lines, b""), lambda: make("logfmt", [], [[], [], []]).read("x", b""), lambda: make("logfmt", [], [[1], [], []]),
        lambda: make("logfmt", [], [[], [], []]).read(lines, b"\1\0\0\0"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, IndexError, RuntimeError, SystemError)):
            wrong()


def test_every_reader_is_of_a_dialect():
    assert set(text_scan.READERS) <= set(rooms.dialects())
