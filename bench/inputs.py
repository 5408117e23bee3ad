"""Which inputs there are and where they lie; nothing heavy is imported here."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_EDITION = 4  # of what is written: a new one does not meet the files of the last


@dataclass(frozen=True)
class Format:
    """A way to write the day: the end of the file's name ("" for a folder), about how many bytes a line, its title."""

    ending: str
    bytes: int
    title: str


FORMATS: Mapping[str, Format] = {
    "json": Format(".ndjson", 340, "JSON lines, fixed keys"),
    "mixed": Format(".ndjson", 310, "JSON lines, mixed shapes"),
    "shuffled": Format(".ndjson", 410, "JSON lines, shuffled keys, nested"),
    "logfmt": Format(".log", 270, "logfmt"),
    "triton": Format("", 130, "Triton, verbose, 24 files"),
    "nginx": Format(".log", 270, "nginx with the cache status"),
    "gzip": Format(".ndjson.gz", 60, "JSON lines, gzip -6"),
    "zstd": Format(".ndjson.zst", 60, "JSON lines, zstd -3"),
    "parquet": Format(".parquet", 60, "Parquet (zstd)"),
    "short": Format(".ndjson", 340, "1,000 JSON lines"),
}


def path_of(kind: str, lines: int) -> Path:
    """Return where the input of a kind and of so many lines lies or will lie."""
    return Path(tempfile.gettempdir()) / f"cachelog-bench-{_EDITION}" / f"{kind}-{lines}{FORMATS[kind].ending}"


def size(path: Path) -> int:
    """Return the bytes of a file, or of the files of a folder."""
    return sum(item.stat().st_size for item in path.iterdir()) if path.is_dir() else path.stat().st_size
