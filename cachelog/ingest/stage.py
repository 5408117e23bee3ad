"""stage: inputs to EVENT rows and the books of reading, unit by unit on a few threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType

import polars as pl

from cachelog.contract.event import EVENT
from cachelog.contract.finding import InputReport
from cachelog.contract.limits import DEFAULT, Limits
from cachelog.ingest.carry import carry_versions
from cachelog.ingest.claim import Reader, read_unit
from cachelog.ingest.clock import Zone, fixed_offset, from_mtime
from cachelog.ingest.discover import Source, discover
from cachelog.ingest.ledger import Books, UnitBooks
from cachelog.ingest.lines import Piece, ReadLog, Unit, units
from cachelog.ingest.place import Inputs

_THREADS = max(2, min(4, os.cpu_count() or 2))


@dataclass(frozen=True)
class Staged:
    """What reading gave: EVENT rows in no particular order, the inputs, whether it was interrupted, ReadLog.marks."""

    events: pl.DataFrame
    sources: tuple[Source, ...]
    inputs: tuple[InputReport, ...]
    partial: bool
    marks: Mapping[int, Sequence[tuple[int, int]]]


def stage(
    paths: Sequence[str],
    *,
    dialects: Mapping[str, ModuleType],
    envelopes: Mapping[str, ModuleType],
    tz: str = "UTC",
    spool: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    limits: Limits = DEFAULT,
) -> Staged:
    """Read every input under `paths`; Ctrl-C gives what was read so far. Raises UsageError on bad paths or zones.

    `progress` is called with (bytes read, bytes in all) from the calling thread.
    """
    fixed_offset(tz)
    sources = tuple(discover(paths))
    reader = _reader(sources, dialects, envelopes, tz, spool)
    books, log = Books(tuple(dialects), tuple(envelopes)), ReadLog()
    parts: list[pl.DataFrame] = []
    stream = units(sources, log, piece=_piece(envelopes), limits=limits, spool=spool, advance=_meter(sources, progress))
    for events, unit_books in _mapped(stream, reader, log):
        books.add(unit_books)
        if events.height:
            parts.append(events)
    gathered = pl.concat([pl.DataFrame(schema=EVENT), *parts], rechunk=False)
    return Staged(_timed(_carried(gathered)), sources, books.report(sources, log), log.interrupted, log.marks)


def _reader(
    sources: Sequence[Source],
    dialects: Mapping[str, ModuleType],
    envelopes: Mapping[str, ModuleType],
    tz: str,
    spool: str | None,
) -> Reader:
    locators = [module.locus for module in envelopes.values() if hasattr(module, "locus")]
    locus = [next((name for locate in locators if (name := locate(s.path))), None) for s in sources]
    now = os.stat(spool).st_mtime if spool else None
    newest = [from_mtime(now if s.pipe else s.mtime) for s in sources]
    return Reader(dialects, envelopes, Inputs(Zone(tz), newest, [s.fallback for s in sources], locus))


def _piece(envelopes: Mapping[str, ModuleType]) -> Callable[[bytes], Piece | None]:
    patterns = [(module.STREAM, module.OPEN) for module in envelopes.values() if hasattr(module, "OPEN")]

    def piece(line: bytes) -> Piece | None:
        for stream, open_ in patterns:
            if found := stream.match(line):
                return Piece(found[1], open_.match(line) is not None)
        return None

    return piece


def _meter(sources: Sequence[Source], progress: Callable[[int, int], None] | None) -> Callable[[int], None]:
    total, done = sum(s.size for s in sources), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    return advance


_Result = tuple[pl.DataFrame, UnitBooks]


def _mapped(stream: Iterator[Unit], reader: Reader, log: ReadLog) -> Iterator[_Result]:
    """Read units on threads, results in order, at most one unit a thread waiting: memory stays bounded.

    Ctrl-C while waiting for a unit is noted in the log and ends the reading; units in work are finished.
    """
    waiting: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for unit in stream:
            waiting.append(pool.submit(read_unit, unit, reader))
            if len(waiting) > _THREADS:
                yield _awaited(waiting.popleft(), log)
            if log.interrupted:
                break
        while waiting:
            yield _awaited(waiting.popleft(), log)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _awaited(unit: Future[_Result], log: ReadLog) -> _Result:
    try:
        return unit.result()
    except KeyboardInterrupt:
        if log.interrupted:  # twice: the user will not wait
            raise
        log.interrupted = True
        return unit.result()


def _carried(events: pl.DataFrame) -> pl.DataFrame:
    """Give loads the versions that earlier lines named; lookups, nearly all rows, are not touched."""
    few = pl.col("op").is_in(["load_start", "load", "load_fail"])
    rare = events.filter(few)
    carried = carry_versions(rare)
    return events if carried is rare else pl.concat([events.filter(~few), carried.select(list(EVENT))])


def _timed(events: pl.DataFrame) -> pl.DataFrame:
    """An event whose line has no time gets that of the event before it in its file; the books say how many."""
    if not events["ts"].null_count():
        return events
    return events.sort("source", "line", maintain_order=True).with_columns(pl.col("ts").forward_fill().over("source"))
