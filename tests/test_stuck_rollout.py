"""Rollouts that stop half-way, and what looks like it."""

from __future__ import annotations

import pytest

from cachelog.attribution.cause import link
from cachelog.contract.finding import Confidence, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.rank import named
from tests.fleet import E, at, found, frames, lookups

R = [f"r{i}" for i in range(8)]
HOUR = 3600.0


def served(took: dict[str, float], *, replicas=R, old="5", new="6", end=HOUR, rate=0.2, since=0.0):
    """Every replica serves the old version, and the new one from its own time on."""
    events = []
    for r in replicas:
        change = took.get(r, end)
        events += lookups(r, old, since, change, rate=rate) + lookups(r, new, change, end, rate=rate)
    return events


def rolled(took: dict[str, float], **more):
    """The same with the lines of loads."""
    return served(took, **more) + [
        e for r, t in took.items() for e in (E(t, "load", r, "6"), E(t + 2, "unload", r, "5"))
    ]


SIX = {r: 900.0 + 20 * i for i, r in enumerate(R[:6])}


def test_replicas_that_never_got_the_newer_version_are_named():
    (finding,) = found("stuck-rollout", [E(890, "rollout", None, "6"), *rolled(SIX)])
    assert (finding.replicas, finding.version_from, finding.version_to) == (("r6", "r7"), "5", "6")
    assert (finding.severity, finding.confidence, finding.ongoing) == (Severity.MEDIUM, Confidence.HIGH, True)
    assert abs((finding.start - at(900)).total_seconds()) <= 1
    assert finding.title == "m: rollout of 6 stopped, 2 of 8 replicas still have 5"
    assert finding.impact.stale_served == pytest.approx(2 * 0.2 * 2700, rel=0.02)
    assert finding.evidence[0].role == "rollout asked for" and len(finding.evidence) >= 4
    assert not found("version-skew", [E(890, "rollout", None, "6"), *rolled(SIX)])


def test_served_versions_are_enough():
    (finding,) = found("stuck-rollout", served(SIX))
    assert finding.replicas == ("r6", "r7")
    assert {e.role for e in finding.evidence} == {"newer version served", "older version served"}


def test_a_rollout_under_way_is_quiet_by_its_own_pace():
    slow = {r: 600.0 + 420 * i for i, r in enumerate(R[:6])}
    assert not found("stuck-rollout", rolled(slow)) and not found("version-skew", rolled(slow))
    fast = {r: 3100.0 + 10 * i for i, r in enumerate(R[:6])}
    assert not found("stuck-rollout", rolled(fast))


def test_a_complete_rollout_is_quiet():
    events = rolled({r: 900.0 + 60 * i for i, r in enumerate(R)})
    assert not found("stuck-rollout", events) and not found("version-skew", events)


def test_a_canary_is_information_unless_more_was_asked_for():
    canary = rolled({"r0": 900.0, "r1": 930.0})
    assert not found("stuck-rollout", canary)
    (told,) = found("version-skew", canary)
    assert (told.severity, told.numbers["looks_like"], told.replicas) == (Severity.INFO, "canary", ("r0", "r1"))
    (stuck,) = found("stuck-rollout", [E(890, "rollout", None, "6"), *canary])
    assert stuck.replicas == tuple(R[2:])


def test_half_of_the_fleet_may_be_a_test_so_it_is_low_and_information_after_two_hours():
    half = {r: 900.0 + 20 * i for i, r in enumerate(R[:4])}
    (finding,) = found("stuck-rollout", rolled(half))
    assert (finding.severity, finding.confidence) == (Severity.LOW, Confidence.LOW)
    assert not found("stuck-rollout", rolled(half, end=4 * HOUR, rate=0.05))
    (told,) = found("version-skew", rolled(half, end=4 * HOUR, rate=0.05))
    assert (told.severity, told.numbers["looks_like"]) == (Severity.INFO, "arms")


def test_replicas_that_went_back_are_no_part_of_it():
    events = served({r: 900.0 for r in R if r != "r7"}, replicas=R[:7])
    events += lookups("r7", "5", 0, 900, rate=0.2) + lookups("r7", "6", 900, 2000, rate=0.2)
    events += [E(2000, "restart", "r7", model=None), *lookups("r7", "5", 2001, HOUR, rate=0.2)]
    assert found("version-regression", events)
    assert not found("stuck-rollout", events) and not found("version-skew", events)


def test_a_replica_that_left_is_not_behind():
    events = served(dict.fromkeys(R[:7], 900.0), replicas=R[:7]) + lookups("r7", "5", 0, 1000, rate=0.2)
    assert not found("stuck-rollout", events)


def test_replicas_that_appear_with_the_newer_version_take_it_up():
    """A deployment starts new pods: some old ones are never replaced."""
    old = [e for r in R[:2] for e in lookups(r, "5", 0, HOUR, rate=0.2)]
    gone = [e for r in R[2:] for e in lookups(r, "5", 0, 900, rate=0.2)]
    new = [
        e for i in range(6) for e in [E(890.0 + i, "load", f"n{i}", "6"), *lookups(f"n{i}", "6", 900, HOUR, rate=0.2)]
    ]
    (finding,) = found("stuck-rollout", old + gone + new)
    assert finding.replicas == ("r0", "r1") and finding.numbers["replicas_active"] == 8


def test_pods_of_loads_alone_that_were_replaced_are_not_taken_for_behind():
    old = [E(5.0 + i, "load", r, "5") for i, r in enumerate(R)]
    new = [E(900.0 + 10 * i, "load", f"n{i}", "6") for i in range(8)]
    assert not found("stuck-rollout", [*old, *new, E(HOUR, "load", "n0", "1", model="other")])


def test_digests_have_no_order_but_the_later_one_is_what_is_rolled_out():
    (finding,) = found("stuck-rollout", served(SIX, old="f00dfeed", new="0badc0de"))
    assert (finding.version_to, finding.replicas) == ("0badc0de", ("r6", "r7"))
    assert finding.confidence < Confidence.HIGH
    few = {"r0": 900.0, "r1": 910.0, "r2": 920.0}
    (low,) = found("stuck-rollout", served(few, old="f00dfeed", new="0badc0de"))
    assert (low.severity, low.order_basis) == (Severity.LOW, "unknown")


def test_models_that_requests_swap_in_and_out_have_no_rollout():
    swaps = [e for t in range(0, 3600, 300) for e in (E(t, "evict", "r0", "4"), E(t + 5, "load", "r0", "4"))]
    assert not found("stuck-rollout", rolled(SIX) + swaps)


def test_failed_loads_are_the_cause_and_not_a_second_alarm():
    fails = [E(910.0 + 60 * i, "load_fail", r, "6", reason="out of memory") for i in range(3) for r in ("r6", "r7")]
    events = rolled(SIX) + fails
    both = named(found("stuck-rollout", events) + found("load-failure", events))
    stuck, failure = sorted(link(both, frames(events), DEFAULT), key=lambda f: f.rule, reverse=True)
    assert stuck.caused_by == failure.fingerprint and failure.caused_by is None
    assert failure.severity >= stuck.severity
    assert "It failed to load there 6 times." in stuck.summary


def test_what_is_short_is_told_in_a_short_log():
    """Two minutes: what the fixed half hour of METHODS could never show."""
    took = {r: 30.0 + i for i, r in enumerate(R[:6])}
    (finding,) = found("stuck-rollout", rolled(took, end=120.0, rate=2.0))
    assert finding.replicas == ("r6", "r7") and finding.confidence is Confidence.MEDIUM
