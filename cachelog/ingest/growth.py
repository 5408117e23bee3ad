"""What a log grew by: whole lines behind the place up to which it was read, and proof that they are of this log.

A file can be truncated, or replaced, at any moment while it is read. So bytes are taken first and believed afterwards:
when they were taken, the same open file must still begin and go on as the stream did.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace

from cachelog.contract.limits import Limits
from cachelog.ingest import records
from cachelog.ingest.lines import OVERLONG, Pieces, closed
from cachelog.ingest.streams import HEAD, Contents, Look, NotWhole, Stream, ends, hashed, unpacked


@dataclass(frozen=True)
class Slice:
    """Lines to read: `data`, or the whole file where it is None; `stream` is what will have been read of it then.

    They begin at `start` in the log, None where that is not known. `replaces` is the number of a stream that this one
    is read instead of. `more`: the file holds more.
    """

    look: Look
    stream: Stream
    data: bytes | None = None
    replaces: int | None = None
    more: bool = False
    start: int | None = None


def grown(look: Look, stream: Stream | None, number: int, piece: Pieces, limits: Limits) -> Slice | None:
    """Return what a file holds beyond what was read of it; None for nothing, or where it is about to change.

    `number` is that of a new stream, which has its lines from the first on.
    """
    if stream is not None and look.same(stream):
        return None
    contents = Contents(look)
    head = b"" if contents.packed else contents.read(0, HEAD)
    if head is None or not (look.size or stream):
        return None
    if contents.packed and stream is not None and not stream.whole:
        return _rest(look, stream)
    if contents.packed or records.shaped(head):
        return _anew(look, stream, number) if look.ended else None
    if stream is None or stream.whole:
        fresh = _placed(Stream(number, look.source.path), look)
        return _lines(look, fresh, piece, limits, stream.number if stream else None)
    return _lines(look, stream, piece, limits, None)


def _placed(stream: Stream, look: Look) -> Stream:
    """Return a stream where it is found now."""
    source, (device, inode, _) = look.source, look.identity
    mtime = source.mtime if source.pipe else look.changed / 1e9 if not source.archive else source.mtime
    return replace(
        stream, path=source.path, archive=source.archive, pipe=source.pipe, device=device, inode=inode, mtime=mtime,
        size=look.size, changed=look.changed, present=True, note=source.note,
    )  # fmt: skip


def _anew(look: Look, stream: Stream | None, number: int) -> Slice:
    """Read all of a file: where one line ends depends on what is before it, or its bytes are packed."""
    whole = replace(_placed(Stream(number, look.source.path), look), whole=True)
    return Slice(look, whole, replaces=stream.number if stream else None)


def _rest(look: Look, stream: Stream) -> Slice | None:
    """Read what a compressed copy of a log holds beyond what was read of the log; None while it is not whole."""
    offset = stream.offset
    parts: list[bytes] = []
    try:
        for data in unpacked(look):
            parts.append(data[offset:])
            offset = max(0, offset - len(data))
    except NotWhole:  # it is still being written
        return None
    rest = b"".join(parts)
    done = replace(_placed(stream, look), offset=stream.offset + len(rest), rest="")
    head, tail = ends(Contents(look), done.offset) or ("", "")
    return Slice(look, replace(done, head=head, tail=tail), rest, start=stream.offset)


def _lines(look: Look, stream: Stream, piece: Pieces, limits: Limits, replaces: int | None) -> Slice | None:
    """Take whole lines of a file that grows; raises nothing: what is gone meanwhile is looked for again."""
    with suppress(OSError), open(look.file, "rb", buffering=0) as raw:
        if os.fstat(raw.fileno()).st_ino != look.identity[1]:
            return None
        most = 2 * limits.line_bytes
        data = os.pread(raw.fileno(), most, stream.offset)
        if not (data or stream.offset):  # it was truncated since it was looked at: nothing of a log was seen
            return None
        taken = _taken(data, stream, piece, limits, full=len(data) == most)
        if _still(raw.fileno(), stream, data):
            return _slice(raw.fileno(), look, taken, stream, replaces, data)
    return None


@dataclass(frozen=True)
class _Taken:
    """Lines out of bytes: `used` of them are done with, what follows waits for its end."""

    lines: bytes
    used: int
    skipping: bool
    rest: bytes
    full: bool


def _taken(data: bytes, stream: Stream, piece: Pieces, limits: Limits, *, full: bool) -> _Taken:
    begun = 0
    if stream.skipping:
        begun = data.find(b"\n")
        if begun < 0:
            return _Taken(b"", len(data), True, OVERLONG, full)
    end = data.rfind(b"\n") + 1
    cut = closed(data, begun, end, piece, limits.line_bytes) if end else 0
    lines = (OVERLONG if stream.skipping and cut > begun else b"") + data[begun:cut]
    if cut <= begun and full:  # no line of so many bytes is one
        return _Taken(b"", len(data), True, OVERLONG, full)
    used = cut if cut > begun else 0
    rest = data[used:]
    held = OVERLONG if len(rest) > limits.line_bytes or (stream.skipping and not used) else rest
    return _Taken(lines, used, stream.skipping and not used, held if not full else b"", full)


def _still(file: int, stream: Stream, data: bytes) -> bool:
    """Return whether a file still begins, and goes on, as the stream did, and holds the bytes that were taken."""
    if os.fstat(file).st_size < stream.offset + len(data):
        return False
    many = min(1 << 10, stream.offset) or min(1 << 10, len(data))
    head = os.pread(file, many, 0)
    if not stream.offset:
        return head == data[:many]
    tail = os.pread(file, many, stream.offset - many)
    return (hashed(head), hashed(tail)) == (stream.head, stream.tail)


def _slice(
    file: int, look: Look, taken: _Taken, stream: Stream, replaces: int | None, data: bytes
) -> Slice | None:  # fmt: skip
    """Note the ends of what was read; None where the file changed since."""
    offset = stream.offset + taken.used
    many = min(1 << 10, offset)
    head, tail = os.pread(file, many, 0), os.pread(file, many, offset - many)
    if not _still(file, stream, data) or len(head) < many or len(tail) < many:
        return None
    done = replace(
        _placed(stream, look), offset=offset, head=hashed(head), tail=hashed(tail), skipping=taken.skipping,
        rest=taken.rest.decode("latin-1"), size=-1 if taken.full else look.size,
        bytes=stream.bytes + taken.used - len(taken.lines),  # reading adds the lines
    )  # fmt: skip
    start = stream.offset if len(taken.lines) == taken.used else None
    return Slice(look, done, taken.lines, replaces, taken.full, start)
