"""The simulator is what other tests take for the truth, so it is tested against slower, plainer code."""

from __future__ import annotations

import re
import time
from collections import Counter, OrderedDict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scenarios import SCENARIOS
from tests.simulate import EXPIRED, HIT, MISS, STALE, CacheRules, Scenario, Step, Traffic, ask, simulate, totals
from tests.writing import rows, write

TRAFFIC = (Traffic("ranking", ("7", "8"), 8.0, 300), Traffic("tagging", ("3",), 4.0, 200))
PODS = ("pod-a", "pod-b", "pod-c")


def fleet(**changes) -> Scenario:
    resident = {(pod, t.model): t.versions[:1] for pod in PODS for t in TRAFFIC}
    scenario = Scenario(PODS, TRAFFIC, CacheRules(120, 200.0), resident=resident, seconds=600.0, warmup=100.0)
    return replace(scenario, **changes)


def plain(asked: list[tuple[int, float]], rules: CacheRules) -> list[int]:
    """LRU with a time to live by its definition: look through all that was asked before."""
    filled: dict[int, float] = {}
    used: list[int] = []
    outcomes = []
    for key, now in asked:
        held = key in used
        age = now - filled.get(key, 0.0)
        if held and age < rules.ttl:
            outcomes.append(HIT)
        else:
            outcomes.append(MISS if not held else STALE if age < rules.ttl + rules.grace else EXPIRED)
            filled[key] = now
        used = [*(k for k in used if k != key), key][-rules.capacity :]
    return outcomes


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 20)), max_size=80),
    st.integers(1, 8),
    st.integers(1, 60),
    st.integers(0, 30),
)
def test_a_cache_keeps_the_entries_last_used_for_their_time_to_live(gaps, capacity, ttl, grace):
    asked = [(key, float(sum(gap for _, gap in gaps[: i + 1]))) for i, (key, _) in enumerate(gaps)]
    rules, cache = CacheRules(capacity, float(ttl), float(grace)), OrderedDict()
    assert [ask(cache, key, now, rules)[0] for key, now in asked] == plain(asked, rules)
    assert len(cache) <= capacity


@given(st.lists(st.integers(0, 12), max_size=100), st.integers(1, 6))
def test_what_is_pushed_out_was_used_least_recently(keys, capacity):
    rules, cache, used = CacheRules(capacity), OrderedDict(), []
    for i, key in enumerate(keys):
        gone = ask(cache, key, float(i), rules)[1]
        full = key not in used and len(used) == capacity
        assert gone == (used[0] if full else None)
        used = [*(k for k in used if k != key), key][-capacity:]


def test_a_fleet_does_what_one_plain_cache_a_replica_and_model_does():
    run = simulate(fleet(warmup=0.0), 5)
    by_cache: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for _, row in rows(run.events):
        by_cache.setdefault((row.model, row.replica), []).append((int(row.key, 16), row.stamp))
    for (model, replica), asked in by_cache.items():
        outcomes = Counter(plain([(key, stamp / 1e6) for key, stamp in asked], CacheRules(120, 200.0)))
        count = totals(run.truth, 0, 2)[model, replica]
        assert (outcomes[HIT], outcomes[MISS] + outcomes[EXPIRED]) == (count.hits, count.misses)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_counts_add_up_to_the_lines(name):
    run = simulate(SCENARIOS[name](3), 3)
    lines = Counter(row.model for _, row in rows(run.events))
    assert {model: count.lookups for (model,), count in totals(run.truth, 0).items()} == lines
    assert sum(c.lookups for c in run.truth.counts.values()) == len(run.events.lookups.stamp)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_replica_answers_only_with_what_it_holds(name):
    scenario = replace(SCENARIOS[name](4), late=0.0, skew={}, gaps=(), unlogged=frozenset())
    held = {(replica, model): set(versions) for (replica, model), versions in scenario.resident.items()}
    run = simulate(scenario, 4)
    events = [(row.stamp, 1, row) for _, row in rows(run.events)] + [(c.stamp, 0, c) for c in run.events.changes]
    for _, is_lookup, event in sorted(events, key=lambda e: e[:2]):
        if is_lookup:
            assert event.version in held[event.replica, event.model]
        elif event.op == "load":
            held.setdefault((event.replica, event.model), set()).add(event.version)
        elif event.op == "unload":
            held[event.replica, event.model].discard(event.version)
        elif event.op == "restart":
            held |= {(event.replica, traffic.model): set() for traffic in scenario.traffic}


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    same = [simulate(fleet(), seed).events.lookups for seed in (1, 1, 2)]
    assert np.array_equal(same[0].stamp, same[1].stamp) and np.array_equal(same[0].outcome, same[1].outcome)
    assert not np.array_equal(same[0].stamp[:50], same[2].stamp[:50])


def test_a_run_without_a_step_is_its_counterfactual():
    step = Step(300.0, "ttl", value=5.0)
    shorter, calm = simulate(fleet(steps=(step,)), 1), simulate(fleet(), 1)
    assert np.array_equal(shorter.events.lookups.stamp, calm.events.lookups.stamp)
    before = shorter.events.lookups.stamp < shorter.events.lookups.stamp[0] + 290_000_000
    assert np.array_equal(shorter.events.lookups.outcome[before], calm.events.lookups.outcome[before])
    assert totals(shorter.truth, 0)["ranking",].misses > 1.5 * totals(calm.truth, 0)["ranking",].misses


def test_a_new_version_begins_cold():
    steps = tuple(Step(300.0, what, pod, "ranking", v) for pod in PODS for what, v in (("load", "8"), ("unload", "7")))
    run = simulate(fleet(steps=steps), 2)
    first = {}
    for _, row in rows(run.events):
        first.setdefault((row.replica, row.version, row.key), row.outcome)
    assert {o for (_, version, _), o in first.items() if version == "8"} == {MISS}


def test_a_replica_that_is_down_answers_nothing_and_comes_back_empty():
    steps = (Step(200.0, "restart", "pod-b"), Step(260.0, "load", "pod-b", "ranking", "7", took=4.0))
    run = simulate(fleet(steps=steps), 2)
    start = run.events.scenario.start.timestamp() * 1e6
    answered = [row for _, row in rows(run.events) if row.replica == "pod-b" and row.stamp > start + 200e6]
    assert min(row.stamp for row in answered) > start + 260e6 and answered[0].outcome == MISS
    assert {row.model for row in answered} == {"ranking"}


def test_a_lost_stretch_and_a_wrong_clock_are_in_the_lines_only_of_that_replica():
    changed = fleet(gaps=(("pod-a", 100.0, 200.0),), skew={"pod-c": -90.0})
    run, calm = simulate(changed, 2), simulate(fleet(), 2)
    lost, seen = (totals(r.truth, 2) for r in (run, calm))
    assert lost["pod-b",] == seen["pod-b",] and lost["pod-c",] == seen["pod-c",]
    assert lost["pod-a",].lookups < seen["pod-a",].lookups
    skewed, right = ([row.stamp for _, row in rows(r.events) if row.replica == "pod-c"] for r in (run, calm))
    assert {b - a for a, b in zip(skewed, right, strict=True)} == {90_000_000}


def test_late_lines_stand_out_of_order_by_no_more_than_they_are_late():
    stamps = simulate(fleet(late=20.0), 2).events.lookups.stamp
    behind = np.maximum.accumulate(stamps) - stamps
    assert 10e6 < behind.max() <= 20e6


def test_a_slot_too_few_makes_replicas_load_and_drop_models():
    ops = Counter(c.op for c in simulate(fleet(slots=1), 2).events.changes)
    assert ops["model_miss"] > 100
    assert abs(ops["load"] - ops["model_miss"]) <= 3 and abs(ops["model_evict"] - ops["model_miss"]) <= 3


def test_a_hundred_thousand_lookups_take_about_a_second():
    busy = fleet(traffic=tuple(replace(t, rate=90.0) for t in TRAFFIC))
    began = time.process_time()
    lookups = simulate(busy, 1).events.lookups
    assert len(lookups.stamp) > 100_000 and time.process_time() - began < 3.0


@pytest.mark.parametrize("dialect", ["structlog", "zap", "logfmt", "text", "cri", "nginx"])
def test_every_dialect_writes_one_line_a_lookup(dialect, tmp_path):
    run = simulate(fleet(), 1)
    write(run, tmp_path, dialect)
    text = "\n".join(path.read_text() for path in sorted(tmp_path.rglob("*.log*")) + sorted(tmp_path.rglob("*.jsonl")))
    lines = [line for line in text.splitlines() if re.search(r"\b(hit|miss|HIT|MISS|EXPIRED)\b", line)]
    assert len(lines) == len(run.events.lookups.stamp)


def test_triton_writes_loads_as_the_server_does(tmp_path):
    steps = (Step(50.0, "restart", "pod-a"), Step(60.0, "load", "pod-a", "ranking", "8", took=2.0))
    write(simulate(fleet(steps=steps), 1), tmp_path, "triton")
    text = (tmp_path / "pod-a.log").read_text()
    assert 'I0803 06:40:58.000000 1 model_lifecycle.cc:472] "loading: ranking:8"\n' in text
    assert "I0803 06:41:00.000000 1 model_lifecycle.cc:839] \"successfully loaded 'ranking'\"\n" in text
    assert "Creating TritonCache with name: 'local'" in text and '{\\"size\\":' in text
