"""Counts of lookups, and the table of models made of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.contract.finding import MISS_CAUSES
from cachelog.metrics.windows import base_window, models
from tests.fleet import E, at, frames, lookups

MODELS, VERSIONS, REPLICAS = ("m", "n"), ("1", "2", None), ("a", "b")


def rows(events):
    return {(row.model, row.cache): row for row in models(frames(events))}


@pytest.mark.parametrize(
    ("hours", "seconds"),
    [(0.03, 10), (1, 10), (5.5, 10), (24, 60), (7 * 24, 900), (60 * 24, 3600), (1000 * 24, 12 * 3600)],
)
def test_windows_are_as_narrow_as_two_thousand_of_them_allow(hours, seconds):
    assert base_window(at(0), at(hours * 3600)) == timedelta(seconds=seconds)


def test_the_rate_has_its_wilson_interval():
    row = rows(lookups("a", "1", 0, 1000, miss=0.2))["m", "default"]
    assert (row.lookups, row.hits, row.misses, row.miss_rate) == (1000, 800, 200, 0.2)
    assert (row.miss_rate_low, row.miss_rate_high) == pytest.approx((0.17639, 0.22590), abs=2e-5)  # scipy's wilson


def test_stale_is_a_lookup_and_bypass_and_errors_are_not():
    events = [
        E(i, "lookup", "a", "1", outcome=o) for i, o in enumerate(["hit", "miss", "stale", "bypass", "error", "error"])
    ]
    row = rows(events)["m", "default"]
    assert (row.lookups, row.hits, row.misses, row.stale, row.bypass, row.errors) == (3, 1, 1, 1, 1, 2)
    assert row.miss_rate == pytest.approx(1 / 3)


def test_a_weight_counts_as_many_lookups():
    events = [E(0, "lookup", "a", "1", outcome="hit", n=120), E(9, "lookup", "a", "1", outcome="miss", n=4)]
    assert rows(events)["m", "default"].lookups == 124


def test_a_cache_of_which_only_misses_are_logged_has_no_rate():
    events = [*lookups("a", "1", 0, 100), *(E(i, "lookup", "a", "1", outcome="miss", cache="model") for i in range(5))]
    row = rows(events)["m", "model"]
    assert (row.lookups, row.hits, row.misses, row.miss_rate) == (None, None, 5, None)
    assert rows(events)["m", "default"].lookups == 100


def test_a_model_known_by_loads_only_has_versions_and_no_rate():
    row = rows([E(0, "load", "a", "1"), E(9, "load", "b", "2")])["m", "model"]
    assert (row.lookups, row.misses, row.miss_rate) == (None, 0, None)
    assert [(v.version, v.order, v.replicas, v.lookups) for v in row.versions] == [
        ("1", 0, ("a",), None),
        ("2", 1, ("b",), None),
    ]


def test_versions_are_listed_oldest_first_with_their_own_counts():
    row = rows([*lookups("a", "v10", 0, 50), *lookups("b", "v9", 0, 30), E(60, "load", "c", "v11")])["m", "default"]
    assert [(v.version, v.lookups, v.replicas) for v in row.versions] == [
        ("v9", 30, ("b",)),
        ("v10", 50, ("a",)),
        ("v11", None, ("c",)),
    ]
    assert row.versions[0].basis == "parsed:int"


def test_the_trend_has_a_gap_where_nothing_was_asked():
    row = rows([*lookups("a", "1", 0, 600, miss=0.5), *lookups("a", "1", 3000, 3600)])["m", "default"]
    assert len(row.trend) == 24
    assert row.trend[0] == pytest.approx(0.5)
    assert row.trend[12] is None
    assert row.trend[-1] == pytest.approx(0.1, abs=0.02)


event = st.builds(
    E,
    at=st.integers(0, 5000),
    op=st.just("lookup"),
    replica=st.sampled_from(REPLICAS),
    version=st.sampled_from(VERSIONS),
    model=st.sampled_from(MODELS),
    outcome=st.sampled_from(["hit", "miss", "stale", "bypass", "error"]),
    n=st.integers(1, 5),
    reason=st.sampled_from([None, "expired"]),
)


@given(st.lists(event, min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_every_lookup_is_counted_once(events):
    made = frames(events)
    for outcome, column in (
        ("hit", "hits"),
        ("miss", "misses"),
        ("stale", "stale"),
        ("bypass", "bypass"),
        ("error", "errors"),
    ):
        assert made.counts[column].sum() == sum(e.n for e in events if e.outcome == outcome)
    for row in models(made):
        assert sum(row.causes.values()) == row.misses
        assert set(row.causes) == set(MISS_CAUSES)
        assert row.lookups == row.hits + row.misses + row.stale


@given(st.lists(event, min_size=2, max_size=40), st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_order_of_events_does_not_matter(events, rng):
    shuffled = events[:]
    rng.shuffle(shuffled)
    assert frames(events).counts.equals(frames(shuffled).counts)


def test_latencies_are_kept_apart_for_hits_and_misses():
    events = [E(0, "lookup", "a", "1", outcome="hit", seconds=0.25), E(1, "lookup", "a", "1", outcome="miss", seconds=2.0),
              E(2, "lookup", "a", "1", outcome="miss")]  # fmt: skip
    row = frames(events).counts.row(0, named=True)
    assert (row["hit_seconds"], row["hit_timed"], row["miss_seconds"], row["miss_timed"]) == (0.25, 1, 2.0, 1)
    assert (row["first"], row["last"]) == (at(0), at(2))
