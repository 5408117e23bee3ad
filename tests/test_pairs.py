"""key=value pairs: however many lines share a layout, each says the same."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.contract import pairs
from cachelog.contract.pairs import ALL, Wanted

CASES = {
    "model=fraud version=v41": {"model": "fraud", "version": "v41"},
    'msg="cache miss" key="a b" model=x': {"msg": "cache miss", "key": "a b", "model": "x"},
    'msg="say \\"hi\\"\\n" model=x': {"msg": 'say "hi"\n', "model": "x"},
    "msg='single quoted' model=x": {"msg": "single quoted", "model": "x"},
    "model= version=": {"model": None, "version": None},
    'model="" key=""': {"model": None, "key": None},
    "model=a model=b": {"model": "b"},
    "model=fraud, version=(v41); key=[a]": {"model": "fraud", "version": "(v41)", "key": "[a]"},
    "(model=fraud, version=v41)": {"model": "fraud", "version": "v41"},
    "predict model=fraud cached": {"model": "fraud", "cached": "true"},
    "msg=cache hit model=m": {"msg": "cache hit", "model": "m"},
    "level=info msg=loading model, please wait version=3": {"msg": "loading model, please wait", "version": "3"},
    'msg="never closed model=m': {"msg": "never closed model=m"},
    "url=/v1/models/a?key=b model=m": {"url": "/v1/models/a?key=b", "model": "m"},
    "2026-11-23 free words only": {},
    "": {},
}


def said(frame):
    return [{k: v for k, v in row.items() if v is not None} for row in frame.to_dicts()]


@pytest.mark.parametrize("copies", [1, 300])
@pytest.mark.parametrize("line", CASES)
def test_pairs_are_read_whether_a_layout_was_learnt_or_not(line, copies):
    pairs._known.clear()
    found = pairs.read(pl.Series([line] * copies))
    assert found.height == copies
    expected = {k: v for k, v in CASES[line].items() if v is not None}
    names = set(expected) | set(CASES[line])
    rows = said(found.select(n for n in found.columns if n in names)) if set(found.columns) & names else [{}] * copies
    assert rows == [expected] * copies


WORD = st.sampled_from(["cache", "hit", "miss,", "v41", "12ms", "(x)", "cached", "a=b", "-", "/p?q=r"])
VALUE = st.sampled_from(
    [
        "fraud",
        "",
        '"a b"',
        '"q \\" q"',
        "'s t'",
        "x,y",
        "v1;",
        "(z)",
        '"open',
        "k=v",
        '""',
        '"tab\\t"',
        "[l]",
        "1.5ms,",
        '"a",',
    ]
)
TOKEN = st.one_of(
    WORD, st.tuples(st.sampled_from(["model", "msg", "key", "other", "hit", "level"]), VALUE).map("=".join)
)
LINE = st.tuples(st.sampled_from([" ", "  ", "\t"]), st.lists(TOKEN, max_size=7)).map(lambda p: p[0].join(p[1]))


@given(st.lists(LINE, min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_lines_say_the_same_alone_and_among_many_of_their_kind(lines):
    pairs._known.clear()
    alone = [said(pairs.read(pl.Series([line])))[0] for line in lines]
    together = said(pairs.read(pl.Series(lines * 100)))
    assert together == alone * 100
    again = said(pairs.read(pl.Series(lines * 100)))  # with the layouts it knows now
    assert again == together


def test_only_wanted_keys_are_returned():
    found = pairs.read(pl.Series(["model=a key=b"] * 100), Wanted(frozenset({"key"})))
    assert found.columns == ["key"]


def test_names_become_fields_the_best_alias_first():
    lines = ["version=1 model_version=2 upstream_cache_status=HIT cache=MISS latency_s=0.5 n=3", "model=m cache=hit"]
    found = pairs.canonical(pairs.read(pl.Series(lines), ALL))
    first, second = found.to_dicts()
    assert (first["version"], first["outcome"], first["cache"], first["seconds"], first["n"]) == (
        "2",
        "HIT",
        "edge",
        0.5,
        3,
    )
    assert (second["outcome"], second["cache"]) == ("hit", None)
