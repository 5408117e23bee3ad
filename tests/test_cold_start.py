"""What cold-start says of bursts of misses after loads, restarts and flushes."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from cachelog.contract.finding import Finding, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.metrics.series import series
from cachelog.metrics.settling import cold_events, waves
from cachelog.metrics.windows import LADDER
from tests.scenarios import SCENARIOS
from tests.simulate import simulate
from tests.traffic import T0, as_events, changed, drawn, found, frames, step

RULE = "cold-start"


def at(seconds: float):
    return T0 + timedelta(seconds=seconds)


def burst(*starts: float, height: float = 0.6, tau: float = 120.0, base: float = 0.1):
    """A miss rate with a burst that decays after each start, on every replica."""

    def rate(r, t):
        since = np.min([np.where(t >= s, t - s, np.inf) for s in starts], axis=0)
        return base + height * np.exp(-since / tau)

    return rate


def loads(start: float, version: str = "2", replicas: int = 4, gap: float = 5.0) -> pl.DataFrame:
    return changed(*((start + gap * r, "load", f"r{r}", "m", version) for r in range(replicas)))


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, [f.title for f in findings]
    return findings[0]


def test_a_rollout_is_one_finding_with_its_cost_and_how_long_it_took():
    finding = only(found(RULE, drawn(1, burst(1500.0), rate=12.0), loads(1500.0)))
    assert finding.severity is Severity.INFO
    assert finding.replicas == ("r0", "r1", "r2", "r3")
    assert (finding.model, finding.version_to) == ("m", "2")
    assert (finding.start, finding.onset_high) == (at(1500), at(1515))
    assert finding.impact.excess_misses == pytest.approx(0.6 * 120 * 12, rel=0.2)
    assert finding.impact.excess_misses_low < finding.impact.excess_misses
    assert finding.impact.added_seconds == pytest.approx(finding.impact.excess_misses * 0.058, rel=1e-3)
    assert 180 <= finding.numbers["settled_seconds"] <= 600
    assert finding.numbers["rate_before"] == pytest.approx(0.1, abs=0.02)
    assert finding.numbers["rate_first"] > 0.4
    assert {e.role for e in finding.evidence} == {"loaded"}
    assert not finding.ongoing


def test_two_rollouts_are_two_findings():
    findings = found(RULE, drawn(2, burst(900.0, 2500.0), rate=12.0), loads(900.0), loads(2500.0, "3"))
    assert [(f.start, f.version_to) for f in findings] == [(at(900), "2"), (at(2500), "3")]


def test_loads_that_leave_the_cache_warm_say_nothing():
    assert found(RULE, drawn(3, step(0, 0.2, 0.2), rate=12.0), loads(1.0), loads(1500.0)) == []


def test_a_restart_brings_the_loads_after_it_along():
    def rate(r, t):
        return 0.1 + np.where((r == 1) & (t >= 1500), 0.7 * np.exp(-(t - 1500) / 100), 0.0)

    lines = changed((1500.0, "restart", "r1", None, None), (1504.0, "load", "r1", "m", "1"))
    finding = only(found(RULE, drawn(4, rate, rate=16.0), lines))
    assert finding.replicas == ("r1",)
    assert "after the restart on 1 replica" in finding.title
    assert finding.numbers["events"] == 2


def test_a_flush_of_everything_touches_all_replicas():
    finding = only(found(RULE, drawn(5, burst(1500.0), rate=12.0), changed((1500.0, "flush", None, None, None))))
    assert len(finding.replicas) == 4
    assert "flush" in finding.title


def test_a_change_of_version_that_left_no_load_line_is_seen_in_what_is_served():
    lookups = drawn(6, burst(1500.0), rate=12.0)
    new = pl.when(pl.col("ts") >= at(1500)).then(pl.lit("2")).otherwise(pl.lit("1"))
    finding = only(found(RULE, lookups.with_columns(version=new.cast(pl.Categorical()))))
    assert finding.version_to == "2"
    assert "change of version" in finding.title
    assert {e.role for e in finding.evidence} == {"first seen with this version"}


def test_a_replica_that_restarts_again_before_it_has_settled_is_low():
    starts = [900.0 + 150 * i for i in range(16)]
    lines = changed(*((s, "restart", "r0", None, None) for s in starts))

    def rate(r, t):
        return burst(*starts, height=0.7, tau=200.0)(r, t) if r == 0 else np.full(len(t), 0.1)

    finding = only(found(RULE, drawn(7, rate, rate=16.0), lines))
    assert finding.severity is Severity.LOW
    assert "16 times" in finding.summary


def test_a_rate_that_does_not_come_down_in_half_an_hour_is_low():
    def rate(r, t):
        return np.where(t >= 900, np.clip(0.85 - 0.0002 * (t - 900), 0.1, 1.0), 0.1)

    finding = only(found(RULE, drawn(14, rate, rate=12.0), loads(900.0)))
    assert finding.severity is Severity.LOW
    assert finding.numbers["settled_seconds"] is None


def test_a_cold_start_that_the_end_of_the_log_cuts_off_is_information():
    finding = only(found(RULE, drawn(8, burst(3300.0, tau=600.0), rate=12.0), loads(3300.0)))
    assert finding.severity is Severity.INFO
    assert finding.ongoing
    assert "not settled" in finding.title


def test_what_stays_after_the_burst_is_not_counted_as_cold():
    def rate(r, t):
        return np.where(t >= 1500, 0.35 + 0.5 * np.exp(-(t - 1500) / 60), 0.1)

    finding = only(found(RULE, drawn(9, rate, rate=16.0), loads(1500.0, gap=0.5)))
    assert finding.impact.excess_misses == pytest.approx(0.5 * 60 * 16, rel=0.35)
    assert finding.numbers["rate_later"] == pytest.approx(0.35, abs=0.03)


def test_a_cache_of_loaded_models_is_not_judged_by_its_loads():
    lookups = drawn(10, burst(1500.0), rate=12.0, cache="model")
    assert found(RULE, lookups, loads(1500.0)) == []


@pytest.mark.parametrize("seed", [81, 82, 83])
def test_a_simulated_rollout_costs_what_the_same_traffic_without_it_does_not(seed):
    scenario = SCENARIOS["rolling-restart"](seed)
    run = simulate(scenario, seed)
    model = next(step.model for step in scenario.steps if step.what == "load" and step.at > 60)
    findings = [f for f in found(RULE, as_events(run)) if f.model == model]
    assert len(findings) == 1
    assert findings[0].severity is Severity.INFO


def test_windows_are_as_wide_as_the_traffic_needs():
    for rate, width in ((6.0, 10), (0.2, 60), (0.06, 300)):
        table = frames(drawn(11, step(0, 0.5, 0.5), rate=rate, seconds=7200.0))
        (one,) = series(table, DEFAULT)
        assert one.seconds == width
        assert width in LADDER
        assert one.lookups.sum() == table.counts["lookups"].sum()
        assert one.misses.sum() == table.counts["misses"].sum()


def test_a_log_that_begins_cold_is_a_wave_without_a_line():
    table = frames(drawn(12, burst(0.0), rate=12.0))
    (one,) = series(table, DEFAULT)
    (wave,) = waves(one, cold_events(table).touching(one), DEFAULT)
    assert wave.before is None
    assert wave.mask[:, 0].all()
    assert not wave.mask[:, one.window(at(1500))].any()
    assert found(RULE, drawn(12, burst(0.0), rate=12.0)) == []
