"""What units say, put together in the order of the input; what is too much for memory goes to disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from cachelog.contract.errors import UsageError
from cachelog.contract.event import TS
from cachelog.contract.events import RARE, Events, Part, ordered
from cachelog.ingest import store
from cachelog.ingest.claim import UnitRead
from cachelog.ingest.meaning import Vocabulary


class Gathered:
    """The events of all units so far; about `most` that come by the million are held, the others are in a folder."""

    def __init__(self, folder: str | None, most: int) -> None:
        self._folder, self._most = Path(folder) if folder else None, most
        self._rows: dict[int, list[pl.DataFrame]] = {}
        self._words: dict[int, Vocabulary] = {}
        self._held = 0
        self._parts: list[Part] = []
        self._rare: list[pl.DataFrame] = []
        self.late: dict[int, datetime] = {}  # by input, the time of its last event so far

    def add(self, inputs: tuple[int, int], unit: UnitRead) -> None:
        """Add a unit; `inputs` are the first and the last that it holds lines of."""
        first, last = inputs
        before = self.late.get(first)
        fill = unit.untimed and before is not None
        for rows, words in unit.bulk:
            if rows.height:
                self._words[id(words)] = words
                self._rows.setdefault(id(words), []).append(_filled(rows, first, before) if fill else rows)
                self._held += rows.height
        if unit.rare.height:
            self._rare.append(_filled(unit.rare, first, before) if fill else unit.rare)
        if unit.late:
            self.late[last] = unit.late
        if self._folder and self._held > self._most:
            self._spill(self._folder)

    def add_parts(self, events: Events, rare: pl.DataFrame) -> None:
        """Add events that were read before, in memory as far as there is room; all of them, or none when it raises."""
        added, held = list[Part](), self._held
        for part in events.parts:
            many = int(part.rows.lazy().select(pl.len()).collect().item())
            fits = held + many <= self._most
            added.append(replace(part, rows=part.rows.lazy().collect()) if fits else part)
            held += many * fits
        self._parts, self._held = self._parts + added, held
        self._rare.append(rare)

    def bulk(self) -> Events:
        """Return the events that come by the million."""
        return Events((*self._parts, *self._closed()))

    def rare(self) -> pl.DataFrame:
        """Return all other events (RARE), in the order of the lines."""
        return pl.concat([pl.DataFrame(schema=RARE), *self._rare])

    def _closed(self) -> list[Part]:
        return [ordered(pl.concat(rows, rechunk=False), self._words[key].table) for key, rows in self._rows.items()]

    def _spill(self, folder: Path) -> None:
        """Put on disk what is in memory; raises UsageError where there is no room."""
        try:
            self._parts += [store.put(folder, len(self._parts) + at, p, "lz4") for at, p in enumerate(self._closed())]
        except OSError as error:
            raise UsageError(
                f"no room for events in {folder}: {error.strerror or error}; set TMPDIR to a folder that has it"
            ) from None
        self._rows, self._words, self._held = {}, {}, 0


def _filled(rows: pl.DataFrame, source: int, time: datetime | None) -> pl.DataFrame:
    """Give events at the beginning of a unit, which have no time, that of the last event before the unit."""
    open_ = pl.col("ts").is_null() & (pl.col("source") == source)
    return rows.with_columns(ts=pl.when(open_).then(pl.lit(time, TS)).otherwise(pl.col("ts")))
