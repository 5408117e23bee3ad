"""Keys never seen before: traffic that changed, and none that is only young or of a new version."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from cachelog.contract.finding import Severity
from tests.scenarios import SCENARIOS
from tests.simulate import Step, simulate
from tests.test_eviction_thrash import PODS, fleet
from tests.traffic import as_events, found


@pytest.mark.parametrize("shared", [False, True])
def test_new_keys_are_found_from_when_they_come(shared):
    fresh = Step(1800.0, "new_keys", model="m", value=0.3)
    (finding,) = found("new-keys", as_events(simulate(fleet(fresh, shared=shared), 1)))
    assert finding.model == "m" and finding.severity >= Severity.HIGH
    assert finding.numbers["rate_after"] == pytest.approx(0.3, abs=0.03)
    assert finding.start and abs((finding.start - fleet().start).total_seconds() - 1800) < 120
    assert len(finding.evidence) == 3


def test_a_small_cache_that_new_keys_flood_is_still_theirs():
    fresh = Step(1800.0, "new_keys", model="m", value=0.4)
    events = as_events(simulate(fleet(fresh, entries=150), 1))
    assert [f.model for f in found("new-keys", events) if f.severity >= Severity.MEDIUM] == ["m"]


def test_a_log_that_begins_cold_asks_for_no_new_keys():
    run = simulate(replace(fleet(), warmup=0.0), 1)
    assert not found("new-keys", as_events(run))


def test_keys_that_name_their_version_are_not_new_with_it():
    loads = [Step(1800.0 + 5 * i, "load", p, "m", "2", took=1.0) for i, p in enumerate(PODS)]
    gone = [Step(1802.0 + 5 * i, "unload", p, "m", "1") for i, p in enumerate(PODS)]
    base = fleet()
    two = replace(base, traffic=tuple(replace(t, versions=("1", "2")) for t in base.traffic), steps=(*loads, *gone))
    events = as_events(simulate(two, 1))
    named = events.with_columns(
        (events["key"] + (events["version"].cast(pl.String) == "2").cast(pl.UInt64)).alias("key")
    )
    assert not found("new-keys", named)


def test_other_reasons_are_not_taken_for_it():
    for name in ("steady", "rolling-deploy", "smaller-cache", "shorter-ttl", "scale-up"):
        assert not found("new-keys", as_events(simulate(SCENARIOS[name](2), 2)))
