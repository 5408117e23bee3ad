"""Logs that grow, followed: what is new since the last look becomes events of the journal, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import ModuleType

import polars as pl

from cachelog.contract import own
from cachelog.contract.errors import UsageError
from cachelog.contract.events import RARE, Events, Part
from cachelog.ingest.discover import Source, discover, named
from cachelog.ingest.gather import Gathered
from cachelog.ingest.growth import Slice, grown
from cachelog.ingest.journal import Journal, events_of
from cachelog.ingest.ledger import STATES, Books, Page
from cachelog.ingest.lines import OVERLONG, ReadLog, units
from cachelog.ingest.meaning import Meanings
from cachelog.ingest.opened import Window
from cachelog.ingest.stage import Asked, mapped, piece_of, reader_of
from cachelog.ingest.staged import Read, Staged, assembled
from cachelog.ingest.streams import Contents, Look, Recognised, Stream, ends, recognised

_AT_ONCE = 64 << 20  # bytes of a batch
_APART = 4 << 20  # bytes between places of which is known where they are
_NOWHERE = Look(Source(""), "", (-1, -1, ""), 0, 0)


@dataclass(frozen=True)
class Taken:
    """What a look took in: lines and bytes; `more`: there is more to read at once; `unsure`: files that another look
    will tell what they are."""

    lines: int = 0
    bytes: int = 0
    more: bool = False
    unsure: int = 0


class Follower:
    """Reads what inputs grow by into a journal. `pipes` are the files into which inputs that can be read once go."""

    def __init__(
        self, paths: Sequence[str], rooms: tuple[Mapping[str, ModuleType], Mapping[str, ModuleType]],
        journal: Journal, asked: Asked, pipes: Mapping[str, Callable[[], tuple[str, bool]]],
    ) -> None:  # fmt: skip
        self.journal = journal
        self._paths, self._dialects, self._envelopes, self._asked = paths, *rooms, asked
        self._pipes, self._meanings = pipes, Meanings()
        self._piece = piece_of(self._envelopes)
        self._order: dict[str, int] = {}
        self._untold: tuple[Source, ...] = ()
        self._told: list[int] = []

    @property
    def files(self) -> bool:
        """Whether there are inputs other than pipes."""
        return any(path not in self._pipes for path in self._paths)

    def take(self) -> Taken:
        """Look at all inputs and take in what is new, up to a batch. Raises UsageError on a path that never was."""
        looks = self._looks()
        found = recognised(self.journal.streams.values(), looks, time.time())
        self._note_places(found)
        slices, more = self._slices(found)
        lines = self._read(slices) if slices else 0
        return Taken(lines, sum(len(s.data or b"") for s in slices), more, len(found.unsure))

    def _looks(self) -> list[Look]:
        sources = [source for path in self._paths for source in self._discovered(path)]
        unique = {source.path: source for source in sources}
        looks = []
        self._order = {path: at for at, path in enumerate(unique)}
        self._untold = tuple(s for s in unique.values() if s.note or not (s.size or s.pipe))
        for source in unique.values():
            file, ended = self._pipes[source.path]() if source.path in self._pipes else (source.path, True)
            if not source.note and (look := Look.at(source, file, ended)):
                looks.append(look)
        seen = {look.identity: look for look in reversed(looks)}  # a file that was renamed while folders were read
        return [look for look in looks if seen[look.identity] is look]

    def _discovered(self, path: str) -> list[Source]:
        try:
            return discover([path])
        except UsageError:
            if self.journal.streams:  # it is being rotated, or it is gone
                return []
            raise

    def _note_places(self, found: Recognised) -> None:
        """Note where streams are that did not change, and that others are nowhere."""
        now, streams = time.time(), self.journal.streams
        here = {stream.number: look for look, stream in found.known}
        for number, stream in list(streams.items()):
            if (look := here.get(number)) is None and stream.empty:
                del streams[number]  # a file was seen before its first byte was written, and is another log by now
            elif look is None:
                streams[number] = replace(stream, present=False, inode=-1, size=-1)
            else:
                path, archive = look.source.path, look.source.archive
                device, inode, _ = look.identity
                streams[number] = replace(
                    stream, path=path, archive=archive, device=device, inode=inode, present=True, seen=now,
                    size=stream.size if look.same(stream) else -1,
                )  # fmt: skip

    def _slices(self, found: Recognised) -> tuple[list[Slice], bool]:
        """Return what to read now, and whether that leaves something."""
        slices: list[Slice] = []
        room = _AT_ONCE
        wanted = [(look, self.journal.streams[stream.number]) for look, stream in found.known]
        for look, stream in [*wanted, *((look, None) for look in found.new)]:
            if room <= 0:
                return slices, True
            limits = self._asked.limits
            if one := grown(look, stream, self.journal.next, self._piece, limits):
                slices.append(one)
                room -= look.size if one.data is None else len(one.data)
                self.journal.next = max(self.journal.next, one.stream.number + 1)
        return slices, any(one.more for one in slices)

    def _read(self, slices: Sequence[Slice]) -> int:
        """Read slices into the journal; return the number of lines. What changed meanwhile is read again."""
        streams, books, log, gathered = self._parsed(slices)
        if log.interrupted:
            raise KeyboardInterrupt
        now = time.time()
        done = {
            at: _after(one, replace(one.stream, seen=now), at, (books, log, gathered))
            for at, one in enumerate(slices)
            if one.data is not None or Look.at(one.look.source, one.look.file, one.look.ended) == one.look
        }
        numbers = [done[at].number if at in done else None for at in range(len(slices))]
        gone = [one.replaces for at, one in enumerate(slices) if at in done and one.replaces is not None]
        self.journal.add(*_numbered(gathered.bulk(), gathered.rare(), numbers), list(done.values()), gone)
        return sum(stream.line - streams[at].line for at, stream in done.items())

    def _parsed(self, slices: Sequence[Slice]) -> tuple[list[Stream], Books, ReadLog, Gathered]:
        """Read slices; the streams returned are as they were before, but for what is known of the file."""
        streams = [one.stream for one in slices]
        sources = [replace(s.source(), note=None) for s in streams]
        reader = reader_of(sources, self._dialects, self._envelopes, self._asked)
        reader = replace(reader, meanings=self._meanings)
        books, log = Books(tuple(self._dialects), tuple(self._envelopes)), ReadLog()
        gathered = Gathered(None, self._asked.limits.held_events)
        for at, stream in enumerate(streams):
            _continue(at, stream, books, log, gathered)
        held = {at: one.data for at, one in enumerate(slices) if one.data is not None}
        windows = {at: Window(0, streams[at].line, len(data)) for at, data in held.items()}
        files = [
            replace(source, path=one.look.file, pipe=False) if source.pipe else source
            for source, one in zip(sources, slices, strict=True)
        ]
        lines = units(files, log, piece=self._piece, limits=self._asked.limits, windows=windows, held=held)
        with own.using(self._asked.own):
            for unit, read, seen in mapped(lines, reader, log):
                books.add(read.books)
                books.note(seen)
                gathered.add(unit, read)
        return streams, books, log, gathered

    def staged(self, keep: timedelta | None = None, *, final: bool = True) -> Staged:
        """Return all that is kept as if it had been read at once; `final`: with lines that have no end yet."""
        streams = self._ordered()
        self._told = [stream.number for stream in streams]
        # what has no end yet is read for this answer alone
        slices = [Slice(_NOWHERE, stream, stream.rest.encode("latin-1") if final else b"") for stream in streams]
        _, books, log, gathered = self._parsed(slices)
        for at, stream in enumerate(streams):
            if stream.rest.encode("latin-1") == OVERLONG:
                log.bytes[at] += max(stream.size, stream.offset) - stream.offset - len(OVERLONG)
            end = [(line, stream.offset + more) for line, more in log.marks.get(at, [])[-1:]]
            log.marks[at] = [*stream.marks, *(end if stream.marks else ())]
        place: list[int | None] = [None] * self.journal.next
        for at, stream in enumerate(streams):
            place[stream.number] = at
        self.journal.settle()
        bulk, rare = events_of(self.journal.segments, place, self.oldest(keep))
        whole = Events((*bulk.parts, *gathered.bulk().parts)), pl.concat([rare, gathered.rare()])
        sources = self._sources(streams)
        inputs = books.report(sources, log)
        most = self._asked.limits.held_events
        return assembled(
            Read(_held(whole[0], most), whole[1], sources, inputs, False, log.marks, (), self._asked.own.maps)
        )

    def number(self, index: int) -> int:
        """Return the number of the stream that was an input of the last answer."""
        return self._told[index]

    def oldest(self, keep: timedelta | None) -> datetime | None:
        """Return the time before which events are not kept: so long before the last one that is not in the future."""
        now = datetime.now().astimezone() + timedelta(hours=1)
        times = [s.late for s in self.journal.streams.values() if s.late and s.late <= now]
        return max(times) - keep if keep is not None and times else None

    def _ordered(self) -> list[Stream]:
        """Return the streams in the order of inputs, those that no file holds before what came after them.

        What cannot be read, or is empty, is a stream without a line, number 0.
        """
        end, known = len(self._order), list(self.journal.streams.values())
        here = {stream.path for stream in known if stream.present}
        untold = (s for s in self._untold if s.path not in here)
        return sorted(
            [*known, *(Stream(0, s.path, s.archive, note=s.note) for s in untold)],
            key=lambda s: (s.archive or s.path, self._order.get(s.path, end) if s.present else -1, s.number),
        )

    def _sources(self, streams: Sequence[Stream]) -> tuple[Source, ...]:
        sources = [stream.source() for stream in streams]
        names = named([source.place for source in sources])
        return tuple(replace(source, fallback=name) for source, name in zip(sources, names, strict=True))


def _continue(at: int, stream: Stream, books: Books, log: ReadLog, gathered: Gathered) -> None:
    """Let reading go on where a stream was left."""
    if stream.books:
        books.enter(at, Page.of(at, stream.books))
    log.bytes[at] = stream.bytes
    if stream.late:
        gathered.late[at] = stream.late


def _after(one: Slice, stream: Stream, at: int, said: tuple[Books, ReadLog, Gathered]) -> Stream:
    """Return a stream with what reading said of it."""
    books, log, gathered = said
    told = books.told(at)
    read = replace(
        stream, line=1 + sum(int(str(told[state])) for state in STATES), bytes=log.bytes.get(at, 0),
        late=gathered.late.get(at), note=log.notes.get(at), books=told, marks=_marks(one, log.marks.get(at, [])),
    )  # fmt: skip
    if one.data is not None:
        return read
    contents = Contents(one.look)
    offset = log.bytes.get(at, 0) if contents.packed else one.look.size
    head, tail = ends(contents, offset) or ("", "")
    return replace(read, offset=offset, head=head, tail=tail)


def _marks(one: Slice, found: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Add where lines are, not closer together than is of use; none once that is not known."""
    if one.data is None:
        return tuple(found)
    kept = list(one.stream.marks)
    if not one.data or (one.start and not kept):
        return tuple(kept)
    if one.start is None or not found:
        return ()
    for line, offset in found:
        if len(kept) > 1 and one.start + offset - kept[-2][1] < _APART:
            kept.pop()
        kept.append((line, one.start + offset))
    return tuple(kept)


def _numbered(bulk: Events, rare: pl.DataFrame, numbers: Sequence[int | None]) -> tuple[Events, pl.DataFrame]:
    """Return events with the numbers of their streams instead of those of slices; of no stream, no events."""
    number = pl.lit(pl.Series(numbers, dtype=pl.UInt32)).gather(pl.col("source")).alias("source")
    known = pl.col("source").is_not_null()
    parts = tuple(Part(p.rows.lazy().with_columns(number).filter(known).collect(), p.words) for p in bulk.parts)
    return Events(parts), rare.with_columns(number).filter(known).select(list(RARE))


def _held(bulk: Events, most: int) -> Events:
    """Return events in memory, as far as there is room."""
    parts: list[Part] = []
    for part in bulk.parts:
        many = int(part.rows.lazy().select(pl.len()).collect().item())
        most -= many
        if many:
            parts.append(replace(part, rows=part.rows.lazy().collect()) if most >= 0 else part)
    return Events(tuple(parts))
