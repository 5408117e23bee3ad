"""Grafana Loki: `logcli -o jsonl`, answers of the query API, what clients push, and Grafana's downloads."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "loki"
SOURCE = "grafana.com/docs/loki: reference/loki-http-api, query/logcli"
BLIND = "a query returns 100 lines unless asked for more (logcli: 30), and 5,000 at most"
SAMPLES = (
    '{"labels":{"pod":"scorer-0"},"line":"INFO uvicorn.error: ready","timestamp":"2026-11-23T15:16:30.240427Z"}',
    '{"status":"success","data":{"resultType":"streams","result":[{"stream":{"pod":"scorer-0"},"values":'
    '[["1795446990240427000","INFO uvicorn.error: ready"]]}],"stats":{}}}',
    '{"streams":[{"stream":{"pod":"scorer-0"},"values":[["1795446990240427000","INFO ready",{"trace_id":"1"}]]}]}',
    '{"line":"INFO ready","timestamp":"1795446990240427000","date":"2026-11-23T15:16:30Z","fields":{"pod":"scorer-0"}}',
)

_POD = ("pod", "pod_name", "kubernetes_pod_name", "k8s_pod_name", "instance", "hostname", "host", "nodename")

LAYOUTS = (
    Layout(
        payload=("line",),
        time=("timestamp",),
        replica=tuple(f"labels.{name}" for name in _POD),
        tells=(("line",), ("labels",), ("timestamp",)),
    ),
    Layout(
        payload=("line",),
        time=("timestamp", "date"),
        replica=tuple(f"fields.{name}" for name in _POD),
        tells=(("line",), ("fields",), ("timestamp",), ("date",)),
    ),
    *(
        Layout(
            records=f"{streams}[].values[]",
            payload=("1",),
            time=("0",),
            replica=tuple(f"/{streams}[].stream.{name}" for name in _POD),
            tells=((f"/{streams}[].stream",), ("0",)),
        )
        for streams in ("data.result", "streams")
    ),
)
