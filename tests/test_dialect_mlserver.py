"""MLServer's logs: text, JSON, and lines that are nearly JSON."""

from __future__ import annotations

import pytest

from tests.reading import events, read_lines

HEAD = "2026-11-23 15:27:17,129 [mlserver][iris:v0.3.0] INFO - "
SHAPE = ("op", "outcome", "model", "version")

MESSAGES = {
    "Loaded model 'iris' successfully.": ("load", None, "iris", "v0.3.0"),
    "Reloaded model 'iris' successfully.": ("load", None, "iris", "v0.3.0"),
    "Unloaded version v0.3.0 of model 'iris' successfully.": ("unload", None, "iris", "v0.3.0"),
    "Couldn't load model 'iris'. Model will be removed from registry.": ("load_fail", None, "iris", "v0.3.0"),
    "prediction cache hit key=a": ("lookup", "hit", "iris", "v0.3.0"),
    "cache miss for a, took 3 ms": ("lookup", "miss", "iris", "v0.3.0"),
    "Model name 'iris' is different than model's folder name 'm-1'.": None,
    "Starting response processing loop...": None,
    "Waiting for shutdown of the default inference pool...": None,
}


@pytest.mark.parametrize("message", MESSAGES)
def test_text_says(tmp_path, message):
    staged = read_lines(tmp_path, HEAD + message)
    assert events(staged).select(SHAPE).rows() == ([] if MESSAGES[message] is None else [MESSAGES[message]])
    assert staged.inputs[0].format == "mlserver"


@pytest.mark.parametrize("message", MESSAGES)
def test_json_says_the_same(tmp_path, message):
    found = events(read_lines(tmp_path, structured(message)))
    assert found.select(SHAPE).rows() == ([] if MESSAGES[message] is None else [MESSAGES[message]])


def structured(message):
    details = ', "model_name": "iris", "model_version": "v0.3.0"'
    return (
        f'{{"time": "2026-11-23 15:27:17,129", "name": "mlserver", "level": "INFO", "message": "{message}" {details}}}'
    )


@pytest.mark.parametrize("around", ["", '{"a": 1}'])
def test_lines_that_are_nearly_json_are_read(tmp_path, around):
    lines = [around, structured('prediction cache hit key="a"'), structured('said "x"'), '{"torn": "']
    staged = read_lines(tmp_path, *lines)
    (row,) = events(staged).select(*SHAPE, "ts").rows()
    assert row[:4] == ("lookup", "hit", "iris", "v0.3.0")
    assert f"{row[4]:%T}" == "15:27:17"
    (books,) = staged.inputs
    assert (books.events, books.bad, books.unclaimed, books.format) == (
        1,
        1,
        0,
        "json_app+mlserver" if around else "mlserver+json_app",
    )


def test_all_versions_at_once_are_no_version(tmp_path):
    line = "2026-11-23 15:27:29,487 [mlserver] INFO - Unloaded all versions of model 'iris' successfully."
    assert read_lines(tmp_path, line).inputs[0].quiet == 1


def test_the_server_process_is_a_start(tmp_path):
    lines = ["INFO:     Started server process [26454]", "INFO:     Application startup complete."]
    assert events(read_lines(tmp_path, *lines, HEAD + "x"))["op"].to_list() == ["restart"]
