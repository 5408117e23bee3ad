"""TensorFlow Serving's logs: every generation of the prefix, and reloads of the configuration as rollouts."""

from __future__ import annotations

import pytest

from tests.reading import events, read_lines

T = "2020-11-10 18:41:%02d.517132: "
HARNESS = "I tensorflow_serving/core/loader_harness.cc:74] "
S = "servable version {name: my model version: 2}"
SHAPE = ("op", "model", "version", "reason")

LINES = {
    f"{T % 1}{HARNESS}Loading {S}": ("load_start", "my model", "2", None),
    f"{T % 1}{HARNESS}Successfully loaded {S}": ("load", "my model", "2", None),
    f"  # {T % 1}{HARNESS}Successfully loaded {S}": ("load", "my model", "2", None),
    f"I0000 00:00:1719244446.123456     131 loader_harness.cc:95] Successfully loaded {S}": ("load", "my model", "2", None),
    f"I tensorflow_serving/core/loader_harness.cc:86] Successfully loaded {S}": ("load", "my model", "2", None),
    f"{T % 1}{HARNESS}Done unloading {S}": ("unload", "my model", "2", None),
    f"{T % 1}{HARNESS}Encountered an error for {S}: Not found: x": ("load_fail", "my model", "2", "Not found: x"),
    "E tensorflow_serving/core/loader_harness.cc:104] Servable: {name: a version: 1} load failure: Not found: y": (
        "load_fail", "a", "1", "Not found: y",
    ),
    f"{T % 1}I tensorflow_serving/model_servers/main.cc:147] Building single TensorFlow model file config: model_name: a": (
        "restart", None, None, None,
    ),
    f"{T % 1}I external/org_tensorflow/tensorflow/core/platform/cpu_feature_guard.cc:137] Your CPU supports": (
        "restart", None, None, None,
    ),
    f"{T % 1}{HARNESS}Approving load for {S}": None,
    f"{T % 1}{HARNESS}Quiescing {S}": None,
    f"{T % 1}E tensorflow_serving/core/aspired_versions_manager.cc:379] Servable {{name: a version: 3}} cannot be loaded: x": None,
    f"{T % 1}I tensorflow_serving/core/basic_manager.cc:253] Unload all remaining servables in the manager.": None,
    "E0109 21:38:04.210768165 53 ev_epoll1_linux.c:1051] grpc epoll fd: 5": None,
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_lines_say(tmp_path, line):
    staged = read_lines(tmp_path, line)
    assert events(staged).select(SHAPE).rows() == ([] if LINES[line] is None else [LINES[line]])
    assert staged.inputs[0].format == "tf_serving"


def test_times_are_local_or_of_the_epoch(tmp_path):
    found = events(read_lines(tmp_path, *list(LINES)[1:4:2]))
    assert found["ts"].dt.to_string("%F %T%.6f").to_list() == [
        "2020-11-10 18:41:01.517132",
        "2024-06-24 15:54:06.123456",
    ]


def record(second, message):
    return f"{T % second}I tensorflow_serving/x/y.cc:1] {message}"


def adding(second, model="m"):
    return record(second, f" (Re-)adding model: {model}")


def loading(second, version, model="m"):
    return record(second, f"Loading servable version {{name: {model} version: {version}}}")


def loaded(second, version, model="m"):
    return record(second, f"Successfully loaded servable version {{name: {model} version: {version}}}")


def rollouts(tmp_path, *lines):
    found = events(read_lines(tmp_path, *lines))
    return [row for row in found.select("op", "model", "version", "line").rows() if row[0] == "rollout"]


def test_a_reload_of_the_configuration_asks_for_what_is_loaded_next(tmp_path):
    lines = [loaded(0, 2), adding(5), adding(10), adding(10, "other"), loading(11, 1), loaded(12, 1)]
    assert rollouts(tmp_path, *lines) == [("rollout", "m", "1", 3)]


def test_a_reload_may_ask_for_several_versions(tmp_path):
    lines = [loaded(0, 3), adding(10), loading(11, 1), loading(11, 2)]
    assert rollouts(tmp_path, *lines) == [("rollout", "m", "1", 2), ("rollout", "m", "2", 2)]


def test_a_start_asks_for_nothing(tmp_path):
    guard = record(21, "x").replace("tensorflow_serving/x/y.cc", "external/org_tensorflow/a/cpu_feature_guard.cc")
    lines = [adding(1), loading(2, 2), loaded(3, 2), adding(20), loading(20, 1), guard, loaded(22, 1)]
    assert rollouts(tmp_path, *lines) == []


def test_reloads_that_change_nothing_are_dropped_and_their_lines_are_accounted_for(tmp_path):
    staged = read_lines(tmp_path, loaded(0, 2), adding(5), adding(50))
    assert events(staged)["op"].to_list() == ["load"]
    (books,) = staged.inputs
    assert books.lines == books.events + books.quiet + books.joined + books.unclaimed + books.bad


def test_tensorflow_in_other_servers_starts_nothing(tmp_path):
    line = f"{T % 1}I tensorflow/core/platform/cpu_feature_guard.cc:142] This TensorFlow binary is optimized"
    assert read_lines(tmp_path, line).inputs[0].quiet == 1
