"""A replica that restarts again and again."""

from __future__ import annotations

from cachelog.contract.finding import Severity
from tests.fleet import E, at, found


def starts(replica, *times):
    """A replica that is there from the beginning, and starts again."""
    return [E(0, "load", replica, "4"), *(E(t, "restart", replica, model=None) for t in times)]


END = [E(7200, "load", "z", "1")]


def test_a_crash_loop_names_the_replica_and_what_it_loads():
    loads = [E(t + 3, "load", "a", "4") for t in (600, 800, 1000)]
    (finding,) = found("replica-restart", [*starts("a", 600, 800, 1000), *starts("b", 600), *loads, *END])
    assert (finding.replicas, finding.start, finding.numbers["restarts"]) == (("a",), at(600), 3)
    assert finding.severity is Severity.MEDIUM
    assert finding.summary == "3 starts, typically 3 min 20 s apart. It loads m 4 afterwards."


def test_many_starts_are_high():
    (finding,) = found("replica-restart", [*starts("a", *range(600, 3000, 300)), *END])
    assert finding.severity is Severity.HIGH


def test_a_rollout_restarts_each_replica_once():
    assert not found("replica-restart", [*starts("a", 600, 4000), *starts("b", 660), *starts("c", 720), *END])


def test_workers_of_one_start_are_one_start():
    assert not found("replica-restart", [*starts("a", 600, 600.1, 600.2, 600.3), *END])


def test_the_first_sign_of_a_replica_is_no_restart():
    first = [E(t, "restart", "a", model=None) for t in (600, 900, 1200)]
    assert not found("replica-restart", [*first, *END])


def test_a_start_long_before_the_loop_is_no_part_of_it():
    (finding,) = found("replica-restart", [*starts("a", 100, 5000, 5100, 5200), *END])
    assert (finding.start, finding.numbers["restarts"]) == (at(5000), 3)


def test_starts_far_apart_are_no_loop():
    assert not found("replica-restart", [*starts("a", 0, 2000, 4000, 6000), *END])
