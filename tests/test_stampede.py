"""Many misses of one key at once, and none that meet by chance or are cold."""

from __future__ import annotations

from dataclasses import replace

from cachelog.contract.finding import Severity
from tests.scenarios import SCENARIOS
from tests.simulate import CacheRules, Scenario, Step, Traffic, simulate
from tests.test_eviction_thrash import PODS
from tests.traffic import as_events, found

HOT = Traffic("m", ("1",), 60.0, 20, 1.2)


def fleet(*steps: Step, fill: float, shared: bool = True, ttl: float = 60.0) -> Scenario:
    resident = {(pod, "m"): ("1",) for pod in PODS}
    return Scenario(PODS, (HOT,), CacheRules(100, ttl, fill=fill), shared, resident, steps, 1800.0, 300.0)


def test_hot_keys_that_take_long_to_fill_are_missed_by_many_at_once():
    run = simulate(fleet(fill=1.0), 1)
    events = as_events(run)
    slow = events.with_columns(seconds=events["seconds"].clear(len(events)))
    (finding,) = found("stampede", slow)
    assert finding.model == "m" and finding.severity >= Severity.MEDIUM
    truth = int((run.events.lookups.cause == 6).sum())
    extra = finding.impact.excess_misses
    assert extra and 0.6 * truth <= extra <= truth  # twos and threes are no herds
    assert {e.role for e in finding.evidence} == {"one of many misses of this key at once"}


def test_fills_that_are_quick_meet_by_chance_only():
    assert not found("stampede", as_events(simulate(fleet(fill=0.02), 1)))


def test_cold_caches_after_restarts_are_none():
    boots = [Step(600.0 + i, "restart", pod) for i, pod in enumerate(PODS)]
    loads = [Step(603.0 + i, "load", pod, "m", "1") for i, pod in enumerate(PODS)]
    calm = fleet(*boots, *loads, fill=0.05, shared=False, ttl=3000.0)
    assert not found("stampede", as_events(simulate(calm, 2)))


def test_small_fleets_without_a_herd_have_none():
    for name in ("steady", "smaller-cache", "shorter-ttl", "new-keys", "rolling-restart"):
        assert not found("stampede", as_events(simulate(replace(SCENARIOS[name](2)), 2)))
