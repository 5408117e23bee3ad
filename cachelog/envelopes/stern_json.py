"""stern with -o json or extjson: the line in `message`, and the pod."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "stern_json"
SOURCE = "github.com/stern/stern (output formats json, extjson, ppextjson)"
BLIND = "times of lines without any: stern does not write the kubelet's into objects"
SAMPLES = (
    '{"message":"INFO ready","nodeName":"node-1","namespace":"ml","podName":"scorer-0","containerName":"scorer"}',
    '{"pod":"scorer-0","container":"scorer","message":{"event":"ready"}}',
)

LAYOUTS = (
    Layout(
        payload=("message",),
        replica=("podName",),
        tells=(("containerName",), ("podName",), ("message",)),
        loose=True,
    ),
    Layout(payload=("message",), replica=("pod",), tells=(("container",), ("pod",), ("message",)), loose=True),
)
