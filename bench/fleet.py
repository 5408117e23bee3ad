"""The day that is measured, whatever it is written as: a fleet of 24 replicas and 32 models, in order of time.

Six lines in ten are lookups of a result cache, the others requests, loads, and evictions. Every model is rolled out
from 41 to 42 within two hours; one replica of a model goes back to the older version later, and one model misses more
from the afternoon on. The same number of lines is the same day in every format. Each replica has a cache of its own for
each version: what misses is a new key there, what hits was missed there before. So the keys explain the misses.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

START = datetime(2026, 11, 20, tzinfo=UTC)
_DAY_US = 86_400_000_000
_MODELS = [f"{task}-{size}" for task in ("fraud", "rank", "embed", "spam", "vision", "asr", "ner", "recsys")
           for size in ("scorer", "small", "large", "edge")]  # fmt: skip
PODS = [f"inference-{i:02d}-7d9f8c6b5d-x{i:02d}kq" for i in range(24)]
_PART = 250_000  # lines made at a time
_ROLLOUT_US = 6 * 3_600_000_000
_BACK_US = 15 * 3_600_000_000  # when one replica goes back
_SHIFT_US = 14 * 3_600_000_000
_KINDS = ("lookup", "evict", "request")


def parts(lines: int) -> Iterator[pl.DataFrame]:
    """Yield the day in parts, so many lines in all beside the loads.

    Columns: at (microseconds from START), kind (lookup, evict, request, load), model, pod, version, cache, key, ms,
    bytes, trace, region; loads have the first five and ms.
    """
    random = np.random.default_rng(7)
    at = np.sort(random.integers(0, _DAY_US, lines))
    loads = _loads(random)
    filled = np.zeros(2 * len(_MODELS) * len(PODS), np.int64)  # entries of each cache so far
    for first in range(0, lines, _PART):
        part = at[first : first + _PART]
        until = at[first + _PART] if first + _PART < lines else _DAY_US
        mine = loads.filter((pl.col("at") >= (part[0] if first else 0)) & (pl.col("at") < until))
        yield pl.concat([mine, _traffic(random, part, filled)], how="diagonal").sort("at", maintain_order=True)


def _loads(random: np.random.Generator) -> pl.DataFrame:
    """Every replica loads every model at its start and at the rollout; one goes back."""
    grid = pl.DataFrame({"pod": PODS}).join(pl.DataFrame({"model": _MODELS}), how="cross")
    start = grid.with_columns(at=pl.lit(0, pl.Int64), version=pl.lit("41"))
    rollout = grid.with_columns(at=pl.Series(_rolled_out(grid)), version=pl.lit("42"))
    back = grid.filter((pl.col("pod") == PODS[7]) & (pl.col("model") == _MODELS[0]))
    loads = pl.concat([start, rollout, back.with_columns(at=pl.lit(_BACK_US, pl.Int64), version=pl.lit("41"))])
    return loads.with_columns(kind=pl.lit("load"), ms=random.gamma(3, 200, loads.height).round(3))


def _rolled_out(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Model after model, replica after replica."""
    model = frame["model"].replace_strict(_MODELS, range(len(_MODELS)), return_dtype=pl.Int64).to_numpy()
    pod = frame["pod"].replace_strict(PODS, range(len(PODS)), return_dtype=pl.Int64).to_numpy()
    return np.asarray(_ROLLOUT_US + model * 225_000_000 + pod * 8_000_000, np.int64)


def _traffic(random: np.random.Generator, at: npt.NDArray[np.int64], filled: npt.NDArray[np.int64]) -> pl.DataFrame:
    count = len(at)
    kinds = np.array(_KINDS)[np.searchsorted([0.62, 0.63], random.random(count))]
    model = np.array(_MODELS)[random.zipf(1.3, count) % len(_MODELS)]
    frame = pl.DataFrame(
        {"at": at, "kind": kinds, "model": model, "pod": np.array(PODS)[random.integers(0, len(PODS), count)]}
    )
    went_back = (pl.col("pod") == PODS[7]) & (pl.col("model") == _MODELS[0]) & (pl.col("at") > _BACK_US)
    newer = (pl.Series(at) > _rolled_out(frame)) & ~frame.select(went_back).to_series()
    rate = np.where((model == _MODELS[1]) & (at > _SHIFT_US), 0.14, 0.06)
    missed = random.random(count) < rate
    asked = frame.with_columns(
        missed=pl.Series(missed) & (pl.col("kind") == "lookup"),
        version=pl.when(newer).then(pl.lit("42")).otherwise(pl.lit("41")),
    )
    return asked.drop("missed").with_columns(
        cache=pl.when(pl.Series(missed)).then(pl.lit("miss")).otherwise(pl.lit("hit")),
        key=_keys(random, asked, filled),
        ms=(random.gamma(2, 4, count) + missed * 80).round(3),
        bytes=random.integers(100, 5000, count),
        trace=pl.Series([f"{a:016x}{b:016x}" for a, b in random.integers(0, 2**63, (count, 2))]),
        region=np.array(["eu-west-1", "us-east-1", "ap-south-1"])[random.integers(0, 3, count)],
    )


def _keys(random: np.random.Generator, asked: pl.DataFrame, filled: npt.NDArray[np.int64]) -> pl.Series:
    """Return a new key of its cache for each miss, for all else one that missed there before; count them."""
    place = [asked[name].replace_strict(values, range(len(values)), return_dtype=pl.Int64).to_numpy()
             for name, values in (("model", _MODELS), ("version", ["41", "42"]), ("pod", PODS))]  # fmt: skip
    cache = (place[0] * 2 + place[1]) * len(PODS) + place[2]
    missed = asked["missed"].to_numpy()
    upto = pl.DataFrame({"cache": cache, "missed": missed}).select(pl.col("missed").cum_sum().over("cache")).to_series()
    before = filled[cache] + upto.to_numpy() - missed
    number = np.where(missed, before, (random.random(asked.height) ** 2 * before).astype(np.int64))
    filled += np.bincount(cache[missed], minlength=len(filled))
    return pl.Series("key", cache * 2**32 + number).hash(1).map_elements("{:016x}".format, return_dtype=pl.String)
