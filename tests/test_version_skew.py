"""Replicas with different versions that are no stopped rollout."""

from __future__ import annotations

from cachelog.contract.finding import Severity
from tests.fleet import E, at, found, lookups

R = [f"r{i}" for i in range(6)]
HOUR = 3600.0


def standing(new=R[:3], old=R[3:], a="5", b="6"):
    return [e for r in R for e in lookups(r, b if r in new else a, 0, HOUR, rate=0.2)]


def test_a_split_from_the_start_of_the_log_on_is_information():
    (finding,) = found("version-skew", standing())
    assert (finding.severity, finding.replicas, finding.version_from, finding.version_to) == (
        Severity.INFO, ("r3", "r4", "r5"), "5", "6",
    )  # fmt: skip
    assert finding.numbers["looks_like"] == "standing" and finding.numbers["lookups_of_older"] == 3 * 720
    assert not found("stuck-rollout", standing())


def test_a_split_of_digests_is_told_too():
    (finding,) = found("version-skew", standing(a="f00dfeed", b="0badc0de"))
    assert finding.order_basis == "unknown" and finding.severity is Severity.INFO


def test_restarts_of_pinned_replicas_change_nothing():
    events = [*standing(), E(1000, "restart", "r0", model=None), E(1010, "load", "r0", "6")]
    events += [E(2000, "restart", "r4", model=None), E(2010, "load", "r4", "5")]
    (finding,) = found("version-skew", events)
    assert finding.numbers["looks_like"] == "standing"


def test_replicas_that_each_have_both_versions_do_not_differ():
    events = [e for r in R for v in ("5", "6") for e in lookups(r, v, 0, HOUR, rate=0.1)]
    assert not found("version-skew", events)


def test_one_version_and_names_that_are_no_versions_are_quiet():
    assert not found("version-skew", standing(a="6"))
    assert not found("version-skew", standing(a="stable", b="canary"))


def test_a_rollback_that_did_not_reach_all_names_the_rest():
    events = [e for r in R for e in lookups(r, "5", 0, 600, rate=0.2) + lookups(r, "6", 600, 1200, rate=0.2)]
    events += [e for r in R for e in lookups(r, "6" if r == "r5" else "5", 1200, HOUR, rate=0.2)]
    events += [E(1195, "rollout", None, "5")]
    assert found("rollback", events)
    (finding,) = found("version-skew", events)
    assert (finding.severity, finding.replicas, finding.numbers["looks_like"]) == (Severity.MEDIUM, ("r5",), "leftover")
    assert not found("stuck-rollout", events)


def half_way(pause, first=3):
    """Three replicas, a pause, and the other three."""
    times = {r: 600.0 + 30 * i + (pause if i >= first else 0) for i, r in enumerate(R)}
    return [
        e for r, t in times.items() for e in lookups(r, "5", 0, t, rate=0.1) + lookups(r, "6", t, 3 * HOUR, rate=0.1)
    ] + [E(t, "load", r, "6") for r, t in times.items()]


def test_a_rollout_that_stood_still_and_went_on_is_low():
    (finding,) = found("version-skew", half_way(2700.0))
    assert (finding.severity, finding.replicas, finding.ongoing) == (Severity.LOW, ("r3", "r4", "r5"), False)
    assert abs((finding.start - at(660)).total_seconds()) <= 10
    assert len(finding.evidence) == 2


def test_a_slow_rollout_and_a_canary_that_bakes_are_quiet():
    assert not found("version-skew", half_way(900.0))
    assert not found("version-skew", half_way(2700.0, first=1))
