"""Stretches in which a version was served on a replica, read from the counts of lookups.

A version that was served is resident until others are asked for in its place: until it is not asked for in lookups of
which so many should have been its own that this is no chance. The clock is the lookups of the model on the replica,
not the time, so quiet hours and thin traffic mean nothing. What lines say went ends the service at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.metrics.windows import LADDER, numbered

_FINEST = LADDER[0] * 1_000_000  # microseconds: all windows are multiples of it
_UNSEEN = 10.0  # lookups that a version should have got meanwhile and did not: by chance once in 20,000

_Int = npt.NDArray[np.int64]
_Float = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

SPELLS: pl.Schema = pl.Schema(
    {"model": pl.String(), "replica": pl.String(), "ord": pl.Int32()}
    | dict.fromkeys(("first", "last"), pl.Datetime("us", "UTC"))
    | {"over": pl.Boolean()}  # others were asked for in its place, or a line says that it went
)


@dataclass(frozen=True)
class _Cells:
    """Lookups of one version on one replica in one window, sorted by place, rank and window."""

    at: _Int  # the place: a model on a replica
    key: _Int  # the place and the rank of the version
    first: _Int  # times of the first and the last lookup
    last: _Int
    lookups: _Int
    together: _Int  # lookups of all versions in the window
    upto: _Int  # ... and until its end


def spells(counts: pl.DataFrame, ranks: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Return SPELLS, sorted by model, replica, rank and time, from Frames.counts.

    `ranks` are model, version, ord; `gone` are model, replica, ord, ts: when a line says that a version went.
    """
    at, places = numbered(counts, ["model", "replica"])
    asked = counts.with_columns(at).filter(
        pl.col("replica").is_not_null() & (pl.col("cache") != "model") & (pl.col("lookups") > 0)
    )
    known = ranks.select("model", "version", "ord").drop_nulls("ord")
    many = max(known["ord"].to_list(), default=0) + 1
    cells = _cells(asked, _rank(asked, known), many)
    if not len(cells.key):
        return pl.DataFrame(schema=SPELLS)
    went = gone.join(places, on=["model", "replica"]).select(
        key=pl.col("at").cast(pl.Int64) * many + pl.col("ord"), off=pl.col("ts").to_physical()
    )
    return _spells(cells, went, places, many)


def _rank(asked: pl.DataFrame, known: pl.DataFrame) -> _Int:
    """Return the rank of the version, row by row; -1 for none."""
    labels, order = numbered(asked, ["model", "version"])
    ords = order.join(known, on=["model", "version"], how="left", maintain_order="left")["ord"]
    of_version: _Int = ords.fill_null(-1).cast(pl.Int64).to_numpy()
    found: _Int = of_version[labels.to_numpy()]
    return found


def _cells(asked: pl.DataFrame, rank: _Int, many: int) -> _Cells:
    at = asked["at"].cast(pl.Int64).to_numpy()
    times = asked["w"].to_physical().to_numpy()
    window = (times - times.min()) // _FINEST if len(times) else times
    lookups = asked["lookups"].to_numpy()
    together, upto = _together(at, window, lookups)
    key = at * many + rank
    order = np.flatnonzero(rank >= 0)
    order = order[_order(key[order], window[order])]
    starts = _starts(key[order], window[order])
    kept = order[starts]
    first, last = (asked[name].to_physical().to_numpy()[order] for name in ("first", "last"))
    return _Cells(
        at[kept], key[kept], _reduced(np.minimum, first, starts), _reduced(np.maximum, last, starts),
        _reduced(np.add, lookups[order], starts), together[kept], upto[kept],
    )  # fmt: skip


def _together(at: _Int, window: _Int, lookups: _Int) -> tuple[_Int, _Int]:
    """Return, row by row, the lookups of all rows of its place in its window, and of all until the window's end."""
    order = _order(at, window)
    starts = _starts(at[order], window[order])
    sums = _reduced(np.add, lookups[order], starts)
    upto = np.cumsum(sums)
    places = at[order][starts]
    before = np.concatenate([[0], upto])[np.searchsorted(places, places)]
    group = np.empty(len(at), np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(at))))
    return sums[group], (upto - before)[group]


def _order(key: _Int, window: _Int) -> _Int:
    """Sort by both: rows come in runs that are sorted already, which a stable sort of one number makes use of."""
    return np.argsort(key * (int(window.max(initial=0)) + 1) + window, kind="stable")


def _starts(*keys: _Int) -> _Int:
    """Return where runs of equal keys begin."""
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    new = np.ones(len(keys[0]), np.bool_)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(new)


def _reduced(how: np.ufunc, values: _Int, starts: _Int) -> _Int:
    reduced: _Int = how.reduceat(values, starts) if len(starts) else values[:0]
    return reduced


def _spells(cells: _Cells, went: pl.DataFrame, places: pl.DataFrame, many: int) -> pl.DataFrame:
    starts = _starts(cells.key)
    ends = np.append(starts[1:], len(cells.key))
    run = np.repeat(np.arange(len(starts)), ends - starts)
    share = _share(cells, starts, ends)[run]
    others = np.zeros(len(run))
    others[1:] = (cells.upto - cells.together)[1:] - cells.upto[:-1]
    cut = others * share > _UNSEEN
    cut[starts] = True
    cut |= _removed(cells, went, starts, ends)
    final = np.append(np.flatnonzero(cut)[1:], len(run)) - 1  # the last cell of each spell
    missed = (_most(cells)[final] - cells.upto[final]) * share[final]
    over = (missed > _UNSEEN) | (_last_off(cells.key[final], went) > cells.last[final])
    place, rank = np.divmod(cells.key[final], many)
    columns = {"ord": rank, "first": cells.first[cut], "last": cells.last[final], "over": over}
    labels: pl.DataFrame = places.drop("at")[place]
    times = [pl.col(n).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") for n in ("first", "last")]
    told = pl.DataFrame(columns).with_columns(*times, pl.col("ord").cast(pl.Int32))
    return labels.hstack(told.get_columns())


def _share(cells: _Cells, starts: _Int, ends: _Int) -> _Float:
    """Return, by version on a replica, its part of the lookups while it was served."""
    own = np.add.reduceat(cells.lookups, starts)
    span = cells.upto[ends - 1] - (cells.upto - cells.together)[starts]
    return np.asarray(own / span, np.float64)


def _most(cells: _Cells) -> _Int:
    """Return, cell by cell, the lookups of its place in all, as far as versions with a rank saw them."""
    starts = _starts(cells.at)
    most = np.maximum.reduceat(cells.upto, starts)
    return np.repeat(most, np.diff(np.append(starts, len(cells.at))))


def _removed(cells: _Cells, went: pl.DataFrame, starts: _Int, ends: _Int) -> _Mask:
    """Mark the cells before which, and after the cell before them, a line says that the version went."""
    keys = cells.key[starts]
    told = went.filter(pl.col("key").is_in(keys.tolist()))
    off = told["off"].to_numpy()
    at = np.searchsorted(keys, told["key"].to_numpy())
    low, high = starts[at].copy(), ends[at].copy()
    bottom = low.copy()
    while (open_ := low < high).any():  # a binary search in many places at once
        middle = (low + high) // 2
        less = open_ & (cells.first[np.minimum(middle, len(cells.first) - 1)] < off)
        low, high = np.where(less, middle + 1, low), np.where(open_ & ~less, middle, high)
    here = (low < ends[at]) & (low > bottom)
    here[here] = off[here] > cells.last[low[here] - 1]
    removed = np.zeros(len(cells.key), np.bool_)
    removed[low[here]] = True
    return removed


def _last_off(keys: _Int, went: pl.DataFrame) -> _Int:
    """Return when a line last says that the version went, the beginning of time for never."""
    last = went.group_by("key").agg(pl.col("off").max())
    never = np.iinfo(np.int64).min
    found = pl.DataFrame({"key": keys}).join(last, on="key", how="left", maintain_order="left")
    return found["off"].fill_null(never).to_numpy()
