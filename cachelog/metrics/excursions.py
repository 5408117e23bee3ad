"""From steps to lasting changes: which steps begin one, which end it, which replicas took part, what it cost.

A rise stands when its rate is above the level before it and above the mean since any cold start before it. After a
cold start, entries that were filled together expire together: the rate first falls below its level and then comes
back above it. But what is not missed in the dip was missed in the burst: with LRU caches and with a time to live the
mean since the cold start is no lower than the settled rate (1 - exp(-x) >= x / (1 + x), x the lookups of a key in its
time to live), so a rate that does not exceed that mean is no news. And what was filled since the cold start can expire
once: until a rise has cost more misses than there were fills, it is only owed for certain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.metrics.changepoints import (
    SeriesSteps,
    Step,
    adjusted,
    design,
    expit,
    find_steps,
    irls,
    likeliest,
    log_likelihood,
    shortest_segment,
)
from cachelog.metrics.proportions import Floats, benjamini_hochberg, normal_tail
from cachelog.metrics.series import Series, series
from cachelog.metrics.settling import Mask, Rate, Wave, cold_events, waves

_SURE_Z = 3.0  # standard deviations: one comparison, not scanned
_Z95 = 1.96
_WANES = 1.64  # standard deviations: one-sided 5 %
_DRIFT = 3.5  # log-likelihood by which a step must beat a slow drift


@dataclass(frozen=True)
class Study:
    """A series, what is known of its cold starts, and its counts summed over the replicas that are not cold."""

    series: Series
    waves: tuple[Wave, ...]
    cold: Mask  # (replicas, windows)
    misses: Floats  # (windows)
    lookups: Floats


@dataclass(frozen=True)
class Excursion:
    """A stretch at another level than before; windows are indices, `end` is the first one after it."""

    rising: bool
    at: int
    low: int  # the onset lies in low..high
    high: int
    end: int
    ongoing: bool
    rows: tuple[int, ...]  # replicas that rose or fell; none where single replicas had too few lookups
    before: Rate  # of all replicas while not cold
    after: Rate  # of all replicas, while none of those in `rows` is cold
    whole: Rate  # of all replicas, cold or not, in the whole stretch
    moved_before: Rate  # of the replicas in `rows`
    moved_after: Rate
    expected: float  # misses in the whole stretch had the old level held
    deviation: float  # standard deviation of misses minus expected ones
    cold_misses: float  # misses of the whole stretch that cold starts in it explain
    smallest: float  # difference of rates: smaller shifts cannot be told in this series
    step: Step
    rho: float
    phi: float
    gradual: bool  # a slow drift fits as well as a step
    owed: bool  # entries filled since a cold start could cause it by expiring together
    waning: bool  # it begins with a cold start and comes down: it may go on doing so

    @property
    def excess(self) -> float:
        """Return misses beyond the expected ones and those of cold starts, negative after a fall."""
        return self.whole.misses - self.cold_misses - self.expected

    @property
    def excess_low(self) -> float:
        """Return the lower end of the 95 % interval of the excess."""
        return self.excess - _Z95 * self.deviation

    @property
    def rate_expected(self) -> float:
        """Return the rate had the old level held."""
        return self.expected / self.whole.lookups

    @property
    def difference(self) -> float:
        """Return the rate minus the expected one."""
        return self.after.value - self.rate_expected

    @property
    def odds_ratio(self) -> float:
        """Return the odds of the rate over those of the expected one."""
        return _odds(self.after.value) / _odds(self.rate_expected)


def study(one: Series, cold_waves: Sequence[Wave]) -> Study:
    """Return a series with its cold windows left out of the sums."""
    cold = np.zeros(one.lookups.shape, np.bool_)
    for wave in cold_waves:
        cold |= wave.mask
    return Study(one, tuple(cold_waves), cold, (one.misses * ~cold).sum(0), (one.lookups * ~cold).sum(0))


def changes(frames: Frames, limits: Limits) -> list[tuple[Study, list[Excursion]]]:
    """Return every series that has enough lookups with its lasting changes, by model and cache."""
    cold = cold_events(frames)
    studies = [study(s, waves(s, cold.touching(s), limits)) for s in series(frames, limits)]
    found = adjusted(_all_steps(studies, limits), limits.shift_fdr)
    return [(studied, excursions(studied, steps, limits)) for studied, steps in zip(studies, found, strict=True)]


def _all_steps(studies: Sequence[Study], limits: Limits) -> list[SeriesSteps]:
    """Find the steps of all series, those with windows alike together."""
    alike: dict[tuple[int, float], list[int]] = {}
    for k, studied in enumerate(studies):
        alike.setdefault((studied.series.windows, studied.series.seconds), []).append(k)
    found: dict[int, SeriesSteps] = {}
    for (windows, seconds), members in sorted(alike.items()):
        y, n = (np.array([getattr(studies[k], name) for k in members]) for name in ("misses", "lookups"))
        found |= zip(members, find_steps(y, n, design(windows, seconds, limits), limits), strict=True)
    return [found[k] for k in range(len(studies))]


def excursions(studied: Study, found: SeriesSteps, limits: Limits) -> list[Excursion]:
    """Return the lasting changes of a series in order of onset; what a cold start explains is not among them."""
    spans = _spans(studied, found, limits)
    calm = np.ones(studied.series.windows, np.bool_)
    for span in spans:
        calm[span.step.at : span.end] = False
    told = [_told(studied, found, span, calm, limits) for span in spans]
    return [one for one in told if one is not None]


@dataclass(frozen=True, slots=True)
class _Span:
    """A change of level as the steps alone tell it."""

    step: Step
    base: float  # log odds of the old level, relative to the first segment
    end: int
    ongoing: bool
    until: int  # where a further rise begins, else the end

    @property
    def rising(self) -> bool:
        return self.step.log_odds > 0

    def over(self, level: float, gate: float) -> bool:
        """Is this level back at the old one?"""
        return level - self.base < gate if self.rising else self.base - level < gate


def _spans(studied: Study, found: SeriesSteps, limits: Limits) -> list[_Span]:
    """Walk along the levels: a change is open until the level is back; rises may stand on one another."""
    gate, windows = math.log(limits.shift_odds), studied.series.windows
    base, level = 0.0, 0.0
    opened: list[_Span] = []
    closed: list[_Span] = []
    for k, step in enumerate(found.steps):
        old, level = level, level + step.log_odds
        closed += [replace(s, end=step.at, ongoing=False) for s in opened if s.over(level, gate)]
        rises = [s for s in opened if s.rising]
        if not rises and any(_lasted(s, step.at, studied.series.seconds, limits) for s in opened):
            base = old  # a fall that lasted is the level of now
        opened = [s for s in opened if not s.over(level, gate)]
        floor = old if any(s.rising for s in opened) else base
        height = level - floor if step.log_odds > 0 else floor - level
        is_rise = step.log_odds > 0 and _is_news(studied, found, k, limits)
        is_fall = step.log_odds < 0 and not opened
        if height >= gate and (is_rise or is_fall):
            opened.append(_Span(step, floor, windows, True, windows))
    kept = [s for s in [*closed, *opened] if not _is_settling(s, studied, limits)]
    return _exclusive(sorted(kept, key=lambda s: (s.step.at, s.end)))


def _lasted(span: _Span, until: int, seconds: float, limits: Limits) -> bool:
    return (until - span.step.at) * seconds >= limits.shift_transient_s


def _exclusive(spans: Sequence[_Span]) -> list[_Span]:
    """A rise on top of a rise takes over: what comes after it is counted once."""
    starts = [s.step.at for s in spans if s.rising]
    return [replace(s, until=min([s.end, *(at for at in starts if at > s.step.at)])) for s in spans]


def _is_news(studied: Study, found: SeriesSteps, k: int, limits: Limits) -> bool:
    """Is the level after this rise above the mean since every cold start before it?"""
    step, end = found.steps[k], _next_step(studied, found, k)
    after = _rate(studied.misses, studied.lookups, slice(step.at, end))
    spread = _spread(found, after.lookups / max(end - step.at, 1))
    return all(_is_above(after, fills, spread, limits) for fills in _fills(studied, step, limits))


def _is_owed(studied: Study, found: SeriesSteps, step: Step, end: int, limits: Limits) -> bool:
    """May everything filled since a cold start have expired once in this stretch, and that be all?"""
    after = _rate(studied.misses, studied.lookups, slice(step.at, end))
    spread = _spread(found, after.lookups / max(end - step.at, 1))
    for fills in _fills(studied, step, limits):
        squeezed = Rate(fills.misses, max(min(fills.lookups, after.lookups), fills.misses))
        if not _is_above(after, squeezed, spread, limits):
            return True
    return False


def _fills(studied: Study, step: Step, limits: Limits) -> list[Rate]:
    """Return misses and lookups from each cold start before a rise up to it; the one that it begins with is none."""
    one = studied.series
    nearest = step.at - one.count(limits.settle_echo_s)
    slack = shortest_segment(one.windows)
    waves = [w for w in studied.waves if is_cold(w, limits) and w.first >= nearest and _last(w) + slack < step.at]
    return [_rate(one.misses.sum(0), one.lookups.sum(0), slice(w.first, step.at)) for w in waves]


def _next_step(studied: Study, found: SeriesSteps, k: int) -> int:
    return found.steps[k + 1].at if k + 1 < len(found.steps) else studied.series.windows


def _spread(found: SeriesSteps, lookups: float) -> float:
    """Return how much more than binomially the misses of a window with so many lookups vary."""
    return found.phi * (1 + max(lookups - 1, 0.0) * found.rho)


def is_cold(wave: Wave, limits: Limits) -> bool:
    """Did the wave really leave caches cold: more misses than chance gives, and enough to matter?"""
    return wave.excess >= limits.cold_misses and wave.excess >= limits.cold_z * wave.deviation


def _last(wave: Wave) -> int:
    """Return the last window in which a replica of the wave was cold."""
    cold = np.flatnonzero(wave.mask.any(0))
    return int(cold[-1]) if len(cold) else wave.first


def _is_settling(span: _Span, studied: Study, limits: Limits) -> bool:
    """Is this what a cold start does of itself: a burst that is soon over, or the dip after it?"""
    one = studied.series
    slack = shortest_segment(one.windows)
    for wave in studied.waves:
        since = span.step.at - wave.first
        if not is_cold(wave, limits) or not -slack <= since <= one.count(limits.settle_echo_s):
            continue
        if span.rising:
            begins = span.step.at <= _last(wave) + slack
            if begins and not span.ongoing and span.end <= wave.first + one.count(limits.settle_max_s):
                return True
        elif wave.before is None or not _is_below_all(studied, slice(wave.first, span.end), wave.before, limits):
            return True
    return False


def _is_below_all(studied: Study, stretch: slice, before: Rate, limits: Limits) -> bool:
    """Is the mean rate with the burst in it below the level before?"""
    whole = _rate(studied.series.misses.sum(0), studied.series.lookups.sum(0), stretch)
    return _odds(before.value) >= limits.shift_odds * _odds(whole.value)


def touching(studied: Study, window: int) -> list[Wave]:
    """Return the waves that a change in this window begins with."""
    slack = shortest_segment(studied.series.windows)
    return [wave for wave in studied.waves if wave.first - slack <= window <= _last(wave) + slack]


def _told(studied: Study, found: SeriesSteps, span: _Span, calm: Mask, limits: Limits) -> Excursion | None:
    """Measure a change; None where it is too small, or there is too little to hold it against."""
    one = studied.series
    earlier = calm & (np.arange(one.windows) < span.step.at)
    before = _rate(studied.misses, studied.lookups, earlier)
    if before.lookups < limits.settle_level_lookups:
        return None
    rows = _rows(studied, found, span, earlier, limits)
    at, low, high = _onset(studied, found, span, rows, earlier)
    stretch = slice(at, span.until)
    whole = _rate(one.misses.sum(0), one.lookups.sum(0), stretch)
    after = _after(studied, rows, stretch)
    if not after.lookups:
        return None
    expected, deviation = _expected(one.lookups.sum(0)[stretch], found, span, before, stretch)
    moved = sorted(rows) or list(range(len(one.replicas)))
    pairs = [_replica_rates(studied, row, span, earlier) for row in moved]
    told = Excursion(
        rising=span.rising,
        at=at,
        low=low,
        high=high,
        end=span.end,
        ongoing=span.ongoing,
        rows=rows,
        before=before,
        after=after,
        whole=whole,
        moved_before=_total([first for first, _ in pairs]),
        moved_after=_total([second for _, second in pairs]),
        expected=expected,
        deviation=deviation,
        cold_misses=_cold_misses(studied, stretch, limits),
        smallest=_smallest(before, after, found),
        step=span.step,
        rho=found.rho,
        phi=found.phi,
        gradual=_is_gradual(studied, found, span),
        owed=_is_owed(studied, found, span.step, span.until, limits),
        waning=_is_waning(studied, found, at, span.until),
    )
    return told if _matters(told, limits) else None


def _matters(told: Excursion, limits: Limits) -> bool:
    size = abs(math.log(told.odds_ratio))
    clear = abs(told.excess) > _Z95 * told.deviation and (told.excess > 0) == told.rising
    return clear and size >= math.log(limits.shift_odds) and abs(told.difference) >= limits.shift_rate


def _total(rates: Sequence[Rate]) -> Rate:
    return Rate(sum(r.misses for r in rates), sum(r.lookups for r in rates))


def _smallest(before: Rate, after: Rate, found: SeriesSteps) -> float:
    """Return the difference that one half of the lookups would show against the other, with 80 % power."""
    whole = _total([before, after])
    p = whole.value
    return 2.8 * math.sqrt(2 * found.phi * p * (1 - p) / max(whole.lookups / 2, 1.0))


def _rate(misses: Floats, lookups: Floats, chosen: slice | Mask) -> Rate:
    return Rate(float(misses[chosen].sum()), float(lookups[chosen].sum()))


def _is_above(after: Rate, level: Rate, spread: float, limits: Limits) -> bool:
    """Is a rate above a level, by more than chance and by more than nothing?"""
    return _z(level, after, spread) >= _SURE_Z and _odds(after.value) >= limits.shift_odds * _odds(level.value)


def _z(first: Rate, second: Rate, spread: float) -> float:
    """Return the z of the difference second - first; `spread` is how much more they vary than binomial counts."""
    pooled = (first.misses + second.misses + 0.5) / (first.lookups + second.lookups + 1)
    inverse = 1 / max(first.lookups, 1e-9) + 1 / max(second.lookups, 1e-9)
    return (second.value - first.value) / math.sqrt(spread * pooled * (1 - pooled) * inverse)


def _odds(rate: float) -> float:
    held = min(max(rate, 1e-4), 1 - 1e-4)
    return held / (1 - held)


def _rows(studied: Study, found: SeriesSteps, span: _Span, earlier: Mask, limits: Limits) -> tuple[int, ...]:
    """Return the replicas that changed; all of them when none is shown to have stayed."""
    pairs = [_replica_rates(studied, row, span, earlier) for row in range(len(studied.series.replicas))]
    spread = [_spread(found, b.lookups / max(span.until - span.step.at, 1)) for _, b in pairs]
    sign = 1 if span.rising else -1
    z = [sign * _z(a, b, s) if a.lookups and b.lookups else 0.0 for (a, b), s in zip(pairs, spread, strict=True)]
    q = benjamini_hochberg([normal_tail(v) for v in z])
    big = [
        (_odds(b.value) / _odds(a.value)) ** sign >= limits.shift_odds and abs(b.value - a.value) >= limits.shift_rate
        for a, b in pairs
    ]
    moved = [row for row in range(len(pairs)) if q[row] <= limits.shift_fdr and big[row]]
    level = Rate(sum(pairs[r][1].misses for r in moved), sum(pairs[r][1].lookups for r in moved))
    stayed = [
        row for row, (_, b) in enumerate(pairs) if row not in moved and sign * _z(b, level, spread[row]) > _SURE_Z
    ]
    active = [row for row, (_, b) in enumerate(pairs) if b.lookups]
    return tuple(moved if stayed or not moved else active)


def _replica_rates(studied: Study, row: int, span: _Span, earlier: Mask) -> tuple[Rate, Rate]:
    """Return a replica's rates before and after; where it was cold all along after, cold lookups have to do."""
    y, n, warm = studied.series.misses[row], studied.series.lookups[row], ~studied.cold[row]
    later = np.zeros(len(y), np.bool_)
    later[span.step.at : span.until] = True
    shown = later & warm if (n * (later & warm)).sum() > 0 else later
    return _rate(y, n, earlier & warm), _rate(y, n, shown)


def _onset(studied: Study, found: SeriesSteps, span: _Span, rows: Sequence[int], earlier: Mask) -> tuple[int, int, int]:
    """Place the onset on the replicas that changed, the cold windows of a wave that it begins with among them."""
    step, windows = span.step, studied.series.windows
    if not rows:
        return step.at, step.low, step.high
    chosen = sorted(rows)
    shown = ~studied.cold[chosen] | _touching(studied, step)[chosen]
    y, n = ((a[chosen] * shown).sum(0) for a in (studied.series.misses, studied.series.lookups))
    gap = max(1, shortest_segment(windows) // 2)
    first = max([0, *(s.at for s in found.steps if s.at < step.at)]) + gap
    last = min([windows, *(s.at for s in found.steps if s.at > step.at)]) - gap
    before = _rate(y, n, earlier & (np.arange(windows) < step.at))
    after = _rate(y, n, slice(step.at, last))
    near = slice(first, last)
    if last - first < 2 or not before.lookups or not after.lookups:
        return step.at, step.low, step.high
    calm = found.phi * (1 + np.maximum(n - 1, 0) * found.rho)
    level = found.linear + _log_odds(before.value) - float(np.average(found.linear, weights=n * earlier + 1e-9))
    height = _log_odds(after.value) - _log_odds(before.value)
    at, low, high = likeliest(level[near], height, (y / calm)[near], (n / calm)[near])
    return first + at, first + low, first + high


def _touching(studied: Study, step: Step) -> Mask:
    """Return the cold windows of the waves that a step begins with: there the onset is hidden."""
    mask = np.zeros(studied.cold.shape, np.bool_)
    for wave in touching(studied, step.at):
        mask |= wave.mask
    return mask


def _log_odds(rate: float) -> float:
    return math.log(_odds(rate))


def _after(studied: Study, rows: Sequence[int], stretch: slice) -> Rate:
    """Return the rate of the stretch while no replica that changed is cold; if one always is, of all of it."""
    y, n = studied.misses[stretch], studied.lookups[stretch]
    cold: Mask = np.asarray(studied.cold[sorted(rows), stretch].sum(axis=0) > 0)
    return _rate(y, n, slice(None) if (n * ~cold).sum() == 0 else ~cold)


def _cold_misses(studied: Study, stretch: slice, limits: Limits) -> float:
    """Return the misses that cold starts in the stretch explain."""
    slack = shortest_segment(studied.series.windows)
    inside = (w for w in studied.waves if stretch.start - slack <= w.first < stretch.stop and is_cold(w, limits))
    return sum(wave.excess for wave in inside)


def _expected(n: Floats, found: SeriesSteps, span: _Span, before: Rate, stretch: slice) -> tuple[float, float]:
    """Return the misses had the old level held, and the standard deviation of the misses minus these."""
    mu = expit(found.linear[stretch] + span.base)
    spread = found.phi * (1 + np.maximum(n - 1, 0) * found.rho)
    chance = float((n * mu * (1 - mu) * spread).sum())
    p = before.value
    mean_spread = float(np.average(spread, weights=n + 1e-9))
    unknown = float(n.sum()) ** 2 * p * (1 - p) / before.lookups * mean_spread
    return float((n * mu).sum()), math.sqrt(max(chance + unknown, 1.0))


def _is_waning(studied: Study, found: SeriesSteps, at: int, until: int) -> bool:
    """Does it begin with a cold start, and is its second half lower than its first?"""
    if not touching(studied, at):
        return False
    middle = (at + until) // 2
    first, second = (_rate(studied.misses, studied.lookups, s) for s in (slice(at, middle), slice(middle, until)))
    return _z(second, first, _spread(found, (first.lookups + second.lookups) / max(until - at, 1))) > _WANES


def _is_gradual(studied: Study, found: SeriesSteps, span: _Span) -> bool:
    """Would a straight line in log odds, from the step before to the one after, fit as well as the step?"""
    start = max([0, *(s.at for s in found.steps if s.at < span.step.at)])
    near = slice(start, span.until)
    calm = found.phi * (1 + np.maximum(studied.lookups[near] - 1, 0) * found.rho)
    y, n = studied.misses[near] / calm, studied.lookups[near] / calm
    t = np.linspace(-1, 1, len(y))
    jump = (np.arange(start, span.until) >= span.step.at).astype(np.float64)
    line, step = (_fit_likelihood(column, y, n) for column in (t, jump))
    return line > step - _DRIFT


def _fit_likelihood(column: Floats, y: Floats, n: Floats) -> float:
    columns = np.column_stack([np.ones(len(y)), column])
    fit = irls(columns, y, n)
    return float(log_likelihood(columns @ fit.beta, y, n).sum())
