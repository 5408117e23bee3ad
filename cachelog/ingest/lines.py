"""Files to units: about 16 MB of whole lines, from one big file or many small ones, decompressed on the way.

A unit remembers which of its rows belong to which input and line, so that every later stage is one
vectorised pass whatever the sizes of the files. Bytes are read straight into a few buffers that are used again and
again: nothing is copied, no page is touched twice. Memory is bounded by the unit, also for one endless line.
"""

from __future__ import annotations

import io
import mmap
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from cachelog.contract.limits import DEFAULT, Limits
from cachelog.ingest import archives, json_scan, records
from cachelog.ingest.discover import Source
from cachelog.ingest.opened import CHUNK, Counted, Fill, Window, filler, part

#: Stands for a line that is too long to keep: no valid UTF-8, so every reader counts it as bad.
OVERLONG = b"\xff"

_BOM = b"\xef\xbb\xbf"
_STREAMS = 2  # stdout and stderr
_LOOK_BACK = 256  # lines; a piece of the other stream that is further back is not waited for
_KEPT = 8  # buffers: two a thread, one that is filled, and some for text that outlives its unit


@dataclass(frozen=True)
class Segment:
    """Rows row0.. of a unit, which begin at byte0, are lines line0.. of input `source`."""

    row0: int
    source: int
    line0: int
    byte0: int = 0


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
    held: Mapping[int, bytes] | None = None,
) -> Iterator[Unit]:
    """Yield units over all inputs in order, of some only the window that is named; small inputs share one.

    `piece(line)` tells of a line that may be a piece of a longer one: a unit never ends inside a line. Pipes are
    copied into the folder `spool` while they are read. `advance` gets the number of compressed bytes read. Of an
    input in `held` these are the bytes, and its window is one of them.
    """
    packer = _Packer(piece, limits, log)
    for index, source in enumerate(sources):
        window = windows.get(index) if windows else None
        if source.note or (window and window.start >= window.end):
            continue
        packer.growth.begin(source.archive or source.path)
        bytes_ = held.get(index) if held else None
        opened = partial(Counted.of, source, spool, advance) if bytes_ is None else partial(_in_memory, bytes_, advance)
        yield from packer.input(index, window, opened)
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
        self.buffers = _Buffers(limits.block_bytes + 2 * limits.line_bytes + 2 * CHUNK)
        self.segments: list[Segment] = []
        self.rows = 0
        self._open_buffer()
        self.index, self.line = 0, 1  # the input that is read, and the line of it that comes next
        self.begun = self.lines = self.end = 0  # where its lines begin and end, and where the bytes end
        self.overlong = False

    def _open_buffer(self) -> None:
        self.buffer = self.buffers.take()
        self.view = memoryview(self.buffer)

    def input(self, index: int, window: Window | None, opened: Callable[[], Counted]) -> Iterator[Unit]:
        """Add one input; yield the units that it fills. Damage ends the input with a note, never with an error."""
        self.index, self.line, self.begun, self.lines = index, window.line if window else 1, self.end, self.end
        self.log.marks.setdefault(index, [])
        try:
            with opened() as raw:
                # what a log grew by is read as it stands: a rewritten one is always read from its beginning
                fill = records.Rewritten(part(raw, window) if window else filler(raw), looks=not window)
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
        count = fill(self.view[start : start + min(CHUNK, self.limits.block_bytes)])
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
        end = closed(self.buffer, self.begun, self.lines, self.piece, self.limits.line_bytes)
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
        self.segments.append(Segment(self.rows, self.index, self.line, self.begun))
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


def _in_memory(data: bytes, advance: Callable[[int], None]) -> Counted:
    return Counted(io.BytesIO(data), None, advance)


_Bytes = bytes | mmap.mmap
Pieces = Callable[[bytes], Piece | None]


def closed(data: _Bytes, begun: int, end: int, piece: Pieces, most: int) -> int:
    """Return the last end of a line, from `begun` to `end`, at which no stream is inside a line that goes on.

    `begun` for none; `end`, which is one, where that is further back than `most` bytes.
    """
    cut = end
    while cut > begun and end - cut < most:
        if (start := _open(data, begun, cut, piece)) is None:
            return cut
        cut = start
    return begun if end - begun < most else end


def _open(data: _Bytes, begun: int, cut: int, piece: Pieces) -> int | None:
    """Return where the last piece before `cut` begins that its stream goes on with after it."""
    seen: set[bytes] = set()
    for _ in range(_LOOK_BACK):
        if cut <= begun:
            return None
        start = max(data.rfind(b"\n", begun, cut - 1) + 1, begun)
        found = piece(data[start : cut - 1])
        if found is None or len(seen) == _STREAMS:
            return None
        if found.open and found.stream not in seen:
            return start
        seen.add(found.stream)
        cut = start
    return None
