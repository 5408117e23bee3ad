"""The short way for blocks that are nothing but plain JSON lines of one input: what most bytes of most logs are.

A block is plain when every event has a time that the scanner read, a zone and a replica, and no envelope lies around
any line. Then nothing is to be inferred, and what conform.py and place.py do step by step is a few columns here. All
other blocks go the long way; tests hold both together, for the Polars engine knows the long one alone.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.event import LABEL
from cachelog.contract.events import RARE, READ
from cachelog.ingest.meaning import Meanings, Vocabulary
from cachelog.ingest.said import Said

_PLAIN = frozenset(("row", "said", "ts", "replica", "key", "ms", "seconds"))

#: Rows (of the unit) that are events, those of them that come by the million (READ), the others (RARE), and the time
#: of the last.
Plain = tuple[npt.NDArray[np.uint32], pl.DataFrame, pl.DataFrame, Vocabulary, datetime | None]


def read(said: Said, source: int, line0: int, meanings: Meanings) -> Plain | None:
    """Return the events of a block whose row r is line `line0` + r of an input; None where it is not plain."""
    rows = said.rows
    if not {"ts", "replica"} <= set(rows.columns) <= _PLAIN or rows["ts"].null_count() or rows["replica"].null_count():
        return None
    vocabulary, place = meanings.of(said.words)
    if vocabulary.figures["hits_said"].count():
        return None
    meant = _meant(rows, vocabulary, place)
    keep = vocabulary.keep[meant]
    many = vocabulary.bulk[meant] & keep
    full = _full(rows, meant, source, line0)
    if (full["replica"] == "").any():
        return None
    bulk = full if many.all() else full.filter(pl.Series(many))
    rare = _rare(full, keep & ~many, vocabulary)
    kept = np.flatnonzero(keep)
    return rows["row"].to_numpy()[kept], bulk, rare, vocabulary, full["ts"][int(kept[-1])] if len(kept) else None


def _rare(full: pl.DataFrame, few: npt.NDArray[np.bool_], vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the marked rows as RARE; most blocks hold none."""
    if not few.any():
        return pl.DataFrame(schema=RARE)
    marked = full.filter(pl.Series(few))
    of_one = pl.when(pl.col("op") != "rollout").then("replica").alias("replica")
    return marked.hstack(vocabulary.table[marked["said"]]).with_columns(of_one).select(list(RARE))


def _meant(rows: pl.DataFrame, vocabulary: Vocabulary, place: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the row of the vocabulary that each event is; without a key it may be another."""
    meant: npt.NDArray[np.uint32] = place[rows["said"].to_numpy()]
    if not (vocabulary.bare[place] != place).any():
        return meant
    none = rows["key"].is_null().to_numpy() if "key" in rows.columns else np.ones(len(meant), np.bool_)
    return np.where(none, vocabulary.bare[meant], meant)


def _full(rows: pl.DataFrame, meant: npt.NDArray[np.uint32], source: int, line0: int) -> pl.DataFrame:
    """Return READ of all lines."""
    height = rows.height
    columns = {
        "ts": rows["ts"],
        "source": pl.Series(np.full(height, source, np.uint32)),
        "line": pl.Series(rows["row"].to_numpy().astype(np.uint64) + np.uint64(line0)),
        "replica": rows["replica"].cast(LABEL),
        "key": rows["key"] if "key" in rows.columns else pl.Series([None], dtype=pl.UInt64).new_from_index(0, height),
        "seconds": _seconds(rows),
        "said": pl.Series(meant),
        "clock": pl.Series([0], dtype=pl.UInt8).new_from_index(0, height),
    }
    return pl.DataFrame(columns).cast({"ts": READ["ts"], "seconds": pl.Float64()})


def _seconds(rows: pl.DataFrame) -> pl.Series:
    """As conform.py has it: seconds, else milliseconds."""
    ms = rows["ms"] * 0.001 if "ms" in rows.columns else None
    if "seconds" not in rows.columns:
        return pl.Series([None], dtype=pl.Float64).new_from_index(0, rows.height) if ms is None else ms
    return rows["seconds"] if ms is None else rows["seconds"].fill_null(ms)
