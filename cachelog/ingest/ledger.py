"""The books of reading: every line of every input is an event, quiet, joined, unclaimed or bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.finding import Evidence, InputReport
from cachelog.ingest.discover import Source
from cachelog.ingest.lines import ReadLog
from cachelog.ingest.templates import Mined

STATES = ("events", "quiet", "joined", "unclaimed", "bad")
EVENTS, QUIET, JOINED, UNCLAIMED, BAD = range(len(STATES))

_COUNTERS = ("read_as", "wrapped", "assumed", "signs", "mapped", "strange")
_UNREAD = 3  # lines of each input that `inspect` cites


_Facts = tuple[tuple[int, str, int], ...]

#: What counts of a line that holds many records: the first of these that one of them is.
_TELLING = (EVENTS, BAD, UNCLAIMED, QUIET, JOINED)


@dataclass
class Rows:
    """The books of a unit while it is read, by row; nothing is claimed yet.

    Records that share a line have rows of their own, behind the lines; `outer` is the row that they are in.
    """

    source: npt.NDArray[np.uint32]
    state: npt.NDArray[np.uint8]
    format: npt.NDArray[np.int16]
    envelope: npt.NDArray[np.int16]
    outer: npt.NDArray[np.uint32]
    lines: int
    notes: list[tuple[str, str, npt.NDArray[np.uint32]]] = field(default_factory=list)  # counter, what, rows

    @classmethod
    def of(cls, source: npt.NDArray[np.uint32]) -> Rows:
        """Open the books for rows of these inputs."""
        none = np.full(len(source), -1, np.int16)
        outer = np.arange(len(source), dtype=np.uint32)
        return cls(source, np.full(len(source), UNCLAIMED, np.uint8), none, none.copy(), outer, len(source))

    def claim(self, rows: npt.NDArray[np.uint32], dialect: int, state: int = QUIET) -> None:
        """Enter that a dialect reads these rows."""
        self.state[rows] = state
        self.format[rows] = dialect

    def noted(self, counter: str, what: str, rows: pl.Series) -> None:
        """Count something for these rows, in a counter of their inputs."""
        self.notes.append((counter, what, rows.to_numpy()))

    def wrapped(self, rows: npt.NDArray[np.uint32], envelope: npt.NDArray[np.int16] | int) -> None:
        """Enter that an envelope was around these rows; the outermost stays."""
        fresh = self.envelope[rows] < 0
        self.envelope[rows[fresh]] = envelope if isinstance(envelope, int) else envelope[fresh]

    def inner(self, rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Return the row of each record in these rows (ascending): a new one where several are in one."""
        several = np.isin(rows, rows[1:][rows[1:] == rows[:-1]])
        around, first = rows[several], len(self.source)
        found = rows.copy()
        found[several] = np.arange(first, first + len(around), dtype=np.uint32)
        self.outer = np.concatenate([self.outer, around])
        self.source = np.concatenate([self.source, self.source[around]])
        self.envelope = np.concatenate([self.envelope, self.envelope[around]])
        self.state = np.concatenate([self.state, np.full(len(around), UNCLAIMED, np.uint8)])
        self.format = np.concatenate([self.format, np.full(len(around), -1, np.int16)])
        return found

    def of_lines(self) -> npt.NDArray[np.uint32]:
        """Return the line that each row is in."""
        line = self.outer
        while (line >= self.lines).any():
            line = self.outer[line]
        return line

    def understood(self, rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Return which rows are read or joined, or a record in them."""
        read = (self.state != UNCLAIMED) & (self.state != BAD)
        found, row = read.copy(), np.flatnonzero(read[self.lines :]).astype(np.uint32) + np.uint32(self.lines)
        while len(row):
            row = np.unique(self.outer[row])
            found[row] = True
            row = row[row >= self.lines]
        said: npt.NDArray[np.bool_] = found[rows]
        return said

    def closed(self, assumed: _Facts, votes: _Facts = ()) -> UnitBooks:
        """Return the books of the unit: what is told of a line is what is told of the records in it."""
        if len(self.source) > self.lines:
            self._sum_up()
        line = slice(self.lines)
        return UnitBooks(
            self.source[line],
            self.state[line],
            self.format[line],
            self.envelope[line],
            assumed,
            votes,
            tuple(self._noted()),
        )

    def _noted(self) -> Iterator[tuple[str, int, str, int]]:
        for counter, what, rows in self.notes:
            sources, many = np.unique(self.source[rows], return_counts=True)
            yield from ((counter, *found) for found in zip(sources.tolist(), repeat(what), many.tolist()))

    def _sum_up(self) -> None:
        line, weight = self.of_lines()[self.lines :], np.argsort(_TELLING)[self.state[self.lines :]]
        order = np.lexsort((np.arange(len(line)), weight))[::-1]  # what counts most is entered last
        inner = order + self.lines
        self.state[line[order]] = self.state[inner]
        self.format[line[order]] = self.format[inner]


@dataclass(frozen=True)
class UnitBooks:
    """The books of one unit: per row its state, format and envelope (codes), and what was assumed of its time."""

    source: npt.NDArray[np.uint32]
    state: npt.NDArray[np.uint8]
    format: npt.NDArray[np.int16]  # index into Books.formats, -1 for none
    envelope: npt.NDArray[np.int16]
    assumed: _Facts  # source, what, how many events
    votes: _Facts = ()  # likewise: zones that envelopes tell
    noted: tuple[tuple[str, int, str, int], ...] = ()  # counter, source, what, how many rows
    lost: pl.DataFrame | None = None  # templates.MASKED of lines that nobody claims, where that was asked for


@dataclass(frozen=True)
class Page:
    """What the books hold of one input."""

    states: npt.NDArray[np.int64]
    counters: Mapping[str, Counter[str]]  # by _COUNTERS
    unread: Sequence[Evidence]

    @classmethod
    def of(cls, source: int, told: Mapping[str, object]) -> Page:
        """Return the page that Books.told wrote; raises KeyError, TypeError and ValueError on damage."""
        states = np.array([told[state] for state in STATES], np.int64)
        counters = {name: Counter(dict(_items(told[name]))) for name in _COUNTERS}
        return cls(states, counters, [Evidence(source, line, None, role) for line, role in _items(told["unread"])])


@dataclass
class Books:
    """Sums over units, by input."""

    formats: tuple[str, ...]
    envelopes: tuple[str, ...]
    states: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    read_as: dict[int, Counter[str]] = field(default_factory=dict)
    wrapped: dict[int, Counter[str]] = field(default_factory=dict)
    assumed: dict[int, Counter[str]] = field(default_factory=dict)
    signs: dict[int, Counter[str]] = field(default_factory=dict)  # what the first lines show (signs.py)
    mapped: dict[int, Counter[str]] = field(default_factory=dict)  # what the user's maps found
    strange: dict[int, Counter[str]] = field(default_factory=dict)  # outcomes that no word is known for
    mined: Mined = field(default_factory=Mined)
    unread: dict[int, list[Evidence]] = field(default_factory=dict)  # the first lines that were not understood

    def note(self, signs: _Facts) -> None:
        """Add what the first lines of inputs show: input, what, how many lines."""
        for source, what, many in signs:
            self.signs.setdefault(source, Counter())[what] += many

    def add(self, unit: UnitBooks) -> None:
        """Add one unit."""
        for source in np.unique(unit.source).tolist():
            mine = unit.source == source
            counts = np.bincount(unit.state[mine], minlength=len(STATES)).astype(np.int64)
            if counts[UNCLAIMED] or counts[BAD]:
                self._keep(source, unit.state[mine])
            self.states[source] = self.states.get(source, np.zeros(len(STATES), np.int64)) + counts
            _count(self.read_as, source, unit.format[mine], self.formats)
            _count(self.wrapped, source, unit.envelope[mine], self.envelopes)
        for source, what, many in unit.assumed:
            self.assumed.setdefault(source, Counter())[what] += many
        self.note(unit.votes)
        if unit.lost is not None:
            self.mined.add(unit.lost)
        for counter, source, what, many in unit.noted:
            getattr(self, counter).setdefault(source, Counter())[what] += many

    def told(self, source: int) -> dict[str, object]:
        """Return what is known of an input, for the cache."""
        counts = self.states.get(source, np.zeros(len(STATES), np.int64))
        counters = {name: dict(getattr(self, name).get(source, {})) for name in _COUNTERS}
        unread = [(e.line, e.role) for e in self.unread.get(source, ())]
        return {**{state: int(counts[at]) for at, state in enumerate(STATES)}, **counters, "unread": unread}

    def enter(self, source: int, page: Page) -> None:
        """Enter what the cache knows of an input."""
        self.states[source], self.unread[source] = page.states, list(page.unread)
        for name, counter in page.counters.items():
            getattr(self, name)[source] = counter

    def _keep(self, source: int, state: npt.NDArray[np.uint8]) -> None:
        """Note where the first lines that were not understood stand; the units of an input come in its order."""
        kept = self.unread.setdefault(source, [])
        before = int(self.states[source].sum()) if source in self.states else 0
        lost = np.flatnonzero((state == UNCLAIMED) | (state == BAD))[: _UNREAD - len(kept)]
        kept += [Evidence(source, before + row + 1, None, STATES[state[row]]) for row in lost.tolist()]

    def report(self, sources: Sequence[Source], log: ReadLog) -> tuple[InputReport, ...]:
        """Return the inputs in order, each with lines = events + quiet + joined + unclaimed + bad."""
        return tuple(self._input(i, source, log) for i, source in enumerate(sources))

    def _input(self, index: int, source: Source, log: ReadLog) -> InputReport:
        counts = self.states.get(index, np.zeros(len(STATES), np.int64))
        return InputReport(
            path=source.path,
            format=_most(self.read_as.get(index)) or "unknown",
            envelope=_most(self.wrapped.get(index)),
            bytes=log.bytes.get(index, 0),
            lines=int(counts.sum()),
            **{state: int(counts[code]) for code, state in enumerate(STATES)},
            clock=_clock(self.assumed.get(index)),
            note=source.note or log.notes.get(index),
            signs=dict(sorted(self.signs.get(index, {}).items())),
            unread=tuple(self.unread.get(index, ())),
            claimed=dict(sorted(self.read_as.get(index, {}).items(), key=lambda one: (-one[1], one[0]))),
            mapped=dict(sorted(self.mapped.get(index, {}).items())),
            strange=dict(sorted(self.strange.get(index, {}).items())),
        )


def _items(said: object) -> Iterable[tuple[Any, Any]]:
    """Return the pairs of a JSON object or list; raises TypeError where it is neither."""
    if isinstance(said, dict):
        return said.items()
    if not isinstance(said, list):
        raise TypeError("neither an object nor a list")
    return [(one, other) for one, other in said]


def _count(into: dict[int, Counter[str]], source: int, codes: npt.NDArray[np.int16], names: tuple[str, ...]) -> None:
    seen, many = np.unique(codes[codes >= 0], return_counts=True)
    counter = into.setdefault(source, Counter())
    for code, count in zip(seen.tolist(), many.tolist(), strict=True):
        counter[names[code]] += count


def _most(counter: Counter[str] | None) -> str | None:
    """Return the names seen, the most frequent first, joined by +."""
    if not counter:
        return None
    return "+".join(name for name, _ in sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _clock(counter: Counter[str] | None) -> str | None:
    if not counter:
        return None
    return "; ".join(f"{what} ({many} events)" for what, many in sorted(counter.items()))
