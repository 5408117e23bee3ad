"""Short ways to read lines in tests."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import polars as pl

from cachelog import rooms
from cachelog.contract.events import Events
from cachelog.ingest.doubles import DROPPED, Once
from cachelog.ingest.stage import Asked, Staged, stage


def read(path: Path | str, tz: str = "UTC") -> Staged:
    """Stage one path with every dialect and envelope."""
    return stage([str(path)], rooms.dialects(), rooms.envelopes(), Asked(tz=tz))


def read_apart(path: Path | str) -> Staged:
    """Stage inputs that say the same, each as a log of its own."""

    def all_(bulk: Events, rare: pl.DataFrame, sizes: object, names: object) -> Once:
        return Once(bulk, rare, pl.DataFrame(schema=DROPPED), {})

    with patch("cachelog.ingest.staged.once", all_):
        return read(path)


def read_lines(folder: Path, *lines: str | bytes, name: str = "app.log", tz: str = "UTC") -> Staged:
    """Write lines to a file and stage it."""
    path = folder / name
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return read(path, tz)


def events(staged: Staged) -> pl.DataFrame:
    """Return the events by source, line and all that they say, labels as strings."""
    return staged.events.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)).sort(
        "source", "line", "version", "op", "outcome", "model", "reason", "key"
    )
