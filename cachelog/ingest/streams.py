"""Which file is which log: logs are followed through renames, copies and truncation, by what is in them.

A stream is a log from its first line on. The file that holds it is known by its inode; what decides is whether its
bytes are still those that were read: a hash over its first bytes, and one over the last bytes before the place up to
which it was read. So a log that was renamed goes on, one that was truncated is another, and the copy that `logrotate`
made before it truncated holds the rest of the first one, also when it was compressed meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO

from cachelog.ingest import records
from cachelog.ingest.discover import Source, stem
from cachelog.ingest.opened import CHUNK, MAGIC, Counted, filler, is_compressed

HEAD = 64 << 10  # bytes by which records.py tells what a file is
_ENDS = 1 << 10  # bytes that are compared at both ends
_SETTLED_S = 2.0  # a file that changed less long ago may be a copy that is still being made

Identity = tuple[int, int, str]  # device, inode, member of an archive


@dataclass(frozen=True, slots=True)
class Stream:
    """A log as far as it was read: `offset` bytes (after decompression) that hold `line` - 1 whole lines.

    `whole`: it can only be read from its beginning (compressed, or a document). `rest` (latin-1) is the line behind
    `offset` that had no end yet. `skipping`: a line too long to keep goes on at `offset`.
    """

    number: int
    path: str
    archive: str = ""
    device: int = -1
    inode: int = -1
    size: int = -1  # of the file when it was last looked at, and when it was changed (ns)
    changed: int = -1
    mtime: float | None = None
    pipe: bool = False
    present: bool = True  # a file holds it
    seen: float = 0.0  # when one did, seconds since the epoch
    whole: bool = False
    offset: int = 0
    line: int = 1
    bytes: int = 0
    head: str = ""
    tail: str = ""
    rest: str = ""
    skipping: bool = False
    late: datetime | None = None  # time of its last event
    note: str | None = None
    marks: tuple[tuple[int, int], ...] = ()
    books: Mapping[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        """What tells its file from others."""
        return self.device, self.inode, self.path if self.archive else ""

    @property
    def empty(self) -> bool:
        """Return whether nothing of it was read."""
        return not (self.offset or self.rest or self.bytes) and self.line == 1

    def source(self) -> Source:
        """Return it as an input."""
        return Source(self.path, self.size, self.mtime, self.note, pipe=self.pipe, archive=self.archive)


@dataclass(frozen=True, slots=True)
class Look:
    """A file as it was found: `file` is where its bytes are."""

    source: Source
    file: str
    identity: Identity
    size: int
    changed: int
    ended: bool = True  # no more will come soon: False while a pipe is open

    @classmethod
    def at(cls, source: Source, file: str, ended: bool = True) -> Look | None:
        """Look at a file; None where there is none."""
        with suppress(OSError):
            info = os.stat(source.archive or file)
            member = source.path if source.archive else ""
            size = source.size if source.archive else info.st_size
            return cls(source, file, (info.st_dev, info.st_ino, member), size, info.st_mtime_ns, ended)
        return None

    def same(self, stream: Stream) -> bool:
        """Return whether the file is as it was when the stream was last read."""
        return (self.identity, self.size, self.changed) == (stream.identity, stream.size, stream.changed)

    def fresh(self, now: float) -> bool:
        """Return whether it was changed a moment ago."""
        return now - self.changed / 1e9 < _SETTLED_S


@dataclass(frozen=True)
class Recognised:
    """Files by what they are: those that hold a known stream, new ones, and those that another look will tell."""

    known: tuple[tuple[Look, Stream], ...]
    new: tuple[Look, ...]
    unsure: tuple[Look, ...]
    copies: tuple[Look, ...]


def recognised(streams: Iterable[Stream], looks: Sequence[Look], now: float) -> Recognised:
    """Tell which file holds which stream. Reads the ends of files that changed."""
    every = list(streams)
    by_identity = {stream.identity: stream for stream in every if stream.present}
    waiting = [one for one in looks if one.fresh(now) and not _as_it_was(one, by_identity) and Contents(one).packed]
    looks = [one for one in looks if one not in waiting]
    known = [(one, found) for one in looks if (found := by_identity.get(one.identity)) and _goes_on(one, found)]
    held, taken = {id(one) for one, _ in known}, {stream.number for _, stream in known}
    lost = [stream for stream in every if stream.number not in taken and (stream.offset or stream.rest)]
    new: list[Look] = []
    unsure = waiting
    copies: list[Look] = []
    for early in (one for one in looks if id(one) not in held):
        # a copy may have been half made when the folder was read, and its original truncated since
        one = Look.at(early.source, early.file, early.ended)
        if one is None or one.identity != early.identity:
            unsure.append(early)
        elif found := next((s for s in _alike(one, lost) if holds(one, s)), None):
            lost.remove(found)
            known.append((one, found))
        elif any(_copied(one, other) for other, _ in known if _of_one_set(one, other.source)):
            copies.append(one)
        elif _unclear(one, looks, (lost, [stream for _, stream in known]), now):
            unsure.append(one)
        else:
            new.append(one)
    return Recognised(tuple(known), tuple(new), tuple(unsure), tuple(copies))


_Streams = tuple[Sequence[Stream], Sequence[Stream]]  # those that no file was found to hold, and the others


def _unclear(look: Look, looks: Sequence[Look], streams: _Streams, now: float) -> bool:
    """Return whether a file may be a copy of a log that is about to be truncated, or was while this was looked at."""
    lost, known = streams
    if any(holds(look, stream) for stream in _alike(look, known)):
        return True
    others = (other for other in looks if other.identity != look.identity and _of_one_set(look, other.source))
    return look.fresh(now) and (_half_made(look, [*lost, *known]) or any(_copied(look, other) for other in others))


def _as_it_was(look: Look, streams: Mapping[Identity, Stream]) -> bool:
    stream = streams.get(look.identity)
    return stream is not None and look.same(stream)


def _goes_on(look: Look, stream: Stream) -> bool:
    return look.same(stream) or holds(look, stream) or _rewritten(look, stream)


def _rewritten(look: Look, stream: Stream) -> bool:
    """Return whether a file is the next edition of a document, whose brackets close behind what was added."""
    if not stream.whole or look.source.path != stream.path or Contents(look).packed:
        return False
    return records.shaped(_bytes_of(look, 0, HEAD) or b"")


def _alike(look: Look, streams: Sequence[Stream]) -> list[Stream]:
    """Return the streams whose rest may be in a file, longest first: it has their name but for endings of rotation."""
    return sorted((s for s in streams if _of_one_set(look, s.source())), key=lambda s: (-s.offset, s.number))


def _of_one_set(look: Look, source: Source) -> bool:
    return stem(look.source.path) == stem(source.path) and not source.archive and not look.source.archive


def _half_made(look: Look, streams: Sequence[Stream]) -> bool:
    """Return whether a file may be a copy that is not whole yet: it begins as a stream does."""
    head = hashed(_bytes_of(look, 0, _ENDS))
    return any(look.size < stream.offset and head == stream.head for stream in _alike(look, streams))


def _copied(look: Look, other: Look) -> bool:
    """Return whether a file holds nothing but what another, which is followed, holds as well."""
    mine, theirs = Contents(look), Contents(other)
    begun = None if theirs.packed else mine.read(0, _ENDS)
    if not begun or begun != theirs.read(0, len(begun)):
        return False
    last = max(0, mine.size() - _ENDS)
    return mine.read(last, _ENDS) == theirs.read(last, min(_ENDS, mine.size() - last))


def holds(look: Look, stream: Stream) -> bool:
    """Return whether a file begins with all that was read of a stream."""
    contents, many = Contents(look), min(_ENDS, stream.offset)
    if not stream.offset:  # its first line had no end yet
        begun = stream.rest.encode("latin-1")
        return bool(begun) and contents.read(0, len(begun)) == begun
    if hashed(contents.read(0, many)) != stream.head:
        return False
    return ends(contents, stream.offset) == (stream.head, stream.tail)


def ends(contents: Contents, offset: int) -> tuple[str, str] | None:
    """Return hashes of the first bytes, and of the last before `offset`; None where there is less than that."""
    many = min(_ENDS, offset)
    pieces = [contents.read(at, many) for at in (0, offset - many)]
    if any(piece is None or len(piece) < many for piece in pieces):
        return None
    return hashed(pieces[0]), hashed(pieces[1])


def hashed(data: bytes | None) -> str:
    """Return the hash by which ends of files are compared."""
    return hashlib.sha256(data or b"").hexdigest()[:32]


class Contents:
    """The bytes of a file, decompressed; what cannot be read is none."""

    def __init__(self, look: Look) -> None:
        self._look = look
        head = b"" if look.source.archive else _bytes_of(look, 0, MAGIC)
        self.packed = bool(look.source.archive) or (head is not None and is_compressed(head))

    def size(self) -> int:
        """Return how many there are, as far as they can be read."""
        return sum(map(len, self._whole())) if self.packed else self._look.size

    def read(self, start: int, many: int) -> bytes | None:
        """Return some of them, fewer where the file ends; None where it cannot be read."""
        if not self.packed:
            return _bytes_of(self._look, start, many)
        found = b""
        for data in self._whole():
            found += data[start : start + many - len(found)]
            start = max(0, start - len(data))
            if len(found) == many:
                break
        return found

    def _whole(self) -> Iterator[bytes]:
        with suppress(NotWhole):
            yield from unpacked(self._look)


def unpacked(look: Look) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed, up to where it is damaged; raises NotWhole there."""
    buffer = memoryview(bytearray(CHUNK >> 2))
    try:
        with _counted(look) as raw:
            fill = filler(raw)
            while many := fill(buffer):
                yield bytes(buffer[:many])
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise NotWhole(str(error)) from None


class NotWhole(Exception):
    """A compressed file is damaged, cut short, or still being written."""


def _counted(look: Look) -> Counted:
    if look.source.archive:
        return Counted.of(look.source, None, lambda count: None)
    return Counted(_opened(look), None, lambda count: None)


def _opened(look: Look) -> FileIO:
    """Open a file; raises OSError also where its name is by now that of another."""
    raw = FileIO(look.file, "rb")
    info = os.fstat(raw.fileno())
    if (info.st_dev, info.st_ino) == look.identity[:2]:
        return raw
    raw.close()
    raise FileNotFoundError(f"{look.file} is another file by now")


def _bytes_of(look: Look, start: int, many: int) -> bytes | None:
    with suppress(OSError), _opened(look) as raw:
        return os.pread(raw.fileno(), many, start)
    return None
