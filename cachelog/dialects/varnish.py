"""Varnish: varnishncsa, whose default format has no result of the cache and is quiet, and requests of varnishlog.

What the cache did is `%{Varnish:handling}x` (hit, miss, pass, pipe, synth), bare, quoted or named behind the agent.
`%{Varnish:hitmiss}x` says miss of a pass too; where both are logged, handling counts. Answers out of grace are hits in
varnishncsa; varnishlog tells them (`Hit` with a negative time to live) and they are stale. Requests of varnishlog
(-g request, -g vxid, -c) come here in one piece, envelopes/varnishlog.py joins their lines.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import proxylines
from cachelog.contract.proxylines import NCSA, PROXIED, QUOTED

NAME = "varnish"
#: Real lines of Varnish 7.1; the last one is a joined record, shortened.
SAMPLES = (
    '127.0.0.1 - - [24/Nov/2026:11:46:10 +0000] "GET http://127.0.0.1:28081/v1/models/fraud/versions/41:predict?key=f0 '
    'HTTP/1.1" 200 1000 "-" "curl/7.88.1" 0.001366 miss',
    '127.0.0.1 - - [24/Nov/2026:11:46:11 +0000] "POST http://127.0.0.1:28081/v2/models/fraud/versions/41/infer '
    'HTTP/1.1" '
    '200 1000 "-" "curl/7.88.1" "pass"',
    '127.0.0.1 - - [24/Nov/2026:11:46:11 +0000] "GET http://127.0.0.1:28081/models/resnet/2/model.bin HTTP/1.1" 200 '
    "1000 "
    '"-" "curl/7.88.1"',
    "*   << Request  >> 32797\x1f-   Begin          req 32796 rxreq\x1f-   Timestamp      Start: 1795520773.835873 "
    "0.000000 "
    "0.000000\x1f-   ReqMethod      GET\x1f-   ReqURL         /models/short/1/m\x1f-   Hit            6 -1.876267 "
    "10.000000 "
    "0.000000\x1f-   VCL_call       HIT\x1f-   Timestamp      Process: 1795520773.836006 0.000132 0.000004\x1f-   End",
)
HINTS: tuple[str, ...] = ("://", "\x1f", "<< ")
BLIND: str | None = "in varnishncsa not which hits were stale (grace), and without Varnish:handling not what was passed"
SOURCE = "varnish-cache.org/docs varnishncsa(1), vsl(7); Varnish 7.1 run"

_LINE = rf"{PROXIED}[^\"]*\" [0-9]{{3}} [0-9-]+(?: {QUOTED}|$)"
_SQUID = r'" [A-Z_]+:[A-Z_]+$'
_RECORD = r"^(?:\*{1,9} +<< [A-Za-z]+ +>> [0-9]+|[-0-9]+ +[A-Za-z0-9_]+[^\x1f]*\x1f)"

_FREE_TEXT = rf"^ {QUOTED} {QUOTED}"  # referer and agent: a client says what it likes
_EDGE = r'(?:^|[ ="\[])'
_END = r'(?:$|[ "\],])'
_PASSED = rf"{_EDGE}(pass|pipe|hitpass|synth|error){_END}"
_ASKED = rf"{_EDGE}(hit|miss|hitmiss){_END}"
_FIRST_BYTE = r'(?:^|[ ="])([0-9]+\.[0-9]{6})(?:$|[ "])'


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is NCSA with a whole URL and nobody else's tag, or a record of varnishlog."""
    return text.str.contains(rf"{_LINE}|{_RECORD}") & ~text.str.contains(_SQUID)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request about a model of which the log says what the cache did."""
    record = lines["text"].str.contains(r"^[-*]")
    return pl.concat([_ncsa(lines.filter(~record)), _records(lines.filter(record))], how="diagonal")


def _ncsa(lines: pl.DataFrame) -> pl.DataFrame:
    names = ["time", "method", "target", "tail"]
    cut = lines.select("row").hstack(lines["text"].str.extract_groups(NCSA).struct.rename_fields(names).struct.unnest())
    tail = pl.col("tail").str.replace(_FREE_TEXT, "")
    seconds = tail.str.extract(_FIRST_BYTE).cast(pl.Float64, strict=False)
    return proxylines.lookups(
        cut, pl.coalesce(tail.str.extract(_PASSED), tail.str.extract(_ASKED)), {"seconds": seconds}
    )


def _records(lines: pl.DataFrame) -> pl.DataFrame:
    """Read requests of clients; those to backends and sessions are quiet."""
    text = pl.col("text")
    requests = lines.filter(text.str.contains(r"^\*+ +<< Request "))
    field = r"\x1f- +{} +([^\x1f ]+)"
    cut = requests.select(
        "row",
        time=text.str.extract(r"\x1f- +Timestamp +Start: ([0-9]+\.[0-9]+)"),
        method=text.str.extract(field.format("ReqMethod")),
        target=text.str.extract(field.format("ReqURL")),
        call=text.str.extract(r"\x1f- +VCL_call +(HIT|MISS|PASS|PIPE|SYNTH)\x1f").str.to_lowercase(),
        left=text.str.extract(r"\x1f- +Hit +[0-9]+ (-?[0-9.]+) ").cast(pl.Float64, strict=False),
        took=text.str.extract(r"\x1f- +Timestamp +Process: [0-9.]+ ([0-9.]+) ").cast(pl.Float64, strict=False),
    )
    graced = (pl.col("call") == "hit") & (pl.col("left") < 0)
    outcome = pl.when(graced).then(pl.lit("stale")).otherwise(pl.col("call"))
    return proxylines.lookups(cut, outcome, {"seconds": pl.col("took")})
