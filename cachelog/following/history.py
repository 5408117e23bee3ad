"""The runs of `cachelog report`, one after another: a Parquet file beside the state, a row for each model of each run.

Rows of a run replace those that it wrote before it died, so that no run counts twice.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import polars as pl

from cachelog.contract.errors import UsageError
from cachelog.contract.event import TS
from cachelog.contract.finding import ModelRow, Severity
from cachelog.contract.standing import News, Run

_LEVELS = tuple(severity.word for severity in reversed(Severity))
_MOST = 10_000  # runs

#: `model` and `cache` are null in the row of the run as a whole, whose counts are those of all models.
HISTORY: pl.Schema = pl.Schema(
    {"run": pl.UInt32(), "at": TS, "seconds": pl.Float64(), "lines": pl.UInt64(), "bytes": pl.UInt64()}
    | {"inputs": pl.UInt32(), "partial": pl.Boolean(), "new": pl.UInt32(), "worse": pl.UInt32()}
    | {"resolved": pl.UInt32()}
    | {level: pl.UInt32() for level in _LEVELS}
    | {"model": pl.String(), "cache": pl.String(), "lookups": pl.UInt64(), "misses": pl.UInt64()}
)


def path_of(state: str) -> str:
    """Return where the history of a state is."""
    return f"{state}.history.parquet"


def rows(run: Run, news: News, models: Sequence[ModelRow]) -> pl.DataFrame:
    """Return HISTORY rows of a run; lookups and misses are those of the time that was judged."""
    said = {
        "run": run.number, "at": run.at, "seconds": run.seconds, "lines": run.lines, "bytes": run.bytes,
        "inputs": run.inputs, "partial": run.partial is not None, "new": len(news.new), "worse": len(news.worse),
        "resolved": len(news.resolved), **{level: (run.findings or {}).get(level, 0) for level in _LEVELS},
    }  # fmt: skip
    counted = [row for row in models if row.lookups is not None]
    lookups, misses = sum(row.lookups or 0 for row in counted), sum(row.misses for row in counted)
    whole = {**said, "model": None, "cache": None, "lookups": lookups, "misses": misses}
    named = ({"model": r.model, "cache": r.cache, "lookups": r.lookups, "misses": r.misses} for r in models)
    return pl.DataFrame([whole, *({**said, **name} for name in named)], schema=HISTORY)


def append(path: str, fresh: pl.DataFrame) -> None:
    """Add the rows of a run to the file, which is replaced at once or not at all; raises UsageError."""
    number = int(fresh["run"][0])
    kept = pl.col("run").is_between(max(0, number - _MOST), number, closed="none")
    temporary = Path(f"{path}.new")
    try:
        pl.concat([read(path).filter(kept), fresh]).write_parquet(temporary)
        temporary.chmod(0o600)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise UsageError(f"cannot write {path!r}: {error.strerror or error}") from None


def read(path: str) -> pl.DataFrame:
    """Return the HISTORY of a file, oldest run first, none where there is none; raises UsageError on another file."""
    if not os.path.exists(path):
        return pl.DataFrame(schema=HISTORY)
    try:
        return pl.read_parquet(path).select(pl.col(name).cast(dtype) for name, dtype in HISTORY.items())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{path!r} is no history that `cachelog report` wrote: {error}") from None
