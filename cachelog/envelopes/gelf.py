"""GELF, Graylog's format: a short message beside the version of the format; fields of applications begin with _."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "gelf"
SOURCE = "go2docs.graylog.org: GELF payload specification 1.1"
BLIND = None
SAMPLES = (
    '{"version":"1.1","host":"scorer-0","short_message":"INFO uvicorn.error: ready","timestamp":1795446990.24,'
    '"level":6,"_facility":"scorer"}',
)

LAYOUTS = (
    Layout(
        payload=("short_message", "full_message"),
        time=("timestamp",),
        replica=("_pod_name", "_pod", "host"),
        tells=(("short_message",), ("version",), ("host",)),
        loose=True,
    ),
)
