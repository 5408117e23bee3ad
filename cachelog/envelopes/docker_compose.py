"""What `docker compose logs` puts before lines: `scorer-1  | TEXT`, after it a time with --timestamps.

The name is that of the container, SERVICE-N or with version 1 PROJECT_SERVICE_N; it is the replica. A container_name
without a number is taken only where blanks align it. `docker service logs` writes SERVICE.N.TASK@NODE. Colours, and
the codes that erase a line, are taken off before.
"""

from __future__ import annotations

import polars as pl

NAME = "docker_compose"
SOURCE = "docker/compose cmd/formatter/logs.go; lines of lnav's tests"
BLIND = "with --no-log-prefix, which container wrote a line"
SAMPLES = (
    "scorer-1  | starting",
    "scorer-10 | starting",
    "ml_scorer_2  | 2026-11-23T15:16:30.248043060Z starting",
    "redis    | starting",
    "scorer-1  |",
    "scorer.1.kq2x7m9zt7mh8wvntqd5c1abc@node-1    | starting",
)

_NUMBERED = r"[A-Za-z0-9][A-Za-z0-9_.-]*[-_][0-9]{1,4} {1,40}\|"
_TASK = r"[A-Za-z0-9_.-]+\.[0-9]+\.[a-z0-9]{12,25}@[A-Za-z0-9_.-]+ {1,40}\|"
_ALIGNED = r"[a-z0-9][a-z0-9_.-]{0,60} {2,40}\|"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}(?:Z|[+-][0-9]{2}:[0-9]{2})"
_LINE = rf"(?s)^([^ |]+) +\|(?: ({_TIME})(?: |$))?(.*)$"
SHAPE = r"^[A-Za-z0-9][A-Za-z0-9_.@-]* +\|"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with the name of a container and a bar."""
    return text.str.contains(rf"^(?:{_NUMBERED}|{_TASK}|{_ALIGNED})(?: |$)")


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; of the blanks before the text one is compose's own."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["env_replica", "env_time", "text"])
    nothing = pl.lit(None, pl.String).alias("stream")
    cut = lines.select("row").hstack(groups.struct.unnest())
    return cut.with_columns(pl.col("text").str.strip_prefix(" "), nothing, partial=pl.lit(False))
