"""JSON lines of a block of bytes to what they say: the native scanner where it is built, Polars elsewhere.

Both give the same rows (tests/test_scan.py); contract/jsonlines.py says what a line means. The native one is the
extension cachelog.ingest._scan, built from scan.cpp when a C++ compiler is there at install time. The environment
variable CACHELOG_ENGINE (native, polars) chooses one.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract import jsonblocks, jsonlines, opening, own
from cachelog.contract.errors import UsageError
from cachelog.contract.layout import Layout
from cachelog.contract.limits import DEFAULT
from cachelog.dialects import json_app
from cachelog.ingest.said import Said, grouped

VARIABLE = "CACHELOG_ENGINE"

#: How the native scanner hands a field over; all others are words.
_KINDS = {
    "time": "time",
    "replica": "label",
    "origin": "label",
    "context": "label",
    "key": "hash",
    "duration": "measure",
    "ms": "number",
    "seconds": "number",
    "nanos": "number",
    "hits": "number",
    "misses": "number",
    "lookups": "number",
}

_Rows = npt.NDArray[np.uint32]
Block = bytes | memoryview


def _native() -> ModuleType | None:
    try:
        return import_module("cachelog.ingest._scan")
    except ImportError:
        return None


NATIVE = _native()
_THREAD = threading.local()


def engine() -> str:
    """Return which engine reads JSON lines: "native" or "polars"; raises UsageError where the one asked for is not."""
    asked = os.environ.get(VARIABLE, "")
    if asked not in ("", "native", "polars"):
        raise UsageError(f"{VARIABLE}={asked}: there are the engines native and polars")
    if asked == "native" and NATIVE is None:
        raise UsageError(f"{VARIABLE}=native: the scanner was not built; install again where there is a C++ compiler")
    return asked or ("native" if NATIVE else "polars")


#: What is around lines: `layout` is an index, the number of layouts for a message alone; `ended` says whether the line
#: ended with a newline; `stream` is of a message alone the logger.
OPENED: pl.Schema = pl.Schema(
    {"row": pl.UInt32(), "layout": pl.UInt32(), "ended": pl.Boolean()}
    | {name: pl.String() for name in ("env_time", "env_replica", "stream")}
)


@dataclass(frozen=True)
class Opened:
    """The records of lines that are envelopes (OPENED), and for each an inner line, ended by a newline."""

    records: pl.DataFrame
    lines: bytes


@dataclass(frozen=True)
class Scanned:
    """The valid objects; rows that are bad, blank, or no JSON lines, each ascending; and what was in envelopes."""

    said: Said
    bad: _Rows
    blank: _Rows
    other: _Rows
    opened: Opened


def scan(block: Block, layouts: tuple[Layout, ...] = (), *, bodies: bool = False) -> Scanned:
    """Scan a block of whole lines, each ended by a newline; row numbers count from 0 in it. Raises UsageError.

    Lines that are envelopes by one of the layouts, the first that fits, are opened; without layouts none is. `bodies`
    says that a message alone is a line, whatever it looks like.
    """
    native = engine() == "native"
    found = _scan_native(block, layouts, bodies) if native else _scan_polars(bytes(block), layouts, bodies)
    return replace(found, said=replace(found.said, rows=_finer(found.said.rows)))


def _finer(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the nanoseconds that log4j writes apart from its whole seconds."""
    if "nanos" not in rows.columns:
        return rows
    part = pl.col("nanos").cast(pl.Int64, strict=False).clip(0, 999_999_999)
    added = []
    if "ts" in rows.columns:
        added.append((pl.col("ts") + pl.duration(microseconds=part.fill_null(0) // 1000)).alias("ts"))
    if "time" in rows.columns:
        whole = pl.col("time").cast(pl.String)
        fine = pl.concat_str(whole, pl.lit("."), part.cast(pl.String).str.zfill(9))
        added.append(
            pl.when(part.is_not_null() & whole.str.contains("^[0-9]+$")).then(fine).otherwise(whole).alias("time")
        )
    return rows.with_columns(added).drop("nanos")


def holds(block: Block, text: bytes) -> bool:
    """Return whether a block holds a text of two bytes or more; the scanner's search does not hold up other threads."""
    return bool(NATIVE.holds(block, text)) if NATIVE else text in bytes(block)


def newlines(block: Block) -> int:
    """Return how many lines end in a block."""
    if NATIVE:
        return int(NATIVE.newlines(block))
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))


def _scan_polars(block: bytes, layouts: tuple[Layout, ...] = (), bodies: bool = False) -> Scanned:
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    first = np.frombuffer(block, np.uint8)[starts]
    braced = first == ord("{")
    blank, other, indented = _no_objects(block, starts, ends, np.flatnonzero(~braced))
    braced[indented] = True
    opened = _opened(block, starts, ends, layouts, bodies, len(other) > 0)
    wrapped = opened.records["row"].unique().to_numpy()
    braced[wrapped] = False
    other = np.setdiff1d(other, wrapped).astype(np.uint32)
    objects = np.flatnonzero(braced).astype(np.uint32)
    short = objects[(ends - starts)[objects] <= DEFAULT.line_bytes]
    whole = len(short) == len(ends)
    data = block if whole else b"".join(block[starts[r] : ends[r] + 1] for r in short.tolist())
    parsed = jsonblocks.read(data, short)
    braced[parsed["row"].to_numpy()] = False
    bad = np.flatnonzero(braced).astype(np.uint32)
    return Scanned(grouped(json_app.shape(parsed)), bad, blank, other, opened)


def _opened(
    block: bytes,
    starts: npt.NDArray[np.intp],
    ends: npt.NDArray[np.intp],
    layouts: tuple[Layout, ...],
    bodies: bool,
    arrays: bool,
) -> Opened:
    """Open envelopes one by one: only where no scanner is built, and only lines that may be one."""
    found: list[tuple[object, ...]] = []
    lines: list[str] = []
    for row, codes in _perhaps(block, layouts, bodies, arrays) if layouts else ():
        line = block[starts[row] : ends[row]]
        tried = tuple(layouts[code] for code in codes)
        if len(line) > DEFAULT.line_bytes or (one := _one(line, tried, bodies)) is None:
            continue
        code = len(layouts) if one.layout < 0 else codes[one.layout]
        found += [(row, code, r.ended, r.time, r.replica, r.stream) for r in one.records]
        lines += [f"{r.line}\n" for r in one.records]
    return Opened(pl.DataFrame(found, OPENED, orient="row"), "".join(lines).encode())


def _one(line: bytes, layouts: tuple[Layout, ...], bodies: bool) -> opening.Opened | None:
    try:
        root = jsonlines.decode_any(line.decode())
    except UnicodeDecodeError:
        return None
    listed = isinstance(root, list) and line.strip(b" \t\r")[1:].strip(b" \t\r")[:1] == b"{"
    return opening.opened(root, layouts, bodies=bodies) if listed or isinstance(root, dict) else None


_MANY = 500  # lines that may be envelopes: of more, each layout is asked for all that tells it
_ANYTHING = r"(?m:^)[ \t\r]*\[|\\u"  # an array, or keys that are written with escapes


def _perhaps(
    block: bytes, layouts: tuple[Layout, ...], bodies: bool, arrays: bool
) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield the rows of lines that may be envelopes, and of which layouts; `arrays`: may there be any arrays?

    To decode a line takes as long as to search a thousand; and one search of the whole block settles most blocks.
    """
    text = block.decode("utf-8", "replace")
    whole = pl.Series([text])
    keys, message = _telling(layouts), _message(bodies)
    # one expression of all keys takes half the time of contains_any, and a look for one byte hardly any
    sought = [*map(re.escape, keys), message, *([_ANYTHING] if arrays or b"\\" in block else [])]
    if not whole.str.contains("|".join(sought)).item():
        return
    lines = pl.Series(text.split("\n")[:-1], dtype=pl.String)
    anything, told = lines.str.contains(_ANYTHING), lines.str.contains_any(keys)
    some = anything | told | lines.str.contains(message)
    every = range(len(layouts))
    if some.sum() <= _MANY:
        yield from ((row, every) for row in some.arg_true().to_list())
        return
    fits = np.array([_fits(lines, layout) for layout in layouts])
    fits[:, anything.to_numpy()] = True
    for row in some.arg_true().to_list():
        yield row, np.flatnonzero(fits[:, row]).tolist()


@lru_cache(maxsize=4)
def _telling(layouts: tuple[Layout, ...]) -> list[str]:
    """Return texts one of which every line has that one of the layouts fits, unless it begins an array."""
    return sorted({key for layout in layouts for key in _keys_of(_first(layout))})


def _fits(lines: pl.Series, layout: Layout) -> npt.NDArray[np.bool_]:
    """Return which lines have a key of each group that tells a layout."""
    asked = (_first(layout), *layout.tells)
    groups = [_keys_of(paths) for paths in asked if paths and all(_written(path) for path in paths)]
    mine = pl.repeat(bool(groups), len(lines), eager=True)
    for keys in groups:
        mine = mine & lines.str.contains_any(keys) if mine.any() else mine
    return mine.to_numpy()


def _first(layout: Layout) -> Sequence[str]:
    """Return the paths one of which every line of a layout has."""
    return [path for path in (layout.arrays[:1] or layout.tells[0]) if path]


def _key(path: str) -> str:
    """Return the outermost key of a path within its element, "" for none."""
    return path.lstrip("/").rpartition("[]")[2].lstrip(".").partition("{")[0]


def _written(path: str) -> bool:
    """Is the key of a path written in the line? A place in a list is not."""
    return bool(key := _key(path)) and not key.isdigit()


def _keys_of(paths: Sequence[str]) -> list[str]:
    """Return what is written in a line that has one of these paths: the key with its dots, or the keys between them.

    Of these one is enough, best one that is no name of a field: applications write "status" and "version" all day.
    """
    named = {part for aliases in jsonlines.FIELDS.values() for path in aliases for part in path.split(".")}
    keys = [_key(path) for path in paths]
    rare = [next((part for part in key.split(".") if part not in named), key.partition(".")[0]) for key in keys]
    return sorted({f'"{key}"' for key in (*keys, *rare)})


def _message(bodies: bool) -> str:
    """Return a pattern for messages that may be lines of their own (opening.RECORD), as JSON has them."""
    paths = jsonlines.fields()["message"]
    names = "|".join(sorted({re.escape(key) for path in paths for key in (path, path.rpartition(".")[2])}))
    if bodies:
        return f'"(?:{names})"'
    begins = r"\s*(?:[\[(<{]|\d\d|[A-Z]+\d* |[a-z_]+=)"
    pairs = r'[^"\n]*(?:model|model_name|modelName|cache|cache_status)='
    return rf'"(?:{names})"\s*:\s*(?:[^"\s]|"(?:{begins}|{pairs}|[^"\n]*\\))'


def _no_objects(
    block: bytes, starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]
) -> tuple[_Rows, _Rows, _Rows]:
    """Sort lines that do not begin with a brace: blank, other, and objects behind blanks."""
    kinds: tuple[list[int], list[int], list[int]] = [], [], []
    for row in rows.tolist():
        bare = block[starts[row] : ends[row]].lstrip(b" \t\r")
        kinds[2 if bare[:1] == b"{" else 1 if bare else 0].append(row)
    blank, other, indented = (np.array(kind, np.uint32) for kind in kinds)
    return blank, other, indented


def _spec() -> list[tuple[str, str, list[str]]]:
    kinds = _KINDS | dict.fromkeys(own.current().aliases, "label")
    return [(name, kinds.get(name, "word"), list(aliases)) for name, aliases in jsonlines.fields().items()]


def _scanner(layouts: tuple[Layout, ...]) -> Any:
    """Return the scanner of this thread."""
    kept, said = getattr(_THREAD, "kept", None), own.current()
    if kept is None or (layouts and kept[0] != layouts) or kept[1] != said:
        assert NATIVE is not None
        specs, telling = [layout.spec() for layout in layouts], [*opening.OWN, *said.telling]
        kept = layouts, said, NATIVE.Scanner(_spec(), DEFAULT.line_bytes, jsonlines.DEPTH, specs, telling)
        _THREAD.kept = kept
    return kept[2]


def _scan_native(block: Block, layouts: tuple[Layout, ...] = (), bodies: bool = False) -> Scanned:
    found = _scanner(layouts).scan(block, bool(layouts), bodies)
    rows = _numbers(pl.DataFrame(found.rows))
    words = json_app.shape(pl.DataFrame(found.said))
    if not words.width:  # lines that say nothing say one thing
        words = pl.DataFrame({"op": pl.Series([None] * (1 if rows.height else 0), dtype=pl.String)})
    bad, blank, other = (np.frombuffer(part, np.uint32) for part in (found.bad, found.blank, found.other))
    records = pl.DataFrame(found.opened, schema_overrides={"ended": pl.UInt8}).cast(OPENED)
    return Scanned(Said(rows, words), bad, blank, other, Opened(records, found.lines))


def _numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Read the few numbers that are strings of another form than JSON's."""
    for name in jsonlines.NUMBERS:
        if f"{name}_text" in rows.columns:
            number = jsonlines.double(pl.col(f"{name}_text"))
            known = [pl.col(name)] if name in rows.columns else []
            rows = rows.with_columns(pl.coalesce(*known, number).alias(name)).drop(f"{name}_text")
        elif name in rows.columns:
            rows = rows.with_columns(pl.col(name) + 0.0)  # there is no negative zero
    return rows
