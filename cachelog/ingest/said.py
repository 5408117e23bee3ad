"""Parsed lines in two tables: what differs from line to line, and the distinct things that lines say.

A fleet says few different things, many times: a block of 50,000 lines holds a few hundred combinations of event,
model, version and outcome. Words are read once for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from cachelog.contract.dialect import PARSED

#: Columns of what a line says; all others of PARSED are of the line itself.
WORDS = ("op", "event", "message", "cache", "outcome", "hit", "miss", "model", "version", "from_version", "to_version",
         "digest", "reason", "n", "url")  # fmt: skip

_LOOKED_AT = 2000  # rows that tell whether grouping pays


@dataclass(frozen=True)
class Said:
    """`rows`: row, said and the columns of PARSED that are no WORDS; `words`: WORDS; rows.said indexes words."""

    rows: pl.DataFrame
    words: pl.DataFrame

    def of(self, column: pl.Series) -> pl.Series:
        """Return, per row, the value that a column over `words` has."""
        return column.gather(self.rows["said"])

    def where(self, mask: pl.Series) -> Said:
        """Return the rows where the mask is true."""
        return replace(self, rows=self.rows.filter(mask))

    def renumbered(self, rows: pl.Series) -> Said:
        """Return the same lines with other row numbers: row i becomes rows[i]."""
        return replace(self, rows=self.rows.with_columns(row=rows.gather(self.rows["row"])))


def grouped(parsed: pl.DataFrame) -> Said:
    """Split PARSED rows (any of its columns); where nearly every row says something new, rows stay as they are."""
    names = [name for name in WORDS if name in parsed.columns]
    rest = parsed.drop(names)
    if not names:
        words = pl.DataFrame({"op": pl.Series([None], dtype=PARSED["op"])})
        return Said(rest.with_columns(said=pl.lit(0, pl.UInt32)), words)
    words = parsed.select(names)
    if words.head(_LOOKED_AT).unique().height * 2 > min(_LOOKED_AT, words.height):
        return Said(rest.with_columns(said=pl.int_range(pl.len(), dtype=pl.UInt32)), words)
    found = words.with_row_index("_at").group_by(names, maintain_order=True).agg("_at")
    index = found.select(said=pl.int_range(pl.len(), dtype=pl.UInt32), _at="_at").explode("_at").sort("_at")
    return Said(rest.with_columns(index["said"]), found.select(names))
