"""ModelMesh's logs: the plain file and the JSON console say the same."""

from __future__ import annotations

import json

import pytest

from tests.reading import events, read_lines

ID = "mnist__isvc-60ac5fc3c4"
SHAPE = ("op", "outcome", "model", "version", "cache", "seconds", "reason")
SAID = ("mnist", "isvc-60ac5fc3c4", "model")

LINES = {
    (f"model-load-{ID}", f"Starting load for model {ID} type=rt:triton"): ("load_start", None, *SAID, None, None),
    (f"model-load-{ID}", f"Load of model {ID} type=rt:triton completed in 2001ms"): ("load", None, *SAID, pytest.approx(2.001), None),
    (f"model-load-{ID}", f"Load failed for model {ID} type=rt:triton after 36078ms"): (
        "load_fail", None, *SAID, None, "load failed",
    ),
    (f"model-load-{ID}", f"Model load failed for {ID} type=rt:triton"): None,
    (f"invoke-ex-{ID}", "Cache miss for model invocation, held up 2010ms"): ("lookup", "miss", *SAID, pytest.approx(2.01), None),
    ("x", f"Eviction triggered for model {ID} (weight=12500 / 97MiB)"): ("evict", None, *SAID, None, None),
    ("x", f"Evicted model {ID} from local cache, last used 3 minutes ago (1ms), invoked 2 times"): None,
    ("x", f"Unload of {ID} completed in 11367ms"): ("unload", None, *SAID, None, None),
    ("x", f"Initiating unload of model {ID}"): None,
    ("x", "Published new instance record: InstanceRecord [lruTime=1671169768301, count=4]"): None,
}  # fmt: skip


def as_json(thread, message):
    return json.dumps(
        {
            "instant": {"epochSecond": 1671174480, "nanoOfSecond": 911276807}, "thread": thread, "level": "INFO",
            "loggerName": "com.ibm.watson.modelmesh.ModelMesh", "message": message, "endOfBatch": False,
            "contextMap": {}, "threadId": 51, "threadPriority": 5,
        }
    )  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_both_layouts_say(tmp_path, line):
    plain = f"2022-12-16 07:08:00.911 [{line[0]}] INFO  c.i.w.m.ModelMesh - {line[1]} {{}}"
    for text, format_ in ((plain, "modelmesh"), (as_json(*line), "modelmesh")):
        staged = read_lines(tmp_path, text)
        found = events(staged)
        assert found.select(SHAPE).rows() == ([] if LINES[line] is None else [LINES[line]])
        assert staged.inputs[0].format == format_
        assert set(found["ts"].dt.to_string("%F %T%.3f")) <= {"2022-12-16 07:08:00.911"}


@pytest.mark.parametrize("engine", ["native", "polars"])
def test_nanoseconds_are_of_the_time(tmp_path, engine, monkeypatch):
    monkeypatch.setenv("CACHELOG_ENGINE", engine)
    found = events(read_lines(tmp_path, as_json("x", f"Unload of {ID} completed in 1ms")))
    assert found["ts"].dt.to_string("%T%.6f").to_list() == ["07:08:00.911276"]


def test_an_id_without_a_hash_has_no_version(tmp_path):
    found = events(read_lines(tmp_path, as_json("model-load-a", "Starting load for model a-v2 type=mt:onnx")))
    assert found.select("model", "version").rows() == [("a-v2", None)]
