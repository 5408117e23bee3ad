"""Some models together: their rows, whose they are, and the causes of misses as numbers (metrics/causes.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachelog.contract.finding import MISS_CAUSES
from cachelog.metrics.reuse import History, Ints, Rows, Words

if TYPE_CHECKING:
    from cachelog.metrics.emptied import Span

COLD, CAPACITY, VERSION, TTL, FLUSH, DUPLICATE, NEW, ERROR, UNEXPLAINED = range(len(MISS_CAUSES))


@dataclass(frozen=True)
class Batch:
    """Some models: their rows, what they say and whose they are."""

    rows: Rows
    words: Words
    place: Ints  # per row: its (model, cache)
    scope: Ints  # per row: whose cache it is, the replica's number or 0 where all share one
    told: History
    span: Span
    fill: Ints  # per label: how long a fill takes, in microseconds
    warm: Ints  # per place: microseconds from the start of the log until most of its keys have been seen
