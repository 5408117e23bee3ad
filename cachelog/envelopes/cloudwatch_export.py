"""Amazon CloudWatch Logs exported to S3: the time of ingestion in milliseconds before each line, one stream a folder.

Only lines that then begin as records of their own are taken: applications begin their lines with such times, too.
"""

from __future__ import annotations

import polars as pl

NAME = "cloudwatch_export"
SOURCE = "docs.aws.amazon.com/AmazonCloudWatchLogs/latest/logs/S3Export"
BLIND = "the stream is named by the folder alone"
SAMPLES = (
    '2026-11-23T15:16:30.261Z {"event": "ready"}',
    "2026-11-23T15:16:30.261Z 2026-11-23 15:16:30,261 INFO uvicorn.error: ready",
    '2026-11-23T15:16:30.261Z I1123 15:16:30.261000 1 server.cc:1] "ready"',
)

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z"
_RECORD = (
    r"\{[\"}]",  # JSON
    r"\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}",  # a time
    r"[IWEF][0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}",
    r"[0-9a-fA-F.:]+ [^ ]+ [^ ]+ \[",  # an access log
    r"(?:time|timestamp|ts|t)=",
)
_LINE = rf"(?s)^({_TIME}) ((?:{'|'.join(_RECORD)}).*)$"
SHAPE = rf"^{_TIME} "


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has a time to the millisecond before a record with a time of its own."""
    return text.str.contains(_LINE)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["env_time", "text"])
    nothing = [pl.lit(None, pl.String).alias(name) for name in ("env_replica", "stream")]
    return lines.select("row").hstack(groups.struct.unnest()).with_columns(*nothing, partial=pl.lit(False))
