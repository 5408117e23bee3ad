"""VictoriaLogs' answers: `_msg`, `_time` and `_stream`, and the fields of the entry with dots in their names."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "victorialogs"
SOURCE = "docs.victoriametrics.com/victorialogs: keyconcepts (data model), querying"
BLIND = None
SAMPLES = (
    '{"_msg":"INFO uvicorn.error: ready","_stream":"{pod=\\"scorer-0\\"}","_stream_id":"0","_time":'
    '"2026-11-23T15:16:30.240427Z","kubernetes.pod_name":"scorer-0"}',
)

LAYOUTS = (
    Layout(
        payload=("_msg",),
        time=("_time",),
        replica=(
            "kubernetes.pod_name",
            "kubernetes_pod_name",
            "k8s.pod.name",
            "pod",
            "pod_name",
            "hostname",
            "host.name",
            "host",
        ),
        tells=(("_msg",), ("_time",)),
        loose=True,
    ),
)
