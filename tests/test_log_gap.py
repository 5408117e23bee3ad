"""Lines that are missing, and silences that are none."""

from __future__ import annotations

import random

import pytest

from cachelog.contract.finding import Confidence, Severity
from tests.fleet import E, at, found, lookups

R = [f"r{i}" for i in range(5)]
HOUR = 3600.0


def traffic(seed=1, rate=1.0, replicas=R, end=HOUR):
    """Lookups at random times, each to one replica by lot."""
    rng = random.Random(seed)
    times = sorted(rng.uniform(0, end) for _ in range(int(rate * len(replicas) * end)))
    return [E(t, "lookup", rng.choice(replicas), "1", "m", "hit") for t in times]


def without(events, replica, start, end):
    return [e for e in events if e.replica != replica or not start <= e.at < end]


def test_lines_that_peers_show_to_be_lost_are_a_gap():
    (finding,) = found("log-gap", without(traffic(), "r1", 1200, 1800))
    assert (finding.replicas, finding.severity, finding.confidence) == (("r1",), Severity.MEDIUM, Confidence.HIGH)
    assert abs((finding.start - at(1200)).total_seconds()) < 10 and abs((finding.end - at(1800)).total_seconds()) < 10
    assert finding.numbers["lines_expected"] == pytest.approx(600, rel=0.15)
    assert [e.role for e in finding.evidence] == ["last line before the gap", "first line after the gap"]


def test_a_short_gap_is_low():
    (finding,) = found("log-gap", without(traffic(rate=4.0), "r1", 1200, 1320))
    assert finding.severity is Severity.LOW


def test_traffic_that_went_to_the_others_is_no_gap():
    rng = random.Random(2)
    moved = [
        E(e.at, e.op, rng.choice(["r0", "r2", "r3", "r4"]), e.version, e.model, e.outcome)
        if e.replica == "r1" and 1200 <= e.at < 1800
        else e
        for e in traffic()
    ]
    assert not found("log-gap", moved)


@pytest.mark.parametrize("op", ["restart", "load"])
def test_a_silence_that_ends_with_a_start_is_no_gap(op):
    down = without(traffic(), "r1", 1200, 1800)
    assert not found("log-gap", [*down, E(1795, op, "r1", "1", model=None if op == "restart" else "m")])


def test_a_silence_after_the_unload_of_its_models_is_no_gap():
    assert not found("log-gap", [*without(traffic(), "r1", 1200, 1800), E(1201, "unload", "r1", "1")])


def test_replicas_of_one_collector_are_one_gap():
    events = without(without(traffic(), "r1", 1200, 1800), "r3", 1203, 1798)
    (finding,) = found("log-gap", events)
    assert finding.replicas == ("r1", "r3")


def test_where_all_are_silent_nobody_can_tell_an_outage_from_lost_lines():
    (finding,) = found("log-gap", [e for e in traffic() if not 1200 <= e.at < 1800])
    assert (finding.replicas, finding.severity, finding.confidence) == (tuple(R), Severity.LOW, Confidence.LOW)
    (alone,) = found("log-gap", [e for e in lookups("a", "1", 0, HOUR) if not 1200 <= e.at < 1800])
    assert (alone.replicas, alone.severity) == (("a",), Severity.LOW)


def test_traffic_that_comes_in_bursts_has_no_gaps():
    bursts = [e for t in range(0, 3600, 600) for e in lookups("a", "1", t, t + 240, rate=3.0)]
    assert not found("log-gap", bursts)


def test_thin_traffic_and_the_ends_of_a_log_are_no_gaps():
    assert not found("log-gap", traffic(rate=0.02))
    late = [e for e in traffic() if e.replica != "r1" or 900 < e.at < 2500]
    assert not found("log-gap", late)


@pytest.mark.parametrize("seed", range(6))
def test_steady_traffic_has_no_gap(seed):
    assert not found("log-gap", traffic(seed, rate=random.Random(seed).choice([0.1, 0.5, 2.0])))


def test_one_of_very_many_is_information_for_its_peers_cannot_show_it():
    many = [f"p{i}" for i in range(120)]
    (finding,) = found("log-gap", without(traffic(3, 0.2, many), "p7", 1200, 1800))
    assert (finding.severity, finding.confidence) == (Severity.INFO, Confidence.LOW)


def test_a_version_that_changed_in_the_gap_is_named():
    events = [E(e.at, e.op, e.replica, "2" if e.at > 1500 else "1", e.model, e.outcome) for e in traffic()]
    (finding,) = found("log-gap", without(events, "r1", 1200, 1800))
    assert "m had another version afterwards" in finding.summary


def test_samples_count_as_lines():
    samples = [E(t, "sample", r, None) for r in R for t in range(0, 3600, 10)]
    assert not found("log-gap", samples)
    (finding,) = found("log-gap", without(samples, "r1", 1200, 1800))
    assert finding.replicas == ("r1",)
