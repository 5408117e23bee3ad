"""Herds: many misses of one entry while the first of them was being filled, in one cache or in many at once.

Misses of one key of one version less than the time of a fill apart are one herd. In one cache all but the first of them
were for nothing; where each replica has a cache of its own, each has to fill its own, but whoever computes the answers
gets them all at once. Where caches are cold after a load or flush that is to be expected, and no herd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from cachelog.contract.limits import Limits
from cachelog.metrics.reuse import Ints, grouped, ids, mixed, taken

if TYPE_CHECKING:
    from cachelog.metrics.batch import Batch

HERDS: pl.Schema = pl.Schema(
    {"model": pl.String(), "cache": pl.String(), "key": pl.UInt64()}
    | dict.fromkeys(("start", "end"), pl.Datetime("us", "UTC"))
    | dict.fromkeys(("misses", "caches"), pl.Int64())  # caches: how many of them missed
)


def herds(batch: Batch, expected: Ints, limits: Limits) -> pl.DataFrame:
    """Return HERDS of a batch, sorted; `expected` is 1 for each miss of the history that a cold cache explains."""
    told = batch.told
    row = told.order[told.misses]
    in_time = np.argsort(row)
    row, expected = row[in_time], expected[in_time]
    few = taken(batch.rows, row)
    entry, _ = grouped(ids(few, few.label))
    ts, label = few.ts[entry], few.label[entry]
    code = ids(few, few.label)[entry]
    apart = np.ones(len(ts), np.bool_)
    apart[1:] = (code[1:] != code[:-1]) | (ts[1:] - ts[:-1] > batch.fill[label[1:]])
    starts = np.flatnonzero(apart)
    size = np.diff(np.append(starts, len(ts)))
    big = size >= limits.herd_misses
    if not big.any():
        return pl.DataFrame(schema=HERDS)
    cold = np.add.reduceat(expected[entry], starts)[big]
    starts, size = starts[big], size[big]
    caches = _caches(batch.scope[row][entry], starts, size)
    kept = ((size - caches + 1 >= limits.herd_misses) | (caches >= limits.herd_everywhere)) & (2 * cold <= size)
    first, last = starts[kept], (starts + size - 1)[kept]
    names = batch.words.places[batch.words.place[label[first]].tolist()]
    found = names.with_columns(
        pl.Series("key", few.key[entry][first]), pl.Series("start", ts[first]).cast(HERDS["start"]),
        pl.Series("end", ts[last]).cast(HERDS["end"]), misses=size[kept], caches=caches[kept],
    )  # fmt: skip
    typed: pl.DataFrame = found.select(pl.col(name).cast(dtype) for name, dtype in HERDS.items())
    return typed.sort("model", "cache", "start", "key")


def _caches(scope: Ints, starts: Ints, size: Ints) -> Ints:
    """Return how many different caches each herd has misses in."""
    whose = np.repeat(np.arange(len(starts)), size)
    where = np.concatenate([np.arange(s, s + n) for s, n in zip(starts.tolist(), size.tolist(), strict=True)])
    pairs = np.unique(mixed(whose.astype(np.uint64)) ^ scope[where].astype(np.uint64), return_index=True)[1]
    return np.bincount(whose[pairs], minlength=len(starts))
