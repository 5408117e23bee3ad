"""Application logs with one JSON object a line: structlog, zap, pino, logrus, zerolog, nginx with a JSON log_format;
edges: Cloudflare Logpush and Workers, Fastly, Varnish (-j), Caddy, Envoy and Istio with a field for X-Cache.

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
    # Cloudflare Logpush, dataset http_requests; the fields that count
    '{"ClientRequestMethod":"GET","ClientRequestURI":"/v1/models/fraud?version=41","EdgeStartTimestamp":'
    '1795446781100000000,"RayID":"87a1b2c3d4e5f004","CacheCacheStatus":"updating","EdgeColoCode":"FRA"}',
    # Fastly, the JSON format of its documentation
    '{"timestamp":"2026-11-23T15:13:01+0000","host":"x.example","url":"/v1/models/fraud/versions/41","request_method":'
    '"GET","response_state":"HIT-STALE-CLUSTER","response_status":200,"fastly_server":"cache-fra-eddf8230051-FRA"}',
    # Varnish 7.1, varnishncsa -j
    '{"time":"2026-11-24T11:46:10Z","request":"GET http://127.0.0.1:28081/models/resnet/2/model.bin HTTP/1.1",'
    '"status":200,'
    '"handling":"miss","hitmiss":"miss","time_firstbyte":0.000809,"url":"/models/resnet/2/model.bin"}',
    # Envoy with a JSON format; Cache-Status is RFC 9211
    '{"start_time":"2026-11-23T15:13:01.310Z","method":"GET","path":"/v1/models/fraud/versions/41","response_code":200,'
    '"duration":42,"cache-status":"ExampleCache; fwd=stale; stored"}',
    # Caddy: headers are arrays
    '{"level":"info","ts":1795446781.1,"logger":"http.log.access","msg":"handled request","request":{"method":"GET",'
    '"host":"x.example","uri":"/v1/models/fraud/versions/41","headers":{"Accept":["*/*"]}},"duration":0.0021,'
    '"status":200,"resp_headers":{"Server":["Caddy"],"Cache-Status":["Souin; hit; ttl=59; key=GET-x"]}}',
    # Cloudflare Workers: the outcome of the run is none of a cache
    '{"EventTimestampMs":1795446781100,"Outcome":"ok","outcome":"ok","ScriptName":"scorer","Event":{"Request":{"URL":'
    '"https://x.example/v1/models/fraud","Method":"GET"},"RayID":"7c1"},"Logs":[]}',
    '{"timestamp":1795446781100,"$workers":{"outcome":"ok"},"source":{"event":"cache_lookup","result":"hit",'
    '"model":"fraud",'
    '"version":"41","level":"info"}}',
)
BLIND: str | None = "arrays of several values, and what a line's own fields do not say"
SOURCE = "contract/fields.py; developers.cloudflare.com logs/logpush, fastly.com documentation logging, RFC 9211"


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
