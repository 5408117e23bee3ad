"""A change of a miss rate is taken apart into parts that add up to it, exactly, and to the right parts."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog.metrics.decomposition import DIMENSIONS, decomposed
from tests.fleet import found, lookups

SIDES = ("n0", "y0", "n1", "y1")


def cells(rows):
    schema = pl.Schema(dict.fromkeys(DIMENSIONS, pl.String()) | dict.fromkeys(SIDES, pl.Int64()))
    return pl.DataFrame(rows, schema=schema, orient="row").unique(list(DIMENSIONS), keep="first", maintain_order=True)


NAME = st.sampled_from(["a", "b", "c", None])
COUNT = st.tuples(st.integers(0, 10**7), st.floats(0, 1)).map(lambda c: (c[0], int(c[0] * c[1])))
ROW = st.tuples(NAME, NAME, NAME, COUNT, COUNT).map(lambda r: (*r[:3], *r[3], *r[4]))


@settings(max_examples=80, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=20))
def test_parts_add_up_to_the_change_exactly(rows):
    table = cells(rows)
    n0, y0, n1, y1 = (table[name].sum() for name in SIDES)
    told = decomposed(table)
    if not n0 or not n1:
        assert told is None
        return
    change = y1 / n1 - y0 / n0
    assert math.isclose(told.change, change, abs_tol=1e-12)
    assert math.isclose(told.within + told.mix, change, abs_tol=1e-9)
    assert math.isclose(math.fsum(told.mixes.values()) + told.rest, told.mix, abs_tol=1e-9)
    for parts in told.parts.values():
        assert math.isclose(math.fsum(p.within + p.mix for p in parts), change, abs_tol=1e-9)
    assert all(math.isfinite(v) for v in told.numbers.values())


def test_rates_that_changed_are_within_and_shares_that_changed_are_mix():
    worse = decomposed(cells([("a", "v", None, 1000, 100, 1000, 300), ("b", "v", None, 1000, 100, 1000, 100)]))
    moved = decomposed(cells([("a", "v", None, 1800, 90, 200, 10), ("b", "v", None, 200, 100, 1800, 900)]))
    assert (worse.mix, worse.parts["replica"][0].name) == (pytest.approx(0), "a")
    assert worse.parts["replica"][0].within == pytest.approx(worse.change)
    assert (moved.within, moved.mixes["replica"]) == (pytest.approx(0), pytest.approx(moved.change))


def test_a_version_that_came_and_misses_more_is_a_mix_of_versions():
    told = decomposed(cells([("a", "v1", None, 1000, 50, 0, 0), ("a", "v2", None, 0, 0, 1000, 250)]))
    assert told.within == pytest.approx(0)
    assert told.mixes == {"version": pytest.approx(0.2)}


def test_a_shift_says_its_parts_and_they_add_up_to_its_rates():
    events = [e for pod in "abcd" for e in lookups(pod, "v1", 0, 1800, miss=0.1)]
    events += [e for pod in "abcd" for e in lookups(pod, "v1", 1800, 3600, miss=0.5 if pod == "a" else 0.1)]
    (shift,) = found("miss-rate-shift", events)
    numbers = shift.numbers
    change = numbers["rate_after"] - numbers["rate_before"]
    assert numbers["difference_observed"] == pytest.approx(change, abs=2e-6)
    assert numbers["difference_within"] + numbers["difference_mix"] == pytest.approx(change, abs=2e-6)
    assert numbers["difference_of_replica a, within"] == pytest.approx(change, abs=0.01)
