"""Who else shifted, and how those who did not fared meanwhile: the scope of a shift and its control.

A rise that everybody shares is none the less a rise (a smaller cache or a shorter time to live hits the whole fleet);
so the control names the scope and adds confidence, it takes nothing away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from cachelog.contract.limits import Limits
from cachelog.metrics.excursions import Excursion
from cachelog.metrics.rates import Rate
from cachelog.metrics.spans import Study

Scope = Literal["replicas", "model", "fleet"]
Found = tuple[Study, Sequence[Excursion]]


@dataclass(frozen=True, slots=True)
class Control:
    """What the rest of the fleet did while one model shifted."""

    scope: Scope
    models_shifted: int  # other models of the same cache with an onset at the same time
    models_seen: int
    before: Rate | None  # of the control: replicas that stayed, else models that did
    after: Rate | None
    z: float | None  # difference in differences of log odds, in standard deviations; positive: more than the control


def control(studied: Study, excursion: Excursion, everything: Sequence[Found], limits: Limits) -> Control:
    """Return the scope of an excursion and its control; `everything` is what `changes` returned."""
    model, cache = studied.series.model, studied.series.cache
    others = [f for f in everything if f[0].series.cache == cache and f[0].series.model != model]
    seen = {f[0].series.model for f in others}
    shifted = {f[0].series.model for f in others if any(_same(studied, excursion, f[0], e, limits) for e in f[1])}
    stayed = _stayed(studied, excursion)
    scope: Scope = "replicas" if stayed else "model"
    if not stayed and others and len(shifted) >= limits.shift_fleet * len(seen):
        scope = "fleet"
    moved = {f[0].series.model for f in others if f[1]}
    quiet = [f[0] for f in others if f[0].series.model not in moved]
    before, after = _held(studied, excursion, stayed) if stayed else _elsewhere(studied, excursion, quiet)
    return Control(scope, len(shifted), len(seen), before, after, _difference(excursion, before, after))


def _same(mine: Study, excursion: Excursion, theirs: Study, other: Excursion, limits: Limits) -> bool:
    """Did the other begin at the same time, as far as the onset intervals tell, and go the same way?"""
    slack = timedelta(seconds=limits.shift_same_s)
    low, high = _onset(mine, excursion)
    other_low, other_high = _onset(theirs, other)
    return excursion.rising == other.rising and low - slack <= other_high and other_low <= high + slack


def _onset(studied: Study, excursion: Excursion) -> tuple[datetime, datetime]:
    return studied.series.time(excursion.low), studied.series.time(excursion.high + 1)


def _stayed(studied: Study, excursion: Excursion) -> list[int]:
    """Return the replicas (of all) with lookups that did not change; none where nothing is known of single ones."""
    moved = {studied.series.replicas[row] for row in excursion.rows}
    one = studied.whole.series
    active = np.flatnonzero(one.lookups[:, excursion.at : excursion.end].sum(1) > 0)
    return [int(row) for row in active if one.replicas[row] not in moved] if moved else []


def _held(studied: Study, excursion: Excursion, rows: Sequence[int]) -> tuple[Rate | None, Rate | None]:
    whole = studied.whole
    warm = ~whole.cold[list(rows)]
    y, n = (a[list(rows)] * warm for a in (whole.series.misses, whole.series.lookups))
    start, at, end = _before(studied, excursion), excursion.at, excursion.end
    return _known(y[:, start:at].sum(), n[:, start:at].sum()), _known(y[:, at:end].sum(), n[:, at:end].sum())


def _elsewhere(studied: Study, excursion: Excursion, quiet: Sequence[Study]) -> tuple[Rate | None, Rate | None]:
    """Sum the models that did not shift, over the same time; their windows may be wider."""
    times = [studied.series.time(w) for w in (_before(studied, excursion), excursion.at, excursion.end)]
    sums = np.zeros((2, 2))
    for other in quiet:
        edge = [other.series.window(t) for t in times]
        for k in (0, 1):
            sums[k] += [a[edge[k] : edge[k + 1]].sum() for a in (other.misses, other.lookups)]
    return _known(*sums[0]), _known(*sums[1])


def _before(studied: Study, excursion: Excursion) -> int:
    """Return where the time before begins: as long as the excursion, not less than half an hour."""
    length = max(excursion.end - excursion.at, studied.series.count(1800.0))
    return max(0, excursion.at - length)


def _known(misses: float, lookups: float) -> Rate | None:
    return Rate(float(misses), float(lookups)) if lookups else None


def _difference(excursion: Excursion, before: Rate | None, after: Rate | None) -> float | None:
    if before is None or after is None:
        return None
    spread = excursion.phi
    change = _log_odds(excursion.moved_after) - _log_odds(excursion.moved_before)
    change -= _log_odds(after) - _log_odds(before)
    rates = (excursion.moved_before, excursion.moved_after, before, after)
    return change / math.sqrt(spread * sum(_variance(rate) for rate in rates)) * (1 if excursion.rising else -1)


def _log_odds(rate: Rate) -> float:
    return math.log((rate.misses + 0.5) / (rate.lookups - rate.misses + 0.5))


def _variance(rate: Rate) -> float:
    return 1 / (rate.misses + 0.5) + 1 / (rate.lookups - rate.misses + 0.5)
