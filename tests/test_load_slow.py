"""Loads that take much longer than they did, and those that only vary."""

from __future__ import annotations

import numpy as np

from cachelog.contract.finding import Severity
from tests.fleet import E, at, found


def loads(start: float, took: list[float], model: str = "m", version: str = "1", replica: str | None = None) -> list[E]:
    return [
        E(start + 30 * i, "load", replica or f"r{i}", version, model, seconds=seconds) for i, seconds in enumerate(took)
    ]


END = [E(3600, "unload", "z", "9", model="other")]


def test_a_version_that_loads_slowly_everywhere_is_told_with_both_versions():
    events = [*loads(0, [2.0, 2.2, 1.9, 2.1]), *loads(1800, [30.0, 28.0, 33.0, 29.0], version="2"), *END]
    (finding,) = found("load-slow", events)
    assert (finding.model, finding.version_from, finding.version_to, finding.start) == ("m", "1", "2", at(1800))
    assert (finding.severity, finding.numbers["median_seconds_before"]) == (Severity.MEDIUM, 2.05)
    assert [e.role for e in finding.evidence] == ["loaded as usual"] * 2 + ["loaded slowly"] * 2


def test_all_models_that_slow_down_are_one_finding():
    events = [e for m in ("a", "b", "c") for e in (*loads(0, [2.0, 3.0], m), *loads(1800, [20.0, 30.0], m))]
    (finding,) = found("load-slow", [*events, *END])
    assert finding.model is None and finding.numbers["loads_after"] == 6


def test_one_slow_replica_is_told_by_itself():
    calm = [e for i in range(6) for e in loads(300 * i, [2.0] * 3)]
    bad = [e for m in "pqrs" for e in (*loads(0, [1.5], m, replica="x"), *loads(2000, [9.0], m, replica="x"))]
    (finding,) = found("load-slow", [*calm, *bad, *END])
    assert finding.replicas == ("x",) or finding.replicas == ()
    assert finding.severity is Severity.LOW


def test_durations_are_also_read_from_the_line_that_a_load_began():
    def pair(start: float, took: float, replica: str) -> list[E]:
        return [E(start, "load_start", replica, "1"), E(start + took, "load", replica, "1")]

    events = [e for i in range(4) for e in (*pair(10 * i, 2.0, f"r{i}"), *pair(1800 + 60 * i, 20.0, f"r{i}"))]
    (finding,) = found("load-slow", [*events, *END])
    assert finding.numbers["median_seconds_after"] == 20.0


def test_few_or_single_slow_loads_are_none():
    assert not found("load-slow", [*loads(0, [2.0, 2.0, 2.0]), *loads(1800, [30.0, 30.0]), *END])
    assert not found("load-slow", [*loads(0, [2.0] * 9), *loads(1800, [300.0]), *END])


def test_loads_that_vary_or_get_faster_are_none():
    dice = np.random.default_rng(3)
    for _ in range(20):
        took = dice.uniform(0.5, 4.0, 30).tolist()
        assert not found("load-slow", [*loads(0, took), *END])
    assert not found("load-slow", [*loads(0, [30.0] * 5), *loads(1800, [2.0] * 5), *END])
