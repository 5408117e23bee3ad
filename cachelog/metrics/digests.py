"""Which digest a version had on which replica: from lines of loads, else from lookups that carry one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames

_KINDS = ("load", "load_start", "lookup")  # the first that shows two digests is told; lines of a kind carry the same


@dataclass(frozen=True, slots=True)
class Sighting:
    """A replica has a version with this digest, from a line on."""

    replica: str
    digest: str
    ts: datetime
    source: int
    line: int


def twofold(events: Events, frames: Frames, limits: Limits) -> Mapping[tuple[str, str], tuple[Sighting, ...]]:
    """Return, by model and version, the sightings of those with more than one digest, by time.

    Compared are digests of one kind of line and of one length: an image's and an artifact's differ by nature. A short
    form of a digest is that digest. Several within one load are files of one version, not versions; two on the same
    replicas in several versions are two builds, by architecture.
    """
    seen = pl.concat([_of_loads(frames), _of_lookups(events, limits)])
    plain = pl.col("digest").str.to_lowercase().str.split(":").list.last().str.strip_chars()
    seen = _lengthened(seen.with_columns(digest=plain)).sort("ts", "source", "line", "digest")
    found: dict[tuple[str, str], tuple[Sighting, ...]] = {}
    for kind in _KINDS:
        for rows in seen.filter(pl.col("op") == kind).partition_by("model", "version", maintain_order=True):
            key = (rows["model"][0], rows["version"][0])
            if key not in found and _is_twofold(rows, limits):
                columns = rows.select("replica", "digest", "ts", "source", "line")
                found[key] = tuple(Sighting(*row) for row in columns.iter_rows())
    return {key: seen for key, seen in sorted(found.items()) if not _is_built_twice(key, found)}


def is_by_replica(seen: Sequence[Sighting]) -> bool:
    """Does each replica keep its own digest, and came the digests in turns?

    What is pushed again is loaded by all from then on. Replicas of two architectures load two builds at all times.
    """
    own: dict[str, str] = {}
    for sighting in seen:
        if own.setdefault(sighting.replica, sighting.digest) != sighting.digest:
            return False
    turns = [digest for digest, _ in groupby(own.values())]
    return len(turns) > len(set(turns))


def _is_built_twice(key: tuple[str, str], found: Mapping[tuple[str, str], Sequence[Sighting]]) -> bool:
    """Do the same replicas differ in other versions of the model too, or, with digests in turns, in other models?"""
    mine = _sides(found[key])
    others = [k for k in found if k != key and mine is not None and _sides(found[k]) == mine]
    return any(other[0] == key[0] or (is_by_replica(found[other]) and is_by_replica(found[key])) for other in others)


def _sides(seen: Sequence[Sighting]) -> frozenset[frozenset[str]] | None:
    """Return the groups of replicas with one digest; None where a replica changed its own."""
    groups: dict[str, set[str]] = {}
    for sighting in seen:
        groups.setdefault(sighting.digest, set()).add(sighting.replica)
    named = [name for group in groups.values() for name in group]
    return frozenset(map(frozenset, groups.values())) if len(named) == len(set(named)) else None


_COLUMNS = ("model", "version", "op", "replica", "digest", "ts", "source", "line")


def _of_loads(frames: Frames) -> pl.DataFrame:
    told = frames.changes.filter(pl.col("op").is_in(["load", "load_start"]))
    return told.drop_nulls(["model", "version", "replica", "digest"]).select(_COLUMNS)


def _of_lookups(events: Events, limits: Limits) -> pl.DataFrame:
    """Return the first lookup of each digest on each replica, of the versions with a few; many are no model's."""
    empty = pl.DataFrame(schema=_of_schema())
    words = [
        p.words.filter((pl.col("op") == "lookup").fill_null(False) & pl.col("digest").is_not_null())
        for p in events.parts
    ]
    if not any(w.height for w in words):
        return empty
    told = pl.concat([w.select(pl.col("model", "version").cast(pl.String), "digest") for w in words]).unique()
    many = told.drop_nulls().group_by("model", "version").len("digests")
    few = many.filter(pl.col("digests").is_between(2, limits.digests_most))
    found = [
        _first_lookups(events, model, rows["version"].to_list(), limits) for (model,), rows in few.group_by("model")
    ]
    return pl.concat([empty, *found])


def _of_schema() -> pl.Schema:
    texts = pl.Schema(dict.fromkeys(_COLUMNS[:5], pl.String()))
    return pl.Schema(texts | {"ts": pl.Datetime("us", "UTC"), "source": pl.UInt32(), "line": pl.UInt64()})


def _first_lookups(events: Events, model: object, versions: list[str], limits: Limits) -> pl.DataFrame:
    named = [pl.col(name).cast(pl.String) for name in ("model", "version", "op", "replica")]
    rows = (
        events.of(str(model))
        .filter(pl.col("op") == "lookup")
        .with_columns(named)
        .drop_nulls(["replica", "digest", "ts"])
    )
    keys = ["model", "version", "op", "replica", "digest"]
    first = rows.filter(pl.col("version").is_in(versions)).group_by(keys).agg(
        pl.col("ts", "source", "line").sort_by("ts", "source", "line").first(),
        last=pl.col("ts").max(), n=pl.col("n").sum(),
    )  # fmt: skip
    known = first.filter(pl.col("n") >= limits.digests_lookups).sort(*keys[:4], "ts").collect()
    mixed = (pl.col("ts") < pl.col("last").shift(1).over(keys[:4])).fill_null(False)
    turns = known.filter(~mixed.any().over("model", "version"))
    return turns.select(_COLUMNS).cast(_of_schema())


def _lengthened(seen: pl.DataFrame) -> pl.DataFrame:
    """Put the long form of a digest in place of its beginning."""
    texts = sorted(set(seen["digest"].to_list()))
    longer = {a: b for a, b in pairwise(texts) if b.startswith(a)}
    for text in reversed(texts):
        if text in longer:
            longer[text] = longer.get(longer[text], longer[text])
    return seen.with_columns(pl.col("digest").replace(longer)) if longer else seen


def _is_twofold(rows: pl.DataFrame, limits: Limits) -> bool:
    """A few digests of one length, and no replica with two of them in one load."""
    lengths = rows["digest"].str.len_chars()
    if not 2 <= rows["digest"].n_unique() <= limits.digests_most or lengths.n_unique() > 1:
        return False
    turns = rows.filter((pl.col("digest") != pl.col("digest").shift(1).over("replica")).fill_null(False))
    pause = rows.with_columns(pause=pl.col("ts").diff().over("replica").dt.total_microseconds() / 1e6)
    close = pause.join(turns, on=["source", "line", "digest"], how="semi").filter(pl.col("pause") <= limits.skew_s)
    return close.is_empty()
