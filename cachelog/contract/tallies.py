"""Figures about many lookups in sentences: "120 hits, 4 misses", CacheInfo(hits=3, misses=8), hitCount=120 missCount=4.

The shapes are those of functools.lru_cache, Caffeine, Guava, Ristretto and of hand-written lines. A share
("hits=96.8%") is no count.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.event import SINCE_LAST, SINCE_START

NAMES = ("hits", "misses", "lookups")
#: What every text with figures holds, in lower case.
HINTS = ("hits", "hit_count", "hitcount", "hit count")

_NUMBER = r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})"
_ENDS = r"(?:[^0-9.%A-Za-z]|\.(?:[^0-9]|$)|$)"
_WORDS = {
    "hits": r"(?:hits|hit[ _]?count)",
    "misses": r"(?:misses|miss[ _]?count)",
    "lookups": r"(?:lookups|requests|request[ _]?count|queries|gets)",
}
_LAST = (
    r"(?i)\b(?:last|past|previous) (?:[0-9.]+ ?)?(?:ms|s|sec\w*|m|min\w*|h|hours?|interval|window|period)\b|"
    r"\b(?:interval|window|since last|delta|per (?:second|minute|interval))\b"
)
_START = (
    r"(?i)\b(?:cumulative|lifetime|totals?|since (?:the )?(?:start|boot|launch)\w*|so far|all[- ]time|"
    r"shut(?:ting)? ?down)\b"
)


def counts(text: pl.Expr) -> dict[str, pl.Expr]:
    """Return the figures (Float64) that a text tells, by name; null where it tells none."""
    return {name: _figure(text, word) for name, word in _WORDS.items()}


def _figure(text: pl.Expr, word: str) -> pl.Expr:
    after = text.str.extract(rf"""(?i)(?:^|[^A-Za-z]|cache[ _-]?){word}["']? ?[=:] ?{_NUMBER}{_ENDS}""")
    before = text.str.extract(rf"(?i)(?:^|[^0-9.]){_NUMBER} (?:cache )?{word}\b")
    return pl.coalesce(after, before).str.replace_all(",", "").cast(pl.Float64, strict=False)


def told(text: pl.Expr) -> pl.Expr:
    """Return whether a text may tell figures: the cheap test before `counts`."""
    return text.str.contains_any(list(HINTS), ascii_case_insensitive=True).fill_null(False)


def span(text: pl.Expr) -> pl.Expr:
    """Return since when a text says its figures count: SINCE_START, SINCE_LAST, or nothing."""
    plain = text.fill_null("").str.replace_all("_", " ")
    last, start = plain.str.contains(_LAST), plain.str.contains(_START)
    return pl.when(last).then(pl.lit(SINCE_LAST)).when(start).then(pl.lit(SINCE_START)).otherwise(pl.lit(""))
