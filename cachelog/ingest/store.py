"""Events on disk: Parquet files of rows, each with its table of words, and one of all other events.

Spilled events, the cache of parsed inputs and the folders of `cachelog stage` are all this. Rows are sorted by what
they say, and words by model, so that the rows of one model are few row groups of a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import polars as pl

from cachelog.contract.event import LABEL
from cachelog.contract.events import RARE, READ, TOLD, Events, Part

_ROW_GROUP = 1 << 18
_META = "meta.json"
_RARE = "rare.parquet"
#: A run reads what it spilled again and again, model by model; what is kept is read once, and its size counts.
_Packing = Literal["lz4", "zstd"]

Meta = Mapping[str, object]


def put(folder: Path, number: int, part: Part, packing: _Packing = "zstd") -> Part:
    """Write a part under a number; return it as it lies on disk. Raises OSError."""
    level = 1 if packing == "zstd" else None
    rows, words = (folder / f"{kind}-{number:05}.parquet" for kind in ("rows", "words"))
    part.rows.lazy().collect().sort("said").write_parquet(
        rows, compression=packing, compression_level=level, row_group_size=_ROW_GROUP
    )
    _plain(part.words).write_parquet(words)
    return Part(_rows(rows), part.words)


def save(folder: Path, events: Events, rare: pl.DataFrame) -> None:
    """Write events into an empty folder. Raises OSError."""
    for number, part in enumerate(events.parts):
        put(folder, number, part)
    _plain(rare).write_parquet(folder / _RARE)


def describe(folder: Path, meta: Meta) -> None:
    """Write down what is to be known of the events of a folder. Raises OSError."""
    (folder / _META).write_text(json.dumps(meta), encoding="utf-8")


def known(folder: Path) -> Meta:
    """Return what is known of the events of a folder; raises OSError, ValueError where there are none."""
    found = json.loads((folder / _META).read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def load(folder: Path) -> tuple[Events, pl.DataFrame]:
    """Return the events of a folder, the rows lazily. Raises OSError or polars errors on damage."""
    parts: list[Part] = []
    for path in sorted(folder.glob("rows-*.parquet")):
        words = pl.read_parquet(folder / path.name.replace("rows", "words")).select(_typed(TOLD))
        parts.append(Part(_rows(path), words))
    return Events(tuple(parts)), pl.read_parquet(folder / _RARE).select(_typed(RARE))


def _rows(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, cache=False).select(
        pl.col(name).cast(LABEL) if dtype == LABEL else pl.col(name) for name, dtype in READ.items()
    )


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Labels as texts: their numbers are those of this process."""
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _typed(schema: pl.Schema) -> list[pl.Expr]:
    return [pl.col(name).cast(dtype) for name, dtype in schema.items()]
