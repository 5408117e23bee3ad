"""The same line delivered twice counts once: inputs that overlap, loggers with two appenders, a file and its copy.

Lines are compared by all that they say: time, words, key, figures. Equal lines alone prove nothing, for two lookups may
be equal. Two inputs are taken for deliveries of one log where, in the time that both cover, nearly everything that the
smaller one says is said by the other, equally often, and often enough that chance is no explanation: instants finer
than 10 ms weigh most, whole seconds without a key next to nothing. Lines of replicas that are named differently are
never the same. An event that k lines of one input and m of another tell counts max(k, m) times. Within one input a
kind of line that is always there twice (or more) in a row, with one time, is one line.

It works on events, where all inputs are together, so that neither the order of files nor shards or caches matter. Only
samples are compared until there is proof (whole instants, so that counts in them are complete, and both ends of inputs
that may overlap): logs without doubles pay a few milliseconds a million lines. Events without a time are never equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from cachelog.contract.events import SAID, Events, Part
from cachelog.contract.limits import DEFAULT

_CELL = ["ts", "what", "key", "seconds"]
_STREAM = ["source", "replica"]
_PRIME, _STEP = 2_147_483_647, 48_271  # MINSTD (Park and Miller 1988): spreads instants evenly, whatever their period
#: Lines that were dropped: their input, and the one that is kept (the same: told twice in a row).
DROPPED: pl.Schema = pl.Schema({"source": pl.UInt32(), "into": pl.UInt32(), "lines": pl.UInt32()})


@dataclass(frozen=True)
class Once:
    """Events of which each counts once; `dropped` (DROPPED) says how many lines were others again.

    `names` are the replicas of inputs that are deliveries of another one and name none. `again`: how many lines (of a
    sample) an input tells again further on, all as far away.
    """

    bulk: Events
    rare: pl.DataFrame
    dropped: pl.DataFrame
    names: Mapping[int, str]
    again: Mapping[int, int] = field(default_factory=dict)


def once(bulk: Events, rare: pl.DataFrame, sizes: Sequence[int], names: Sequence[str]) -> Once:
    """Return the events without those that are told again.

    `sizes` are, by input, its lines with events: the biggest input keeps its own. `names` are those of the replica that
    the file stands for.
    """
    told = _Told.of(bulk, rare)
    sample = told.sampled()
    repeats = _repeats(sample)
    single = _collapsed(sample, repeats)
    pairs = _pairs(single)
    pieces = _pieces(single)
    if repeats.is_empty() and not pairs:
        return Once(bulk, rare, pl.DataFrame(schema=DROPPED), {}, pieces)
    rank = sorted(range(len(sizes)), key=lambda source: (-sizes[source], source))
    again = pl.concat(list(_again(told, repeats, _sets([p.both for p in pairs], rank), sum(sizes))))
    left = told.without(again)
    same = _sets([p.both for p in pairs if p.same], rank)
    return Once(*left, _lines(again, *left), _named(single, same, names), pieces)


@dataclass(frozen=True)
class _Told:
    """All events: `what` numbers the different things that lines say, by part and by row of `rare`; `kinds` (what,
    kind) are of the same op, cache and reason."""

    bulk: Events
    rare: pl.DataFrame
    what: tuple[pl.Series, ...]
    kinds: pl.DataFrame

    @classmethod
    def of(cls, bulk: Events, rare: pl.DataFrame) -> _Told:
        said = [table.select(pl.col(SAID).cast(pl.String)) for table in (*(p.words for p in bulk.parts), rare)]
        distinct = pl.concat(said).unique(maintain_order=True).with_row_index("what")
        what = (
            table.join(distinct, on=SAID, how="left", nulls_equal=True, maintain_order="left")["what"] for table in said
        )
        kind = distinct.select("op", "cache", "reason").unique(maintain_order=True).with_row_index("kind")
        kinds = distinct.join(kind, on=["op", "cache", "reason"], nulls_equal=True, maintain_order="left")
        return cls(bulk, rare, tuple(what), kinds.select("what", "kind", sample=pl.col("op") == "sample"))

    def rows(self, where: pl.Expr) -> pl.DataFrame:
        """Return the events with a time for which something is true, with the number of their part (the last: rare)."""
        timed = pl.col("ts").is_not_null() & where
        columns = [*_STREAM, "line", "ts", "key", "seconds", "said"]
        found = [p.rows.lazy().filter(timed).select(columns) for p in self.bulk.parts]
        found.append(
            self.rare.lazy().with_columns(said=pl.int_range(pl.len(), dtype=pl.UInt32)).filter(timed).select(columns)
        )
        numbered = (
            rows.with_columns(pl.lit(of).gather("said").alias("what"), part=pl.lit(part, pl.UInt32))
            for part, (rows, of) in enumerate(zip(found, self.what, strict=True))
        )
        return pl.concat(pl.collect_all(list(numbered))).with_columns(pl.col("replica").cast(pl.String))

    def sampled(self) -> pl.DataFrame:
        """Return cells of a sample: _STREAM, _CELL | n, low, high (lines), kind, sample."""
        many = self.rare.height + sum(int(t.select(pl.len()).collect().item()) for t in self._tables())
        every = max(1, many // DEFAULT.double_sample)
        rows = self.rows(_spread() % every == 0)
        if every > 1 and (ends := self._ends(rows)).len():
            rows = pl.concat([rows, self.rows(pl.col("ts").is_in(ends.implode()) & (_spread() % every != 0))])
        cells = rows.group_by(*_STREAM, *_CELL).agg(n=pl.len(), low=pl.col("line").min(), high=pl.col("line").max())
        return cells.join(self.kinds, on="what")

    def _ends(self, rows: pl.DataFrame) -> pl.Series:
        """Return the first and last instants of inputs that may be of one replica: they show short overlaps."""
        streams = rows.select(_STREAM).unique()
        alike = pl.lit(streams["replica"].null_count() > 0) | (pl.col("source").n_unique().over("replica") > 1)
        mine = streams.filter(alike)["source"].unique()
        ts, most = pl.col("ts"), min(max(DEFAULT.double_ends // max(len(mine), 1), 32), 1_000)
        if len(mine) < 2:
            return pl.Series("ts", [], rows.schema["ts"])
        tables = [t.filter(pl.col("source").is_in(mine.implode())) for t in (self.rare.lazy(), *self._tables())]
        both = []
        for furthest in (ts.bottom_k(most), ts.top_k(most)):
            found = pl.collect_all([t.drop_nulls("ts").group_by("source").agg(furthest).explode("ts") for t in tables])
            both.append(pl.concat([t.select("source", "ts") for t in found]).group_by("source").agg(furthest))
        return pl.concat(both)["ts"].explode().unique()

    def _tables(self) -> Iterator[pl.LazyFrame]:
        return (part.rows.lazy() for part in self.bulk.parts)

    def without(self, again: pl.DataFrame) -> tuple[Events, pl.DataFrame]:
        """Return the events but those told again (part, source, line, said)."""
        parts = tuple(_left(part, again.filter(pl.col("part") == at)) for at, part in enumerate(self.bulk.parts))
        gone = again.filter(pl.col("part") == len(parts))["said"]
        row = pl.int_range(pl.len(), dtype=pl.UInt32)
        return Events(parts), self.rare.filter(~row.is_in(gone.implode()))


def _spread() -> pl.Expr:
    """Return a number that depends on the instant alone."""
    us = pl.col("ts").dt.epoch("us").cast(pl.Int64)
    return (us % _PRIME) * _STEP % _PRIME


def _left(part: Part, again: pl.DataFrame) -> Part:
    if again.is_empty():
        return part
    keys = ["source", "line", "said", "key"]
    rows = part.rows.lazy().join(again.select(*keys[:3], key="own").lazy(), on=keys, how="anti", nulls_equal=True)
    return replace(part, rows=rows.collect() if isinstance(part.rows, pl.DataFrame) else rows)


def _weight() -> pl.Expr:
    """Return what it counts that a line at this instant stands in two inputs (double_proof is enough)."""
    fine = pl.col("ts").dt.epoch("us") % DEFAULT.double_fine_us != 0
    keyed = pl.col("key").is_not_null() | pl.col("seconds").is_not_null()
    rough = pl.when(keyed).then(DEFAULT.double_keyed).otherwise(DEFAULT.double_bare)
    return pl.when(fine).then(1.0).otherwise(rough)


def _repeats(sample: pl.DataFrame) -> pl.DataFrame:
    """Return source, kind, times: the kinds of lines that an input always tells so many times in a row."""
    least = pl.col("n").min().over("source", "kind")
    whole = (pl.col("n") % least == 0) & (pl.col("high") - pl.col("low") == pl.col("n") - 1)
    kinds = (
        sample.with_columns(times=least, whole=whole, weight=_weight())
        .filter(pl.col("times") > 1)
        .group_by("source", "kind", "times", "ts")
        .agg(pl.col("whole").mean(), pl.col("weight").max())
        .group_by("source", "kind", "times")
        .agg(pl.col("whole").mean(), pl.col("weight").sum())
        .filter(pl.col("whole") >= DEFAULT.double_share)
    )
    proven = pl.col("weight").sum().over("source") >= DEFAULT.double_proof
    return kinds.filter(proven).select("source", "kind", pl.col("times").cast(pl.Int64))


def _collapsed(sample: pl.DataFrame, repeats: pl.DataFrame) -> pl.DataFrame:
    """Return the sample as if each line that is repeated stood there once."""
    times = pl.col("times").fill_null(1)
    return sample.join(repeats, on=["source", "kind"], how="left").with_columns(
        n=-(-pl.col("n").cast(pl.Int64) // times)
    )


def _pieces(single: pl.DataFrame) -> Mapping[int, int]:
    """Return, by input, how many lines it tells twice, so many lines apart as most of these are: a piece of it again.

    Lookups of one key in one instant are near one another, but neither always as far away nor far.
    """
    apart = pl.col("high") - pl.col("low")
    twice = single.filter((pl.col("n") == 2) & ~pl.col("sample") & (_weight() == 1)).with_columns(apart=apart)
    middle = pl.col("apart").median().over("source")
    far = twice.filter((middle >= DEFAULT.double_far) & ((pl.col("apart") - middle).abs() <= middle * 0.1))
    counts = far.group_by("source").agg(many=pl.len(), weight=_weight().sum()).sort("source")
    found = counts.filter(pl.col("weight") >= DEFAULT.double_proof).select("source", "many")
    return dict(found.iter_rows())


@dataclass(frozen=True)
class _Pair:
    """Two inputs that deliver lines of one log; `same`: neither says much that the other does not."""

    both: tuple[int, int]
    same: bool


def _pairs(single: pl.DataFrame) -> list[_Pair]:
    """Return the inputs that tell the same, where they overlap in time."""
    if single["source"].n_unique() < 2:
        return []
    copies = pl.col("source").n_unique().over(_CELL)
    shared = single.filter(pl.len().over(_CELL) > 1).filter(copies.is_between(2, DEFAULT.double_copies))
    apart = pl.col("source") < pl.col("source_b")
    met = shared.join(shared, on=_CELL, nulls_equal=True, suffix="_b").filter(apart & _one_replica())
    equal = met.filter(pl.col("n") == pl.col("n_b")).unique(["source", "source_b", *_CELL])
    proof = _proof(equal).filter(pl.col("weight") >= DEFAULT.double_proof)
    of = {source: rows for (source,), rows in single.partition_by("source", as_dict=True).items()}
    found = (
        (a, b, many / fewer, many / more, fine)
        for a, b, many, fine in proof.select("source", "source_b", "many", "fine")
        .sort("source", "source_b")
        .iter_rows()
        for fewer, more in [sorted(_meeting(of[a], of[b]))]
    )
    least = {True: DEFAULT.double_share, False: DEFAULT.double_coarse}
    return [_Pair((a, b), other >= DEFAULT.double_same) for a, b, share, other, fine in found if share >= least[fine]]


def _one_replica() -> pl.Expr:
    """Return whether two lines may be of one replica."""
    one, other = pl.col("replica"), pl.col("replica_b")
    return one.is_null() | other.is_null() | (one == other)


def _proof(equal: pl.DataFrame) -> pl.DataFrame:
    """Return source, source_b | many (cells), weight, fine (it is more than whole seconds); figures count by value."""
    both = ["source", "source_b"]
    again = pl.int_range(pl.len()).over(*both, "what", "key", "seconds") > 0
    idle = pl.col("sample") & (again | ~(pl.col("seconds") > 0).fill_null(False))
    weighed = equal.sort("ts").with_columns(weight=pl.when(~idle).then(_weight()).otherwise(0.0))
    instants = weighed.group_by(*both, "ts").agg(many=pl.len(), weight=pl.col("weight").max())
    fine = pl.col("weight").filter(pl.col("weight") == 1).sum() >= DEFAULT.double_proof
    return instants.group_by(both).agg(pl.col("many").sum(), pl.col("weight").sum(), fine=fine)


def _meeting(one: pl.DataFrame, other: pl.DataFrame) -> tuple[int, int]:
    """Return how many cells of each of two inputs the other might hold."""
    start, end = max(one["ts"].min(), other["ts"].min()), min(one["ts"].max(), other["ts"].max())  # type: ignore[type-var]
    counts = [
        mine.filter(pl.col("ts").is_between(start, end) & _may_be_in(theirs)).select(_CELL).n_unique()
        for mine, theirs in ((one, other), (other, one))
    ]
    return counts[0], counts[1]


def _may_be_in(theirs: pl.DataFrame) -> pl.Expr:
    """Return whether an input with these cells might hold a line, by its replica."""
    names = theirs["replica"].unique()
    if names.null_count() == len(names):
        return pl.lit(True)
    return pl.col("replica").is_null() | pl.col("replica").is_in(names.drop_nulls().implode())


def _sets(pairs: Sequence[tuple[int, int]], rank: Sequence[int]) -> list[list[int]]:
    """Return the inputs that hang together, best first."""
    sets: list[set[int]] = []
    for pair in pairs:
        mine = [s for s in sets if s & set(pair)]
        sets = [s for s in sets if s not in mine] + [set(pair).union(*mine)]
    place = {source: at for at, source in enumerate(rank)}
    return sorted(sorted(s, key=place.__getitem__) for s in sets)


def _again(told: _Told, repeats: pl.DataFrame, sets: Sequence[Sequence[int]], events: int) -> Iterator[pl.DataFrame]:
    """Yield part, source, line, said, own (key), into of the events that are told again, some instants at a time."""
    placed = pl.DataFrame(
        [(source, number, rank, one[rank == 0]) for number, one in enumerate(sets) for rank, source in enumerate(one)],
        schema={"source": pl.UInt32(), "set": pl.UInt32(), "rank": pl.UInt32(), "into": pl.UInt32()},
        orient="row",
    )
    sources = pl.concat([placed["source"], repeats["source"]]).unique().sort()
    batches = events // DEFAULT.held_events + 1
    for batch in range(batches):
        here = pl.col("source").is_in(sources.implode())
        rows = told.rows(here if batches == 1 else here & (_spread() % batches == batch))
        counted = rows.join(told.kinds, on="what").join(repeats, on=["source", "kind"], how="left")
        placed_rows = counted.join(placed, on="source", how="left").with_row_index("row")
        yield _told_again(placed_rows.with_columns(own=pl.col("key")))


def _told_again(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of whole cells the rows that say nothing new."""
    several = rows.filter(pl.len().over(_CELL) > 1)
    cells = several.group_by(_CELL).agg(pl.col("row")).with_row_index("cell").select("cell", "row").explode("row")
    placed = several.join(cells, on="row").drop(_CELL).sort("source", "line", "row")
    times, stream = pl.col("times").fill_null(1), ["source", "replica", "cell"]
    numbered = placed.with_columns(at=pl.int_range(pl.len()).over(stream))
    mine = numbered.with_columns(more=pl.col("at") % times != 0, at=pl.col("at") // times)
    judged = mine.join(_before(mine.drop_nulls("set")), on=[*stream, "set"], how="left", nulls_equal=True)
    into = pl.when("more").then("source").otherwise("into")
    gone = judged.filter(pl.col("more") | (pl.col("at") < pl.col("before").fill_null(0)))
    return gone.select("part", "source", "line", "said", "own", into=into)


def _before(mine: pl.DataFrame) -> pl.DataFrame:
    """Return source, replica, cell, set, before: how often inputs that rank before, or name the replica, say it."""
    of = ["set", "cell"]
    counts = mine.group_by(*of, "rank", "source", "replica").agg(n=pl.col("at").max() + 1)
    ranked = counts.sort("set", "rank").with_columns(
        before=pl.col("n").cum_max().shift(1, fill_value=0).over([*of, "replica"])
    )
    named = ranked.drop_nulls("replica").group_by([*of, "replica"]).agg(pl.col("n").max())
    sums = ranked.join(named.group_by(of).agg(named=pl.col("n").sum()), on=of, how="left")
    nameless = pl.max_horizontal("before", pl.col("named").fill_null(0))
    before = pl.when(pl.col("replica").is_null()).then(nameless).otherwise("before")
    return sums.select("source", "replica", "cell", "set", before=before)


def _lines(again: pl.DataFrame, bulk: Events, rare: pl.DataFrame) -> pl.DataFrame:
    """Return DROPPED: lines of which nothing is left."""
    line = ["source", "line"]
    mine = pl.col("source").is_in(again["source"].unique().implode())
    tables = [rare.lazy(), *(part.rows.lazy() for part in bulk.parts)]
    left = pl.concat(pl.collect_all([t.filter(mine).select(line) for t in tables]))
    gone = again.sort(*line, "into").unique(line, keep="first").join(left, on=line, how="anti")
    return gone.group_by("source", "into").agg(lines=pl.len()).sort("source", "into")


def _named(single: pl.DataFrame, sets: Sequence[Sequence[int]], names: Sequence[str]) -> Mapping[int, str]:
    """Return the replica of inputs that deliver one log: the one that is named, else that of the biggest file."""
    known = single.drop_nulls("replica")
    found: dict[int, str] = {}
    for one in sets:
        named = known.filter(pl.col("source").is_in(list(one)))["replica"].unique()
        if len(named) < 2:
            found |= dict.fromkeys(one, named[0] if len(named) else names[one[0]])
    return found
