"""What was read of growing logs: their streams and their events, in memory and on disk, one step at a time.

A state is one JSON file, and beside it a folder of segments (events as of store.py). A segment is written whole before
the file names it, and the file is replaced by a rename: so whatever moment a process dies at, the file tells of
events and of the places up to which they were read together, and the next run goes on from there. What no file names
is removed. Segments that are small become one, and what is older than what is kept goes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from cachelog.contract import wire
from cachelog.contract.errors import UsageError
from cachelog.contract.events import RARE, READ, TOLD, Events, Part, ordered
from cachelog.ingest import store
from cachelog.ingest.streams import Stream

SCHEMA = "cachelog.state/1"
_MANY = 16  # segments; then small ones become one
_SMALL = 1_000_000  # events


@dataclass(frozen=True)
class Segment:
    """Events that were taken in together; `source` is the number of their stream. `name` is that of its folder."""

    bulk: Events
    rare: pl.DataFrame
    events: int
    first: datetime | None  # times of the first and the last one
    last: datetime | None
    name: str = ""
    held: bool = True  # in memory

    @classmethod
    def of(cls, bulk: Events, rare: pl.DataFrame) -> Segment:
        """Count events."""
        tables = [rare.lazy(), *(part.rows.lazy() for part in bulk.parts)]
        time = pl.col("ts")
        told = pl.concat([t.select(many=pl.len(), first=time.min(), last=time.max()) for t in tables]).collect()
        first, last = (end if isinstance(end, datetime) else None for end in (told["first"].min(), told["last"].max()))
        return cls(bulk, rare, int(told["many"].sum()), first, last)


class Journal:
    """Streams by number, and their events.

    `file` is the state (None: there is none, and `folder` takes what memory does not hold); `notes` is what else
    the state keeps, as JSON has it.
    """

    def __init__(self, folder: Path, file: Path | None, most: int) -> None:
        self.streams: dict[int, Stream] = {}
        self.segments: list[Segment] = []
        self.notes: dict[str, object] = {}
        self.next = 1
        self._folder, self._file, self._most = folder, file, most
        self._named = 0

    @classmethod
    def opened(cls, file: str, most: int) -> Journal:
        """Return the journal of a state, a new one where there is none; raises UsageError on a file that is none."""
        at = Path(file)
        made = cls(at.with_name(at.name + ".events"), at, most)
        with suppress(FileNotFoundError):
            try:
                made._load(json.loads(at.read_text(encoding="utf-8")))
            except FileNotFoundError as error:
                if error.filename == str(at):
                    raise
                raise UsageError(_damaged(file, error)) from None
            except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
                raise UsageError(_damaged(file, error)) from None
        made._sweep()
        return made

    def _load(self, said: Mapping[str, object]) -> None:
        if said["schema"] != SCHEMA:
            raise ValueError(f"its schema is {said['schema']}")
        self.streams = {s.number: s for s in wire.read(tuple[Stream, ...], said["streams"])}
        self.next, self._named = int(str(said["next"])), int(str(said["named"]))
        notes = said["notes"]
        if not isinstance(notes, dict):
            raise ValueError("its notes are none")
        self.notes = notes
        for name in wire.read(tuple[str, ...], said["segments"]):
            self.segments.append(self._read(name))

    def _read(self, name: str) -> Segment:
        bulk, rare = store.load(self._folder / name)
        return replace(Segment.of(bulk, rare), name=name, held=False)

    def add(self, bulk: Events, rare: pl.DataFrame, streams: Sequence[Stream], gone: Sequence[int]) -> None:
        """Take in events together with the streams that they are of; `gone` are streams that others replace."""
        for number in gone:
            self.streams.pop(number, None)
        self.streams.update({stream.number: stream for stream in streams})
        made = Segment.of(bulk, rare)
        if made.events:
            self.segments.append(made)

    @property
    def pending(self) -> int:
        """How many segments are in memory alone."""
        return sum(not segment.name for segment in self.segments)

    def forget(self, before: datetime, begun: datetime, unseen: float) -> None:
        """Drop events before a time, and streams that no file has held since (seconds).

        Segments are dropped whole; one that reaches back further than `begun` is written anew without them.
        """
        left = [s for s in self.segments if s.last is None or s.last >= before]
        self.segments = [self._merged([s], before) if s.first and s.first < begun else s for s in left]
        old = [s for s in self.streams.values() if not s.present and s.seen < unseen]
        for stream in old:
            if stream.late is None or stream.late < before:
                del self.streams[stream.number]

    def commit(self) -> None:
        """Make the journal last: all of it, or as it was before. Raises UsageError where there is no room."""
        try:
            self._compact()
            self.segments = [segment if segment.name else self._write(segment) for segment in self.segments]
            if self._file:
                self._describe(self._file)
            self._sweep()
        except OSError as error:
            raise UsageError(f"cannot write {error.filename or self._folder}: {error.strerror or error}") from None
        self._let_go()

    def settle(self) -> None:
        """Make segments in memory few, the last ones twice as small each; put them on disk where there is no state."""
        fresh = [segment for segment in self.segments if not segment.name]
        kept = [segment for segment in self.segments if segment.name]
        while len(fresh) > 1 and fresh[-2].events <= 2 * fresh[-1].events:
            fresh[-2:] = [self._merged(fresh[-2:])]
        self.segments = kept + fresh
        if self._file is None and sum(s.events for s in self.segments if s.held) > self._most:
            self.commit()

    def _compact(self) -> None:
        fresh = [segment for segment in self.segments if not segment.name]
        kept = [segment for segment in self.segments if segment.name]
        if len(kept) + bool(fresh) > _MANY:
            fresh += [segment for segment in kept if segment.events < _SMALL]
            kept = [segment for segment in kept if segment.events >= _SMALL]
        self.segments = kept + ([self._merged(fresh)] if len(fresh) > 1 else fresh)

    def _merged(self, segments: Sequence[Segment], before: datetime | None = None) -> Segment:
        """Return segments as one, without events of streams that are gone, or before a time."""
        mine = pl.col("source").is_in(list(self.streams))
        if before is not None:
            mine &= (pl.col("ts") >= before).fill_null(True)
        rare = pl.concat([pl.DataFrame(schema=RARE), *(s.rare.filter(mine) for s in segments)])
        kept = [(p.rows.lazy().filter(mine).collect(), p.words) for s in segments for p in s.bulk.parts]
        return Segment.of(Events((_one(kept),) if any(rows.height for rows, _ in kept) else ()), rare)

    def _write(self, segment: Segment) -> Segment:
        self._named += 1
        name = f"{self._named:08}"
        at = self._folder / name
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir(mode=0o700)
        store.save(at, segment.bulk, segment.rare)
        if self._file:
            for path in (*at.iterdir(), at, self._folder):
                _flush(path)
        return replace(segment, name=name)

    def _describe(self, file: Path) -> None:
        said = {
            "schema": SCHEMA,
            "streams": wire.told(tuple(self.streams.values())),
            "segments": [segment.name for segment in self.segments],
            "next": self.next,
            "named": self._named,
            "notes": self.notes,
        }
        fresh = file.with_name(file.name + ".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(said, out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
        _flush(file.parent)

    def _sweep(self) -> None:
        """Remove what a run left that did not come to its end, and what was merged."""
        with suppress(OSError):
            known = {segment.name for segment in self.segments}
            for entry in self._folder.iterdir():
                if entry.name not in known:
                    shutil.rmtree(entry, ignore_errors=True)

    def _let_go(self) -> None:
        """Hold in memory what there is room for, the newest first."""
        room, kept = self._most, list[Segment]()
        for segment in reversed(self.segments):
            room -= segment.events
            kept.append(self._read(segment.name) if segment.held and segment.name and room < 0 else segment)
        self.segments = kept[::-1]


def _one(parts: Sequence[tuple[pl.DataFrame, pl.DataFrame]]) -> Part:
    """Return parts (rows and words) as one, with no words but those that are said in it."""
    words = pl.concat([told for _, told in parts])
    starts = np.cumsum([0, *(told.height for _, told in parts[:-1])]).tolist()
    moved = (
        rows.with_columns((pl.col("said") + at).cast(READ["said"])) for (rows, _), at in zip(parts, starts, strict=True)
    )
    rows = pl.concat(moved)
    said = rows["said"].unique().sort()
    distinct = words[said].with_columns(said=said).group_by(list(TOLD), maintain_order=True).agg("said")
    place = distinct.with_row_index("_at").explode("said").sort("said")
    known = np.zeros(words.height, np.uint32)
    known[place["said"].to_numpy()] = place["_at"].to_numpy()
    packed = rows.with_columns(said=pl.lit(pl.Series(known)).gather(pl.col("said")))
    return ordered(packed.select(list(READ)), distinct.select(list(TOLD)))


def _damaged(file: str, error: Exception) -> str:
    return f"{file!r} is no state that `cachelog report` wrote, or it is damaged ({error}); name another, or remove it"


def _flush(path: Path) -> None:
    """See that a file, or a folder's list, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def events_of(
    segments: Sequence[Segment], place: Sequence[int | None], before: datetime | None
) -> tuple[Events, pl.DataFrame]:
    """Return the events of streams as those of inputs; `place` is the input of each stream by its number.

    Events before a time are left out.
    """
    index = pl.lit(pl.Series(place, dtype=pl.UInt32)).gather(pl.col("source")).alias("source")
    new = pl.lit(True) if before is None else (pl.col("ts") >= before).fill_null(True)
    kept = pl.col("source").is_not_null() & new
    parts = [
        Part(part.rows.lazy().with_columns(index).filter(kept), part.words)
        for segment in segments
        for part in segment.bulk.parts
    ]
    rare = [segment.rare.with_columns(index).filter(kept) for segment in segments]
    return Events(tuple(parts)), pl.concat([pl.DataFrame(schema=RARE), *rare])
