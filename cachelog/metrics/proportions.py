"""Intervals and tests for rates: Wilson, Newcombe, the normal law and Benjamini-Hochberg, without SciPy."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_NORMAL = NormalDist()


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile; raises StatisticsError outside 0 < probability < 1."""
    return _NORMAL.inv_cdf(probability)


def normal_tail(z: float) -> float:
    """Return P(Z > z) of the standard normal law, exact in the far tail too."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def two_sided(level: float) -> float:
    """Return the z of a two-sided interval of this confidence level, 1.96 for 0.95."""
    return normal_quantile(0.5 + level / 2.0)


def wilson_bounds(events: ArrayLike, trials: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return lower and upper ends of the Wilson score interval of events/trials, elementwise.

    Counts may be effective (fractional) counts. Without trials nothing is known: 0 and 1.
    Source: Wilson (1927); Brown, Cai and DasGupta (2001) recommend it for every n.
    """
    y, n = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(trials, np.float64))
    z2 = two_sided(level) ** 2
    known = n > 0
    size = np.where(known, n, 1.0)
    p = np.where(known, y / size, 0.5)
    centre = (p + z2 / (2 * size)) / (1 + z2 / size)
    half = np.sqrt(z2) / (1 + z2 / size) * np.sqrt(np.maximum(p * (1 - p), 0.0) / size + z2 / (4 * size**2))
    low = np.where(known & (y > 0), centre - half, 0.0)  # exactly 0 and 1 at the ends, not 1e-17
    high = np.where(known & (y < n), centre + half, 1.0)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def wilson(events: float, trials: float, level: float = 0.95) -> tuple[float, float, float] | tuple[None, None, None]:
    """Return one rate with the lower and upper end of its Wilson interval; None without trials."""
    if trials <= 0:
        return None, None, None
    low, high = wilson_bounds(events, trials, level)
    return events / trials, float(low), float(high)


def newcombe(
    events0: float, trials0: float, events1: float, trials1: float, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the difference p1 - p0 of two independent rates (Newcombe 1998, method 10).

    Without trials on a side the interval is as wide as that side is unknown.
    """
    low, high = wilson_bounds([events0, events1], [trials0, trials1], level)
    p0, p1 = _rate(events0, trials0), _rate(events1, trials1)
    down = math.hypot(p1 - low[1], high[0] - p0)
    up = math.hypot(high[1] - p1, p0 - low[0])
    return max(-1.0, p1 - p0 - down), min(1.0, p1 - p0 + up)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Return p-values adjusted for the false discovery rate; reject where the result is <= q.

    Shape as given (1-d). Source: Benjamini and Hochberg (1995).
    """
    values = np.asarray(p, np.float64)
    m = values.size
    order = np.argsort(values, kind="stable")
    scaled = values[order] * m / np.arange(1, m + 1)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def _rate(events: float, trials: float) -> float:
    return events / trials if trials > 0 else 0.5
