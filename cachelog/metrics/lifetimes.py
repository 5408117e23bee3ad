"""How long entries live, read from the ages at which they were still hit and at which they were missed.

A time to live is an edge: no entry is hit that was filled longer ago, and those younger are. A full cache that drops
what was not asked for longest has such an edge too, in the time since the last lookup, but a blurred one. Both may
change, so the edge is sought in stretches: the cut of the period into stretches, each with the edge that tells hits
from misses with the fewest errors, is found exactly, by dynamic programming over the histogram of ages by time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cachelog.contract.limits import Limits
from cachelog.metrics.reuse import Ints, Mask

Floats = npt.NDArray[np.float64]

_BINS = 256  # of the logarithm of the age, from a millisecond to three years: 9.5 % wide
_LOW, _HIGH = 3.0, 14.0  # decadic logarithm of microseconds
_PIECES = 24  # of the period


@dataclass(frozen=True)
class Edge:
    """In a stretch of time, the age (microseconds) from which on entries are gone."""

    since: int  # microseconds of the epoch
    until: int
    age: int
    errors: float  # share of hits beyond it, and of misses short of it, among lookups near the edge


@dataclass(frozen=True)
class Ages:
    """Lookups of entries that had been asked for before: when, how old, hit or not."""

    time: Ints
    age: Ints
    hit: Mask


def edges(ages: Ages, limits: Limits, *, sharp: bool) -> list[Edge]:
    """Return the stretches in which age decides, in order of time; where it does not there is none.

    `sharp`: nearly no hit is older (a time to live); else older ones are few (a full cache). Younger misses may have
    another cause, so they count only where the edge is blurred.
    """
    if len(ages.time) < limits.lifetime_lookups:
        return []
    first, last = int(ages.time.min()), int(ages.time.max()) + 1
    piece = (ages.time - first) * _PIECES // (last - first)
    cells = piece * _BINS + _bin(ages.age)
    hits, missed = (
        np.bincount(cells[which], minlength=_PIECES * _BINS).reshape(_PIECES, _BINS) for which in (ages.hit, ~ages.hit)
    )
    found = []
    for start, end in _cut(hits, missed, limits):
        inside = (piece >= start) & (piece < end)
        edge = _edge(Ages(ages.time[inside], ages.age[inside], ages.hit[inside]), limits, sharp)
        if edge is not None:
            since, until = (first + (last - first) * p // _PIECES for p in (start, end))
            found.append(Edge(since, until, *edge))
    return found


def ages_at(time: Ints, found: Sequence[Edge]) -> Ints:
    """Return the age of the edge at each time, in microseconds; at times without one, the nearest counts."""
    middles = np.array([(one.until + two.since) // 2 for one, two in itertools.pairwise(found)], np.int64)
    return np.array([one.age for one in found], np.int64)[np.searchsorted(middles, time, side="right")]


def beyond(time: Ints, age: Ints, found: Sequence[Edge], slack: float) -> Mask:
    """Mark the ages that are beyond the edge of their time, with a slack."""
    return np.asarray(age >= ages_at(time, found) * slack)


def _bin(age: Ints) -> Ints:
    scaled = (np.log10(np.maximum(age, 1)) - _LOW) * (_BINS / (_HIGH - _LOW))
    return np.clip(scaled, 0, _BINS - 1).astype(np.int64)


def _cut(hits: Ints, missed: Ints, limits: Limits) -> list[tuple[int, int]]:
    """Return the cut of the pieces into stretches that makes the fewest errors, with a price for each stretch."""
    price = max(limits.lifetime_misses, limits.lifetime_price * float(missed.sum()))
    above = np.concatenate([np.zeros((1, _BINS + 1)), np.cumsum(_errors(hits, missed), 0)])
    best = np.zeros(_PIECES + 1)
    came = np.zeros(_PIECES + 1, np.int64)
    for end in range(1, _PIECES + 1):
        cost = best[:end] + (above[end] - above[:end]).min(1) + price
        came[end] = int(np.argmin(cost))
        best[end] = cost[came[end]]
    bounds, end = [], _PIECES
    while end > 0:
        bounds.append((int(came[end]), end))
        end = int(came[end])
    return bounds[::-1]


def _errors(hits: Ints, missed: Ints) -> Floats:
    """Return per piece and edge (below bin 0, ..., above the last) the hits beyond it and the misses short of it."""
    zero = np.zeros((hits.shape[0], 1))
    short = np.concatenate([zero, np.cumsum(missed, 1)], 1)
    older = np.concatenate([np.cumsum(hits[:, ::-1], 1)[:, ::-1], zero], 1)
    return np.asarray(short + older, np.float64)


def _edge(ages: Ages, limits: Limits, sharp: bool) -> tuple[int, float] | None:
    """Return the edge of a stretch and its errors, None where age does not decide."""
    order = np.argsort(ages.age, kind="stable")
    age, hit = ages.age[order], ages.hit[order]
    short = np.concatenate([[0], np.cumsum(~hit)])
    older = int(hit.sum()) - np.concatenate([[0], np.cumsum(hit)])
    at = int(np.argmin(short + older))
    if at >= len(age):
        return None
    edge = int(age[at])
    near, wide = limits.lifetime_sharp if sharp else limits.lifetime_blur, limits.lifetime_near
    below = hit[(age < edge / near) & (age >= edge / near / wide)]
    above = hit[age >= edge * near]
    if sharp and len(above) < limits.lifetime_misses:  # hot keys are asked for, and missed, right after they expire
        above = hit[at:]
    if len(above) < limits.lifetime_misses or len(below) < limits.lifetime_misses:
        return None
    wrong, least = (limits.ttl_older, limits.ttl_younger) if sharp else (limits.lru_older, limits.lru_younger)
    if above.mean() > wrong or below.mean() < least:
        return None
    around = (age >= edge / wide) & (age < edge * wide)
    mistaken = hit[around] == (age[around] >= edge)
    return edge, float(mistaken.mean())
