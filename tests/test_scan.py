"""JSON lines: both engines, and the definition of a line in plain Python, say the same of any bytes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.contract import jsonlines
from cachelog.contract.errors import UsageError
from cachelog.contract.limits import DEFAULT
from cachelog.ingest import json_scan, keys
from tests.json_corpus import ALIASES, NUMBERS, Writer, corners
from tests.layout_corpus import LAYOUTS, Envelopes
from tests.reading import read
from tests.scanning import defined, differences, flat

ENGINES = {"polars": json_scan._scan_polars} | ({"native": json_scan._scan_native} if json_scan.NATIVE else {})
by_engine = pytest.mark.parametrize("engine", ENGINES)
needs_native = pytest.mark.skipif(json_scan.NATIVE is None, reason="the native scanner is not built")


def block(lines):
    return b"".join(line + b"\n" for line in lines)


def check(engine, lines):
    data = block(lines)
    assert differences(ENGINES[engine](data), defined(data)) == []


@by_engine
@pytest.mark.parametrize("seed", range(12))
def test_lines_of_every_kind_are_read_by_definition(engine, seed):
    writer = Writer(seed)
    check(engine, [writer.line() for _ in range(300)])


@by_engine
def test_lines_at_the_limits_are_read_by_definition_alone_and_together(engine):
    for line in corners():
        check(engine, [line])
    check(engine, corners())


@by_engine
@pytest.mark.parametrize("seed", range(12))
def test_envelopes_of_every_kind_are_opened_by_definition(engine, seed, monkeypatch):
    writer = Envelopes(seed)
    data = block(writer.line() for _ in range(400))
    monkeypatch.setattr(json_scan, "_MANY", 0 if seed % 2 else 500)  # each layout asked by itself, or all of them
    scanned = ENGINES[engine](data, LAYOUTS, seed % 3 == 0)
    assert differences(scanned, defined(data, LAYOUTS, seed % 3 == 0)) == []
    assert scanned.opened.records.height > 100


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["name", "id", "x"]), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
_OBJECTS = st.dictionaries(st.one_of(st.sampled_from(ALIASES), st.text(max_size=5)), _VALUES, max_size=6)
_LINES = st.one_of(
    st.builds(lambda o, ascii: json.dumps(o, ensure_ascii=ascii).encode("utf-8", "surrogatepass"), _OBJECTS, st.booleans()),
    st.builds(lambda o, cut, put: _put(json.dumps(o).encode(), cut, put), _OBJECTS, st.integers(0, 200), st.binary(max_size=2)),
    st.binary(max_size=30),
)  # fmt: skip


def _put(line, at, new):
    at %= len(line) + 1
    return line[:at] + new + line[at + len(new) :]


@by_engine
@given(st.lists(_LINES.map(lambda line: line.replace(b"\n", b" ")), max_size=25))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_read_by_definition(engine, lines):
    check(engine, lines)


def test_the_definition_agrees_with_json_loads():
    writer = Writer(1)
    lines = [line for _ in range(2000) if (line := writer.line())[:1] == b"{"]
    for line in lines:
        try:
            expected = json.loads(line.decode(), parse_constant=lambda word: 1 / 0)
        except (ValueError, ZeroDivisionError):
            expected = None
        found = jsonlines.decode(line.decode("utf-8", "surrogateescape")) if _is_utf8(line) else None
        assert (found is None) == (expected is None), line
        assert found is None or found.keys() == expected.keys()


def _is_utf8(line):
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def values(engine, line):
    row = flat(ENGINES[engine](line.encode() + b"\n").said).row(0, named=True)
    return {name: value for name, value in row.items() if value is not None and name not in ("row", "naive")}


@by_engine
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"version": 1.10}', {"version": "1.10"}),
        ('{"version": 1e3, "pod": true}', {"version": "1e3", "replica": "true"}),
        ('{"model": null, "model_name": {"a": 1}, "servable": "s"}', {"model": "s"}),
        ('{"model": "a", "model": "b"}', {"model": "a"}),
        ('{"k8s.pod.name": "dotted", "k8s": {"pod": {"name": "nested"}}}', {"replica": "dotted"}),
        ('{"k8s": {"pod": {"name": "nested"}}, "hostname": "h"}', {"replica": "nested"}),
        ('{"msg": "\\ud800\\u0041\\ud83d\\ude00"}', {"message": "\ufffdA\U0001f600"}),
        ('{"\\u006dodel": "m"}', {"model": "m"}),
        ('{"latency_ms": " 1.5 ", "duration": 2.50}', {"ms": 1.5, "duration": "2.5"}),
        ('{"latency_ms": 1e400, "latency_s": "inf"}', {}),
    ],
)
def test_a_value_is_what_the_line_says(engine, line, expected):
    assert values(engine, line) == expected


@by_engine
@pytest.mark.parametrize(
    "line",
    ['{"a":{"b":}}', '{"a":[1,]}', '{"a":00}', '{"a":1.2.3}', '{"a":"\\q"}', '{"a":"\t"}', '{"a":1}}', '{"a":1} {}', '{"a":nulll}',
     '{"a":NaN}', '{"a":"x}', '{"a" "b"}', '{,}', '{"a":1,}', "{'a':1}"],
)  # fmt: skip
def test_what_rfc_8259_forbids_is_bad(engine, line):
    scanned = ENGINES[engine](b'{"a":1}\n' + line.encode() + b'\n{"a":2}\n')
    assert (scanned.bad.tolist(), scanned.said.rows["row"].to_list()) == ([1], [0, 2])


@by_engine
def test_where_a_block_is_cut_changes_nothing(engine):
    writer = Writer(3)
    lines = [writer.line() for _ in range(150)]
    whole = flat(ENGINES[engine](block(lines)).said)
    for cut in (1, 50, 149):
        parts = [flat(ENGINES[engine](block(part)).said) for part in (lines[:cut], lines[cut:])]
        later = parts[1].with_columns(pl.col("row") + cut)
        assert pl.concat([parts[0], later]).equals(whole)


@by_engine
def test_a_line_of_any_length_may_end_a_block(engine):
    for size in (*range(0, 140), 4095, 4096, 70_000):
        check(engine, [b'{"msg":"' + b"x" * size + b'"}'])
        check(engine, [b'{"msg":"' + b"x" * size])
        check(engine, [b"{}", b'{"a":"' + b"\\" * size + b'"}'])


@by_engine
def test_a_line_longer_than_the_limit_is_bad_and_its_neighbours_are_read(engine):
    fits = b'{"msg":"' + b"x" * (DEFAULT.line_bytes - 10) + b'"}'
    assert len(fits) == DEFAULT.line_bytes
    scanned = ENGINES[engine](block([b'{"pod":"a"}', fits, fits[:-2] + b'x"}', b'{"pod":"b"}']))
    assert (scanned.bad.tolist(), scanned.said.rows["row"].to_list()) == ([2], [0, 1, 3])


@by_engine
def test_a_hundred_thousand_different_labels_are_kept_apart(engine):
    lines = [f'{{"pod":"p{i}","model":"m{i}","msg":"said {i}","key":"k{i}"}}'.encode() for i in range(100_000)]
    found = flat(ENGINES[engine](block(lines)).said)
    assert found["replica"].to_list() == [f"p{i}" for i in range(100_000)]
    assert found["model"].to_list() == [f"m{i}" for i in range(100_000)]
    assert found["key"].n_unique() == 100_000


@by_engine
def test_key_hashes_are_the_same_however_they_are_made(engine):
    texts = [
        "",
        "a",
        "ab",
        "abc",
        "abcd",
        "abcdefg",
        "abcdefgh",
        "abcdefghi",
        "x" * 16,
        "y" * 1000,
        "é",
        "\x00",
        "\x00\x00",
    ]
    found = flat(ENGINES[engine](block(json.dumps({"key": text}).encode() for text in texts)).said)["key"]
    assert found.to_list() == keys.hashed(pl.Series(texts)).to_list()
    assert found.n_unique() == len(texts)


@by_engine
def test_numbers_of_labels_are_text_as_written(engine):
    lines = [f'{{"version":{number},"key":{number}}}'.encode() for number in NUMBERS]
    assert flat(ENGINES[engine](block(lines)).said)["version"].to_list() == list(NUMBERS)


@needs_native
def test_two_threads_read_what_one_reads():
    blocks = [block([w.line() for _ in range(400)]) for w in map(Writer, range(8))]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(json_scan._scan_native, blocks))
    assert all(differences(one, json_scan._scan_native(data)) == [] for one, data in zip(found, blocks, strict=True))


@needs_native
def test_the_scanner_refuses_what_it_cannot_do():
    make = json_scan.NATIVE.Scanner
    for wrong in (
        lambda: make([("a", "colour", [])], 10, 10), lambda: make([("a", "word")], 10, 10), lambda: make("x", 10, 10),
        lambda: make([], 0, 10), lambda: make([], 10, 0), lambda: make([("a", "word", [1])], 10, 10), make,
        lambda: make.__new__(make).scan(b""), lambda: make([], 10, 10).scan("text"), lambda: json_scan.NATIVE.Scan(),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, SystemError, IndexError, RuntimeError)):
            wrong()
    scanned = make([("a", "word", ["a"])], 100, 10).scan(b'{"a":"b"}\n')
    assert pl.DataFrame(scanned.said).rows() == [("b",)]
    with pytest.raises(RuntimeError, match="taken already"):
        pl.DataFrame(scanned.said)


def test_the_engine_can_be_chosen(monkeypatch):
    monkeypatch.setenv(json_scan.VARIABLE, "polars")
    assert json_scan.engine() == "polars"
    monkeypatch.setenv(json_scan.VARIABLE, "abacus")
    with pytest.raises(UsageError, match="abacus"):
        json_scan.engine()
    monkeypatch.setattr(json_scan, "NATIVE", None)
    monkeypatch.setenv(json_scan.VARIABLE, "native")
    with pytest.raises(UsageError, match="not built"):
        json_scan.engine()


@needs_native
def test_both_engines_stage_the_same_events(tmp_path, monkeypatch):
    writer = Writer(5)
    (tmp_path / "a.log").write_bytes(block(writer.line() for _ in range(2000)))
    (tmp_path / "b.log").write_bytes(block(writer.plain() for _ in range(2000)))
    staged = []
    for engine in ENGINES:
        monkeypatch.setenv(json_scan.VARIABLE, engine)
        staged.append(read(tmp_path))
    assert staged[0].inputs == staged[1].inputs
    one, other = (s.events.with_columns(pl.col(pl.Categorical).cast(pl.String)).sort("source", "line") for s in staged)
    assert one.height > 1000
    assert one.equals(other)
