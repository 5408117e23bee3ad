"""memcached -vv, and what `watch` prints; memcached writes no time, so it is the envelope's.

`<24 get a b` is a question, `>24 sending key a` a hit, `>24 END` the end: keys not sent are misses. The lines of one
question come here in one piece, envelopes/memcached_get.py joins them. A key that is a path may name a model, others
are kept without one. Read are the classic text commands; `flush_all` empties the cache. Of `watch` evictions are
read: its item_get is also written by each set, so it does not count lookups.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import urls

NAME = "memcached"
#: Real lines of memcached 1.6.18; the first two are joined lines.
SAMPLES = (
    "<24 gets fraud:41:f0 fraud:41:x model:b\x1f>24 sending key fraud:41:f0\x1f>24 END",
    "<24 get fraud:41:nope\x1f>24 END",
    "<24 flush_all",
    "<24 set fraud:41:f0 0 60 3",
    ">24 STORED",
    "<23 server listening (auto-negotiate)",
    "24: Client using the ascii protocol",
    "slab class  39: chunk size    524288 perslab       2",
    "ts=1795521210.715635 gid=4 type=item_get key=fraud%3A41%3Af0 status=found clsid=1 cfd=25 size=3",
    "ts=1795521210.719595 gid=29 type=eviction key=%2Fv1%2Fmodels%2Ffraud%2Fa fetch=no ttl=-1 la=0 clsid=32 "
    "size=100000",
)
HINTS: tuple[str, ...] = ("<", ">", "Client using", "going from", "slab class", " gid=")
BLIND: str | None = "no time, no eviction (-vv), no outcome of meta commands (mg) and of the binary protocol"
SOURCE = "memcached/memcached proto_text.c, memcached.c, logger.c, doc/protocol.txt; memcached 1.6.18 run"

_LINE = r"^(?:[<>][0-9]+ |[0-9]+: (?:Client using|going from)|slab class +[0-9]+: chunk size)"
_WATCHED = r"^ts=[0-9]+\.[0-9]+ gid=[0-9]+ type="
_ASKED = r"^<[0-9]+ gets? ([^\x1f]*)"
_TOUCHED = r"^<[0-9]+ gats? [^ ]+ ([^\x1f]*)"
_SENT = r">[0-9]+ sending key ([^\x1f]*)"
_EVICTED = r"^ts=([0-9.]+) .* type=eviction key=([^ ]+)"
#: What `watch` escapes in keys and paths need.
_ESCAPES = {"%2F": "/", "%3A": ":", "%3F": "?", "%3D": "=", "%26": "&", "%40": "@"}


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of a connection, of the start, or of a watcher."""
    return text.str.contains(rf"{_LINE}|{_WATCHED}")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every key asked for, and for every flush, start and eviction."""
    text = pl.col("text")
    started = text.str.contains(r"^<[0-9]+ server listening ")
    flushed = text.str.contains(r"^<[0-9]+ flush_all\b")
    op = pl.when(started).then(pl.lit("restart")).when(flushed).then(pl.lit("flush"))
    changes = lines.select("row", op=op).filter(pl.col("op").is_not_null())
    found = pl.concat([_lookups(lines), changes, _evictions(lines)], how="diagonal")
    key = pl.col("key")
    return found.with_columns(cache=pl.lit("memcached"), model=urls.model(key), version=urls.version(key))


def _lookups(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each key of each question."""
    text = pl.col("text")
    asked = pl.coalesce(text.str.extract(_ASKED), text.str.extract(_TOUCHED))
    sent = text.str.extract_all(_SENT).list.eval(pl.element().str.extract(_SENT))
    keys = lines.select("row", key=asked.str.split(" "), sent=sent).filter(pl.col("key").is_not_null())
    each = keys.explode("key").filter(pl.col("key") != "")
    hit = pl.col("key").is_in(pl.col("sent"))
    return each.select(
        "row", "key", op=pl.lit("lookup"), outcome=pl.when(hit).then(pl.lit("hit")).otherwise(pl.lit("miss"))
    )


def _evictions(lines: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    key = text.str.extract(_EVICTED, 2).str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
    told = lines.select("row", time=text.str.extract(_EVICTED, 1), key=key, op=pl.lit("evict"))
    return told.filter(pl.col("key").is_not_null())
