"""What a detector is, and the frames it may use.

A detector (cachelog/detectors/RULE_ID.py, hyphens as underscores) has
    a module docstring with the headings
        What it says / Why it matters / How it decides / When it stays quiet / What to do
    detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]
        `events` are what comes by the million (lookups, evictions of entries ...), asked for model by model;
        all others are in frames.changes
It is pure: no files, no clock, no globals. Registered by being in the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Finding
from cachelog.contract.limits import Limits
from cachelog.contract.platform import SAID


@dataclass(frozen=True, eq=False)
class Frames:
    """Small frames made once from the events; labels are String here, not Categorical. Equal to none but itself."""

    start: datetime  # first and last event of the period
    end: datetime
    base: timedelta  # width of the windows of `counts`
    counts: pl.DataFrame
    """model, cache, version (null allowed), replica, w (start of window), set (number of the labels in their order) |
    lookups, hits, misses, stale, bypass, errors: Int64 (sums of n; lookups = hits+misses+stale) |
    hit_seconds, hit_timed, miss_seconds, miss_timed: sums and numbers of latencies |
    first, last: time of the first and last lookup in the window. Sorted by all keys."""
    totals: pl.DataFrame
    """`counts` summed over the windows: its columns but w."""
    changes: pl.DataFrame
    """Every event that is no lookup, evict of an entry, expire or sample: EVENT columns, labels as String,
    `ord` (Int32, null unknown) joined, sorted by ts, source, line. Evictions of loaded models are in."""
    order: pl.DataFrame
    """model, version, ord (Int32, higher is newer, null: not comparable), basis."""
    levels: pl.DataFrame
    """Runs of the newest resident version: model, replica, ord, version, start, end (of the run; last run: last
    activity), source, line (the event that began it), observed ("load" from load lines, "lookup" from served
    versions). Sorted by model, replica, start."""
    replicas: pl.DataFrame
    """model, replica, first, last (activity of that model on that replica), lookups, loads."""
    platform: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SAID))
    """What manifests, deploys and the platform say beside the logs (contract/platform.py); none of it is in `changes`
    but starts of containers, and rollouts that name a version of a model."""
    suspected: tuple[datetime, datetime] | None = None
    """Where misses stand out among those of many more days; these frames are of the time around."""


class Rule(Protocol):
    """The module interface of cachelog/detectors/*.py."""

    detect: Callable[[Events, Frames, Limits], list[Finding]]
