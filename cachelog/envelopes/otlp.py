"""OpenTelemetry's logs as JSON: many records a line, whose attributes are lists of keys and values.

A record is its body with its attributes beside it: a text body alone is a line of its own, with attributes it is the
message of an object. Bodies and attributes are AnyValues, {"stringValue": "..."}; times are text of nanoseconds.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "otlp"
SOURCE = "opentelemetry.io/docs/specs/otlp (JSON Protobuf encoding), opentelemetry-proto logs/v1"
BLIND = None
SAMPLES = (
    '{"resourceLogs":[{"resource":{"attributes":[{"key":"k8s.pod.name","value":{"stringValue":"scorer-0"}}]},'
    '"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1795446990240427000","body":{"stringValue":"ready"}}]}]}]}',
)

_RESOURCE = "/resourceLogs[].resource.attributes"

LAYOUTS = (
    Layout(
        records="resourceLogs[].scopeLogs[].logRecords[]",
        payload=("body+attributes",),
        time=("timeUnixNano", "observedTimeUnixNano"),
        replica=tuple(
            f"{_RESOURCE}{{{name}}}" for name in ("k8s.pod.name", "service.instance.id", "container.id", "host.name")
        ),
        tells=(("body", "timeUnixNano", "observedTimeUnixNano", "attributes"),),
        typed=True,
    ),
)
