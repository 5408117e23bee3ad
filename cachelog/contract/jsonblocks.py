"""JSON lines by the million with Polars alone, with exactly the meaning of contract/jsonlines.py.

Polars parses lines fast, but only the keys it is told of, and not quite to that meaning. So a block is searched for
every key that a field asks for, and for what Polars would get wrong. Lines of the latter kind, few in any log, are
read one by one in plain Python:

* escapes in keys, halves of surrogate pairs (Polars makes NUL of them), brackets hidden in escapes, and any escape
  beside an object to be looked into (Polars hands it over as text without escaping again);
* numbers that Polars writes differently where the text as written counts (1.10, 1e3, -0);
* strings that look like an object or array, and arrays that may be of one string; nesting that may be too deep.

Lines that Polars refuses are found by dividing the block, and the last few are read in Python too: it takes no line
that is bad, but refuses some good ones (1e400).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract import jsonlines
from cachelog.contract.jsonlines import DEPTH, MEASURES, Asked, asked, decode, fields

_SAMPLED = 100  # lines of a block whose keys are looked at
_FEW = 64  # so many lines that Polars refuses together are read one by one
_GAP = r"[ \t\r]*"
_ESCAPES = rf'\\u(?:[dD][89a-fA-F]|00[57][bB]|[^"]*"{_GAP}:)'
_NUMERAL = r"^-?\d+(?:\.\d+)?$"
_REWRITTEN = r"(?:-?\d+[.eE]|-0)"
_BRACKETED = r'"[\[{]'
_TEXTS = rf'\[{_GAP}"'
_OF_TEXTS = r'(?s)^\[.*"\s*\]$'

_Rows = npt.NDArray[np.uint32]
_Mask = npt.NDArray[np.bool_]
_Lines = list[tuple[str, int]]


def read(data: bytes, rows: _Rows) -> pl.DataFrame:
    """Read lines that begin as objects, each ended by a newline, to a FLAT frame without the columns without values.

    `rows` are the numbers of the lines. Bad lines are left out.
    """
    block = _block(data, rows)
    if not len(block.rows):
        return jsonlines.read([], [])
    again, block = _set_apart(block, block.odd())
    raw, refused = _parsed(block)
    doubtful = _doubtful(raw, block)
    if doubtful is not None:
        again += _picked(block, np.isin(block.rows, raw["row"].filter(doubtful).to_numpy()))
        raw = raw.filter(~doubtful)
    again += refused
    frame = _canonical(raw, block)
    if not again:
        return frame
    one_by_one = jsonlines.read([text for text, _ in again], [row for _, row in again])
    return pl.concat([frame, one_by_one], how="diagonal").sort("row")


@dataclass(frozen=True)
class _Block:
    """Lines, each ended by a newline, their rows, which keys that fields ask for are in them, and if all is plain.

    Plain: nowhere is a number that Polars would write differently where the text counts.
    """

    data: bytes
    text: str
    rows: _Rows
    keys: tuple[str, ...]
    plain: bool

    @cached_property
    def lines(self) -> pl.Series:
        """The lines one by one."""
        return pl.Series(self.text.split("\n")[:-1], dtype=pl.String)

    @cached_property
    def whole(self) -> pl.Series:
        """The block as one text: searching that is five times as fast as searching lines."""
        return pl.Series([self.text], dtype=pl.String)

    @cached_property
    def brackets(self) -> bool:
        """Is there any bracket but the braces that open and close the lines?"""
        return self._count("{") > len(self.rows) or self._count("[") > 0

    @cached_property
    def escapes(self) -> bool:
        """Is there any backslash?"""
        return self._count("\\") > 0

    def _count(self, char: str) -> int:
        return int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == ord(char)))

    def has(self, pattern: str) -> bool:
        """Return whether any line contains a pattern."""
        return bool(self.whole.str.contains(pattern).item())

    def where(self, pattern: str) -> _Mask | None:
        """Return which lines contain a pattern; None for none."""
        return self.lines.str.contains(pattern).to_numpy() if self.has(pattern) else None

    def odd(self) -> _Mask | None:
        """Return which lines are not to be given to Polars; None for none."""
        escapes = self.where(_ESCAPES) if self.escapes else None
        return _either(escapes, self._deep())

    def _deep(self) -> _Mask | None:
        """Find lines that are long enough and have enough brackets to be nested too deep."""
        if not self.brackets or not (long := self.lines.str.len_bytes() > 2 * DEPTH).any():
            return None
        many = pl.when(long).then(self.lines.str.count_matches(r"[\[{]")) > DEPTH
        return pl.select(many.fill_null(False)).to_series().to_numpy()


def _either(one: _Mask | None, other: _Mask | None) -> _Mask | None:
    return other if one is None else one if other is None else one | other


def _block(data: bytes, rows: _Rows) -> _Block:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        kept = [(line, row) for raw, row in zip(data.split(b"\n"), rows, strict=False) if (line := _decoded(raw))]
        text, rows = "".join(f"{line}\n" for line, _ in kept), np.array([row for _, row in kept], np.uint32)
        data = text.encode()
    return _Block(data, text, rows, *_keys(text))


def _keys(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the keys of a block that fields ask for, and if all is plain; one search settles both for most blocks.

    Nearly all keys are in a sample. Keys with escapes are none of them: their lines are read one by one.
    """
    sampled, whole = _sampled(text), pl.Series([text])
    other = f'"(?:{_any_of(asked().keys() - sampled)})"{_GAP}:'
    rewritten = f'"(?:{_any_of([*_written(sampled), *_leaves(sampled), chr(0)])})"{_GAP}:{_GAP}{_REWRITTEN}'
    if not whole.str.contains(f"{other}|{rewritten}").item():
        return tuple(sorted(sampled)), True
    found = whole.str.extract_all(other).explode().drop_nulls().unique()
    return tuple(sorted(sampled.union(found.str.extract('"(.*)"').to_list()))), False


def _any_of(keys: Iterable[str]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys))


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _sampled(text: str) -> frozenset[str]:
    found: set[str] = set()
    step, end = max(1, len(text) // _SAMPLED), -1
    while end < len(text) - 1:  # `end` is the newline before the next line looked at, or some lines further on
        start = max(end, text.rfind("\n", end + 1, min(end + step, len(text) - 1))) + 1
        end = text.find("\n", start)
        found |= (decode(text[start:end]) or {}).keys()
    return frozenset(found & asked().keys())


def _picked(block: _Block, mask: _Mask) -> _Lines:
    return list(zip(block.lines.filter(pl.Series(mask)).to_list(), block.rows[mask].tolist(), strict=True))


def _set_apart(block: _Block, mask: _Mask | None) -> tuple[_Lines, _Block]:
    """Return (text, row) of the lines in the mask, and the block without them."""
    if mask is None or not mask.any():
        return [], block
    rest = "".join(f"{line}\n" for line in block.lines.filter(pl.Series(~mask)).to_list())
    return _picked(block, mask), _Block(rest.encode(), rest, block.rows[~mask], block.keys, block.plain)


def _parsed(block: _Block) -> tuple[pl.DataFrame, _Lines]:
    """Parse with an explicit schema of strings; return (row, keys...) and the lines that Polars refuses."""
    schema = pl.Schema({key: pl.String() for key in block.keys or ("\0",)})
    whole = _read_ndjson(block.data, schema, len(block.rows))
    if whole is not None:
        return whole.insert_column(0, pl.Series("row", block.rows)), []
    parts = [pl.DataFrame(schema=pl.Schema({"row": pl.UInt32()} | dict(schema)))]
    refused: _Lines = []
    waiting = [(0, len(block.rows))]
    while waiting:
        start, stop = waiting.pop()
        texts, rows = block.lines[start:stop].to_list(), block.rows[start:stop]
        if (frame := _read_ndjson("\n".join(texts).encode(), schema, len(rows))) is not None:
            parts.append(frame.insert_column(0, pl.Series("row", rows)))
        elif len(rows) <= _FEW:
            refused += zip(texts, rows.tolist(), strict=True)
        else:
            waiting += _split(start, stop)
    return pl.concat(parts).sort("row"), refused


def _split(start: int, stop: int) -> list[tuple[int, int]]:
    step = -(-(stop - start) // 16)
    return [(at, min(at + step, stop)) for at in range(start, stop, step)]


def _read_ndjson(data: bytes, schema: pl.Schema, height: int) -> pl.DataFrame | None:
    """Return a frame with a row for each line, None when there is a line that Polars does not take."""
    if not height:
        return pl.DataFrame(schema=schema)
    try:
        frame = pl.read_ndjson(data, schema=schema)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return frame if frame.height == height else None


def _container(key: str) -> pl.Expr:
    text = pl.col(key)
    braced = text.str.starts_with("{") & text.str.ends_with("}")
    return (braced | (text.str.starts_with("[") & text.str.ends_with("]"))).fill_null(False)


def _doubtful(raw: pl.DataFrame, block: _Block) -> pl.Series | None:
    """Return the rows whose values Polars may have rewritten; None for none."""
    doubtful: pl.Series | None = None
    if block.brackets and block.has(_BRACKETED):
        looks = raw.select(pl.any_horizontal(_container(key) for key in block.keys)).to_series()
        doubtful = looks & _lines_of(raw, block, _BRACKETED)
    if block.brackets and block.has(_TEXTS):
        single = raw.select(pl.any_horizontal(pl.col(block.keys).str.contains(_OF_TEXTS).fill_null(False))).to_series()
        found = single & _lines_of(raw, block, _TEXTS)
        doubtful = found if doubtful is None else doubtful | found
    heads = [key for key in block.keys if asked()[key].inside]
    if heads and block.brackets and block.escapes:
        objects = raw.select(pl.any_horizontal(pl.col(heads).str.starts_with("{").fill_null(False))).to_series()
        found = objects & _lines_of(raw, block, r"\\")
        doubtful = found if doubtful is None else doubtful | found
    leaves = _leaves(block.keys) if block.brackets else []
    for name in [] if block.plain else [*_numerals(raw, block.keys), *leaves]:
        pattern = f'"{re.escape(name)}"{_GAP}:{_GAP}{_REWRITTEN}'
        if block.has(pattern):
            found = _lines_of(raw, block, pattern)
            doubtful = found if doubtful is None else doubtful | found
    return doubtful if doubtful is not None and doubtful.any() else None


def _lines_of(raw: pl.DataFrame, block: _Block, pattern: str) -> pl.Series:
    """Return which rows of the parsed frame come from a line that contains a pattern."""
    found = block.rows[block.lines.str.contains(pattern).to_numpy()]
    return pl.Series(np.isin(raw["row"].to_numpy(), found))


def _numerals(raw: pl.DataFrame, keys: Iterable[str]) -> list[str]:
    """Return the keys whose value counts as written in some field, and of which some value may be a number."""
    return [key for key in _written(keys) if raw[key].unique().str.contains(_NUMERAL).any()]


def _written(keys: Iterable[str]) -> list[str]:
    """Return the keys whose value counts as written in some field."""
    return [key for key in keys if any(name not in MEASURES for name, _ in asked()[key].targets)]


def _leaves(keys: Iterable[str]) -> list[str]:
    """Return the names within objects at these keys that fields ask for."""
    return sorted({name for key in keys for name in _inner(asked()[key])})


def _inner(asked: Asked) -> Iterator[str]:
    for name, inner in asked.inside.items():
        if inner.targets:
            yield name
        yield from _inner(inner)


def _canonical(raw: pl.DataFrame, block: _Block) -> pl.DataFrame:
    """Coalesce aliases, best first; a value that is an object is looked into instead."""
    choices: dict[str, list[tuple[int, pl.Expr]]] = {}
    for key in block.keys:
        value = pl.when(~_container(key)).then(pl.col(key)) if block.brackets else pl.col(key)
        for name, rank in asked()[key].targets:
            choices.setdefault(name, []).append((rank, value))
        if block.brackets and asked()[key].inside:
            raw, inner = _looked_into(raw, key)
            for name, rank, column in inner:
                choices.setdefault(name, []).append((rank, pl.col(column)))
    ordered = {name: [value for _, value in sorted(found, key=lambda c: c[0])] for name, found in choices.items()}
    frame = raw.select("row", *(pl.coalesce(ordered[name]).alias(name) for name in fields() if name in ordered))
    valued = [s.name for s in frame if s.null_count() < frame.height]
    return jsonlines.typed(frame.select(valued or "row"))


def _looked_into(raw: pl.DataFrame, key: str) -> tuple[pl.DataFrame, list[tuple[str, int, str]]]:
    """Join what the objects at a key hold, each distinct one read once; return (field, rank, column) with it."""
    distinct = raw.select(pl.col(key).filter(pl.col(key).str.starts_with("{"))).to_series().unique(maintain_order=True)
    said = [jsonlines.values(decode(text) or {}, asked()[key].inside) for text in distinct]
    found = sorted({(name, rank) for one in said for name, (rank, _) in one.items()})
    columns = {(name, rank): f"{key}\0{name}\0{rank}" for name, rank in found}
    table = pl.DataFrame(
        {key: distinct}
        | {
            column: pl.Series(
                [one[name][1] if one.get(name, ("",))[0] == rank else None for one in said], dtype=pl.String
            )
            for (name, rank), column in columns.items()
        }
    )
    joined = raw.join(table, on=key, how="left", maintain_order="left") if found else raw
    return joined, [(name, rank, column) for (name, rank), column in columns.items()]
