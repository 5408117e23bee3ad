"""Parquet and Arrow exports of logs: each row as the JSON line that it would be.

So a column is a field of contract/fields.py, a text column may hold lines of any dialect, and a row is cited like a
line. Columns of numbers that no field asks for are not read at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from cachelog.contract.jsonlines import asked

if TYPE_CHECKING:
    import pyarrow as pa

_PARQUET = b"PAR1"
_ARROW = b"ARROW1\0\0"
_ROWS = 1 << 15  # rows at a time


def _roots() -> frozenset[str]:
    """Return the fields that are asked for, and the objects that fields are looked for in."""
    return frozenset(name.split(".")[0] for name in asked())


def is_columnar(head: bytes) -> bool:
    """Return whether a file that begins so is Parquet or Arrow."""
    return head.startswith((_PARQUET, _ARROW))


class Lines:
    """Fills views with the rows of a file as JSON lines."""

    def __init__(self, raw: BinaryIO, head: bytes) -> None:
        self.batches = _batches(raw, head)
        self.left = memoryview(b"")

    def readinto(self, view: memoryview) -> int:
        """Fill the view as far as one step goes; return how many bytes, 0 at the end. Raises OSError, ValueError."""
        while not self.left:
            batch = next(self.batches, None)
            if batch is None:
                return 0
            self.left = memoryview(_written(batch))
        count = min(len(view), len(self.left))
        view[:count], self.left = self.left[:count], self.left[count:]
        return count


def _batches(raw: BinaryIO, head: bytes) -> Iterator[pl.DataFrame]:
    if not raw.seekable():
        raise OSError("Parquet and Arrow files are read from files, not from pipes")
    raw.seek(0)
    found = _parquet(raw) if head.startswith(_PARQUET) else _arrow(raw)
    for batch in found:
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        yield from frame.iter_slices(_ROWS)


def _parquet(raw: BinaryIO) -> Iterator[pa.RecordBatch]:
    from pyarrow import parquet

    file = parquet.ParquetFile(raw)
    yield from file.iter_batches(_ROWS, columns=_wanted(file.schema_arrow))


def _arrow(raw: BinaryIO) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    file = pa.ipc.open_file(raw)
    for number in range(file.num_record_batches):
        yield file.get_batch(number).select(_wanted(file.schema))


def _wanted(schema: pa.Schema) -> list[str]:
    """Return the columns that a field asks for, or that may hold lines or objects."""
    import pyarrow as pa

    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    roots = _roots()
    return [f.name for f in schema if f.name in roots or not any(kind(f.type) for kind in plain)]


def _written(frame: pl.DataFrame) -> bytes:
    return frame.select(_plain(name, dtype) for name, dtype in frame.schema.items()).write_ndjson().encode()


def _plain(name: str, dtype: Any) -> pl.Expr:
    """Return a column as what JSON can hold, times as RFC 3339."""
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        zone = "Z" if dtype.time_zone else ""
        utc = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return utc.dt.to_string(f"%Y-%m-%dT%H:%M:%S%.6f{zone}")
    if dtype in (pl.Binary, pl.Categorical, pl.Enum, pl.Date, pl.Time, pl.Decimal) or isinstance(dtype, pl.Duration):
        return column.cast(pl.String, strict=False)
    return column
