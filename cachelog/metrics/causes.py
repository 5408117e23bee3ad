"""Why each miss was one (METHODS §5): the first of these that holds.

error         a load of the model failed on the replica within a second
ttl           the line says that the entry had expired, or a line before it does
capacity      a line says that the entry was evicted since it was last asked for
duplicate     the same entry was missed so shortly before that it was still being filled
flush         since then the cache was emptied: a restart, a flush or a reload after which nothing was left
version-change  the key had been asked for, but of another version
ttl           its age is beyond the time to live that ages show (metrics/lifetimes.py)
flush         at a time since then nothing that is asked for again was still there: a flush that left no line
cold          never asked for in this cache, which is new itself; or known elsewhere, or the log is young
new-keys      never asked for by anybody, though most keys have been seen by now
capacity      not asked for as long as the time after which entries are gone, in a cache that tells no evictions
unexplained   the rest, and every miss without a key

Each is exact up to 20 million lookups; of more, whole histories of a sample of keys are followed and scaled up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import MISS_CAUSES
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.batch import CAPACITY, COLD, DUPLICATE, ERROR, FLUSH, NEW, TTL, UNEXPLAINED, VERSION, Batch
from cachelog.metrics.coverage import known_after
from cachelog.metrics.emptied import NEVER, Span, emptied
from cachelog.metrics.foreign import foreign
from cachelog.metrics.herds import HERDS, herds
from cachelog.metrics.inferred import inferred
from cachelog.metrics.lifetimes import Edge, Floats
from cachelog.metrics.once import once
from cachelog.metrics.reuse import (
    EVICT,
    EXPIRE,
    EXPIRED,
    MISS,
    Ints,
    Mask,
    Rows,
    Words,
    grouped,
    history,
    ids,
    rows_of,
    taken,
    words_of,
)
from cachelog.metrics.scopes import shared_places

_THREADS = 2  # batches of models at a time
_MICROS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)

TABLE: pl.Schema = pl.Schema(
    {"set": pl.UInt32(), "w": pl.Datetime("us", "UTC"), "cause": pl.Enum(MISS_CAUSES), "misses": pl.Int64()}
)

_CELLS: pl.Schema = pl.Schema({"set": pl.UInt32(), "w": pl.Int64(), "cause": pl.UInt8(), "misses": pl.Int64()})


@dataclass(frozen=True, eq=False)
class Explained:
    """`table`: misses by set (Frames.totals says whose), window and cause, adding up to Frames.counts; sorted.

    `modulus`: of every how many keys one was followed; `wrong`: half the 95 % interval of a share of the misses, 0 when
    all were. `ttl`: inferred times to live by (model, cache), in order of time.
    """

    table: pl.DataFrame
    modulus: int
    wrong: float
    ttl: Mapping[tuple[str, str], tuple[Edge, ...]]
    shared: frozenset[tuple[str, str]]  # (model, cache) of which all replicas share one
    herds: pl.DataFrame  # metrics/herds.py
    foreign: frozenset[tuple[str, str]]  # (model, cache) whose keys explain nothing (metrics/foreign.py)
    fresh: pl.DataFrame  # set, w, misses of keys that nobody had asked for in this log, also while it is young


@once
def explained(events: Events, frames: Frames, limits: Limits) -> Explained:
    """Return the causes of all misses; the same whatever the order of the events."""
    words = words_of(events)
    modulus = max(1, -(-int(frames.totals["lookups"].sum()) // limits.causes_rows))
    span = Span((frames.start - _EPOCH) // _MICRO, (frames.end - _EPOCH) // _MICRO)
    follow = partial(_followed, events, frames, words, modulus, span, limits)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = [f for f in pool.map(follow, batches(frames, words, modulus, limits)) if f]
    table = _completed([f.cells for f in found if f.cells.width], frames, modulus)
    ttl = {which: edges for f in found for which, edges in f.ttl.items()}
    crowds = pl.concat([pl.DataFrame(schema=HERDS), *(f.herds for f in found)])
    shared = frozenset[tuple[str, str]]().union(*(f.shared for f in found))
    strange = frozenset[tuple[str, str]]().union(*(f.foreign for f in found))
    first = pl.concat([pl.DataFrame(schema=_CELLS), *(f.fresh.cast(_CELLS) for f in found if f.fresh.width)])
    fresh = first.select("set", pl.col("w").cast(TABLE["w"]), pl.col("misses") * modulus)
    return Explained(table, modulus, _uncertainty(table, modulus), ttl, shared, crowds, strange, fresh)


@dataclass(frozen=True, eq=False)
class _Followed:
    """What Explained says, of some models."""

    cells: pl.DataFrame
    ttl: Mapping[tuple[str, str], tuple[Edge, ...]]
    shared: frozenset[tuple[str, str]]
    herds: pl.DataFrame
    foreign: frozenset[tuple[str, str]]
    fresh: pl.DataFrame


def _followed(
    events: Events, frames: Frames, words: Words, modulus: int, span: Span, limits: Limits, models: list[str]
) -> _Followed | None:
    rows, strange = _own(rows_of(events, words, models, modulus), words, limits)
    none = pl.DataFrame()
    if not len(rows.ts):
        return _Followed(none, {}, frozenset(), pl.DataFrame(schema=HERDS), strange, none) if strange else None
    batch, common = _batch(rows, words, span, limits)
    cause, fresh, ttl = _causes_of(batch, frames, limits)
    names = words.places.rows()
    shared = frozenset(names[p] for p in np.flatnonzero(common).tolist())
    cells, first = (_cells(batch, cause, frames, which) for which in (np.ones(len(cause), np.bool_), fresh))
    return _Followed(cells, ttl, shared, _herds(batch, cause, limits), strange, first)


def _own(rows: Rows, words: Words, limits: Limits) -> tuple[Rows, frozenset[tuple[str, str]]]:
    """Return the rows whose keys are those of their cache, and which (model, cache) have others."""
    place = words.place[rows.label]
    strange = foreign(rows, place, words.places.height, limits)
    names = words.places.rows()
    found = frozenset(names[p] for p in np.flatnonzero(strange).tolist())
    return (taken(rows, ~strange[place]) if found else rows), found


def _herds(batch: Batch, cause: Ints, limits: Limits) -> pl.DataFrame:
    cold = np.isin(cause, [COLD, FLUSH, VERSION]).astype(np.int64)
    return herds(batch, cold, limits)


def batches(frames: Frames, words: Words, modulus: int, limits: Limits) -> Iterator[list[str]]:
    """Yield the models in order of name, as many together as are quickly looked at."""
    lookups = dict(frames.totals.group_by("model").agg(pl.col("lookups").sum()).iter_rows())
    group: list[str] = []
    many = 0
    for model in words.places["model"].unique().sort().to_list():
        n = lookups.get(model, 0) // modulus
        if group and many + n > limits.causes_batch:
            yield group
            group, many = [], 0
        group.append(model)
        many += n
    if group:
        yield group


def _batch(rows: Rows, words: Words, span: Span, limits: Limits) -> tuple[Batch, Mask]:
    place = words.place[rows.label]
    common = shared_places(rows, place, words.places.height, limits)
    scope = np.where(common[place], 0, rows.replica)
    told = history(rows, ids(rows, rows.label, scope))
    batch = Batch(rows, words, place, scope, told, span, fill_times(rows, words, limits), place[:0])
    return replace(batch, warm=_warm_times(batch, limits)), common


def _causes_of(
    batch: Batch, frames: Frames, limits: Limits
) -> tuple[Ints, Mask, dict[tuple[str, str], tuple[Edge, ...]]]:
    """Return the cause of each miss of the history, in its order, and which are of keys that nobody had asked for; and
    inferred times to live."""
    told = batch.told
    at = told.misses
    cause, fresh = np.full(len(at), UNEXPLAINED), np.zeros(len(at), np.bool_)
    again = told.before[at] >= 0
    evicted = told.evicted[at] > told.before[at]
    expired = (told.kind[at] == EXPIRED) | (told.expired[at] > told.before[at])
    flushed = emptied(batch, at, frames, limits)
    duplicate = again & _is_duplicate(batch, at)
    first = np.flatnonzero(~again & ~evicted & ~expired)
    cause[first], fresh[first] = _first_lookups(batch, at[first])
    for which, word in ((flushed != NEVER, FLUSH), (duplicate, DUPLICATE), (evicted, CAPACITY), (expired, TTL)):
        cause[which] = word
    found = inferred(batch, at, cause, (again & (cause == UNEXPLAINED), flushed), limits)
    cause[_near_failures(batch, at, frames, limits)] = ERROR
    return cause, fresh, found


def _is_duplicate(batch: Batch, at: Ints) -> Mask:
    """Was the entry missed within the time that a fill of its model takes?"""
    told, before = batch.told, batch.told.before[at]
    fill = batch.fill[batch.rows.label[told.order[at]]]
    return np.asarray((before >= 0) & (told.kind[before] >= MISS) & (told.ts[at] - told.ts[before] <= fill))


def fill_times(rows: Rows, words: Words, limits: Limits) -> Ints:
    """Return per label how long fills of its model take, in microseconds: the 95th percentile of its misses."""
    timed = (rows.kind >= MISS) & ~np.isnan(rows.seconds)
    models = words.labels.select(pl.col("model").rank("dense") - 1).to_series().cast(pl.Int64).to_numpy()
    slow = pl.DataFrame({"model": models[rows.label[timed]], "seconds": rows.seconds[timed]})
    found = slow.group_by("model").agg(pl.col("seconds").quantile(limits.fill_share))
    seconds = np.full(int(models.max(initial=0)) + 1, limits.fill_s)
    seconds[found["model"].to_numpy()] = found["seconds"].to_numpy()
    return np.asarray((seconds[models] * _MICROS).astype(np.int64))


def _first_lookups(batch: Batch, at: Ints) -> tuple[Ints, Mask]:
    """Tell first lookups of an entry apart: another version's key, a young cache or log, or a new key.

    Also returns which are the first of their key, in any cache and version.
    """
    rows, told, span = batch.rows, batch.told, batch.span
    firsts = np.sort(told.order[(told.before < 0) & (told.kind != EVICT) & (told.kind != EXPIRE)])
    some = taken(rows, firsts)
    place, scope, ts = batch.place[firsts], batch.scope[firsts], some.ts
    here = _earliest(ids(some, place, scope), ts)
    anywhere = _earliest(ids(some, place), ts)
    warm = batch.warm[place]
    cache = _first_of(place * (int(scope.max(initial=0)) + 1) + scope, ts)
    known = anywhere < span.start + warm
    young = cache + warm > ts
    cause = np.where(known | young, COLD, NEW)
    cause[here < ts] = VERSION
    cause[(here == ts) & _of_later_version(batch, firsts, anywhere, warm)] = VERSION
    where = np.searchsorted(firsts, told.order[at])
    fresh = (anywhere == ts) & (cause != VERSION)
    return np.asarray(cause[where]), np.asarray(fresh[where])


def _earliest(hashes: np.typing.NDArray[np.uint64], ts: Ints) -> Ints:
    """Return per row the first time of its hash; rows are in order of time."""
    order, head = grouped(hashes)
    start = np.maximum.accumulate(np.where(head, np.arange(len(order)), 0)) if len(order) else order
    found: Ints = np.empty(len(order), np.int64)
    found[order] = ts[order[start]]
    return found


def _first_of(code: Ints, ts: Ints) -> Ints:
    """Return per row the first time of its small number; rows are in order of time."""
    first: Ints = np.zeros(int(code.max(initial=0)) + 1, np.int64)
    first[code[::-1]] = ts[::-1]
    return first[code]


def _of_later_version(batch: Batch, firsts: Ints, anywhere: Ints, warm: Ints) -> Mask:
    """Where keys name their version, none is asked for of two: then the keys of a version that came are no new keys."""
    rows, labels = batch.rows, batch.rows.label[firsts]
    many = np.bincount(batch.words.place, minlength=batch.words.places.height)
    place, ts = batch.place[firsts], rows.ts[firsts]
    if not (many[place] > 1).any():
        return np.zeros(len(firsts), np.bool_)
    came, began = _first_of(labels, ts), _first_of(place, ts)
    later = came > began
    again = np.bincount(place, weights=(later & (anywhere < came)).astype(np.float64), minlength=len(many))
    all_ = np.bincount(place, weights=later.astype(np.float64), minlength=len(many))
    apart = again < 0.01 * all_
    return np.asarray(apart[place] & later & (ts < came + warm))


def _warm_times(batch: Batch, limits: Limits) -> Ints:
    """Return per place the time after which most keys have been seen, in microseconds (METHODS §5, and coverage.py)."""
    told = batch.told
    last = np.flatnonzero(np.append(told.start[1:] != told.start[:-1], np.ones(min(1, len(told.start)), np.bool_)))
    first = told.start[last]
    several = last > first
    gap = (told.ts[last] - told.ts[first])[several] / (last - first)[several]
    owner = pl.DataFrame({"place": batch.place[told.order[first[several]]], "gap": gap})
    median = owner.group_by("place").agg(pl.col("gap").median())
    most = limits.warm_share * (batch.span.end - batch.span.start)
    found: Floats = np.full(batch.words.places.height, most)
    found[median["place"].to_numpy()] = median["gap"].to_numpy() * limits.warm_reuses
    known = known_after(batch, int(most), limits)
    return np.asarray(np.minimum(np.maximum(found, known), most), np.int64)


def _near_failures(batch: Batch, at: Ints, frames: Frames, limits: Limits) -> Mask:
    """Mark misses within a second of a failed load of their model on their replica."""
    failed = frames.changes.filter((pl.col("op") == "load_fail") & pl.col("model").is_not_null())
    near = np.zeros(len(at), np.bool_)
    if failed.is_empty():
        return near
    names = replica_numbers(frames)
    row = batch.told.order[at]
    ts, place, replica = batch.told.ts[at], batch.place[row], batch.rows.replica[row]
    models = batch.words.places["model"].to_list()
    for time, model, name in failed.select(pl.col("ts").to_physical(), "model", "replica").unique().iter_rows():
        mine = [p for p, other in enumerate(models) if other == model]
        here = np.abs(ts - time) <= limits.error_s * _MICROS
        near |= here & np.isin(place, mine) & ((replica == names.get(name, -1)) if name else True)
    return near


def replica_numbers(frames: Frames) -> dict[str, int]:
    """Return the number that rows have for each replica."""
    names = frames.totals["replica"].drop_nulls().unique().sort()
    return dict(zip(names.to_list(), (names.cast(pl.Categorical()).to_physical().cast(pl.Int64) + 1), strict=True))


def _cells(batch: Batch, cause: Ints, frames: Frames, which: Mask) -> pl.DataFrame:
    """Return set, w, cause (number), misses, of some misses."""
    at, cause = batch.told.misses[which], cause[which]
    row = batch.told.order[at]
    width = frames.base // _MICRO
    rows = pl.DataFrame(
        {
            "label": batch.rows.label[row], "number": batch.rows.replica[row], "w": batch.told.ts[at] // width * width,
            "cause": cause.astype(np.uint8), "misses": batch.rows.weight[row],
        }
    )  # fmt: skip
    summed = rows.group_by("label", "number", "w", "cause").agg(pl.col("misses").sum())
    numbers = replica_numbers(frames)
    names = pl.DataFrame(
        {"replica": [None, *numbers], "number": [0, *numbers.values()]}, schema_overrides={"replica": pl.String}
    )
    labels = batch.words.labels.with_columns(label=pl.int_range(pl.len()))
    sets = frames.totals.select("model", "cache", "version", "replica", "set")
    whose = sets.join(labels, on=["model", "cache", "version"], nulls_equal=True).join(
        names, on="replica", nulls_equal=True
    )
    return summed.join(whose.select("label", "number", "set"), on=["label", "number"]).select(
        "set", "w", "cause", "misses"
    )


def _completed(cells: Sequence[pl.DataFrame], frames: Frames, modulus: int) -> pl.DataFrame:
    """Return TABLE: what has no key, or was not followed, makes the sums those of Frames.counts."""
    found = pl.concat([pl.DataFrame(schema=_CELLS), *(c.cast(_CELLS) for c in cells)])
    counts = frames.counts.select("set", pl.col("w").to_physical(), "misses", "expired").filter(pl.col("misses") > 0)
    if modulus > 1:
        found = _scaled(found, counts)
    sums = found.group_by("set", "w").agg(
        told=pl.col("misses").sum(), aged=pl.col("misses").filter(pl.col("cause") == TTL).sum()
    )
    open_ = counts.join(sums, on=["set", "w"], how="left").with_columns(pl.col("told", "aged").fill_null(0))
    rest = open_.with_columns(rest=pl.col("misses") - pl.col("told"))
    expired = pl.min_horizontal((pl.col("expired") - pl.col("aged")).clip(0), "rest")
    more = [
        rest.select("set", "w", cause=pl.lit(TTL, pl.UInt8), misses=expired),
        rest.select("set", "w", cause=pl.lit(UNEXPLAINED, pl.UInt8), misses=pl.col("rest") - expired),
    ]
    whole = pl.concat([found, *more]).filter(pl.col("misses") > 0)
    summed = whole.group_by("set", "w", "cause").agg(pl.col("misses").sum()).sort("set", "w", "cause")
    return summed.with_columns(
        pl.col("w").cast(TABLE["w"]),
        pl.col("cause").replace_strict(dict(enumerate(MISS_CAUSES)), return_dtype=TABLE["cause"]),
    )


def _scaled(found: pl.DataFrame, counts: pl.DataFrame) -> pl.DataFrame:
    """Share the misses of each set and window out as its set's sample says, by largest remainder."""
    shares = found.group_by("set", "cause").agg(part=pl.col("misses").sum())
    shares = shares.with_columns(pl.col("part") / pl.col("part").sum().over("set")).sort("set", "cause")
    upto = pl.col("part").cum_sum().over("set")
    shares = shares.with_columns(high=upto, low=upto - pl.col("part"))
    spread = counts.join(shares, on="set")
    # cumulated misses of the set so far, so that rounding does not add up over windows
    return spread.with_columns(
        misses=((pl.col("high") * pl.col("misses")).round() - (pl.col("low") * pl.col("misses")).round()).cast(pl.Int64)
    ).select("set", "w", "cause", "misses")


def _uncertainty(table: pl.DataFrame, modulus: int) -> float:
    """Return half the width of the 95 % interval of a share, at its widest: keys are drawn, not misses."""
    if modulus == 1:
        return 0.0
    misses = int(table["misses"].sum())
    return float(1.96 * np.sqrt(0.25 * modulus / max(misses, 1)))


def by_model(found: Explained, frames: Frames) -> dict[tuple[str, str], dict[str, int]]:
    """Return the misses of each model and cache by cause; they add up to its misses."""
    owner = frames.totals.select("set", "model", "cache")
    sums = found.table.join(owner, on="set").group_by("model", "cache", "cause").agg(pl.col("misses").sum())
    told: dict[tuple[str, str], dict[str, int]] = {}
    for model, cache, cause, misses in sums.sort("model", "cache", "cause").iter_rows():
        told.setdefault((model, cache), dict.fromkeys(MISS_CAUSES, 0))[cause] = misses
    return told
