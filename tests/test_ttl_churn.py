"""Entries that expire before they are asked for again: a shorter time to live, and not the old one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cachelog.contract.finding import Severity
from tests.scenarios import SCENARIOS
from tests.simulate import Step, simulate
from tests.test_eviction_thrash import fleet
from tests.traffic import as_events, found


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("expired", [False, True])
def test_a_shorter_time_to_live_is_found_with_both_times(shared, expired):
    shorter = Step(1800.0, "ttl", model="m", value=30.0)
    (finding,) = found("ttl-churn", as_events(simulate(fleet(shorter, shared=shared), 1), expired))
    assert finding.model == "m" and finding.severity >= Severity.HIGH
    assert finding.numbers["ttl_before_seconds"] == pytest.approx(600, rel=0.02)
    assert finding.numbers["ttl_after_seconds"] == pytest.approx(30, rel=0.05)
    # entries filled before keep the time that they were given, so the rate climbs for ten minutes
    assert finding.start and 1800 <= (finding.start - fleet().start).total_seconds() <= 2400
    assert [e.role for e in finding.evidence] == ["was there", "missed again"] * 2


def test_the_same_time_to_live_is_none_however_much_expires():
    cold = fleet(entries=400)
    cold = replace(cold, warmup=0.0, cache=replace(cold.cache, ttl=200.0))
    assert not [f for f in found("ttl-churn", as_events(simulate(cold, 4), True)) if f.severity > Severity.INFO]


def test_a_restart_of_all_replicas_expires_together_and_is_none():
    boots = [Step(1000.0 + i, "restart", pod) for i, pod in enumerate("abcd")]
    loads = [Step(1005.0 + i, "load", p, m, "1") for i, p in enumerate("abcd") for m in "mn"]
    for seed in (1, 2, 3):
        run = simulate(replace(fleet(), steps=(*boots, *loads)), seed)
        assert not [f for f in found("ttl-churn", as_events(run, True)) if f.severity > Severity.INFO]


def test_other_reasons_are_not_taken_for_it():
    for name in ("steady", "rolling-deploy", "smaller-cache", "new-keys", "pinned-restart"):
        assert not [f for f in found("ttl-churn", as_events(simulate(SCENARIOS[name](2), 2))) if f.severity > 0]
