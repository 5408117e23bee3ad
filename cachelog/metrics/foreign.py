"""Whether the keys in a log are those that the cache goes by; what a log calls key may be the id of a request.

Of a cache's own keys, one asked for the first time misses far more often than one that was asked for before. Where
lookups hit all the same, late in the log, whether their key was ever seen or not, keys explain nothing, and whoever
believed them would explain away a real rise, or blame new keys for everything.
"""

from __future__ import annotations

import numpy as np

from cachelog.contract.limits import Limits
from cachelog.metrics.lifetimes import Floats
from cachelog.metrics.reuse import EVICT, EXPIRE, MISS, STALE, Hashes, Ints, Mask, Rows, grouped, ids


def foreign(rows: Rows, place: Ints, many: int, limits: Limits) -> Mask:
    """Return which of `many` places (a model and cache each) have keys that are not their cache's.

    `place` is, per row, its own; rows are in order of time. Some keys are looked at, with all their lookups.
    """
    lookup = (rows.kind != EVICT) & (rows.kind != EXPIRE)
    modulus = np.uint64(max(1, len(rows.ts) // (limits.foreign_rows * max(many, 1))))
    chosen = np.flatnonzero(lookup & ((rows.key >> np.uint64(32)) % modulus == 0))
    where, missed = place[chosen], (rows.kind >= MISS)[chosen] | (rows.kind == STALE)[chosen]
    first = _first(ids(rows, place)[chosen])
    late = rows.ts[chosen] >= (rows.ts[0] + rows.ts[-1]) // 2 if len(chosen) else first
    new, new_missed = (np.bincount(where[late & first & w], minlength=many) for w in (np.True_, missed))
    old, old_missed = (np.bincount(where[late & ~first & w], minlength=many) for w in (np.True_, missed))
    with np.errstate(invalid="ignore"):
        alike = _alike(new_missed / new, old_missed / old, limits)
    never_again = (old < limits.foreign_lookups) & (new - new_missed >= limits.foreign_unseen * new)
    return np.asarray((new >= limits.foreign_lookups) & (never_again | (old >= limits.foreign_lookups) & alike))


def _first(entry: Hashes) -> Mask:
    """Return which rows are the first with their hash."""
    order, head = grouped(entry)
    first = np.zeros(len(entry), np.bool_)
    first[order[head]] = True
    return first


def _alike(new: Floats, old: Floats, limits: Limits) -> Mask:
    """Return where new keys miss hardly more often than known ones, and hit about as often."""
    return np.asarray((new <= limits.foreign_misses * old) & (1 - new >= limits.foreign_hits * (1 - old)) & (new < 1))
