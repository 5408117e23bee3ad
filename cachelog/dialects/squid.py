"""Squid: access.log in the native format or as NCSA combined with Squid's tags; store.log and cache.log are quiet.

The tag before the status says what the cache did: TCP_HIT, TCP_MEM_HIT, TCP_MISS, TCP_REFRESH_UNMODIFIED ... A request
that is not GET or HEAD is logged as TCP_MISS and is counted as bypass. Squid cuts queries off unless
`strip_query_terms off` is set: such requests have no key. The time is that of the end of the request.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import proxylines
from cachelog.contract.proxylines import NCSA, PROXIED, QUOTED

NAME = "squid"
#: Real lines of Squid 5.7 in front of a file server.
SAMPLES = (
    "1795520850.843      0 127.0.0.1 TCP_REFRESH_UNMODIFIED/200 1262 GET http://models.local/models/reval/3/m - "
    "FIRSTUP_PARENT/127.0.0.1 -",
    "1795520847.922      1 127.0.0.1 TCP_MISS/200 1249 GET http://models.local/v1/models/fraud/versions/41:predict? - "
    "FIRSTUP_PARENT/127.0.0.1 -",
    "1795520848.547      0 127.0.0.1 TCP_MISS/200 1249 POST http://models.local/v2/models/fraud/versions/41/infer - "
    "FIRSTUP_PARENT/127.0.0.1 -",
    "1795520848.326      0 127.0.0.1 TCP_MEM_HIT/200 1255 GET http://models.local/logo.png - HIER_NONE/- -",
    '127.0.0.1 - - [24/Nov/2026:11:47:28 +0000] "GET http://models.local/models/resnet/2/model.bin HTTP/1.1" 200 1276 '
    '"-" "curl/7.88.1" TCP_REFRESH_MODIFIED:FIRSTUP_PARENT',
    "1795520848.071 RELEASE -1 FFFFFFFF 0500000000000000AE6C000000000000  200 1795520848        -1        -1 unknown "
    "1000/1000 GET http://models.local/models/private/1/m",
    "2026/11/24 11:47:24| Starting Squid Cache version 5.7 for x86_64-pc-linux-gnu...",
)
HINTS: tuple[str, ...] = ("TCP_", "UDP_", "TAG_", "NONE", "ICP_", "CREATE ", "SWAP", "RELEASE ", "SO_FAIL ", "| ")
BLIND: str | None = "not whether a POST could have been cached; without strip_query_terms off not which query was asked"
SOURCE = "squid-cache/squid src/LogTags.cc, wiki.squid-cache.org/SquidFaq/SquidLogs; Squid 5.7 run"

_CODE = "(?:TCP|UDP|TAG|NONE|ICP)[A-Z_]*"
# elapsed time is six wide: Traffic Server, which writes the same format, does not pad
_PADDED = (
    r"^[0-9]{9,10}\.[0-9]{3} (?: {5}[0-9]| {4}[0-9]{2}| {3}[0-9]{3}|  [0-9]{4}| [0-9]{5}|[0-9]{6,}) [^ ]+ "
    rf"{_CODE}/"
)
_TAGGED = rf"{PROXIED}[^\"]*\" [0-9]{{3}} [0-9-]+ {QUOTED} {QUOTED} {_CODE}:[A-Z_]+$"
_STORE = r"^[0-9]{9,10}\.[0-9]{3} (?:CREATE|SWAPOUT|SWAPIN|RELEASE|SO_FAIL) +-?[0-9]+ [0-9A-F]{8} "
_CACHE = r"^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8}(?:\.[0-9]+)?(?: kid[0-9]+)?\| "
_TAG = r" ([A-Z_]+):[A-Z_]+$"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of access.log with Squid's padding or tags, of store.log or of cache.log."""
    return text.str.contains(rf"{_PADDED}|{_STORE}|{_CACHE}") | text.str.contains(_TAGGED)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request about a model."""
    native = pl.col("text").str.contains(_PADDED)
    tagged = lines.filter(pl.col("text").str.contains(_TAGGED))
    return pl.concat([proxylines.native(lines.filter(native)), _combined(tagged)], how="diagonal")


def _combined(lines: pl.DataFrame) -> pl.DataFrame:
    names = ["time", "method", "target", "tail"]
    cut = lines.select("row").hstack(lines["text"].str.extract_groups(NCSA).struct.rename_fields(names).struct.unnest())
    return proxylines.lookups(cut, proxylines.asked(pl.col("tail").str.extract(_TAG), pl.col("method")))
