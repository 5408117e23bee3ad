"""One label with two digests, and digests that are no such thing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cachelog.contract.finding import Confidence, Severity
from cachelog.pipeline import analyze
from tests.fleet import E, at, found, lookups
from tests.scenarios import SCENARIOS
from tests.simulate import simulate
from tests.writing import write

ONE, TWO = "1f" * 32, "2e" * 32
END = [E(3600, "load", "a", "9", model="other")]


def load(t, replica, digest, version="7", op="load"):
    return E(t, op, replica, version, digest=digest)


def test_replicas_that_loaded_different_contents_of_one_label_are_named():
    events = [load(10, "a", ONE), load(20, "b", f"sha256:{ONE.upper()}"), load(1800, "c", TWO)]
    events += [e for r in "abc" for e in lookups(r, "7", 1801, 3600)]
    (finding,) = found("mutable-version", events)
    assert (finding.replicas, finding.version_from, finding.version_to) == (("c",), "7", "7")
    assert (finding.severity, finding.confidence, finding.ongoing) == (Severity.HIGH, Confidence.HIGH, True)
    assert finding.start == at(1800) and finding.numbers["lookups_of_those_apart"] == pytest.approx(1799, abs=2)
    assert {e.line for e in finding.evidence} == {1, 2, 3}


def test_without_lookups_it_is_medium_and_when_all_have_moved_low():
    split = [load(10, "a", ONE), load(20, "b", ONE), load(1800, "b", TWO), *END]
    assert found("mutable-version", split)[0].severity is Severity.MEDIUM
    (moved,) = found("mutable-version", [*split, load(1900, "a", TWO)])
    assert (moved.severity, moved.ongoing) == (Severity.LOW, False)


def test_labels_that_are_meant_to_move_are_information():
    events = [load(10, "a", ONE, "latest"), load(1800, "b", TWO, "latest"), *END]
    assert found("mutable-version", events)[0].severity is Severity.INFO


def test_a_short_form_is_the_same_digest():
    assert not found("mutable-version", [load(10, "a", ONE), load(20, "b", ONE[:12]), *END])
    assert found("mutable-version", [load(10, "a", ONE[:12]), load(20, "b", TWO[:12]), *END])


def test_digests_of_different_kinds_are_not_compared():
    image = [load(9, r, TWO, op="load_start") for r in "ab"]
    assert not found("mutable-version", [*image, load(10, "a", ONE), load(20, "b", ONE), *END])
    assert not found("mutable-version", [load(10, "a", ONE), load(20, "b", "ab" * 16), *END])


def test_files_of_one_load_are_not_versions():
    assert not found("mutable-version", [load(10 + i, r, d) for r in "ab" for i, d in enumerate((ONE, TWO))] + END)


def test_versions_and_models_have_their_own_digests():
    events = [load(10, "a", ONE), load(900, "a", TWO, "8"), replace(load(20, "a", TWO), model="n"), *END]
    assert not found("mutable-version", events)


def test_builds_of_two_architectures_are_no_label_pushed_again():
    """Replicas of two kinds keep to their own digest, whichever of them loads first."""
    kinds = {"a": ONE, "b": TWO, "c": ONE, "d": TWO, "e": ONE}
    turns = [load(10 * k, pod, digest) for k, (pod, digest) in enumerate(kinds.items())]
    (told,) = found("mutable-version", [*turns, *END])
    assert (told.severity, told.confidence) == (Severity.INFO, Confidence.LOW)
    assert "architectures" in told.summary
    newer = {ONE: "ab" * 32, TWO: "cd" * 32}
    later = [load(1800 + 10 * k, pod, newer[digest], "8") for k, (pod, digest) in enumerate(kinds.items())]
    assert not found("mutable-version", [*turns, *later, *END])


def test_one_replica_with_an_old_copy_of_two_models_is_told_of_both():
    events = [
        e for m in "mn" for pod, d in (("a", ONE), ("b", ONE), ("c", TWO)) for e in [replace(load(10, pod, d), model=m)]
    ]
    assert {(f.model, f.severity) for f in found("mutable-version", [*events, *END])} == {
        ("m", Severity.MEDIUM), ("n", Severity.MEDIUM)
    }  # fmt: skip


def served(replica, digest, start, end):
    return [replace(e, digest=digest) for e in lookups(replica, "7", start, end, rate=0.2)]


def test_lookups_that_carry_the_digest_are_enough():
    events = served("a", ONE, 0, 3600) + served("b", ONE, 0, 1800) + served("b", TWO, 1800, 3600)
    (finding,) = found("mutable-version", events)
    assert (finding.replicas, finding.start) == (("b",), at(1800))


def test_digests_of_requests_are_none_of_models():
    many = [replace(e, digest=f"{i % 50:064x}") for i, e in enumerate(lookups("a", "7", 0, 3600))]
    assert not found("mutable-version", many)
    alternating = [replace(e, digest=(ONE, TWO)[i % 2]) for i, e in enumerate(lookups("a", "7", 0, 3600))]
    assert not found("mutable-version", alternating)


@pytest.mark.parametrize("pushed_again", [False, True])
def test_a_deploy_whose_label_was_pushed_again_half_way(pushed_again, tmp_path):
    """The load lines of a simulated deploy get a digest; that of the last replica another one."""
    scenario = SCENARIOS["rolling-deploy"](2)
    write(simulate(scenario, 2), tmp_path, "zap")
    last = scenario.replicas[-1]
    for path in sorted(tmp_path.glob("*.log")):
        digest = TWO if pushed_again and path.stem == last else ONE
        loaded = r'("msg":"loaded model".*?"version":"[^"]+")'
        path.write_text(re.sub(loaded, rf'\1,"digest":"{digest}"', path.read_text()))
    told = [f for f in analyze([str(tmp_path)]).findings if f.rule == "mutable-version"]
    assert [f.replicas for f in told if f.severity >= Severity.MEDIUM] == ([(last,)] if pushed_again else [])
