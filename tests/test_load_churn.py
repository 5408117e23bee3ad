"""Models that are loaded, dropped and loaded again, and changes that are none."""

from __future__ import annotations

from cachelog.contract.finding import Severity
from tests.fleet import E, at, found


def swap(start: float, replica: str = "a", version: str = "1", gap: float = 5.0, drop: str = "evict") -> list[E]:
    return [E(start, drop, replica, version), E(start + gap, "load", replica, version)]


BEGIN = [E(0, "load", r, "1") for r in "ab"]
END = [E(3600, "load", "z", "9", model="other")]


def test_three_cycles_in_ten_minutes_are_churn():
    (finding,) = found("load-churn", [*BEGIN, *swap(600), *swap(700), *swap(800), *END])
    assert (finding.model, finding.replicas, finding.version_to, finding.start) == ("m", ("a",), "1", at(600))
    assert (finding.severity, finding.numbers["cycles"]) == (Severity.LOW, 3)
    assert [e.role for e in finding.evidence] == ["dropped", "loaded again"] * 2
    assert finding.numbers["median_gap_seconds"] == 5.0


def test_twenty_cycles_are_medium():
    cycles = [e for i in range(20) for e in swap(100 + 20 * i, "ab"[i % 2])]
    (finding,) = found("load-churn", [*BEGIN, *cycles, *END])
    assert finding.severity is Severity.MEDIUM and finding.replicas == ("a", "b")


def test_cycles_far_apart_are_churn_when_the_model_was_wanted_at_once():
    assert found("load-churn", [*BEGIN, *(e for i in range(3) for e in swap(600 + 900 * i, gap=20)), *END])
    assert not found("load-churn", [*BEGIN, *(e for i in range(3) for e in swap(600 + 900 * i, gap=300)), *END])


def test_two_cycles_and_loads_without_drops_are_none():
    assert not found("load-churn", [*BEGIN, *swap(600), *swap(700), *END])
    assert not found("load-churn", [*BEGIN, *(E(100 * i, "load", "a", "1") for i in range(1, 9)), *END])


def test_another_version_in_between_is_a_change_of_version():
    back = [e for i in range(6) for e in swap(600 + 30 * i, version="12"[i % 2], drop="unload")]
    assert not found("load-churn", [*BEGIN, *back, *END])


def test_a_restart_in_between_is_another_story():
    boots = [
        e for i in range(5) for e in (*swap(600 + 60 * i, drop="unload"), E(603 + 60 * i, "restart", "a", model=None))
    ]
    assert not found("load-churn", [*BEGIN, *boots, *END])
