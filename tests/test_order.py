"""Which version label is newer, and what that rests on (METHODS §3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelog.versions.order import order
from tests.fleet import E, frames, lookups

#: labels, oldest first; labels in one inner list are neither newer nor older
KNOWN = {
    "parsed:int": [["2", "9", "10"], ["v9", "v10"], ["model-v9", "model-v12"], ["1690000000", "1700000000"], ["007", "8"]],
    "parsed:date": [["20231231", "20240601"], ["20260930-1", "20261004-2"], ["ranker-2024-06-01T09:00", "ranker-2024-06-01T10:00"]],
    "parsed:semver": [["v1.2.0-rc.2", "v1.2.0-rc.10", "v1.2.0", "v1.10.0"], ["2024.6.1", "2024.10.0"], ["1.9.3", "1.10.0"]],
    "parsed:pep440": [["1.2.0.dev3", "1.2.0rc1", "1.2.0", "1.2.0.post1"], ["1.9", "1.10"]],
}  # fmt: skip


@pytest.mark.parametrize(("basis", "labels"), [(basis, labels) for basis, many in KNOWN.items() for labels in many])
def test_labels_of_one_scheme_are_ordered_by_it(basis, labels):
    found = order(labels[::-1])
    assert found.basis == basis
    assert sorted(labels, key=lambda v: found.ranks[v]) == labels
    assert len(set(found.ranks.values())) == len(labels)


@pytest.mark.parametrize(("a", "b"), [("1.0.0+a", "1.0.0+b"), ("v1", "1")])
def test_different_labels_of_one_version_are_neither_newer_nor_older(a, b):
    ranks = order([a, b]).ranks
    assert ranks[a] == ranks[b] is not None


@pytest.mark.parametrize(
    "labels", [["a1b2c3d", "9f8e7d6", "1234567"], ["Production", "Staging"], ["v3", "banana"], ["latest", "v3"]]
)
def test_what_has_no_order_is_said_to_be_unknown(labels):
    found = order(labels)
    assert (found.basis, set(found.ranks.values())) == ("unknown", {None})


def test_a_declared_order_comes_first():
    found = order(["v1", "v2", "v3"], declared=["v3", "v1"])
    assert (found.basis, dict(found.ranks)) == ("declared", {"v3": 0, "v1": 1, "v2": None})


def test_labels_without_order_take_that_of_the_rollouts():
    found = order(["aa11bb22", "cc33dd44", "ee55ff66"], seen={"aa11bb22": 0.0, "cc33dd44": 500.0, "ee55ff66": None})
    assert (found.basis, dict(found.ranks)) == ("observed", {"aa11bb22": 0, "cc33dd44": 1, "ee55ff66": None})


def test_numbers_that_the_rollouts_contradict_are_mere_names():
    seen = {"41": 0.0, "7": 100.0, "88": 200.0, "3": 300.0, "12": 400.0}
    assert order(list(seen), seen=seen).basis == "observed"
    assert order(list(seen), seen={v: float(v) for v in seen}).basis == "parsed:int"


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8, unique=True))
def test_integers_with_any_prefix_sort_as_integers(numbers):
    found = order([f"build-{n}" for n in numbers])
    assert sorted(numbers, key=lambda n: found.ranks[f"build-{n}"]) == sorted(numbers)


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
def test_any_labels_give_ranks_for_each_and_a_basis(labels):
    found = order(labels)
    assert set(found.ranks) == set(labels)
    assert found.basis == "unknown" or found.basis.startswith("parsed:")


def test_versions_of_the_opening_of_a_log_are_not_told_apart():
    events = [*lookups("a", "deadbeef", 0, 1000), *lookups("b", "cafebabe", 10, 1000), *lookups("a", "f00dface", 1000, 2000),
              *lookups("b", "f00dface", 1000, 2000)]  # fmt: skip
    ranks = {v: (o, basis) for _, v, o, basis in frames(events).order.iter_rows()}
    assert ranks == {"deadbeef": (0, "observed"), "cafebabe": (0, "observed"), "f00dface": (1, "observed")}


def test_a_version_only_asked_for_has_a_place_in_the_order():
    events = [*lookups("a", "1", 0, 100), E(50, "rollout", None, "2")]
    assert frames(events).order["version"].to_list() == ["1", "2"]
