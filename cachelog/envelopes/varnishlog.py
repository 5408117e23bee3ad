"""varnishlog -g request, -g vxid, -c and -b: the lines of one record, from `<< Request >>` to `End`, become one.

Records are written whole, one after the other. -g raw, which mixes them, is not read.
"""

from __future__ import annotations

import re

import polars as pl

NAME = "varnishlog"
#: Real lines of Varnish 7.1.
SAMPLES = (
    "*   << Request  >> 32797     ",
    "-   ReqURL         /models/short/1/m",
    "-   Hit            6 -1.876267 10.000000 0.000000",
    "--  Timestamp      Fetch: 1795520773.835959 0.000007 0.000007",
    "-   End            ",
)
SOURCE = "varnish-cache.org/docs reference/varnishlog, reference/vsl; Varnish run"
BLIND: str | None = None

# families of the tags in include/tbl/vsl_tags.h and vsl_tags_http.h
_TAG = (
    r"(?:Begin|End|Link|Timestamp|VCL_[A-Za-z]+|(?:Req|Resp|Bereq|Beresp|Obj)[A-Z][A-Za-z]*|Hit|HitMiss|HitPass|TTL|"
    r"Fetch_Body|FetchError|Storage|Filters|Backend[A-Za-z]*|Length|ESI_[a-z]+|Gzip|Hash|Error|Debug|Sess[A-Z][a-z]+|"
    r"PipeAcct|VSL|Proxy[A-Z]*[a-z]*|H2[A-Z][A-Za-z0-9]+|Notice|WorkThread|LostHeader|BogoHeader|HttpGarbage|Witness|"
    r"VfpAcct|VdpAcct|ExpBan|ExpKill|CLI)"
)
_LINE = rf"(?:[-*]{{1,9}}|-[0-9]+-) +(?:<< [A-Za-z]+ +>> [0-9]+|{_TAG}(?: |$))"
SHAPE = r"^(?:[-*]+|-[0-9]+-) +[<A-Z]"
_END = r"^[-0-9]+ +End\s*$"
_BETWEEN = "\x1f"  # no header holds it: Varnish refuses control characters

#: Any line of a record; there is one stream.
STREAM = re.compile(rb"^()" + _LINE.encode())
#: Lines that are not the last of their record.
OPEN = re.compile(rb"^[-*0-9]{1,9} +(?:[^E\s]|E[^n\s]|En[^d\s]|End[^\s])")


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the dashes or stars of varnishlog and one of its tags."""
    return text.str.contains(rf"^{_LINE}") & ~text.str.contains(_BETWEEN, literal=True)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; all but End are partial."""
    text = pl.col("text").str.strip_chars_end(" \t")
    last = text.str.contains(_END)
    return lines.select(
        "row",
        text=pl.when(last).then(text).otherwise(pl.concat_str(text, pl.lit(_BETWEEN))),
        env_time=pl.lit(None, pl.String),
        env_replica=pl.lit(None, pl.String),
        stream=pl.lit(None, pl.String),
        partial=~last,
    )
