"""bz2, xz, gzip and zstd: streams that are unpacked by at most what fits, so that no bomb costs more memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

_AT_ONCE = 1 << 20  # bytes read of the packed file
_STEP, _LAST_STEP = 1 << 16, 1 << 9  # bytes asked of a zstd stream at once, and near the end of its file
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")  # the head of the first block, or of an empty file
_XZ = b"\xfd7zXZ\x00"
_XZ_MEMORY = 256 << 20  # bytes: xz -9 needs 65 MiB, a hostile header asks for 4 GiB


class Readable(Protocol):
    """What packed bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


class Stream(Protocol):
    """One packed stream, as bz2 and lzma of the standard library have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def packed(head: bytes) -> bool:
    """Return whether a file that begins like this (10 bytes at least) is bz2 or xz."""
    return head.startswith(_XZ) or _BZIP2.match(head) is not None


def filler(raw: Readable, head: bytes) -> Callable[[memoryview], int]:
    """Return what fills a view with unpacked bytes and says how many, 0 at the end.

    It raises EOFError where the file is cut short, OSError or ValueError where it is damaged.
    """
    return inflated(raw, xz if head.startswith(_XZ) else bzip2)


def inflated(raw: Readable, make: Callable[[], Stream]) -> Callable[[memoryview], int]:
    """Return `filler` for streams of one kind."""
    return _Inflate(raw, make).readinto


def zstd(raw: Readable) -> Callable[[memoryview], int]:
    """Return `filler` for zstd."""
    return _Zstd(raw).readinto


def bzip2() -> Stream:
    """Return a stream of bz2."""
    import bz2

    return bz2.BZ2Decompressor()


def xz() -> Stream:
    """Return a stream of xz; a header that asks for more memory than any setting of xz needs is refused."""
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def gzip() -> Stream:
    """Return a stream of gzip."""
    return _Gzip()


class _Gzip:
    """A gzip stream with the manners of the others; Intel's ISA-L where it is there, else zlib."""

    def __init__(self) -> None:
        try:
            from isal import isal_zlib as engine
        except ImportError:
            import zlib as engine  # type: ignore[no-redef]
        self.stream = engine.decompressobj(wbits=31)
        self.error: type[Exception] = engine.error  # type: ignore[assignment]

    @property
    def eof(self) -> bool:
        return self.stream.eof

    @property
    def needs_input(self) -> bool:
        return not self.stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self.stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self.stream.decompress(self.stream.unconsumed_tail or data, max_length)
        except self.error as error:
            raise ValueError(str(error)) from error


class _Inflate:
    """One stream after another, with zeros between them or not."""

    def __init__(self, raw: Readable, make: Callable[[], Stream]) -> None:
        self.raw, self.make = raw, make
        self.stream: Stream | None = None
        self.held = b""  # read of the file, and not yet given to a stream

    def readinto(self, view: memoryview) -> int:
        """Fill the view as far as one step goes; return the number of bytes, 0 at the end."""
        while (stream := self._stream()) is not None:
            data, self.held = self.held, b""
            if stream.needs_input and not data and not (data := self.raw.read(_AT_ONCE)):
                raise EOFError("the compressed file is cut short")
            if out := _decompressed(stream, data, len(view)):
                view[: len(out)] = out
                return len(out)
        return 0

    def _stream(self) -> Stream | None:
        """Return the stream that is read, else the next one; None at the end of the file."""
        if self.stream is not None and self.stream.eof:
            self.held, self.stream = self.stream.unused_data.lstrip(b"\0"), None
        while self.stream is None:
            if self.held:
                self.stream = self.make()
            elif data := self.raw.read(_AT_ONCE):
                self.held = data.lstrip(b"\0")
            else:
                return None
        return self.stream


class _Ahead:
    """What pyarrow reads a packed file from, without closing it; two pieces ahead, to know when the last comes."""

    closed = False

    def __init__(self, raw: Readable) -> None:
        self.raw = raw
        self.held, self.then = raw.read(_STEP), raw.read(_STEP)

    @property
    def last(self) -> bool:
        """Is what comes next the last piece?"""
        return not self.then

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def read(self, size: int) -> bytes:
        """Return the next piece, none at the end."""
        given, self.held = self.held[:size], self.held[size:]
        if not self.held:
            self.held, self.then = self.then, self.raw.read(_STEP)
        return given


class _Zstd:
    """A zstd stream; of a file that is cut short pyarrow loses what it unpacked in the same step: steps are small."""

    def __init__(self, raw: Readable) -> None:
        import pyarrow as pa

        self.ahead = _Ahead(raw)
        self.stream = pa.CompressedInputStream(pa.PythonFile(self.ahead, mode="r"), "zstd")
        self.error: Exception | None = None

    def readinto(self, view: memoryview) -> int:
        """Fill the view; return the number of bytes, 0 at the end; what cannot be unpacked is raised after the rest."""
        at = 0
        while at < len(view) and self.error is None:
            step = _LAST_STEP if self.ahead.last else _STEP
            try:
                count = int(self.stream.readinto(view[at : at + step]))
            except OSError as error:
                self.error = EOFError("the compressed file is cut short") if "runcated" in str(error) else error
                break
            if not count:
                break
            at += count
        if not at and self.error is not None:
            raise self.error
        return at


def _decompressed(stream: Stream, data: bytes, most: int) -> bytes:
    import lzma

    try:
        return stream.decompress(data, most)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error
