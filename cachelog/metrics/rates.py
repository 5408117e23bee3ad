"""Rates of misses as counts, and how one compares with another."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cachelog.metrics.proportions import Floats

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rate:
    """Misses of lookups; counts may be fractional."""

    misses: float
    lookups: float

    @property
    def value(self) -> float:
        """Return the rate, 0 without lookups."""
        return self.misses / self.lookups if self.lookups else 0.0

    @property
    def odds(self) -> float:
        """Return the odds of a miss."""
        return odds(self.value)


def rate_of(misses: Floats, lookups: Floats, chosen: slice | Mask) -> Rate:
    """Return the rate over some windows of a series."""
    return Rate(float(misses[chosen].sum()), float(lookups[chosen].sum()))


def total(rates: Iterable[Rate]) -> Rate:
    """Return the rate of all together."""
    parts = list(rates)
    return Rate(sum(r.misses for r in parts), sum(r.lookups for r in parts))


def odds(rate: float) -> float:
    """Return the odds of a rate, which is held to 0.0001 .. 0.9999."""
    held = min(max(rate, 1e-4), 1 - 1e-4)
    return held / (1 - held)


def z_of(first: Rate, second: Rate, spread: float = 1.0) -> float:
    """Return the z of the difference second - first, 0 where a side has no lookups.

    `spread` is by how much they vary more than binomial counts.
    """
    if not first.lookups or not second.lookups:
        return 0.0
    pooled = (first.misses + second.misses + 0.5) / (first.lookups + second.lookups + 1)
    variance = spread * pooled * (1 - pooled) * (1 / first.lookups + 1 / second.lookups)
    return (second.value - first.value) / math.sqrt(variance)
