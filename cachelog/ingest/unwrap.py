"""Envelopes off, layer by layer, up to three deep; pieces of one line are joined under the row of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.dialect import UNWRAPPED
from cachelog.ingest import texts
from cachelog.ingest.ledger import JOINED, Rows

#: What envelopes say of a row: their time as written and the replica they name.
AROUND: pl.Schema = pl.Schema({"row": pl.UInt32(), "env_time": pl.String(), "env_replica": pl.String()})

#: Envelopes in envelopes: three, two of which may take two (what a shipper wrote, in the answer of a search); a list.
DEPTH = 6


def unwrap(
    lines: pl.DataFrame, envelopes: Mapping[str, ModuleType], rows: Rows, depth: int = DEPTH
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Return LINES without envelopes, and what those said (AROUND, outermost first); keeps the books of pieces."""
    plain: list[pl.DataFrame] = []
    said: list[pl.DataFrame] = []
    while depth and not lines.is_empty():
        lines = texts.uncoloured(lines)
        rest, inner, around = _layer(lines, envelopes, rows)
        plain.append(rest)
        said += around
        lines, depth = inner, depth - 1
    whole = pl.concat([*plain, lines])
    return (whole.sort("row") if said else whole), said


def _layer(
    lines: pl.DataFrame, envelopes: Mapping[str, ModuleType], rows: Rows
) -> tuple[pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """Take one envelope off each line that has one: the lines without, the inner lines, what the envelopes said."""
    inner = [lines.clear()]
    around: list[pl.DataFrame] = []
    for code, envelope in enumerate(envelopes.values()):
        if not hasattr(envelope, "claim"):  # JSON: see claim.py
            continue
        mine = lines.select(envelope.claim(pl.col("text")).fill_null(False)).to_series()
        if not mine.any():
            continue
        claimed = lines if mine.all() else lines.filter(mine)
        opened = envelope.unwrap(claimed).select(pl.col(name).cast(dtype) for name, dtype in UNWRAPPED.items())
        rows.wrapped(opened["row"].to_numpy(), code)
        whole = joined(opened, rows)
        inner.append(whole.select("row", "text"))
        around.append(whole.select(list(AROUND)))
        lines = lines.filter(~mine)
    return lines, pl.concat(inner), around


def joined(inner: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """Join a piece marked partial with what follows it in the same stream; the pieces after the first are joined."""
    if (unspoken := inner["partial"].is_null()).any():
        rows.state[inner["row"].filter(unspoken).to_numpy()] = JOINED
        inner = inner.filter(~unspoken)
    if not inner["partial"].any():
        return inner
    place = ["_source", "stream", "env_replica"]
    inner = inner.with_columns(_source=pl.Series(rows.source).gather(inner["row"]))
    starts = (~pl.col("partial").fill_null(False)).shift(1).over(place).fill_null(True)
    numbered = inner.sort("row").with_columns(_record=starts.cum_sum().over(place))
    whole = (
        numbered.group_by(*place, "_record", maintain_order=True)
        .agg(pl.col("row").first(), pl.col("text").str.join(""), pl.col("env_time").first(), partial=pl.lit(False))
        .select(list(UNWRAPPED))
        .sort("row")
    )
    rows.state[np.setdiff1d(inner["row"].to_numpy(), whole["row"].to_numpy())] = JOINED
    return whole


def innermost(said: list[pl.DataFrame], rows: Rows) -> pl.DataFrame:
    """Return AROUND with one line a row: of each column what the innermost envelope that has it says."""
    merged = pl.concat([pl.DataFrame(schema=AROUND), *reversed(said)])
    if len(said) > 1 and len(rows.outer) > rows.lines:
        merged = pl.concat([merged, *_handed_down(merged, rows)])
    if len(said) < 2 or not merged["row"].is_duplicated().any():
        return merged
    return merged.group_by("row", maintain_order=True).agg(pl.col("env_time", "env_replica").drop_nulls().first())


def _handed_down(said: pl.DataFrame, rows: Rows) -> Iterator[pl.DataFrame]:
    """Yield what was said around the rows that records are in, nearest first, as said of the records."""
    inner = np.arange(rows.lines, len(rows.outer), dtype=np.uint32)
    outer = rows.outer[inner]
    while len(inner):
        of = pl.DataFrame({"row": inner, "_outer": outer})
        yield of.join(said, left_on="_outer", right_on="row", maintain_order="left_right").select(list(AROUND))
        deeper = outer >= rows.lines
        inner, outer = inner[deeper], rows.outer[outer[deeper]]


def positions(rows: pl.Series, known: pl.Series) -> pl.Series:
    """Return where in `known` (distinct row numbers) each of `rows` stands, null where nowhere."""
    asked, stand = rows.to_numpy(), known.to_numpy()
    table: npt.NDArray[np.int64] = np.full(max(asked.max(initial=0), stand.max(initial=0)) + 1, -1, np.int64)
    table[stand] = np.arange(len(stand))
    found = pl.Series(table[asked])
    return found.set(found < 0, None)
