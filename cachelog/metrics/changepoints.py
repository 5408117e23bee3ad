"""Lasting steps in miss rates: from counts per window to steps with onset intervals and p-values (METHODS §1).

Arrays are float64 of shape (S series, T windows): y misses, n lookups, 0 where nothing was seen or the window is
masked. The stages: effective counts (overdispersion) -> null quasi-binomial GLM -> score-CUSUM over seeded
intervals -> quasi-binomial GLM with steps, p-value of a scanned maximum -> Benjamini-Hochberg over all series.
Sources: Kovacs et al. (2023), seeded binary segmentation; Csorgo and Horvath (1997), tail of the scanned maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cachelog.contract.limits import Limits
from cachelog.metrics.proportions import Floats, benjamini_hochberg
from cachelog.metrics.proposals import propose, rise_near, shortest_segment

_DAY = 86_400.0
_RHO_BLOCKS = (1, 3, 12)  # windows: overdispersion shows at one of these scales
_PHI_BLOCKS = (6, 12, 24)  # windows: slower drift than rho sees
_LONG_BLOCKS = 15  # and this many blocks of whatever length: narrow windows drift over many of them
_FEWEST_BLOCKS = 10  # with fewer blocks a variance ratio is noise
_TRIM = 0.98  # quantile: the squares above it are steps, not noise
_UNTRIM = 1.12  # undoes the trimming: the mean of chi2(1) below its 98 % quantile is 0.895
_HUBER = 3.0  # standard deviations
_RIDGE = 0.1  # on every coefficient but the level
_REACH = 72  # windows: how far a step is moved when it is placed by likelihood
_WALD = 2.0  # log odds: beyond, beta / its deviation shrinks as the step grows (Hauck and Donner 1977)
_DROP = 7.0  # 2 x log-likelihood: windows within it of the best are the onset interval (coverage 0.94-0.98 measured)
_NOWHERE = slice(0, 0)
_PART_OF_DAY = 3  # columns of the null model of logs that are shorter than its seasons: level and first harmonic
_SHARPER = 5.0  # log-likelihood: odds of 150 to 1
_PART = 2_000  # series worked on at once: bounds memory


@dataclass(frozen=True, slots=True)
class Step:
    """One change of level; windows are indices into the series."""

    at: int  # first window of the new level
    low: int  # the onset lies in low..high
    high: int
    z: float
    p: float  # of a maximum scanned over all places
    q: float  # p adjusted over all series (Benjamini-Hochberg)
    before: float  # fitted miss rate at the old level and at the new one
    after: float
    log_odds: float  # signed


@dataclass(frozen=True, slots=True)
class SeriesSteps:
    """The steps of one series, in order of time, and how noisy it is beyond counting."""

    steps: tuple[Step, ...]
    rho: float  # correlation of lookups in a window
    phi: float  # dispersion left after effective counts, >= 1
    linear: Floats  # log odds of the fitted rate had the first level held (T,); empty without steps


class Verified(NamedTuple):
    """The steps of one series, its dispersion, and the log odds of its rate had the first level held."""

    steps: tuple[Step, ...]
    phi: float
    linear: Floats


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted quasi-binomial model."""

    beta: Floats
    covariance: Floats
    mu: Floats  # fitted rate per window


def design(windows: int, seconds: float, limits: Limits) -> Floats:
    """Return the columns of the null model, (T, P): the level, and the rhythm of day and week as far as it may show.

    `seconds` is the width of a window. A part of a day has the day's first harmonic already: without it, the slope of
    the day passes for a step.
    """
    span = windows * seconds
    t = np.arange(windows) * seconds / _DAY
    columns = [np.ones(windows)]
    harmonics = 2 if span >= limits.season_min_s else int(span >= limits.slope_min_s)
    columns += [f(2 * np.pi * k * t) for k in range(1, harmonics + 1) for f in (np.sin, np.cos)]
    if span >= limits.week_min_s:
        columns += [f(2 * np.pi * t / 7) for f in (np.sin, np.cos)]
    return np.column_stack(columns)


def find_steps(y: Floats, n: Floats, model: Floats, limits: Limits, suspected: slice = _NOWHERE) -> list[SeriesSteps]:
    """Return the steps of every series before `adjusted`; `model` is the null model's design (T, P).

    `suspected` windows are known to stand out: one rise is looked for there, and how a series varies is read from
    the others.
    """
    found: list[SeriesSteps] = []
    for first in range(0, len(y), _PART):
        part = slice(first, first + _PART)
        found += _part_steps(y[part], n[part], model, limits, suspected)
    return found


def adjusted(found: Sequence[SeriesSteps], fdr: float) -> list[SeriesSteps]:
    """Keep the steps that stand when all are judged together; a series without a step counts with p = 1."""
    p = [step.p for series in found for step in series.steps] + [1.0 for series in found if not series.steps]
    q = iter(benjamini_hochberg(p).tolist())
    judged = [tuple(replace(step, q=next(q)) for step in series.steps) for series in found]
    return [
        replace(series, steps=tuple(step for step in steps if step.q <= fdr))
        for series, steps in zip(found, judged, strict=True)
    ]


def effective_counts(y: Floats, n: Floats, suspected: slice = _NOWHERE) -> tuple[Floats, Floats, Floats]:
    """Return y*, n* (S, T) and rho (S): counts scaled so that plain binomial formulas have the right variance.

    Var(y) = n p (1-p) (1 + (n-1) rho). rho comes from differences of adjacent blocks, which a step does not move,
    of windows that are not suspected.
    """
    rho = np.zeros(len(y))
    calm = np.ones(n.shape[1])
    calm[suspected] = 0.0
    for block in _RHO_BLOCKS:
        if n.shape[1] // block >= _FEWEST_BLOCKS:
            rho = np.maximum(rho, _block_rho(y * calm, n * calm, block))
    factor = 1 + np.maximum(n - 1, 0) * rho[:, None]
    return y / factor, n / factor, rho


def null_score(y: Floats, n: Floats, model: Floats) -> tuple[Floats, Floats]:
    """Return residuals y - n mu (Huberised) and information n mu (1-mu), (S, T), of the model without steps."""
    calm, mu = _null(y, n, model)
    return calm - n * mu, n * mu * (1 - mu)


def null_rate(y: Floats, n: Floats, model: Floats) -> Floats:
    """Return the rate of each window, (S, T), of the model without steps."""
    return _null(y, n, model)[1]


def _null(y: Floats, n: Floats, model: Floats) -> tuple[Floats, Floats]:
    """Fit, calm the spikes, fit again; return the calmed misses and the fitted rate."""
    beta = np.zeros((len(y), model.shape[1]))
    beta[:, 0] = logit((y.sum(1) + 0.5) / (n.sum(1) + 1))
    calm, mu = y, y
    for _ in range(2):
        beta = _batched_irls(calm, n, model, beta)
        mu = expit(beta @ model.T)
        calm = _huberised(y, n, mu)
    return calm, mu


def verify(y: Floats, n: Floats, model: Floats, candidates: Sequence[int], limits: Limits) -> Verified:
    """Return the steps of one series (T,) that stand in a GLM with all of them.

    The weakest step goes while any is insignificant or small; then steps are placed by likelihood and judged again.
    """
    shortest = shortest_segment(len(y))
    cuts = sorted({c for c in candidates if shortest <= c <= len(y) - max(2, shortest // 2)})
    places: dict[int, tuple[int, int]] = {}
    placed = False
    while cuts := _apart(cuts, n, round(limits.shift_apart * shortest)):
        calm, fit = _fit_steps(y, n, model, cuts)
        phi = _dispersion(calm, n, fit)
        steps = _judged(model, cuts, fit, (calm, n), phi)
        weak = [k for k, step in enumerate(steps) if _is_weak(step, limits)]
        if weak:
            cuts.pop(min(weak, key=lambda k: (steps[k].z, k)))
        elif not placed:
            placed, places = True, _placed(model, cuts, fit, calm, n)
            cuts = sorted(places)
        else:
            told = tuple(replace(step, **_bounds(places.get(step.at, (step.at, step.at)))) for step in steps)
            return Verified(told, phi, model @ fit.beta[: model.shape[1]])
    return Verified((), 1.0, np.zeros(0))


def scan_p(z: float) -> float:
    """Return the p-value of |z| as a maximum over all places (Csorgo and Horvath) but 2 % at either end."""
    x = max(z, 1.5)  # the formula is for tails; below, the answer is 1 anyway
    ends = 2 * math.log(0.98 / 0.02)
    tail = x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi) * ((1 - 1 / x**2) * ends + 4 / x**2)
    return min(1.0, tail)


def irls(columns: Floats, y: Floats, n: Floats) -> Fit:
    """Fit one series (T,) by ridge-stabilised Newton steps; `columns` (T, P), the first is the level."""
    ridge = _ridge(columns.shape[1])
    beta = np.zeros(columns.shape[1])
    beta[0] = logit((y.sum() + 0.5) / (n.sum() + 1))
    for _ in range(10):
        mu = expit(columns @ beta)
        weight = n * mu * (1 - mu) + 1e-12
        step = np.linalg.solve((columns * weight[:, None]).T @ columns + ridge, columns.T @ (y - n * mu) - ridge @ beta)
        beta = beta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-3:
            break
    mu = expit(columns @ beta)
    weight = n * mu * (1 - mu) + 1e-12
    covariance = np.linalg.inv((columns * weight[:, None]).T @ columns + ridge).astype(np.float64)
    return Fit(beta, covariance, mu)


def likeliest(without: Floats, height: float, y: Floats, n: Floats) -> tuple[int, int, int]:
    """Return the best place of a step of this height in a stretch, and the ends of its likelihood interval."""
    old, new = log_likelihood(without, y, n), log_likelihood(without + height, y, n)
    likelihood = np.concatenate([[0.0], np.cumsum(old - new)[:-1]])
    near = np.flatnonzero(2 * (likelihood.max() - likelihood) <= _DROP)
    return int(np.argmax(likelihood)), int(near[0]), int(near[-1])


def log_likelihood(linear: Floats, y: Floats, n: Floats) -> Floats:
    """Return the binomial log-likelihood of each window; `linear` holds log odds."""
    mu = np.clip(expit(linear), 1e-12, 1 - 1e-12)
    value: Floats = y * np.log(mu) + (n - y) * np.log1p(-mu)
    return value


def expit(linear: Floats) -> Floats:
    """Return rates from log odds, which are held to +-12."""
    return 1 / (1 + np.exp(-np.clip(linear, -12, 12)))


def logit(p: Floats) -> Floats:
    """Return the log odds of rates strictly between 0 and 1."""
    odds: Floats = np.log(p) - np.log1p(-p)
    return odds


def _part_steps(y: Floats, n: Floats, model: Floats, limits: Limits, suspected: slice) -> list[SeriesSteps]:
    calm_y, calm_n, rho = effective_counts(y, n, suspected)
    score = null_score(calm_y, calm_n, model)
    proposals = propose(*score, limits) if suspected == _NOWHERE else rise_near(*score, suspected)
    found: list[SeriesSteps] = []
    bare = proposals
    if model.shape[1] == _PART_OF_DAY and suspected == _NOWHERE:
        bare = propose(*null_score(calm_y, calm_n, model[:, :1]), limits)
    for s, candidates in enumerate(proposals):
        told = verify(calm_y[s], calm_n[s], model, candidates, limits)
        if bare is not proposals:
            told = _sharper(
                told, verify(calm_y[s], calm_n[s], model[:, :1], bare[s], limits), (calm_y[s], calm_n[s]), model
            )
        found.append(SeriesSteps(told.steps, float(rho[s]), told.phi, told.linear))
    return found


def _sharper(told: Verified, bare: Verified, counts: tuple[Floats, Floats], model: Floats) -> Verified:
    """Return the steps without a slope of the day where they fit better than any slope without steps.

    A part of a wave bends to a step, and would hide it. By the Bayesian information criterion, a step with its place.
    """
    if not bare.steps:
        return told
    cuts = [step.at for step in bare.steps]
    phi = max(told.phi, bare.phi)
    wave, steps = (
        float(log_likelihood(c @ irls(c, *counts).beta, *counts).sum()) / phi
        for c in (model, np.column_stack([model[:, :1], _steps_at(cuts, len(model))]))
    )
    price = (2 * len(cuts) + 1 - _PART_OF_DAY) / 2 * math.log(len(model))
    return bare if steps - price - wave > _SHARPER else told


def _block_rho(y: Floats, n: Floats, block: int) -> Floats:
    misses, lookups = _blocks(y, block), _blocks(n, block)
    local = (_moving_sum(misses) + 0.5) / (_moving_sum(lookups) + 1)
    p = 0.5 * (local[:, :-1] + local[:, 1:])
    first, second = np.maximum(lookups[:, :-1], 1e-9), np.maximum(lookups[:, 1:], 1e-9)
    both = (lookups[:, :-1] > 0) & (lookups[:, 1:] > 0)
    inverse = 1 / first + 1 / second
    squares = (misses[:, :-1] / first - misses[:, 1:] / second) ** 2 / (p * (1 - p) * inverse)
    phi = _UNTRIM * _trimmed_mean(squares, both)
    size = np.where(both, 2 / inverse, 0).sum(1) / np.maximum(both.sum(1), 1)
    rho: Floats = np.clip((phi - 1) / np.maximum(size / block - 1, 1), 0, 0.5)
    return rho


def _trimmed_mean(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Mean of the known values of each row up to their 98 % quantile; 0 for rows without any."""
    rising = np.sort(np.where(known, values, np.inf), axis=1)
    count = known.sum(1)
    kept = np.where(count > 0, np.floor(_TRIM * (count - 1)).astype(np.int64) + 1, 0)
    inside = np.arange(values.shape[1]) < kept[:, None]
    mean: Floats = np.where(inside, rising, 0).sum(1) / np.maximum(kept, 1)
    return mean


def _blocks(values: Floats, block: int) -> Floats:
    whole = values.shape[1] // block
    summed: Floats = values[:, : whole * block].reshape(len(values), whole, block).sum(2)
    return summed


def _moving_sum(values: Floats) -> Floats:
    """Sum of each value and its three neighbours on either side."""
    padded = np.pad(values, ((0, 0), (4, 3)))
    sums = np.cumsum(padded, axis=1)
    moving: Floats = sums[:, 7:] - sums[:, :-7]
    return moving


def _batched_irls(y: Floats, n: Floats, model: Floats, beta: Floats) -> Floats:
    """Fit every series at once by ridge-stabilised Newton steps."""
    ridge = _ridge(model.shape[1])
    for _ in range(6):
        mu = expit(beta @ model.T)
        weight = n * mu * (1 - mu) + 1e-12
        slope = (y - n * mu) @ model - beta @ ridge
        curve = np.einsum("tp,st,tq->spq", model, weight, model, optimize=True) + ridge
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        beta = beta + np.clip(step, -2, 2)
        if np.abs(step).max(initial=0.0) < 1e-3:
            break
    return beta


def _ridge(columns: int) -> Floats:
    return np.diag([0.0] + [_RIDGE] * (columns - 1))


def _huberised(y: Floats, n: Floats, mu: Floats) -> Floats:
    """Pull windows further than 3 standard deviations from the fit to that distance: spikes are no steps."""
    deviation = np.maximum(np.sqrt(np.maximum(n * mu * (1 - mu), 1e-9)), 0.5)
    far = np.clip((y - n * mu) / deviation, -_HUBER, _HUBER)
    pulled: Floats = np.clip(n * mu + far * deviation, 0, n)
    return pulled


def _apart(cuts: Sequence[int], n: Floats, fewest: int) -> list[int]:
    """Drop a step with fewer than `fewest` unmasked windows since the one before it: they are one."""
    kept: list[int] = []
    for cut in cuts:
        if not kept or np.count_nonzero(n[kept[-1] : cut]) >= fewest:
            kept.append(cut)
    return kept


def _fit_steps(y: Floats, n: Floats, model: Floats, cuts: Sequence[int]) -> tuple[Floats, Fit]:
    """Fit, calm the spikes, fit again; return the calmed misses and the second fit."""
    columns = np.column_stack([model, _steps_at(cuts, len(y))])
    first = irls(columns, y, n)
    calm = _huberised(y, n, first.mu)
    return calm, irls(columns, calm, n)


def _steps_at(cuts: Sequence[int], windows: int) -> Floats:
    return (np.arange(windows)[:, None] >= np.asarray(cuts)[None, :]).astype(np.float64)


def _dispersion(y: Floats, n: Floats, fit: Fit) -> float:
    """Return the largest of 1, Pearson's dispersion and that of blocks of windows (drift)."""
    error, variance, columns = y - n * fit.mu, n * fit.mu * (1 - fit.mu), len(fit.beta)
    phi = 1.0
    longest = max(*_PHI_BLOCKS, len(y) // _LONG_BLOCKS)
    for block in (1, *_PHI_BLOCKS, longest):
        e, v = _blocks(error[None], block)[0], _blocks(variance[None], block)[0]
        seen = np.count_nonzero(v > 0)
        if seen >= _FEWEST_BLOCKS + columns or block == 1:
            phi = max(phi, float((e**2).sum() / max(v.sum(), 1e-9) * seen / max(1, seen - columns)))
    return phi


def _judged(model: Floats, cuts: Sequence[int], fit: Fit, counts: tuple[Floats, Floats], phi: float) -> list[Step]:
    first = model.shape[1]
    deviation = np.sqrt(np.diag(fit.covariance)[first:] * phi)
    base = model @ fit.beta[:first]
    edges = [0, *cuts, len(base)]
    steps: list[Step] = []
    for k, cut in enumerate(cuts):
        near = slice(edges[k], edges[k + 2])
        height = float(fit.beta[first + k])
        level = base[near] + fit.beta[first : first + k].sum()
        weight = counts[1][near] + 1e-9
        before = float(np.average(expit(level), weights=weight))
        after = float(np.average(expit(level + height), weights=weight))
        z = abs(height) / float(deviation[k])
        if abs(height) > _WALD:
            z = max(z, _likelihood_z(model, cuts, k, counts) / math.sqrt(phi))
        steps.append(Step(cut, cut, cut, z, scan_p(z), 1.0, before, after, height))
    return steps


def _likelihood_z(model: Floats, cuts: Sequence[int], k: int, counts: tuple[Floats, Floats]) -> float:
    """Return the signed root of the likelihood ratio of a step."""
    with_it = np.column_stack([model, _steps_at(cuts, len(model))])
    without = np.delete(with_it, model.shape[1] + k, axis=1)
    full, less = (log_likelihood(c @ irls(c, *counts).beta, *counts).sum() for c in (with_it, without))
    return math.sqrt(max(0.0, 2 * float(full - less)))


def _is_weak(step: Step, limits: Limits) -> bool:
    small = abs(step.log_odds) < math.log(limits.shift_odds) or abs(step.after - step.before) < limits.shift_rate
    return small or step.p > limits.shift_p


def _placed(model: Floats, cuts: Sequence[int], fit: Fit, y: Floats, n: Floats) -> dict[int, tuple[int, int]]:
    """Move every step to its likeliest window, the others held; return place -> onset interval."""
    first, windows = model.shape[1], len(n)
    linear = model @ fit.beta[:first] + _steps_at(cuts, windows) @ fit.beta[first:]
    gap = max(1, shortest_segment(windows) // 2)
    edges = [0, *cuts, windows]
    places: dict[int, tuple[int, int]] = {}
    for k, cut in enumerate(cuts):
        low, high = max(edges[k] + gap, cut - _REACH), min(edges[k + 2] - gap, cut + _REACH)
        height = float(fit.beta[first + k])
        near = slice(low, high)
        without = linear[near] - height * (np.arange(low, high) >= cut)
        at, left, right = likeliest(without, height, y[near], n[near])
        places[low + at] = (low + left, low + right)
    return places


def _bounds(interval: tuple[int, int]) -> dict[str, int]:
    return {"low": interval[0], "high": interval[1]}
