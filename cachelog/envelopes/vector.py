"""Vector's events: a text in `message` with its source and what enrichment knows of the container."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "vector"
SOURCE = "vector.dev/docs: log event schema; sources kubernetes_logs, docker_logs, file"
BLIND = None
SAMPLES = (
    '{"file":"/var/log/pods/x/0.log","kubernetes":{"pod_name":"scorer-0"},"message":"INFO uvicorn.error: ready",'
    '"source_type":"kubernetes_logs","stream":"stdout","timestamp":"2026-11-23T15:16:30.240427Z"}',
    '{"host":"scorer-0","message":"INFO ready","source_type":"file","timestamp":"2026-11-23T15:16:30.240427Z"}',
)

LAYOUTS = (
    Layout(
        payload=("message",),
        time=("timestamp",),
        replica=("kubernetes.pod_name", "container_name", "container_id", "hostname", "host"),
        stream=("stream",),
        tells=(("source_type",), ("message",)),
        loose=True,
    ),
)
