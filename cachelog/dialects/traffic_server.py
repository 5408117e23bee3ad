"""Apache Traffic Server: squid.log, extended2.log and welf.log; extended.log has no result of the cache and is quiet.

The result code says what the cache did: TCP_HIT, TCP_MISS, TCP_REFRESH_HIT (still good), TCP_REFRESH_MISS (expired),
TCP_REF_FAIL_HIT (stale), ERR_CONNECT_FAIL ... A request that is not GET or HEAD is logged as TCP_MISS and is counted
as bypass. Times of squid.log are those of the begin of the request, to the millisecond; of the others to the second.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import proxylines
from cachelog.contract.proxylines import NATIVE, NCSA, PROXIED

NAME = "traffic_server"
#: Real lines of Traffic Server 9.2.5 as a reverse proxy.
SAMPLES = (
    "1795520856.446 5 127.0.0.1 TCP_MISS/200 1156 GET "
    "http://127.0.0.1:28080/v1/models/fraud/versions/41:predict?key=f0 "
    "- DIRECT/127.0.0.1 -",
    "1795520859.124 0 127.0.0.1 TCP_REFRESH_HIT/200 1166 GET http://127.0.0.1:28080/models/reval/3/m - "
    "DIRECT/127.0.0.1 -",
    "1795520856.803 0 127.0.0.1 TCP_HIT/200 1156 GET http://127.0.0.1:28080/logo.png - NONE/- -",
    '127.0.0.1 - - [24/Nov/2026:11:47:39 -0000] "GET http://127.0.0.1:28080/models/short/1/m HTTP/1.1" 200 1000 200 '
    "1000 "
    "0 0 117 182 263 167 0 DIRECT FIN FIN TCP_REFRESH_MISS",
    '127.0.0.1 - - [24/Nov/2026:11:47:39 -0000] "GET http://127.0.0.1:28080/models/short/1/m HTTP/1.1" 200 1000 200 '
    "1000 "
    "0 0 117 182 263 167 0",
    'id=firewall time="2026-11-24 11:47:36" fw=vm pri=6 proto=http duration=0.003 sent=1184 rcvd=126 src=127.0.0.1 '
    'dst=127.0.0.1 dstname=127.0.0.1 user=- op=GET arg="models/resnet/2/model.bin" result=200 ref="-" '
    'agent="curl/7.88.1" cache=TCP_MISS',
)
HINTS: tuple[str, ...] = ("TCP_", "ERR_", "UDP_", "NONE", "://", "id=firewall")
BLIND: str | None = "not whether a POST could have been cached; in the extended format not what the cache did"
SOURCE = "docs.trafficserver.apache.org admin-guide/logging (formats, cache-results); Traffic Server 9.2.5 run"

_PLAIN = r"^[0-9]{9,10}\.[0-9]{3} [0-9]{1,5} [^ ]+ (?:TCP|ERR|UDP|NONE)[A-Z_]*/"
_EXTENDED = rf"{PROXIED}[^\"]*\" [0-9]{{3}} [0-9-]+ [0-9]{{3}}(?: [0-9-]+){{8,9}}(?: [A-Z_]+ [A-Z]+ [A-Z]+ [A-Z_]+)?$"
_WELF = r'^id=firewall time="[^"]*" fw='
_RESULT = r" [A-Z_]+ [A-Z]+ [A-Z]+ ([A-Z_]+)$"
_WELF_PARTS = r'time="([^"]*)" .*?duration=([0-9.]+) .* op=([A-Z]+) arg="([^"]*)" .* cache=([A-Z_]+)$'


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of squid.log without Squid's padding, or of the extended formats or WELF."""
    return text.str.contains(rf"{_PLAIN}|{_WELF}") | text.str.contains(_EXTENDED)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request about a model."""
    text = pl.col("text")
    native = lines.filter(text.str.contains(NATIVE))
    extended = lines.filter(text.str.contains(_RESULT) & ~text.str.contains(_WELF))
    welf = lines.filter(text.str.contains(_WELF))
    return pl.concat([proxylines.native(native), _extended(extended), _welf(welf)], how="diagonal")


def _extended(lines: pl.DataFrame) -> pl.DataFrame:
    names = ["time", "method", "target", "tail"]
    cut = lines.select("row").hstack(lines["text"].str.extract_groups(NCSA).struct.rename_fields(names).struct.unnest())
    result = proxylines.asked(pl.col("tail").str.extract(_RESULT), pl.col("method"))
    return proxylines.lookups(cut, result)


def _welf(lines: pl.DataFrame) -> pl.DataFrame:
    """WELF has the path without its first slash and without a query."""
    names = ["time", "took", "method", "target", "tag"]
    groups = lines["text"].str.extract_groups(_WELF_PARTS).struct.rename_fields(names).struct.unnest()
    cut = (
        lines.select("row")
        .hstack(groups)
        .with_columns(pl.concat_str(pl.lit("/"), "target", pl.lit("?")).alias("target"))
    )
    took = pl.col("took").cast(pl.Float64, strict=False)
    return proxylines.lookups(cut, proxylines.asked(pl.col("tag"), pl.col("method")), {"seconds": took})
