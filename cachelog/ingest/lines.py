"""Files to units: about 16 MB of whole lines, from one big file or many small ones, decompressed on the way.

A unit remembers which of its rows belong to which input and line, so that every later stage is one
vectorised pass whatever the sizes of the files. Memory is bounded by the unit, also for one endless line.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cachelog.contract.limits import DEFAULT, Limits
from cachelog.ingest.discover import STDIN, Source, any_pipe

#: Stands for a line that is too long to keep: no valid UTF-8, so every reader counts it as bad.
OVERLONG = b"\xff"

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"
_CHUNK = 4 << 20
_STREAMS = 2  # stdout and stderr
_LOOK_BACK = 256  # lines; a piece of the other stream that is further back is not waited for


@dataclass(frozen=True)
class Segment:
    """Rows row0.. of a unit are lines line0.. of input `source`."""

    row0: int
    source: int
    line0: int


@dataclass(frozen=True)
class Unit:
    """Whole lines, each ended by a newline."""

    data: bytes
    segments: tuple[Segment, ...]
    rows: int

    def sources(self) -> npt.NDArray[np.uint32]:
        """Return the input of each row."""
        return np.repeat(np.array([s.source for s in self.segments], np.uint32), self._lengths())

    def lines(self) -> npt.NDArray[np.uint64]:
        """Return the 1-based line number of each row within its input."""
        shift = np.array([s.line0 - s.row0 for s in self.segments], np.int64)
        return (np.arange(self.rows, dtype=np.int64) + np.repeat(shift, self._lengths())).astype(np.uint64)

    def _lengths(self) -> npt.NDArray[np.int64]:
        starts = [s.row0 for s in self.segments]
        return np.array([*starts[1:], self.rows], np.int64) - np.array(starts, np.int64)


@dataclass(frozen=True)
class Piece:
    """A line of an envelope that cuts long lines: its stream, and whether the next line of this goes on with it."""

    stream: bytes
    open: bool


@dataclass
class ReadLog:
    """What reading itself learnt, by input: bytes after decompression, why an input ended early, and where lines are.

    `marks` are (line, offset in the decompressed bytes) at which a block begins or the input ends, ascending.
    """

    bytes: dict[int, int] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    marks: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    interrupted: bool = False


def units(
    sources: Sequence[Source],
    log: ReadLog,
    *,
    piece: Callable[[bytes], Piece | None] = lambda line: None,
    limits: Limits = DEFAULT,
    spool: str | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[Unit]:
    """Yield units over all inputs in order; small inputs share one.

    `piece(line)` tells of a line that may be a piece of a longer one: a unit never ends inside a line. Pipes are
    copied into the folder `spool` while they are read. `advance` gets the number of compressed bytes read.
    """
    parts: list[bytes] = []
    segments: list[Segment] = []
    rows = size = 0
    for index, source in enumerate(sources):
        if source.note:
            continue
        line, marks = 1, log.marks.setdefault(index, [])
        for block in _blocks(index, source, log, piece, limits, spool, advance):
            if size and size + len(block) > limits.block_bytes:
                yield Unit(b"".join(parts), tuple(segments), rows)
                parts, segments, rows, size = [], [], 0, 0
            count = int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
            segments.append(Segment(rows, index, line))
            parts.append(block)
            rows, size, line = rows + count, size + len(block), line + count
            if marks:  # none while offsets are not known
                marks.append((line, marks[-1][1] + len(block)))
        if log.interrupted:
            break
    if parts:
        yield Unit(b"".join(parts), tuple(segments), rows)


def _blocks(
    index: int,
    source: Source,
    log: ReadLog,
    piece: Callable[[bytes], Piece | None],
    limits: Limits,
    spool: str | None,
    advance: Callable[[int], None],
) -> Iterator[bytes]:
    """Yield blocks of whole lines of one input; damage ends the input with a note, never with an error."""
    cutter = _Cutter(piece, limits)
    try:
        for number, chunk in enumerate(_chunks(source, spool, advance, min(_CHUNK, limits.block_bytes))):
            log.bytes[index] = log.bytes.get(index, 0) + len(chunk)
            body = chunk.removeprefix(_BOM) if number == 0 else chunk
            if number == 0:
                log.marks[index].append((1, len(chunk) - len(body)))
            yield from cutter.feed(body)
            if cutter.overlong:  # what stands for the line is shorter than the line
                log.marks[index].clear()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        log.notes[index] = f"ended early: {getattr(error, 'strerror', None) or error}"
    except KeyboardInterrupt:  # ends all reading; what was read so far is told
        log.interrupted = True
    yield from cutter.close()


class _Cutter:
    """Cuts a stream of chunks into blocks of whole lines of about limits.block_bytes."""

    def __init__(self, piece: Callable[[bytes], Piece | None], limits: Limits) -> None:
        self.piece = piece
        self.limits = limits
        self.held: list[bytes] = []
        self.size = 0
        self.tail = 0  # bytes since the last newline
        self.overlong = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take a chunk; yield a block when there is enough."""
        if self.overlong:
            cut = chunk.find(b"\n")
            if cut < 0:
                return
            chunk, self.overlong = OVERLONG + chunk[cut:], False
        last = chunk.rfind(b"\n")
        self.tail = len(chunk) - last - 1 if last >= 0 else self.tail + len(chunk)
        self.held.append(chunk)
        self.size += len(chunk)
        if self.tail > self.limits.line_bytes:
            yield from self._give_up_line()
        elif self.size >= self.limits.block_bytes and self.size > self.tail:
            yield from self._cut()

    def _give_up_line(self) -> Iterator[bytes]:
        whole = b"".join(self.held)
        end = len(whole) - self.tail
        self.held, self.size, self.tail, self.overlong = [], 0, 0, True
        if end:
            yield whole[:end]

    def _cut(self) -> Iterator[bytes]:
        last = self.held.pop() if self.tail < len(self.held[-1]) else b"".join(self.held)
        ended = len(last) - self.tail
        whole = b"".join([*self.held, last[:ended]]) if len(last) < self.size else last[:ended]
        end = self._closed(whole, len(whole))
        self.held = [whole[end:] + last[ended:]]
        self.size = len(self.held[0])
        if end:
            yield whole[:end]

    def _closed(self, whole: bytes, end: int) -> int:
        """Return the last end of a line at which no stream is inside one; `end` where that is too far back."""
        cut = end
        while cut > 0 and end - cut < self.limits.line_bytes:
            if (start := self._open(whole, cut)) is None:
                return cut
            cut = start
        return 0 if cut == 0 and end < self.limits.line_bytes else end

    def _open(self, whole: bytes, cut: int) -> int | None:
        """Return where the last piece before `cut` begins that its stream goes on with after it."""
        seen: set[bytes] = set()
        for _ in range(_LOOK_BACK):
            start = whole.rfind(b"\n", 0, max(cut - 1, 0)) + 1
            piece = self.piece(whole[start : cut - 1]) if cut else None
            if piece is None or len(seen) == _STREAMS:
                return None
            if piece.open and piece.stream not in seen:
                return start
            seen.add(piece.stream)
            cut = start
        return None

    def close(self) -> Iterator[bytes]:
        """Yield what is left; a last line without a newline is a line."""
        whole = b"".join(self.held) + (OVERLONG if self.overlong else b"")
        if whole:
            yield whole if whole.endswith(b"\n") else whole + b"\n"


def _chunks(source: Source, spool: str | None, advance: Callable[[int], None], size: int) -> Iterator[bytes]:
    """Yield the decompressed bytes of an input, at most `size` at a time."""
    with _Counted(_raw(source), _copy(source, spool), advance) as raw:
        head = raw.peek()
        if head.startswith(_GZIP):
            yield from _gunzip(raw, size)
        elif head.startswith(_ZSTD):
            yield from _unzstd(raw, size)
        else:
            yield from iter(lambda: raw.read(size), b"")


def _gunzip(raw: _Counted, size: int) -> Iterator[bytes]:
    """Yield at most `size` at a time, so that neither a bomb nor a cut file costs more than that; members follow on."""
    member, data = zlib.decompressobj(wbits=31), b""
    fresh = True  # nothing of this member was seen yet
    while data or (data := raw.read(1 << 20)):
        fresh = False
        if out := member.decompress(data, size):
            yield out
        data = member.unconsumed_tail
        if member.eof:
            data = member.unused_data.lstrip(b"\0")
            member, fresh = zlib.decompressobj(wbits=31), True
    if not fresh:
        yield member.flush()
        raise EOFError("the compressed file is cut short")


def _unzstd(raw: _Counted, size: int) -> Iterator[bytes]:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    yield from iter(lambda: stream.read(min(size, _CHUNK >> 4)), b"")


def _raw(source: Source) -> BinaryIO:
    if source.path != STDIN:
        return open(source.path, "rb", buffering=0)
    # unbuffered: an interrupted read of a buffered stream loses what it had so far
    return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)


class _Counted:
    """A readable that counts what is read, looks ahead without seeking, and copies a pipe to the spool."""

    def __init__(self, raw: BinaryIO, copy: str | None, advance: Callable[[int], None]) -> None:
        self.raw = raw
        self.copy = open(copy, "wb") if copy else None  # noqa: SIM115 - closed with this reader
        self.advance = advance
        self.head = b""
        self.closed = False

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the spool, and the file unless it is standard input."""
        if self.copy:
            self.copy.close()
        if self.raw is not sys.stdin.buffer and self.raw is not getattr(sys.stdin.buffer, "raw", None):
            self.raw.close()
        self.closed = True

    def readable(self) -> bool:
        """Return True: pyarrow and gzip ask."""
        return True

    def peek(self) -> bytes:
        """Return the first bytes without consuming them."""
        while len(self.head) < len(_ZSTD) and (more := self._next(64 << 10)):
            self.head += more
        return self.head

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, everything when it is negative."""
        if size is None or size < 0:
            rest, self.head = self.head, b""
            return rest + b"".join(iter(lambda: self._next(_CHUNK), b""))
        if self.head:
            taken, self.head = self.head[:size], self.head[size:]
            return taken
        return self._next(size)

    def _next(self, size: int) -> bytes:
        data = self.raw.read(size) or b""
        if self.copy:
            self.copy.write(data)
        self.advance(len(data))
        return data


def open_spool(paths: Sequence[str]) -> str | None:
    """Create a private temporary folder for copies of pipes; None where no path is one. `drop_spool` removes it."""
    return tempfile.mkdtemp(prefix="cachelog-") if any_pipe(paths) else None


def drop_spool(spool: str | None) -> None:
    """Remove what open_spool made."""
    if spool:
        shutil.rmtree(spool, ignore_errors=True)


def _copy(source: Source, spool: str | None) -> str | None:
    return (
        os.path.join(spool, f"{zlib.crc32(source.path.encode('utf-8', 'surrogateescape')):08x}")
        if source.pipe and spool
        else None
    )


def again(source: Source, spool: str | None) -> Source | None:
    """Return what to open in order to read an input once more; None for a pipe that was not kept."""
    if not source.pipe:
        return source
    copy = _copy(source, spool)
    return Source(copy) if copy and os.path.exists(copy) else None


def cite(
    source: Source,
    wanted: Sequence[int],
    context: int = 0,
    spool: str | None = None,
    marks: Sequence[tuple[int, int]] = (),
) -> dict[int, str]:
    """Return the raw text of 1-based lines `wanted` with `context` lines around each, by line number.

    Reads the input once more up to the last wanted line; of a file that is not compressed only the blocks that hold
    them, where `marks` (ReadLog.marks) tell. Undecodable bytes are shown as escapes.
    """
    if (kept := again(source, spool)) is None:
        return {}
    numbers = sorted({n for w in wanted for n in range(max(1, w - context), w + context + 1)})
    if marks and not source.pipe and numbers and (picked := _picked(kept.path, numbers, marks)) is not None:
        return picked
    found: dict[int, str] = {}
    first = 1
    for unit in units([kept], ReadLog()):
        stop = first + unit.rows
        if here := [n for n in numbers if first <= n < stop]:
            found |= _pick(unit.data, here, first)
        if not numbers or numbers[-1] < stop:
            break
        first = stop
    return found


def _picked(path: str, numbers: list[int], marks: Sequence[tuple[int, int]]) -> dict[int, str] | None:
    """Read only the blocks that hold lines; None where the file is compressed or has changed since."""
    found: dict[int, str] = {}
    with suppress(OSError), open(path, "rb") as raw:
        if raw.read(len(_ZSTD)).startswith((_GZIP, _ZSTD)):
            return None
        for (first, start), (stop, end) in pairwise(marks):
            if not (here := [n for n in numbers if first <= n < stop]):
                continue
            raw.seek(start)
            data = raw.read(end - start)
            data += b"" if data.endswith(b"\n") else b"\n"
            if data.count(b"\n") != stop - first:
                return None
            found |= _pick(data, here, first)
        return found
    return None


def _pick(data: bytes, numbers: list[int], first: int) -> dict[int, str]:
    view = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(view == ord("\n"))
    picked: dict[int, str] = {}
    for number in numbers:
        row = number - first
        start = int(ends[row - 1]) + 1 if row else 0
        picked[number] = data[start : int(ends[row])].rstrip(b"\r").decode("utf-8", "backslashreplace")
    return picked
