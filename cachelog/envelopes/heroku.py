"""What `heroku logs` prints: `TIME SOURCE[DYNO]: TEXT`. The replica is the dyno; drains are syslog_5424."""

from __future__ import annotations

import polars as pl

NAME = "heroku"
SOURCE = "devcenter.heroku.com/articles/logging, log format"
BLIND = "lines of more than 10,000 bytes are cut, and nothing says so"
SAMPLES = (
    "2026-11-23T15:16:30.240346+00:00 app[web.1]: starting",
    "2026-11-23T15:16:30.240346+00:00 heroku[router]: at=info method=GET path=/",
    "2026-11-23T15:16:30.240346+00:00 app[web-6d9f7c5b8-4kq2x]: starting",
)

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
_LINE = rf"(?s)^({_TIME}) (?:app|heroku)\[([a-z][a-z0-9_.-]{{0,63}})\]:(?: (.*))?$"
SHAPE = rf"^{_TIME} (?:app|heroku)\["


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a time and the name of a dyno."""
    return text.str.contains(_LINE)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["env_time", "env_replica", "text"])
    cut = lines.select("row").hstack(groups.struct.unnest())
    nothing = pl.lit(None, pl.String).alias("stream")
    return cut.with_columns(pl.col("text").fill_null(""), nothing, partial=pl.lit(False))
