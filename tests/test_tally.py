"""Counting lookups: the native way gives what Polars gives, from memory and from disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.contract.event import EVENT, OPS, OUTCOMES
from cachelog.contract.events import Events
from cachelog.ingest import store
from cachelog.metrics import tally, windows
from tests.fleet import T0, split

native = pytest.mark.skipif(tally.NATIVE is None, reason="the extension was not built")

NAMES = st.sampled_from(["a", "b", "ß", "", "z" * 30])
ROW = st.fixed_dictionaries(
    {
        "ts": st.one_of(st.none(), st.integers(0, 90_000_000_000).map(lambda us: T0 + timedelta(microseconds=us))),
        "source": st.integers(0, 2),
        "line": st.integers(1, 9),
        "replica": st.one_of(st.none(), NAMES),
        "op": st.one_of(st.just("lookup"), st.sampled_from(OPS)),
        "cache": st.sampled_from(["default", "model", "edge"]),
        "outcome": st.one_of(st.none(), st.sampled_from(OUTCOMES)),
        "model": NAMES,
        "version": st.one_of(st.none(), NAMES),
        "reason": st.one_of(st.none(), st.sampled_from(["expired", "lru"])),
        "n": st.integers(0, 2**32 - 1),
        "seconds": st.one_of(st.none(), st.floats(0, 1e9), st.just(float("inf"))),
    }
)


def by_polars(events: Events, start, end) -> pl.DataFrame:
    kept, tally.NATIVE = tally.NATIVE, None
    try:
        return windows.counts(events, start, end)[0]
    finally:
        tally.NATIVE = kept


@native
@given(st.lists(ROW, min_size=1, max_size=40), st.integers(1, 4))
@settings(max_examples=150)
def test_native_counts_are_those_of_polars(rows, parts):
    table = pl.DataFrame(rows, schema=EVENT)
    timed = table["ts"].drop_nulls()
    if timed.is_empty():
        return
    cut = max(1, -(-table.height // parts))
    events = Events(tuple(p for frame in table.iter_slices(cut) for p in split(frame)[0].parts))
    start, end = timed.min(), timed.max()
    found, _ = windows.counts(events, start, end)
    assert found.equals(by_polars(events, start, end))


@native
def test_events_on_disk_count_like_those_in_memory(tmp_path: Path):
    rows = [
        {"ts": T0 + timedelta(seconds=i), "replica": f"r{i % 3}", "op": "lookup", "cache": "default", "n": 1,
         "outcome": ("hit", "miss")[i % 5 == 0], "model": f"m{i % 4}", "version": str(i % 2), "seconds": i / 7}
        for i in range(1000)
    ]  # fmt: skip
    events, _ = split(pl.DataFrame(rows, schema=EVENT))
    told = [replace(part, rows=part.rows.with_columns(clock=pl.lit(0, pl.UInt8))) for part in events.parts]
    lying = Events(tuple(store.put(tmp_path, at, part) for at, part in enumerate(told)))
    span = (T0, T0 + timedelta(seconds=999))
    assert windows.counts(lying, *span)[0].equals(windows.counts(events, *span)[0])
    for model in events.models():
        mine, other = (
            e.of(model).collect().sort("ts").with_columns(pl.col(pl.Categorical).cast(pl.String))
            for e in (events, lying)
        )
        assert mine.equals(other)
    assert lying.of("nobody").collect().is_empty()


@native
def test_more_cells_than_fit_a_table_are_counted_by_polars(monkeypatch):
    rows = [
        {"ts": T0 + timedelta(hours=i), "op": "lookup", "cache": "default", "n": 1, "outcome": "hit", "model": f"m{i}"}
        for i in range(50)
    ]
    events, _ = split(pl.DataFrame(rows, schema=EVENT))
    expected, _ = windows.counts(events, T0, T0 + timedelta(hours=50))
    monkeypatch.setattr(tally, "_MOST_CELLS", 10)
    assert windows.counts(events, T0, T0 + timedelta(hours=50))[0].equals(expected)


def test_a_part_is_the_same_whatever_the_order_of_its_words():
    rows = [
        {"ts": T0, "op": "lookup", "cache": "default", "n": n, "outcome": "hit", "model": m, "line": n}
        for n, m in enumerate("badc", 1)
    ]
    one, _ = split(pl.DataFrame(rows, schema=EVENT))
    (part,) = one.parts
    assert part.words["model"].cast(pl.String).to_list() == ["a", "b", "c", "d"]
    none = part.where(pl.Series([False] * 4), None)
    assert replace(one, parts=(none,)).all().collect().is_empty()
