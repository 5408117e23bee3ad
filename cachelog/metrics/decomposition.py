"""A change of a miss rate, taken apart exactly: what is worse within parts, and what comes of other parts being asked.

Kitagawa, "Components of a Difference Between Two Rates", JASA 50 (1955), over cells of replica, version and class of
key (METHODS §6.2). A cell that nobody asked on one side has its rate of the other side, so that it is mix alone: a
version that came and misses more is a mix of versions. Mix is taken against the mean of both rates; that changes no
sum, and says which part brought it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from cachelog.contract.event import LABEL
from cachelog.contract.events import Events
from cachelog.contract.finding import Number
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.excursions import Excursion
from cachelog.metrics.proportions import Floats
from cachelog.metrics.series import Ints, Series

DIMENSIONS = ("replica", "version", "keys")
_SIDES = ("n0", "y0", "n1", "y1")
_NAMED = 4  # parts of a dimension that have figures of their own
_HEAD = 0.5  # of the lookups: the keys that are asked for most
_UNNAMED = "(unnamed)"


@dataclass(frozen=True, slots=True)
class Part:
    """What one replica, version or class of keys has of the change, in differences of the miss rate."""

    name: str
    within: float
    mix: float


@dataclass(frozen=True)
class Decomposition:
    """`within` and `mix` add up to the change; the mixes of the dimensions and `rest` add up to `mix`.

    `parts`: by dimension, the parts of which within and mix add up to the change.
    """

    change: float
    within: float
    mix: float
    mixes: Mapping[str, float]
    rest: float  # what only the dimensions together explain
    parts: Mapping[str, tuple[Part, ...]]

    @property
    def numbers(self) -> dict[str, Number]:
        """Return the figures of a finding: all of the change, and the largest parts of each dimension with several."""
        found: dict[str, Number] = {
            "difference_observed": self.change,
            "difference_within": self.within,
            "difference_mix": self.mix,
        }
        if len(self.parts) > 1:
            found |= {f"difference_mix_of_{name}": mix for name, mix in self.mixes.items()}
            found["difference_mix_rest"] = self.rest
        for dimension, parts in self.parts.items():
            for part in parts[:_NAMED]:
                where = f"difference_of_{dimension} {part.name}"
                found |= {f"{where}, within": part.within, f"{where}, mix": part.mix}
            if others := parts[_NAMED:]:
                found[f"difference_of_{dimension}, {len(others)} others"] = math.fsum(p.within + p.mix for p in others)
        return {name: value if value is None else round(float(value), 9) for name, value in found.items()}


def kitagawa(cells: pl.DataFrame) -> tuple[Floats, Floats]:
    """Return within and mix of each cell (n0, y0: lookups and misses before; n1, y1: after); they add up exactly."""
    n0, y0, n1, y1 = (cells[name].to_numpy().astype(np.float64) for name in _SIDES)
    w0, w1 = n0 / n0.sum(), n1 / n1.sum()
    own0, own1 = y0 / np.maximum(n0, 1.0), y1 / np.maximum(n1, 1.0)
    p0, p1 = np.where(n0 > 0, own0, own1), np.where(n1 > 0, own1, own0)
    mean = (y0.sum() / n0.sum() + y1.sum() / n1.sum()) / 2
    return (p1 - p0) * (w0 + w1) / 2, (w1 - w0) * ((p0 + p1) / 2 - mean)


def decomposed(cells: pl.DataFrame) -> Decomposition | None:
    """Take the change of the rate over cells apart; None without lookups on both sides.

    Columns: replica, version, keys, and counts n0, y0, n1, y1 as in `kitagawa`.
    """
    sums = cells.select(pl.col(_SIDES).sum().cast(pl.Float64))
    n0, y0, n1, y1 = sums.row(0)
    if not n0 or not n1:
        return None
    within, mix = (math.fsum(side) for side in kitagawa(cells))
    parts = {name: _parts(cells, name) for name in DIMENSIONS if cells[name].n_unique() > 1}
    mixes = {name: math.fsum(part.mix for part in found) for name, found in parts.items()}
    return Decomposition(y1 / n1 - y0 / n0, within, mix, mixes, mix - math.fsum(mixes.values()), parts)


def _parts(cells: pl.DataFrame, dimension: str) -> tuple[Part, ...]:
    """Return the parts of one dimension, those with the most of the change first."""
    one = cells.group_by(dimension).agg(pl.col(_SIDES).sum()).sort(dimension, nulls_last=True)
    names = one[dimension].fill_null(_UNNAMED).to_list()
    found = [Part(*part) for part in zip(names, *(side.tolist() for side in kitagawa(one)), strict=True)]
    return tuple(sorted(found, key=lambda part: (-abs(part.within + part.mix), part.name)))


def of_change(events: Events, frames: Frames, one: Series, told: Excursion, limits: Limits) -> Decomposition | None:
    """Take the change from the rate before to that after apart, over exactly the lookups that these count."""
    mine = frames.counts.filter((pl.col("model") == one.model) & (pl.col("cache") == one.cache))
    rows = mine.select("replica", "version", ts="w", n="lookups", y="misses", keys=pl.lit(None, pl.String))
    few = int(rows["n"].sum()) <= limits.parts_rows
    asked = _with_keys(events, one) if few else rows
    return decomposed(_cells(rows if asked["keys"].n_unique() < 2 else asked, one, told))


def _cells(rows: pl.DataFrame, one: Series, told: Excursion) -> pl.DataFrame:
    """Return the cells of rows (replica, version, keys, ts, n, y) in the windows that are counted before and after."""
    named = rows.with_columns(pl.col("replica").fill_null(_UNNAMED).cast(LABEL))
    place = np.full(int(_codes(named["replica"]).max(initial=0)) + 1, -1)
    own = _codes(pl.Series(one.replicas, dtype=LABEL))
    place[own[own < len(place)]] = np.flatnonzero(own < len(place))
    at = place[_codes(named["replica"])]
    since = (named["ts"] - one.first).dt.total_microseconds().to_numpy()
    window = np.minimum(since // int(one.seconds * 1e6), one.windows - 1).astype(np.int64)
    sides = [pl.Series(side, cells[at, window] & (at >= 0)) for side, cells in (("0", told.earlier), ("1", told.later))]
    sums = [pl.col(what).filter(side).sum().alias(what + side) for side in ("0", "1") for what in "ny"]
    marked = named.with_columns(sides).filter(pl.col("0") | pl.col("1"))
    return marked.group_by(DIMENSIONS).agg(sums).with_columns(pl.col(DIMENSIONS).cast(pl.String))


def _codes(names: pl.Series) -> Ints:
    return np.asarray(names.to_physical().cast(pl.Int64).to_numpy())


def _with_keys(events: Events, one: Series) -> pl.DataFrame:
    """Return each lookup with the class of its key: asked for the first time, one of the most asked for, or another."""
    answered, n = pl.col("outcome"), pl.col("n").cast(pl.Int64)
    lookups = events.of(one.model).filter(
        (pl.col("op") == "lookup") & (pl.col("cache") == one.cache) & pl.col("ts").is_not_null()
        & ((answered == "hit") | (answered == "miss") | (answered == "stale"))
    )  # fmt: skip
    rows = lookups.select("ts", "key", "replica", "version", n=n, y=pl.when(answered == "miss").then(n).otherwise(0))
    table = rows.collect()
    asked = table.drop_nulls("key").group_by("key").agg(pl.col("n").sum(), begun=pl.col("ts").min())
    asked = asked.sort("n", "key", descending=[True, False])
    ranked = asked.select("key", "begun", head=pl.col("n").cum_sum() <= _HEAD * pl.col("n").sum())
    kind = pl.when(pl.col("head")).then(pl.lit("most asked for")).otherwise(pl.lit("others"))
    word = pl.when(pl.col("ts") == pl.col("begun")).then(pl.lit("first asked for")).otherwise(kind)
    joined = table.join(ranked, on="key", how="left", maintain_order="left")
    return joined.with_columns(keys=pl.when(pl.col("key").is_not_null()).then(word).cast(LABEL))
