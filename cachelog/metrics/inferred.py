"""Misses of known entries that no line explains: what their ages show of times to live, flushes and room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cachelog.contract.limits import Limits
from cachelog.metrics.batch import CAPACITY, FLUSH, TTL, UNEXPLAINED, Batch
from cachelog.metrics.emptied import NEVER, last_before, silently_emptied
from cachelog.metrics.lifetimes import Ages, Edge, ages_at, beyond, edges
from cachelog.metrics.reuse import EVICT, EXPIRE, MISS, History, Ints, Mask, mixed


def inferred(
    batch: Batch, at: Ints, cause: Ints, known: tuple[Mask, Ints], limits: Limits
) -> dict[tuple[str, str], tuple[Edge, ...]]:
    """Give misses of known entries that nothing explains the causes that ages show; `cause` is written to.

    `known`: which misses these are, and when the cache of each miss was emptied.
    """
    told, (open_, flushed) = batch.told, known
    place = batch.place[told.order[at]]
    names = batch.words.places.rows()
    waiting = np.bincount(place[open_ | (cause == TTL)], minlength=len(names))
    asked = _sample(batch, at, cause, waiting >= limits.lifetime_misses, limits)
    found: dict[tuple[str, str], tuple[Edge, ...]] = {}
    for p in np.flatnonzero(waiting >= limits.lifetime_misses).tolist():
        mine = np.flatnonzero(open_ & (place == p))
        ttl = _by_age(told, at, cause, mine, asked[p], limits)
        if ttl:
            found[names[p]] = tuple(ttl)
        rest = mine[cause[mine] == UNEXPLAINED]
        silent = silently_emptied(told, asked[p], batch.span, limits)
        gone = last_before(silent, told.ts[at[rest]]) >= told.ts[told.before[at[rest]]]
        cause[rest[gone]] = FLUSH
        room = _by_idleness(told, at, cause, rest[~gone], asked[p], ttl, limits)
        if room:
            aged = mine[cause[mine] == TTL] if ttl else mine[:0]
            emptied_ = np.flatnonzero((cause == FLUSH) & (flushed != NEVER) & (place == p))
            _evicted_before(told, at, cause, aged, _expiry(told, at[aged], ttl), room)
            _evicted_before(told, at, cause, emptied_, flushed[emptied_], room)
    return found


def _expiry(told: History, at: Ints, ttl: Sequence[Edge]) -> Ints:
    """Return when entries expired; of those filled before the log, when they did at the latest."""
    if not len(at):
        return at
    since = told.ts[np.where(told.filled[at] >= 0, told.filled[at], told.start[at])]
    return since + ages_at(since, ttl)


def _evicted_before(told: History, at: Ints, cause: Ints, which: Ints, ended: Ints, room: Sequence[Edge]) -> None:
    """Entries that had been left alone for so long when something else ended them had been evicted before."""
    left = ended - told.ts[told.before[at[which]]]
    cause[which[beyond(told.ts[at[which]], left, room, 1.0)]] = CAPACITY


def _sample(batch: Batch, at: Ints, cause: Ints, wanted: Mask, limits: Limits) -> dict[int, Ints]:
    """Return per place that is wanted where lookups of known entries stand, all of some entries.

    Hits, and misses that nothing explains so far or that expired: what else ended an entry says nothing about it.
    """
    told = batch.told
    useful = told.before >= 0
    useful &= (told.kind != EVICT) & (told.kind != EXPIRE)
    useful[at[(cause != UNEXPLAINED) & (cause != TTL)]] = False
    place = batch.place[told.order]
    useful &= wanted[place]
    where = np.flatnonzero(useful)
    many = np.bincount(place[where], minlength=len(wanted))
    each = max(limits.causes_sample // 20, 2 * limits.causes_sample // max(1, int((many > 0).sum())))
    step = np.maximum(1, -(-many // min(each, limits.causes_sample)))[place[where]]
    chosen = where[mixed(told.start[where].astype(np.uint64)) % step.astype(np.uint64) == 0]
    order = chosen[np.argsort(place[chosen], kind="stable")]
    bounds = np.searchsorted(place[order], np.arange(len(wanted) + 1))
    return {p: order[bounds[p] : bounds[p + 1]] for p in np.flatnonzero(many).tolist()}


def _by_age(told: History, at: Ints, cause: Ints, mine: Ints, asked: Ints, limits: Limits) -> list[Edge]:
    """Find a time to live, and mark the misses of entries that are older."""
    known = asked[told.filled[asked] >= 0]
    filled = told.ts[told.filled[known]]
    found = edges(Ages(filled, told.ts[known] - filled, told.kind[known] < MISS), limits, sharp=True)
    if not found:
        return []
    dated = told.filled[at[mine]] >= 0
    since = told.ts[np.where(dated, told.filled[at[mine]], told.start[at[mine]])]
    age, slack = told.ts[at[mine]] - since, 1.0 / limits.lifetime_sharp
    # some caches keep what held when the entry was filled, some ask for what holds now
    old = beyond(since, age, found, slack) | beyond(told.ts[at[mine]], age, found, slack)
    clean = old[dated].mean() >= limits.fill_share if dated.any() else False
    cause[mine[old | (~dated & clean)]] = TTL
    return found


def _by_idleness(
    told: History, at: Ints, cause: Ints, mine: Ints, asked: Ints, ttl: Sequence[Edge], limits: Limits
) -> list[Edge]:
    """Find how long entries stay that are not asked for, and mark the misses of those left alone for longer.

    An edge without any blur is a time to live that begins anew with each lookup, and is not returned.
    """
    if len(mine) < limits.lifetime_misses:
        return []
    alive = told.kind[asked] < MISS
    if ttl:
        since = told.ts[np.where(told.filled[asked] >= 0, told.filled[asked], told.start[asked])]
        young = ~beyond(since, told.ts[asked] - since, ttl, 1.0 / limits.lifetime_sharp)
        asked, alive = asked[alive | young], alive[alive | young]
    idle = told.ts[asked] - told.ts[told.before[asked]]
    found = edges(Ages(told.ts[asked], idle, alive), limits, sharp=False)
    if not found:
        return []
    left = told.ts[at[mine]] - told.ts[told.before[at[mine]]]
    gone = beyond(told.ts[at[mine]], left, found, 1.0 / limits.lifetime_blur)
    exact = all(edge.errors <= limits.ttl_idle for edge in found)
    cause[mine[gone]] = TTL if exact else CAPACITY
    return [] if exact else found
