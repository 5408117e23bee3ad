"""Frames out of a few events written down by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from cachelog import pipeline
from cachelog.contract.event import EVENT
from cachelog.contract.events import ROWS, SAID, Events, is_bulk, ordered
from cachelog.contract.finding import Finding
from cachelog.contract.rule import Frames
from cachelog.rooms import detectors

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class E:
    """One event, `at` seconds after T0."""

    at: float
    op: str
    replica: str | None = None
    version: str | None = None
    model: str | None = "m"
    outcome: str | None = None
    cache: str | None = None
    n: int = 1
    reason: str | None = None
    seconds: float | None = None
    digest: str | None = None


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def lookups(
    replica: str, version: str, start: float, end: float, *, rate: float = 1.0, miss: float = 0.1, model: str = "m"
) -> list[E]:
    """Evenly spaced lookups, every (1/miss)-th a miss."""
    many = int((end - start) * rate)
    outcomes = ("miss" if int((i + 1) * miss) > int(i * miss) else "hit" for i in range(many))
    return [E(start + i / rate, "lookup", replica, version, model, outcome) for i, outcome in enumerate(outcomes)]


def table(events: Sequence[E]) -> pl.DataFrame:
    """EVENT rows; the line is the place in the sequence, the source is 0."""
    rows = [
        {
            "ts": at(e.at), "source": 0, "line": i, "replica": e.replica, "op": e.op, "outcome": e.outcome, "model": e.model,
            "cache": e.cache or ("default" if e.op == "lookup" else "model"), "version": e.version, "reason": e.reason,
            "n": e.n, "seconds": e.seconds, "digest": e.digest,
        }
        for i, e in enumerate(events, 1)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=EVENT)


def split(table: pl.DataFrame) -> tuple[Events, pl.DataFrame]:
    """EVENT rows that come by the million, and the others."""
    kept = table.filter(is_bulk())
    words = kept.select(SAID).unique(maintain_order=True)
    rows = kept.join(words.with_row_index("said"), on=SAID, how="left", nulls_equal=True, maintain_order="left")
    bulk = Events((ordered(rows.select(list(ROWS)), words),) if kept.height else ())
    return bulk, table.filter(~is_bulk())


def frames(events: Sequence[E], order: Sequence[str] = ()) -> Frames:
    made = pipeline._frames(*split(table(events)), pipeline.Options(order=tuple(order)))
    assert made is not None
    return made


def found(rule: str, events: Sequence[E], order: Sequence[str] = ()) -> list[Finding]:
    """What one rule says of these events."""
    made = frames(events, order)
    limits = pipeline.DEFAULT.for_span((made.end - made.start).total_seconds())
    return list(detectors()[rule].detect(split(table(events))[0], made, limits))
