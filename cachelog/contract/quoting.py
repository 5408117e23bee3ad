"""Escapes in quoted text, as JSON, Go and logfmt writers put them: \\" \\n \\t \\\\ \\u00e9."""

from __future__ import annotations

import polars as pl

_PLAIN = {"\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\r": "\r", "\\/": "/", "\\b": "\b", "\\f": "\f", "\\'": "'"}
_CODE = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"

#: The key of objects that were rows of CSV: it tells them from objects that an application wrote.
CSV_ROW = "csv row"


def unescape(inner: pl.Series) -> pl.Series:
    r"""Return the insides of quoted strings with their escapes decoded; an escape that is none stays as it is.

    \" is decoded apart because nearly all escapes are that one: inside quotes it cannot straddle another escape.
    """
    if not inner.str.contains("\\", literal=True).any():
        return inner
    quotes = inner.str.replace_all('\\"', '"', literal=True)
    rest = quotes.str.contains("\\", literal=True).fill_null(False)
    if not rest.any():
        return quotes
    decoded = _decoded(quotes.filter(rest))
    at = rest.arg_true()
    return quotes.scatter(at, decoded)


def _decoded(text: pl.Series) -> pl.Series:
    """Decode in one pass from left to right, which keeps an escaped backslash from starting another escape."""
    codes = text.filter(text.str.contains("\\u", literal=True)).str.extract_all(_CODE).explode().unique()
    table = {code: _character(code) for code in sorted(codes.drop_nulls().to_list(), key=lambda c: (-len(c), c))}
    table |= _PLAIN
    frame = text.to_frame("text")
    decoded = frame.select(pl.col("text").str.replace_many(list(table), list(table.values()), leftmost=True))
    return decoded.to_series()


def _character(code: str) -> str:
    units = b"".join(int(unit, 16).to_bytes(2, "big") for unit in code.split("\\u")[1:])
    return units.decode("utf-16-be", "replace")
