"""Rises of an hour in logs of many days: found by a closer look, and nothing made up by it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from cachelog import closer, pipeline
from cachelog.contract.finding import Severity
from cachelog.metrics.passing import suspected
from cachelog.metrics.proposals import rise_near
from cachelog.rooms import detectors
from tests.fleet import split
from tests.traffic import T0, drawn, found, frames

HOUR, DAY = 3600.0, 86_400.0
DAYS = 14 * DAY
AT = 8.4 * DAY


def wandering(height, *begins, base=0.1, lasts=HOUR):
    """A rate that follows the day and wanders from hour to hour, with rises of some height in log odds."""
    wander = 0.2 * np.random.default_rng(5).normal(size=int(DAYS / HOUR) + 2)

    def rate(_, t):
        odds = np.log(base / (1 - base)) + 0.3 * np.sin(2 * np.pi * t / DAY)
        odds = odds + np.interp(t / HOUR, np.arange(len(wander)), wander)
        return 1 / (1 + np.exp(-odds - height * sum((t >= at) & (t < at + lasts) for at in begins)))

    return rate


def month(height, *begins):
    return [
        drawn(1, wandering(height, *begins), seconds=DAYS, rate=400 / HOUR),
        drawn(2, wandering(0.0, 0.0, base=0.2), seconds=DAYS, rate=300 / HOUR, model="other"),
    ]


def told(*events):
    table = pl.concat(events)
    rising, errors = pipeline._detect(split(table)[0], frames(table), pipeline.DEFAULT)
    assert not errors
    return [f for f in rising if f.severity > Severity.INFO]


def test_an_incident_of_an_hour_in_a_fortnight_is_found():
    (one,) = told(*month(1.7, AT))
    assert (one.rule, one.model, one.ongoing) == ("miss-rate-shift", "m", False)
    onset = T0 + timedelta(seconds=AT)
    assert one.onset_low - timedelta(minutes=5) <= onset <= one.onset_high + timedelta(minutes=5)
    assert timedelta(minutes=45) <= one.end - one.start <= timedelta(minutes=75)
    assert one.evidence


def test_wide_windows_alone_do_not_find_it():
    assert not found("miss-rate-shift", *month(1.7, AT))


@pytest.mark.parametrize("begins", [(), tuple(k * DAY + 2 * HOUR for k in range(3, 12))], ids=["healthy", "nightly"])
def test_neither_wander_nor_a_job_of_every_night_is_told(begins):
    assert not told(*month(1.7, *begins))


def test_looks_are_few_and_the_clearest_first():
    table = pl.concat(month(1.7, *(k * DAY + (k * 5 % 24) * HOUR for k in range(2, 13))))
    made, limits = frames(table), pipeline.DEFAULT
    looks = suspected(split(table)[0], made.start, made.end, limits)
    assert len(looks) == limits.passing_looks
    assert [s.z for s in looks] == sorted((s.z for s in looks), reverse=True)


def test_a_day_is_seen_in_narrow_windows_anyway():
    table = drawn(1, wandering(1.7, HOUR * 9), seconds=DAY, rate=400 / HOUR)
    assert not closer.passing(split(table)[0], frames(table), pipeline.DEFAULT, detectors())


def test_the_likeliest_rise_is_that_of_all_pairs_of_ends():
    dice = np.random.default_rng(3)
    r, v = dice.normal(size=(1, 120)), dice.uniform(0.5, 2.0, (1, 120))
    r[0, 50:70] += 3.0
    ((begin, end),) = rise_near(r, v, slice(55, 62))

    def z(a, b):
        told = v[0, a:b].sum()
        return r[0, a:b].sum() / np.sqrt(told * (1 - told / v[0].sum()))

    pairs = [(a, b) for a in range(44, 62) for b in range(56, 74) if b - a >= 6]
    assert (begin, end) == max(pairs, key=lambda pair: z(*pair))
