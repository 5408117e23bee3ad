"""tar and zip: what is in them, and how a member is read. Nothing is ever written under a name of an archive.

A member is addressed ARCHIVE!NAME; an archive in an archive is opened too, ARCHIVE!INNER!NAME, one in that is not.
Members are read where they stand: of a packed tar in its order, so that it is unpacked once for its list and once for
its members. An archive is hostile text: names that lead outside, links, devices, encrypted members and lying sizes
are refused one by one, with a sentence; what grows beyond all measure ends there.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
import tempfile
import zipfile
from calendar import timegm
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from cachelog.contract.limits import DEFAULT, Limits
from cachelog.ingest import unpack

#: Between an archive and the name of a member.
MARK = "!"

_NAMED = re.compile(r"\.(?:tar(?:\.(?:gz|bz2|xz|zst|Z))?|tgz|taz|tbz2?|txz|tzst|zip)$", re.IGNORECASE)
_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", (b"PK\x03\x04", b"PK\x05\x06")
_KEPT = 4  # archives that stay open: of one after the other, the outer and the inner
_HEADER = 1 << 20  # bytes: no name in a tar is as long
_BUFFER = 256 << 10
_IN_MEMORY = 32 << 20  # bytes of an inner archive; a bigger one goes to an unnamed temporary file
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)

GROWN = "it grows beyond all measure when unpacked, as only bombs do"
_OUTSIDE = "not read: its name leads outside the archive"
_LINK = "not read: a link; links in archives are not followed"
_DEVICE = "not read: a device or a pipe, no file"
_SPARSE = "not read: a sparse file"
_SECRET = "not read: encrypted"
_METHOD = "not read: compressed by a method that is not understood"
_DEEP = "not read: an archive in an archive in an archive"


@dataclass(frozen=True)
class Member:
    """One file in an archive: its address, bytes, time in seconds since the epoch, and why it is not read if so."""

    path: str
    size: int
    mtime: float | None
    note: str | None = None


@dataclass(frozen=True)
class _Entry:
    name: str
    size: int
    mtime: float | None
    note: str | None
    at: int | zipfile.ZipInfo  # where its bytes begin, or what zipfile knows of it


class _Archive(Protocol):
    entries: dict[str, _Entry]  # by name, in the order of the archive
    note: str | None  # why there may be more than the entries

    def open(self, entry: _Entry) -> BinaryIO: ...


def suspected(path: str) -> bool:
    """Return whether a file is named like an archive."""
    return _NAMED.search(path) is not None


def members(path: str, limits: Limits = DEFAULT) -> list[Member] | None:
    """Return the members of an archive, in its order, with what is refused; None where the file is no archive.

    What cannot be opened at all is one member without a name: the archive's path and a note.
    """
    return _members(path, limits, inner=True)


def open_member(path: str, limits: Limits = DEFAULT) -> BinaryIO:
    """Return the bytes of ARCHIVE!NAME, as they are stored: a packed file in an archive is still packed.

    Raises FileNotFoundError where there is no such member, OSError, EOFError or ValueError where it is damaged.
    """
    outer, name = _split(path, limits)
    archive = _opened(outer, limits)
    entry = archive.entries.get(name) if archive else None
    if archive is None or entry is None or entry.note:
        raise FileNotFoundError(2, "no such member", path)
    return archive.open(entry)


def _members(path: str, limits: Limits, *, inner: bool) -> list[Member] | None:
    try:
        archive = _opened(path, limits)
    except (OSError, EOFError, ValueError) as error:
        return [Member(path, 0, None, f"not read: {_reason(error)}")]
    if archive is None:
        return None
    found = [member for entry in archive.entries.values() for member in _told(path, entry, limits, inner=inner)]
    return found + ([Member(path, 0, None, archive.note)] if archive.note else [])


def _told(path: str, entry: _Entry, limits: Limits, *, inner: bool) -> list[Member]:
    """Return the member, or the members of the archive that it is."""
    here = Member(f"{path}{MARK}{entry.name}", entry.size, entry.mtime, entry.note)
    if entry.note or not suspected(entry.name):
        return [here]
    if not inner:
        return [Member(here.path, here.size, here.mtime, _DEEP)]
    return _members(here.path, limits, inner=False) or [here]


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _split(path: str, limits: Limits) -> tuple[str, str]:
    """Cut ARCHIVE!NAME where the archive ends; names of files and of members may hold the mark."""
    for at in _marks(path):
        if not os.path.isfile(path[:at]):
            continue
        outer, rest = path[:at], path[at + 1 :]
        archive = _opened(outer, limits)
        names = archive.entries if archive else {}
        if rest in names:
            return outer, rest
        for cut in _marks(rest):
            if rest[:cut] in names:
                return f"{outer}{MARK}{rest[:cut]}", rest[cut + 1 :]
    raise FileNotFoundError(2, "no such file", path)


def _marks(path: str) -> list[int]:
    return [at for at, character in enumerate(path) if character == MARK]


_open: OrderedDict[str, tuple[tuple[int, ...], _Archive | None]] = OrderedDict()


def _opened(path: str, limits: Limits) -> _Archive | None:
    """Return an archive that stays open for a while: the next member is read where the last one ended."""
    state = _state(path)
    known = _open.pop(path, None)
    if known is None or known[0] != state:
        known = (state, _archive(path, limits))
    _open[path] = known
    while len(_open) > _KEPT:
        _open.popitem(last=False)
    return known[1]


def _state(path: str) -> tuple[int, ...]:
    """Return what changes when a file does; members stand and fall with their archive."""
    for at in (*_marks(path), len(path)):
        if os.path.isfile(path[:at]):
            info = os.stat(path[:at])
            return info.st_ino, info.st_size, info.st_mtime_ns
    return ()


def _archive(path: str, limits: Limits) -> _Archive | None:
    raw = _bytes(path, limits)
    head = raw.read(16)
    size = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    if head.startswith(_ZIP):
        return _Zip(raw, size, limits)
    most = max(limits.unpacked_bytes, limits.unpacked_ratio * size)
    start = _starter(head)
    stream = io.BufferedReader(_Unpacked(raw, start, most), _BUFFER) if start else raw
    try:
        return _Tar(stream, limits)
    except tarfile.ReadError:  # a packed file that is no tar, whatever its name says
        return None


def _bytes(path: str, limits: Limits) -> BinaryIO:
    """Open an archive; one in another is copied to memory or to a file without a name, where it can be sought in."""
    if os.path.isfile(path):
        return open(path, "rb")
    copy: BinaryIO = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # type: ignore[assignment]  # noqa: SIM115
    size = 0
    with open_member(path, limits) as stored:
        while data := stored.read(_BUFFER):
            size += len(data)
            if size > limits.inner_bytes:
                raise ValueError(f"an archive in an archive, of more than {limits.inner_bytes >> 20} MiB")
            copy.write(data)
    copy.seek(0)
    return copy


def _starter(head: bytes) -> Callable[[BinaryIO], Callable[[memoryview], int]] | None:
    """Return how a packed tar is unpacked from its beginning, None for one that is not packed."""
    if head.startswith(_GZIP):
        return _gunzip
    if head.startswith(_ZSTD):
        return unpack.zstd
    return (lambda raw: unpack.filler(raw, head)) if unpack.packed(head) else None


def _gunzip(raw: BinaryIO) -> Callable[[memoryview], int]:
    return unpack.inflated(raw, unpack.gzip)


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a file, to be sought in: forward by reading on, backward by beginning again."""

    def __init__(self, raw: BinaryIO, start: Callable[[BinaryIO], Callable[[memoryview], int]], most: int) -> None:
        self.raw, self.start, self.most = raw, start, most
        self.fill, self.at = start(raw), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        offset += self.at if whence == io.SEEK_CUR else 0
        if offset < self.at:
            self.raw.seek(0)
            self.fill, self.at = self.start(self.raw), 0
        scratch = memoryview(bytearray(min(_BUFFER, offset - self.at)))
        while self.at < offset and self.readinto(scratch[: offset - self.at]):
            pass
        return self.at

    def readinto(self, view: bytearray | memoryview) -> int:  # type: ignore[override]
        count = self.fill(memoryview(view).cast("B"))
        self.at += count
        if self.at > self.most:
            raise ValueError(GROWN)
        return count


class _Headers:
    """What tarfile reads an archive's headers from: a header that claims to be huge is not read into memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.seek, self.tell = stream, stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER:
            raise ValueError("a header of the archive has a size that no header has")
        return self.stream.read(size)


class _Tar:
    """A tar, packed or not; where a name occurs twice the last one counts, as when it is extracted."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self.stream = stream
        self.note: str | None = None
        self.entries: dict[str, _Entry] = {}
        again = 0
        for entry in self._read(limits):
            again += self.entries.pop(entry.name, None) is not None
            self.entries[entry.name] = entry
        if again and not self.note:
            self.note = f"of {again} names that occur more than once only the last is read"

    def _read(self, limits: Limits) -> Iterator[_Entry]:
        """Yield the files, and in `note` leave why there are no more; raises ReadError where it is no tar at all."""
        headers = _Headers(self.stream)
        tar = tarfile.TarFile(fileobj=headers, mode="r")  # type: ignore[arg-type]
        last = -1
        try:
            for number, info in enumerate(iter(tar.next, None)):
                if info.offset <= last or info.size < 0:
                    raise ValueError("the archive leads back into itself")
                if number >= limits.members:
                    raise ValueError(f"more than {limits.members} members")
                last = info.offset
                if not info.isdir():
                    yield _of_tar(info)
            self.stream.seek(tar.offset)
            if self.stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise ValueError("the archive is damaged in its middle")
        except (OSError, EOFError, ValueError, tarfile.TarError) as error:
            self.note = f"not read to the end: {_reason(error)}"

    def open(self, entry: _Entry) -> BinaryIO:
        assert isinstance(entry.at, int)
        return _Part(self.stream, entry.at, entry.size)  # type: ignore[return-value]


def _of_tar(info: tarfile.TarInfo) -> _Entry:
    name = _plain(info.name)
    note: str | None = None
    if _leads_outside(info.name):
        note = _OUTSIDE
    elif info.issym() or info.islnk():
        note = _LINK
    elif info.issparse():
        note = _SPARSE
    elif not info.isreg():
        note = _DEVICE
    return _Entry(name, info.size, float(info.mtime), note, info.offset_data)


class _Zip:
    """A zip, by its directory at the end."""

    note: str | None = None

    def __init__(self, raw: BinaryIO, size: int, limits: Limits) -> None:
        try:
            self.zip = zipfile.ZipFile(raw)
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise ValueError(f"the zip is damaged: {_reason(error)}") from error
        files = [info for info in self.zip.infolist() if not info.is_dir()]
        if len(files) > limits.members:
            raise ValueError(f"more than {limits.members} members")
        if sum(info.compress_size for info in files) > size:
            raise ValueError("its members overlap, as only those of bombs do")
        self.entries = {entry.name: entry for entry in map(_of_zip, files)}
        if again := len(files) - len(self.entries):
            self.note = f"of {again} names that occur more than once only the last is read"

    def open(self, entry: _Entry) -> BinaryIO:
        assert isinstance(entry.at, zipfile.ZipInfo)
        return _Zipped(self.zip, entry.at)  # type: ignore[return-value]


def _of_zip(info: zipfile.ZipInfo) -> _Entry:
    note: str | None = None
    if _leads_outside(info.filename):
        note = _OUTSIDE
    elif info.flag_bits & _ENCRYPTED:
        note = _SECRET
    elif info.external_attr >> 28 == 0o12:  # the upper half is the mode of Unix, its highest four bits the kind
        note = _LINK
    elif info.compress_type not in _METHODS:
        note = _METHOD
    return _Entry(_plain(info.filename), info.file_size, _zip_time(info), note, info)


def _zip_time(info: zipfile.ZipInfo) -> float | None:
    """A local time without a zone: it only gives the year of lines that have none."""
    try:
        return float(timegm((*info.date_time, 0, 0, 0)))
    except ValueError:
        return None


def _plain(name: str) -> str:
    """Return the name without ./ at its beginning."""
    return str(PurePosixPath(name)) if name else name


def _leads_outside(name: str) -> bool:
    """Return whether a name would stand outside of the folder that an archive is unpacked to."""
    parts = re.split(r"[/\\]", name)
    return not name.strip("./\\") or ".." in parts or parts[0] == "" or ":" in parts[0][:2] or "\0" in name


class _Part(io.RawIOBase):
    """The bytes of a tar's member; the stream is shared, and sought in only when another member was read."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self.stream, self.at, self.end = stream, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, view: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = memoryview(view).cast("B")[: self.end - self.at]
        if not len(wanted):
            return 0
        if self.stream.tell() != self.at:
            self.stream.seek(self.at)
        data = self.stream.read1(len(wanted))  # type: ignore[attr-defined]
        if not data:
            raise EOFError("the archive ends inside this member")
        wanted[: len(data)] = data
        self.at += len(data)
        return len(data)


class _Zipped(io.RawIOBase):
    """The bytes of a zip's member; what is wrong with it is said as of any damaged file."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self.archive, self.info = archive, info
        self.stream: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, view: bytearray | memoryview) -> int:  # type: ignore[override]
        import lzma

        wanted = memoryview(view).cast("B")
        try:
            self.stream = self.stream or self.archive.open(self.info)  # type: ignore[assignment]
            data = self.stream.read(len(wanted))  # type: ignore[union-attr]
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, lzma.LZMAError) as error:
            raise ValueError(_reason(error)) from error
        wanted[: len(data)] = data
        return len(data)


class Growth:
    """How much the inputs grow when they are unpacked; the members of an archive count together."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.sums: dict[str, int] = {}
        self.key, self.most = "", 0

    def begin(self, path: str) -> None:
        """Count what follows as of this file; what is no file, as a pipe, may grow as it likes."""
        size = os.path.getsize(path) if os.path.isfile(path) else sys.maxsize
        self.key, self.most = path, max(self.limits.unpacked_bytes, self.limits.unpacked_ratio * size)

    def add(self, count: int) -> None:
        """Count bytes; raises ValueError where they are beyond all measure."""
        self.sums[self.key] = total = self.sums.get(self.key, 0) + count
        if total > self.most:
            raise ValueError(GROWN)
