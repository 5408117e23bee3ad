"""Google Cloud Logging's LogEntry: textPayload, or jsonPayload where the line was JSON, a line or in an array.

The collector takes the time out of a JSON payload, and its text out of one that holds nothing else.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "gcp"
SOURCE = "cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry"
BLIND = "audit and system entries (protoPayload) hold no line of an application"
SAMPLES = (
    '{"insertId":"0","textPayload":"INFO uvicorn.error: ready","resource":{"type":"k8s_container","labels":{"pod_name":'
    '"scorer-0"}},"timestamp":"2026-11-23T15:16:30.240427Z","severity":"INFO","logName":"projects/p/logs/stdout"}',
    '{"jsonPayload":{"event":"ready"},"logName":"projects/p/logs/stdout","timestamp":"2026-11-23T15:16:30.240427Z"}',
)

LAYOUTS = (
    Layout(
        payload=("jsonPayload", "textPayload"),
        time=("timestamp", "receiveTimestamp"),
        replica=(
            "resource.labels.pod_name",
            "labels.instance_name",
            "labels.instanceId",
            "resource.labels.instance_id",
        ),
        tells=(
            ("logName", "insertId", "receiveTimestamp"),
            ("jsonPayload", "textPayload", "protoPayload"),
            ("timestamp", "receiveTimestamp"),
        ),
    ),
)
