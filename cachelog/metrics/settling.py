"""Cold caches: what a load, restart or flush does to the miss rate, and when the rate has settled again.

Cold events of one model close in time are a wave (a rollout). Its replicas are laid over one another by age, the time
since their own event, and the wave has settled at the first age at which the rate is no higher than before the wave,
or than in what follows: then it came down to a new level, and the excess over the old one is no cold start.
A replica's first lookups count as a cold event too; so a log that begins with cold caches is seen as that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.once import once
from cachelog.metrics.proportions import Floats
from cachelog.metrics.rates import Mask, Rate
from cachelog.metrics.series import Series, series

#: Operations that leave a cache cold. Beside them, "served" stands for the first lookup of a version whose load left
#: no line (access logs), "first" for the first lookups of a replica.
COLD = ("load", "restart", "flush")


@dataclass(frozen=True, slots=True)
class ColdEvent:
    """Something after which a replica's cache may be cold."""

    time: datetime
    replica: str
    op: str
    version: str | None = None
    source: int | None = None
    line: int | None = None


@dataclass(frozen=True)
class Wave:
    """Cold events of one series that belong together, and how the rate settled after them."""

    events: tuple[ColdEvent, ...]
    first: int  # window of the first event
    mask: Mask  # (replicas, windows): cold, the rate says nothing lasting there
    before: Rate | None  # the same replicas before the wave
    peak: Rate  # the first stretch after the events
    later: Rate | None  # what followed once settled
    cold: Rate  # all lookups while cold
    excess: float  # misses while cold over what the level would have given
    deviation: float  # standard deviation of the excess
    settled_s: float | None  # seconds from an event until settled; None: not while it was seen
    seen_s: float  # seconds after an event that the log shows at most
    cut: float  # share of the events after which the next one came before it had settled

    @property
    def last(self) -> int:
        """Return the last window in which a replica of the wave was cold."""
        cold = np.flatnonzero(self.mask.any(0))
        return int(cold[-1]) if len(cold) else self.first


@dataclass(frozen=True)
class ColdEvents:
    """Cold events of all models, ready to be looked up."""

    of_model: Mapping[str, Sequence[tuple[ColdEvent, str | None]]]
    of_replica: Mapping[str, Sequence[tuple[ColdEvent, str | None]]]
    of_all: Sequence[tuple[ColdEvent, str | None]]

    def touching(self, series: Series) -> list[ColdEvent]:
        """Return the events that may have left caches of a series cold, first lookups among them, in order of time."""
        known = [*self.of_model.get(series.model, ()), *self.of_all]
        known += [pair for replica in series.replicas for pair in self.of_replica.get(replica, ())]
        events = [event for event, cache in known if _concerns(event, cache, series)]
        spread = [e for event in events for e in _on_replicas(event, series)]
        return sorted([*spread, *_first_lookups(series)], key=lambda e: (e.time, e.replica, e.op, e.line or 0))


def cold_events(frames: Frames) -> ColdEvents:
    """Return the loads, restarts and flushes of the log, and first lookups of versions whose load left no line."""
    rows = frames.changes.filter(pl.col("op").is_in(COLD))
    columns = ["ts", "replica", "op", "version", "source", "line", "model", "cache"]
    of_model, of_replica, of_all = defaultdict(list), defaultdict(list), list[tuple[ColdEvent, str | None]]()
    for ts, replica, op, version, source, line, model, cache in rows.select(columns).iter_rows():
        pair = (ColdEvent(ts, replica or "", op, version, source, line), cache)
        if model is not None:
            of_model[model].append(pair)
        elif replica is not None:
            of_replica[replica].append(pair)
        else:
            of_all.append(pair)
    for model, event in _first_served(frames, rows):
        of_model[model].append((event, None))
    return ColdEvents(of_model, of_replica, of_all)


def _first_served(frames: Frames, loads: pl.DataFrame) -> Iterator[tuple[str, ColdEvent]]:
    """Yield the first lookup of each later version on each replica, unless a line says that it was loaded."""
    version = ["model", "replica", "version"]
    known = frames.totals.drop_nulls(version).filter(pl.col("cache") != "model")
    first = known.group_by(version).agg(pl.col("first").min()).sort(*version)
    later = first.filter(pl.col("first") > pl.col("first").min().over("model", "replica"))
    silent = later.join(loads, on=version, how="anti")
    for model, replica, label, ts in silent.iter_rows():
        yield model, ColdEvent(ts, replica, "served", label)


@once
def cold_starts(frames: Frames, limits: Limits) -> tuple[ColdEvents, tuple[tuple[Series, tuple[Wave, ...]], ...]]:
    """Return the cold events, and the series of metrics/series.py with their waves: two rules begin with them."""
    cold = cold_events(frames)
    return cold, tuple((one, tuple(waves(one, cold.touching(one), limits))) for one in series(frames, limits))


def waves(series: Series, events: Sequence[ColdEvent], limits: Limits) -> list[Wave]:
    """Return the waves of a series in order of time; `events` as ColdEvents.touching gives them."""
    found: list[Wave] = []
    cold = np.zeros(series.lookups.shape, np.bool_)
    starts = _starts(series, events)
    for group in _grouped(events, limits.wave_gap_s):
        wave = _wave(series, group, starts, cold, limits)
        cold |= wave.mask
        found.append(wave)
    return found


def _concerns(event: ColdEvent, cache: str | None, series: Series) -> bool:
    """A load is the very miss that a cache of loaded models counts; a flush may name its cache."""
    if event.op in ("load", "served"):
        return series.cache != "model"
    return event.op != "flush" or cache in (None, "default", series.cache)


def _on_replicas(event: ColdEvent, series: Series) -> list[ColdEvent]:
    if event.replica:
        return [event] if event.replica in series.replicas else []
    return [
        ColdEvent(event.time, replica, event.op, event.version, event.source, event.line) for replica in series.replicas
    ]


def _first_lookups(series: Series) -> Iterator[ColdEvent]:
    for row, replica in enumerate(series.replicas):
        window = int(np.argmax(series.lookups[row] > 0))
        yield ColdEvent(series.time(window), replica, "first")


def _grouped(events: Sequence[ColdEvent], gap: float) -> Iterator[list[ColdEvent]]:
    group: list[ColdEvent] = []
    for event in events:
        if group and (event.time - group[-1].time).total_seconds() > gap:
            yield group
            group = []
        group.append(event)
    if group:
        yield group


def _starts(series: Series, events: Sequence[ColdEvent]) -> list[list[int]]:
    """Return for each replica the windows in which it went cold, sorted, each once."""
    row = {replica: k for k, replica in enumerate(series.replicas)}
    starts: list[set[int]] = [set() for _ in series.replicas]
    for event in events:
        starts[row[event.replica]].add(series.window(event.time))
    return [sorted(windows) for windows in starts]


def _wave(
    series: Series, group: Sequence[ColdEvent], starts: Sequence[Sequence[int]], cold: Mask, limits: Limits
) -> Wave:
    rows = {series.replicas.index(event.replica) for event in group}
    first, last = series.window(group[0].time), series.window(group[-1].time)
    stretches = [
        (r, w, _next(starts[r], w, series.windows)) for r in sorted(rows) for w in starts[r] if first <= w <= last
    ]
    reach = series.count(limits.settle_max_s)
    y, n = _by_age(series.misses, stretches, reach), _by_age(series.lookups, stretches, reach)
    before = _level_before(series, rows, first, cold, limits)
    head = _head(n, series, limits)
    age, level = _settled(y, n, head, before, limits)
    mask = _masked(series, stretches, reach if age is None else age)
    cut = [end < series.windows and (age is None or end - start < age) for _, start, end in stretches]
    told = _told(series, tuple(group), first, mask, before, (y, n), (head, age), level)
    return replace(told, cut=sum(cut) / len(cut))


def _next(starts: Sequence[int], window: int, end: int) -> int:
    return next((w for w in starts if w > window), end)


def _by_age(counts: Floats, stretches: Sequence[tuple[int, int, int]], reach: int) -> Floats:
    """Sum stretches (replica, from, to) laid over one another at their start."""
    longest = max(min(end - start, reach) for _, start, end in stretches)
    total = np.zeros(longest)
    for row, start, end in stretches:
        length = min(end - start, reach)
        total[:length] += counts[row, start : start + length]
    return total


def _level_before(series: Series, rows: set[int], first: int, cold: Mask, limits: Limits) -> Rate | None:
    """Return the rate of the wave's replicas shortly before it, else that of the other replicas; None: unknown."""
    span = slice(max(0, first - series.count(limits.settle_lookback_s)), first)
    mine = np.zeros(len(series.replicas), np.bool_)
    mine[sorted(rows)] = True
    warm = ~cold[:, span]
    for chosen in (mine, ~mine):
        y = float((series.misses[:, span] * warm)[chosen].sum())
        n = float((series.lookups[:, span] * warm)[chosen].sum())
        if n >= limits.settle_level_lookups:
            return Rate(y, n)
    return None


def _head(n: Floats, series: Series, limits: Limits) -> int:
    """Return how many windows are judged together: a minute at least, and enough lookups for a rate."""
    enough = int(np.searchsorted(np.cumsum(n), limits.settle_lookups)) + 1
    return min(len(n), max(enough, series.count(limits.settle_look_s)))


def _settled(y: Floats, n: Floats, head: int, before: Rate | None, limits: Limits) -> tuple[int | None, float | None]:
    """Return the first age (windows) at which the rate is down, None if it never is, and the level it is held to."""
    misses, lookups = np.concatenate([[0.0], np.cumsum(y)]), np.concatenate([[0.0], np.cumsum(n)])

    def between(start: int, end: int) -> Rate:
        return Rate(float(misses[end] - misses[start]), float(lookups[end] - lookups[start]))

    known = [before.value] if before else []
    for age in range(len(n) - head + 1):
        now = between(age, age + head)
        later = between(age + head, len(n))
        middle = (age + head + len(n)) // 2
        flat = _excess_z(between(age + head, middle), between(middle, len(n)).value) < limits.settle_z
        shown = len(n) - age >= head + max(2 * head, age) and later.lookups >= limits.settle_level_lookups
        levels = [*known, later.value] if flat and shown else known
        if levels and _excess_z(now, max(levels)) <= limits.settle_z:
            return age, max(levels)
    return None, before.value if before else None


def _excess_z(rate: Rate, level: float) -> float:
    """Return by how many standard deviations a rate is above a level."""
    if not rate.lookups:
        return 0.0
    deviation = math.sqrt(max(level * (1 - level), 1e-6) / rate.lookups)
    return (rate.value - level) / deviation


def _masked(series: Series, stretches: Sequence[tuple[int, int, int]], length: int) -> Mask:
    mask = np.zeros(series.lookups.shape, np.bool_)
    for row, start, end in stretches:
        mask[row, start : min(end, start + length)] = True
    return mask


def _told(
    series: Series,
    events: tuple[ColdEvent, ...],
    first: int,
    mask: Mask,
    before: Rate | None,
    curve: tuple[Floats, Floats],
    ages: tuple[int, int | None],
    level: float | None,
) -> Wave:
    (y, n), (head, age) = curve, ages
    cold = Rate(float(series.misses[mask].sum()), float(series.lookups[mask].sum()))
    later = Rate(float(y[age:].sum()), float(n[age:].sum())) if age is not None else None
    return Wave(
        events=events,
        first=first,
        mask=mask,
        before=before,
        peak=Rate(float(y[:head].sum()), float(n[:head].sum())),
        later=later,
        cold=cold,
        excess=0.0 if level is None else cold.misses - cold.lookups * level,
        deviation=1.0 if level is None else math.sqrt(max(cold.lookups * level * (1 - level), 1.0)),
        settled_s=None if age is None else age * series.seconds,
        seen_s=len(n) * series.seconds,
        cut=0.0,
    )
