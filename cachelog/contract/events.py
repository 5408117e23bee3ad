"""Events by the million: what differs from line to line, and apart from it the few things that lines say.

A fleet says few different things many times, so a lookup is kept as 40 bytes and a number: `said` is the row of a table
of words. Only events that are asked for by the million are kept so (BULK); all others are rows of EVENT
in Frames.changes. Parts may lie on disk: what reads them gets lazy frames and asks for one model at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from cachelog.contract.event import EVENT

#: Columns of EVENT that lines say in words; the others differ from line to line.
SAID = ("op", "cache", "outcome", "model", "version", "digest", "reason", "n")
ROWS: pl.Schema = pl.Schema({n: t for n, t in EVENT.items() if n not in SAID} | {"said": pl.UInt32()})
#: What was assumed of the time of an event, until all inputs together tell (ingest/settle.py): bits.
NAIVE, YEARLESS, FOLLOWING = 1, 2, 4  # it had no zone, no year, none at all: then it is that of the event before
READ: pl.Schema = pl.Schema(dict(ROWS) | {"clock": pl.UInt8()})
RARE: pl.Schema = pl.Schema(dict(EVENT) | {"clock": pl.UInt8()})
TOLD: pl.Schema = pl.Schema({name: EVENT[name] for name in SAID})


def is_bulk() -> pl.Expr:
    """Return, over TOLD or EVENT, whether events are of the kind that comes by the million."""
    op, cache = pl.col("op"), pl.col("cache").cast(pl.String)
    entry = (op == "evict") & (cache != "model").fill_null(True)
    return (op.is_in(["lookup", "expire"]) | entry).fill_null(False)


@dataclass(frozen=True)
class Part:
    """Some events: `rows` (ROWS), whose `said` is a row of `words` (TOLD, sorted by model)."""

    rows: pl.DataFrame | pl.LazyFrame
    words: pl.DataFrame

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        """First and last row of words, by model."""
        names = self.words.select("model", at=pl.int_range(pl.len())).drop_nulls("model")
        bounds = names.group_by("model").agg(first=pl.col("at").min(), last=pl.col("at").max())
        return {str(model): (first, last) for model, first, last in bounds.iter_rows()}

    def models(self) -> frozenset[str]:
        """Return the names of the models."""
        return frozenset(self._spans)

    def span(self, models: Sequence[str]) -> tuple[int, int] | None:
        """Return the first and the last row of `words` that are of some models, which follow one another in order."""
        found = [span for model in models if (span := self._spans.get(model))]
        return (found[0][0], found[-1][1]) if found else None

    def of(self, model: str) -> pl.LazyFrame | None:
        """Return the EVENT rows of one model, None for none."""
        if (span := self._spans.get(model)) is None:
            return None
        return self.full(self.rows.lazy().filter(pl.col("said").is_between(*span)))

    def full(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return rows as EVENT."""
        told = (pl.lit(self.words[name]).gather(pl.col("said")).alias(name) for name in SAID)
        return rows.with_columns(told).select(list(EVENT))

    def where(self, words: pl.Series, rows: pl.Expr | None) -> Part:
        """Return the events whose words are marked and whose rows fulfil a condition."""
        kept = self.rows
        if not words.all():
            kept = kept.filter(pl.lit(words).gather(pl.col("said")))
        return replace(self, rows=kept if rows is None else kept.filter(rows))


@dataclass(frozen=True, eq=False)
class Events:
    """Lookups, evictions and expiries of entries: EVENT rows in no particular order, asked for by model.

    Equal to none but itself.
    """

    parts: tuple[Part, ...]

    def of(self, model: str) -> pl.LazyFrame:
        """Return the EVENT rows of one model."""
        found = [part for p in self.parts if (part := p.of(model)) is not None]
        return pl.concat(found) if found else pl.DataFrame(schema=EVENT).lazy()

    def all(self) -> pl.LazyFrame:
        """Return all EVENT rows."""
        return pl.concat([pl.DataFrame(schema=EVENT).lazy(), *(p.full(p.rows.lazy()) for p in self.parts)])

    def answered(self) -> pl.DataFrame:
        """Return the different replicas, caches and models (String) of lookups."""
        names = ["replica", "cache", "model"]
        asked = (p.where(p.words["op"] == "lookup", None) for p in self.parts)
        found = [p.full(p.rows.lazy()).select(pl.col(names).cast(pl.String)).unique().collect() for p in asked]
        return pl.concat([pl.DataFrame(schema=dict.fromkeys(names, pl.String())), *found]).unique()

    def models(self) -> list[str]:
        """Return the names of all models, sorted."""
        return sorted(frozenset[str]().union(*(part.models() for part in self.parts)))


def packed(events: pl.DataFrame) -> Part:
    """Return EVENT rows as a part."""
    words = events.select(SAID).unique(maintain_order=True).with_row_index("said")
    rows = events.join(words, on=SAID, nulls_equal=True, maintain_order="left")
    return ordered(rows.select(list(ROWS)), words.drop("said"))


def ordered(rows: pl.DataFrame, words: pl.DataFrame) -> Part:
    """Return a part whose words are sorted by model, from rows whose `said` indexes words in any order.

    The order of equal models follows the words themselves, so that threads do not decide it.
    """
    texts = words.select(pl.col(SAID).cast(pl.String).name.prefix("_"))
    order = words.hstack(texts).with_row_index("_at").sort("_model", *(f"_{n}" for n in SAID), nulls_last=True)
    place = np.empty(words.height, np.uint32)
    place[order["_at"].to_numpy()] = np.arange(words.height, dtype=np.uint32)
    said = pl.Series("said", place).gather(rows["said"])
    return Part(rows.with_columns(said), order.select(SAID))
