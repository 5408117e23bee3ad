"""Steps in miss rates: found where they are, with honest intervals, and not found where there are none."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import optimize, stats

from cachelog.contract.limits import DEFAULT
from cachelog.metrics import changepoints as cp

DAY = 288  # five-minute windows
WINDOWS = 3 * DAY


@dataclass(frozen=True)
class Drawn:
    """Series (S, T) of three days; `onset` is -1 where nothing changed."""

    misses: np.ndarray
    lookups: np.ndarray
    onset: np.ndarray


def draw(seed: int, series: int, *, shifted: float, drift: float = 0.0) -> Drawn:
    """METHODS' S1: beta-binomial, diurnal, cold starts after deploys (masked here for 30 min), spikes; S2 has drift.

    Base rates 1..25 %, 3, 40 or 800 lookups a window; a shift adds 0.5..2.5 to the log odds.
    """
    dice = np.random.default_rng(seed)
    t = np.arange(WINDOWS)
    mean = np.array([3.0, 40.0, 800.0])[np.arange(series) % 3]
    base = np.exp(dice.uniform(math.log(0.01), math.log(0.25), series))
    lookups = dice.poisson(mean[:, None] * (1 + 0.6 * np.sin(2 * np.pi * t / DAY + dice.uniform(0, 6.28, (series, 1)))))
    odds = np.log(base / (1 - base))[:, None] + np.zeros(WINDOWS)
    odds += dice.uniform(0, 0.5, (series, 1)) * np.sin(2 * np.pi * t / DAY + dice.uniform(0, 6.28, (series, 1)))
    odds += drift * _autocorrelated(dice, series)
    onset = np.where(dice.random(series) < shifted, dice.integers(WINDOWS // 5, WINDOWS * 9 // 10, series), -1)
    height = dice.uniform(0.5, 2.5, series)
    odds += height[:, None] * ((t >= onset[:, None]) & (onset[:, None] >= 0))
    masked = np.zeros((series, WINDOWS), bool)
    for s in range(series):
        deploys = [*dice.integers(0, WINDOWS, dice.poisson(1.5)), *([onset[s]] if onset[s] >= 0 and s % 2 else [])]
        for d in deploys:
            odds[s, d:] += dice.uniform(0.5, 2.5) * np.exp(-np.arange(WINDOWS - d) / 4.0)
            masked[s, d : d + 6] = True
        for spike in dice.integers(0, WINDOWS - 2, dice.poisson(1.0)):
            odds[s, spike : spike + 2] += 2.0
    rho = dice.choice([0.001, 0.005, 0.02], series)[:, None]
    p, k = 1 / (1 + np.exp(-odds)), (1 - rho) / rho
    misses = dice.binomial(lookups, dice.beta(p * k + 1e-9, (1 - p) * k + 1e-9))
    return Drawn(misses * ~masked * 1.0, lookups * ~masked * 1.0, onset)


def _autocorrelated(dice: np.random.Generator, series: int) -> np.ndarray:
    noise, level = dice.normal(size=(series, WINDOWS)), np.zeros((series, WINDOWS))
    for i in range(1, WINDOWS):
        level[:, i] = 0.8 * level[:, i - 1] + 0.6 * noise[:, i]
    return level


def steps_of(drawn: Drawn) -> list[tuple[cp.Step, ...]]:
    model = cp.design(WINDOWS, 300.0, DEFAULT)
    found = cp.find_steps(drawn.misses, drawn.lookups, model, DEFAULT)
    return [series.steps for series in cp.adjusted(found, DEFAULT.shift_fdr)]


@pytest.mark.parametrize(("seed", "drift"), [(7001, 0.0), (7002, 0.15)], ids=["S1", "S2"])
def test_series_without_a_shift_stay_quiet(seed, drift):
    """METHODS' gate: at most 0.005 false steps per model and day; here 400 series of three days."""
    found = steps_of(draw(seed, 400, shifted=0.0, drift=drift))
    assert sum(len(steps) for steps in found) <= 0.005 * 3 * 400


@pytest.mark.parametrize(("seed", "drift"), [(5001, 0.0), (5002, 0.15)], ids=["S1", "S2"])
def test_shifts_are_found_and_their_interval_holds_the_onset(seed, drift):
    """METHODS' gate: F1 of 0.88 where an onset counts when it is in the interval or within an hour."""
    drawn = draw(seed, 300, shifted=0.5, drift=drift)
    right = wrong = missed = covered = near = 0
    for steps, onset in zip(steps_of(drawn), drawn.onset, strict=True):
        hits = [s for s in steps if onset >= 0 and (abs(s.at - onset) <= 12 or s.low - 3 <= onset <= s.high + 3)]
        right, missed, wrong = right + bool(hits), missed + (onset >= 0 and not hits), wrong + len(steps) - bool(hits)
        close = [s for s in steps if onset >= 0 and abs(s.at - onset) <= 72]
        near, covered = near + bool(close), covered + any(s.low - 1 <= onset <= s.high + 1 for s in close)
    assert 2 * right / (2 * right + wrong + missed) >= 0.88
    assert covered / near >= 0.93


def flat(lookups: float, windows: int = 360) -> np.ndarray:
    return np.full((1, windows), lookups)


def one_step(p0: float, p1: float, at: int, *, seed: int = 0, lookups: int = 40, windows: int = 360):
    dice = np.random.default_rng(seed)
    n = dice.poisson(lookups, (1, windows)).astype(float)
    p = np.where(np.arange(windows) >= at, p1, p0)
    return dice.binomial(n.astype(int), p).astype(float), n


def steps_in(y: np.ndarray, n: np.ndarray, seconds: float = 10.0) -> tuple[cp.Step, ...]:
    found = cp.find_steps(y, n, cp.design(y.shape[1], seconds, DEFAULT), DEFAULT)
    return cp.adjusted(found, DEFAULT.shift_fdr)[0].steps


@pytest.mark.parametrize(("before", "after"), [(0.10, 0.30), (0.30, 0.10), (0.02, 0.08)])
def test_a_step_is_told_with_place_direction_and_rates(before, after):
    y, n = one_step(before, after, 200)
    (step,) = steps_in(y, n)
    assert step.low <= 200 <= step.high
    assert abs(step.at - 200) <= 3
    assert (step.before, step.after) == pytest.approx((before, after), rel=0.15)
    assert math.copysign(1, step.log_odds) == math.copysign(1, after - before)
    assert step.p < 1e-6
    assert step.q >= step.p


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.5), (1.0, 0.4), (0.001, 0.3)])
def test_a_step_from_never_or_always_is_told_too(before, after):
    y, n = one_step(before, after, 30, lookups=5, windows=60)
    (step,) = steps_in(y, n)
    assert abs(step.at - 30) <= 1


def test_a_step_that_nobody_would_care_about_is_not_told():
    y, n = one_step(0.200, 0.225, 180, lookups=4000)
    assert steps_in(y, n) == ()


def test_two_steps_up_and_down_are_both_told():
    y, n = one_step(0.1, 0.1, 0)
    high = slice(120, 240)
    y[0, high] = np.random.default_rng(1).binomial(n[0, high].astype(int), 0.35)
    first, second = steps_in(y, n)
    assert (first.low <= 120 <= first.high) and (second.low <= 240 <= second.high)
    assert first.log_odds > 0 > second.log_odds


def test_a_spike_is_no_step():
    y, n = one_step(0.1, 0.1, 0)
    y[0, 100:103] = n[0, 100:103]
    assert steps_in(y, n) == ()


@pytest.mark.parametrize("misses", [0.0, 40.0])
def test_series_that_only_hit_or_only_miss_have_no_steps(misses):
    assert steps_in(flat(misses), flat(40.0)) == ()


def test_a_series_without_lookups_has_no_steps():
    assert steps_in(flat(0.0), flat(0.0)) == ()


def test_an_onset_hidden_by_masked_windows_may_lie_anywhere_in_them():
    y, n = one_step(0.1, 0.3, 170)
    y[0, 150:190], n[0, 150:190] = 0, 0
    (step,) = steps_in(y, n)
    assert step.low <= 151
    assert step.high >= 189


def test_short_series_may_have_steps_too():
    """Two minutes at 10 s."""
    y, n = one_step(0.1, 0.6, 7, windows=14, lookups=60)
    (step,) = steps_in(y, n)
    assert abs(step.at - 7) <= 1


def test_steps_of_one_series_do_not_depend_on_its_neighbours():
    """Before the adjustment for their number: a shard finds what the whole finds."""
    drawn = draw(3, 30, shifted=0.5)
    model = cp.design(WINDOWS, 300.0, DEFAULT)
    whole = cp.find_steps(drawn.misses, drawn.lookups, model, DEFAULT)
    parts = [cp.find_steps(drawn.misses[[s]], drawn.lookups[[s]], model, DEFAULT)[0] for s in range(30)]
    assert [[(s.at, s.low, s.high) for s in a.steps] for a in whole] == [
        [(s.at, s.low, s.high) for s in b.steps] for b in parts
    ]
    assert any(series.steps for series in whole)


def test_the_days_rhythm_is_no_step():
    t = np.arange(WINDOWS)
    p = 1 / (1 + np.exp(-(-1.5 + 0.6 * np.sin(2 * np.pi * t / DAY))))
    n = np.full((4, WINDOWS), 200.0)
    y = np.random.default_rng(5).binomial(200, p, (4, WINDOWS)).astype(float)
    model = cp.design(WINDOWS, 300.0, DEFAULT)
    assert all(series.steps == () for series in cp.find_steps(y, n, model, DEFAULT))
    level_only = np.ones((WINDOWS, 1))
    assert any(series.steps for series in cp.find_steps(y, n, level_only, DEFAULT))


@pytest.mark.parametrize(("hours", "columns"), [(1, 1), (5, 1), (7, 3), (35, 3), (37, 5), (13 * 24, 5), (15 * 24, 7)])
def test_the_null_model_holds_what_the_span_can_show(hours, columns):
    assert cp.design(hours * 12, 300.0, DEFAULT).shape == (hours * 12, columns)


def test_effective_counts_leave_binomial_counts_alone():
    dice = np.random.default_rng(0)
    n = dice.poisson(100, (50, 600)).astype(float)
    y = dice.binomial(n.astype(int), 0.2).astype(float)
    _, effective, rho = cp.effective_counts(y, n)
    assert np.median(rho) < 0.003  # the largest of three noisy estimates
    assert (effective.sum() / n.sum()) > 0.75


def test_effective_counts_find_how_much_lookups_of_a_window_go_together():
    dice = np.random.default_rng(1)
    n = np.full((60, 600), 200.0)
    k = (1 - 0.02) / 0.02
    p = dice.beta(0.1 * k, 0.9 * k, n.shape)
    y = dice.binomial(200, p).astype(float)
    scaled, effective, rho = cp.effective_counts(y, n)
    assert np.median(rho) == pytest.approx(0.02, rel=0.25)
    variance = (scaled / effective).var(1) * effective.mean(1)
    assert np.median(variance) == pytest.approx(0.1 * 0.9, rel=0.25)


def test_a_step_does_not_pass_for_overdispersion():
    y, n = one_step(0.05, 0.5, 300, windows=600, lookups=200)
    assert cp.effective_counts(y, n)[2][0] < 0.005


def test_the_fit_is_the_maximum_of_the_penalised_likelihood():
    dice = np.random.default_rng(2)
    n = dice.poisson(30, 200).astype(float)
    x = np.column_stack([np.ones(200), np.linspace(-1, 1, 200), (np.arange(200) >= 120).astype(float)])
    y = dice.binomial(n.astype(int), 1 / (1 + np.exp(-(x @ [-1.5, 0.3, 0.8])))).astype(float)

    def loss(beta: np.ndarray) -> float:
        return float(-cp.log_likelihood(x @ beta, y, n).sum() + 0.05 * (beta[1:] ** 2).sum())

    best = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    assert cp.irls(x, y, n).beta == pytest.approx(best, abs=1e-3)


def test_the_log_likelihood_is_scipys_but_for_the_constant():
    n, y, odds = np.array([10.0, 20.0]), np.array([3.0, 0.0]), np.array([-0.5, -2.0])
    expected = stats.binom.logpmf(y, n, 1 / (1 + np.exp(-odds))) - stats.binom.logpmf(y, n, 0.5) + n * math.log(0.5)
    assert cp.log_likelihood(odds, y, n) == pytest.approx(expected)


def test_the_p_of_a_scanned_maximum_is_about_what_simulation_gives():
    """The maximum over all places of a standardised bridge but 2 % at either end."""
    dice = np.random.default_rng(3)
    length, paths = 1500, 3000
    walk = np.cumsum(dice.normal(size=(paths, length)), axis=1) / math.sqrt(length)
    t = np.arange(1, length + 1) / length
    inside = (t >= 0.02) & (t <= 0.98)
    bridge = np.abs(walk - walk[:, -1:] * t)[:, inside] / np.sqrt(t * (1 - t))[inside]
    for z in (2.8, 3.2):
        assert cp.scan_p(z) == pytest.approx(np.mean(bridge.max(1) > z), abs=0.03)


def test_a_scanned_p_falls_with_z_and_is_never_above_one():
    values = [cp.scan_p(z) for z in (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 40.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    assert values[-1] < 1e-300


def test_adjustment_drops_what_may_be_chance_among_many():
    step = cp.Step(5, 4, 6, 3.0, 9e-4, 1.0, 0.1, 0.2, 0.7)
    sure = cp.Step(5, 4, 6, 9.0, 1e-12, 1.0, 0.1, 0.2, 0.7)
    none = np.zeros(0)
    found = [cp.SeriesSteps((step,), 0.0, 1.0, none), cp.SeriesSteps((sure,), 0.0, 1.0, none)]
    quiet = [cp.SeriesSteps((), 0.0, 1.0, none)] * 98
    kept = cp.adjusted([*found, *quiet], 0.01)
    assert kept[0].steps == ()
    assert kept[1].steps[0].q == pytest.approx(1e-10)
