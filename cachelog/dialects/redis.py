"""Redis and Valkey: the server's log, MONITOR, and keyspace notifications as redis-cli --csv prints them.

Redis logs no lookup: the log tells of starts, after which the cache is cold unless it was saved, and of replicas that
drop all their data; MONITOR tells of FLUSHALL and FLUSHDB, and of GET only the question. Notifications tell of keys
that expired or were evicted; they are events where the key is a path that names a model.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import urls

NAME = "redis"
#: Real lines of Redis 7.0.15.
SAMPLES = (
    "28558:C 24 Nov 2026 11:47:47.671 # Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid=28558, just "
    "started",
    "28558:M 24 Nov 2026 11:47:47.672 * Ready to accept connections",
    "28558:signal-handler (1795520875) Received SIGTERM scheduling shutdown...",
    "7:S 24 Nov 2026 12:00:01.004 * MASTER <-> REPLICA sync: Flushing old data",
    '1795520870.722213 [0 127.0.0.1:46416] "flushall"',
    '1795520869.190336 [0 127.0.0.1:46370] "get" "fraud:41:f0"',
    '"pmessage","__keyevent@*","__keyevent@0__:evicted","/v1/models/fraud/versions/41:predict?key=f0"',
)
HINTS: tuple[str, ...] = (":M ", ":S ", ":C ", ":X ", "signal-handler", '] "', "__key")
BLIND: str | None = "no lookup: hits and misses are only in INFO stats (keyspace_hits, keyspace_misses), a counter"
SOURCE = (
    "redis/redis src/server.c, replication.c, evict.c; redis.io docs MONITOR, keyspace-notifications; Redis 7.0.15 run"
)

_LOG = r"^[0-9]+:[XCSM] ([0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8}\.[0-9]{3}) [.*#-] "
_SIGNAL = r"^[0-9]+:signal-handler \([0-9]+\) "
_MONITOR = r'^([0-9]{10}\.[0-9]{6}) \[[0-9]+ [^\]]+\] "'
_TOLD = r'^"p?message",(?:"[^"]*",)?"__key(?:event|space)@'
SHAPE = r'^(?:[0-9]+:(?:[XCSM] |signal-handler )|[0-9]{10}\.[0-9]{6} \[|"p?message",)'
_CHANGED = r'"__keyevent@[0-9]+__:(evicted|expired)","([^"]*)"$'

_STARTED = rf"{_LOG}(?:[A-Z][A-Za-z]+ version=.* just started|Server started, [A-Z][a-z]+ version )"
_DROPPED = rf"{_LOG}(?:.*Flushing old data|.*Discarding previously cached)"
_FLUSHED = rf'{_MONITOR}(?i:flushall|flushdb)"'


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of the server's log, of MONITOR or a notification."""
    return text.str.contains(rf"{_LOG}|{_SIGNAL}|{_MONITOR}|{_TOLD}")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every start, flush, and key that went."""
    text = pl.col("text")
    gone = text.str.extract(_CHANGED, 1).replace_strict({"evicted": "evict", "expired": "expire"}, default=None)
    flushed = text.str.contains(_DROPPED) | text.str.contains(_FLUSHED)
    op = (
        pl.when(text.str.contains(_STARTED)).then(pl.lit("restart")).when(flushed).then(pl.lit("flush")).otherwise(gone)
    )
    key = text.str.extract(_CHANGED, 2)
    said = lines.select(
        "row",
        time=pl.coalesce(text.str.extract(_LOG), text.str.extract(_MONITOR)),
        op=op,
        cache=pl.lit("redis"),
        key=key,
        model=urls.model(key),
        version=urls.version(key),
    )
    return said.filter(pl.col("op").is_not_null())
