"""Elastic Common Schema as Filebeat, Elastic Agent and Logstash write it: a text with where it was read.

Applications that log in this schema themselves put what happened beside the text, and then are read by that.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "ecs"
SOURCE = "elastic.co/guide: ecs (fields), beats/filebeat (exported fields)"
BLIND = None
SAMPLES = (
    '{"@timestamp":"2026-11-23T15:16:30.240Z","message":"INFO uvicorn.error: ready","ecs":{"version":"8.0.0"},"host":'
    '{"name":"node-1"},"kubernetes":{"pod":{"name":"scorer-0"}},"stream":"stdout","agent":{"type":"filebeat"}}',
    '{"@timestamp":"2026-11-23T15:16:30.240Z","log.level":"info","message":"ready","ecs.version":"1.6.0"}',
)

LAYOUTS = (
    Layout(
        payload=("message",),
        time=("@timestamp",),
        replica=(
            "kubernetes.pod.name",
            "container.name",
            "container.id",
            "service.node.name",
            "host.name",
            "host.hostname",
        ),
        stream=("stream",),
        tells=(
            ("ecs.version", "agent.type", "agent.version", "log.file.path", "input.type"),
            ("message",),
            ("@timestamp",),
        ),
        loose=True,
    ),
)
