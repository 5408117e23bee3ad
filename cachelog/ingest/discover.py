"""Which inputs the user named: files, folders (walked), globs, the members of archives and standard input.

Of archives their lists are read, of files that may be reports the first bytes, of others nothing. What cannot be read
becomes a Source with a note, never an error: it is shown in the report. Symbolic links to files are followed once;
links to folders are not. What cachelog wrote itself is left out (`left_out` names it).
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from cachelog.contract.errors import UsageError
from cachelog.ingest import archives
from cachelog.ingest.written import by_cachelog

STDIN = "-"

_ENDING = re.compile(
    r"(\.(gz|zst|bz2|xz|log|json|jsonl|ndjson|txt|out|err|prom|metrics)|\.\d+|[.-]\d{8}(-\d{6})?|"
    # a file for each scrape of /metrics is named by its time
    r"[._-]\d{4}-?\d\d-?\d\d[T_-]\d\d[:-]?\d\d[:-]?\d\d(\.\d+)?Z?|[._-]1\d{9}(\d{3})?)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Source:
    """One input: `path` as shown to the user, `note` says why it is not read (then nothing else counts)."""

    path: str
    size: int = 0  # bytes on disk, 0 for pipes
    mtime: float | None = None  # seconds since the epoch; the year of lines that have none
    note: str | None = None
    fallback: str = ""  # replica name when neither line nor envelope gives one
    pipe: bool = False  # can be read once only: standard input, a FIFO, a device
    archive: str = ""  # the file on disk that holds it, where it is a member of one
    said: tuple[str, ...] = ()  # its lines, where it is no file but options on the command line

    @property
    def place(self) -> str:
        """The path, with an archive as if it were a folder."""
        return self.path.replace(archives.MARK, "/") if self.archive else self.path


def discover(paths: Sequence[str]) -> list[Source]:
    """Return every input under `paths` in a stable order, each file once; raises UsageError on a missing path."""
    found: dict[str, Source] = {}
    inodes: set[_Identity] = set()
    for path in paths:
        for source, identity in _expand(path):
            if _is_ours(source) or source.path in found or (identity is not None and identity in inodes):
                continue
            found[source.path] = source
            if identity is not None:
                inodes.add(identity)
    # the members of an archive stay in its order, which is how they are read at one go
    sources = sorted(found.values(), key=lambda s: s.archive or s.path)
    return [replace(s, fallback=name) for s, name in zip(sources, named([s.place for s in sources]), strict=True)]


def left_out(paths: Sequence[str]) -> list[str]:
    """Return the files under `paths` that cachelog wrote, and does not read; none of paths that lead nowhere."""
    there = [path for path in paths if os.path.lexists(path) or glob.glob(path, recursive=True)]
    return sorted({source.path for path in there for source, _ in _expand(path) if _is_ours(source)})


def _is_ours(source: Source) -> bool:
    return not (source.note or source.pipe or source.archive) and by_cachelog(source.path)


_Identity = tuple[int, int, str]  # device, inode, member
_Found = tuple[Source, _Identity | None]


def _expand(path: str) -> Iterator[_Found]:
    if path == STDIN:
        yield Source(STDIN, pipe=True), None
    elif os.path.isdir(path):
        yield from _walk(path)
    elif os.path.lexists(path):
        yield from _file(path, named=True)
    elif matches := sorted(glob.glob(path, recursive=True)):
        for match in matches:
            yield from _expand(match)
    else:
        raise UsageError(f"no such file or folder: {path!r}; name a log file, a folder of logs, a glob, or - for stdin")


def _walk(folder: str) -> Iterator[_Found]:
    broken: list[_Found] = []

    def unreadable(error: OSError) -> None:
        broken.append((Source(str(error.filename), note=f"not read: {error.strerror}"), None))

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            yield from _file(os.path.join(root, name), named=False)
    yield from broken


def _file(path: str, *, named: bool) -> Iterator[_Found]:
    """Describe one path; a pipe is read only when the user named it, inside a folder it could block for ever."""
    try:
        info = os.stat(path)
    except OSError as error:
        yield Source(path, note=f"not read: {error.strerror}"), None
        return
    if stat.S_ISREG(info.st_mode):
        members = archives.members(path) if archives.suspected(path) else None
        for found in [Source(path, info.st_size, info.st_mtime)] if members is None else _members(path, members):
            yield found, (info.st_dev, info.st_ino, found.path[len(path) :])
    elif named and _is_pipe(info.st_mode):
        yield Source(path, pipe=True), None
    else:
        yield Source(path, note="not read: not a regular file"), None


def _members(path: str, members: Sequence[archives.Member]) -> list[Source]:
    return [Source(m.path, m.size, m.mtime, m.note, archive=path) for m in members]


def _is_pipe(mode: int) -> bool:
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def any_pipe(paths: Sequence[str]) -> bool:
    """Return whether one of the paths the user named can be read once only."""
    return any(path == STDIN or (os.path.exists(path) and _is_pipe(os.stat(path).st_mode)) for path in paths)


def stem(path: str) -> str:
    """Return a file's name without the endings of logs, rotation and compression."""
    name = PurePath(path).name
    while (shorter := _ENDING.sub("", name)) not in ("", name):
        name = shorter
    return name


def rotated(sources: Sequence[Source]) -> list[int]:
    """Return of each source the first one of its set: files of a folder that differ in endings of rotation alone."""
    first: dict[tuple[str, str], int] = {}
    keys = [(str(PurePath(s.place).parent), stem(s.place)) for s in sources]
    return [first.setdefault(key, index) for index, key in enumerate(keys)]


def named(paths: list[str]) -> list[str]:
    """Return a name for each file: its stem, or the nearest folder in which files of one stem differ (edge-a/x.log)."""
    by_stem: dict[str, list[str]] = {}
    for path in paths:
        by_stem.setdefault(stem(path), []).append(path)
    names = {path: name for name, peers in by_stem.items() for path, name in _distinct(name, peers).items()}
    return [names[path] for path in paths]


def _distinct(name: str, peers: list[str]) -> dict[str, str]:
    """Return the names of files of one stem."""
    folders = {path: PurePath(path).parent.parts for path in peers}
    every = set(folders.values())
    if len(every) == 1:
        return {path: "stdin" if path == STDIN else name for path in peers}
    depths = range(1, max(map(len, every)) + 1)
    differ = [depth for depth in depths if len({f[-depth] if len(f) >= depth else "" for f in every}) > 1]
    nearest = {path: next((d for d in differ if d <= len(mine)), None) for path, mine in folders.items()}
    return {path: folders[path][-depth] if depth else name for path, depth in nearest.items()}
