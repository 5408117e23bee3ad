"""Regression, rollback, flapping or nothing: rollouts of every kind, each with random timing (METHODS §4, E6)."""

from __future__ import annotations

import random

import pytest

from cachelog.contract.finding import Confidence, Severity
from tests.fleet import E, at, found, lookups

R = [f"r{i}" for i in range(8)]
H = 3600.0
START = [E(i * 5.0, "load", r, "5") for i, r in enumerate(R)]
END = [E(6 * H, "load", "r0", "1", model="other")]


def roll(rng, start, old, new, replicas=R, *, unload=True):
    """A rolling update: the new version loads before or after the old one goes."""
    step, overlap = rng.uniform(10, 300), rng.uniform(-30, 200)
    events = []
    for i, r in enumerate(replicas):
        time = start + i * step + rng.uniform(0, 20)
        events += [E(time, "load", r, new)] + ([E(time + overlap, "unload", r, old)] if unload else [])
    return events


def asked(start, version):
    return [E(start, "rollout", None, version)]


def rolling(rng):
    return asked(2 * H, "6") + roll(rng, 2 * H, "5", "6")


def old_restarts_during_rollout(rng):
    first, second = roll(rng, 2 * H, "5", "6", R[:5]), roll(rng, 2 * H + 1500, "5", "6", R[5:])
    return (
        asked(2 * H, "6")
        + first
        + [E(2 * H + 1400, "restart", "r6", model=None), E(2 * H + 1410, "load", "r6", "5")]
        + second
    )


def clock_skew_and_late_lines(rng):
    skew = {r: rng.gauss(0, 60) for r in R}
    late = lambda: rng.expovariate(1 / 20) if rng.random() < 0.3 else 0.0  # noqa: E731
    return [E(e.at + skew[e.replica] + late(), e.op, e.replica, e.version) for e in roll(rng, 2 * H, "5", "6")]


def several_versions_by_policy(rng):
    events = [E(2 * H + i * 60, "load", r, "6") for i, r in enumerate(R)]
    for r in rng.sample(R, 3):
        time = 3 * H + rng.uniform(0, H)
        events += [E(time, "unload", r, "5"), E(time, "unload", r, "6")]
        events += [
            E(time + 20 + j * rng.uniform(1, 200), "load", r, v) for j, v in enumerate(rng.sample(["5", "6"], 2))
        ]
    return events


def ab_arms(rng):
    events = [e for r in R[4:] for e in (E(2 * H, "load", r, "6"), E(2 * H + 20, "unload", r, "5"))]
    for r in rng.sample(R, 4):
        version, time = ("5" if r in R[:4] else "6"), 3 * H + rng.uniform(0, H)
        events += [E(time, "unload", r, version), E(time + 15, "load", r, version)]
    return events


def tenant_pinning(rng):
    events = roll(rng, 2 * H, "5", "6")
    for _ in range(6):
        r, time = rng.choice(R), 3 * H + rng.uniform(2400, 2 * H)
        events += [E(time, "load", r, "3"), E(time + rng.uniform(60, 900), "evict", r, "3")]
    return events


def thrash_of_one_version(rng):
    times = [2 * H + rng.uniform(0, H) for _ in range(20)]
    return [e for t in times for r in [rng.choice(R)] for e in (E(t, "evict", r, "5"), E(t + 5, "load", r, "5"))]


def pinned_version_restarts(rng):
    return [e for r in R for e in (E(3 * H + rng.uniform(0, H), "restart", r, model=None), E(4.5 * H, "load", r, "5"))]


def canary_aborted(rng):
    return roll(rng, 2 * H, "5", "6", R[:1]) + roll(rng, 2 * H + 1200, "6", "5", R[:1])


def unannounced_rollback(rng):
    return roll(rng, 2 * H, "5", "6") + roll(rng, 4 * H, "6", "5")


def announced_rollback_of_a_part(rng):
    return roll(rng, 2 * H, "5", "6") + asked(4 * H, "5") + roll(rng, 4 * H, "6", "5", R[:5])


def stale_on(rng, replicas, *, unload=True, restart=False):
    events = []
    for r in replicas:
        time = 4 * H + rng.uniform(0, 600)
        events += [E(time, "unload", r, "6")] if unload else []
        events += [E(time, "restart", r, model=None)] if restart else []
        events += [E(time + 10, "load", r, "5")]
    return events


def stale_on_three(rng):
    return asked(2 * H, "6") + roll(rng, 2 * H, "5", "6") + stale_on(rng, rng.sample(R, 3))


def stale_on_six(rng):
    return roll(rng, 2 * H, "5", "6") + stale_on(rng, rng.sample(R, 6))


def stale_without_unload_lines(rng):
    return roll(rng, 2 * H, "5", "6", unload=False) + stale_on(rng, ["r3"], unload=False)


def stale_after_restart(rng):
    return roll(rng, 2 * H, "5", "6") + stale_on(rng, ["r2", "r5"], unload=False, restart=True)


def flapping(rng):
    events = roll(rng, 2 * H, "5", "6")
    for r in rng.sample(R, 2):
        for t in (4 * H, 4 * H + 600, 4 * H + 1200):
            events += [
                E(t, "unload", r, "6"),
                E(t + 5, "load", r, "5"),
                E(t + 300, "unload", r, "5"),
                E(t + 305, "load", r, "6"),
            ]
    return events


RULES = ("version-regression", "rollback", "version-flapping")
CASES = {
    None: (rolling, old_restarts_during_rollout, clock_skew_and_late_lines, several_versions_by_policy, ab_arms,
           tenant_pinning, thrash_of_one_version, pinned_version_restarts),
    "rollback": (canary_aborted, unannounced_rollback, announced_rollback_of_a_part),
    "version-regression": (stale_on_three, stale_on_six, stale_without_unload_lines, stale_after_restart),
    "version-flapping": (flapping,),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("scenario", "rule"),
    [(s, rule) for rule, many in CASES.items() for s in many],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_each_kind_of_rollout_is_told_for_what_it_is(scenario, rule, seed):
    events = START + scenario(random.Random(seed)) + END
    said = [name for name in RULES for _ in found(name, events)]
    assert said == ([rule] if rule else [])


STALE = [*lookups("a", "v1", 0, 600), *lookups("b", "v1", 0, 600), *lookups("c", "v1", 0, 600)]
STALE += [E(600, "load", r, "v2") for r in "abc"]
STALE += [e for r in "abc" for e in lookups(r, "v2", 601, 1800)]
STALE += [E(1800, "restart", "b", model=None), E(1803, "load", "b", "v1")]
STALE += [*lookups("b", "v1", 1804, 3600, miss=0.5), *lookups("a", "v2", 1801, 3600), *lookups("c", "v2", 1801, 3600)]


def test_a_stale_replica_is_named_with_its_lines_and_its_cost():
    (finding,) = found("version-regression", STALE)
    assert (finding.replicas, finding.version_from, finding.version_to, finding.start) == (("b",), "v2", "v1", at(1803))
    assert finding.title == "m: older version v1 loaded after newer v2 on 1 of 3 replicas"
    assert finding.impact.stale_served == 1796
    assert finding.impact.excess_misses == pytest.approx(0.4 * 1796, rel=0.05)
    assert 0 < finding.impact.excess_misses_low < finding.impact.excess_misses
    assert [STALE[e.line - 1].op for e in finding.evidence] == ["load", "restart", "load"]
    assert [STALE[e.line - 1].version for e in finding.evidence] == ["v2", None, "v1"]
    assert (finding.severity, finding.confidence) == (Severity.CRITICAL, Confidence.HIGH)


def test_where_no_loads_are_logged_the_versions_served_tell():
    events = [e for e in STALE if e.op == "lookup"]
    (finding,) = found("version-regression", events)
    assert finding.title == "m: older version v1 served after newer v2 on 1 of 3 replicas"
    assert abs((finding.start - at(1804)).total_seconds()) <= 10
    assert [e.role for e in finding.evidence] == ["newer version served", "older version served"]


def test_a_regression_that_is_still_short_is_told_with_low_confidence():
    (finding,) = found("version-regression", [e for e in STALE if e.at <= 1870])
    assert finding.confidence is Confidence.LOW
    assert finding.ongoing


def test_thin_traffic_over_many_hours_hides_no_regression():
    """A lookup every four minutes: silence of the newer version means nothing by the clock, and a lot by the lookups."""
    events = [E(0, "load", r, "v1") for r in "abc"] + [E(600, "load", r, "v2") for r in "abc"]
    events += [
        e
        for r in "abc"
        for t in range(700, 40000, 240)
        for e in lookups(r, "v1" if r == "b" and t > 30000 else "v2", t, t + 1)
    ]
    events += [E(30000, "restart", "b", model=None), E(30003, "load", "b", "v1")]
    for logged in (events, [e for e in events if e.op == "lookup"]):
        (finding,) = found("version-regression", logged)
        assert finding.replicas == ("b",)
        assert abs((finding.start - at(30003)).total_seconds()) < 300


def test_a_replica_that_crashes_right_after_the_rollout_regressed_too():
    events = [E(0, "load", r, "v1") for r in "abc"] + [E(600, "load", r, "v2") for r in "abc"]
    events += [E(640, "restart", "b", model=None), E(645, "load", "b", "v1"), E(3600, "load", "a", "1", model="other")]
    (finding,) = found("version-regression", events)
    assert (finding.replicas, finding.start) == (("b",), at(645))
    assert finding.confidence < Confidence.HIGH


def test_a_stale_load_in_the_last_seconds_of_a_log_is_told_as_low():
    loads = [E(e.at, e.op, e.replica, e.version, e.model) for e in STALE if e.op != "lookup"]
    events = [*(E(0, "load", r, "v1") for r in "abc"), *loads, E(1815, "load", "a", "1", model="other")]
    (finding,) = found("version-regression", events)
    assert (finding.confidence, finding.severity) == (Confidence.LOW, Severity.LOW)


def test_unloads_of_a_shutdown_are_no_regression():
    loads = [
        *(E(0, "load", r, v) for r in "abc" for v in ("v1", "v2")),
        E(3000, "unload", "a", "v2"),
        E(3001, "unload", "a", "v1"),
    ]
    assert not found("version-regression", loads)


def test_a_single_replica_cannot_show_that_the_fleet_stayed():
    (finding,) = found("version-regression", [e for e in STALE if e.replica == "b"])
    assert (finding.confidence, finding.severity) == (Confidence.LOW, Severity.MEDIUM)
    assert not found("rollback", [e for e in STALE if e.replica == "b"])
    told = [*[e for e in STALE if e.replica == "b"], E(1795, "rollout", None, "v1")]
    assert not found("version-regression", told)
    assert found("rollback", told)


def test_a_log_that_begins_with_the_restart_is_held_against_its_peers():
    events = [e for e in STALE if e.replica != "b" or e.at >= 1800]
    (finding,) = found("version-regression", events)
    assert (finding.replicas, finding.version_from, finding.version_to) == (("b",), "v2", "v1")
    assert finding.confidence is Confidence.MEDIUM
    assert "started with v1 while their peers had v2" in finding.summary


def test_a_new_replica_that_is_updated_soon_was_just_not_its_turn():
    events = [e for e in STALE if e.replica != "b"]
    events += [
        E(1800, "restart", "d", model=None),
        E(1803, "load", "d", "v1"),
        E(1950, "load", "d", "v2"),
        *lookups("d", "v2", 1951, 3600),
    ]
    assert not found("version-regression", events)


def test_only_the_latest_rollout_line_announces():
    """A deploy of the older version earlier on does not make a later regression to it a rollback."""
    events = [E(300, "rollout", None, "v1"), E(590, "rollout", None, "v2"), *STALE]
    assert found("version-regression", events)


def test_labels_without_order_regress_only_to_what_was_seen_replaced():
    names = {"v1": "a1b2c3d4", "v2": "0f9e8d7c"}
    events = [E(e.at, e.op, e.replica, names.get(e.version), e.model, e.outcome) for e in STALE]
    (finding,) = found("version-regression", events)
    assert finding.order_basis == "observed"
    assert finding.confidence < Confidence.HIGH
    third = [
        E(e.at, e.op, e.replica, "77aa77bb" if e.at > 1800 and e.replica == "b" else e.version, e.model, e.outcome)
        for e in events
    ]
    assert not found("version-regression", third)


def test_a_declared_order_stands_against_the_labels():
    assert not found("version-regression", STALE, order=["v2", "v1"])
