"""Which lines a dialect is asked about: never fewer than it would claim, with either engine."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cachelog import rooms
from cachelog.ingest import json_scan, sorting
from tests.reading import events, read
from tests.test_scan import block

pytestmark = pytest.mark.skipif(sorting.NATIVE is None, reason="the native sorter is not built")

SAMPLES = [
    (module, line)
    for room in (rooms.dialects(), rooms.envelopes())
    for module in room.values()
    for line in module.SAMPLES
]


def sorted_by(modules, lines):
    return sorting.NATIVE.Sorter(modules).block(block(line.encode() for line in lines), None)


def numbers(data):
    return np.frombuffer(data, np.uint32).tolist()


TEXT_DIALECTS = {name: module for name, module in rooms.dialects().items() if hasattr(module, "claim")}


@pytest.mark.parametrize("module", TEXT_DIALECTS.values(), ids=TEXT_DIALECTS)
def test_a_dialect_is_asked_about_all_that_it_claims_and_never_about_what_it_surely_does_not(module):
    lines = [line for _, line in SAMPLES if not line.lstrip().startswith("{")]
    text = pl.Series("text", lines)
    claims = text.to_frame().select(module.claim(pl.col("text"))).to_series()
    found = sorted_by([(False, *sorting._told(module))], lines)
    asked, quiet = numbers(found.asked(0)), numbers(found.quiet(0))
    assert set(claims.arg_true()) <= {*asked, *quiet}
    assert set(quiet) <= set(claims.arg_true())
    frame = pl.DataFrame({"row": pl.Series(quiet, dtype=pl.UInt32), "text": [lines[i] for i in quiet]})
    assert frame.is_empty() or module.parse(frame).is_empty()
    strings = sorting.Strings(
        pl.DataFrame({"row": range(len(lines)), "text": lines}, schema_overrides={"row": pl.UInt32})
    )
    assert set(claims.arg_true()) <= set(strings.asked(module)["row"])


TEXT_ENVELOPES = {name: module for name, module in rooms.envelopes().items() if hasattr(module, "claim")}


@pytest.mark.parametrize("module", TEXT_ENVELOPES.values(), ids=TEXT_ENVELOPES)
def test_lines_that_an_envelope_claims_are_odd(module):
    lines = [line for _, line in SAMPLES]
    claims = pl.Series("text", lines).to_frame().select(module.claim(pl.col("text"))).to_series()
    odd = pl.DataFrame(sorted_by([(True, *sorting._told(module))], lines).odd())
    assert set(claims.arg_true()) <= set(odd["row"])


EXPRESSIONS = (
    "^ab*c", "a|bc|", "(?:a|b){2,3}c", "[^a]{2}$", "a+?b$", r"\d+[a-c-]?$", "(?s).c", "^(?:a$|b)c?", r"[\]a]\|", "a{3}", "(?:ab?){0,2}c", "^a|^b",
)  # fmt: skip


@given(st.text("abc1-]| \t", max_size=8).filter(lambda t: t.strip(" \t")))
@settings(max_examples=300, deadline=None)
def test_a_shape_means_what_the_expression_means(text):
    for expression in EXPRESSIONS:
        found = sorted_by([(False, [], ["\x01"], expression)], [text])
        bare = text.rstrip(" \t")
        assert bool(numbers(found.quiet(0))) == bool(re.match(expression, bare)), expression
        assert not numbers(found.asked(0))


@pytest.mark.parametrize(
    "wrong", ["(", "a)", "[a", "*", "a{2", "a{3,1}", "(?i)a", r"\p", "(?=a)", "a{2000}", "[b-a]", r"\b", "[^\\s\\S]"]
)
def test_expressions_that_are_not_understood_are_refused(wrong):
    with pytest.raises(ValueError):
        sorting.NATIVE.Sorter([(False, [], [], wrong)])


_PIECES = st.lists(
    st.sampled_from(["load", "loaded '", "ed", "=", " ", "x", "miss", "cache", "ca", "é"]), min_size=1, max_size=9
)


@given(
    st.lists(_PIECES.map("".join).filter(lambda t: t.strip()), min_size=1, max_size=6),
    st.lists(_PIECES.map(lambda p: "".join(p)[:9]), min_size=1, max_size=5),
)
@example(["xload"], ["load"])
@settings(max_examples=200, deadline=None)
def test_hints_are_found_wherever_they_stand(lines, hints):
    found = sorted_by([(False, [hint], [], "") for hint in hints], lines)
    for number, hint in enumerate(hints):
        assert numbers(found.asked(number)) == [i for i, line in enumerate(lines) if hint in line.rstrip(" \t\r")]


def test_lines_are_sorted_as_they_are():
    raw = [
        b"",
        b" \t\r",
        b"a \t\r\r",
        b"\xff",
        "é".encode(),
        b"\x1b[1mx",
        b"\x00x",
        b"\xef\xbb\xbfx",
        b'  {"a":1}',
        b"x" * 100 + b"\xc3",
        b"\x80",
        b"last",
    ]
    found = sorting.NATIVE.Sorter([(False, [], [], "")]).block(b"\n".join(raw), None)
    assert (numbers(found.blank), numbers(found.bad)) == ([0, 1], [3, 9, 10])
    assert pl.DataFrame(found.odd()).rows() == [(5, "\x1b[1mx"), (6, "\x00x"), (7, "\ufeffx"), (8, '  {"a":1}')]
    assert pl.DataFrame(found.texts(found.asked(0))).rows() == [(2, "a"), (4, "é"), (11, "last")]
    some = sorting.NATIVE.Sorter([(False, [], [], "")]).block(b"\n".join(raw), np.array([2, 3], np.uint32))
    assert (numbers(some.asked(0)), numbers(some.bad), numbers(some.blank)) == ([2], [3], [])


def test_a_column_is_sorted_under_its_rows():
    sorter = sorting.Sorter(rooms.dialects(), rooms.envelopes())
    lines = pl.DataFrame(
        {"row": [7, 9, 12], "text": ["a=1 b=2", "two\nlines", "time=1 c=d"]}, schema_overrides={"row": pl.UInt32}
    )
    found = sorter.column(lines[1:])
    assert found.asked(rooms.dialects()["logfmt"]).rows() == [(12, "time=1 c=d")]
    assert found.odd().rows() == [(9, "two\nlines")]


def test_the_sorter_refuses_what_it_cannot_do():
    make = sorting.NATIVE.Sorter
    found = make([(False, [], [], "")]).block(b"a\n", None)
    offsets = np.array([0, 5], np.int64)
    for wrong in (
        lambda: make("x"), lambda: make([(False, [])]), lambda: make([(False, [1], [], "")]), lambda: make.__new__(make).block(b"", None),
        lambda: make([]).block("x", None), lambda: make([]).column(b"abc", offsets, np.zeros(1, np.uint32)), lambda: sorting.NATIVE.Sorted(),
        lambda: make([]).column(b"abc", offsets[:1], np.zeros(1, np.uint32)), lambda: found.asked(1), lambda: found.take(np.array([1], np.uint32)),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, IndexError, RuntimeError, SystemError)):
            wrong()


def test_both_engines_read_the_same_of_text(tmp_path, monkeypatch):
    pieces = [line for _, line in SAMPLES] * 70
    (tmp_path / "a.log").write_bytes(
        block([*(p.encode() for p in pieces), b"\xff", b"", b"  ", b"\x1b[1mmodel=a\x1b[0m cache=hit"])
    )
    staged = []
    for engine in ("native", "polars"):
        monkeypatch.setenv(json_scan.VARIABLE, engine)
        staged.append(read(tmp_path))
    assert staged[0].inputs == staged[1].inputs
    one, other = (events(s).sort(pl.all()) for s in staged)
    assert one.equals(other)
    assert one.height > 1000


@pytest.mark.parametrize("engine", ["native", "polars"])
def test_a_line_of_broken_json_is_bad_with_either_engine(tmp_path, monkeypatch, engine):
    monkeypatch.setenv(json_scan.VARIABLE, engine)
    (tmp_path / "a.log").write_bytes(block([b'{"model":"m","cache":"hit"}', b'{"a":', b"{\xff", b"words"]))
    (found,) = read(tmp_path).inputs
    assert (found.lines, found.events, found.bad, found.unclaimed) == (4, 1, 2, 1)
