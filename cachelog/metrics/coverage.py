"""How well a log knows the keys of a cache: when most lookups are of keys that it has seen before.

The chance that the next lookup asks for a key never seen is about the share of the lookups so far whose key came once
(Good 1953, The Population Frequencies of Species). Traffic that is sparse for the keys it has, or has a long tail, is
not known for hours; a first lookup is nothing new there.
"""

from __future__ import annotations

import numpy as np

from cachelog.contract.limits import Limits
from cachelog.metrics.batch import Batch
from cachelog.metrics.reuse import EVICT, EXPIRE, Ints, grouped, ids, taken

_PROBES = 256  # times looked at
_LEAST = 50  # lookups, for a share of them to say something


def known_after(batch: Batch, never: int, limits: Limits) -> Ints:
    """Return per place the microseconds from the start of the log until keys are known, `never` where not at all."""
    found = np.full(batch.words.places.height, never, np.int64)
    lookups = (batch.rows.kind != EVICT) & (batch.rows.kind != EXPIRE)
    asked, (first, second) = _by_place(batch.rows.ts[lookups], batch.place[lookups]), _firsts(batch)
    for place, ts in asked.items():
        if len(ts) < _LEAST:
            continue
        some = np.unique(np.linspace(_LEAST - 1, len(ts) - 1, _PROBES).astype(np.int64))
        once = _until(first.get(place), ts[some]) - _until(second.get(place), ts[some])
        known = np.flatnonzero(once <= limits.warm_unseen * (some + 1))
        if len(known):
            found[place] = ts[some][known[0]] - batch.span.start
    return found


def _until(times: Ints | None, at: Ints) -> Ints:
    return np.searchsorted(times, at, side="right") if times is not None else np.zeros(len(at), np.int64)


def _by_place(ts: Ints, place: Ints) -> dict[int, Ints]:
    """Return times by place, in order."""
    if not len(ts):
        return {}
    order = np.argsort(place, kind="stable")
    places, start = np.unique(place[order], return_index=True)
    return dict(zip(places.tolist(), np.split(ts[order], start[1:]), strict=True))


def _firsts(batch: Batch) -> tuple[dict[int, Ints], dict[int, Ints]]:
    """Return by place the times at which keys were asked for first, and for the second time, anywhere."""
    told = batch.told
    lookup = (told.kind != EVICT) & (told.kind != EXPIRE)
    early = lookup & ((told.before < 0) | (told.before[told.before] < 0))  # of its entry the first or the second
    rows = np.sort(told.order[early])
    some, place = taken(batch.rows, rows), batch.place[rows]
    order, head = grouped(ids(some, place))
    again = ~head & np.concatenate([[False], head[:-1]])
    both = (np.sort(order[which]) for which in (head, again))
    first, second = (_by_place(some.ts[which], place[which]) for which in both)
    return first, second
