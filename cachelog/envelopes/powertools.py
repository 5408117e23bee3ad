"""AWS Lambda Powertools' logger: a message that may be an object, beside the place in the code and the service."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "powertools"
SOURCE = "docs.aws.amazon.com/powertools: core/logger, structured keys"
BLIND = None
SAMPLES = (
    '{"level":"INFO","location":"handler:12","message":"INFO uvicorn.error: ready","timestamp":"2026-11-23 15:16:30,240'
    '+0000","service":"scorer"}',
    '{"level":"INFO","location":"handler:12","message":{"event":"ready"},"timestamp":"2026-11-23 15:16:30,240+0000",'
    '"service":"scorer"}',
)

LAYOUTS = (
    Layout(
        payload=("message",),
        time=("timestamp",),
        tells=(("location",), ("service",), ("message",)),
        loose=True,
    ),
)
