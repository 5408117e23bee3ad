"""Which modules are asked about which lines, found in one pass over all of them: natively, or with Polars.

A module of cachelog/dialects or cachelog/envelopes may say beforehand what its lines have: HINTS, SHAPE and TELLING of
contract/dialect.py. The native sorter (_text, built from text.cpp) reads bytes, so that lines of which nothing is
wanted never become strings; without it Polars looks for the hints only. Both ask the same claims in the same turn.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.dialects import json_app
from cachelog.ingest import json_scan, text_scan, texts
from cachelog.ingest.said import Said

_Rows = npt.NDArray[np.uint32]
_THREAD = threading.local()


def _native() -> ModuleType | None:
    try:
        return import_module("cachelog.ingest._text")
    except ImportError:
        return None


NATIVE = _native()


class Lines(Protocol):
    """Lines that no dialect has claimed yet."""

    def quiet(self, dialect: ModuleType) -> _Rows:
        """Return, and take away, the rows that are a dialect's for sure and say nothing."""

    def scanned(self, dialect: ModuleType) -> tuple[Said, _Rows] | None:
        """Return, and take away, what a native reader of the dialect is sure of, and its rows; None where is none."""

    def asked(self, dialect: ModuleType) -> pl.DataFrame:
        """Return the lines (texts.LINES) that a dialect is to be asked about."""

    def take(self, mine: pl.Series) -> None:
        """Take away those of the lines asked about last for which `mine` is true."""


class Strings:
    """Lines as a frame."""

    def __init__(self, lines: pl.DataFrame) -> None:
        self._lines = lines
        self._asked: pl.Series | None = None

    def quiet(self, dialect: ModuleType) -> _Rows:
        """Return no rows: only the native sorter is sure."""
        return np.zeros(0, np.uint32)

    def scanned(self, dialect: ModuleType) -> None:
        """Return None."""

    def asked(self, dialect: ModuleType) -> pl.DataFrame:
        """Return the lines with one of the dialect's hints."""
        hints = getattr(dialect, "HINTS", None)
        self._asked = self._lines["text"].str.contains_any(list(hints)) if hints else None
        return self._lines if self._asked is None else self._lines.filter(self._asked)

    def take(self, mine: pl.Series) -> None:
        """Take lines away."""
        if self._asked is not None:
            mine = self._asked.scatter(self._asked.arg_true(), mine)
        self._lines = self._lines.filter(~mine)


class Sorted:
    """Lines that the native sorter has seen."""

    def __init__(self, found: Any, places: Mapping[str, int]) -> None:
        self._found = found
        self._places = places
        self._numbers: _Rows = np.zeros(0, np.uint32)

    @property
    def bad(self) -> _Rows:
        """Rows that are no UTF-8."""
        return np.frombuffer(self._found.bad, np.uint32)

    @property
    def blank(self) -> _Rows:
        """Rows without any text."""
        return np.frombuffer(self._found.blank, np.uint32)

    def odd(self) -> pl.DataFrame:
        """Return the lines that have to be unwrapped or cleaned first, or begin as JSON."""
        return pl.DataFrame(self._found.odd())

    def quiet(self, dialect: ModuleType) -> _Rows:
        """Return, and take away, the rows that have the dialect's shape and nothing telling."""
        numbers = self._found.quiet(self._places[dialect.NAME])
        self._found.take(numbers)
        return np.frombuffer(self._found.rows(numbers), np.uint32)

    def scanned(self, dialect: ModuleType) -> tuple[Said, _Rows] | None:
        """Return, and take away, what the native reader of the dialect is sure of."""
        if dialect.NAME not in text_scan.READERS:
            return None
        place = self._places[dialect.NAME]
        numbers = np.frombuffer(self._found.asked(place), np.uint32)
        if not len(numbers):
            return None
        assert NATIVE is not None
        found = text_scan.scan(NATIVE, dialect.NAME, self._found, numbers)
        self._found.take(found.claimed)
        self._found.drop(place, found.others)
        return found.said, np.frombuffer(self._found.rows(found.claimed), np.uint32)

    def asked(self, dialect: ModuleType) -> pl.DataFrame:
        """Return the lines with the dialect's hints and shape."""
        self._numbers = np.frombuffer(self._found.asked(self._places[dialect.NAME]), np.uint32)
        if not len(self._numbers):
            return pl.DataFrame(schema=texts.LINES)
        return pl.DataFrame(self._found.texts(self._numbers))

    def take(self, mine: pl.Series) -> None:
        """Take lines away."""
        self._found.take(self._numbers if mine.all() else self._numbers[mine.to_numpy()])


class Sorter:
    """Sorts lines for these modules; for one thread."""

    def __init__(self, dialects: Mapping[str, ModuleType], envelopes: Mapping[str, ModuleType]) -> None:
        assert NATIVE is not None
        self.modules = (dialects, envelopes)
        of_text = [m for name, m in dialects.items() if name != json_app.NAME and hasattr(m, "claim")]
        self._places = {module.NAME: place for place, module in enumerate(of_text)}
        told = [(False, *_told(module)) for module in of_text]
        self._sorter = NATIVE.Sorter([*told, *((True, *_told(m)) for m in envelopes.values() if _is_of_lines(m))])

    def block(self, data: json_scan.Block, rows: _Rows | None) -> Sorted:
        """Sort the lines of a block of bytes, or the given rows of it; the block must outlast what is returned."""
        return Sorted(self._sorter.block(data, rows), self._places)

    def whole(self, data: json_scan.Block) -> bool:
        """Return whether a block has to be unwrapped as a whole: what its lines are depends on those before them."""
        opens = (m.OPENS.encode() for m in self.modules[1].values() if hasattr(m, "OPENS"))
        return any(json_scan.holds(data, text) for text in opens)

    def column(self, lines: pl.DataFrame) -> Sorted:
        """Sort lines (texts.LINES) that are without envelopes and clean."""
        import pyarrow as pa

        text = lines["text"].to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, data = text.buffers()
        mine = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
        return Sorted(self._sorter.column(data or pa.py_buffer(b""), mine, lines["row"].to_numpy()), self._places)


def _is_of_lines(envelope: ModuleType) -> bool:
    """Can an envelope be told by a line alone?"""
    return hasattr(envelope, "claim") and not hasattr(envelope, "OPENS")


def _told(module: ModuleType) -> tuple[list[str], list[str], str]:
    """Return what a module says of its lines beforehand: HINTS, TELLING and SHAPE."""
    return list(getattr(module, "HINTS", ())), list(getattr(module, "TELLING", ())), getattr(module, "SHAPE", "")


def sorter(dialects: Mapping[str, ModuleType], envelopes: Mapping[str, ModuleType]) -> Sorter | None:
    """Return this thread's native sorter; None where Polars reads. Raises UsageError as json_scan.engine does."""
    if NATIVE is None or json_scan.engine() != "native":
        return None
    kept: Sorter | None = getattr(_THREAD, "sorter", None)
    if kept is None or kept.modules[0] is not dialects or kept.modules[1] is not envelopes:
        kept = _THREAD.sorter = Sorter(dialects, envelopes)
    return kept
