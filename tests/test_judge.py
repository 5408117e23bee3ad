"""The judge of miss rates before and after: against SciPy where there is one, and by how often it errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cachelog.contract.config import Margins
from cachelog.contract.limits import DEFAULT
from cachelog.contract.verdict import Outcome
from cachelog.metrics.judge import Errors, Side, chance_over, dispersion, judge_increase, judge_level, levels
from cachelog.metrics.rates import Rate

ERRORS = Errors(0.05, 0.05)


@pytest.mark.parametrize("before", [(0, 40), (0, 5000), (3, 100), (50, 50), (2_000_000, 40_000_000), (1.5, 33.3)])
@pytest.mark.parametrize("after", [(0, 30), (7, 100), (100, 100), (2_500_000, 40_000_000)])
def test_the_chance_of_a_rise_is_that_of_two_beta_distributions(before, after):
    margins = Margins(0.02, 0.25)
    first, second = (stats.beta(y + 0.5, n - y + 0.5) for y, n in (before, after))
    p = first.ppf((np.arange(5_000) + 0.5) / 5_000)
    exact = second.sf(np.minimum(p + np.maximum(0.02, 0.25 * p), 1)).mean()
    assert chance_over(Rate(*before), Rate(*after), margins) == pytest.approx(exact, abs=5e-4)


def test_tiny_chances_are_told_apart():
    """Early looks ask for one in a billion."""
    over = [1 - chance_over(Rate(5, 100), Rate(y, 200), Margins()) for y in (40, 60, 80)]
    assert over[0] > over[1] > over[2] > 1e-16
    assert over[2] < 1e-8


def test_looks_share_the_error():
    dice, looks = np.random.default_rng(1), 9
    walks = np.cumsum(dice.standard_normal((100_000, looks)), 1) / np.sqrt(np.arange(1, looks + 1))
    for total in (0.05, 0.01):
        bounds = stats.norm.isf(np.array(levels(total, looks)))
        assert (walks >= bounds).any(1).mean() == pytest.approx(total, rel=0.05)
    assert levels(0.05, 1)[0] == pytest.approx(0.05, rel=0.01)
    assert list(levels(0.05, 9)) == sorted(levels(0.05, 9))


def side(dice, slices, lookups, rates):
    return Side(dice.binomial(lookups, rates, slices).astype(float), np.full(slices, float(lookups)))


def test_dispersion_is_that_of_the_slices():
    dice = np.random.default_rng(3)
    plain = [dispersion([side(dice, 48, 100, 0.1), side(dice, 48, 100, 0.1)]) for _ in range(50)]
    assert 1.0 <= np.median(plain) < 1.3
    rho = 0.05  # of counts of 100: 1 + 99 * 0.05 = 5.95
    bursts = [dispersion([side(dice, 48, 100, dice.beta(0.1 * 19, 0.9 * 19, 48)) for _ in range(2)]) for _ in range(50)]
    assert np.median(bursts) == pytest.approx(1 + 99 * rho, rel=0.25)
    waves = np.repeat(dice.beta(0.1 * 19, 0.9 * 19, 12), 4)
    assert dispersion([side(dice, 48, 100, waves)]) > 12


@pytest.mark.parametrize("slices", [Side(np.zeros(1), np.zeros(1)), Side(np.zeros(9), np.full(9, 5.0))])
def test_no_misses_vary_no_more_than_chance(slices):
    assert dispersion([slices]) == 1.0
    assert judge_level(slices, 0.5, ERRORS, DEFAULT).outcome in (Outcome.PASS, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(("rate", "lookups"), [(0.0, 5), (0.05, 5), (0.05, 40), (0.2, 40)])
def test_the_judge_errs_no_more_than_it_says(rate, lookups):
    dice, wrong = np.random.default_rng([5, lookups]), {"fail": 0, "pass": 0}
    for _ in range(150):
        before = side(dice, 12, lookups, rate)
        same, bad = side(dice, 12, lookups, rate), side(dice, 12, lookups, 2.5 * rate + 0.05)
        wrong["fail"] += judge_increase(before, same, Margins(), ERRORS, DEFAULT).outcome is Outcome.FAIL
        wrong["pass"] += judge_increase(before, bad, Margins(), ERRORS, DEFAULT).outcome is Outcome.PASS
    assert wrong["fail"] <= 0.05 * 150
    assert wrong["pass"] <= 0.05 * 150


def test_what_is_needed_decides():
    """With as many lookups as it asks for, most checks without a change pass."""
    dice = np.random.default_rng(8)
    asked = judge_increase(side(dice, 12, 20, 0.05), side(dice, 12, 20, 0.05), Margins(), ERRORS, DEFAULT)
    assert asked.outcome is Outcome.INCONCLUSIVE
    lookups = asked.needed // 12 + 1
    passed = [
        judge_increase(side(dice, 12, lookups, 0.05), side(dice, 12, lookups, 0.05), Margins(), ERRORS, DEFAULT).outcome
        for _ in range(60)
    ]
    assert sum(one is Outcome.PASS for one in passed) > 36
