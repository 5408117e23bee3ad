"""What of the inputs was read before is taken over, and what is read now is kept: between stage.py and cache.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.limits import Limits
from cachelog.ingest import cache
from cachelog.ingest.cache import Kept
from cachelog.ingest.discover import Source
from cachelog.ingest.gather import Gathered
from cachelog.ingest.ledger import STATES, Books, Page
from cachelog.ingest.lines import ReadLog


@dataclass(frozen=True)
class Memory:
    """The inputs of a run, and how they are read."""

    sources: Sequence[Source]
    how: str
    limits: Limits

    def recall(self, books: Books, log: ReadLog, gathered: Gathered) -> dict[int, Kept]:
        """Take over what was read before; return it by input. An entry that is damaged is none."""
        found: dict[int, Kept] = {}
        for index, source in enumerate(self.sources):
            if (kept := cache.find(source, self.how, self.limits)) is None:
                continue
            with suppress(OSError, KeyError, TypeError, ValueError, pl.exceptions.PolarsError):
                page, events = Page.of(index, kept.books), kept.events(index)
                gathered.add_parts(*events)  # raises before it takes anything over; what follows does not raise
                books.enter(index, page)
                log.bytes[index], log.marks[index] = kept.bytes, list(kept.marks)
                if kept.late:
                    gathered.late[index] = kept.late
                found[index] = kept
        return found

    def remember(
        self, books: Books, log: ReadLog, late: Mapping[int, datetime], events: tuple[Events, pl.DataFrame],
        known: Mapping[int, Kept], sought: Collection[int],
    ) -> None:  # fmt: skip
        """Keep for another run what was read whole."""
        whole = [at for at in range(len(self.sources)) if self._worth(at, log) and at not in sought]
        new = [at for at in whole if not _same(known.get(at), self.sources[at])]
        for index in new:
            source, told = self.sources[index], books.told(index)
            kept = Kept(
                source.size, sum(int(str(told[state])) for state in STATES), late.get(index),
                log.bytes.get(index, 0), tuple(log.marks.get(index, ())), told, Path(source.path),
            )  # fmt: skip
            cache.keep(source, self.how, kept, *cache.of_input(index, *events), self.limits)

    def _worth(self, index: int, log: ReadLog) -> bool:
        source = self.sources[index]
        whole = not (source.pipe or source.note or index in log.notes)
        return whole and source.size >= self.limits.cached_bytes


def _same(kept: Kept | None, source: Source) -> bool:
    return kept is not None and kept.size == source.size
