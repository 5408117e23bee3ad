"""What miss-rate-shift says of lookups whose miss rates are known, and when it is silent."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from cachelog.contract.finding import Confidence, Finding, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.detectors import miss_rate_shift
from cachelog.metrics.ages import Shares, Stretch, shares
from cachelog.metrics.harm import severity_of_harm
from tests.fleet import split
from tests.scenarios import SCENARIOS
from tests.simulate import CacheRules, Scenario, Step, Traffic, simulate
from tests.traffic import T0, as_events, changed, drawn, found, frames, rows, step

RULE = "miss-rate-shift"


def at(seconds: float):
    return T0 + timedelta(seconds=seconds)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, [f.title for f in findings]
    return findings[0]


def rises(findings: list[Finding]) -> list[Finding]:
    return [f for f in findings if (f.impact.excess_misses or 0) > 0]


# -- what it says -----------------------------------------------------------------------------------


def test_a_rise_on_some_replicas_is_told_with_those_and_its_cost():
    lookups = drawn(1, step(1800, 0.15, 0.45, [0, 1]), rate=8.0)
    finding = only(found(RULE, lookups))
    assert finding.replicas == ("r0", "r1")
    assert (finding.model, finding.cache, finding.ongoing) == ("m", "default", True)
    assert finding.onset_low <= at(1800) <= finding.onset_high
    assert abs(finding.start - at(1800)) <= timedelta(seconds=30)
    here = pl.col("replica").is_in(["r0", "r1"]) & (pl.col("ts") >= at(1800))
    truth = lookups.filter(here).height * 0.30
    assert finding.impact.excess_misses_low < truth < finding.impact.excess_misses * 1.25
    assert finding.impact.excess_misses == pytest.approx(truth, rel=0.15)
    assert finding.numbers["scope"] == "replicas"
    assert finding.numbers["rate_before_there"] == pytest.approx(0.15, abs=0.02)
    assert finding.numbers["rate_after_there"] == pytest.approx(0.45, abs=0.02)
    assert finding.numbers["share_of_lookups"] == pytest.approx(0.5, abs=0.03)
    assert finding.confidence is Confidence.HIGH
    assert finding.severity is Severity.CRITICAL
    assert "on 2 of 4 replicas" in finding.title


def test_the_numbers_are_those_of_the_log():
    lookups = drawn(2, step(1800, 0.10, 0.20), rate=10.0)
    finding = only(found(RULE, lookups))
    before = lookups.filter(pl.col("ts") < finding.start)
    after = lookups.filter(pl.col("ts") >= finding.start)
    numbers = finding.numbers
    assert numbers["lookups_before"] == before.height
    assert numbers["lookups_after"] == after.height == finding.impact.lookups
    assert numbers["rate_before"] == pytest.approx((before["outcome"] == "miss").mean(), abs=1e-6)
    assert numbers["rate_after"] == pytest.approx((after["outcome"] == "miss").mean(), abs=1e-6)
    assert numbers["rate_before_low"] < numbers["rate_before"] < numbers["rate_before_high"]
    assert numbers["difference_low"] < numbers["difference"] < numbers["difference_high"]
    assert 0 < numbers["smallest_shift_visible"] < numbers["difference"]
    assert numbers["p"] <= numbers["p_adjusted"] < 1e-6


def test_extra_misses_cost_the_difference_of_the_latencies():
    finding = only(found(RULE, drawn(3, step(1800, 0.15, 0.45), rate=8.0)))
    assert finding.impact.added_seconds == pytest.approx(finding.impact.excess_misses * (0.06 - 0.002), rel=1e-3)


def test_no_latencies_no_cost_in_seconds():
    silent = drawn(3, step(1800, 0.15, 0.45), rate=8.0).with_columns(seconds=pl.lit(None, pl.Float64))
    assert only(found(RULE, silent)).impact.added_seconds is None


def test_evidence_is_misses_after_the_onset_and_hits_before_it_where_the_rate_rose():
    lookups = drawn(4, step(1800, 0.15, 0.45, [2]), rate=8.0)
    finding = only(found(RULE, lookups))
    cited = [(item, lookups.row(item.line - 1, named=True)) for item in finding.evidence]
    assert {row["replica"] for _, row in cited} == {"r2"}
    misses = [row["ts"] for item, row in cited if item.role == "miss after the onset" and row["outcome"] == "miss"]
    hits = [row["ts"] for item, row in cited if item.role == "hit before the onset" and row["outcome"] == "hit"]
    assert (len(misses), len(hits)) == (3, 2)
    assert min(misses) >= finding.start
    assert max(hits) <= finding.onset_low


def test_a_rise_that_all_models_share_is_told_for_each_as_one_of_the_fleet():
    models = [drawn(5, step(1800, 0.12, 0.35), model=name) for name in ("a", "b", "c")]
    findings = found(RULE, *models)
    assert [f.model for f in findings] == ["a", "b", "c"]
    assert {f.numbers["scope"] for f in findings} == {"fleet"}
    assert {f.numbers["models_shifted_too"] for f in findings} == {2}
    assert all(f.confidence is Confidence.HIGH and f.severity >= Severity.MEDIUM for f in findings)


def test_a_rise_of_one_model_is_held_against_the_others():
    quiet = [drawn(6, step(0, 0.2, 0.2), model=name) for name in ("a", "b")]
    finding = only(found(RULE, drawn(6, step(1800, 0.12, 0.30), model="c"), *quiet))
    assert (finding.model, finding.numbers["scope"]) == ("c", "model")
    assert finding.numbers["control_z"] > 5
    assert finding.numbers["control_rate_after"] == pytest.approx(0.2, abs=0.02)
    assert any(r.cause == "something that all share" for r in finding.rejected)


def test_without_anybody_to_compare_with_it_is_less_sure_and_says_so():
    finding = only(found(RULE, drawn(7, step(1800, 0.12, 0.30), replicas=1)))
    assert finding.confidence is Confidence.MEDIUM
    assert "control" in finding.summary
    assert finding.numbers["control_z"] is None


def test_a_fall_is_information():
    finding = only(found(RULE, drawn(8, step(1800, 0.30, 0.12), rate=8.0)))
    assert finding.severity is Severity.INFO
    assert finding.impact.excess_misses < 0
    assert "fell" in finding.title
    assert finding.next_steps == ()


def test_a_rise_that_ended_is_told_with_its_end():
    def rate(r, t):
        return np.where((t >= 1200) & (t < 2600), 0.4, 0.1)

    finding = only(rises(found(RULE, drawn(9, rate, rate=8.0))))
    assert not finding.ongoing
    assert abs(finding.end - at(2600)) <= timedelta(seconds=60)
    assert finding.severity is Severity.HIGH


def test_a_rise_on_top_of_a_rise_is_another_one_and_costs_are_not_counted_twice():
    def rate(r, t):
        return np.where(t >= 2400, 0.5, np.where(t >= 1200, 0.25, 0.1))

    first, second = sorted(rises(found(RULE, drawn(10, rate, rate=10.0))), key=lambda f: f.start)
    assert abs(first.start - at(1200)) <= timedelta(seconds=40)
    assert abs(second.start - at(2400)) <= timedelta(seconds=40)
    assert second.numbers["rate_expected"] == pytest.approx(0.25, abs=0.03)
    assert first.impact.excess_misses == pytest.approx(0.15 * 10 * 1200, rel=0.2)
    assert second.impact.excess_misses == pytest.approx(0.25 * 10 * 1200, rel=0.2)


def test_replicas_with_few_lookups_each_are_not_named_one_by_one():
    finding = only(found(RULE, drawn(11, step(1800, 0.25, 0.36), replicas=60, rate=4.0)))
    assert finding.numbers["scope"] == "model"
    assert finding.numbers["replicas_shifted"] in (0, 60)


def test_a_two_minute_log_is_enough_for_a_big_rise():
    finding = only(found(RULE, drawn(12, step(60, 0.1, 0.6), seconds=125.0, rate=30.0)))
    assert abs(finding.start - at(60)) <= timedelta(seconds=10)


def test_a_rise_over_days_is_held_against_the_rhythm_of_the_day():
    def rate(r, t):
        odds = -2.0 + 0.4 * np.sin(2 * np.pi * t / 86_400) + np.where(t >= 2.2 * 86_400, 0.9, 0.0)
        return 1 / (1 + np.exp(-odds))

    lookups = drawn(13, rate, seconds=4 * 86_400.0, rate=0.4)
    finding = only(found(RULE, lookups))
    assert finding.numbers["seasonal_baseline"] is True
    assert abs(finding.start - at(2.2 * 86_400)) <= timedelta(hours=1)
    assert finding.confidence is Confidence.HIGH


def test_the_order_of_events_makes_no_difference():
    lookups = drawn(14, step(1800, 0.15, 0.45, [0]), rate=8.0)
    assert found(RULE, lookups) == found(RULE, lookups.sample(fraction=1.0, shuffle=True, seed=1))


# -- when it stays quiet ----------------------------------------------------------------------------


def test_a_steady_rate_says_nothing():
    for seed in range(20, 32):
        assert found(RULE, drawn(seed, step(0, 0.2, 0.2), rate=5.0)) == []


def test_too_few_lookups_say_nothing():
    assert found(RULE, drawn(40, step(60, 0.0, 1.0), seconds=120.0, rate=1.0)) == []


def test_a_cache_of_which_only_misses_are_logged_says_nothing():
    assert found(RULE, drawn(41, step(0, 1.0, 1.0), cache="model")) == []


def test_logs_without_lookups_say_nothing():
    assert found(RULE, changed((0.0, "load", "r0", "m", "1"), (60.0, "load", "r0", "m", "2"))) == []


@pytest.mark.parametrize(
    "name", ["steady", "rolling-deploy", "rolling-restart", "slow-rollout", "scale-up", "late-lines"]
)
@pytest.mark.parametrize("seed", [51, 52])
def test_healthy_fleets_are_left_alone(name, seed):
    assert [f.title for f in found(RULE, as_events(simulate(SCENARIOS[name](seed), seed)))] == []


@pytest.mark.parametrize("name", ["rolling-deploy", "rolling-restart", "slow-rollout"])
def test_healthy_rollouts_are_left_alone_without_keys_too(name):
    events = as_events(simulate(SCENARIOS[name](53), 53)).with_columns(key=pl.lit(None, pl.UInt64))
    assert [f.title for f in found(RULE, events) if f.severity >= Severity.MEDIUM] == []


def fleet(
    *steps: Step, seconds: float = 3600.0, warmup: float = 3600.0, ttl: float = 600.0, rate: float = 8.0
) -> Scenario:
    pods = ("p0", "p1", "p2")
    return Scenario(
        pods, (Traffic("m", ("1", "2"), rate, 250), Traffic("other", ("1",), 4.0, 200)), CacheRules(5000, ttl),
        resident={(pod, model): ("1",) for pod in pods for model in ("m", "other")},
        steps=steps, seconds=seconds, warmup=warmup,
    )  # fmt: skip


@pytest.mark.parametrize("keyed", [True, False], ids=["keys", "no keys"])
def test_a_log_that_begins_with_cold_caches_shows_no_rise_when_they_expire_together(keyed):
    """All entries are filled at the start and expire 20 min later: a burst, a dip, a burst."""
    events = as_events(simulate(fleet(ttl=1200.0, warmup=0.0), 61))
    if not keyed:
        events = events.with_columns(key=pl.lit(None, pl.UInt64))
    assert [f.title for f in found(RULE, events) if f.severity >= Severity.MEDIUM] == []


def test_entries_filled_together_before_the_log_and_expiring_in_it_are_information():
    """The cold start was six minutes before the log; nothing in it tells of that but the ages of entries."""
    pods = tuple(f"p{i}" for i in range(6))
    warm = {(pod, "m"): ("1",) for pod in pods}
    traffic = (Traffic("m", ("1",), 6.0, 60),)
    events = as_events(
        simulate(Scenario(pods, traffic, CacheRules(5000, 600.0), resident=warm, seconds=3600.0, warmup=360.0), 3)
    )
    finding = only(found(RULE, events))
    assert finding.severity is Severity.INFO
    assert finding.numbers["certain_share"] < DEFAULT.ages_share
    assert "filled, and expired, together" in finding.summary
    blind = only(found(RULE, events.with_columns(key=pl.lit(None, pl.UInt64))))
    assert blind.confidence is Confidence.LOW


def test_cold_starts_are_counted_apart_from_the_rise_that_stays():
    """A restart brings a burst of cold misses and a rate that stays up."""

    def rate(r, t):
        stays = np.where((t >= 1800) & (r == 0), 0.4, 0.1)
        return np.where((r == 0) & (t >= 1800), stays + 0.5 * np.exp(-(t - 1800) / 90), stays)

    restart = changed((1800.0, "restart", "r0", None, None), (1803.0, "load", "r0", "m", "1"))
    finding = only(rises(found(RULE, drawn(63, rate, rate=20.0), restart)))
    assert finding.replicas == ("r0",)
    assert abs(finding.start - at(1800)) <= timedelta(seconds=30)
    assert finding.numbers["cold_start_misses"] == pytest.approx(0.5 * 90 * 5, rel=0.35)
    assert finding.impact.excess_misses == pytest.approx(0.3 * 5 * 1800, rel=0.2)
    assert "cold caches" in finding.summary


def test_one_replica_of_many_is_looked_at_by_itself_when_it_went_cold_alone():
    lookups = drawn(75, step(1800, 0.15, 0.55, [3]), replicas=20, rate=20.0)
    assert found(RULE, lookups) == []  # in the whole fleet the rate goes from 15 to 17 %
    finding = only(found(RULE, lookups, changed((1800.0, "restart", "r3", None, None))))
    assert finding.replicas == ("r3",)
    assert "on 1 of 20 replicas" in finding.title
    assert (finding.numbers["replicas_seen"], finding.numbers["scope"]) == (20, "replicas")
    assert finding.numbers["share_of_lookups"] == pytest.approx(0.05, abs=0.01)
    assert finding.numbers["control_rate_after"] == pytest.approx(0.15, abs=0.01)
    assert finding.impact.excess_misses == pytest.approx(0.4 * 1800, rel=0.2)
    assert {lookups["replica"][e.line - 1] for e in finding.evidence} == {"r3"}


def test_what_the_whole_model_shows_is_not_told_again_for_a_part_of_it():
    lookups = drawn(76, step(1800, 0.15, 0.55, [0, 1]), rate=20.0)
    lines = changed((1800.0, "restart", "r0", None, None), (1802.0, "restart", "r1", None, None))
    assert only(found(RULE, lookups, lines)).replicas == ("r0", "r1")


def test_an_echo_is_not_the_beginning_of_the_rise_that_follows_it():
    """Loads at 15 min, their entries expire together at 25 min, and one replica gets worse at 30 min."""

    def rate(r, t):
        since = t - 900
        course = np.select([t < 900, since < 240, since < 600, since < 900], [0.15, 0.45, 0.02, 0.24], 0.15)
        return np.where((t >= 1800) & (r == 1), 0.6, course)

    lines = changed(*((900.0, "load", f"r{r}", "m", "2") for r in range(4)), (1800.0, "restart", "r1", None, None))
    rise = only([f for f in rises(found(RULE, drawn(77, rate, rate=16.0), lines)) if f.severity >= Severity.MEDIUM])
    assert rise.replicas == ("r1",)
    assert abs(rise.start - at(1800)) <= timedelta(seconds=60)


def test_a_slow_cold_start_without_keys_is_not_called_a_rise_that_stays():
    def rate(r, t):
        return 0.15 + np.where(t >= 2400, 0.5 * np.exp(-(t - 2400) / 700), 0.0)

    loads = changed(*((2400.0 + r, "load", f"r{r}", "m", "2") for r in range(4)))
    assert [f for f in rises(found(RULE, drawn(64, rate, rate=8.0), loads)) if f.severity >= Severity.MEDIUM] == []


def test_a_short_rise_is_low():
    def rate(r, t):
        return np.where((t >= 1500) & (t < 1900), 0.5, 0.1)

    finding = only(rises(found(RULE, drawn(65, rate, rate=10.0))))
    assert finding.severity is Severity.LOW


def test_a_rise_at_the_very_end_is_low_and_uncertain():
    finding = only(found(RULE, drawn(66, step(3420, 0.1, 0.7), rate=12.0)))
    assert (finding.severity, finding.confidence) == (Severity.LOW, Confidence.LOW)
    assert "too shortly" in finding.summary


def test_a_slow_drift_counts_a_class_less():
    def rate(r, t):
        return 0.1 + 0.35 * t / 3600

    worst = max(rises(found(RULE, drawn(67, rate, rate=12.0))), key=lambda f: f.severity)
    assert worst.numbers["gradual"] is True
    assert worst.severity <= Severity.HIGH
    assert worst.confidence is Confidence.LOW
    assert "drifts" in worst.summary


def test_the_dip_after_a_cold_start_is_no_improvement():
    deploy = [Step(1200.0 + 10 * i, "load", f"p{i}", "m", "2") for i in range(3)]
    gone = [Step(1201.0 + 10 * i, "unload", f"p{i}", "m", "1") for i in range(3)]
    findings = found(RULE, as_events(simulate(fleet(*deploy, *gone, ttl=900.0), 68)))
    assert [f.title for f in findings] == []


# -- real changes of caches -------------------------------------------------------------------------


@pytest.mark.parametrize("keyed", [True, False], ids=["keys", "no keys"])
@pytest.mark.parametrize(
    "change", [Step(2000.0, "resize", value=20), Step(2000.0, "ttl", value=30.0)], ids=["smaller", "shorter"]
)
def test_a_worse_cache_is_found_in_all_its_models(change, keyed):
    events = as_events(simulate(fleet(change), 71))
    if not keyed:
        events = events.with_columns(key=pl.lit(None, pl.UInt64))
    findings = rises(found(RULE, events))
    start = simulate(fleet(), 71).events.scenario.start
    assert [f.model for f in findings] == ["m", "other"]
    for finding in findings:
        assert abs(finding.start - start - timedelta(seconds=2000)) <= timedelta(seconds=180)
        assert finding.severity >= Severity.MEDIUM
        assert finding.numbers["scope"] == "fleet"
        assert (finding.numbers["certain_share"] is not None) == keyed


def test_new_keys_are_no_old_entries():
    finding = only(rises(found(RULE, as_events(simulate(fleet(Step(1800.0, "new_keys", model="m", value=0.4)), 72)))))
    assert finding.model == "m"
    assert finding.numbers["certain_share"] > 0.8
    assert any(r.cause == "cold or expired entries" for r in finding.rejected)


def test_a_sample_of_the_keys_says_about_the_same():
    events = as_events(simulate(fleet(Step(1800.0, "ttl", model="m", value=60.0)), 73))
    made = frames(events)
    whole, part = (
        only(rises(miss_rate_shift.detect(split(events)[0], made, replace(DEFAULT, ages_rows=n))))
        for n in (10**6, 6_000)
    )
    assert part.numbers["certain_share"] == pytest.approx(whole.numbers["certain_share"], abs=0.15)


# -- parts ------------------------------------------------------------------------------------------


def entries(*said: tuple[float, str, int, str], replica: str = "r0") -> pl.DataFrame:
    """Lookups of (seconds, outcome, key, version)."""
    table = rows(T0, np.array([s[0] for s in said]), [replica] * len(said), np.array([s[1] for s in said]), "m")
    return table.with_columns(
        key=pl.Series([s[2] for s in said], dtype=pl.UInt64),
        version=pl.Series([s[3] for s in said]).cast(pl.Categorical()),
    )


NO_COLD = pl.DataFrame(schema={"replica": pl.String(), "cold": pl.Datetime("us", "UTC")})


def made_of(table: pl.DataFrame, start: float, expected: float, cold: pl.DataFrame = NO_COLD) -> Shares | None:
    earlier = table.filter(pl.col("ts") < at(start))
    stretch = Stretch(at(start), at(10_000), expected, float((earlier["outcome"] == "miss").mean() or 0.0), cold)
    return shares(table.lazy(), table.height, T0, stretch, DEFAULT)


def told(outcome: str, times: range, *, start: float = 0.0) -> list[tuple[float, str, int, str]]:
    """Ten keys, each asked for at each of the times."""
    return [(start + t + k, outcome, k, "1") for t in times for k in range(10)]


WARM = [*told("miss", range(1)), *told("hit", range(100, 600, 100))]  # filled at 0, hit up to the age of 500 s


def test_entries_that_come_of_age_together_explain_an_excess():
    assert made_of(entries(*WARM, *told("miss", range(600, 601))), 600.0, 10 / 60) == Shares(0.0, 1.0)


def test_young_entries_that_miss_do_not_come_of_age():
    found_ = made_of(entries(*WARM, *told("miss", range(600, 900, 50))), 600.0, 10 / 60)
    assert found_ is not None
    assert found_.sure > 0.8
    assert found_.sure + found_.explained <= 1.0


def test_keys_never_seen_are_no_old_entries():
    new = [(600.0 + k, "miss", 100 + k, "1") for k in range(60)]
    assert made_of(entries(*WARM, *new), 600.0, 10 / 60) == Shares(1.0, 0.0)


def test_entries_filled_before_the_log_show_nothing_either_way():
    unknown = [*told("hit", range(0, 600, 100)), *told("miss", range(600, 601))]
    assert made_of(entries(*unknown), 600.0, 0.0) == Shares(0.0, 0.0)


def test_first_lookups_after_a_restart_explain_an_excess_and_repeated_misses_do_not():
    warm = told("hit", range(0, 600, 30))
    cold = pl.DataFrame({"replica": ["r0"], "cold": [at(600.0)]}, schema=NO_COLD.schema)
    once = [*told("miss", range(600, 601)), *told("hit", range(630, 780, 30))]
    again = [*told("miss", range(600, 780, 60)), *told("hit", range(630, 780, 60))]
    assert made_of(entries(*warm, *once), 600.0, 0.0, cold) == Shares(0.0, 1.0)
    loses = made_of(entries(*warm, *again), 600.0, 0.0, cold)
    assert loses is not None
    assert loses.sure > 0.5


def test_fewer_misses_than_expected_need_no_explanation():
    assert made_of(entries(*WARM, *told("hit", range(600, 900, 50))), 600.0, 0.5) == Shares(0.0, 1.0)


def test_lookups_without_keys_cannot_tell():
    assert made_of(drawn(1, step(1800, 0.1, 0.3)), 1800.0, 0.1) is None


@pytest.mark.parametrize(
    ("difference", "odds", "low", "part", "ongoing", "severity"),
    [
        (0.25, 3.0, 500.0, 0.2, True, Severity.CRITICAL),
        (0.25, 3.0, 50.0, 0.2, True, Severity.LOW),
        (0.25, 3.0, 500.0, 0.05, True, Severity.MEDIUM),
        (0.25, 3.0, 5000.0, 0.2, False, Severity.HIGH),
        (0.06, 1.5, 1000.0, 1.0, True, Severity.HIGH),
        (0.02, 3.1, 1000.0, 1.0, True, Severity.HIGH),
        (0.02, 1.5, 1000.0, 1.0, True, Severity.MEDIUM),
        (0.005, 1.5, 1000.0, 1.0, True, Severity.LOW),
        (0.30, 4.0, -5.0, 1.0, True, Severity.LOW),
    ],
)
def test_severity_is_by_harm(difference, odds, low, part, ongoing, severity):
    assert severity_of_harm(difference, odds, low, part, ongoing, DEFAULT) is severity


def test_the_manual_has_its_headings():
    doc = ast.get_docstring(ast.parse(inspect.getsource(miss_rate_shift))) or ""
    headings = ["What it says", "Why it matters", "How it decides", "When it stays quiet", "What to do"]
    assert [line for line in doc.splitlines() if line in headings] == headings


def test_a_flush_of_all_caches_without_a_line_is_told_by_what_was_lost():
    pods = ("a", "b", "c", "d")
    traffic = (Traffic("m", ("1",), 8.0, 300),)
    resident = {(pod, "m"): ("1",) for pod in pods}
    silent = frozenset({"flush", "evict"})
    calm = Scenario(pods, traffic, CacheRules(400, 600.0), False, resident, (), 3600.0, unlogged=silent)
    flush = replace(calm, steps=tuple(Step(1800.0, "flush", pod, "m") for pod in pods))
    (shift,) = found(RULE, as_events(simulate(flush, 1)))
    assert "emptied at once" in shift.summary
    assert shift.numbers["flush_share"] > 0.8
    assert shift.confidence >= Confidence.MEDIUM
    small = replace(calm, steps=(Step(1800.0, "resize", model="m", value=40),))
    (other,) = found(RULE, as_events(simulate(small, 1)))
    assert other.numbers["flush_share"] is None
