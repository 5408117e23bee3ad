"""Amazon CloudFront: standard logs (legacy) of all generations; in JSON they are read as any JSON log.

The fields stand in one order that only ever grew at its end, so the #Fields header is not needed: the 14th is
x-edge-result-type. A log of the second generation with a choice of fields has another order and is not read here. Each
edge location has a cache of its own and is the replica. Tabs that a terminal turned to blanks are understood, as values
hold no blanks. A request that is not GET or HEAD is logged as Miss and is counted as bypass.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import proxylines

NAME = "cloudfront"
#: By the documentation, see SOURCE; the first is of a public issue.
SAMPLES = (
    "2020-06-25        23:55:59        IAD79-C1        215354  1.1.1.1   GET     abc.cloudfront.net    "
    "/models/resnet/2/m   "
    "200     https://www.mydomain.com/     Mozilla/5.0%20(iPhone;%20CPU)   -       -       Hit     "
    "t1CM-7teSDybzAUjS==   "
    "abc.cloudfront.net    https   468     0.001   -       TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256     Hit     HTTP/1.1 "
    "-     "
    "-       56294   0.000   Hit     image/jpeg      214806  -       -",
    "2026-11-23\t15:13:01\tFRA56-P2\t1045\t192.0.2.10\tGET\td111111abcdef8.cloudfront.net\t/v1/models/fraud\t200\t-\t"
    "curl/8.5.0\tversion=41&key=f0\t-\tMiss\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\tscorer.example\t"
    "https\t23\t0.034\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tMiss\tHTTP/2.0\t-\t-\t11040\t0.034\tMiss\tapplication/json\t"
    "120\t-\t-",
    "2026-11-23\t15:13:02\tFRA56-P2\t1045\t192.0.2.10\tPOST\td111111abcdef8.cloudfront.net\t/v2/models/fraud/infer\t"
    "502\t-\t"
    "curl/8.5.0\t-\t-\tError\tSOX4xwn4XV6Q4rgb7==\tscorer.example\thttps\t23\t0.034\t-\tTLSv1.3\t"
    "TLS_AES_128_GCM_SHA256\t"
    "Error\tHTTP/2.0",
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent)",
)
HINTS: tuple[str, ...] = ("\t", "  ", "x-edge-location")
BLIND: str | None = (
    "lines come out of order, up to a day late, and some are never delivered; not what an origin shield did"
)
SOURCE = "docs.aws.amazon.com AmazonCloudFront DeveloperGuide standard-logs-reference; allinurl/goaccess issue 1830"

_GAP = r"(?:\t| {2,})"
_REST = r"[\t ]+"
_LINE = (
    rf"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}){_GAP}([0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}){_REST}([A-Z]{{3}}[A-Z0-9]*(?:-[A-Z0-9]+)?)"
    rf"{_REST}[0-9-]+{_REST}[^\t ]+{_REST}([A-Z]+){_REST}[^\t ]+{_REST}([^\t ]+){_REST}[0-9]+{_REST}[^\t "
    rf"]+{_REST}[^\t ]+"
    rf"{_REST}([^\t ]+){_REST}[^\t ]+{_REST}([A-Z][A-Za-z]+)(?:{_REST}[^\t ]+){{4}}{_REST}([0-9.]+){_REST}"
)
_HEADER = r"^#Fields:.* x-edge-location"
_PARTS = ["day", "clock", "replica", "method", "stem", "query", "result", "took"]


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the first 19 fields of a standard log, or is its header."""
    return text.str.contains(rf"{_LINE}|{_HEADER}")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request about a model."""
    parts = lines["text"].str.extract_groups(_LINE).struct.rename_fields(_PARTS).struct.unnest()
    query = pl.when(pl.col("query") != "-").then(pl.concat_str(pl.lit("?"), "query")).otherwise(pl.lit(""))
    cut = (
        lines.select("row")
        .hstack(parts)
        .with_columns(time=pl.concat_str("day", pl.lit("T"), "clock", pl.lit("Z")), target=pl.concat_str("stem", query))
    )
    more = {"replica": pl.col("replica"), "seconds": pl.col("took").cast(pl.Float64, strict=False)}
    return proxylines.lookups(cut, proxylines.asked(pl.col("result"), pl.col("method")), more)
