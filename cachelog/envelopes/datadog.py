"""Datadog: archives, the log API, and what agents send: a text with the attributes that were parsed out of it.

A text whose line was JSON comes as attributes; both are read as one object. Pods are in tags, "pod_name:scorer-0".
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "datadog"
SOURCE = "docs.datadoghq.com: logs/log_configuration/archives, api/latest/logs (search, send logs)"
BLIND = "attributes that a pipeline took out of the text are gone where the pipeline dropped them"
SAMPLES = (
    '{"_id":"AYx","date":"2026-11-23T15:16:30.240Z","service":"scorer","host":"node-1","attributes":{},"source":"python",'
    '"message":"INFO uvicorn.error: ready","status":"info","tags":["pod_name:scorer-0"]}',
    '{"data":[{"id":"AYx","type":"log","attributes":{"timestamp":"2026-11-23T15:16:30.240Z","host":"node-1","status":'
    '"info","message":"INFO uvicorn.error: ready","attributes":{},"tags":["pod_name:scorer-0"]}}]}',
    '{"logs":[{"id":"AYx","content":{"timestamp":"2026-11-23T15:16:30.240Z","message":"INFO uvicorn.error: ready"}}]}',
    '{"ddsource":"python","ddtags":"env:prod","hostname":"node-1","message":"INFO uvicorn.error: ready","service":"s"}',
)

_TAGS = ("tags{pod_name}", "tags{container_id}")

LAYOUTS = (
    Layout(
        payload=("message+attributes",),
        time=("date",),
        replica=(*_TAGS, "host"),
        tells=(("_id",), ("date",), ("source", "tags"), ("message", "attributes")),
    ),
    Layout(
        records="data[]",
        payload=("attributes.message+attributes.attributes",),
        time=("attributes.timestamp",),
        replica=tuple(f"attributes.{path}" for path in (*_TAGS, "host")),
        tells=(("type",), ("attributes.timestamp",), ("attributes.message", "attributes.attributes")),
    ),
    Layout(
        records="logs[]",
        payload=("content.message+content.attributes",),
        time=("content.timestamp",),
        replica=tuple(f"content.{path}" for path in (*_TAGS, "host")),
        tells=(("content.timestamp",),),
    ),
    Layout(
        payload=("message",),
        time=("timestamp", "date"),
        replica=("hostname", "host"),
        tells=(("ddsource", "ddtags"), ("message",)),
        loose=True,
    ),
)
