"""A newer version is loaded and the older one answers; entries past their time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cachelog.contract.finding import Confidence, Severity
from cachelog.pipeline import analyze
from tests.fleet import E, at, found, lookups
from tests.scenarios import SCENARIOS
from tests.simulate import CacheRules, simulate
from tests.writing import write

R = ["a", "b", "c", "d"]
HOUR = 3600.0
LOADS = [E(5, "load", r, "5") for r in R] + [E(1000, "load", r, "6") for r in R]
CALM = [e for r in R for e in lookups(r, "5", 6, 1000)]


def after(replica, version, start=1001, end=HOUR, **more):
    return lookups(replica, version, start, end, **more)


def test_a_replica_that_goes_on_with_the_older_version_is_named():
    events = [*LOADS, *CALM, *after("a", "5"), *(e for r in "bcd" for e in after(r, "6"))]
    (finding,) = found("stale-serve", events)
    assert (finding.replicas, finding.version_from, finding.version_to) == (("a",), "6", "5")
    assert (finding.severity, finding.confidence, finding.start) == (Severity.HIGH, Confidence.HIGH, at(1000))
    assert finding.impact.stale_served == pytest.approx(2540, abs=15) and finding.ongoing
    assert [e.role for e in finding.evidence][:2] == ["newer version loaded", "older version still served"]
    assert not found("stuck-rollout", events) and not found("version-regression", events)


def test_lookups_under_way_at_the_load_are_not_stale():
    events = [*LOADS, *CALM, *after("a", "5", 1001, 1050), *after("a", "6", 1050)]
    assert not found("stale-serve", events + [e for r in "bcd" for e in after(r, "6")])


def test_versions_that_hit_and_miss_side_by_side_are_meant():
    events = [*LOADS, *CALM, *(e for r in R for v in "56" for e in after(r, v, rate=0.5))]
    assert not found("stale-serve", events)


def test_an_older_version_that_requests_load_again_is_meant():
    events = [*LOADS, *CALM, *(e for r in R for e in after(r, "6"))]
    events += [E(1500, "unload", "a", "5"), E(1600, "load", "a", "5"), *after("a", "5", 1601, 2600, rate=0.2)]
    assert not found("stale-serve", events)


def test_hits_of_entries_that_outlived_their_version_are_stale():
    events = [
        *LOADS,
        *CALM,
        *(e for r in R for e in after(r, "6", miss=0.3) + after(r, "5", end=2400, rate=0.5, miss=0.0)),
    ]
    (finding,) = found("stale-serve", events)
    assert finding.replicas == tuple(R) and "outlived" in finding.summary and not finding.ongoing


def test_a_version_that_answers_after_it_was_unloaded_is_stale():
    events = [*LOADS, *CALM, *(e for r in R for e in after(r, "6"))]
    events += [E(1010, "unload", "a", "5"), *after("a", "5", 1011, 2000, rate=0.3)]
    (finding,) = found("stale-serve", events)
    assert finding.replicas == ("a",) and "unloaded" in finding.summary


def test_a_version_that_is_loaded_everywhere_and_served_nowhere_is_low():
    (finding,) = found("stale-serve", [*LOADS, *CALM, *(e for r in R for e in after(r, "5"))])
    assert (finding.severity, finding.replicas) == (Severity.LOW, tuple(R))


def test_what_lookups_and_loads_do_not_name_alike_is_not_compared():
    """The version of an interface, /v1/, is none of the model."""
    loads = [E(5, "load", r, "41") for r in R] + [E(1000, "load", r, "42") for r in R]
    assert not found("stale-serve", loads + [e for r in R for e in lookups(r, "1", 6, HOUR)])


def entries(share, start, end, rest=0.0):
    """One lookup a second on each replica, a share of them stale within a stretch."""
    every = lambda t, part: part and int((t + 1) * part) > int(t * part)  # noqa: E731
    return [
        E(t, "lookup", r, None, "m", "stale" if every(t, share if start <= t < end else rest) else "hit", "edge")
        for r in "ab"
        for t in range(3600)
    ]


def test_a_stretch_of_stale_entries_is_a_failure_to_refresh():
    (finding,) = found("stale-serve", entries(0.6, 1200, 1800, rest=0.02))
    assert (finding.severity, finding.cache, finding.replicas) == (Severity.MEDIUM, "edge", ("a", "b"))
    assert abs((finding.start - at(1200)).total_seconds()) <= 60
    assert finding.evidence[0].role == "stale entry served"


@pytest.mark.parametrize(("share", "start", "end", "rest"), [(0.3, 0, 3600, 0.3), (0.6, 1200, 1320, 0.02)])
def test_a_steady_share_and_a_short_burst_are_information(share, start, end, rest):
    (finding,) = found("stale-serve", entries(share, start, end, rest))
    assert finding.severity is Severity.INFO


def test_a_few_stale_entries_are_not_worth_a_word():
    assert not found("stale-serve", entries(0.004, 0, 3600, 0.004))


def test_a_default_that_was_switched_back_everywhere_is_low():
    served = [e for r in R for e in after(r, "6", 1001, 1800) + after(r, "5", 1801)]
    (finding,) = found("stale-serve", [*LOADS, *CALM, *served])
    assert finding.severity is Severity.LOW


def test_a_cache_that_serves_stale_while_it_refreshes_is_information(tmp_path):
    scenario = SCENARIOS["steady"](3)
    run = simulate(replace(scenario, cache=CacheRules(2000, 120.0, grace=200.0), shared=True), 3)
    write(run, tmp_path, "nginx")
    report = analyze([str(tmp_path)])
    assert sum(row.stale for row in report.models) > 1000
    assert {f.severity for f in report.findings if f.rule == "stale-serve"} <= {Severity.INFO}


def test_an_older_version_that_was_asked_for_since_is_meant():
    asked = E(1001, "rollout", None, "5")
    events = [*LOADS, *CALM, *after("a", "5"), *(e for r in "bcd" for e in after(r, "6"))]
    assert found("stale-serve", events)
    assert not found("stale-serve", [*events, asked])
