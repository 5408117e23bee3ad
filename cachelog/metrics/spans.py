"""Which steps of a miss rate begin a lasting change, and which only belong to the course of a cold start.

A rise stands when its rate is above the level before it and above the mean since any cold start before it. After a
cold start, entries that were filled together expire together: the rate first falls below its level and then comes
back above it. But what is not missed in the dip was missed in the burst: with LRU caches and with a time to live the
mean since the cold start is no lower than the settled rate (1 - exp(-x) >= x / (1 + x), x the lookups of a key in its
time to live), so a rate that does not exceed that mean is no news. And what was filled since the cold start can expire
once: until a rise has cost more misses than there were fills, it may be only that (`is_owed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cachelog.contract.limits import Limits
from cachelog.metrics.changepoints import SeriesSteps, Step
from cachelog.metrics.proportions import Floats
from cachelog.metrics.proposals import shortest_segment
from cachelog.metrics.rates import Mask, Rate, rate_of, z_of
from cachelog.metrics.series import Series
from cachelog.metrics.settling import Wave

_SURE_Z = 3.0  # standard deviations: one comparison, not scanned


@dataclass(frozen=True)
class Study:
    """A series, what is known of its cold starts, and its counts summed over the replicas that are not cold."""

    series: Series
    waves: tuple[Wave, ...]
    cold: Mask  # (replicas, windows)
    misses: Floats  # (windows)
    lookups: Floats
    parent: Study | None = None  # of all replicas, where this one is of some

    @property
    def whole(self) -> Study:
        """Return the study of all replicas."""
        return self.parent or self


@dataclass(frozen=True, slots=True)
class Span:
    """A change of level as the steps alone tell it."""

    step: Step
    base: float  # log odds of the old level, relative to the first segment
    end: int  # first window after it
    ongoing: bool
    until: int  # where a further rise takes over, else the end
    settled: int  # window of the last step of its ramp: the level is reached there

    @property
    def rising(self) -> bool:
        """Return whether the rate went up."""
        return self.step.log_odds > 0

    def over(self, level: float, limits: Limits) -> bool:
        """Return whether this level is back at the old one."""
        gate = max(math.log(limits.shift_odds), limits.shift_left * abs(self.step.log_odds))
        return level - self.base < gate if self.rising else self.base - level < gate


def study(one: Series, waves: Sequence[Wave]) -> Study:
    """Return a series with its cold windows left out of the sums."""
    cold = np.zeros(one.lookups.shape, np.bool_)
    for wave in waves:
        cold |= wave.mask
    return Study(one, tuple(waves), cold, (one.misses * ~cold).sum(0), (one.lookups * ~cold).sum(0))


def spans(studied: Study, found: SeriesSteps, limits: Limits) -> list[Span]:
    """Walk along the levels: a change is open until the level is back; rises may stand on one another."""
    gate, windows = math.log(limits.shift_odds), studied.series.windows
    base = level = 0.0
    opened: list[Span] = []
    closed: list[Span] = []
    for k, step in enumerate(found.steps):
        old, level = level, level + step.log_odds
        if not any(s.rising for s in opened) and _held(found, k, studied.series, limits):
            base = old  # what lasted is the level of now
        closed += [replace(s, end=step.at, ongoing=False) for s in opened if s.over(level, limits)]
        opened = [s for s in opened if not s.over(level, limits)]
        if step.log_odds > 0:  # what may be an echo is not the beginning of what follows it
            opened = [s for s in opened if not (s.rising and is_owed(studied, found, s.step, step.at, limits))]
        if _continues(opened, step, studied.series, limits):
            opened[-1] = replace(opened[-1], settled=step.at)
            continue
        floor = old if any(s.rising for s in opened) else base
        if step.log_odds > 0:
            begins = level - floor >= gate and _is_news(studied, found, k, limits)
        else:
            begins = floor - level >= gate and not opened
        if begins:
            opened.append(Span(step, floor, windows, True, windows, step.at))
    kept = [s for s in [*closed, *opened] if not _is_settling(s, studied, limits)]
    return _exclusive(sorted(kept, key=lambda s: (s.step.at, s.end)))


def spread_of(found: SeriesSteps, lookups: float) -> float:
    """Return how much more than binomially the misses of a window with so many lookups vary."""
    return found.phi * (1 + max(lookups - 1, 0.0) * found.rho)


def is_cold(wave: Wave, limits: Limits) -> bool:
    """Return whether a wave really left caches cold: more misses than chance gives, and enough to matter."""
    return wave.excess >= limits.cold_misses and wave.excess >= limits.cold_z * wave.deviation


def touching(studied: Study, low: int, high: int | None = None) -> list[Wave]:
    """Return the waves that a change in this window, or somewhere between two windows, begins with."""
    slack = shortest_segment(studied.series.windows)
    last = low if high is None else high
    return [wave for wave in studied.waves if wave.first - slack <= last and low <= wave.last + slack]


def is_owed(studied: Study, found: SeriesSteps, step: Step, end: int, limits: Limits) -> bool:
    """Return whether everything filled since a cold start may have expired once in this stretch, and that be all."""
    after = rate_of(studied.misses, studied.lookups, slice(step.at, end))
    spread = spread_of(found, after.lookups / max(end - step.at, 1))
    for fills in _fills(studied, step, limits):
        squeezed = Rate(fills.misses, max(min(fills.lookups, after.lookups), fills.misses))
        if not _is_above(after, squeezed, spread, limits):
            return True
    return False


def _held(found: SeriesSteps, k: int, one: Series, limits: Limits) -> bool:
    """Did the level before this step last?"""
    since = found.steps[k - 1].at if k else 0
    return (found.steps[k].at - since) * one.seconds >= limits.shift_transient_s


def _continues(opened: Sequence[Span], step: Step, one: Series, limits: Limits) -> bool:
    """Does this step go on with the change that began shortly before? A ramp shows as several steps."""
    if not opened or opened[-1].rising != (step.log_odds > 0):
        return False
    return (step.at - opened[-1].settled) * one.seconds < limits.shift_transient_s


def _exclusive(kept: Sequence[Span]) -> list[Span]:
    """A rise on top of a rise takes over: what comes after it is counted once."""
    starts = [s.step.at for s in kept if s.rising]
    return [replace(s, until=min([s.end, *(at for at in starts if at > s.step.at)])) for s in kept]


def _is_news(studied: Study, found: SeriesSteps, k: int, limits: Limits) -> bool:
    """Is the level after this rise above the mean since every cold start before it?"""
    step = found.steps[k]
    end = found.steps[k + 1].at if k + 1 < len(found.steps) else studied.series.windows
    after = rate_of(studied.misses, studied.lookups, slice(step.at, end))
    spread = spread_of(found, after.lookups / max(end - step.at, 1))
    return all(_is_above(after, fills, spread, limits) for fills in _fills(studied, step, limits))


def _fills(studied: Study, step: Step, limits: Limits) -> list[Rate]:
    """Return misses and lookups from each cold start before a rise up to it; the one that it begins with is none."""
    one = studied.series
    nearest = step.at - one.count(limits.settle_echo_s)
    slack = shortest_segment(one.windows)
    waves = [w for w in studied.waves if is_cold(w, limits) and w.first >= nearest and w.last + slack < step.at]
    return [rate_of(one.misses.sum(0), one.lookups.sum(0), slice(w.first, step.at)) for w in waves]


def _is_above(after: Rate, level: Rate, spread: float, limits: Limits) -> bool:
    """Is a rate above a level, by more than chance and by more than nothing?"""
    return z_of(level, after, spread) >= _SURE_Z and after.odds >= limits.shift_odds * level.odds


def _is_settling(span: Span, studied: Study, limits: Limits) -> bool:
    """Is this what a cold start does of itself: a burst that is soon over, or the dip after it?"""
    one = studied.series
    slack = shortest_segment(one.windows)
    for wave in studied.waves:
        near = -slack <= span.step.at - wave.first <= one.count(limits.settle_echo_s)
        if not near or not is_cold(wave, limits):
            continue
        if span.rising:
            begins = span.step.at <= wave.last + slack
            if begins and not span.ongoing and span.end <= wave.first + one.count(limits.settle_max_s):
                return True
        elif wave.before is None or not _is_below_all(studied, slice(wave.first, span.end), wave.before, limits):
            return True
    return False


def _is_below_all(studied: Study, stretch: slice, before: Rate, limits: Limits) -> bool:
    """Is the mean rate with the burst in it below the level before?"""
    whole = rate_of(studied.series.misses.sum(0), studied.series.lookups.sum(0), stretch)
    return before.odds >= limits.shift_odds * whole.odds
