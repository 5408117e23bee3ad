"""CSV exports of Splunk, CloudWatch Insights, Datadog, Grafana and Azure: the line is in a column of each row.

ingest/records.py, which needs the header for it, makes an object of each row and names columns as lines name fields.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout
from cachelog.contract.quoting import CSV_ROW

NAME = "csv_export"
SOURCE = "RFC 4180; columns as Splunk, CloudWatch Insights, Datadog, Grafana and Azure Monitor export them"
BLIND = "columns that the export left out"
SAMPLES = (f'{{"{CSV_ROW}":"1","timestamp":"2026-11-23T15:16:30.240Z","host":"node-3","message":"INFO ready"}}',)

LAYOUTS = (
    Layout(
        payload=("message",),
        time=("timestamp",),
        replica=("pod", "host"),
        tells=((CSV_ROW,), ("message",)),
        loose=True,
    ),
)
