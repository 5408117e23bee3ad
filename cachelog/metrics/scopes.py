"""Whether the replicas of a fleet share one cache, read from what happens right after a miss.

What a replica missed it fills. If another replica asks for it next and hits as surely as the first one would, they
share the cache; if it misses more often, or as often as ever, it has its own (METHODS §5: a hit on r for a key first
missed on r').
"""

from __future__ import annotations

import numpy as np

from cachelog.contract.limits import Limits
from cachelog.metrics.proportions import Floats
from cachelog.metrics.reuse import EVICT, EXPIRE, MISS, Ints, Mask, Rows, history, ids, taken

_Z = 3.0  # standard deviations by which misses elsewhere must be more
_FEW = 5  # misses
_RATIO = 2.0  # ... and how many times as many: clocks that differ make a few


def shared_places(rows: Rows, place: Ints, places: int, limits: Limits) -> Mask:
    """Return per (model, cache) whether all replicas share one cache."""
    step = np.maximum(1, -(-np.bincount(place, minlength=places) // limits.scope_rows)).astype(np.uint64)
    lookup = (rows.kind != EVICT) & (rows.kind != EXPIRE)
    some = np.flatnonzero(lookup & ((rows.key >> np.uint64(20)) % step[place] == 0))
    few = taken(rows, some)
    told = history(few, ids(few, few.label))
    after = np.flatnonzero(told.before >= 0)
    after = after[told.kind[told.before[after]] >= MISS]
    gap = told.ts[after] - told.ts[told.before[after]]
    mine = place[some[told.order[after]]]
    after = after[gap <= _medians(gap, mine, places)[mine]]
    here, earlier = told.order[after], told.order[told.before[after]]
    other = few.replica[here] != few.replica[earlier]
    whose, missed = place[some[here]], (told.kind[after] >= MISS).astype(np.float64)
    counted = [
        (np.bincount(whose[w], minlength=places), np.bincount(whose[w], weights=missed[w], minlength=places))
        for w in (other, ~other)
    ]
    (n1, m1), (n0, m0) = counted
    p1, p0 = (m1 + 0.5) / (n1 + 1), (m0 + 0.5) / (n0 + 1)
    p = (m0 + m1 + 0.5) / (n0 + n1 + 1)
    z = (p1 - p0) / np.sqrt(p * (1 - p) * (1 / (n1 + 1) + 1 / (n0 + 1)))
    every = np.bincount(place[some], weights=(few.kind >= MISS).astype(np.float64), minlength=places)
    usual = every / np.maximum(np.bincount(place[some], weights=lookup[some].astype(np.float64), minlength=places), 1)
    as_ever = (p1 > usual / 2) & (m1 >= _FEW)  # that another one has just filled the entry is of no use
    own = ((z > _Z) | as_ever) & (p1 > _RATIO * p0)
    return np.asarray((n1 >= limits.scope_pairs) & ~own)


def _medians(gap: Ints, place: Ints, places: int) -> Floats:
    """Return the median per place, 0 where there is none."""
    found = np.zeros(places)
    for p in np.flatnonzero(np.bincount(place, minlength=places)).tolist():
        found[p] = np.median(gap[place == p])
    return found
