"""Is a miss rate higher after than before, by more than a margin? Pass, fail or inconclusive (METHODS §2).

Misses vary more than binomial counts (bursts, rhythms), so both sides are divided by their dispersion first. Then the
chance that the rate went up by more than the margin is computed from two beta distributions (Jeffreys' prior), which
hold for zero misses and for few lookups as well. A rate that is over the margin with a chance of 95 % fails, one that
is with 5 % passes, and in between more lookups are needed.

Repeated looks share the 5 %, along O'Brien and Fleming's curve: early looks decide what is beyond doubt, and next to
nothing is taken from the last one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cachelog.contract.config import Margins
from cachelog.contract.limits import Limits
from cachelog.contract.verdict import Outcome
from cachelog.metrics.proportions import Floats, newcombe, normal_quantile, normal_tail
from cachelog.metrics.rates import Rate

_CELLS = 1024  # of a distribution: P is exact to 1e-4
_REACH = 12.0  # standard deviations on both sides
_POWER = 6.18  # (z(.95) + z(.80))^2: lookups that show a pass in 4 of 5 cases (METHODS §2)
_WALK, _STEPS = 6.0, 1201  # of a sum of looks, in standard deviations of the last, and cells over it
_PSEUDO = 4.0  # slices with which a correlation is held to 0
_MEMORY = 0.9  # a correlation beyond it is a trend


@dataclass(frozen=True, eq=False)
class Side:
    """Counts by slices of time; without slices (a saved report) one each."""

    misses: Floats
    lookups: Floats

    @property
    def rate(self) -> Rate:
        """Return all slices together."""
        return Rate(float(self.misses.sum()), float(self.lookups.sum()))


@dataclass(frozen=True, slots=True)
class Errors:
    """The chances of being wrong that one look may take."""

    fail: float  # of failing what is within the margin
    passing: float  # of passing what is not


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of one rate against one bound."""

    outcome: Outcome
    before: Rate | None
    after: Rate
    spread: float  # by how much counts vary more than binomial ones
    low: float  # 90 % interval of the difference, of the rate itself where there is no before
    high: float
    allowed: float  # the difference, or the rate
    chance: float  # that it is over what is allowed
    needed: int  # lookups on each side that would decide it in most cases
    cold: int = 0  # misses of cold caches without which it would not be decided so


@lru_cache(maxsize=64)
def levels(total: float, looks: int) -> tuple[float, ...]:
    """Return the error that each of equally spaced looks may take, so that all of them together take `total`.

    Until a part t of the time `2 (1 - F(z(1 - total/2) / sqrt(t)))` is spent (O'Brien and Fleming's curve, Lan and
    DeMets 1983). Boundaries by recursive integration over sums with independent increments (Armitage, McPherson and
    Rowe 1969), which those of a growing number of lookups have at the most.
    """
    x = np.linspace(-_WALK, _WALK, _STEPS)
    step = x[1] - x[0]
    kernel = np.exp(-((x[:, None] - x[None, :]) ** 2) * looks / 2) * math.sqrt(looks / (2 * math.pi)) * step
    alive = np.exp(-(x**2) * looks / 2) * math.sqrt(looks / (2 * math.pi)) * step
    found, before = [], 0.0
    for look in range(1, looks + 1):
        now = spent(look / looks, total)
        tail = np.cumsum(alive[::-1])[::-1]
        bound = float(np.interp(before - now, -tail, x)) - step / 2  # cells reach half a step to both sides
        found.append(normal_tail(bound / math.sqrt(look / looks)))
        alive, before = kernel @ np.where(x < bound, alive, 0.0), now
    return tuple(found)


def spent(part: float, total: float) -> float:
    """Return what may be spent of an error until a part of the time has passed (O'Brien and Fleming's curve)."""
    return 2.0 * normal_tail(normal_quantile(1.0 - total / 2.0) / math.sqrt(part))


def dispersion(sides: Sequence[Side]) -> float:
    """Return by how much the sums of slices vary more than binomial counts within each side, at least 1.

    Pearson's statistic (METHODS §2), times (1 + r) / (1 - r) where neighbouring slices correlate by r: what comes in
    waves says less than as many slices by themselves. r is put right for the means, which are of the same slices
    (1/T a side), and shrunk, since it is of few slices. Measured in bench/JUDGE.md; METHODS has neither r nor, without
    the shrinking of the statistic that it has, 5 % on the edge.
    """
    parts = [_residuals(side) for side in sides]
    slices, freedom = sum(map(len, parts)), sum(max(len(r) - 1, 0) for r in parts)
    total = sum(float((r**2).sum()) for r in parts)
    if not freedom or total <= 0:
        return 1.0
    lagged = sum(float((r[1:] * r[:-1]).sum()) for r in parts)
    r = (lagged / total + len(parts) / slices) * slices / (slices + _PSEUDO)
    memory = min(max(r, 0.0), _MEMORY)
    return max(1.0, total / freedom * (1 + memory) / (1 - memory))


def _residuals(side: Side) -> Floats:
    """Return Pearson's residuals of the slices that have lookups."""
    known = side.lookups > 0
    y, n = side.misses[known], side.lookups[known]
    p = (y.sum() + 0.5) / (n.sum() + 1.0)
    return np.asarray((y - n * p) / np.sqrt(n * p * (1 - p)))


def chance_over(before: Rate, after: Rate, margins: Margins) -> float:
    """Return the chance that the rate after is over that before by more than the margins; counts may be fractional.

    Summed over the cells of the narrower distribution, so that the other one hardly changes within a cell.
    """
    d, r = margins.absolute, margins.relative
    if before.lookups > after.lookups:
        p, weight = _cells(before)
        return float((weight * (1.0 - _below(after, np.minimum(1.0, p + np.maximum(d, r * p))))).sum())
    p, weight = _cells(after)
    return float((weight * _below(before, np.maximum(0.0, np.minimum(p - d, p / (1.0 + r))))).sum())


def _cells(rate: Rate) -> tuple[Floats, Floats]:
    """Return the rates in the middle of cells, and the weights of these."""
    theta, weight, _ = _posterior(rate)
    return np.asarray(np.sin(theta) ** 2), weight


def _posterior(rate: Rate) -> tuple[Floats, Floats, float]:
    """Return cells of the posterior of arcsin(sqrt(p)), their weights, and their width.

    On this scale Jeffreys' prior is flat, the density has no poles, and its deviation is 1/(2 sqrt(n)) everywhere.
    """
    a, b = rate.misses + 0.5, rate.lookups - rate.misses + 0.5
    middle, deviation = math.asin(math.sqrt(a / (a + b))), 0.5 / math.sqrt(a + b)
    low = max(0.0, middle - _REACH * deviation)
    width = (min(math.pi / 2, middle + _REACH * deviation) - low) / _CELLS
    theta = low + width * (np.arange(_CELLS) + 0.5)
    log = 2.0 * (rate.misses * np.log(np.sin(theta)) + (rate.lookups - rate.misses) * np.log(np.cos(theta)))
    weight = np.exp(log - log.max())
    return np.asarray(theta), np.asarray(weight / weight.sum()), width


def _below(rate: Rate, bound: Floats) -> Floats:
    """Return the chances that a rate is below bounds."""
    theta, weight, width = _posterior(rate)
    edges = theta[0] - width / 2 + width * np.arange(_CELLS + 1)
    return np.asarray(np.interp(np.arcsin(np.sqrt(bound)), edges, np.concatenate([[0.0], np.cumsum(weight)])))


def judge_increase(before: Side, after: Side, margins: Margins, errors: Errors, limits: Limits) -> Judged:
    """Judge whether the rate went up by more than the margins allow."""
    spread = dispersion([before, after])
    first, second = _effective(before.rate, spread), _effective(after.rate, spread)
    allowed = max(margins.absolute, margins.relative * first.value)
    chance = chance_over(first, second, margins)
    low, high = newcombe(first.misses, first.lookups, second.misses, second.lookups, 0.9)
    enough = min(first.lookups, second.lookups) >= limits.check_lookups
    gap = allowed - (second.value - first.value)
    needed = _needed([before.rate, after.rate], spread, allowed, gap, limits)
    outcome = _outcome(chance, enough, errors)
    return Judged(outcome, before.rate, after.rate, spread, low, high, allowed, chance, needed)


def judge_level(after: Side, most: float, errors: Errors, limits: Limits) -> Judged:
    """Judge whether the rate is over the highest one allowed."""
    spread = dispersion([after])
    now = _effective(after.rate, spread)
    chance = 1.0 - float(_below(now, np.array([most]))[0])
    p, weight = _cells(now)
    ends = np.interp([0.05, 0.95], np.cumsum(weight), p)
    enough = now.lookups >= limits.check_lookups
    needed = _needed([after.rate], spread, max(most, limits.check_least), most - now.value, limits)
    outcome = _outcome(chance, enough, errors)
    return Judged(outcome, None, after.rate, spread, float(ends[0]), float(ends[1]), most, chance, needed)


def _effective(rate: Rate, spread: float) -> Rate:
    return Rate(rate.misses / spread, rate.lookups / spread)


def _outcome(chance: float, enough: bool, errors: Errors) -> Outcome:
    if enough and chance >= 1.0 - errors.fail:
        return Outcome.FAIL
    return Outcome.PASS if enough and chance <= errors.passing else Outcome.INCONCLUSIVE


def _needed(rates: Sequence[Rate], spread: float, allowed: float, gap: float, limits: Limits) -> int:
    """Return how many lookups a side takes: for no change to pass 4 times in 5, or for the rates seen to decide it."""
    held = [(r.misses + 0.5) / (r.lookups + 1.0) for r in rates]
    variance = spread * sum(p * (1 - p) for p in held)
    least = max(allowed, limits.check_least) ** 2
    wanted = max(_POWER * variance / least, 2.71 * variance / max(gap**2, least / 25), limits.check_lookups * spread)
    return math.ceil(wanted)
