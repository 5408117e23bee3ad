"""Envoy and Istio: the default access log; in JSON it is read as any JSON log.

The default format does not say what a cache did; only the response flag RFCF does, by which the cache filter marks
what it served. Requests for which that filter asked the upstream look like any others, so they are counted as misses
of a model only where the same log has answers out of the cache for it. A format with %RESP(X-CACHE)% or
%RESP(CACHE-STATUS)% appended is read, of several words only in quotes.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import proxylines

NAME = "envoy"
#: By the source of Envoy (default format) and of Istio (telemetry), see SOURCE.
SAMPLES = (
    '[2026-11-23T15:13:01.310Z] "GET /v1/models/fraud/versions/41 HTTP/1.1" 200 RFCF 0 154 1 - "10.0.35.28" "nsq2http" '
    '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "scorer" "-"',
    '[2026-11-23T15:13:01.520Z] "GET /v1/models/fraud/versions/41 HTTP/1.1" 200 - 0 154 226 100 "10.0.35.28" '
    '"nsq2http" '
    '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "scorer" "tcp://10.0.2.1:80"',
    '[2026-11-23T15:13:02.000Z] "POST /v2/models/fraud/infer HTTP/2" 503 UH 10 0 0 - "-" "grpc-go/1.64" "a" "b" "-" '
    '"MISS"',
    '[2026-11-23T15:13:02.500Z] "GET /v1/models/fraud HTTP/1.1" 200 - 0 77 12 11 "-" "curl/8.5.0" "cc21" "x" '
    '"10.0.0.1:80" HIT',
    '[2026-11-23T15:13:03.114Z] "GET /productpage HTTP/1.1" 200 - via_upstream - "-" 0 4183 45 44 "-" "curl/8.5.0" '
    '"3d1f" "scorer:8080" "10.1.0.9:8080" inbound|8080|| 127.0.0.6:43719 10.1.0.9:8080 10.1.0.4:33444 - default',
)
HINTS: tuple[str, ...] = ('] "',)
BLIND: str | None = "without RFCF or an appended X-Cache not what a cache did; misses are told by there being hits"
SOURCE = "envoyproxy.io docs configuration/observability/access_log/usage (default format, RFCF); istio.io logging"

_ACCESS = r'^\[[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?\] "[A-Z-]+ [^ "]+ [A-Z]+/[0-9.]+" [0-9]+ '
SHAPE = r'^\[[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?\] "[A-Z-]+ '
_LINE = (
    r'(?s)^\[([^\]]+)\] "([A-Z]+) ([^ "]+) [^"]+" [0-9]+ ([A-Za-z,-]+) '
    r'(?:[^ "]+ [^ "]+ "[^"]*" )?[0-9-]+ [0-9-]+ ([0-9-]+) [^ ]+ (.*)$'
)
#: Behind the five quoted fields of the default format, in which clients say what they like.
_STATUS = (
    r'^(?:"(?:[^"\\]|\\.)*" ){5}(?:[^"]* )?'
    r'"((?:HIT|MISS|EXPIRED|STALE|UPDATING|REVALIDATED|BYPASS|[Hh]it|[Mm]iss|TCP_)[^"]*|[^"]+; ?(?:hit|fwd=)[^"]*)"'
)

_WORD = r'^(?:"(?:[^"\\]|\\.)*" ?){5}(?:[^"]* )?(HIT|MISS|EXPIRED|STALE|UPDATING|REVALIDATED|BYPASS|[Hh]it|[Mm]iss)$'


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of the default access log."""
    return text.str.contains(_ACCESS)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request about a model of which a cache may have been asked."""
    names = ["time", "method", "target", "flags", "ms", "tail"]
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(names).struct.unnest()
    cut = lines.select("row").hstack(groups)
    served = pl.col("flags").str.split(",").list.contains("RFCF")
    said = pl.coalesce(pl.col("tail").str.extract(_STATUS), pl.col("tail").str.extract(_WORD))
    outcome = proxylines.perhaps(said, served, pl.col("method"), pl.col("flags") == "-")
    return proxylines.lookups(cut, outcome, {"ms": pl.col("ms")})
