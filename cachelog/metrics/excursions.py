"""Lasting changes of miss rates measured: when, on which replicas, from what to what, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
)
from cachelog.metrics.once import once
from cachelog.metrics.proportions import Floats, benjamini_hochberg, normal_tail
from cachelog.metrics.proposals import shortest_segment
from cachelog.metrics.rates import Mask, Rate, odds, rate_of, total, z_of
from cachelog.metrics.series import Series, part
from cachelog.metrics.settling import ColdEvents, cold_starts, waves
from cachelog.metrics.spans import Span, Study, is_cold, is_owed, spans, spread_of, study, touching

_Z95 = 1.96
_WANES = 1.64  # standard deviations: one-sided 5 %
_DRIFT = 3.5  # log-likelihood by which a step must beat a slow drift


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
    until: int  # the first window after `whole`: where a further rise takes over, else the end
    earlier: Mask = field(compare=False)  # (replicas, windows) that `before` counts
    later: Mask = field(compare=False)  # likewise of `after`

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
        return self.after.odds / odds(self.rate_expected)


@once
def changes(frames: Frames, limits: Limits) -> tuple[tuple[Study, tuple[Excursion, ...]], ...]:
    """Return every series that has enough lookups with its lasting changes, by model and cache: several rules ask.

    Where some replicas of a model went cold, these are also looked at by themselves (the rest would drown them out);
    what they show beyond the whole comes after it.
    """
    cold, known = cold_starts(frames, limits)
    whole = [study(one, found) for one, found in known]
    studies = [s for one in whole for s in (one, *_parts(one, cold, limits))]
    found = adjusted(_all_steps(studies, frames, limits), limits.shift_fdr)
    told = [(studied, excursions(studied, steps, limits)) for studied, steps in zip(studies, found, strict=True)]
    return tuple((studied, tuple(changed)) for studied, changed in _without_repeats(told, limits))


def _parts(one: Study, cold: ColdEvents, limits: Limits) -> list[Study]:
    """Return studies of the replicas that went cold together while others did not."""
    active = {name for name, n in zip(one.series.replicas, one.series.lookups.sum(1), strict=True) if n}
    groups = dict.fromkeys(tuple(sorted({e.replica for e in w.events if e.op != "first"} & active)) for w in one.waves)
    some = [part(one.series, group) for group in groups if 0 < len(group) < len(active)][: limits.shift_parts]
    big = [s for s in some if s.lookups.sum() >= limits.shift_lookups and s.misses.sum() >= limits.shift_misses]
    return [replace(study(s, waves(s, cold.touching(s), limits)), parent=one) for s in big]


def _without_repeats(
    told: Sequence[tuple[Study, list[Excursion]]], limits: Limits
) -> list[tuple[Study, list[Excursion]]]:
    """Drop from parts what the whole, or a part before it, says already; and falls, which nobody waits for."""
    kept: list[tuple[Study, list[Excursion]]] = []
    for studied, found in told:
        if studied.parent is None:
            kept.append((studied, found))
            continue
        seen = [e for other, earlier in kept if other.whole is studied.parent for e in earlier]
        slack = studied.series.count(limits.shift_same_s)
        new = [e for e in found if e.rising and not any(s.rising and _overlap(s, e, slack) for s in seen)]
        if new:
            kept.append((studied, new))
    return kept


def _overlap(one: Excursion, other: Excursion, slack: int) -> bool:
    return one.low - slack <= other.high and other.low <= one.high + slack


def _all_steps(studies: Sequence[Study], frames: Frames, limits: Limits) -> list[SeriesSteps]:
    """Find the steps of all series, those with windows alike together."""
    alike: dict[tuple[int, float], list[int]] = {}
    for k, studied in enumerate(studies):
        alike.setdefault((studied.series.windows, studied.series.seconds), []).append(k)
    found: dict[int, SeriesSteps] = {}
    for (windows, seconds), members in sorted(alike.items()):
        y, n = (np.array([getattr(studies[k], name) for k in members]) for name in ("misses", "lookups"))
        model, suspected = design(windows, seconds, limits), _suspected(studies[members[0]].series, frames)
        found |= zip(members, find_steps(y, n, model, limits, suspected), strict=True)
    return [found[k] for k in range(len(studies))]


def _suspected(one: Series, frames: Frames) -> slice:
    """Return the windows of a series that are suspected."""
    if frames.suspected is None:
        return slice(0, 0)
    return slice(*(one.window(time) for time in frames.suspected))


def excursions(studied: Study, found: SeriesSteps, limits: Limits) -> list[Excursion]:
    """Return the lasting changes of a series in order of onset; what a cold start explains is not among them."""
    changed = spans(studied, found, limits)
    calm = np.ones(studied.series.windows, np.bool_)
    for span in changed:
        calm[span.step.at : span.end] = False
    told = [_told(studied, found, span, _level_before(found, span, changed, calm), limits) for span in changed]
    return [one for one in told if one is not None]


def _level_before(found: SeriesSteps, span: Span, changed: Sequence[Span], calm: Mask) -> Mask:
    """Return the windows of the level that a change is held against: of a rise on a rise, those between the two."""
    windows = np.arange(len(calm))
    if not any(s.rising and s.step.at < span.step.at < s.end for s in changed):
        return np.asarray(calm & (windows < span.step.at))
    since = max(step.at for step in found.steps if step.at < span.step.at)
    return np.asarray((windows >= since) & (windows < span.step.at))


def _told(studied: Study, found: SeriesSteps, span: Span, level: Mask, limits: Limits) -> Excursion | None:
    """Measure a change; None where it is too small, or there is too little to hold it against."""
    one = studied.series
    earlier = _undisturbed(studied, level, span.step.at, limits)
    before = rate_of(studied.misses, studied.lookups, earlier)
    if before.lookups < limits.settle_level_lookups:
        return None
    rows = _rows(studied, found, span, earlier, limits)
    at, low, high = _onset(studied, found, span, rows, earlier)
    stretch = slice(at, span.until)
    whole = rate_of(one.misses.sum(0), one.lookups.sum(0), stretch)
    later = _later(studied, rows, slice(max(at, span.settled), span.until))
    after = rate_of(one.misses, one.lookups, later)
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
        moved_before=total([first for first, _ in pairs]),
        moved_after=total([second for _, second in pairs]),
        expected=expected,
        deviation=deviation,
        cold_misses=_cold_misses(studied, stretch, limits),
        smallest=_smallest(before, after, found),
        step=span.step,
        rho=found.rho,
        phi=found.phi,
        gradual=_is_gradual(studied, found, span),
        owed=is_owed(studied, found, span.step, span.until, limits),
        waning=_is_waning(studied, found, at, span.until),
        until=span.until,
        earlier=earlier & ~studied.cold,
        later=later,
    )
    return told if _matters(told, limits) else None


def _undisturbed(studied: Study, earlier: Mask, at: int, limits: Limits) -> Mask:
    """Leave out the dip and echo after a cold start before, if enough is left to know the level from."""
    starts = [w.first for w in studied.waves if is_cold(w, limits) and w.first < at and w not in touching(studied, at)]
    near = [w for w in starts if (at - w) * studied.series.seconds <= limits.settle_echo_s]
    calm = earlier & (np.arange(len(earlier)) < min(near, default=at))
    return calm if studied.lookups[calm].sum() >= limits.shift_lookups else earlier


def _matters(told: Excursion, limits: Limits) -> bool:
    size = abs(math.log(told.odds_ratio))
    clear = abs(told.excess) > _Z95 * told.deviation and (told.excess > 0) == told.rising
    return clear and size >= math.log(limits.shift_odds) and abs(told.difference) >= limits.shift_rate


def _smallest(before: Rate, after: Rate, found: SeriesSteps) -> float:
    """Return the difference that one half of the lookups would show against the other, with 80 % power."""
    whole = total([before, after])
    p = whole.value
    return 2.8 * math.sqrt(2 * found.phi * p * (1 - p) / max(whole.lookups / 2, 1.0))


def _rows(studied: Study, found: SeriesSteps, span: Span, earlier: Mask, limits: Limits) -> tuple[int, ...]:
    """Return the replicas that changed: all, unless it is likelier that only those did which show it one by one."""
    pairs = [_replica_rates(studied, row, span, earlier) for row in range(len(studied.series.replicas))]
    spread = [spread_of(found, b.lookups / max(span.until - span.settled, 1)) for _, b in pairs]
    sign = 1 if span.rising else -1
    z = [sign * z_of(a, b, s) for (a, b), s in zip(pairs, spread, strict=True)]
    q = benjamini_hochberg([normal_tail(v) for v in z])
    active = [row for row, (_, b) in enumerate(pairs) if b.lookups]
    moved = [row for row in active if q[row] <= limits.shift_fdr and _is_big(*pairs[row], sign, limits)]
    if not moved or len(moved) == len(active):
        return tuple(moved)
    chosen = len(active) * math.log(2.0)  # there are so many ways to choose some of them
    some, everybody = (_moved_likelihood(pairs, rows, active, spread) for rows in (moved, active))
    return tuple(moved if some - chosen > everybody else active)


def _is_big(before: Rate, after: Rate, sign: int, limits: Limits) -> bool:
    return (after.odds / before.odds) ** sign >= limits.shift_odds and abs(
        after.value - before.value
    ) >= limits.shift_rate


def _moved_likelihood(
    pairs: Sequence[tuple[Rate, Rate]], moved: Sequence[int], active: Sequence[int], spread: Sequence[float]
) -> float:
    """Return the log-likelihood of the later counts if these replicas moved by one log odds ratio and no other did."""
    old, new = total(pairs[row][0] for row in moved), total(pairs[row][1] for row in moved)
    by = math.log(new.odds / old.odds)
    sum_ = 0.0
    for row in active:
        before, after = pairs[row]
        usual = Rate(before.misses + old.value, before.lookups + 1)  # a replica without a past is as the others
        linear = np.array([math.log(usual.odds) + (by if row in moved else 0.0)])
        counts = np.array([after.misses]), np.array([after.lookups])
        sum_ += float(log_likelihood(linear, *counts)[0]) / spread[row]
    return sum_


def _replica_rates(studied: Study, row: int, span: Span, earlier: Mask) -> tuple[Rate, Rate]:
    """Return a replica's rates before and after; where it was cold all along after, cold lookups have to do."""
    y, n, warm = studied.series.misses[row], studied.series.lookups[row], ~studied.cold[row]
    later = np.zeros(len(y), np.bool_)
    later[span.settled : span.until] = True
    shown = later & warm if (n * (later & warm)).sum() > 0 else later
    return rate_of(y, n, earlier & warm), rate_of(y, n, shown)


def _onset(studied: Study, found: SeriesSteps, span: Span, rows: Sequence[int], earlier: Mask) -> tuple[int, int, int]:
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
    before = rate_of(y, n, earlier & (np.arange(windows) < step.at))
    after = rate_of(y, n, slice(step.at, last))
    near = slice(first, last)
    if last - first < 2 or not before.lookups or not after.lookups:
        return step.at, step.low, step.high
    calm = found.phi * (1 + np.maximum(n - 1, 0) * found.rho)
    level = found.linear + math.log(before.odds) - float(np.average(found.linear, weights=n * earlier + 1e-9))
    height = math.log(after.odds) - math.log(before.odds)
    at, low, high = likeliest(level[near], height, (y / calm)[near], (n / calm)[near])
    return first + at, first + low, first + high


def _touching(studied: Study, step: Step) -> Mask:
    """Return the cold windows of the waves that a step begins with: there the onset is hidden."""
    mask = np.zeros(studied.cold.shape, np.bool_)
    for wave in touching(studied, step.at):
        mask |= wave.mask
    return mask


def _later(studied: Study, rows: Sequence[int], stretch: slice) -> Mask:
    """Mark the stretch while no replica that changed is cold; if one always is, all of it that is not cold."""
    inside = np.zeros(studied.cold.shape, np.bool_)
    inside[:, stretch] = ~studied.cold[:, stretch]
    warm: Mask = np.asarray(inside & ~studied.cold[sorted(rows)].any(axis=0))
    return warm if (studied.series.lookups * warm).sum() else inside


def _cold_misses(studied: Study, stretch: slice, limits: Limits) -> float:
    """Return the misses that cold starts in the stretch explain."""
    slack = shortest_segment(studied.series.windows)
    inside = (w for w in studied.waves if stretch.start - slack <= w.first < stretch.stop and is_cold(w, limits))
    return sum(wave.excess for wave in inside)


def _expected(n: Floats, found: SeriesSteps, span: Span, before: Rate, stretch: slice) -> tuple[float, float]:
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
    first, second = (rate_of(studied.misses, studied.lookups, s) for s in (slice(at, middle), slice(middle, until)))
    return z_of(second, first, spread_of(found, (first.lookups + second.lookups) / max(until - at, 1))) > _WANES


def _is_gradual(studied: Study, found: SeriesSteps, span: Span) -> bool:
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
