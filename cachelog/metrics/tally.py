"""Lookups into cells of model, cache, version, replica and window by the million, natively.

metrics/windows.py says in Polars what the sums are; this gives the same ten times as fast, where the extension
cachelog.metrics._tally (tally.cpp) was built and the cells are few enough for a table of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.events import Events, Part

LABELS = ("model", "cache", "version", "replica")
#: Columns of the sums, as tally.cpp has them; first and last are microseconds, seconds are nanoseconds.
SUMS = ("hits", "misses", "stale", "bypass", "errors", "expired", "hit_seconds", "hit_timed", "miss_seconds",
        "miss_timed", "first", "last")  # fmt: skip
OUTCOMES = ("hit", "miss", "stale", "bypass", "error")

_MOST_PAIRS = 1 << 24  # of things said and replicas: 64 MB
_MOST_CELLS = 1 << 25  # 160 MB
_NO_TIME = np.iinfo(np.int64).min
_PIECE = 1 << 22  # lookups at a time

_Ints = npt.NDArray[np.int32]
_Bytes = npt.NDArray[np.uint8]


def _native() -> ModuleType | None:
    try:
        return import_module("cachelog.metrics._tally")
    except ImportError:
        return None


NATIVE = _native()


@dataclass(frozen=True)
class _Index:
    """Who may have lookups: (model, cache, version) and replicas in order, and where each part has them."""

    labels: pl.DataFrame  # model, cache, version
    replicas: pl.Series
    rows: tuple[_Ints, ...]  # by part: per thing said, the place of its labels times the number of replicas, or -1
    columns: npt.NDArray[np.uint32]  # per number of a category, the place of the replica; the last is for none


def sums(events: Events, first: int, width: int, windows: int) -> pl.DataFrame | None:
    """Return LABELS, w (number of the window), set (number of the labels), SUMS, sorted by labels and window.

    None where it cannot be done here. Windows are `width` microseconds wide and begin at `first`.
    """
    if NATIVE is None or not events.parts:
        return None
    index = _index(events.parts)
    pairs = index.labels.height * len(index.replicas)
    if not 0 < pairs <= _MOST_PAIRS:
        return None
    seen = np.zeros(pairs, np.uint8)
    _each(events.parts, index, np.arange(pairs, dtype=np.int32), (0, 1 << 62, pairs), NATIVE.mark, lambda _: (seen,))
    places, number = _numbered(seen)
    if not 0 < number * windows <= _MOST_CELLS:
        return None
    return _counted(events.parts, index, places, np.flatnonzero(seen), (first, width, windows))


def _counted(
    parts: Sequence[Part], index: _Index, places: _Ints, pairs: npt.NDArray[np.intp], span: tuple[int, int, int]
) -> pl.DataFrame:
    assert NATIVE is not None
    (first, width, windows), number = span, len(pairs)
    seen = np.zeros(number * windows, np.uint8)
    _each(parts, index, places, (first, width, number), NATIVE.mark, lambda _: (seen,))
    by_place = np.flatnonzero(seen.reshape(windows, number).T)  # place times windows, plus window
    place, window = by_place // windows, by_place % windows
    cells = np.zeros(number * windows, np.uint32)
    cells[window * number + place] = np.arange(len(by_place), dtype=np.uint32)
    told = np.zeros((len(SUMS), len(by_place)), np.int64)
    told[SUMS.index("first")], told[SUMS.index("last")] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    extra = [(cells, words, told) for words in (_words(part.words) for part in parts)]
    _each(parts, index, places, (first, width, number), NATIVE.count, extra.__getitem__, seconds=True)
    labels, replica = np.divmod(pairs[place], len(index.replicas))
    return index.labels[labels].hstack(
        [index.replicas.gather(replica).alias("replica"), pl.Series("w", window), pl.Series("set", place, pl.UInt32)]
        + [pl.Series(name, told[at]) for at, name in enumerate(SUMS)]
    )


def _each(
    parts: Sequence[Part], index: _Index, places: _Ints, span: tuple[int, int, int],
    call: Callable[..., None], extra: Callable[[int], tuple[npt.NDArray[np.generic], ...]], seconds: bool = False,
) -> None:  # fmt: skip
    none = len(index.columns) - 1
    for at, part in enumerate(parts):
        for said, replica, ts, took in _pieces(part.rows, none, seconds):
            call(said, replica, ts, index.rows[at], index.columns, places, *span, *took, *extra(at))


def _pieces(
    rows: pl.DataFrame | pl.LazyFrame, none: int, seconds: bool
) -> Iterator[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.int64], tuple[object, ...]]]:
    """Yield said, replica (number of the category), ts, and seconds where asked for."""
    columns = ["said", "replica", "ts"] + ["seconds"] * seconds
    lazy = rows.lazy().select(columns)
    numbers = lazy.with_columns(
        pl.col("replica").to_physical().fill_null(none), pl.col("ts").to_physical().fill_null(_NO_TIME)
    ).collect()
    for frame in _chunks(numbers):
        took = (frame["seconds"].to_numpy(),) if seconds else ()
        yield frame["said"].to_numpy(), frame["replica"].to_numpy(), frame["ts"].to_numpy(), took


def _chunks(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the chunks that columns have anyway, so that nothing is copied to make one array of them."""
    if frame["said"].n_chunks() > 1 and len({frame[name].n_chunks() for name in frame.columns}) == 1:
        at = 0
        for length in frame["said"].chunk_lengths():
            yield frame.slice(at, length)
            at += length
    else:
        yield from frame.iter_slices(_PIECE)


def _index(parts: Sequence[Part]) -> _Index:
    names = list(LABELS[:3])
    said = [p.words.select(pl.col(names).cast(pl.String), lookup=pl.col("op") == "lookup") for p in parts]
    labels = pl.concat(said).filter("lookup").select(names).unique().sort(names)
    place = labels.with_row_index("place")
    there = [p.rows.lazy().select(pl.col("replica").unique()).collect()["replica"] for p in parts]
    replicas = pl.concat(there).unique().cast(pl.String).sort()
    numbers = replicas.cast(pl.Categorical()).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    columns = np.zeros(max(numbers, default=0) + 2, np.uint32)
    columns[numbers] = np.arange(len(replicas), dtype=np.uint32)
    found = (s.join(place, on=names, how="left", nulls_equal=True, maintain_order="left") for s in said)
    rows = (
        pl.when("lookup").then(pl.col("place").cast(pl.Int32) * len(replicas)).otherwise(-1).fill_null(-1).alias("at")
    )
    return _Index(labels, replicas, tuple(f.select(rows).to_series().to_numpy() for f in found), columns)


def _numbered(seen: _Bytes) -> tuple[_Ints, int]:
    """Number the places that are used, in their order; -1 for the others."""
    places = np.full(len(seen), -1, np.int32)
    used = np.flatnonzero(seen)
    places[used] = np.arange(len(used), dtype=np.int32)
    return places, len(used)


def _words(words: pl.DataFrame) -> npt.NDArray[np.uint32]:
    """Return outcome, whether it expired, and n, per thing said."""
    outcome = pl.col("outcome").cast(pl.String).replace_strict(
        {name: at for at, name in enumerate(OUTCOMES)}, default=len(OUTCOMES), return_dtype=pl.UInt32
    )  # fmt: skip
    expired = ((pl.col("outcome") == "miss") & (pl.col("reason") == "expired")).fill_null(False).cast(pl.UInt32)
    told = words.select(outcome=outcome, expired=expired, n=pl.col("n").fill_null(1))
    return np.ascontiguousarray(told.to_numpy().astype(np.uint32))
