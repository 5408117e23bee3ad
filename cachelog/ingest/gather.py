"""What units say, put together in the order of the input."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from cachelog.contract.event import EVENT, TS
from cachelog.contract.events import Events, ordered
from cachelog.ingest.claim import UnitRead
from cachelog.ingest.conform import Vocabulary


class Gathered:
    """The events of all units so far."""

    def __init__(self) -> None:
        self._rows: dict[int, list[pl.DataFrame]] = {}
        self._words: dict[int, Vocabulary] = {}
        self._rare: list[pl.DataFrame] = []
        self._late: tuple[int, datetime | None] = (-1, None)  # the last input so far, and the time of its last event

    def add(self, inputs: tuple[int, int], unit: UnitRead) -> None:
        """Add a unit; `inputs` are the first and the last that it holds lines of."""
        first, last = inputs
        before = self._late[1] if self._late[0] == first else None
        fill = unit.untimed and before is not None
        for rows, words in unit.bulk:
            if rows.height:
                self._words[id(words)] = words
                self._rows.setdefault(id(words), []).append(_filled(rows, first, before) if fill else rows)
        if unit.rare.height:
            self._rare.append(_filled(unit.rare, first, before) if fill else unit.rare)
        self._late = (last, unit.late or (before if first == last else None))

    def bulk(self) -> Events:
        """Return the events that come by the million."""
        rows = {key: pl.concat(parts, rechunk=False) for key, parts in self._rows.items()}
        return Events(tuple(ordered(rows[key], self._words[key].table) for key in rows))

    def rare(self) -> pl.DataFrame:
        """Return all other events (EVENT), in the order of the lines."""
        return pl.concat([pl.DataFrame(schema=EVENT), *self._rare])


def _filled(rows: pl.DataFrame, source: int, time: datetime | None) -> pl.DataFrame:
    """Give events at the beginning of a unit, which have no time, that of the last event before the unit."""
    open_ = pl.col("ts").is_null() & (pl.col("source") == source)
    return rows.with_columns(ts=pl.when(open_).then(pl.lit(time, TS)).otherwise(pl.col("ts")))
