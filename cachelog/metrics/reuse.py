"""The history of every cache entry: its lookups, evictions and expiries in order of time, many models at once.

An entry is a key of one version of a model in one cache; where replicas have a cache each, each has its own entry.
Rows are put in order once, by one sort of 64-bit hashes that carry the place in time in their low bits, and all that
is asked of them (what came before, when it was filled) is then a running maximum over whole columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.events import Events, Part
from cachelog.metrics.tally import NATIVE

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

#: What a row is; at one time a hit comes before an eviction, an eviction before a miss.
HIT, STALE, EVICT, EXPIRE, MISS, EXPIRED = range(6)
_NONE = 6
LABELS = ("model", "cache", "version")
_EVICTED_BY_AGE = "ttl|expir"  # reasons of evictions that are expiries

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Words:
    """What rows say: `labels` (model, cache, version) sorted; per part and thing said, kind, label and weight.

    A loaded model is its own key, so lookups of the cache of loaded models need none (`keyless`).
    """

    labels: pl.DataFrame
    place: Ints  # per label, the number of its (model, cache)
    places: pl.DataFrame  # model, cache
    kinds: tuple[npt.NDArray[np.uint8], ...]
    label: tuple[Ints, ...]
    weight: tuple[Ints, ...]
    keyless: tuple[Mask, ...]


@dataclass(frozen=True)
class Rows:
    """Lookups, evictions and expiries with a key, in order of time."""

    ts: Ints  # microseconds of the epoch
    kind: npt.NDArray[np.uint8]
    label: Ints
    replica: Ints  # number of the category; 0 where there is none
    key: Hashes
    weight: Ints
    seconds: npt.NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """Rows in order of entry and time; all columns are indices into Rows or into the history itself."""

    order: Ints  # the row that stands here
    ts: Ints
    kind: npt.NDArray[np.uint8]
    start: Ints  # where the entry's rows begin
    before: Ints  # the entry's lookup before, -1 for none
    filled: Ints  # the entry's last miss or stale answer before, -1 for none
    evicted: Ints  # the entry's last eviction before, -1 for none
    expired: Ints

    @property
    def misses(self) -> Ints:
        """Return where the misses stand."""
        return np.flatnonzero(self.kind >= MISS)


def words_of(events: Events) -> Words:
    """Return what the rows of events say, as numbers."""
    told = [_told(part) for part in events.parts]
    asked = [t.filter(pl.col("kind").is_in([HIT, STALE, MISS, EXPIRED])).select(LABELS) for t in told]
    labels = pl.concat([pl.DataFrame(schema=dict.fromkeys(LABELS, pl.String())), *asked]).unique().sort(LABELS)
    labels = labels.filter(pl.col("model").is_not_null())
    places = labels.select("model", "cache").unique().sort("model", "cache")
    at = labels.join(places.with_row_index("place"), on=["model", "cache"], how="left", maintain_order="left")
    numbered = labels.with_row_index("label")
    found = [t.join(numbered, on=LABELS, how="left", nulls_equal=True, maintain_order="left") for t in told]
    kinds = tuple(_with_none(f, "kind", _NONE).astype(np.uint8) for f in found)
    label, weight = (tuple(_with_none(f, name, -1) for f in found) for name in ("label", "n"))
    keyless = tuple(((f["kind"] < _NONE) & (f["cache"] == "model").fill_null(False)).to_numpy() for f in found)
    return Words(labels, at["place"].cast(pl.Int64).to_numpy(), places, kinds, label, weight, keyless)


def _with_none(told: pl.DataFrame, name: str, none: int) -> Ints:
    return told[name].cast(pl.Int64).fill_null(none).to_numpy()


def _told(part: Part) -> pl.DataFrame:
    """Return model, cache, version, kind, n per thing said; an eviction by age is an expiry."""
    op, outcome = pl.col("op").cast(pl.String), pl.col("outcome").cast(pl.String)
    by_age = pl.col("reason").str.to_lowercase().str.contains(_EVICTED_BY_AGE).fill_null(False)
    lookup = op == "lookup"
    kind = (
        pl.when(lookup & (outcome == "hit")).then(HIT)
        .when(lookup & (outcome == "stale")).then(STALE)
        .when(lookup & (outcome == "miss") & (pl.col("reason") == "expired").fill_null(False)).then(EXPIRED)
        .when(lookup & (outcome == "miss")).then(MISS)
        .when((op == "expire") | ((op == "evict") & by_age)).then(EXPIRE)
        .when(op == "evict").then(EVICT)
        .otherwise(_NONE)
    )  # fmt: skip
    return part.words.select(pl.col(LABELS).cast(pl.String), kind=kind, n=pl.col("n").fill_null(1))


def rows_of(events: Events, words: Words, models: Sequence[str], modulus: int, extra: Sequence[Rows] = ()) -> Rows:
    """Return the rows with a key of some models that are neighbours in the order of their names, in order of time.

    Of every `modulus`-th key; `extra` are rows to be put among them.
    """
    parts = [_of_part(events.parts[at], words, at, models, modulus) for at in range(len(events.parts))]
    joined = _joined([*parts, *extra])
    code = joined.ts * 8 + joined.kind
    if (joined.weight == 1).all():
        order = np.argsort(code, kind="stable")
    else:
        order = np.lexsort((joined.weight, code))
    return taken(joined, order)


def taken(rows: Rows, which: Ints | Mask) -> Rows:
    """Return some rows."""
    return Rows(
        rows.ts[which], rows.kind[which], rows.label[which], rows.replica[which], rows.key[which], rows.weight[which],
        rows.seconds[which],
    )  # fmt: skip


def empty_rows() -> Rows:
    """Return no rows."""
    none = np.zeros(0, np.int64)
    return Rows(none, none.astype(np.uint8), none, none, none.astype(np.uint64), none, none.astype(np.float64))


def _of_part(part: Part, words: Words, at: int, models: Sequence[str], modulus: int) -> Rows:
    if (span := part.span(models)) is None:
        return empty_rows()
    wanted = pl.col("key").is_not_null() & (pl.col("key") % modulus == 0 if modulus > 1 else True)
    if (words.keyless[at]).any():
        wanted |= pl.lit(pl.Series(words.keyless[at])).gather(pl.col("said"))
    wanted &= pl.col("ts").is_not_null()
    if span != (0, part.words.height - 1):
        wanted &= pl.col("said").is_between(*span)
    number = pl.col("replica").to_physical().cast(pl.Int64).fill_null(-1) + 1
    found = (
        part.rows.lazy()
        .filter(wanted)
        .select("said", "ts", pl.col("key").fill_null(0), "seconds", replica=number)
        .collect()
    )
    said = found["said"].to_numpy()
    kind, label = words.kinds[at][said], words.label[at][said]
    rows = Rows(
        found["ts"].to_physical().to_numpy(), kind, label, found["replica"].to_numpy(), found["key"].to_numpy(),
        words.weight[at][said], found["seconds"].to_numpy(),
    )  # fmt: skip
    known = (kind != _NONE) & (label >= 0)
    kept = rows if known.all() else taken(rows, known)
    return _joined([kept, *_unlabelled(rows, part, said, words, kind, label)])


def _joined(rows: Sequence[Rows]) -> Rows:
    if len(rows) == 1:
        return rows[0]
    return Rows(
        np.concatenate([r.ts for r in rows]),
        np.concatenate([r.kind for r in rows]),
        np.concatenate([r.label for r in rows]),
        np.concatenate([r.replica for r in rows]),
        np.concatenate([r.key for r in rows]),
        np.concatenate([r.weight for r in rows]),
        np.concatenate([r.seconds for r in rows]),
    )


def _unlabelled(
    rows: Rows, part: Part, said: npt.NDArray[np.uint32], words: Words, kind: npt.NDArray[np.uint8], label: Ints
) -> list[Rows]:
    """Evictions that do not name version or cache as lookups do may be of any of the model's entries with their key."""
    open_ = ((kind == EVICT) | (kind == EXPIRE)) & (label < 0)
    if not open_.any():
        return []
    told = part.words.select(model=pl.col("model").cast(pl.String), at=pl.int_range(pl.len(), dtype=pl.UInt32))
    fits = told.join(words.labels.with_row_index("label"), on="model").select("at", "label")
    where = np.flatnonzero(open_)
    pairs = pl.DataFrame({"row": where, "at": said[where]}).join(fits, on="at").sort("row", "label")
    some = taken(rows, pairs["row"].to_numpy())
    return [replace(some, label=pairs["label"].cast(pl.Int64).to_numpy())]


def mixed(values: Hashes) -> Hashes:
    """Return well-spread 64-bit hashes of numbers (splitmix64)."""
    x = values + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def ids(rows: Rows, *by: Ints) -> Hashes:
    """Return a hash of the key and of some more numbers of each row."""
    x = rows.key
    for numbers in by:
        x = mixed(x ^ (numbers.astype(np.uint64) * _FIRST))
    return x if by else mixed(x)


def grouped(hashes: Hashes) -> tuple[Ints, Mask]:
    """Return the order of rows by hash and then by their place, and which of them begins a new one."""
    bits = np.uint64(max(1, (len(hashes) - 1).bit_length()))
    low = (np.uint64(1) << bits) - np.uint64(1)
    packed = (hashes & ~low) | np.arange(len(hashes), dtype=np.uint64)
    packed.sort()
    order = (packed & low).astype(np.int64)
    sorted_ = hashes[order]
    differs = sorted_[1:] != sorted_[:-1]
    if (differs & ((packed[1:] ^ packed[:-1]) <= low)).any():  # two hashes alike in their high bits
        order = np.argsort(hashes, kind="stable")
        sorted_ = hashes[order]
        differs = sorted_[1:] != sorted_[:-1]
    return order, np.concatenate([np.ones(min(1, len(hashes)), np.bool_), differs])


def history(rows: Rows, entry: Hashes) -> History:
    """Return the rows by entry, with what came before each in it."""
    order, head = grouped(entry)
    kind = rows.kind[order]
    said = _followed(kind, head) if NATIVE is None else _native(NATIVE, kind, head)
    return History(order, rows.ts[order], kind, *said)


def _native(native: ModuleType, kind: npt.NDArray[np.uint8], head: Mask) -> tuple[Ints, ...]:
    found = tuple(np.empty(len(kind), np.int64) for _ in range(5))
    native.follow(kind, head, *found)
    return found


def _followed(kind: npt.NDArray[np.uint8], head: Mask) -> tuple[Ints, ...]:
    """Return start, before, filled, evicted and expired of History."""
    place = np.arange(len(kind))
    start = np.maximum.accumulate(np.where(head, place, 0)) if len(kind) else place
    lookup = (kind != EVICT) & (kind != EXPIRE)
    asked = ((kind >= MISS) | (kind == STALE), kind == EVICT, kind == EXPIRE)
    return (start, _last(lookup, start), *(_last(what, start) for what in asked))


def _last(what: Mask, start: Ints) -> Ints:
    """Return, per row, the last row before it in its entry that is so, -1 for none."""
    if not len(what):
        return start
    last = np.maximum.accumulate(np.where(what, np.arange(len(what)), -1))
    earlier = np.concatenate([[-1], last[:-1]])
    return np.where(earlier >= start, earlier, -1)
