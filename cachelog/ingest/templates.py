"""Templates of lines that were not understood: lines that differ in some words only, counted, for `cachelog inspect`.

Numbers and hexadecimal words are masked and equal lines counted, vectorised; what is left, some thousands at most, is
joined as Drain does (He et al., ICWS 2017): same number of words, same first word, half of the words equal. Without
its tree, whose result depends on the order of lines: here the most frequent lines come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from cachelog.contract.finding import Template

ANY = "<*>"
_HEX = r"\b(?:0x)?[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,}){0,4}\b"
_NUMBER = r"[0-9]+"
_LONGEST = 300  # characters of a line that are looked at
_OF_UNIT = 2_000  # different lines of a unit that are kept, the most frequent
_OF_INPUT = 5_000
_COMPARED = 400  # different lines that become templates of their own at most
_ALIKE = 0.5  # share of words that are equal

#: Masked lines of a unit by input: how many, and the first of them.
MASKED: pl.Schema = pl.Schema({"source": pl.UInt32(), "text": pl.String(), "lines": pl.Int64(), "first": pl.Int64()})


def masked(lines: pl.DataFrame) -> pl.DataFrame:
    """Return MASKED of lines (source, line, text)."""
    text = pl.col("text").str.slice(0, _LONGEST).str.replace_all(_HEX, ANY).str.replace_all(_NUMBER, ANY)
    found = lines.with_columns(text).group_by("source", "text").agg(lines=pl.len(), first=pl.col("line").min())
    kept = found.sort("lines", "source", "text", descending=[True, False, False]).head(_OF_UNIT)
    return kept.select(list(MASKED)).cast(MASKED)


@dataclass
class Mined:
    """Masked lines so far, by input; memory is bounded, what is left out is counted."""

    kept: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)

    def add(self, unit: pl.DataFrame) -> None:
        """Add the MASKED lines of a unit."""
        for source, text, lines, first in unit.iter_rows():
            mine = self.kept.setdefault(source, {})
            if text in mine:
                mine[text] = mine[text][0] + lines, min(first, mine[text][1])
            elif len(mine) < _OF_INPUT:
                mine[text] = lines, first
            else:
                self.left[source] = self.left.get(source, 0) + lines

    def templates(self, source: int, most: int) -> tuple[Template, ...]:
        """Return the templates of an input, the most frequent first."""
        mine = self.kept.get(source, {})
        ordered = sorted(mine, key=lambda text: (-mine[text][0], text))
        joined: dict[tuple[int, str], list[_Group]] = {}
        for text in ordered[:_COMPARED]:
            words = text.split()
            groups = joined.setdefault((len(words), words[0] if words else ""), [])
            fits = next((group for group in groups if group.alike(words)), None)
            if fits is None:
                groups.append(fits := _Group(words))
            fits.add(words, *mine[text])
        found = [g for groups in joined.values() for g in groups]
        ranked = sorted(found, key=lambda g: (-g.lines, g.first, g.words))[:most]
        return tuple(Template(" ".join(g.words), g.lines, g.first) for g in ranked)


@dataclass
class _Group:
    words: list[str]
    lines: int = 0
    first: int = 0

    def alike(self, words: Sequence[str]) -> bool:
        same = sum(one == other for one, other in zip(self.words, words, strict=True))
        return same >= _ALIKE * len(words)

    def add(self, words: Sequence[str], lines: int, first: int) -> None:
        self.words = [one if one == other else ANY for one, other in zip(self.words, words, strict=True)]
        self.first = min(self.first, first) if self.lines else first
        self.lines += lines
