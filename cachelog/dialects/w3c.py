"""W3C extended logs: the main format of ProxySG; IIS and the #Fields header of all of them are quiet.

The order of fields is in the header, and a line is read without it: so only lines that cannot be mistaken are
read, those of ProxySG (Blue Coat, Symantec) with its action TCP_HIT, TCP_MISS ... after the status.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import proxylines

NAME = "w3c"
#: By the documentation of ProxySG's format "main"; of IIS as in lnav's test data.
SAMPLES = (
    "2026-11-23 15:13:01 382 10.0.0.9 200 TCP_HIT 1024 512 GET http scorer.example /v1/models/fraud ?version=41 - "
    'DIRECT 10.0.0.1 application/json "curl/8.5.0" OBSERVED "none" -',
    "2026-11-23 15:13:01 382 10.0.0.9 200 TCP_NC_MISS 1024 512 POST http scorer.example /v2/models/fraud/infer - - "
    'DIRECT 10.0.0.1 application/json "curl/8.5.0" OBSERVED "none" -',
    '2012-08-15 17:00:00.363 1.2.3.4 GET /Products/theProduct - 80 - "70.95.0.0" "Mozilla/5.0 (Linux)" - "x.example" '
    "200 0",
    "#Fields: date time time-taken c-ip sc-status s-action sc-bytes cs-bytes cs-method cs-uri-scheme cs-host "
    "cs-uri-path",
    "#Version: 1.0",
)
HINTS: tuple[str, ...] = ("#", "TCP_", " /")
BLIND: str | None = "of formats other than ProxySG's main not what a cache did: the order of their fields is not read"
SOURCE = "w3.org/TR/WD-logfile.html; techdocs.broadcom.com ProxySG access log formats; tstack/lnav test data"

_HEADER = r"^#(?:Version|Software|Date|Start-Date|End-Date|Remark|Fields): "
_EDGE_HEADER = r"^#Fields:.* x-edge-location"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
_IIS = rf"^{_TIME} [0-9a-f.:]*[.:][0-9a-f.:]+ [A-Z]+ /"
_PROXY = (
    rf"^({_TIME}) ([0-9]+) [0-9a-f.:]+ [0-9]{{3}} (TCP_[A-Z_]+) [0-9]+ [0-9]+ ([A-Z]+) [^ ]+ [^ ]+ ([^ ]+) ([^ ]+) "
)
_PARTS = ["time", "ms", "tag", "method", "stem", "query"]


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is a directive, of ProxySG's main format, or of IIS."""
    return text.str.contains(rf"{_HEADER}|{_IIS}|{_PROXY}") & ~text.str.contains(_EDGE_HEADER)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request of ProxySG about a model; its times are UTC."""
    proxied = lines.filter(pl.col("text").str.contains(_PROXY))
    parts = proxied["text"].str.extract_groups(_PROXY).struct.rename_fields(_PARTS).struct.unnest()
    query = pl.when(pl.col("query") != "-").then("query").otherwise(pl.lit(""))
    cut = (
        proxied.select("row")
        .hstack(parts)
        .with_columns(pl.concat_str("time", pl.lit("Z")), target=pl.concat_str("stem", query))
    )
    return proxylines.lookups(cut, proxylines.asked(pl.col("tag"), pl.col("method")), {"ms": pl.col("ms")})
