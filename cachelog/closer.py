"""A closer look at hours of a log of many days: the rules of miss rates on a short period, with its narrow windows.

What they say there is what `--since` and `--until` around these hours would give. Memory stays bounded: looks are few,
each holds the counts of half a day or so, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import ModuleType

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Finding, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics import windows
from cachelog.metrics.passing import Stretch, suspected

#: Rules that judge rises of miss rates; the others look at events, which need no windows.
_RULES = ("miss-rate-shift", "eviction-thrash", "ttl-churn", "new-keys")
_NARROW = timedelta(minutes=1)
_SLACK = timedelta(hours=1)


def passing(events: Events, frames: Frames, limits: Limits, rules: Mapping[str, ModuleType]) -> list[Finding]:
    """Return rises that passed within hours; none in logs that are short enough to be seen in narrow windows."""
    if frames.base <= _NARROW:
        return []
    found: list[Finding] = []
    for stretch in suspected(events, frames.start, frames.end, limits):
        near = _near(events, frames, stretch, limits)
        asked = _fitted(limits, (near[1].end - near[1].start).total_seconds())
        told = [f for name in _RULES if name in rules for f in rules[name].detect(*near, asked)]
        found += [f for f in told if _is_of(f, stretch, near[1].end, frames.end)]
    return without_repeats((), found)


def without_repeats(known: Sequence[Finding], found: Sequence[Finding]) -> list[Finding]:
    """Drop what another finding of the same rule and model says of the same time."""
    kept: list[Finding] = []
    for one in found:
        if not any(_same(one, other) for other in (*known, *kept)):
            kept.append(one)
    return kept


def _near(events: Events, frames: Frames, stretch: Stretch, limits: Limits) -> tuple[Events, Frames]:
    """Return what happened around a stretch, as if the log were no longer than that."""
    pad = timedelta(seconds=limits.passing_around_s)
    start, end = max(frames.start, stretch.start - pad), min(frames.end, stretch.end + pad)
    inside = pl.col("ts").is_between(start, end)
    some = Events(tuple(replace(part, rows=part.rows.filter(inside)) for part in events.parts))
    counts, base = windows.counts(some, start, end)
    totals, changes = windows.totals(counts), frames.changes.filter(inside)
    told = replace(frames, start=start, end=end, base=base, counts=counts, totals=totals, changes=changes)
    return some, replace(told, suspected=(stretch.start, stretch.end))


def _fitted(limits: Limits, seconds: float) -> Limits:
    """Return the limits for a stretch: it soon passed, and the rhythm of the day was told apart before."""
    slope = max(limits.slope_min_s, seconds + 1)
    return replace(limits, shift_apart=1.0, shift_left=limits.passing_left, slope_min_s=slope).for_span(seconds)


def _is_of(finding: Finding, stretch: Stretch, seen: datetime, end: datetime) -> bool:
    """Is it the rise that was suspected, and over within what was seen? What lasts is seen in wide windows."""
    if finding.model != stretch.model or finding.severity == Severity.INFO or finding.start is None:
        return False
    near = stretch.start - _SLACK <= finding.start <= stretch.end
    return near and not (finding.ongoing and seen < end)


def _same(one: Finding, other: Finding) -> bool:
    if (one.rule, one.model, one.cache) != (other.rule, other.model, other.cache):
        return False
    if None in (one.start, one.end, other.start, other.end):
        return False
    assert one.start and one.end and other.start and other.end
    return one.start <= other.end and other.start <= one.end
