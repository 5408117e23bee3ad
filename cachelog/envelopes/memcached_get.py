"""memcached -vv: the lines of one question, `<24 get a`, `>24 sending key a`, `>24 END`, become one.

A stream is a connection: worker threads write their lines in between. Where the question itself is not in the log, what
was sent is joined all the same.
"""

from __future__ import annotations

import re

import polars as pl

NAME = "memcached_get"
SAMPLES = (
    "<24 get fraud:41:nope",
    "<24 gat 10 fraud:41:f0",
    ">24 sending key fraud:41:f0",
    ">24 END",
)
SOURCE = "memcached/memcached proto_text.c, memcached.c (-vv); memcached 1.6.18 run"
BLIND: str | None = "no time and no name of the server"

_GET = r"<[0-9]+ (?:gets?|gats? [0-9-]+) [^\x1f]+"
_OPEN = rf"^(?:{_GET}|>[0-9]+ sending key [^\x1f]+)$"
_LAST = r"^>[0-9]+ (?:END|(?:CLIENT_|SERVER_)?ERROR\b[^\x1f]*)$"
SHAPE = r"^(?:<[0-9]+ (?:get|gat)|>[0-9]+ (?:sending key |END|CLIENT_|SERVER_|ERROR))"
_BETWEEN = "\x1f"  # no key holds it

#: Lines that the next line of their connection goes on with.
OPEN = re.compile(rb"^(?:<[0-9]+ (?:gets?|gats? [0-9-]+) |>[0-9]+ sending key )")
#: Any line of a connection; the group is its number.
STREAM = re.compile(rb"^[<>]([0-9]+) ")


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line asks for keys, sends one, or ends an answer."""
    return text.str.contains(rf"{_OPEN}|{_LAST}")


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; all but the last of an answer are partial."""
    text = pl.col("text")
    open_ = text.str.contains(_OPEN)
    return lines.select(
        "row",
        text=pl.when(open_).then(pl.concat_str(text, pl.lit(_BETWEEN))).otherwise(text),
        env_time=pl.lit(None, pl.String),
        env_replica=pl.lit(None, pl.String),
        stream=text.str.extract(r"^[<>]([0-9]+)"),
        partial=open_,
    )
