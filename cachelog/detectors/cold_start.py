"""cold-start: the expected misses after a load, and how long they took to go.

What it says
    After a model was loaded on some replicas, or they restarted, or their caches were flushed, they missed more often:
    how many extra misses that made and how long it took until the rate was back. One finding a model and rollout.

Why it matters
    It is the price of a rollout. Where it takes long, a rollout needs pauses between replicas, or a warm-up. And it
    is the harmless explanation of a burst of misses, so that nobody has to look for another.

How it decides
    Loads, restarts and flushes of a model less than five minutes apart are one wave; so are first lookups of a version
    where loads leave no line. Its replicas are laid over one another by the time since their own load. The wave has
    settled when the rate over a minute is back at the level of the half hour before, or at a new level that no longer
    falls. The extra misses until then must be more than chance gives (3 standard deviations) and at least 10.

When it stays quiet
    A load that leaves the cache warm, as most loads at the start of a log do; caches of loaded models, where each load
    is a miss. It is information; low when the rate did not come down within half an hour (and keys do not show that
    entries are just asked for too rarely), or the next load or restart came before it had.

What to do
    Nothing, usually. If it takes long: warm the cache before a replica takes traffic, keep the key's version out of it
    where results do not depend on it, or roll out more slowly. Low: see why the replica loads again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.counted import Counted, everywhere, rated
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Number, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, percent, replicas
from cachelog.metrics.ages import COLD_TABLE, Stretch, shares
from cachelog.metrics.beside import deployed
from cachelog.metrics.causes import explained
from cachelog.metrics.harm import added_seconds
from cachelog.metrics.lines import served_line
from cachelog.metrics.proportions import wilson
from cachelog.metrics.rates import Rate, rate_of
from cachelog.metrics.series import Series
from cachelog.metrics.settling import ColdEvent, Wave, cold_starts
from cachelog.metrics.spans import is_cold

_SHOWN = 3  # replicas whose lines are cited
_ROLES = {"load": "loaded", "restart": "restarted", "flush": "flushed", "served": "first seen with this version"}
#: What the wave is called, the first that fits: restarts bring loads with them.
_KINDS = {"restart": "restart", "flush": "flush", "load": "load", "served": "change of version"}


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding a series and wave of loads that left caches cold."""
    _, known = cold_starts(frames, limits)
    return [
        _with_deploy(_finding(events, one, wave, frames, limits), frames, limits)
        for one, waves in known
        for wave in waves
        if is_cold(wave, limits) and _events(wave)
    ]


def _with_deploy(finding: Finding, frames: Frames, limits: Limits) -> Finding:
    """Add the deploy that the loads came after; that there was none is not worth a word."""
    if frames.platform.is_empty() or finding.model is None or finding.start is None:
        return finding
    onset = finding.start, finding.onset_high or finding.start
    told = deployed(frames, finding.model, finding.replicas, onset, limits)
    return replace(told, rejected=()).added(finding)


def _events(wave: Wave) -> list[ColdEvent]:
    """Return the events that have a line; first lookups have none of their own."""
    return [event for event in wave.events if event.op != "first"]


def _finding(events: Events, one: Series, wave: Wave, frames: Frames, limits: Limits) -> Finding:
    cold = _events(wave)
    start, end = cold[0].time, _end(one, wave, frames)
    names = tuple(sorted({event.replica for event in cold}))
    versions = {event.version for event in cold if event.version}
    lost = added_seconds(frames, one.model, one.cache, one.time(wave.first), end, wave.excess)
    return Finding(
        rule="cold-start",
        severity=Severity.LOW
        if _is_stuck(wave, limits) and not _is_slow(events, one, wave, frames, limits)
        else Severity.INFO,
        confidence=Confidence.HIGH if wave.before else Confidence.MEDIUM,
        title=_title(one, wave, names),
        summary=_summary(one, wave, names, limits),
        model=one.model,
        cache=one.cache,
        replicas=names,
        version_to=next(iter(versions)) if len(versions) == 1 else None,
        start=start,
        end=end,
        onset_low=start,
        onset_high=cold[-1].time,
        ongoing=wave.settled_s is None and end >= frames.end - timedelta(seconds=2 * one.seconds),
        impact=Impact(
            lookups=round(wave.cold.lookups),
            excess_misses=round(wave.excess, 1),
            excess_misses_low=round(max(0.0, wave.excess - 1.96 * wave.deviation), 1),
            added_seconds=None if lost is None else round(lost, 3),
        ),
        numbers=_numbers(wave, cold, names),
        evidence=_evidence(events, one.model, cold),
        counted=_counted(one, start, end, names),
    )


def _counted(one: Series, start: datetime, end: datetime, names: Sequence[str]) -> dict[str, tuple[Counted, ...]]:
    """Return which lines the figures count, until the last replica had settled."""
    found = rated(one.model, everywhere(start, end, names), cache=one.cache)
    return {"impact.lookups": found[1:], "cold_start_misses": found}


def _end(one: Series, wave: Wave, frames: Frames) -> datetime:
    """Return when the last replica had settled, else the last that was seen of it."""
    return min(one.time(wave.last + 1), frames.end)


def _is_stuck(wave: Wave, limits: Limits) -> bool:
    """Did it not settle although there was time, or because the next cold event came first, again and again?"""
    again = _repeats(wave, limits) >= limits.restarts and wave.cut >= limits.cold_cut
    late = wave.settled_s is None and (wave.seen_s >= limits.settle_max_s or not wave.mask[:, -1].any())
    return again or late


def _is_slow(events: Events, one: Series, wave: Wave, frames: Frames, limits: Limits) -> bool:
    """Do keys show that it only takes its time: what was asked for since is there when it is asked for again?"""
    if _repeats(wave, limits) >= limits.restarts and wave.cut >= limits.cold_cut:
        return False
    start, until = one.time(wave.first), one.time(wave.last + 1)
    mine = events.of(one.model).filter((pl.col("op") == "lookup") & (pl.col("cache") == one.cache))
    names = sorted({e.replica for e in wave.events})
    level = wave.before or rate_of(one.misses.sum(0), one.lookups.sum(0), slice(0, wave.first))
    cold = pl.DataFrame([(e.replica, e.time) for e in wave.events], schema=COLD_TABLE, orient="row")
    known = explained(events, frames, limits)
    stretch = Stretch(start, until, level.value, level.value, cold, (one.model, one.cache) in known.shared)
    mine = mine.filter((pl.col("ts") < start) | pl.col("replica").cast(pl.String).is_in(names))
    rows = [one.replicas.index(name) for name in names]
    total = one.lookups[:, : wave.first].sum() + one.lookups[rows, wave.first : wave.last + 1].sum()
    found = shares(mine, int(total), frames.start, stretch, limits)
    return found is not None and found.sure < limits.ages_share


def _repeats(wave: Wave, limits: Limits) -> int:
    """Return how often the replica that went cold most often did; a restart and the loads after it are one."""
    last: dict[str, datetime] = {}
    times: Counter[str] = Counter()
    for event in _events(wave):
        before = last.get(event.replica)
        times[event.replica] += before is None or (event.time - before).total_seconds() > limits.restart_burst_s
        last[event.replica] = event.time
    return max(times.values())


def _kind(wave: Wave) -> str:
    ops = {event.op for event in _events(wave)}
    return next(word for op, word in _KINDS.items() if op in ops)


def _title(one: Series, wave: Wave, names: Sequence[str]) -> str:
    after = f"after the {_kind(wave)} on {replicas(len(names))}"
    if wave.settled_s is None:
        return f"{one.model}: cold caches {after}, not settled while the log shows it"
    return f"{one.model}: cold caches {after}, settled in {lasting(max(wave.settled_s, one.seconds))}"


def _summary(one: Series, wave: Wave, names: Sequence[str], limits: Limits) -> str:
    start = _events(wave)[0].time
    said = f"From {start:%Y-%m-%d %H:%M:%S} UTC on {listed(names, 5)}: {wave.excess:,.0f} extra misses of"
    said += f" {wave.cold.lookups:,.0f} lookups. The miss rate was {percent(wave.peak.value)} at first"
    said += f", {percent(wave.before.value)} before" if wave.before else ""
    if wave.later:
        said += f", {percent(wave.later.value)} after it had settled"
    if _repeats(wave, limits) > 1 and wave.cut >= limits.cold_cut:
        return f"{said}. A replica went cold {_repeats(wave, limits)} times, mostly before it had settled."
    return f"{said}."


def _numbers(wave: Wave, cold: Sequence[ColdEvent], names: Sequence[str]) -> dict[str, Number]:
    numbers: dict[str, Number] = {
        "replicas": len(names),
        "events": len(cold),
        "cold_start_misses": round(wave.excess, 1),
        "settled_seconds": wave.settled_s,
        "seen_seconds": wave.seen_s,
    }
    for name, rate in (("before", wave.before), ("first", wave.peak), ("later", wave.later)):
        numbers |= _rate(name, rate)
    return numbers


def _rate(name: str, rate: Rate | None) -> dict[str, Number]:
    value, low, high = wilson(rate.misses, rate.lookups) if rate else (None, None, None)
    bounds = ((f"rate_{name}", value), (f"rate_{name}_low", low), (f"rate_{name}_high", high))
    return {key: None if number is None else round(number, 6) for key, number in bounds}


def _evidence(events: Events, model: str, cold: Sequence[ColdEvent]) -> tuple[Evidence, ...]:
    """Cite the first line of each of the first replicas; where loads leave none, the first lookup of the version."""
    first: dict[str, ColdEvent] = {}
    for event in cold:
        first.setdefault(event.replica, event)
    cited = [_line(events, model, event) for event in list(first.values())[:_SHOWN]]
    return tuple(line for line in cited if line)


def _line(events: Events, model: str, event: ColdEvent) -> Evidence | None:
    role = _ROLES[event.op]
    if event.source is not None and event.line is not None:
        return Evidence(event.source, event.line, event.time, role)
    if event.version is None:
        return None
    return served_line(events, model, event.replica, event.version, role=role, since=event.time)
