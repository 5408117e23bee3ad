"""Keys that are none of the cache's: they explain nothing, and hide no rise."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from cachelog.contract.limits import DEFAULT
from cachelog.metrics.foreign import foreign
from cachelog.metrics.reuse import HIT, MISS, Rows
from tests.traffic import drawn, found


def table(key, missed):
    many = len(key)
    none = np.zeros(many, np.int64)
    return Rows(
        np.arange(many), np.where(missed, MISS, HIT).astype(np.uint8), none, none,
        (key.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15), none + 1, np.full(many, np.nan),
    )  # fmt: skip


def judged(key, missed):
    rows = table(np.asarray(key), np.asarray(missed))
    return bool(foreign(rows, np.zeros(len(rows.ts), np.int64), 1, DEFAULT)[0])


DICE = np.random.default_rng(7)
ZIPF = np.minimum(DICE.zipf(1.3, 20_000), 50_000)


def cached(keys, room):
    """Misses of an LRU cache with room for so many."""
    held, missed = dict[int, None](), list[bool]()
    for key in keys.tolist():
        missed.append(held.pop(key, 0) == 0)
        held[key] = None
        if len(held) > room:
            del held[next(iter(held))]
    return np.array(missed)


@pytest.mark.parametrize("room", [5, 200, 100_000])
def test_keys_of_a_cache_small_or_large_are_believed(room):
    assert not judged(ZIPF, cached(ZIPF, room))


@pytest.mark.parametrize("keys", [ZIPF, np.arange(20_000)], ids=["repeated", "ids of requests"])
@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_keys_that_hits_do_not_depend_on_are_not(keys, rate):
    assert judged(keys, DICE.random(20_000) < rate)


def test_few_lookups_do_not_speak_against_keys():
    assert not judged(np.arange(300), np.zeros(300, bool))


def test_a_rise_is_told_whatever_ids_of_requests_stand_beside_it():
    lookups = drawn(3, lambda _, t: np.where(t > 1800, 0.6, 0.15))
    keyed = lookups.with_columns(key=pl.int_range(pl.len(), dtype=pl.UInt64).hash(1))
    (rise,), (bare,) = found("miss-rate-shift", keyed), found("miss-rate-shift", lookups)
    assert (rise.severity, rise.confidence) == (bare.severity, bare.confidence)
    assert not found("new-keys", keyed)
