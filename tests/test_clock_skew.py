"""Clocks that are off, and what only looks like it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from cachelog.contract.finding import Confidence, Severity
from tests.fleet import E, found, lookups

R = [f"r{i}" for i in range(5)]
HOUR = 3600.0


def stream(seed=1, *, skew=None, late=None, end=HOUR, rate=1.0):
    """One file that all replicas write, in the order in which its lines came."""
    rng = random.Random(seed)
    lines = []
    for _ in range(int(rate * len(R) * end)):
        t, r = rng.uniform(0, end), rng.choice(R)
        lines.append(
            (
                t + rng.uniform(0, (late or {}).get(r, 0.0)),
                E(t + (skew or {}).get(r, 0.0), "lookup", r, "1", "m", "hit"),
            )
        )
    return [event for _, event in sorted(lines, key=lambda line: line[0])]


def apart(seed=1, **more):
    """The same, a file a replica: only the lines of one replica stand together."""
    return sorted(stream(seed, **more), key=lambda e: e.replica)


@pytest.mark.parametrize("by", [-85.0, 40.0, 7200.0])
def test_a_replica_whose_lines_bear_another_time_than_those_beside_them(by):
    (finding,) = found("clock-skew", stream(skew={"r2": by}))
    assert (finding.replicas, finding.confidence) == (("r2",), Confidence.HIGH)
    assert finding.severity is (Severity.MEDIUM if by > 3600 else Severity.LOW)
    assert finding.numbers["offset_seconds"] == pytest.approx(by, abs=5)
    assert finding.title == f"r2: clock about {finding.title.split('about ')[1]}"
    assert ("behind" in finding.title) == (by < 0) and len(finding.evidence) == 2


@pytest.mark.parametrize("by", [-85.0, 70.0])
def test_a_log_that_begins_and_ends_as_much_earlier_or_later(by):
    (finding,) = found("clock-skew", apart(skew={"r2": by}))
    assert (finding.replicas, finding.severity, finding.confidence) == (("r2",), Severity.LOW, Confidence.MEDIUM)
    assert finding.numbers["offset_by_ends_seconds"] == pytest.approx(by, abs=8)
    assert [e.role for e in finding.evidence] == ["its first line", "first line of another replica"]


def test_two_clocks_are_two_findings():
    assert [f.replicas for f in found("clock-skew", apart(skew={"r1": -85.0, "r4": 70.0}))] == [("r1",), ("r4",)]


@pytest.mark.parametrize("seed", range(5))
def test_right_clocks_are_quiet(seed):
    assert not found("clock-skew", stream(seed)) and not found("clock-skew", apart(seed, rate=0.2))


def test_late_lines_are_not_a_wrong_clock():
    assert not found("clock-skew", stream(late=dict.fromkeys(R, 60.0)))
    assert not found("clock-skew", stream(late={"r2": 90.0}, rate=4.0))


def test_replicas_that_came_later_or_left_earlier_are_not_off():
    events = [e for e in stream() if not (e.replica == "r1" and e.at < 600) and not (e.replica == "r2" and e.at > 3000)]
    assert not found("clock-skew", sorted(events, key=lambda e: e.replica))
    assert not found("clock-skew", events)


def test_logs_that_were_fetched_one_after_the_other_are_not_off():
    """Each begins and ends later than the one before."""
    moved = [replace(e, at=e.at + 25.0 * R.index(e.replica)) for e in apart()]
    assert not found("clock-skew", moved)


def test_of_two_replicas_nobody_can_tell_which_is_off():
    assert not found("clock-skew", [e for e in stream(skew={"r1": 60.0}) if e.replica in ("r0", "r1")])


def rollouts(offs):
    """Loads that all make within a second, but one by as much earlier each time."""
    times = [600.0 + 1500.0 * i for i in range(len(offs))]
    loads = [E(t + i / 5, "load", r, str(v)) for v, t in enumerate(times) for i, r in enumerate(R)]
    return [E(e.at + offs[int(e.version)], e.op, e.replica, e.version) if e.replica == "r2" else e for e in loads]


def test_rollouts_that_one_replica_always_makes_as_much_earlier_are_information():
    (finding,) = found("clock-skew", rollouts([-90.0, -91.0, -89.5]))
    assert (finding.replicas, finding.severity, finding.confidence) == (("r2",), Severity.INFO, Confidence.LOW)
    assert not found("clock-skew", rollouts([-90.0, 0.0, 0.0]))
    assert not found("clock-skew", rollouts([-90.0, -200.0, 40.0]))


def test_a_clock_that_was_set_back_is_told_and_a_late_batch_is_not():
    back = [replace(e, at=e.at - 120.0) if e.replica == "r2" and e.at > 1800 else e for e in apart(rate=4.0)]
    (finding,) = found("clock-skew", back)
    assert finding.replicas == ("r2",) and "set back" in finding.title
    assert finding.numbers["offset_seconds"] == pytest.approx(-120, abs=30)
    mine = lookups("r2", "1", 0, HOUR)
    batch = [*mine[:1000], *mine[1200:1800], *mine[1000:1200], *mine[1800:]]
    assert not found("clock-skew", batch)


def test_the_end_of_one_file_before_the_start_of_it_is_a_wrong_order_of_files():
    mine = lookups("r2", "1", 0, HOUR)
    assert not found("clock-skew", [*mine[1800:], *mine[:1800]])


def fleet_with_a_rollout(zone, *, lookups_off=None, at=(1800.0, 20.0), many=4):
    """Logs that were fetched one after the other, of replicas that all load version 2, r1 in a zone of its own."""
    names = R[:many]
    begun, pause = at
    events = [e for e in apart(rate=0.5) if e.replica in names]
    loads = [E(begun + pause * i, "load", r, "2", "m") for i, r in enumerate(names)]
    fetched = [replace(e, at=e.at + 40.0 * names.index(e.replica)) for e in events]
    off = zone if lookups_off is None else lookups_off
    moved = [replace(e, at=e.at + off) if e.replica == "r1" else e for e in fetched]
    return moved + [replace(e, at=e.at + zone) if e.replica == "r1" else e for e in loads]


@pytest.mark.parametrize("zone", [19_800.0, -28_800.0, 3600.0])
@pytest.mark.parametrize("many", [3, 5])
def test_a_replica_in_another_zone_is_found_by_a_rollout_that_it_shares(zone, many):
    (finding,) = found("clock-skew", fleet_with_a_rollout(zone, many=many))
    assert (finding.replicas, finding.severity, finding.confidence) == (("r1",), Severity.MEDIUM, Confidence.HIGH)
    assert finding.numbers["offset_seconds"] == zone
    assert ("behind" in finding.title) == (zone < 0) and "time zone" in finding.summary
    assert [e.role for e in finding.evidence] == ["version 2 on r1"]


@pytest.mark.parametrize(
    "events",
    [
        fleet_with_a_rollout(5000.0),  # no zone
        fleet_with_a_rollout(0.0, lookups_off=3600.0),  # a log that was fetched an hour later
        fleet_with_a_rollout(3600.0, lookups_off=0.0),  # a rollout that was an hour later
        fleet_with_a_rollout(0.0),
    ],
)
def test_one_sign_alone_is_no_zone(events):
    assert not found("clock-skew", events)
