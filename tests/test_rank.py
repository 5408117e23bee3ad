"""Rank, fingerprints and the link from effects to causes."""

from __future__ import annotations

import random
from dataclasses import replace

from cachelog.attribution.cause import link
from cachelog.contract.finding import Confidence, Finding, Impact, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.rank import named, rank
from tests.fleet import at, frames, lookups

FLEET = [e for r in ("a", "b", "c") for e in lookups(r, "2", 0, 1800)]
FLEET += [e for r in ("a", "b") for e in lookups(r, "2", 1800, 3600)] + lookups("c", "1", 1800, 3600, miss=0.6)
FRAMES = frames(FLEET)


def finding(rule, **fields):
    given = {"severity": Severity.MEDIUM, "confidence": Confidence.HIGH, "title": rule, "summary": "s", "model": "m"}
    return Finding(rule=rule, **(given | fields))


SHIFT = finding("miss-rate-shift", severity=Severity.CRITICAL, cache="default", replicas=("c",), start=at(1800), end=at(3600),
                onset_low=at(1790), onset_high=at(1830), impact=Impact(excess_misses=900.0, excess_misses_low=800.0))  # fmt: skip
REGRESSION = finding("version-regression", replicas=("c",), start=at(1795), version_from="2", version_to="1")
ELSEWHERE = finding("replica-restart", model=None, replicas=("a",), start=at(1800))
EARLIER = finding("version-regression", replicas=("c",), start=at(100), version_from="2", version_to="1")


def told(*findings):
    return rank(link(named(findings), FRAMES, DEFAULT))


def test_a_shift_is_told_as_the_effect_of_the_version_event_on_the_same_replicas():
    first, second = told(SHIFT, REGRESSION)
    assert (first.rule, second.rule, second.caused_by) == ("version-regression", "miss-rate-shift", "F1")
    assert (second.causes[0].finding, second.causes[0].share) == ("F1", 1.0)


def test_a_cause_is_at_least_as_bad_as_its_effect():
    first, second = told(SHIFT, REGRESSION)
    assert first.severity is Severity.CRITICAL
    assert first.score == second.score == 800.0
    assert first.impact.excess_misses == 900.0


def test_an_event_on_other_replicas_explains_nothing():
    assert all(f.caused_by is None for f in told(SHIFT, ELSEWHERE))


def test_an_event_long_before_explains_nothing():
    assert all(f.caused_by is None for f in told(SHIFT, EARLIER))


def test_an_event_of_another_model_explains_only_what_is_on_the_same_few_replicas():
    first, second = told(SHIFT, replace(REGRESSION, model="n"))
    assert (first.model, second.caused_by, second.causes[0].confidence) == ("n", "F1", Confidence.MEDIUM)
    assert first.impact.excess_misses is None
    wider = replace(REGRESSION, model="n", replicas=("b", "c"))
    assert all(f.caused_by is None for f in told(SHIFT, wider))


def test_a_rollback_explains_but_stays_information():
    meant = replace(REGRESSION, rule="rollback", severity=Severity.INFO)
    rows = told(SHIFT, meant)
    assert {f.rule: f.severity for f in rows} == {"rollback": Severity.INFO, "miss-rate-shift": Severity.CRITICAL}
    assert (rows[0].rule, rows[0].causes[0].finding, rows[0].caused_by) == ("miss-rate-shift", "F2", None)


def test_severity_ranks_before_harm_and_harm_weighs_by_how_sure_it_is():
    sure = finding("a", impact=Impact(stale_served=100))
    unsure = finding("b", impact=Impact(stale_served=200), confidence=Confidence.LOW)
    worse = finding("c", severity=Severity.HIGH)
    assert [f.rule for f in told(sure, unsure, worse)] == ["c", "a", "b"]


def test_the_order_of_detection_does_not_matter():
    all_ = [SHIFT, REGRESSION, ELSEWHERE, EARLIER, finding("load-failure", replicas=("b",))]
    expected = told(*all_)
    for seed in range(5):
        assert told(*random.Random(seed).sample(all_, len(all_))) == expected


def test_fingerprints_hold_no_times_and_tell_apart():
    later = replace(REGRESSION, start=at(1999), numbers={"n": 1})
    assert named([REGRESSION])[0].fingerprint == named([later])[0].fingerprint
    marks = {f.fingerprint for f in named([REGRESSION, later, replace(REGRESSION, replicas=("b",)), SHIFT])}
    assert len(marks) == 4


def test_for_information_a_cold_start_comes_after_what_was_changed():
    cold = finding("cold-start", severity=Severity.INFO, impact=Impact(excess_misses_low=50.0))
    back = finding("rollback", severity=Severity.INFO)
    assert [f.rule for f in told(cold, back)] == ["rollback", "cold-start"]
    assert [f.rule for f in told(replace(cold, severity=Severity.LOW), back)] == ["cold-start", "rollback"]
