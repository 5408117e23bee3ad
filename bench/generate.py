"""Writes the inputs, each once, to the temporary folder: `python -m bench.generate KIND LINES` prints the path.

Kinds are those of FORMATS. Written part by part, so that 16 million lines need no more memory than one. A process of
its own: the peak of a child counts what its parent held when it was started.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from bench import fleet, shapes
from bench.inputs import FORMATS, path_of

_LAST = 1_000  # lines of the short log
_Out = BinaryIO | gzip.GzipFile | zstandard.ZstdCompressionWriter
_Write = Callable[[Path, int], None]


@dataclass(frozen=True)
class _Text:
    """Lines of one shape into one file, compressed or not; to be called with its path and the number of lines."""

    shape: Callable[[pl.DataFrame], pl.DataFrame]
    opened: Callable[[BinaryIO], _Out] | None = None

    def __call__(self, path: Path, lines: int) -> None:
        with path.open("wb") as file, self.opened(file) if self.opened else nullcontext(file) as out:
            for frame in fleet.parts(lines):
                out.write(_lines(self.shape(frame)))


def made(kind: str, lines: int) -> Path:
    """Return the path of an input, written now if it is not there; raises OSError where the disk has no room for it."""
    path = path_of(kind, lines)
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    free, needed = shutil.disk_usage(path.parent).free, lines * FORMATS[kind].bytes
    if free < 2 * needed:
        raise OSError(f"{path} needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free in {tempfile.gettempdir()}")
    unfinished = path.with_name(f"part-{os.getpid()}-{path.name}")
    _WRITERS[kind](unfinished, lines)
    unfinished.rename(path)
    return path


def _lines(written: pl.DataFrame) -> bytes:
    return ("\n".join(written["text"].to_list()) + "\n").encode() if written.height else b""


def _write_short(path: Path, lines: int) -> None:
    """The end of a day: no loads."""
    texts = pl.concat([shapes.fixed(frame) for frame in fleet.parts(max(lines, _LAST))]).tail(_LAST)
    path.write_bytes(_lines(texts))


def _write_triton(path: Path, lines: int) -> None:
    """A file a replica: Triton's lines do not name the host. The year of its times is that of the files."""
    path.mkdir()
    end = fleet.START.timestamp() + 86_400
    with ExitStack() as stack:
        files = {pod: stack.enter_context((path / f"{pod}.log").open("wb")) for pod in fleet.PODS}
        for frame in fleet.parts(lines):
            for (pod,), mine in shapes.triton(frame).partition_by("pod", as_dict=True).items():
                files[pod].write(_lines(mine))
    for pod in files:
        os.utime(path / f"{pod}.log", (end, end))


def _write_parquet(path: Path, lines: int) -> None:
    tables = _tables(lines)
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as out:
        out.write_table(first)
        for table in tables:
            out.write_table(table)


def _tables(lines: int) -> Iterator[pa.Table]:
    for frame in fleet.parts(lines):
        yield shapes.columns(frame).to_arrow(compat_level=pl.CompatLevel.oldest())


def _gzip(file: BinaryIO) -> _Out:
    return gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0)


def _zstd(file: BinaryIO) -> _Out:
    return zstandard.ZstdCompressor(level=3).stream_writer(file)


_WRITERS: dict[str, _Write] = {
    "json": _Text(shapes.fixed),
    "mixed": _Text(shapes.mixed),
    "shuffled": _Text(shapes.shuffled),
    "logfmt": _Text(shapes.logfmt),
    "triton": _write_triton,
    "nginx": _Text(shapes.nginx),
    "gzip": _Text(shapes.fixed, _gzip),
    "zstd": _Text(shapes.fixed, _zstd),
    "parquet": _write_parquet,
    "short": _write_short,
}

if __name__ == "__main__":
    print(made(sys.argv[1], int(sys.argv[2])))
