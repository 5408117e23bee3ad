"""A finding about versions says up to which error of clocks it holds, and it does."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cachelog.attribution.clocks import doubted
from cachelog.contract.finding import Confidence, Finding, Severity
from tests.fleet import E, found, frames, lookups

PODS = ("a", "b", "c", "d", "e")


def life(replica, loads, end=3600.0):
    """A replica that serves versions one after the other; each but the first is loaded, for its log begins later."""
    turns = [*loads, (end, "")]
    events = []
    for (start, version), (until, _) in pairwise(turns):
        load = [E(start, "load", replica, version)] if events else []
        events += [*load, *lookups(replica, version, start + 1, until, rate=0.1)]
    return events


def stale(newer=900.0, older=2000.0):
    """Two of five go back."""
    odd = [life(pod, [(0, "v1"), (newer + k, "v2"), (older + 40 * k, "v1")]) for k, pod in enumerate(PODS[:2])]
    even = [life(pod, [(0, "v1"), (newer + 30 * k, "v2")]) for k, pod in enumerate(PODS[2:])]
    return [event for mine in (*odd, *even) for event in mine]


def shifted(events, clocks):
    return [replace(event, at=event.at + clocks.get(event.replica, 0.0)) for event in events]


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.tuples(*[st.floats(0, 0.999)] * len(PODS)))
def test_clocks_off_by_less_than_the_margin_change_no_verdict(parts):
    (plain,) = found("version-regression", stale())
    margin = plain.numbers["holds_up_to_skew_seconds"]
    clocks = {pod: part * margin for pod, part in zip(PODS, parts, strict=True)}
    (moved,) = found("version-regression", shifted(stale(), clocks))
    assert (moved.replicas, moved.version_from, moved.version_to) == (plain.replicas, "v2", "v1")
    assert not found("rollback", shifted(stale(), clocks))


def test_beyond_the_margin_it_would_be_another_verdict():
    (plain,) = found("version-regression", stale())
    margin = plain.numbers["holds_up_to_skew_seconds"]
    late = dict.fromkeys(PODS[2:], margin + 1.0)
    assert not found("version-regression", shifted(stale(), late))
    assert "while clocks are off by less than" in plain.summary


def test_what_one_file_says_of_one_replica_holds_whatever_the_clocks():
    (alone,) = found("version-regression", life("a", [(0, "v1"), (900, "v2"), (2000, "v1")]))
    assert alone.numbers["holds_up_to_skew_seconds"] is None
    assert alone.numbers["order_within_a_file"] is True
    assert "whatever the clocks" in alone.summary
    turns = [(600 * k, "v2" if k % 2 else "v1") for k in range(6)]
    (flaps,) = found("version-flapping", [*life("a", turns), *life("b", [(0, "v2")])])
    assert flaps.numbers["holds_up_to_skew_seconds"] is None


def test_lines_out_of_order_prove_nothing():
    events = life("a", [(0, "v1"), (900, "v2"), (2000, "v1")])
    (found_,) = found("version-regression", events[::-1])
    assert found_.numbers["order_within_a_file"] is False
    assert found_.numbers["holds_up_to_skew_seconds"] == pytest.approx(1100, abs=10)


def test_versions_known_from_lookups_alone_are_in_order_of_their_lines_too():
    events = [e for e in life("a", [(0, "v1"), (900, "v2"), (2000, "v1")]) if e.op == "lookup"]
    (found_,) = found("version-regression", events)
    assert found_.numbers["order_within_a_file"] is True


def test_a_rollout_line_that_would_announce_it_bounds_the_margin():
    asked = E(2000 + 60 + 25, "rollout", None, "v1")  # later than an announcement may be, by 25 s
    (near,) = found("version-regression", [*stale(), asked])
    assert near.numbers["holds_up_to_skew_seconds"] == pytest.approx(25, abs=0.1)
    announced = E(1990, "rollout", None, "v1")
    (told,) = found("rollback", [*stale(), announced])
    assert told.numbers["holds_up_to_skew_seconds"] == pytest.approx(1740, abs=60)


def test_a_stopped_rollout_holds_as_long_as_it_is_overdue():
    events = [e for k, pod in enumerate(PODS[:3]) for e in life(pod, [(0, "v1"), (600 + 20 * k, "v2")])]
    events += [e for pod in PODS[3:] for e in life(pod, [(0, "v1")])]
    (stuck,) = found("stuck-rollout", events)
    numbers = stuck.numbers
    assert numbers["holds_up_to_skew_seconds"] == numbers["quiet_seconds"] - numbers["grace_seconds"]


def test_a_clock_that_is_off_by_more_takes_the_confidence_away():
    events = stale()
    (plain,) = found("version-regression", events)
    skew = Finding(
        rule="clock-skew", severity=Severity.LOW, confidence=Confidence.HIGH, title="", summary="", replicas=("d",),
        numbers={"offset_seconds": -1.0 - plain.numbers["holds_up_to_skew_seconds"]},
    )  # fmt: skip
    near = replace(skew, numbers={"offset_seconds": 30.0})
    assert doubted([plain, skew], frames(events))[0].confidence is Confidence.LOW
    assert "The clock of d is off by" in doubted([plain, skew], frames(events))[0].summary
    assert doubted([plain, near], frames(events))[0] == plain
