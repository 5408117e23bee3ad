"""TorchServe's logs: what the server, its workers and its handlers say, and what is no event."""

from __future__ import annotations

import json

import pytest

from cachelog.dialects import torchserve
from tests.reading import events, read_lines

SERVER = "2026-11-23T15:14:06,245 [DEBUG] epollEventLoopGroup-3-3 org.pytorch.serve.wlm.ModelVersionedRefs - "
WORKER = "2026-11-23T15:13:50,452 [DEBUG] W-9000-my_net_1.0 org.pytorch.serve.wlm.WorkerThread - W-9000-my_net_1.0 "
HANDLER = "2026-11-23T15:13:52,719 [INFO ] W-9000-fraud_1.0-stdout MODEL_LOG - "
SHAPE = ("op", "outcome", "model", "version", "reason")

LINES = {
    SERVER + "Setting default version to 2.0 for model fraud": ("rollout", None, "fraud", "2.0", "set-default"),
    SERVER + "Removed model: fraud version: 2.0": ("unload", None, "fraud", "2.0", None),
    SERVER + "Adding new version 2.0 for model fraud": None,
    WORKER + "State change null -> WORKER_STARTED": ("load_start", None, "my_net", "1.0", None),
    WORKER + "State change WORKER_STARTED -> WORKER_MODEL_LOADED": ("load", None, "my_net", "1.0", None),
    WORKER + "State change WORKER_MODEL_LOADED -> WORKER_STOPPED": ("unload", None, "my_net", "1.0", "worker stopped"),
    WORKER + "State change WORKER_STARTED -> WORKER_STOPPED": None,
    WORKER + "State change WORKER_MODEL_LOADED -> WORKER_SCALED_DOWN": None,
    WORKER + "State change WORKER_STARTED -> WORKER_ERROR": (
        "load_fail", None, "my_net", "1.0", "worker answered with an error",
    ),
    "2022-05-25T14:50:37,581 [WARN ] W-9000-onnx_1.0 org.pytorch.serve.wlm.BatchAggregator - Load model failed: onnx, "
    "error: Worker died.": ("load_fail", None, "onnx", "1.0", "Worker died."),
    "2026-11-23T15:13:49,919 [INFO ] main org.pytorch.serve.ModelServer - ": ("restart", None, None, None, None),
    "2026-11-23T15:13:49,919 [INFO ] main org.pytorch.serve.ModelServer - Loading initial models: fraud.mar": None,
    HANDLER + "prediction cache hit model=fraud version=1.0 key=f1": ("lookup", "hit", "fraud", "1.0", None),
    HANDLER + "prediction cache miss for f1": ("lookup", "miss", "fraud", "1.0", None),
    HANDLER + "cache=HIT latency_ms=3": ("lookup", "hit", "fraud", "1.0", None),
    HANDLER + "evicted f1 from the cache": ("evict", None, "fraud", "1.0", None),
    HANDLER + "Loaded model fraud in 12 ms": ("load", None, "fraud", "1.0", None),
    HANDLER + "Loaded model spare in 12 ms": ("load", None, "spare", None, None),
    HANDLER + "Torch worker started.": None,
    HANDLER + "Successfully loaded /opt/ts/configs/cache.yaml.": None,
    HANDLER + "loaded modules: ['BaseHandler']": None,
    HANDLER + "RuntimeError: failed to load model fraud": None,
    HANDLER + '  File "model_loader.py", line 99, in load model fraud': None,
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_lines_of_ts_log_say(tmp_path, line):
    staged = read_lines(tmp_path, line)
    assert events(staged).select(SHAPE).rows() == ([] if LINES[line] is None else [LINES[line]])
    assert staged.inputs[0].format == "torchserve"


def test_times_are_those_of_the_lines(tmp_path):
    old = SERVER.replace("T15:14:06", " 15:14:06") + "Setting default version to 1.0 for model a"
    found = events(read_lines(tmp_path, SERVER + "Setting default version to 2.0 for model a", old))
    assert found["ts"].dt.to_string("%F %T%.3f").to_list() == ["2026-11-23 15:14:06.245"] * 2


@pytest.mark.parametrize("head", ["[INFO ] ", "INFO  ", "2026-11-23 15:13:52.719 [INFO] "])
def test_other_layouts_say_the_same(tmp_path, head):
    line = head + "W-9000-fraud_1.0-stdout MODEL_LOG - prediction cache hit key=f1"
    assert events(read_lines(tmp_path, line)).select(SHAPE).rows() == [("lookup", "hit", "fraud", "1.0", None)]


@pytest.mark.parametrize("sample", torchserve.SAMPLES[-3:])
def test_requests_and_metrics_are_quiet(tmp_path, sample):
    staged = read_lines(tmp_path, sample)
    assert (staged.inputs[0].quiet, staged.inputs[0].format) == (1, "torchserve")


def test_a_line_that_only_looks_like_the_access_log_is_left_alone(tmp_path):
    assert read_lines(tmp_path, '2026-11-23T15:14:18,248 - /metrics "x"').inputs[0].format != "torchserve"


LAYOUT = {
    "instant": {"epochSecond": 1795446832, "nanoOfSecond": 719000000}, "thread": "W-9000-fraud_1.0-stdout", "level": "INFO",
    "loggerName": "MODEL_LOG", "message": "prediction cache hit key=f1", "endOfBatch": False, "threadId": 51,
}  # fmt: skip


@pytest.mark.parametrize("engine", ["native", "polars"])
def test_json_layouts_say_the_same(tmp_path, engine, monkeypatch):
    monkeypatch.setenv("CACHELOG_ENGINE", engine)
    ecs = {
        "@timestamp": "2026-11-23T15:14:06.245Z",
        "process.thread.name": "main",
        "log.logger": "org.pytorch.serve.wlm.ModelVersionedRefs",
        "message": "Setting default version to 2.0 for model fraud",
    }
    found = events(read_lines(tmp_path, json.dumps(LAYOUT), json.dumps(ecs)))
    assert found.select(SHAPE).rows() == [
        ("lookup", "hit", "fraud", "1.0", None),
        ("rollout", None, "fraud", "2.0", "set-default"),
    ]
    assert found["ts"].dt.to_string("%T%.3f").to_list() == ["15:13:52.719", "15:14:06.245"]
