"""What dialects found in lines becomes events: words by their meaning, times and durations as numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.dialect import PARSED
from cachelog.contract.event import COUNTED, EVENT, LABEL, TS
from cachelog.contract.events import ROWS, TOLD
from cachelog.contract.jsonlines import double
from cachelog.ingest import keys
from cachelog.ingest.clock import Zone, instants
from cachelog.ingest.meaning import FIGURES, Meanings, Vocabulary, complete
from cachelog.ingest.said import WORDS, Said

_OF_LINES: pl.Schema = pl.Schema(
    {"row": pl.UInt32(), "said": pl.UInt32(), "ts": TS, "naive": pl.Boolean(), "yearless": pl.Boolean()}
    | {name: dtype for name, dtype in PARSED.items() if name not in WORDS and name != "row"}
)

#: What differs from event to event, and `said`, the row of a vocabulary's table; source and line the claim stage knows.
CONFORMED: pl.Schema = pl.Schema(
    {"row": pl.UInt32(), "ts": TS, "naive": pl.Boolean(), "yearless": pl.Boolean(), "op": EVENT["op"]}
    | {name: dtype for name, dtype in ROWS.items() if name not in ("ts", "source", "line")}
)


Conformed = tuple[pl.DataFrame, Vocabulary]


def conform(said: Said, newest: pl.Series, zone: Zone, meanings: Meanings) -> tuple[Conformed, ...]:
    """Turn what lines say (`ts`, `naive` where the scanner read the time) into CONFORMED rows, events only.

    `newest` (Datetime us) is, per row, when its file was last written. Each vocabulary is that of the column `said`.
    """
    vocabulary, place = meanings.of(said.words)
    keep = vocabulary.keep[place]
    counting = _counting(said, vocabulary, place)
    if counting is None:
        mask = None if keep.all() else said.of(pl.Series(keep))
        return ((_kept(said, mask, newest, zone, vocabulary, place).select(list(CONFORMED)), vocabulary),)
    asked = (vocabulary.table["op"].gather(place) == "lookup").fill_null(False).to_numpy() & keep
    counting &= said.of(pl.Series(~asked))
    # a line of figures is nothing else: "loadSuccessCount=3" is no load
    mask = said.of(pl.Series(keep)) & ~counting
    events = _kept(said, mask, newest, zone, vocabulary, place).select(list(CONFORMED))
    return (events, vocabulary), _opened(_kept(said, counting, newest, zone, vocabulary, place), vocabulary)


def _counting(said: Said, vocabulary: Vocabulary, place: npt.NDArray[np.uint32]) -> pl.Series | None:
    """Return which rows tell figures about many lookups: hits, and misses or lookups; None for none."""
    given = [name for name in COUNTED if name in said.rows.columns]
    if "hits" not in given and not vocabulary.figures["hits_said"].count():
        return None
    spoken = {name: vocabulary.figures[f"{name}_said"].gather(place).is_not_null() for name in COUNTED}
    if "hits" not in given and not spoken["hits"].any():
        return None
    has = {n: said.of(spoken[n]) | (said.rows[n].is_not_null() if n in given else False) for n in COUNTED}
    counting = has["hits"] & (has["misses"] | has["lookups"])
    return counting if counting.any() else None


def _opened(counting: pl.DataFrame, vocabulary: Vocabulary) -> Conformed:
    """Return a sample for each figure of rows that tell several, with a vocabulary of its own."""
    names = ["model", "version"]
    said = counting["said"]  # other threads learn meanwhile: table and figures are of one height only as far as this
    told = vocabulary.table.select(names)[said].hstack(vocabulary.figures[said])
    rows = counting.drop([*FIGURES, *names], strict=False).hstack(told)
    figures = [
        rows.with_columns(seconds=pl.coalesce(what, f"{what}_said"), reason=pl.lit(what) + pl.col("_span"))
        for what in COUNTED
    ]
    kind = pl.lit("sample", EVENT["op"])
    samples = pl.concat(figures).filter(pl.col("seconds") >= 0).with_columns(op=kind, cache="_about")
    distinct = samples.select("op", "cache", "reason", *names).unique(maintain_order=True)
    blank = {name: pl.lit(None, TOLD[name]) for name in ("outcome", "digest")}
    words = distinct.with_columns(**blank, n=pl.lit(1, pl.UInt32), _keep=True, _bare="cache")
    alone = Vocabulary()
    place = pl.Series("said", alone.learn(words.with_columns(pl.lit(None, t).alias(n) for n, t in FIGURES.items())))
    keyed = distinct.with_columns(said=place)
    found = samples.drop("said").join(keyed, on=distinct.columns, nulls_equal=True, maintain_order="left")
    return found.select(list(CONFORMED)), alone


def _kept(
    said: Said,
    mask: pl.Series | None,
    newest: pl.Series,
    zone: Zone,
    vocabulary: Vocabulary,
    place: npt.NDArray[np.uint32],
) -> pl.DataFrame:
    """Return the marked rows (all for None) with the columns of CONFORMED, and those of figures."""
    if mask is not None:
        said, newest = said.where(mask), newest.filter(mask)
    rows = _times(complete(said.rows, _OF_LINES), newest, zone)
    meant = place[rows["said"].to_numpy()]
    key = keys.hashed(rows["key"])
    if (vocabulary.bare[place] != place).any():
        meant = np.where(key.is_null().to_numpy(), vocabulary.bare[meant], meant)
    events = rows.with_columns(key, said=pl.Series(meant), op=vocabulary.table["op"].gather(meant))
    named = pl.Series(vocabulary.of_one[meant]) & (pl.col("replica").cast(LABEL) != "")
    return events.with_columns(replica=pl.when(named).then(pl.col("replica").cast(LABEL)), seconds=_seconds(events))


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def _seconds(events: pl.DataFrame) -> pl.Expr:
    text = pl.col("duration").cast(pl.String)
    number = text.str.extract(r"^\s*(\d+(?:\.\d+)?)\s*[a-zµμ]+\s*$").cast(pl.Float64, strict=False)
    unit = text.str.extract(r"^\s*\d+(?:\.\d+)?\s*([a-zµμ]+)\s*$").replace_strict(
        _UNITS, default=None, return_dtype=pl.Float64
    )
    ms = pl.col("ms") if events.schema["ms"] == pl.Float64 else double(pl.col("ms"))
    # Polars divides a column by a number through its reciprocal, but one row exactly: only products are the same
    known = [pl.col("seconds").cast(pl.Float64, strict=False), ms * 0.001]
    return pl.coalesce(*known, number * unit) if events["duration"].count() else pl.coalesce(*known)


def _times(events: pl.DataFrame, newest: pl.Series, zone: Zone) -> pl.DataFrame:
    """Fill ts from the text of the time where the scanner did not read it, and shift what it read as naive."""
    frame = events.with_columns(newest.alias("_newest"))
    if frame["naive"].any() and zone.name != "UTC":
        local = zone.to_utc(pl.col("ts").dt.replace_time_zone(None))
        frame = frame.with_columns(ts=pl.when(pl.col("naive")).then(local).otherwise(pl.col("ts")))
    open_ = pl.col("ts").is_null() & pl.col("time").is_not_null()
    if not frame.select(open_.any()).item():
        return frame.with_columns(pl.col("naive", "yearless").fill_null(False))
    clock = instants(frame["time"].cast(pl.String), frame["_newest"], zone)
    return frame.with_columns(
        ts=pl.coalesce(pl.col("ts"), clock["ts"]),
        naive=pl.coalesce(pl.col("naive"), clock["naive"]),
        yearless=pl.coalesce(pl.col("yearless"), clock["yearless"]),
    )
