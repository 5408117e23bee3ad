"""Entries that are evicted and asked for again: a cache that became too small, and none that always was small."""

from __future__ import annotations

from dataclasses import replace

from cachelog.contract.finding import Confidence, Severity
from tests.scenarios import SCENARIOS
from tests.simulate import CacheRules, Scenario, Step, Traffic, simulate
from tests.traffic import as_events, found

PODS = ("a", "b", "c", "d")
TRAFFIC = (Traffic("m", ("1",), 8.0, 300), Traffic("n", ("1",), 4.0, 200))


def fleet(*steps: Step, entries: int = 400, evictions: bool = True, shared: bool = False) -> Scenario:
    resident = {(pod, t.model): ("1",) for pod in PODS for t in TRAFFIC}
    unlogged = frozenset[str]() if evictions else frozenset({"evict"})
    return Scenario(PODS, TRAFFIC, CacheRules(entries, 600.0), shared, resident, steps, 3600.0, unlogged=unlogged)


def test_a_cache_that_becomes_small_thrashes_from_then_on():
    small = Step(1800.0, "resize", model="m", value=40)
    (finding,) = found("eviction-thrash", as_events(simulate(fleet(small), 1)))
    assert (finding.model, finding.replicas, finding.ongoing) == ("m", PODS, True)
    assert finding.severity >= Severity.HIGH and finding.numbers["share_of_extra_misses"] > 0.9
    assert finding.start and abs((finding.start - fleet().start).total_seconds() - 1800) < 120
    assert [e.role for e in finding.evidence] == ["evicted", "asked for again"] * 2
    evicted, missed = finding.evidence[:2]
    assert evicted.time and missed.time and evicted.time < missed.time


def test_where_evictions_leave_no_line_the_time_until_entries_are_gone_tells():
    small = Step(1800.0, "resize", model="m", value=40)
    (finding,) = found("eviction-thrash", as_events(simulate(fleet(small, evictions=False, shared=True), 1)))
    assert finding.model == "m" and finding.numbers["share_of_extra_misses"] > 0.8
    assert finding.confidence < Confidence.HIGH and "No line tells an eviction" in finding.summary


def test_a_cache_that_always_evicted_is_no_incident():
    for entries in (40, 15):
        told = found("eviction-thrash", as_events(simulate(fleet(entries=entries), 2)))
        assert all(f.severity is Severity.INFO for f in told)


def test_a_cache_that_hardly_holds_anything_is_told():
    told = found("eviction-thrash", as_events(simulate(fleet(entries=4), 2)))
    assert {(f.model, f.severity) for f in told} == {("m", Severity.MEDIUM), ("n", Severity.MEDIUM)}


def test_other_reasons_are_not_taken_for_it():
    for name in ("steady", "rolling-deploy", "shorter-ttl", "new-keys", "scale-up"):
        assert not found("eviction-thrash", as_events(simulate(SCENARIOS[name](2), 2)))


def test_without_keys_nothing_shows_it():
    small = Step(1800.0, "resize", model="m", value=40)
    events = as_events(simulate(fleet(small), 1))
    assert not found("eviction-thrash", events.with_columns(events["key"].clear(len(events)).alias("key")))


def test_a_restart_of_small_caches_is_none():
    boots = [Step(1500.0 + 10 * i, "restart", pod) for i, pod in enumerate(PODS)]
    loads = [Step(1505.0 + 10 * i, "load", p, t.model, "1") for i, p in enumerate(PODS) for t in TRAFFIC]
    run = simulate(replace(fleet(entries=60), steps=(*boots, *loads)), 3)
    assert not [f for f in found("eviction-thrash", as_events(run)) if f.severity > Severity.INFO]
