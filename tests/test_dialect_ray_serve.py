"""Ray Serve's logs: multiplexed models as text, in the driver's copy and as JSON, and what is no event."""

from __future__ import annotations

import json

import pytest

from tests.reading import events, read_lines

T = "2026-11-23 15:34:40,751"
HEAD = f"DEBUG {T} app_M d6khn5yi 3996c065-0620-4105-9d3b-97ae48a7ac2f -- "
IDLE = f"INFO {T} app_M d6khn5yi -- "
SHAPE = ("op", "outcome", "model", "version", "replica", "seconds")
LOAD_START = ("load_start", None, "spam", "v41", "d6khn5yi", None)
MISS = ("lookup", "miss", "spam", "v41", "d6khn5yi", None)

LINES = {
    HEAD + "Loading model 'spam:v41'.": [MISS, LOAD_START],
    HEAD + "Successfully loaded model 'spam:v41' in 51.5ms.": [
        ("load", None, "spam", "v41", "d6khn5yi", pytest.approx(0.0515))
    ],
    HEAD + "Successfully unloaded model 'spam:v41' in 0.1ms.": [("evict", None, "spam", "v41", "d6khn5yi", None)],
    IDLE + "Successfully unloaded model 'rank-v1' in 0.1ms.": [("unload", None, "rank-v1", None, "d6khn5yi", None)],
    HEAD + "Failed to load model 'a:2'. Error: no such model": [("load_fail", None, "a", "2", "d6khn5yi", None)],
    f"(ServeReplica:app:M pid=32495) {HEAD}Loading model 'spam:v41'.": [MISS, LOAD_START],
    f"\x1b[36m(ServeReplica:app:M pid=32495, ip=10.0.0.1)\x1b[0m {HEAD}Loading model 'spam:v41'.": [MISS, LOAD_START],
    f"INFO {T} default_M default_M#EjYmnQ CUpzhwUUNw / default multiplex.py:131 - Loading model 'a@1'.": [
        ("lookup", "miss", "a", "1", "default_M#EjYmnQ", None),
        ("load_start", None, "a", "1", "default_M#EjYmnQ", None),
    ],
    HEAD + "prediction cache hit model=churn version=3 key=a": [("lookup", "hit", "churn", "3", "d6khn5yi", None)],
    HEAD + "Unloading model 'spam:v41'.": [],
    HEAD + "GET /cache/miss 200 59.1ms": [],
    IDLE + "Started initializing replica.": [],
    f"INFO {T} controller 32292 -- Deploying new version of Deployment(name='M', app='app').": [],
    f"INFO {T} controller 32292 -- Controller starting (version='2.53.0').": [],
    f"INFO {T} proxy 192.0.2.2 -- Proxy starting on node 4f44b8 (HTTP port: 18900).": [],
}


@pytest.mark.parametrize("line", LINES)
def test_lines_say(tmp_path, line):
    staged = read_lines(tmp_path, line)
    assert sorted(events(staged).select(SHAPE).rows(), key=str) == sorted(LINES[line], key=str)
    assert staged.inputs[0].format == "ray_serve"


def as_json(message, file="multiplex.py", function="handle_request_with_rejection"):
    return json.dumps(
        {
            "asctime": T, "levelname": "INFO", "message": message, "filename": file, "lineno": 215, "route": "/infer",
            "task_func_name": f"ray.serve._private.replica.ServeReplica:app:M.{function}", "replica": "d6khn5yi",
            "deployment": "app_M", "component_name": "replica", "timestamp_ns": 1795448080751000000,
        }
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["native", "polars"])
def test_json_says_what_text_says(tmp_path, engine, monkeypatch):
    monkeypatch.setenv("CACHELOG_ENGINE", engine)
    messages = [line.removeprefix(HEAD) for line in LINES if line.startswith(HEAD + "Load")]
    messages += ["Successfully loaded model 'spam:v41' in 51.5ms.", "Successfully unloaded model 'spam:v41' in 0.1ms."]
    text = events(read_lines(tmp_path, *(HEAD + message for message in messages)))
    lines = [as_json(message) for message in messages]
    found = events(read_lines(tmp_path, *lines, as_json("Started initializing replica.", "replica.py", "initialize")))
    assert found.select(SHAPE).equals(text.select(SHAPE))
    assert found["ts"].equals(text["ts"])


def test_models_that_go_with_their_replica_were_not_pushed_out(tmp_path):
    line = as_json("Successfully unloaded model 'spam:v41' in 0.1ms.", function="perform_graceful_shutdown")
    assert events(read_lines(tmp_path, line))["op"].to_list() == ["unload"]


def test_tracebacks_and_lines_of_others_are_left_alone(tmp_path):
    lines = [
        "Traceback (most recent call last):",
        '  File "multiplex.py", line 237, in load_model',
        "RuntimeError: no model",
    ]
    assert read_lines(tmp_path, *lines).inputs[0].unclaimed == 3
