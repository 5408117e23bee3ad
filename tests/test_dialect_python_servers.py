"""KServe, BentoML and MLflow: what little their servers say of models, and what runs in them."""

from __future__ import annotations

import json

import pytest

from tests.reading import events, read_lines

SHAPE = ("op", "outcome", "model", "version", "reason")
KSERVE = "2024-05-06 09:12:03.481 1 kserve INFO [model_server.py:register_model():439] "
BENTO = "2026-11-23T15:13:00+0000 [INFO] [entry_service:scorer:1] "
MLFLOW = "2026/11/23 15:13:00 INFO mlflow.pyfunc.stdin_server: "
TRACE = " (trace=8f1d,span=a1,sampled=0,service.name=scorer)"

LINES = {
    KSERVE + "Registering model: wine": ("kserve", [("load", None, "wine", None, None)]),
    KSERVE + "cache hit for model wine version 3": ("kserve", [("lookup", "hit", "wine", "3", None)]),
    KSERVE + "Setting max asyncio worker threads as 8": ("kserve", []),
    "[I 200908 11:21:33 kfserver:88] Registering model: wine": ("kserve", [("load", None, "wine", None, None)]),
    "2024-05-06 09:12:03.501 1 uvicorn.error INFO:     Started server process [1]": (
        "kserve", [("restart", None, None, None, None)],
    ),
    '2024-05-06 09:13:11.902 uvicorn.access INFO:     1.2.3.4:5 1 - "POST /cache/miss HTTP/1.1" 200 OK': ("kserve", []),
    "2024-05-06 09:13:11.900 1 kserve.trace requestId: N.A., preprocess_ms: 0.012": ("kserve", []),
    '2026-11-23T15:13:00+0000 [INFO] [cli] Starting production HTTP BentoServer from "scorer:v41" listening on http://x': (
        "bentoml", [("load", None, "scorer", "v41", None), ("restart", None, None, None, None)],
    ),
    '2026-11-23T15:13:00+0000 [INFO] [cli] Starting production HTTP BentoServer from "service:Scorer" listening on http://x': (
        "bentoml", [("restart", None, None, None, None)],
    ),
    BENTO + "prediction cache miss model=scorer version=v41 key=a" + TRACE: (
        "bentoml", [("lookup", "miss", "scorer", "v41", None)],
    ),
    BENTO + "1.2.3.4:5 (scheme=http,method=POST,path=/cache/miss) (status=200,length=19) 5.371ms" + TRACE: ("bentoml", []),
    BENTO + "Service scorer initialized": ("bentoml", []),
    MLFLOW + "Loading model from models:/demand/3": ("mlflow", [("load_start", None, "demand", "3", None)]),
    MLFLOW + "Loading model from models:/demand@champion": ("mlflow", [("load_start", None, "demand", "champion", None)]),
    MLFLOW + "Loaded model": ("mlflow", []),
    MLFLOW + "Waiting up to 300 seconds for model version to finish creation. Model name: demand, version 3": ("mlflow", []),
    MLFLOW + "cache hit model=demand version=3": ("mlflow", [("lookup", "hit", "demand", "3", None)]),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_lines_say(tmp_path, line):
    staged = read_lines(tmp_path, line)
    name, expected = LINES[line]
    assert sorted(events(staged).select(SHAPE).rows(), key=str) == expected
    assert staged.inputs[0].format == name


AGENT = {
    "Successfully loaded model wine": ("load", None, "wine", None, None),
    "Successfully unloaded model wine": ("unload", None, "wine", None, None),
    "Failed to download model wine with err no such bucket": ("load_fail", None, "wine", None, "no such bucket"),
    "Failed to load model wine with status [500] and resp:x": (
        "load_fail",
        None,
        "wine",
        None,
        "status [500] and resp:x",
    ),
    "Failed to Load model wine": ("load_fail", None, "wine", None, None),
    "unloading model wine": None,
    "Worker is started for wine": None,
    "Downloading model from s3://models/wine/3": None,
}


@pytest.mark.parametrize("message", AGENT)
def test_the_agent_of_kserve_says(tmp_path, message):
    line = {"level": "info", "ts": "2021-03-21T17:21:22.765Z", "caller": "agent/puller.go:177", "msg": message}
    found = events(read_lines(tmp_path, json.dumps(line)))
    assert found.select(SHAPE).rows() == ([] if AGENT[message] is None else [AGENT[message]])
    assert set(found["ts"].dt.to_string("%F %T%.3f")) <= {"2021-03-21 17:21:22.765"}


def test_times_are_those_of_the_lines(tmp_path):
    old, new = list(LINES)[3], next(iter(LINES))
    found = events(read_lines(tmp_path, old, new, MLFLOW + "Loading model from models:/demand/3"))
    assert found["ts"].dt.to_string("%F %T%.3f").to_list() == [
        "2020-09-08 11:21:33.000",
        "2024-05-06 09:12:03.481",
        "2026-11-23 15:13:00.000",
    ]
