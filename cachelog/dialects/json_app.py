"""Application logs with one JSON object a line: structlog, zap, pino, logrus, zerolog, nginx with a JSON log_format.

Names of fields: contract/fields.py; what a line means: contract/jsonlines.py. Blocks of bytes do not come here:
ingest/json_scan.py reads them with the native scanner where it is built.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import jsonblocks

NAME = "json_app"
SAMPLES = (
    '{"timestamp": "2026-11-20T14:02:11.081616Z", "level": "info", "pod": "scorer-0", "event": "cache_lookup", '
    '"result": "hit", "model": "fraud", "version": "42", "key": "6", "latency_ms": 3.144}',
    '{"level":"info","ts":1771811880.057085,"caller":"cache/lru.go:88","msg":"model loaded","hostname":"scorer-0",'
    '"model_name":"fraud","model_version":"20260930-1","sha256":"bef02ba88b6d1dc1","duration_ms":651.522}',
    '{"time":"2026-11-23T15:13:01+00:00","request":"GET /v1/models/fraud:predict HTTP/1.1","status":"200",'
    '"upstream_cache_status":"MISS","model":"fraud","model_version":"41","host":"edge-a"}',
)


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins as a JSON object."""
    return text.str.strip_chars_start(" \t").str.starts_with("{")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every line that is a valid JSON object; the others are bad."""
    texts = lines["text"].str.replace_all("\n", " ", literal=True).to_list()
    data = "".join(f"{text}\n" for text in texts).encode()
    return shape(jsonblocks.read(data, lines["row"].to_numpy()))


def shape(scanned: pl.DataFrame) -> pl.DataFrame:
    """Turn canonical fields (any of jsonlines.FIELDS) into PARSED columns."""
    if "n" in scanned.columns:
        scanned = scanned.with_columns(pl.col("n").cast(pl.UInt32, strict=False))
    if "edge" not in scanned.columns:
        return scanned
    edge = pl.col("edge").is_not_null()
    outcome = pl.col("outcome").cast(pl.String) if "outcome" in scanned.columns else pl.lit(None, pl.String)
    cache = pl.col("cache").cast(pl.String) if "cache" in scanned.columns else pl.lit(None, pl.String)
    return scanned.with_columns(
        outcome=pl.when(edge).then(pl.col("edge").cast(pl.String)).otherwise(outcome),
        cache=pl.when(edge).then(pl.lit("edge")).otherwise(cache),
    ).drop("edge")
