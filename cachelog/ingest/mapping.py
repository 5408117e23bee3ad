"""What the user said of how lines are read (contract/own.py) is put in its place, whatever dialect reads the line.

A value found so goes before what the usual names say. Words of outcomes and events become those that ingest/words.py
knows; how often each map told something, and outcomes that no word is known for, go into the books.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from cachelog.contract.jsonlines import NUMBERS, double
from cachelog.contract.own import MEANINGS, SAME, Declared, Mapped, Own, Word, column
from cachelog.ingest import keys
from cachelog.ingest.ledger import Rows
from cachelog.ingest.meaning import is_outcome
from cachelog.ingest.said import Said, grouped
from cachelog.ingest.words import FLAGS, GUESSES

_EXPRESSIONS = {"error": ("event", "cache error")}  # what has no word of an outcome
_SHOWN = 8  # words of a unit that are named where they are not understood
_LASTING = ("seconds", "ms", "duration")
_TIMES = ("ts", "naive", "yearless")


@dataclass(frozen=True)
class _Found:
    """A map, what it found in each row (text, null for nothing), and the words of its field."""

    map: Mapped
    value: pl.Series
    words: Sequence[Word]


def folded(said: Said, own: Own, books: Rows, text: pl.Series | None) -> Said:
    """Return what lines say with what the user's maps found; `text`: the lines of the rows, where that is needed."""
    if not own or not said.rows.height:
        return said
    frame = said.rows.hstack([said.of(s) for s in said.words]).drop("said")
    return grouped(mapped(frame, own, books, text))


def mapped(frame: pl.DataFrame, own: Own, books: Rows, text: pl.Series | None) -> pl.DataFrame:
    """Return PARSED rows (any of its columns) with what the user's maps found; columns of their own are gone."""
    found = [*_of_formats(frame, own.formats), *_of_maps(frame, own, text)]
    plain = frame.drop([name for name in frame.columns if name.startswith("own_")])
    for one in found:
        plain = _placed(plain, one, books)
    for fixed in own.maps:
        plain = _filled(plain, fixed)
    for form in own.formats:
        plain = _fixed(plain, form, frame)
    return plain


def claimed(rows: pl.DataFrame, form: Declared) -> pl.Series:
    """Return which rows (with the columns of maps) a format claims."""
    names = [form.column(at) for at in form.needs] or [form.mark]
    if not set(names) <= set(rows.columns):
        return pl.repeat(False, rows.height, eager=True)
    return rows.select(pl.all_horizontal(pl.col(name).is_not_null() for name in names)).to_series()


def unknown_words(what: str, words: Sequence[str]) -> str:
    """Return the sentence about a place that holds no known outcome: what to type."""
    said = ", ".join(repr(word) for word in words[:_SHOWN])
    meant = (f"outcome:{word}={GUESSES.get(word.lower(), 'hit')}" for word in words[:_SHOWN])
    maps = " ".join(f"--map {shlex.quote(one)}" for one in meant)
    return f"{what} says {said}, which are no known outcomes; say what they mean: {maps} (or {', '.join(MEANINGS)})"


def _of_formats(frame: pl.DataFrame, formats: Sequence[Declared]) -> Iterator[_Found]:
    taken = pl.repeat(False, frame.height, eager=True)
    for form in formats:
        mine = claimed(frame, form) & ~taken
        taken |= mine
        if not mine.any():
            continue
        for at, one in enumerate(form.maps):
            if (name := form.column(at)) in frame.columns:
                value = frame[name].cast(pl.String)
                yield _Found(one, value.set(~mine, None), form.words)


def _of_maps(frame: pl.DataFrame, own: Own, text: pl.Series | None) -> Iterator[_Found]:
    for at, one in enumerate(own.maps):
        if one.path and column(at) in frame.columns:
            yield _Found(one, frame[column(at)].cast(pl.String), own.words)
        elif one.regex and text is not None:
            yield _Found(one, text.str.extract(one.regex), own.words)


def _placed(frame: pl.DataFrame, one: _Found, books: Rows) -> pl.DataFrame:
    """Put what a map found before what is there."""
    field, value = SAME.get(one.map.field, one.map.field), one.value
    if one.map.layout:
        value = _as_iso(value, one.map.layout)
    has = value.is_not_null() & (value != "")
    if not has.any():
        return frame
    books.noted("mapped", one.map.said, frame["row"].filter(has))
    value = value.set(~has, None)
    if field == "outcome":
        return _outcome(frame, one, value, books)
    if field == "event":
        meant = _meant(value, one.words, "event")
        frame = _first(frame, "op", meant)
    if field == "time":
        frame = frame.with_columns(_unless(name, has) for name in _TIMES if name in frame.columns)
    if field in _LASTING:
        frame = frame.with_columns(_unless(name, has) for name in _LASTING if name in frame.columns)
    return _first(frame, field, value)


def _as_iso(value: pl.Series, layout: str) -> pl.Series:
    """Return times of a layout as ISO 8601, in UTC where they say their zone; null for what is none."""
    known = value.str.strip_chars().str.to_datetime(layout, time_unit="us", strict=False)
    zoned = isinstance(known.dtype, pl.Datetime) and known.dtype.time_zone is not None
    return known.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f" + ("Z" if zoned else ""))


def _outcome(frame: pl.DataFrame, one: _Found, value: pl.Series, books: Rows) -> pl.DataFrame:
    own = _meant(value, one.words, "outcome")
    flag = value.str.to_lowercase().replace_strict(FLAGS, default=None, return_dtype=pl.String)
    plain = pl.select(pl.coalesce(own, flag, value)).to_series()
    strange = plain.is_not_null() & ~is_outcome(plain) & ~plain.is_in(["none", *_EXPRESSIONS]).fill_null(False)
    if strange.any():
        books.noted("strange", f"{one.map.said}\0", frame["row"].filter(strange))
    for word in value.filter(strange).unique().sort().head(_SHOWN).to_list():
        books.noted("strange", f"{one.map.said}\0{word}", frame["row"].filter(strange & (value == word)))
    for word, (field, text) in _EXPRESSIONS.items():
        if (is_word := (own == word).fill_null(False)).any():
            frame = _first(frame, field, pl.select(pl.when(is_word).then(pl.lit(text))).to_series())
    known = plain.set((plain == "none").fill_null(False), None)
    has = value.is_not_null()
    frame = frame.with_columns(_unless(name, has) for name in ("outcome", "hit", "miss") if name in frame.columns)
    return _first(frame, "outcome", known)


def _meant(value: pl.Series, words: Sequence[Word], field: str) -> pl.Series:
    """Return what the user said that words mean, null for others."""
    table = {word.word: word.means for word in words if word.field == field}
    if not table:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(value))
    return value.str.strip_chars().str.to_lowercase().replace_strict(table, default=None, return_dtype=pl.String)


def _unless(name: str, has: pl.Series) -> pl.Expr:
    return pl.when(~has).then(pl.col(name)).alias(name)


def _first(frame: pl.DataFrame, field: str, value: pl.Series) -> pl.DataFrame:
    """Put values before those of a column, in its type."""
    if field not in frame.columns:
        made = double(pl.lit(value)) if field in NUMBERS and field != "ms" else pl.lit(value)
        return frame.with_columns(made.alias(field))
    kind = frame.schema[field]
    if kind == pl.UInt64:
        return frame.with_columns(pl.coalesce(keys.hashed(value), pl.col(field)).alias(field))
    if kind == pl.Float64:
        return frame.with_columns(pl.coalesce(double(pl.lit(value)), pl.col(field)).alias(field))
    return frame.with_columns(pl.coalesce(pl.lit(value), pl.col(field).cast(pl.String)).alias(field))


def _filled(frame: pl.DataFrame, one: Mapped, where: pl.Series | None = None) -> pl.DataFrame:
    """Put the fixed text of a map where a column has none."""
    if one.fixed is None:
        return frame
    field, text = SAME.get(one.field, one.field), one.fixed
    known = pl.col(field).cast(pl.String) if field in frame.columns else pl.lit(None, pl.String)
    mine = pl.lit(True) if where is None else pl.lit(where)
    return frame.with_columns(pl.when(mine & known.is_null()).then(pl.lit(text)).otherwise(known).alias(field))


def _fixed(plain: pl.DataFrame, form: Declared, frame: pl.DataFrame) -> pl.DataFrame:
    mine = claimed(frame, form)
    for one in form.maps if mine.any() else ():
        plain = _filled(plain, one, mine)
    return plain
