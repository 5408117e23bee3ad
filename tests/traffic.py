"""Lookups as EVENT rows, in their thousands: drawn from given miss rates, or answered by simulated caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from cachelog import pipeline
from cachelog.contract.event import EVENT
from cachelog.contract.finding import Finding
from cachelog.contract.rule import Frames
from cachelog.rooms import detectors
from tests.fleet import split
from tests.simulate import EXPIRED, HIT, STALE, Simulated

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def drawn(
    seed: int,
    rate_of: Callable[[int, Floats], Floats],
    *,
    seconds: float = 3600.0,
    replicas: int = 4,
    rate: float = 6.0,
    model: str = "m",
    cache: str = "default",
) -> pl.DataFrame:
    """Poisson lookups, `rate` a second over all replicas; `rate_of(replica, t)` is the chance of a miss."""
    dice = np.random.default_rng([seed, len(model), *model.encode()])
    n = int(dice.poisson(rate * seconds))
    t, replica = np.sort(dice.uniform(0, seconds, n)), dice.integers(0, replicas, n)
    p = np.zeros(n)
    for r in range(replicas):
        p[replica == r] = rate_of(r, t[replica == r])
    miss = dice.random(n) < p
    return rows(
        T0, t, [f"r{r}" for r in replica], np.where(miss, "miss", "hit"), model, cache, np.where(miss, 0.06, 0.002)
    )


def rows(
    start: datetime,
    t: Floats,
    replica: Sequence[str],
    outcome: np.ndarray[tuple[int], np.dtype[np.str_]],
    model: str,
    cache: str = "default",
    seconds: Floats | None = None,
) -> pl.DataFrame:
    """EVENT rows of lookups; the line is the place in the sequence."""
    frame = pl.DataFrame(
        {"ts": np.rint(t * 1e6).astype(np.int64), "replica": replica, "outcome": outcome.tolist(), "seconds": seconds}
    )
    return complete(
        frame.with_columns(
            ts=pl.lit(start) + pl.duration(microseconds="ts"),
            op=pl.lit("lookup"),
            model=pl.lit(model),
            cache=pl.lit(cache),
        )
    )


def changed(*events: tuple[float, str, str | None, str | None, str | None]) -> pl.DataFrame:
    """EVENT rows of (seconds after T0, op, replica, model, version), of source 1."""
    columns = ["ts", "op", "replica", "model", "version"]
    said = [(T0 + timedelta(seconds=at), *rest) for at, *rest in events]
    frame = pl.DataFrame(said, schema=dict.fromkeys(columns, pl.String()) | {"ts": EVENT["ts"]}, orient="row")
    cache = pl.when(pl.col("op").is_in(["flush", "restart"])).then(pl.lit("default")).otherwise(pl.lit("model"))
    return complete(frame.with_columns(source=pl.lit(1), cache=cache))


def complete(frame: pl.DataFrame) -> pl.DataFrame:
    """Give a frame the columns and types of EVENT."""
    counted = frame.with_columns(line=pl.int_range(1, pl.len() + 1), n=pl.lit(1))
    if "source" not in counted.columns:
        counted = counted.with_columns(source=pl.lit(0))
    missing = [pl.lit(None).alias(name) for name in EVENT if name not in counted.columns]
    return counted.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in EVENT.items())


def as_events(simulated: Simulated, expired: bool = False) -> pl.DataFrame:
    """Return what the logs of a simulated run hold; `expired`: misses say it when their entry had expired."""
    run, scenario = simulated.events.lookups, simulated.events.scenario
    names = [t.model for t in scenario.traffic]
    frame = pl.DataFrame(
        {
            "ts": run.stamp, "replica": [scenario.replicas[r] for r in run.replica], "model": [names[m] for m in run.model],
            "version": [scenario.traffic[m].versions[v] for m, v in zip(run.model, run.version, strict=True)],
            "key": _hashed(run.model, run.key), "seconds": run.seconds,
            "reason": ["expired" if expired and o == EXPIRED else None for o in run.outcome],
            "outcome": ["hit" if o == HIT else "stale" if o == STALE else "miss" for o in run.outcome],
        }
    )  # fmt: skip
    return pl.concat(
        [complete(_dated(frame).with_columns(op=pl.lit("lookup"), cache=pl.lit("default"))), _changes(simulated)]
    )


def _hashed(
    model: np.ndarray[tuple[int], np.dtype[np.int64]], key: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> pl.Series:
    return pl.Series("key", model.astype(np.int64) * 10_000_019 + key).hash(7)


def _changes(simulated: Simulated) -> pl.DataFrame:
    """Every logged change but what is no event of its own; a model pushed out is an eviction, as is an entry."""
    names = [t.model for t in simulated.events.scenario.traffic]
    kept = [c for c in simulated.events.changes if c.op != "model_miss"]
    said = [
        (c.stamp, c.op.replace("model_", ""), c.replica or None, c.model or None, c.version or None, c.seconds or None)
        for c in kept
    ]
    columns = {"ts": pl.Int64()} | dict.fromkeys(["op", "replica", "model", "version"], pl.String())
    frame = pl.DataFrame(said, schema=columns | {"seconds": pl.Float64()}, orient="row")
    model = np.array([names.index(c.model) if c.model in names else -1 for c in kept], np.int64)
    entry = pl.Series("entry", [c.op == "evict" for c in kept], pl.Boolean())
    keys = _hashed(model, np.array([c.key for c in kept], np.int64))
    named = _dated(frame).with_columns(
        source=pl.lit(1),
        cache=pl.when(entry | (pl.col("op") == "flush")).then(pl.lit("default")).otherwise(pl.lit("model")),
        key=pl.when(entry).then(keys),
    )
    return complete(named)


def _dated(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))


def frames(events: pl.DataFrame) -> Frames:
    made = pipeline._frames(*split(events), pipeline.Options())
    assert made is not None
    return made


def found(rule: str, *events: pl.DataFrame) -> list[Finding]:
    """What one rule says of these events."""
    table = pl.concat(events)
    made = frames(table)
    limits = pipeline.DEFAULT.for_span((made.end - made.start).total_seconds())
    return list(detectors()[rule].detect(split(table)[0], made, limits))


def step(
    at: float, before: float, after: float, replicas: Sequence[int] | None = None
) -> Callable[[int, Floats], Floats]:
    """A miss rate that changes at a time, on some replicas or all."""
    return lambda r, t: np.where((t >= at) & (replicas is None or r in replicas), after, before)
