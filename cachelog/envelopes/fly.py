"""What `fly logs` prints: `TIME SOURCE[MACHINE] REGION [LEVEL]TEXT`. The replica is the machine."""

from __future__ import annotations

import polars as pl

NAME = "fly"
SOURCE = "superfly/flyctl internal/render/logs.go"
BLIND = "in older versions, parts of a second"
SAMPLES = (
    "2026-11-23T15:16:30Z app[6e82d4a2c12345] ams [info]starting",
    "2026-11-23T15:16:30.240Z app[6e82d4a2c12345] ams [info] starting",
    "2026-11-23T15:16:30Z runner[0d1f2e3c] fra [info]Starting init",
)

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?Z"
_LINE = rf"(?s)^({_TIME}) [a-z_-]{{1,20}}\[([0-9a-z]{{6,20}})\] [a-z]{{3}} \[[a-z]+\] ?(.*)$"
SHAPE = rf"^{_TIME} [a-z_-]{{1,20}}\["


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a time, a machine, a region and a level."""
    return text.str.contains(_LINE)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["env_time", "env_replica", "text"])
    nothing = pl.lit(None, pl.String).alias("stream")
    return lines.select("row").hstack(groups.struct.unnest()).with_columns(nothing, partial=pl.lit(False))
