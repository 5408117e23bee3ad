"""Records of several lines, rewritten to lines that stand alone: CSV, journald's export format, and JSON documents.

All need to know what came before a line: the header, the size of a binary field, or brackets. So they are rewritten
while they are read, before lines are cut. The number of lines stays the same, so that what is cited is found in the
file: what a record leaves over becomes lines that say nothing.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Protocol

import numpy as np
import polars as pl

from cachelog.contract.fields import ALIASES
from cachelog.contract.limits import DEFAULT
from cachelog.contract.quoting import CSV_ROW
from cachelog.ingest import documents

Fill = Callable[[memoryview], int]

_BOM = b"\xef\xbb\xbf"
_AT_ONCE = 1 << 20
_HEADER = 8 << 10  # bytes: a longer first line is no header
_LONGEST = DEFAULT.line_bytes  # a record that is longer is left as it is


class _Shape(Protocol):
    def feed(self, data: bytes) -> bytes: ...
    def close(self) -> bytes: ...


class Rewritten:
    """Fills views with an input, rewritten where it has one of the shapes; `changed` tells, after the first bytes."""

    def __init__(self, fill: Fill, *, looks: bool = True) -> None:
        self.fill = fill
        self.shape: _Shape | None = None
        self.begun, self.ended = not looks, False
        self.out = memoryview(b"")

    @property
    def changed(self) -> bool:
        """Whether offsets in what is given are none in the file."""
        return self.shape is not None

    def readinto(self, view: memoryview) -> int:
        """Fill the view as far as one step goes; return the number of bytes, 0 at the end."""
        if not self.begun:
            count = self.fill(view)
            self.begun, self.shape = True, _shape(bytes(view[: min(count, 64 << 10)]))
            if self.shape:
                self.out = memoryview(self.shape.feed(bytes(view[:count])))
            else:
                return count
        return self._rewritten(view, self.shape) if self.shape else self.fill(view)

    def _rewritten(self, view: memoryview, shape: _Shape) -> int:
        scratch = memoryview(bytearray(_AT_ONCE))
        while not self.out and not self.ended:
            count = self.fill(scratch)
            self.ended = not count
            self.out = memoryview(shape.feed(bytes(scratch[:count])) if count else shape.close())
        count = min(len(view), len(self.out))
        view[:count], self.out = self.out[:count], self.out[count:]
        return count


def shaped(head: bytes) -> bool:
    """Return whether a file that begins so is rewritten, and can only be read from its beginning."""
    return _shape(head) is not None


def _shape(head: bytes) -> _Shape | None:
    if head.startswith(b"__CURSOR="):
        return _Export()
    if documents.begins(head):
        return documents.Document()
    first, ended, _ = head.removeprefix(_BOM).partition(b"\n")
    return _Csv.of(first) if ended else None


_BINARY = re.compile(rb"^[A-Z_][A-Z0-9_]{0,63}\n", re.MULTILINE)
_SIZE = 8  # bytes, little endian


class _Export:
    r"""journald's export: KEY=VALUE, or KEY, size and bytes where the value holds what text may not.

    Such a field becomes KEY=VALUE with blanks for its newlines, and a line `=` for each line it took more.
    Format: systemd.io/JOURNAL_EXPORT_FORMATS.
    """

    def __init__(self) -> None:
        self.held = b""

    def feed(self, data: bytes) -> bytes:
        whole, done = self.held + data, 0
        out: list[bytes] = []
        while found := _BINARY.search(whole, done):
            value = found.end() + _SIZE
            end = value + int.from_bytes(whole[found.end() : value], "little")
            waits = len(whole) < value or (len(whole) <= end and end - value <= _LONGEST)
            if waits:
                self.held = whole[found.start() :]
                return b"".join([*out, whole[done : found.start()]])
            binary = whole[end : end + 1] == b"\n"
            out.append(whole[done : found.end() - binary])
            if binary:
                out += [b"=", whole[value:end].replace(b"\n", b" "), b"\n"]
                out.append(b"=\n" * whole.count(b"\n", found.end(), end + 1))
            done = end + 1 if binary else found.end()
        last = max(whole.rfind(b"\n") + 1, done)
        last = last if len(whole) - last <= _LONGEST else len(whole)
        self.held = whole[last:]
        return b"".join([*out, whole[done:last]])

    def close(self) -> bytes:
        return self.held


#: Names of columns that exports have and no log line has, by what they are.
_COLUMNS = {
    "message": ("_raw", "@message", "line", "message", "content", "logmessage", "logentry", "rawdata", "textpayload"),
    "timestamp": ("time", "timegenerated", "date", "datetime", "ts", "tsns"),
    "pod": ("podname", "instanceid", "containerinstance"),
    "host": ("computer", "hostname"),
}
_LEVEL = "Status"  # of Datadog's exports: info, warn, error; no answer of a cache
_KNOWN = {alias.lower(): alias for aliases in ALIASES.values() for alias in aliases if alias.islower()}
_EXPORTED = {alias: name for name, aliases in _COLUMNS.items() for alias in aliases}
_CELL = re.compile(r"[@_A-Za-z][\w .@:/-]{0,63}")


class _Csv:
    """CSV of which the first line names columns that logs have; each record becomes a JSON object."""

    def __init__(self, names: list[str], separator: str) -> None:
        self.names, self.separator = names, separator
        self.held = b""
        self.begun = False

    @classmethod
    def of(cls, first: bytes) -> _Csv | None:
        """Return how to read what begins with this line, None where it is no header."""
        if not first.isascii():
            return None
        text = first.decode().rstrip("\r")
        separator = max(",;\t", key=text.count)
        cells = next(csv.reader([text], delimiter=separator), []) if len(text) < _HEADER else []
        if len(cells) < 2 or len(set(cells)) < len(cells) or not all(map(_CELL.fullmatch, cells)):
            return None
        names = _named(cells)
        return cls(names, separator) if sum(name.lower() in _KNOWN for name in names) >= 2 else None

    def feed(self, data: bytes) -> bytes:
        whole = self.held + data
        if not self.begun:
            header = whole.index(b"\n") + 1
            self.begun, self.held = True, b""
            return b"\n" + self.feed(whole[header:])
        block = np.frombuffer(whole, np.uint8)
        ends = np.flatnonzero(block == ord("\n"))
        closed = ends[np.searchsorted(np.flatnonzero(block == ord('"')), ends) % 2 == 0]
        last = int(closed[-1]) + 1 if len(closed) else 0
        if len(whole) - last > _LONGEST:  # a quote that nothing closes
            self.held = b""
            return self._objects(whole[:last], closed) + whole[last:]
        self.held = whole[last:]
        return self._objects(whole[:last], closed)

    def close(self) -> bytes:
        rest, self.held = self.held, b""
        return self._objects(rest + b"\n", np.array([len(rest)])) if rest else b""

    def _objects(self, block: bytes, ends: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bytes:
        """Return a line for each record, followed by empty ones for its other lines."""
        if not len(ends):
            return b""
        rows = self._fast(block, len(ends))
        if rows is None:
            rows = self._slow(block, ends.tolist())
        newlines = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        taken = np.diff(np.searchsorted(newlines, ends), prepend=-1)
        text = "".join(row + "\n" * many for row, many in zip(rows, taken.tolist(), strict=True))
        return text.encode("utf-8", "surrogateescape")

    def _fast(self, block: bytes, records: int) -> list[str] | None:
        schema = dict.fromkeys(self.names, pl.String())
        try:
            frame = pl.read_csv(block, has_header=False, separator=self.separator, schema=schema)
        except pl.exceptions.PolarsError:
            return None
        if frame.height != records:
            return None
        marked = pl.struct(pl.lit("1").alias(CSV_ROW), pl.all())
        return frame.select(marked.struct.json_encode()).to_series().to_list()

    def _slow(self, block: bytes, ends: list[int]) -> list[str]:
        """Read records one by one: some are blank, have too few cells or too many, or are no UTF-8."""
        starts = [0, *(end + 1 for end in ends[:-1])]
        return [self._record(block[start:end]) for start, end in zip(starts, ends, strict=True)]

    def _record(self, record: bytes) -> str:
        text = record.decode("utf-8", "surrogateescape")  # bytes that are no UTF-8 stay what they are: a bad line
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.separator), [])
        except csv.Error:
            return text.replace("\n", " ")
        found = {name: cell for name, cell in zip(self.names, cells, strict=False) if cell}
        return json.dumps({CSV_ROW: "1", **found}, ensure_ascii=False) if found else ""


def _named(cells: list[str]) -> list[str]:
    """Give columns the names that they have in log lines; the first column of a kind gets it."""
    names: list[str] = []
    for cell in cells:
        plain = cell.strip().lower()
        known = _KNOWN.get(plain) if plain in _KNOWN else _EXPORTED.get(plain.replace(" ", "").replace("_", ""))
        named = "level" if cell == _LEVEL else _EXPORTED.get(plain) or known or cell.strip()
        names.append(named if named not in names else cell.strip())
    return names
