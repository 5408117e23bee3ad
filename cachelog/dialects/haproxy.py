"""HAProxy: the HTTP log (option httplog); the TCP log, failed connections and starts are quiet.

<CACHE> in the place of the server says that the answer came out of HAProxy's cache. Of a request that a server
answered the log does not say whether the cache was asked; it is counted as a miss of a model only where the same log
has answers out of the cache for it. A log-format with %[res.cache_hit] named cache=, cache_hit= or cache_status= is
read as it says. The first number of the timers that is not waited for by the client is the latency (Ta).
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import proxylines

NAME = "haproxy"
#: Real lines of HAProxy 2.6, without syslog's head; the last but two of its documentation.
SAMPLES = (
    "127.0.0.1:45710 [24/Nov/2026:11:47:43.810] fe fe/<CACHE> 0/0/0/0/0 200 1144 - - LR-- 1/1/0/0/0 0/0 "
    '"GET /v1/models/fraud/versions/41:predict?key=f0 HTTP/1.1"',
    "127.0.0.1:45622 [24/Nov/2026:11:47:43.744] fe be/o 0/0/0/2/2 200 1140 - - ---- 1/1/0/0/0 0/0 "
    '"GET /v1/models/fraud/versions/41:predict?key=f0 HTTP/1.1"',
    "127.0.0.1:45768 [24/Nov/2026:11:47:43.872] fe be/o 0/0/0/0/0 200 1140 - - ---- 1/1/0/0/0 0/0 "
    '"POST /v2/models/fraud/versions/41/infer HTTP/1.1"',
    "10.0.1.2:33317 [06/Feb/2026:12:14:14.655] http-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "
    '{1wt.eu} {} "GET /index.html HTTP/1.1" cache_hit=0',
    "95.216.197.33:56224 [25/Feb/2019:16:20:10.111] prod_http_in/sktst2: SSL handshake failure",
    "Proxy prod_http_in started.",
    'Server be/o is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms.',
)
BLIND: str | None = (
    "without %[res.cache_hit] not of which requests the cache was asked; misses are told by there being hits"
)
SOURCE = "docs.haproxy.org 2.6 configuration §8.2.3 (HTTP log format), §6 (cache); HAProxy 2.6 run"

_HEAD = r"(?:(?:<[0-9]+>)?[A-Z][a-z]{2} +[0-9]+ [0-9:]{8} (?:[^ ]+ )?haproxy\[[0-9]+\]: )?"
_TIMERS = r"(?:-?[0-9]+/){2,4}\+?[0-9]+"  # three of them in the TCP log
_REQUEST = rf"^{_HEAD}[^ ]+:[0-9]+ \[[^\]]+\] [^ ]+ [^ ]+/[^ ]+ {_TIMERS} "
_CONNECTION = rf"^{_HEAD}[^ ]+:[0-9]+ \[[^\]]+\] [^ ]+/[^ ]+: "
_PROCESS = rf"^{_HEAD}(?:Proxy [^ ]+ (?:started|stopped)|Server [^ ]+/[^ ]+ is (?:UP|DOWN)|backend [^ ]+ has no server)"
SHAPE = rf"^{_HEAD}(?:[^ ]+:[0-9]+ \[[^\]]+\] [^ ]+(?: [^ ]+)?/|Proxy |Server |backend )"
_LINE = (
    rf"(?s)^{_HEAD}[^ ]+ \[([^\]]+)\] [^ ]+ [^ ]+/([^ ]+) (?:-?[0-9]+/){{4}}\+?([0-9]+) (-?[0-9]+) "
    r'.*?"([A-Z]+) ([^ "]+)[^"]*"(.*)$'
)
_NAMED = r'(?:^| )(?:cache|cache_status|cache_result)="?([A-Za-z_]+)'
_FLAG = r'(?:^| )(?:cache|cache_hit|hit)="?([01])\b'


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of the HTTP or TCP log or tells of a connection, proxy or server."""
    return text.str.contains(rf"{_REQUEST}|{_CONNECTION}|{_PROCESS}")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request about a model of which the cache may have been asked."""
    names = ["time", "server", "ms", "status", "method", "target", "tail"]
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(names).struct.unnest()
    cut = lines.select("row").hstack(groups)
    flag = pl.col("tail").str.extract(_FLAG).replace_strict({"1": "HIT", "0": "MISS"}, default=None)
    named = pl.coalesce(flag, pl.col("tail").str.extract(_NAMED))
    asked = ~pl.col("server").str.starts_with("<") & (pl.col("status") != "-1")
    served = pl.col("server") == "<CACHE>"
    outcome = proxylines.perhaps(named, served, pl.col("method"), asked)
    return proxylines.lookups(cut, outcome, {"ms": pl.col("ms")})
