"""The statistics of rates, against SciPy and by their laws."""

from __future__ import annotations

from statistics import StatisticsError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cachelog.metrics.proportions import (
    benjamini_hochberg,
    newcombe,
    normal_quantile,
    normal_tail,
    two_sided,
    wilson,
    wilson_bounds,
)

counts = st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(st.floats(1e-12, 1 - 1e-12))
def test_normal_quantile_is_scipys(probability):
    assert normal_quantile(probability) == pytest.approx(stats.norm.ppf(probability), rel=1e-9, abs=1e-9)


@given(st.floats(-37, 37))
def test_normal_tail_is_scipys_even_far_out(z):
    assert normal_tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-9, abs=0)


def test_normal_quantile_has_no_ends():
    with pytest.raises(StatisticsError):
        normal_quantile(1.0)


def test_the_z_of_95_percent():
    assert two_sided(0.95) == pytest.approx(1.959964, abs=1e-6)


@given(counts, levels)
def test_wilson_is_scipys(count, level):
    events, trials = count
    rate, low, high = wilson(events, trials, level)
    expected = stats.binomtest(events, trials).proportion_ci(level, method="wilson")
    assert (rate, low, high) == pytest.approx((events / trials, expected.low, expected.high), abs=1e-12)


def test_wilson_without_trials_says_nothing():
    assert wilson(0, 0) == (None, None, None)


def test_wilson_bounds_are_elementwise_and_widest_without_trials():
    low, high = wilson_bounds([[0, 5], [10, 0]], [[10, 10], [10, 0]])
    assert low.shape == (2, 2)
    assert (low[0, 0], high[1, 0]) == (0.0, 1.0)
    assert (low[1, 1], high[1, 1]) == (0.0, 1.0)
    assert 0 < low[0, 1] < 0.5 < high[0, 1] < 1


@given(counts, counts)
def test_newcombe_holds_the_difference_and_turns_with_the_sides(first, second):
    low, high = newcombe(*first, *second)
    difference = second[0] / second[1] - first[0] / first[1]
    assert low - 1e-12 <= difference <= high + 1e-12
    other_low, other_high = newcombe(*second, *first)
    assert (other_low, other_high) == pytest.approx((-high, -low), abs=1e-12)


def test_newcombe_gives_the_published_example():
    """Newcombe (1998), table II, example (a): 56/70 and 48/80, method 10: 0.0524 to 0.3339."""
    low, high = newcombe(48, 80, 56, 70)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_newcombe_without_trials_on_a_side_is_wide():
    low, high = newcombe(0, 0, 50, 100)
    assert low < -0.49
    assert high > 0.49


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_hochberg_is_scipys(p):
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh"), abs=1e-12)


def test_benjamini_hochberg_of_nothing_is_nothing():
    assert benjamini_hochberg([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.randoms(use_true_random=False))
def test_benjamini_hochberg_does_not_depend_on_order(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    assert benjamini_hochberg(np.array(p)[order]) == pytest.approx(benjamini_hochberg(p)[order])
