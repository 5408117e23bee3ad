"""Files to units: about 16 MB of whole lines, from one big file or many small ones, decompressed on the way.

A unit remembers which of its rows belong to which input and line, so that every later stage is one
vectorised pass whatever the sizes of the files. Bytes are read straight into a few buffers that are used again and
again: nothing is copied, no page is touched twice. Memory is bounded by the unit, also for one endless line.
"""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cachelog.contract.limits import DEFAULT, Limits
from cachelog.ingest import archives, columnar, json_scan, records, unpack
from cachelog.ingest.discover import STDIN, Source

#: Stands for a line that is too long to keep: no valid UTF-8, so every reader counts it as bad.
OVERLONG = b"\xff"

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"
MAGIC = 16  # bytes that tell how a file is compressed
_CHUNK = 4 << 20  # bytes read at once: progress is told, and Ctrl-C heard, between reads
_STREAMS = 2  # stdout and stderr
_LOOK_BACK = 256  # lines; a piece of the other stream that is further back is not waited for
_KEPT = 8  # buffers: two a thread, one that is filled, and some for text that outlives its unit

Fill = Callable[[memoryview], int]


@dataclass(frozen=True)
class Segment:
    """Rows row0.. of a unit are lines line0.. of input `source`."""

    row0: int
    source: int
    line0: int


@dataclass(frozen=True)
class Unit:
    """Whole lines, each ended by a newline; the bytes are used again once nothing refers to them."""

    data: memoryview
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


@dataclass(frozen=True)
class Window:
    """The part of an input that is read: bytes from `start`, where line `line` begins, up to `end`."""

    start: int
    line: int
    end: int


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
    windows: Mapping[int, Window] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[Unit]:
    """Yield units over all inputs in order, of some only the window that is named; small inputs share one.

    `piece(line)` tells of a line that may be a piece of a longer one: a unit never ends inside a line. Pipes are
    copied into the folder `spool` while they are read. `advance` gets the number of compressed bytes read.
    """
    packer = _Packer(piece, limits, log)
    for index, source in enumerate(sources):
        window = windows.get(index) if windows else None
        if source.note or (window and window.start >= window.end):
            continue
        packer.growth.begin(source.archive or source.path)
        yield from packer.input(index, window, partial(_Counted.of, source, spool, advance))
        if log.interrupted:
            break
    yield from packer.rest()


class _Buffers:
    """Memory that is used again as soon as nothing refers to it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.made = [mmap.mmap(-1, size)]
        # every view of a buffer, and every Arrow array over it, counts as a reference
        self.unused = sys.getrefcount(self.made[0])

    def take(self) -> mmap.mmap:
        """Return a buffer that nobody looks at; what it holds is of no meaning."""
        for at in range(len(self.made)):
            if sys.getrefcount(self.made[at]) == self.unused:
                return self.made[at]
        buffer = mmap.mmap(-1, self.size)
        if len(self.made) < _KEPT:
            self.made.append(buffer)
        return buffer


class _Packer:
    """Fills one buffer after another with whole lines."""

    def __init__(self, piece: Callable[[bytes], Piece | None], limits: Limits, log: ReadLog) -> None:
        self.piece, self.limits, self.log, self.growth = piece, limits, log, archives.Growth(limits)
        # a full unit, pieces of a line that wait for more, a line that is not ended yet, and what is read at once
        self.buffers = _Buffers(limits.block_bytes + 2 * limits.line_bytes + 2 * _CHUNK)
        self.segments: list[Segment] = []
        self.rows = 0
        self._open_buffer()
        self.index, self.line = 0, 1  # the input that is read, and the line of it that comes next
        self.begun = self.lines = self.end = 0  # where its lines begin and end, and where the bytes end
        self.overlong = False

    def _open_buffer(self) -> None:
        self.buffer = self.buffers.take()
        self.view = memoryview(self.buffer)

    def input(self, index: int, window: Window | None, opened: Callable[[], _Counted]) -> Iterator[Unit]:
        """Add one input; yield the units that it fills. Damage ends the input with a note, never with an error."""
        self.index, self.line, self.begun, self.lines = index, window.line if window else 1, self.end, self.end
        self.log.marks.setdefault(index, [])
        try:
            with opened() as raw:
                # what a log grew by is read as it stands: a rewritten one is always read from its beginning
                fill = records.Rewritten(_part(raw, window) if window else _filler(raw), looks=not window)
                self._begin(fill.readinto, window.start if window else 0)
                if fill.changed:  # offsets in what is read are none in the file
                    self.log.marks[index].clear()
                while self._more(fill.readinto):
                    if self.end >= self.limits.block_bytes:
                        yield from self._cut()
        except (OSError, EOFError, ValueError, zlib.error) as error:
            self.log.notes[index] = f"ended early: {getattr(error, 'strerror', None) or error}"
        except KeyboardInterrupt:  # ends all reading; what was read so far is told
            self.log.interrupted = True
        self._end_input()
        if self.end >= self.limits.block_bytes:
            yield from self.rest()

    def rest(self) -> Iterator[Unit]:
        """Yield what no unit holds yet."""
        if self.segments:
            yield self._unit(self.end)

    def _begin(self, fill: Fill, offset: int) -> None:
        """Read the first bytes, without the mark that some editors put there."""
        while self.end - self.begun < len(_BOM) and self._more(fill):
            pass
        bom = len(_BOM) if self.view[self.begun : self.end][: len(_BOM)] == _BOM else 0
        if bom:
            self.view[self.begun : self.end - bom] = bytes(self.view[self.begun + bom : self.end])
            self.end -= bom
            self.lines = max(self.begun, self.lines - bom)
        marks = self.log.marks[self.index]
        if not self.overlong and not marks:
            marks.append((self.line, offset + bom))

    def _more(self, fill: Fill) -> bool:
        """Read on; return False at the end."""
        start = self.end
        count = fill(self.view[start : start + min(_CHUNK, self.limits.block_bytes)])
        if not count:
            return False
        self.growth.add(count)
        self.log.bytes[self.index] = self.log.bytes.get(self.index, 0) + count
        self.end += count
        if self.overlong:
            start = self._resume(start)
        if (last := self.buffer.rfind(b"\n", start, self.end)) >= 0:
            self.lines = last + 1
        if self.end - self.lines > self.limits.line_bytes:
            self.end, self.overlong = self.lines, True
            self.log.marks[self.index].clear()  # what stands for the line is shorter than the line
        return True

    def _resume(self, start: int) -> int:
        """Look for the end of a line that was given up; return where what follows it begins."""
        cut = self.buffer.find(b"\n", start, self.end)
        kept = OVERLONG + bytes(self.view[cut : self.end]) if cut >= 0 else b""
        self.end = start + len(kept)
        self.view[start : self.end] = kept
        self.overlong = cut < 0
        return start

    def _cut(self) -> Iterator[Unit]:
        """Yield a unit of what is whole; the rest begins the next one."""
        end = self._closed(self.lines)
        if end == 0:  # nothing is whole yet
            return
        self._enter(end)
        yield self._unit(end)

    def _unit(self, end: int) -> Unit:
        """Return the lines up to here as a unit, and begin another with the rest."""
        unit = Unit(self.view[:end], tuple(self.segments), self.rows)
        rest, full = self.view[end : self.end], self.lines - end
        self._open_buffer()
        self.view[: len(rest)] = rest
        self.segments, self.rows = [], 0
        self.begun, self.lines, self.end = 0, full, len(rest)
        return unit

    def _enter(self, end: int) -> None:
        """Note the lines of this input up to here."""
        if end == self.begun:
            return
        count = json_scan.newlines(self.view[self.begun : end])
        self.segments.append(Segment(self.rows, self.index, self.line))
        self.rows, self.line = self.rows + count, self.line + count
        if marks := self.log.marks[self.index]:  # none while offsets are not known
            marks.append((self.line, marks[-1][1] + end - self.begun))

    def _end_input(self) -> None:
        """A last line without a newline is a line."""
        tail = OVERLONG if self.overlong else b""
        self.overlong = False
        if self.end > self.lines or tail:
            tail += b"\n"
        self.view[self.end : self.end + len(tail)] = tail
        whole = self.end
        self.end += len(tail)
        self._enter(self.end)
        if tail and (marks := self.log.marks[self.index]):
            marks[-1] = (marks[-1][0], marks[-1][1] - self.end + whole)
        self.begun = self.lines = self.end

    def _closed(self, end: int) -> int:
        """Return the last end of a line at which no stream is inside one; `end` where that is too far back."""
        cut = end
        while cut > self.begun and end - cut < self.limits.line_bytes:
            if (start := self._open(cut)) is None:
                return cut
            cut = start
        return self.begun if end - self.begun < self.limits.line_bytes else end

    def _open(self, cut: int) -> int | None:
        """Return where the last piece before `cut` begins that its stream goes on with after it."""
        seen: set[bytes] = set()
        for _ in range(_LOOK_BACK):
            if cut <= self.begun:
                return None
            start = max(self.buffer.rfind(b"\n", self.begun, cut - 1) + 1, self.begun)
            piece = self.piece(self.buffer[start : cut - 1])
            if piece is None or len(seen) == _STREAMS:
                return None
            if piece.open and piece.stream not in seen:
                return start
            seen.add(piece.stream)
            cut = start
        return None


def is_compressed(head: bytes) -> bool:
    """Return whether the lines of a file that begins so, with MAGIC bytes, are not the bytes of the file."""
    return head.startswith((_GZIP, _ZSTD)) or unpack.packed(head) or columnar.is_columnar(head)


def _part(raw: _Counted, window: Window) -> Fill:
    """Return what fills a buffer with the bytes of a window."""
    raw.raw.seek(window.start)
    left = window.end - window.start

    def fill(view: memoryview) -> int:
        nonlocal left
        count = raw.readinto(view[:left])
        left -= count
        return count

    return fill


def _filler(raw: _Counted) -> Fill:
    """Return what fills a buffer with the decompressed bytes of an input and says how many, 0 at the end."""
    head = raw.peek()
    if head.startswith(_GZIP):
        return _Gunzip(raw).readinto
    if columnar.is_columnar(head):
        return columnar.Lines(raw.raw, head).readinto
    if head.startswith(_ZSTD):
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        return lambda view: int(stream.readinto(view))
    return unpack.filler(raw, head) if unpack.packed(head) else raw.readinto


def _inflate() -> ModuleType:
    """Return the module that inflates: Intel's ISA-L is twice as fast as zlib, and not on every platform."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


class _Gunzip:
    """Inflates at most what fits, so that neither a bomb nor a cut file costs more than that; members follow on."""

    def __init__(self, raw: _Counted) -> None:
        self.raw = raw
        self.engine = _inflate()
        self.member = self.engine.decompressobj(wbits=31)
        self.data = b""
        self.fresh = True  # nothing of this member was seen yet

    def readinto(self, view: memoryview) -> int:
        """Fill the view, return the number of bytes, 0 at the end; raises EOFError where the input is cut short."""
        while self.data or (data := self.raw.read(1 << 20)):
            data, self.data, self.fresh = self.data or data, b"", False
            out = self.member.decompress(data, len(view))
            self.data = self.member.unconsumed_tail
            if self.member.eof:
                self.data = self.member.unused_data.lstrip(b"\0")
                self.member, self.fresh = self.engine.decompressobj(wbits=31), True
            if out:
                view[: len(out)] = out
                return len(out)
        if self.fresh:
            return 0
        if out := self.member.flush()[: len(view)]:
            self.member, view[: len(out)] = self.engine.decompressobj(wbits=31), out
            return len(out)
        raise EOFError("the compressed file is cut short")


def _raw(source: Source) -> BinaryIO:
    if source.archive or (archives.MARK in source.path and not os.path.lexists(source.path)):
        return archives.open_member(source.path)
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

    @classmethod
    def of(cls, source: Source, spool: str | None, advance: Callable[[int], None]) -> _Counted:
        """Open an input; raises OSError."""
        return cls(_raw(source), _copy(source, spool), advance)

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

    def readinto(self, view: memoryview) -> int:
        """Fill the view as far as one read goes; return the number of bytes, 0 at the end."""
        if self.head:
            count = min(len(view), len(self.head))
            view[:count], self.head = self.head[:count], self.head[count:]
            return count
        count = self.raw.readinto(view) or 0  # type: ignore[attr-defined]
        if self.copy:
            self.copy.write(view[:count])
        self.advance(count)
        return count

    def _next(self, size: int) -> bytes:
        data = self.raw.read(size) or b""
        if self.copy:
            self.copy.write(data)
        self.advance(len(data))
        return data


def open_spool() -> str:
    """Create a private temporary folder for copies of pipes and for events that memory does not hold.

    `drop_spool` removes it.
    """
    return tempfile.mkdtemp(prefix="cachelog-")


def drop_spool(spool: str) -> None:
    """Remove what open_spool made."""
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
        if is_compressed(raw.read(MAGIC)):
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


def _pick(data: bytes | memoryview, numbers: list[int], first: int) -> dict[int, str]:
    view = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(view == ord("\n"))
    picked: dict[int, str] = {}
    for number in numbers:
        row = number - first
        start = int(ends[row - 1]) + 1 if row else 0
        picked[number] = bytes(data[start : int(ends[row])]).rstrip(b"\r").decode("utf-8", "backslashreplace")
    return picked
