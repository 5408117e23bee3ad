"""logcli's default output: `TIME {label="value", ...} TEXT`, the labels padded to one width.

The time is RFC 3339 in whole seconds, the labels are those that the streams of the answer do not share; what they
share is in a line of its own, which logcli writes to stderr. The replica is the label pod, instance, host or the like.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.quoting import unescape

NAME = "logcli"
SOURCE = "grafana/loki pkg/logcli/output/default.go"
BLIND = "parts of a second; labels that all streams share; lines beyond the limit of the query, 30 if none was given"
SAMPLES = (
    '2026-11-23T15:16:30Z {pod="scorer-0"}         starting',
    '2026-11-23T16:16:30+01:00 {instance="scorer-0:8000", path="C:\\\\x \\"y\\""} starting',
    "2026-11-23T15:16:30Z {} starting",
    'Common labels: {job="ml/scorer", namespace="ml"}',
)

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:Z|[+-][0-9]{2}:[0-9]{2})"
_LABEL = r'[A-Za-z_][A-Za-z0-9_]*="(?:[^"\\]|\\.)*"'
_LABELS = rf"\{{(?:{_LABEL}(?:, {_LABEL})*)?\}}"
_LINE = rf"(?s)^(?:({_TIME}) )({_LABELS}) *(.*)$"
_NAMES = ("pod", "pod_name", "k8s_pod_name", "instance", "container_id", "hostname", "host", "node_name", "node")
SHAPE = rf"^(?:{_TIME}|Common labels:) \{{"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a time and labels, or tells the labels that are left out."""
    return text.str.contains(rf"^(?:{_TIME}|Common labels:) {_LABELS}(?: |$)")


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; the line of common labels says nothing."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["env_time", "labels", "text"])
    parts = groups.struct.unnest()
    named = (pl.col("labels").str.extract(rf'[{{ ]{name}="((?:[^"\\]|\\.)+)"') for name in _NAMES)
    replica = unescape(parts.select(pl.coalesce(named)).to_series())
    nothing = pl.lit(None, pl.String).alias("stream")
    return (
        lines.select("row")
        .hstack(parts)
        .select(
            "row",
            pl.col("text").fill_null(""),
            "env_time",
            nothing,
            env_replica=replica,
            partial=pl.lit(False),
        )
    )
