"""JSON documents over many lines, rewritten to lines: what tools print with indents, or an array with a record a line.

Each record of a document, an element of its outermost array of records, becomes a line of its own where it begins, with
the beginning of the document before it and its brackets closed behind it; the newlines within it follow. So a line is a
document of one record, any envelope reads it, and what is cited is found where it is. A document without such an array
becomes one line. What is incomplete, or no record, becomes a line that is no JSON; what stands between is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cachelog.contract.layout import DOCUMENTS
from cachelog.contract.limits import DEFAULT

_LONGEST = DEFAULT.line_bytes  # of a record: where one is longer the rest is left as it is
_HEAD = 64 << 10  # bytes in which the array of records begins
_WINDOW = 4 << 10  # bytes looked at after something that is no JSON; twice as many each time that all of it was
_BLANK = b" \t\r\n"
_SEPARATE = b"," + _BLANK
_BLANKS = re.compile(rb"[ \t\r\n]*")
_BAD = b"{"
_OF_KUBERNETES = re.compile(rb'\s*\{\s*"apiVersion"')  # kubectl sorts keys
_TOKEN = re.compile(rb'"((?:[^"\\\n]|\\.)*)"(\s*:)?|"|[\[\]{}]')
_CLOSING = {b"{": b"}", b"[": b"]"}

_Places = npt.NDArray[np.int64]


def begins(head: bytes) -> bool:
    """Return whether a file that begins so is a document over many lines."""
    first, ended, rest = head.lstrip(_BLANK).partition(b"\n")
    if not ended or first[:1] not in (b"{", b"[") or first.rstrip()[-1:] not in (b"{", b"[", b","):
        return False
    marks = _Marks.of(first)
    second = rest.lstrip(_BLANK)[:1]
    return not marks.broken and bool(marks.depth[-1] > 0) and second in (b'"', b"{", b"[", b"}", b"]")


@dataclass(frozen=True)
class _Marks:
    """Brackets outside strings, how deep they nest behind each, and whether it ends (or breaks off) in a string."""

    at: _Places
    depth: _Places
    opens: npt.NDArray[np.bool_]
    newline: int  # the first newline in a string; the length where there is none
    broken: bool

    @classmethod
    def of(cls, text: bytes) -> _Marks:
        """Look at a text that begins outside a string."""
        data = np.frombuffer(text, np.uint8)
        quotes = np.setdiff1d(np.flatnonzero(data == ord('"')), _escaped(data), assume_unique=True)
        places = np.flatnonzero((data | 32 == ord("{")) | (data | 32 == ord("}")))  # [ and ] differ by one bit
        at = places[np.searchsorted(quotes, places) % 2 == 0]
        opens = data[at] | 32 == ord("{")
        newlines = np.flatnonzero(data == ord("\n"))
        within = newlines[np.searchsorted(quotes, newlines) % 2 == 1]
        newline = int(within[0]) if len(within) else len(text)
        return cls(at, np.cumsum(np.where(opens, 1, -1)), opens, newline, len(quotes) % 2 == 1)


def _escaped(data: npt.NDArray[np.uint8]) -> _Places:
    """Return where characters are that an odd number of backslashes stands before."""
    slashes = np.flatnonzero(data == ord("\\"))
    if not len(slashes):
        return slashes
    first = np.flatnonzero(np.diff(slashes, prepend=-2) > 1)
    lengths = np.diff(first, append=len(slashes))
    behind: _Places = slashes[first] + lengths
    odd: _Places = behind[lengths % 2 == 1]
    return odd


@dataclass(frozen=True)
class _Frame:
    """What is around records: the document up to them, and its brackets closed; both empty for values of their own."""

    head: bytes
    tail: bytes

    @classmethod
    def of(cls, text: bytes) -> _Frame | None:
        """Return what is around the records of the document that begins here; None where more must be seen."""
        stack: list[bytes] = []
        path: list[bytes] = []  # the key before each bracket
        key = b""
        for token in _TOKEN.finditer(text):
            mark = token[0]
            if mark in _CLOSING:
                stack.append(mark)
                path.append(key)
                key = b""
                if mark == b"[" and _is_records(text, token.end(), path):
                    return cls(text[: token.end()], b"".join(_CLOSING[m] for m in reversed(stack)))
            elif mark in b"]}" and len(stack) > 1:
                stack.pop()
                path.pop()
            elif mark == b'"' and b"\n" not in text[token.start() :]:
                break
            elif mark in (b"]", b"}", b'"'):  # it ends here, or is none
                return _NONE
            else:
                key = token[1] if token[2] else b""
        return None if len(text) < _HEAD else _NONE

    @property
    def depth(self) -> int:
        """How many brackets are open around a record."""
        return len(self.tail)

    def document(self, records: list[bytes]) -> bytes:
        """Return a document of these records; one of an array that is around all needs none of the array."""
        if not self.depth or (self.head == b"[" and len(records) == 1):
            return b",".join(records)
        return self.head + b",".join(records) + self.tail


_NONE = _Frame(b"", b"")  # around values of their own


def _is_records(text: bytes, at: int, path: list[bytes]) -> bool:
    """Is an array that begins before `at` one of records?

    In a document that is long, the first one of objects is, unless it is an object of Kubernetes, which has many.
    """
    first = text[at : at + _HEAD].lstrip(_BLANK)[:1]
    known = ".".join(key.decode("latin-1") for key in path if key) in DOCUMENTS
    return first in (b"{", b"[") and (known or (len(text) >= _HEAD and not _OF_KUBERNETES.match(text)))


class Document:
    """Rewrites what it is fed; `close` gives what is left."""

    def __init__(self) -> None:
        self.held, self.at = b"", 0  # what was fed, and where it goes on
        self.frame: _Frame | None = None  # None between documents
        self.ending = 0  # brackets that are open behind the records
        self.line: list[tuple[_Frame | None, list[bytes]]] = []  # what begins on the line that comes next
        self.owed = 0  # newlines that follow it
        self.window = _WINDOW
        self.raw = False

    def feed(self, data: bytes) -> bytes:
        """Return what can be told by now."""
        self.held, self.at = self.held[self.at :] + data, 0
        out = b"".join(self._steps(last=False))
        if len(self.held) - self.at > _LONGEST:
            self.raw = True
        return out + self._flushed() + self._take(len(self.held)) if self.raw else out

    def close(self) -> bytes:
        """Return the rest; a record that is incomplete is bad."""
        out = b"".join(self._steps(last=True))
        return out + b"".join(self._between(self.held[self.at :])) + self._flushed()

    def _steps(self, *, last: bool) -> Iterator[bytes]:
        """Go on until more must be seen."""
        before = (-1, 0)
        while self.at < len(self.held) and before != (self.at, self.window) and not self.raw:
            before = self.at, self.window
            if self.frame is None:
                yield from self._outside(last=last)
            elif self.ending:
                self._end()
            else:
                yield from self._records()

    def _take(self, count: int) -> bytes:
        taken = self.held[self.at : self.at + count]
        self.at += len(taken)
        return taken

    def _pass(self, count: int) -> None:
        self.owed += self._take(count).count(b"\n")

    def _seen(self) -> bytes:
        return self.held[self.at : self.at + self.window]

    def _wait(self) -> None:
        """Look at more the next time."""
        if self.window < len(self.held) - self.at:
            self.window *= 2

    def _outside(self, *, last: bool) -> Iterator[bytes]:
        """Read up to the beginning of a document."""
        lead = _BLANKS.match(self.held, self.at)
        self._pass(lead.end() - self.at if lead else 0)
        if self.held[self.at : self.at + 1] in (b"{", b"["):
            self.frame = _Frame.of(self.held[self.at : self.at + _HEAD]) or (_NONE if last else None)
            self.window = _WINDOW
            if self.frame:
                self._pass(len(self.frame.head))
            return
        end = self.held.find(b"\n", self.at)
        if end >= 0 or last:
            yield from self._entered(self._take((end if end >= 0 else len(self.held)) - self.at))

    def _records(self) -> Iterator[bytes]:
        """Read records as far as they are complete."""
        assert self.frame is not None
        seen = self._seen()
        marks = _Marks.of(seen)
        closed = marks.at[marks.depth < 0]
        stop = min(marks.newline, int(closed[0]) if len(closed) else len(seen))
        ends = marks.at[(marks.depth == 0) & ~marks.opens]
        ends = ends[ends < stop]
        starts = marks.at[(marks.depth == 1) & marks.opens][: len(ends)]
        done = 0
        for start, end in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
            gap = seen[done:start]
            if not self.frame.depth and gap.strip(_SEPARATE):
                break
            yield from self._between(gap)
            yield from self._entered(seen[start:end])
            done = end
        self.at += done
        yield from self._behind(seen[done:], stop - done, broken=stop == marks.newline < len(seen))

    def _behind(self, rest: bytes, stop: int, *, broken: bool) -> Iterator[bytes]:
        """Go on behind complete records: more of them, the end of their array, or what is none."""
        assert self.frame is not None
        next_ = rest.lstrip(_SEPARATE)[:1]
        if not self.frame.depth and next_ not in (b"", b"{", b"["):
            self._pass(len(rest) - len(rest.lstrip(_SEPARATE)))
            self.frame = None
        elif stop == len(rest):
            self._wait()
        else:
            yield from self._between(self._take(stop))
            self.ending = self.frame.depth
            self.frame = None if broken else self.frame
            self.ending = 0 if broken else self.ending

    def _end(self) -> None:
        """Pass over what follows the records, up to the end of the document."""
        seen = self._seen()
        marks = _Marks.of(seen)
        over = marks.at[(marks.depth + self.ending <= 0) & (marks.at < marks.newline)]
        if len(over) or marks.newline < len(seen):
            self._pass(int(over[0]) + 1 if len(over) else marks.newline)
            self.frame, self.ending = None, 0
        elif len(marks.at):
            self.ending += int(marks.depth[-1])
            self._pass(int(marks.at[-1]) + 1)
        else:
            self._wait()

    def _between(self, gap: bytes) -> Iterator[bytes]:
        """Pass over what stands between records; what is none of them is bad."""
        lead = len(gap) - len(gap.lstrip(_SEPARATE))
        self.owed += gap.count(b"\n", 0, lead)
        if lead < len(gap):
            yield from self._entered(_BAD)
            self.owed += gap.count(b"\n", lead)

    def _entered(self, text: bytes) -> Iterator[bytes]:
        """Put a record, or what is outside documents, on the line where it begins; yield the lines before."""
        if self.owed:
            yield self._flushed()
        newlines = text.count(b"\n")
        record = text.replace(b"\n", b" ") if newlines else text
        if self.line and self.line[-1][0] is self.frame:
            self.line[-1][1].append(record)
        else:
            self.line.append((self.frame, [record]))
        self.owed += newlines

    def _flushed(self) -> bytes:
        found = [frame.document(records) if frame else b" ".join(records) for frame, records in self.line]
        documents = len(found) > 1 and all(frame for frame, _ in self.line)
        out = b"[" + b",".join(found) + b"]" if documents else b" ".join(found)
        out = out.replace(b"\n", b" ") + b"\n" * self.owed
        self.line, self.owed = [], 0
        return out
