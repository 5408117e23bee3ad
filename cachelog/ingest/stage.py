"""stage: inputs to EVENT rows and the books of reading, unit by unit on a few threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from cachelog.contract import own
from cachelog.contract.limits import DEFAULT, Limits
from cachelog.ingest.claim import Layouts, Reader, UnitRead, read_unit
from cachelog.ingest.clock import Zone, fixed_offset, from_mtime
from cachelog.ingest.discover import Source, discover
from cachelog.ingest.gather import Gathered
from cachelog.ingest.ledger import Books
from cachelog.ingest.lines import Piece, ReadLog, Unit, units
from cachelog.ingest.memory import Memory
from cachelog.ingest.opened import Window
from cachelog.ingest.place import Inputs
from cachelog.ingest.seek import Span, window
from cachelog.ingest.signs import Sign, signs
from cachelog.ingest.staged import Read, Staged, assembled

_THREADS = max(2, min(4, os.cpu_count() or 2))


_EVER = Span()


@dataclass(frozen=True)
class Asked:
    """How to read: `spool`, a folder for copies of pipes and for events that memory does not hold (none: all is held);
    whether what was read before may be used and kept; `progress(bytes read, bytes in all)`, from the calling thread."""

    tz: str = "UTC"
    spool: str | None = None
    cache: bool = False
    span: Span = _EVER  # of big files in order of time only this is read, with some slack
    progress: Callable[[int, int], None] | None = None
    limits: Limits = DEFAULT
    mining: bool = False  # are templates of lines wanted that nobody claims?
    own: own.Own = own.NOTHING  # what the user said of how lines are read

    def how(self, dialects: Mapping[str, ModuleType]) -> str:
        """Return what the events of an input depend on beside its bytes and the parser."""
        guests = [f"{name} {module.IDENTITY}" for name, module in dialects.items() if hasattr(module, "IDENTITY")]
        return repr((self.tz, self.own, guests)) if self.own or guests else self.tz


def stage(
    paths: Sequence[str],
    dialects: Mapping[str, ModuleType],
    envelopes: Mapping[str, ModuleType],
    asked: Asked = Asked(),
) -> Staged:
    """Read every input under `paths`; Ctrl-C gives what was read so far. Raises UsageError on bad paths or zones."""
    with own.using(asked.own):
        return _staged(paths, dialects, envelopes, asked)


def _staged(
    paths: Sequence[str], dialects: Mapping[str, ModuleType], envelopes: Mapping[str, ModuleType], asked: Asked
) -> Staged:
    fixed_offset(asked.tz)
    sources = tuple(discover(paths))
    reader = reader_of(sources, dialects, envelopes, asked)
    books, log = Books(tuple(dialects), tuple(envelopes)), ReadLog()
    gathered = Gathered(asked.spool, asked.limits.held_events)
    memory = Memory(sources, asked.how(dialects), asked.limits)
    known = memory.recall(books, log, gathered) if asked.cache else {}
    windows = {index: Window(kept.size, kept.lines + 1, sources[index].size) for index, kept in known.items()}
    sought = {
        index: found
        for index, source in enumerate(sources)
        if index not in known and (found := window(index, source, asked.span, reader, asked.limits))
    }
    windows |= sought
    stream = units(
        sources, log, piece=piece_of(envelopes), limits=asked.limits, spool=asked.spool, windows=windows,
        advance=_meter(sources, windows, asked.progress),
    )  # fmt: skip
    for unit, read, seen in mapped(stream, reader, log):
        books.add(read.books)
        books.note(seen)
        gathered.add(unit, read)
    inputs, bulk, rare = books.report(sources, log), gathered.bulk(), gathered.rare()
    keep: Callable[[], None] = lambda: None  # noqa: E731
    if asked.cache and not log.interrupted:
        keep = partial(memory.remember, books, log, gathered.late, (bulk, rare), known, sought)
    parts = tuple(sources[index].path for index in sought)
    return assembled(
        Read(bulk, rare, sources, inputs, log.interrupted, log.marks, parts, asked.own.maps, books.mined), keep
    )


def reader_of(
    sources: Sequence[Source],
    dialects: Mapping[str, ModuleType],
    envelopes: Mapping[str, ModuleType],
    asked: Asked,
) -> Reader:
    """Return what reads lines of these inputs."""
    locators = [module.locus for module in envelopes.values() if hasattr(module, "locus")]
    locus = [next((name for locate in locators if (name := locate(s.place))), None) for s in sources]
    now = os.stat(asked.spool).st_mtime if asked.spool else None
    newest = [from_mtime(now if s.pipe else s.mtime) for s in sources]
    return Reader(
        dialects, envelopes, Inputs(Zone(asked.tz), newest, locus), Layouts.of(envelopes, dialects), mining=asked.mining
    )


def piece_of(envelopes: Mapping[str, ModuleType]) -> Callable[[bytes], Piece | None]:
    """Return what tells of a line whether it may be a piece of a longer one."""
    patterns = [(module.STREAM, module.OPEN) for module in envelopes.values() if hasattr(module, "OPEN")]

    def piece(line: bytes) -> Piece | None:
        for stream, open_ in patterns:
            if found := stream.match(line):
                return Piece(found[1], open_.match(line) is not None)
        return None

    return piece


def _meter(
    sources: Sequence[Source], windows: Mapping[int, Window], progress: Callable[[int, int], None] | None
) -> Callable[[int], None]:
    read = (windows[at].end - windows[at].start if at in windows else s.size for at, s in enumerate(sources))
    total, done = sum(read), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    return advance


Result = tuple[tuple[int, int], UnitRead, tuple[Sign, ...]]


def mapped(stream: Iterator[Unit], reader: Reader, log: ReadLog) -> Iterator[Result]:
    """Read units on threads, results in order, at most one unit a thread waiting: memory stays bounded.

    Ctrl-C while waiting for a unit is noted in the log and ends the reading; units in work are finished.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for unit in stream:
            waiting.append(pool.submit(copy_context().run, _read, unit, reader))
            if len(waiting) > _THREADS:
                yield _awaited(waiting.popleft(), log)
            if log.interrupted:
                break
        while waiting:
            yield _awaited(waiting.popleft(), log)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(unit: Unit, reader: Reader) -> Result:
    """Read a unit and let go of its bytes; return its first and last input, what it says, and what that shows."""
    read = read_unit(unit, reader)
    return (unit.segments[0].source, unit.segments[-1].source), read, signs(unit, read.books.state)


def _awaited(unit: Future[Result], log: ReadLog) -> Result:
    try:
        return unit.result()
    except KeyboardInterrupt:
        if log.interrupted:  # twice: the user will not wait
            raise
        log.interrupted = True
        return unit.result()
