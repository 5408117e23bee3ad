"""Loads that fail: how often, where, and what is served instead."""

from __future__ import annotations

from cachelog.contract.finding import Severity
from tests.fleet import E, at, found

FLEET = [E(0, "load", r, "1") for r in "abc"]
FAILS = [E(t, "load_fail", r, "2", reason="CUDA out of memory") for t in (600, 620) for r in "ab"]


def test_a_version_that_fails_is_one_finding_with_what_is_served_instead():
    (finding,) = found("load-failure", [*FLEET, *FAILS, E(600, "load", "c", "2"), E(3600, "unload", "c", "1")])
    assert (finding.replicas, finding.version_to, finding.version_from, finding.start) == (
        ("a", "b"),
        "2",
        "1",
        at(600),
    )
    assert finding.severity is Severity.MEDIUM
    assert finding.summary == "4 failed loads on a, b. Error: CUDA out of memory. They have 1 instead."
    assert [e.line for e in finding.evidence] == [4, 5]


def test_a_retry_that_ends_well_is_low():
    (finding,) = found(
        "load-failure", [*FLEET, *FAILS, E(640, "load", "a", "2"), E(640, "load", "b", "2"), E(3600, "load", "c", "2")]
    )
    assert (finding.severity, finding.ongoing, finding.numbers["replicas_recovered"]) == (Severity.LOW, False, 2)


def test_a_model_that_nobody_ever_had_is_low():
    (finding,) = found("load-failure", [*FLEET, E(600, "load_fail", "a", None, model="nosuch")])
    assert (finding.model, finding.severity) == ("nosuch", Severity.LOW)


def test_where_nothing_is_served_instead_it_is_high():
    (finding,) = found(
        "load-failure", [E(0, "load", "a", "2"), E(100, "load_fail", "b", "2"), E(3600, "load", "c", "2")]
    )
    assert finding.severity is Severity.HIGH


def test_models_and_versions_are_told_apart():
    events = [*FLEET, *FAILS, E(700, "load_fail", "a", "3")]
    assert [f.version_to for f in found("load-failure", events)] == ["2", "3"]
