"""What reading gave, in memory and on disk, from one machine or from several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

import cachelog
from cachelog.contract import wire
from cachelog.contract.errors import UsageError
from cachelog.contract.event import EVENT, LABEL, LOST
from cachelog.contract.events import RARE, Events, Part, packed
from cachelog.contract.finding import InputReport
from cachelog.contract.own import Mapped
from cachelog.contract.platform import ANY
from cachelog.ingest import store
from cachelog.ingest.carry import carry_versions, settle_caches
from cachelog.ingest.counters import counted, scraped
from cachelog.ingest.discover import Source, named, rotated
from cachelog.ingest.doubles import once
from cachelog.ingest.settle import settle
from cachelog.ingest.templates import Mined

_SCHEMA = "cachelog.staged/1"
_Marks = Mapping[int, Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Read:
    """Events as they were read (READ, RARE): what other lines or inputs tell of them is not in yet."""

    bulk: Events
    rare: pl.DataFrame
    sources: tuple[Source, ...]
    inputs: tuple[InputReport, ...]
    partial: bool
    marks: _Marks
    sought: tuple[str, ...]  # the inputs of which only the time asked for was read
    maps: tuple[Mapped, ...] = ()  # the user's, where it was read here and now
    mined: Mined = field(default_factory=Mined)  # lines that nobody claims, where they were asked for


@dataclass(frozen=True)
class Staged:
    """What reading gave: the events, those that do not come by the million as a table (EVENT), in no particular order;
    the inputs, whether it was interrupted, ReadLog.marks."""

    bulk: Events
    rare: pl.DataFrame
    read: Read
    inputs: tuple[InputReport, ...]  # how each was read: lines that another input tells too are quiet
    dropped: pl.DataFrame  # doubles.DROPPED
    keep: Callable[[], None]  # keeps what was read for another run, where that was asked for
    again: Mapping[int, int]  # doubles.Once.again

    @property
    def sources(self) -> tuple[Source, ...]:
        """The inputs."""
        return self.read.sources

    @property
    def events(self) -> pl.DataFrame:
        """All events in one table, in no particular order."""
        return pl.concat([self.bulk.all().collect(), self.rare])

    def untimed(self) -> int:
        """Return how many events have no time."""
        none = pl.col("ts").null_count()
        return sum(int(t.lazy().select(none).collect().item()) for t in (self.rare, *(p.rows for p in self.bulk.parts)))

    def lost(self) -> dict[int, int]:
        """Return, by input, how many lines of others it says are missing."""
        said = self.rare.filter((pl.col("op") == "sample") & (pl.col("reason") == LOST))
        sums = said.group_by("source").agg(pl.col("seconds").sum().cast(pl.Int64)).sort("source")
        return dict(sums.iter_rows())

    def names(self, column: str) -> list[str]:
        """Return the names of all models or replicas, sorted."""
        where = [self.rare, *(p.words if column == "model" else p.rows for p in self.bulk.parts)]
        found = [t.lazy().select(pl.col(column).unique().cast(pl.String)).collect()[column] for t in where]
        every = pl.concat(found).drop_nulls().unique().sort()
        return every.filter(~every.str.ends_with(ANY)).to_list()


def assembled(read: Read, keep: Callable[[], None] = lambda: None) -> Staged:
    """Return what was read with what only all of it together tells."""
    settled = settle(read.bulk, read.rare, read.inputs, [source.mtime for source in read.sources])
    carried = _carried(settled.rare, read.sources)
    told = once(
        settle_caches(settled.bulk), carried, [i.events for i in read.inputs], [s.fallback for s in read.sources]
    )
    sources = [replace(s, fallback=told.names.get(at, s.fallback)) for at, s in enumerate(read.sources)]
    bulk, rare = _counted(*_named(told.bulk, told.rare, sources), sources)
    return Staged(bulk, rare, read, _quieted(settled.inputs, told.dropped), told.dropped, keep, told.again)


def _quieted(inputs: Sequence[InputReport], dropped: pl.DataFrame) -> tuple[InputReport, ...]:
    """Return the books with the lines that were dropped as quiet: they say nothing that was not said."""
    sums = dropped.group_by("source").agg(pl.col("lines").sum())
    gone = dict(sums.iter_rows())
    return tuple(
        replace(i, events=i.events - gone.get(at, 0), quiet=i.quiet + gone.get(at, 0)) for at, i in enumerate(inputs)
    )


def _carried(rare: pl.DataFrame, sources: Sequence[Source]) -> pl.DataFrame:
    """Carry over what one line leaves to another, also where the log was rotated between them."""
    first = pl.lit(pl.Series(rotated(sources), dtype=pl.UInt32)).gather(pl.col("source"))
    carried = carry_versions(rare.with_columns(first.alias("source"), _own="source"))
    return carried.with_columns(pl.col("_own").alias("source")).drop("_own")


def _counted(bulk: Events, rare: pl.DataFrame, sources: Sequence[Source]) -> tuple[Events, pl.DataFrame]:
    """Turn the figures that lines report into lookups, which are a part of their own."""
    samples = rare.filter(pl.col("op") == "sample")
    if samples.is_empty():
        return bulk, rare
    found = counted(samples, scraped(sources), bulk.answered())
    asked = found.filter(pl.col("op") == "lookup")
    left = pl.concat([rare.filter(pl.col("op") != "sample"), found.filter(pl.col("op") != "lookup")])
    return Events((*bulk.parts, *([packed(asked)] if asked.height else []))), left


def save(folder: str, read: Read) -> None:
    """Write what was read into a folder, which is made; raises UsageError where there is something or no room."""
    at = Path(folder)
    try:
        at.mkdir(parents=True, exist_ok=True)
        if any(at.iterdir()):
            raise UsageError(f"{folder!r} is not empty; name a folder that is, or is not there yet")
        store.save(at, read.bulk, read.rare)
        store.describe(at, _meta(read))
    except (OSError, pl.exceptions.ComputeError) as error:
        raise UsageError(f"cannot write to {folder!r}: {getattr(error, 'strerror', None) or error}") from None


def load(folders: Sequence[str]) -> Staged:
    """Return what was read into folders as if it had been read at once; raises UsageError."""
    return assembled(_together([_loaded(folder) for folder in folders]))


def _meta(read: Read) -> dict[str, object]:
    return {
        "schema": _SCHEMA,
        "tool": cachelog.__version__,
        "sources": wire.told(read.sources),
        "inputs": wire.told(read.inputs),
        "partial": read.partial,
        "marks": {str(index): list(marks) for index, marks in read.marks.items()},
        "sought": list(read.sought),
    }


def _loaded(folder: str) -> Read:
    at = Path(folder)
    try:
        meta = store.known(at)
        if meta.get("schema") != _SCHEMA:
            raise ValueError(f"its schema is {meta.get('schema')}")
        bulk, rare = store.load(at)
        sources, inputs = (
            wire.read(tuple[Source, ...], meta["sources"]),
            wire.read(tuple[InputReport, ...], meta["inputs"]),
        )
        marks = {int(index): [(line, at) for line, at in found] for index, found in dict(meta["marks"]).items()}  # type: ignore[call-overload]
        sought = wire.read(tuple[str, ...], meta["sought"])
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{folder!r} is no folder that `cachelog stage` wrote: {error}") from None
    return Read(bulk, rare, sources, inputs, bool(meta["partial"]), marks, sought)


def _together(reads: Sequence[Read]) -> Read:
    """Give inputs the order that they have when they are read at once: by path, members as in their archive."""
    every = sorted(
        (source.archive or source.path, at, index)
        for at, read in enumerate(reads)
        for index, source in enumerate(read.sources)
    )
    sources = [reads[at].sources[index] for _, at, index in every]
    paths = [source.path for source in sources]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise UsageError(f"{twice[0]!r} was staged twice; name each folder once")
    place = {(at, index): number for number, (_, at, index) in enumerate(every)}
    moved = [_moved(read, [place[at, index] for index in range(len(read.sources))]) for at, read in enumerate(reads)]
    names = named([source.place for source in sources])
    return Read(
        Events(tuple(part for bulk, _ in moved for part in bulk.parts)),
        pl.concat([pl.DataFrame(schema=RARE), *(rare for _, rare in moved)]),
        tuple(replace(source, fallback=name) for source, name in zip(sources, names, strict=True)),
        tuple(reads[at].inputs[index] for _, at, index in every),
        any(read.partial for read in reads),
        {place[at, index]: marks for at, read in enumerate(reads) for index, marks in read.marks.items()},
        tuple(sorted(path for read in reads for path in read.sought)),
    )


def _moved(read: Read, numbers: Sequence[int]) -> tuple[Events, pl.DataFrame]:
    """Return the events with the numbers that their inputs have among all."""
    place = pl.lit(pl.Series(numbers, dtype=pl.UInt32)).gather(pl.col("source")).alias("source")
    parts = (replace(part, rows=part.rows.lazy().with_columns(place)) for part in read.bulk.parts)
    return Events(tuple(parts)), read.rare.with_columns(place)


def _named(bulk: Events, rare: pl.DataFrame, sources: Sequence[Source]) -> tuple[Events, pl.DataFrame]:
    """Name replicas after their file where nothing else names them."""
    of_file = pl.lit(pl.Series([s.fallback for s in sources], dtype=LABEL)).gather(pl.col("source"))
    named = pl.coalesce("replica", of_file).alias("replica")
    parts = tuple(replace(part, rows=part.rows.with_columns(named)) if _nameless(part) else part for part in bulk.parts)
    one = pl.when(pl.col("op") != "rollout").then(named).otherwise(pl.col("replica")).alias("replica")
    return Events(parts), rare.with_columns(one).select(list(EVENT))


def _nameless(part: Part) -> bool:
    return not isinstance(part.rows, pl.DataFrame) or part.rows["replica"].null_count() > 0
