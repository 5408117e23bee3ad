"""Fleets before anything happens to them, and the dice for what does: the seed chooses sizes, names and versions.

Seeds below `WIDE` are of the tests: about an hour of 4 to 8 replicas. Those from `WIDE` on are of `python -m
bench.incidents`: 20 minutes to 12 hours, 3 to 20 replicas, sparse or busy, miss rates from half a percent to 60 %.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.simulate import CacheRules, Floats, Scenario, Traffic

WIDE = 1000
_LONG = 2640.0  # seconds of the shortest log of the tests: what happens in shorter ones happens faster

#: Three versions each, oldest first; compared as text most are wrong. The first and last are of Triton's kind.
SCHEMES = (
    ("9", "10", "11"),
    ("v98", "v99", "v100"),
    ("1.9.3", "1.10.0", "1.10.1"),
    ("20260727-2", "20260803-1", "20260803-2"),
    ("2026.7.30", "2026.8.1", "2026.8.2"),
    ("1785100000", "1785400000", "1785700000"),
)
#: The order of hashes is stated elsewhere (Scenario.order).
SHAS = ("9c41d7e", "02fb3a8", "5be60d1")
_WIDE_SCHEMES = (
    *SCHEMES, ("1", "2", "3"), ("v41", "v42", "v43"), ("20261101", "20261104", "20261109"), ("2.0.0-rc.1", "2.0.0", "2.0.1"),
    SHAS,
)  # fmt: skip
_MODELS = ("checkout-risk", "query-intent", "eta-minutes", "image-nsfw", "upsell", "lang-detect", "dedup-embed")
_APPS = ("inference-core", "model-host", "scoring", "predict-gw")
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True)
class Plot:
    """A fleet before anything happens to it, and the dice for what does."""

    base: Scenario
    dice: np.random.Generator
    model: str  # the one that things happen to
    versions: tuple[str, ...]
    miss: float  # about the miss rate of that model in quiet times, 0 where nobody asked

    @property
    def pods(self) -> tuple[str, ...]:
        """Return the replicas."""
        return self.base.replicas

    @property
    def old(self) -> str:
        """Return the version that the fleet serves when the log begins."""
        return self.versions[0]

    @property
    def new(self) -> str:
        """Return the version that comes after it."""
        return self.versions[1]

    def after(self, seconds: float) -> float:
        """Return how long something takes in this log that takes `seconds` in a log of an hour."""
        return seconds * min(1.0, self.base.seconds / _LONG)


def plot(
    name: str, seed: int, shared: bool | None = None, pods: int | None = None, models: int | None = None
) -> Plot:  # fmt: skip
    """Return a fleet whose replicas all serve the oldest version of their models; what is None the seed chooses."""
    dice = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if seed >= WIDE:
        return _wide(dice, seed, shared, pods, models)
    return _narrow(dice, seed, True if shared is None else shared, pods, models)


def _narrow(dice: np.random.Generator, seed: int, shared: bool, pods: int | None, models: int | None) -> Plot:
    names = _pods(dice, pods or int(dice.integers(4, 9)))
    chosen = [str(m) for m in dice.choice(_MODELS, models or int(dice.integers(2, 5)), replace=False)]
    scheme = SCHEMES[seed % len(SCHEMES)]
    traffic = tuple(Traffic(m, scheme, float(dice.uniform(2.0, 4.0)), int(dice.integers(120, 300))) for m in chosen)
    resident = {(pod, model): scheme[:1] for pod in names for model in chosen}
    quiet = {"evict"} | ({"load_start"} if dice.random() < 0.5 else set())
    seconds = float(dice.integers(44, 60)) * 60.0
    base = Scenario(
        names, traffic, CacheRules(2000, 240.0), shared, resident, seconds=seconds, unlogged=frozenset(quiet)
    )
    return Plot(base, dice, chosen[0], scheme, 0.0)


def _pods(dice: np.random.Generator, count: int) -> tuple[str, ...]:
    app, letters = str(dice.choice(_APPS)), list(_LETTERS)
    middle = "".join(dice.choice(letters, 9))
    return tuple(sorted({f"{app}-{middle}-{''.join(dice.choice(letters, 5))}" for _ in range(count)}))


# -- fleets of all sizes ----------------------------------------------------------------------------


def _wide(dice: np.random.Generator, seed: int, shared: bool | None, pods: int | None, models: int | None) -> Plot:
    names = _places(dice, pods or round(_between(dice, 3, 20)))
    chosen = [str(m) for m in dice.choice(_MODELS, models or int(dice.integers(1, 5)), replace=False)]
    scheme = _WIDE_SCHEMES[seed % len(_WIDE_SCHEMES)]
    seconds, lookups = _between(dice, 1200.0, 43200.0), _between(dice, 1500.0, 60000.0)
    parts = dice.dirichlet([3.0] * len(chosen))
    traffic = tuple(
        Traffic(m, scheme, lookups * p / seconds, round(_between(dice, 50, 2000)), float(dice.uniform(0.6, 1.2)))
        for m, p in zip(chosen, parts.tolist(), strict=True)
    )
    one = bool(dice.random() < 0.5) if shared is None else shared
    miss, cache = _cache(dice, traffic[0], 1 if one else len(names), seconds)
    quiet = {"evict"} if dice.random() < 0.7 else set()
    quiet |= {"load_start"} if dice.random() < 0.5 else set()
    resident = {(place, model): scheme[:1] for place in names for model in chosen}
    warm = min(max(4 * cache.ttl if cache.ttl < math.inf else 900.0, 900.0), 3 * seconds)
    base = Scenario(
        names, traffic, cache, one, resident, seconds=seconds, unlogged=frozenset(quiet), warmup=warm,
        order=scheme if scheme == SHAS else (),
    )  # fmt: skip
    return Plot(base, dice, chosen[0], scheme, miss)


def _between(dice: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is even: as many small ones as large ones."""
    return float(np.exp(dice.uniform(np.log(low), np.log(high))))


def _places(dice: np.random.Generator, count: int) -> tuple[str, ...]:
    """Name replicas by pod, by host and port, or by the short names that their files have."""
    kind = int(dice.integers(0, 3))
    if kind == 0:
        return _pods(dice, count)
    if kind == 1:
        hosts = sorted(dice.choice(250, count, replace=False).tolist())
        return tuple(f"10.4.{int(dice.integers(0, 9))}.{host + 2}:8501" for host in hosts)
    return tuple(f"{dice.choice(['worker', 'serve', 'gpu'])!s}-{i}" for i in range(count))


def _cache(dice: np.random.Generator, traffic: Traffic, caches: int, seconds: float) -> tuple[float, CacheRules]:
    """Return a miss rate, and a cache that is about that bad: by its time to live, or by its size."""
    miss, rate = _between(dice, 0.005, 0.6), traffic.rate / caches
    if dice.random() < 0.5:
        return miss, CacheRules(1_000_000, min(ttl_for(traffic, rate, miss), seconds))
    return miss, CacheRules(capacity_for(traffic, rate, miss))


def _popularity(traffic: Traffic) -> Floats:
    odds = 1.0 / np.arange(1, traffic.keys + 1) ** traffic.skew
    return np.asarray(odds / odds.sum())


def ttl_for(traffic: Traffic, rate: float, miss: float) -> float:
    """Return the time to live at which so many lookups miss (a renewal process: 1 miss, then rate * ttl hits)."""
    p = _popularity(traffic)
    return _solved(lambda ttl: float((p / (1.0 + rate * p * ttl)).sum()), miss)


def capacity_for(traffic: Traffic, rate: float, miss: float) -> int:
    """Return the entries of an LRU cache at which so many lookups miss (Che, Tung and Wang 2002)."""
    p = _popularity(traffic)
    age = _solved(lambda t: float((p * np.exp(-rate * p * t)).sum()), miss)
    return max(1, round(float((1.0 - np.exp(-rate * p * age)).sum())))


def _solved(falling: Callable[[float], float], wanted: float) -> float:
    """Find where a function that falls from 1 at 0 takes a value, by bisection of the logarithm."""
    low, high = -10.0, 25.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(math.exp(middle)) > wanted else (low, middle)
    return math.exp(high)
