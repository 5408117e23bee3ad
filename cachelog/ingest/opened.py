"""An input opened: its bytes decompressed or rewritten, in order, counted, and kept where it can be read once only."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import BinaryIO

from cachelog.ingest import archives, columnar, unpack
from cachelog.ingest.discover import STDIN, Source

MAGIC = 16  # bytes that tell how a file is compressed
CHUNK = 4 << 20  # bytes read at once: progress is told, and Ctrl-C heard, between reads
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"

Fill = Callable[[memoryview], int]


@dataclass(frozen=True)
class Window:
    """The part of an input that is read: bytes from `start`, where line `line` begins, up to `end`."""

    start: int
    line: int
    end: int


def is_compressed(head: bytes) -> bool:
    """Return whether the lines of a file that begins so, with MAGIC bytes, are not the bytes of the file."""
    return head.startswith((_GZIP, _ZSTD)) or unpack.packed(head) or columnar.is_columnar(head)


def part(raw: Counted, window: Window) -> Fill:
    """Return what fills a buffer with the bytes of a window."""
    raw.raw.seek(window.start)
    left = window.end - window.start

    def fill(view: memoryview) -> int:
        nonlocal left
        count = raw.readinto(view[:left])
        left -= count
        return count

    return fill


def filler(raw: Counted) -> Fill:
    """Return what fills a buffer with the decompressed bytes of an input and says how many, 0 at the end."""
    head = raw.peek()
    if head.startswith(_GZIP):
        return _Gunzip(raw).readinto
    if columnar.is_columnar(head):
        return columnar.Lines(raw.raw, head).readinto
    if head.startswith(_ZSTD):
        return unpack.zstd(raw)
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

    def __init__(self, raw: Counted) -> None:
        self.raw = raw
        self.engine = _inflate()
        self.member = self.engine.decompressobj(wbits=31)
        self.data = b""
        self.fresh = True  # nothing of this member was seen yet

    def readinto(self, view: memoryview) -> int:
        """Fill the view, return the number of bytes, 0 at the end; raises EOFError where the input is cut short."""
        while self.data or (data := self.raw.read(1 << 20)):
            data, self.data, self.fresh = self.data or data, b"", False
            out = self._decompressed(data, len(view))
            self.data = self.member.unconsumed_tail
            if self.member.eof:
                self.data = self.member.unused_data.lstrip(b"\0")
                self.member, self.fresh = self.engine.decompressobj(wbits=31), True
            if out:
                view[: len(out)] = out
                return len(out)
        if self.fresh:
            return 0
        if out := self._rest()[: len(view)]:
            self.member, view[: len(out)] = self.engine.decompressobj(wbits=31), out
            return len(out)
        raise EOFError("the compressed file is cut short")

    def _decompressed(self, data: bytes, most: int) -> bytes:
        try:
            return bytes(self.member.decompress(data, most))
        except self.engine.error as error:  # of ISA-L it is none of zlib's
            raise ValueError(str(error)) from error

    def _rest(self) -> bytes:
        try:
            return bytes(self.member.flush())
        except self.engine.error as error:
            raise ValueError(str(error)) from error


def raw_of(source: Source) -> BinaryIO:
    if source.archive or (archives.MARK in source.path and not os.path.lexists(source.path)):
        return archives.open_member(source.path)
    if source.path != STDIN:
        return open(source.path, "rb", buffering=0)
    # unbuffered: an interrupted read of a buffered stream loses what it had so far
    return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)


class Counted:
    """A readable that counts what is read, looks ahead without seeking, and copies a pipe to the spool."""

    def __init__(self, raw: BinaryIO, copy: str | None, advance: Callable[[int], None]) -> None:
        self.raw = raw
        self.copy = open(copy, "wb") if copy else None  # noqa: SIM115 - closed with this reader
        self.advance = advance
        self.head = b""
        self.closed = False

    @classmethod
    def of(cls, source: Source, spool: str | None, advance: Callable[[int], None]) -> Counted:
        """Open an input; raises OSError."""
        return cls(raw_of(source), copy_of(source, spool), advance)

    def __enter__(self) -> Counted:
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
            return rest + b"".join(iter(lambda: self._next(CHUNK), b""))
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


def copy_of(source: Source, spool: str | None) -> str | None:
    return (
        os.path.join(spool, f"{zlib.crc32(source.path.encode('utf-8', 'surrogateescape')):08x}")
        if source.pipe and spool
        else None
    )
