"""The books of reading: every line of every input is an event, quiet, joined, unclaimed or bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cachelog.contract.finding import Evidence, InputReport
from cachelog.ingest.discover import Source
from cachelog.ingest.lines import ReadLog

STATES = ("events", "quiet", "joined", "unclaimed", "bad")
EVENTS, QUIET, JOINED, UNCLAIMED, BAD = range(len(STATES))

_COUNTERS = ("read_as", "wrapped", "assumed")
_UNREAD = 3  # lines of each input that `inspect` cites


@dataclass(frozen=True)
class Rows:
    """The books of a unit while it is read, by row; nothing is claimed yet."""

    source: npt.NDArray[np.uint32]
    state: npt.NDArray[np.uint8]
    format: npt.NDArray[np.int16]
    envelope: npt.NDArray[np.int16]

    @classmethod
    def of(cls, source: npt.NDArray[np.uint32]) -> Rows:
        """Open the books for rows of these inputs."""
        none = np.full(len(source), -1, np.int16)
        return cls(source, np.full(len(source), UNCLAIMED, np.uint8), none, none.copy())

    def claim(self, rows: npt.NDArray[np.uint32], dialect: int, state: int = QUIET) -> None:
        """Enter that a dialect reads these rows."""
        self.state[rows] = state
        self.format[rows] = dialect

    def wrapped(self, rows: npt.NDArray[np.uint32], envelope: int) -> None:
        """Enter that an envelope was around these rows; the outermost stays."""
        fresh = rows[self.envelope[rows] < 0]
        self.envelope[fresh] = envelope

    def closed(self, assumed: tuple[tuple[int, str, int], ...]) -> UnitBooks:
        """Return the books of the unit."""
        return UnitBooks(self.source, self.state, self.format, self.envelope, assumed)


@dataclass(frozen=True)
class UnitBooks:
    """The books of one unit: per row its state, format and envelope (codes), and what was assumed of its time."""

    source: npt.NDArray[np.uint32]
    state: npt.NDArray[np.uint8]
    format: npt.NDArray[np.int16]  # index into Books.formats, -1 for none
    envelope: npt.NDArray[np.int16]
    assumed: tuple[tuple[int, str, int], ...]  # source, what, how many events


@dataclass
class Books:
    """Sums over units, by input."""

    formats: tuple[str, ...]
    envelopes: tuple[str, ...]
    states: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    read_as: dict[int, Counter[str]] = field(default_factory=dict)
    wrapped: dict[int, Counter[str]] = field(default_factory=dict)
    assumed: dict[int, Counter[str]] = field(default_factory=dict)
    unread: dict[int, list[Evidence]] = field(default_factory=dict)  # the first lines that were not understood

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

    def told(self, source: int) -> dict[str, object]:
        """Return what is known of an input, for the cache."""
        counts = self.states.get(source, np.zeros(len(STATES), np.int64))
        counters = {name: dict(getattr(self, name).get(source, {})) for name in _COUNTERS}
        unread = [(e.line, e.role) for e in self.unread.get(source, ())]
        return {**{state: int(counts[at]) for at, state in enumerate(STATES)}, **counters, "unread": unread}

    def restore(self, source: int, told: Mapping[str, object]) -> None:
        """Enter what the cache knows of an input; raises KeyError, TypeError and ValueError on damage."""
        self.states[source] = np.array([told[state] for state in STATES], np.int64)
        for name in _COUNTERS:
            counted = told[name]
            assert isinstance(counted, dict)
            getattr(self, name)[source] = Counter(counted)
        unread = told["unread"]
        assert isinstance(unread, list)
        self.unread[source] = [Evidence(source, line, None, role) for line, role in unread]

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
            unread=tuple(self.unread.get(index, ())),
        )


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
