"""Which version was on which replica, when."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fleet import E, at, frames, lookups

CLOCK = [E(7200, "load", "clock", "1", model="other")]


def levels(events, model="m"):
    mine = frames([*events, *CLOCK]).levels
    return [
        (row["replica"], row["version"], (row["start"] - at(0)).total_seconds())
        for row in mine.iter_rows(named=True)
        if row["model"] == model
    ]


def test_a_load_and_an_unload_bound_the_residency():
    events = [
        E(0, "load", "a", "1"),
        E(600, "load", "a", "2"),
        E(620, "unload", "a", "1"),
        E(3000, "unload", "a", "2"),
        E(3010, "load", "a", "1"),
    ]
    assert levels(events) == [("a", "1", 0), ("a", "2", 600), ("a", "1", 3010)]


def test_an_older_version_beside_a_newer_one_does_not_lower_the_level():
    events = [E(0, "load", "a", "2"), E(1000, "load", "a", "1"), E(2000, "evict", "a", "1")]
    assert levels(events) == [("a", "2", 0)]


def test_without_unload_lines_a_load_replaces():
    assert levels([E(0, "load", "a", "2"), E(1000, "load", "a", "1")]) == [("a", "2", 0), ("a", "1", 1000)]


def test_versions_loaded_in_one_burst_are_served_side_by_side():
    assert levels([E(0, "load", "a", "2"), E(5, "load", "a", "1")]) == [("a", "2", 0)]


def test_a_restart_empties_the_replica():
    events = [
        E(0, "load", "a", "2"),
        E(0, "load", "b", "2"),
        E(900, "unload", "b", "2"),
        E(1000, "restart", "a", model=None),
        E(1010, "load", "a", "1"),
    ]
    assert levels(events)[:2] == [("a", "2", 0), ("a", "1", 1010)]


def test_a_version_that_still_serves_is_resident_whatever_was_loaded():
    events = [E(0, "load", "a", "2"), *lookups("a", "2", 1, 4000), E(1000, "load", "a", "1")]
    assert levels(events) == [("a", "2", 0)]


def test_served_versions_stand_in_for_loads():
    events = [*lookups("a", "1", 0, 1000), *lookups("a", "2", 1000, 3000), *lookups("a", "1", 3000, 5000)]
    assert [(v, round(t, -1)) for _, v, t in levels(events)] == [("1", 0), ("2", 1000), ("1", 3000)]


def test_a_rarely_asked_newer_version_stays_resident_between_its_lookups():
    canary = [e for t in range(0, 7000, 100) for e in lookups("a", "2", t, t + 1)]
    assert levels([*lookups("a", "1", 0, 7000), *canary]) == [("a", "2", 0)]


def test_misses_of_the_cache_of_loaded_models_are_no_service():
    asked = [E(t, "lookup", "a", "9", outcome="miss", cache="model") for t in range(0, 1000, 10)]
    assert levels([*lookups("a", "1", 0, 1000), *asked]) == [("a", "1", 0)]


def test_overlaps_shorter_than_the_skew_of_clocks_are_dropped():
    events = [E(0, "load", "a", "1"), E(0, "load", "b", "1"), E(600, "load", "a", "2"), E(620, "load", "a", "1")]
    events += [E(625, "unload", "a", "1"), E(621, "unload", "a", "2"), E(630, "load", "a", "2")]
    assert [row for row in levels(events) if row[0] == "a"] == [("a", "1", 0), ("a", "2", 630)]


def test_a_version_that_answered_a_single_lookup_is_gone_when_it_is_unloaded():
    served = [E(t, "lookup", "a", "1") for t in range(10, 600, 20)] + [E(700, "lookup", "a", "2")]
    back = [E(t, "lookup", "a", "1") for t in range(900, 3000, 20)]
    loads = [E(0, "load", "a", "1"), E(600, "load", "a", "2"), E(602, "unload", "a", "1")]
    loads += [E(800, "load", "a", "1"), E(802, "unload", "a", "2")]
    assert levels([*loads, *served, *back]) == [("a", "1", 0), ("a", "2", 600), ("a", "1", 802)]


def test_versions_whose_order_is_not_known_have_no_level():
    assert levels([E(0, "load", "a", "blue"), E(100, "load", "a", "green")]) == []


@given(
    st.lists(st.tuples(st.integers(0, 7000), st.sampled_from(["load", "unload"]), st.sampled_from("123")), max_size=20),
    st.randoms(),
)
@settings(max_examples=60, deadline=None)
def test_levels_are_disjoint_in_order_and_long_enough_whatever_the_lines(changes, rng):
    events = [E(t, op, "a", v) for t, op, v in changes]
    shuffled = events[:]
    rng.shuffle(shuffled)
    mine = frames([*events, *CLOCK]).levels
    rows = mine.filter(mine["model"] == "m").sort("start").iter_rows(named=True)
    previous = None
    for row in rows:
        assert row["end"] >= row["start"]
        assert previous is None or (previous["end"] <= row["start"] and previous["ord"] != row["ord"])
        previous = row


def test_a_server_that_switches_its_default_answers_with_the_version_that_it_names():
    switch = [
        E(0, "load", "a", "1"), E(600, "load", "a", "2"), E(601, "rollout", None, "2", reason="set-default"),
        E(1200, "rollout", None, "1", reason="set-default"), E(7000, "unload", "a", "2"),
    ]  # fmt: skip
    served = [*lookups("a", "1", 1, 601), *lookups("a", "2", 602, 1200.5), *lookups("a", "1", 1202, 7100)]
    assert levels([*switch, *served]) == [("a", "1", 0), ("a", "2", 600), ("a", "1", 1200)]


def test_a_version_that_is_asked_for_by_its_number_stays_after_a_switch_of_the_default():
    switch = [E(0, "load", "a", "1"), E(600, "load", "a", "2"), E(1200, "rollout", None, "1", reason="set-default")]
    assert levels([*switch, *lookups("a", "2", 602, 7100)]) == [("a", "1", 0), ("a", "2", 600)]
