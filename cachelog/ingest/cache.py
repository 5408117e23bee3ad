"""Inputs that were read before: their events, kept between runs where the user's caches are (XDG_CACHE_HOME).

An entry stands for one file as it was: its path, inode, size, time of change and its first and last bytes, read by this
version of the parser with this time zone. A log that has only grown keeps its entry, and its new end is read alone.
Entries hold what the logs say a second time, so their folder is the user's alone; the oldest go when all are too big.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

import polars as pl

import cachelog
from cachelog.contract.events import Events, Part
from cachelog.contract.limits import Limits
from cachelog.ingest import store
from cachelog.ingest.discover import Source

_ENDS = 64 << 10  # bytes at both ends that are looked at again
_ROOMS = ("contract", "dialects", "envelopes", "ingest")
FRESH_S = 2.0  # a file that changed so shortly before may change again within the same tick of its clock


@dataclass(frozen=True)
class Kept:
    """What is known of an input that was read before."""

    size: int  # bytes of the file that it covers
    lines: int
    late: datetime | None  # time of its last event
    bytes: int
    marks: tuple[tuple[int, int], ...]
    books: Mapping[str, object]
    folder: Path

    def events(self, index: int) -> tuple[Events, pl.DataFrame]:
        """Return the events as those of an input; raises OSError or polars errors on damage."""
        bulk, rare = store.load(self.folder)
        here = pl.lit(index, pl.UInt32).alias("source")
        return Events(tuple(replace(p, rows=p.rows.with_columns(here)) for p in bulk.parts)), rare.with_columns(here)


def folder() -> Path:
    """Return where entries are, whether it is there or not."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "cachelog" / "events"


def reports() -> Path:
    """Return where reports are kept (recall.py)."""
    return folder().parent / "reports"


def clear() -> int:
    """Remove all entries, and all reports; return how many bytes that freed."""
    freed = sum(size for _, _, size in _entries()) + sum(f.stat().st_size for f in reports().glob("*"))
    shutil.rmtree(folder(), ignore_errors=True)
    shutil.rmtree(reports(), ignore_errors=True)
    return freed


def size() -> tuple[int, int]:
    """Return how many entries there are, and how many bytes they take."""
    found = [size for _, _, size in _entries()]
    return len(found), sum(found)


def find(source: Source, how: str, limits: Limits) -> Kept | None:
    """Return what is kept of an input as it is, or as it was before it grew; None for nothing."""
    if source.pipe or source.note or source.size < limits.cached_bytes:
        return None
    at = _entry(source.path)
    with suppress(OSError, ValueError, KeyError, TypeError):
        meta = store.known(at)
        mine = identity(source.path, int(str(meta["size"])), how)
        if any(meta[name] != value for name, value in mine.items()):
            return None
        same = meta["size"] == source.size and meta["mtime"] == os.stat(source.path).st_mtime_ns
        grown = meta["open"] and source.size > int(str(meta["size"]))
        if not (same or grown) or meta["files"] != _files(at):
            return None
        os.utime(at)
        return _kept(meta, at)
    return None


def keep(source: Source, how: str, kept: Kept, events: Events, rare: pl.DataFrame, limits: Limits) -> None:
    """Keep what an input says, as events of input 0; what cannot be kept is not, and nobody needs to know."""
    at = _entry(source.path)
    with suppress(OSError, pl.exceptions.PolarsError):
        info = os.stat(source.path)
        if info.st_size != kept.size or datetime.now().timestamp() - info.st_mtime < FRESH_S:
            return
        at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=at.parent, prefix="new-"))
        try:
            meta = {**identity(source.path, kept.size, how), **_meta(kept), "mtime": info.st_mtime_ns}
            store.save(made, events, rare)
            store.describe(made, {**meta, "files": _files(made)})
            shutil.rmtree(at, ignore_errors=True)
            made.rename(at)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        _forget(limits.cache_bytes, at)


def of_input(index: int, events: Events, rare: pl.DataFrame) -> tuple[Events, pl.DataFrame]:
    """Return the events of one input, as of input 0."""
    mine, zero = pl.col("source") == index, pl.lit(0, pl.UInt32).alias("source")
    parts = (Part(part.rows.lazy().filter(mine).with_columns(zero), part.words) for part in events.parts)
    return Events(tuple(parts)), rare.filter(mine).with_columns(zero)


def _entry(path: str) -> Path:
    return folder() / hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]


def identity(path: str, size: int, how: str) -> dict[str, object]:
    """Return what must be the same for an entry of a file to hold; raises OSError."""
    with open(path, "rb") as raw:
        info = os.fstat(raw.fileno())
        head = raw.read(min(_ENDS, size))
        raw.seek(max(size - _ENDS, 0))
        tail = raw.read(min(_ENDS, size))
    ends = hashlib.sha256(head + tail).hexdigest()
    return {"path": os.path.realpath(path), "inode": info.st_ino, "size": size, "ends": ends, "how": how,
            "parser": edition(_ROOMS)}  # fmt: skip


@cache
def edition(rooms: tuple[str, ...]) -> str:
    """Tell versions of the program, or of some rooms of it, apart, also while it is worked on: by their files."""
    home = Path(__file__).parent.parent
    files = sorted(entry for room in rooms for entry in (home / room).iterdir() if entry.is_file())
    stats = [(str(f.relative_to(home)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(repr((cachelog.__version__, pl.__version__, stats)).encode()).hexdigest()


def _meta(kept: Kept) -> dict[str, object]:
    ends_whole = bool(kept.marks) and kept.marks[-1][1] == kept.size == kept.bytes
    return {
        "lines": kept.lines,
        "late": kept.late.isoformat() if kept.late else None,
        "bytes": kept.bytes,
        "marks": kept.marks,
        "books": kept.books,
        "open": ends_whole and not kept.books["joined"] and _ends_line(str(kept.folder), kept.size),
    }


def _files(at: Path) -> dict[str, int]:
    """Return the sizes of the files of an entry: one that was cut short is damaged."""
    return {f.name: f.stat().st_size for f in sorted(at.glob("*.parquet"))}


def _ends_line(path: str, size: int) -> bool:
    with open(path, "rb") as raw:
        raw.seek(size - 1)
        return raw.read(1) == b"\n"


def _kept(meta: Mapping[str, object], at: Path) -> Kept:
    marks = meta["marks"]
    assert isinstance(marks, list)
    books = meta["books"]
    assert isinstance(books, dict)
    late = datetime.fromisoformat(str(meta["late"])) if meta["late"] else None
    whole = [int(str(meta[name])) for name in ("size", "lines", "bytes")]
    return Kept(whole[0], whole[1], late, whole[2], tuple((line, offset) for line, offset in marks), books, at)


def _entries() -> Iterator[tuple[float, Path, int]]:
    """Yield when each entry was last of use, where it is and how many bytes it has."""
    with suppress(OSError):
        for entry in sorted(folder().iterdir()):
            yield entry.stat().st_mtime, entry, sum(f.stat().st_size for f in entry.iterdir())


def _forget(most: int, newest: Path) -> None:
    """Remove the entries that were of no use for longest, until all together are small enough."""
    kept: Sequence[tuple[float, Path, int]] = sorted(_entries(), reverse=True)
    total = 0
    for _, entry, size in kept:
        total += size
        if total > most and entry != newest:
            shutil.rmtree(entry, ignore_errors=True)
