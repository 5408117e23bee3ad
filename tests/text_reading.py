"""Reads lines of text with a dialect's own claim and parse and with its native reader, and compares what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

import polars as pl

from cachelog.contract import jsonlines
from cachelog.dialects import logfmt, nginx
from cachelog.ingest import sorting
from cachelog.ingest.claim import _checked
from cachelog.ingest.said import Said, grouped
from tests.scanning import COLUMNS, flat
from tests.text_corpus import Writer

WRITERS: Mapping[str, Callable[[Writer], str]] = {logfmt.NAME: Writer.line, nginx.NAME: Writer.access}
DIALECTS: Mapping[str, ModuleType] = {logfmt.NAME: logfmt, nginx.NAME: nginx}


def defined(dialect: ModuleType, frame: pl.DataFrame) -> tuple[set[int], pl.DataFrame | None]:
    """Return the rows claimed and what they say, by definition."""
    claimed = frame.filter(pl.col("text").pipe(dialect.claim).fill_null(False))
    if claimed.is_empty():
        return set(), None
    parsed = _checked(dialect.parse(claimed))
    if "ms" in parsed.columns:
        parsed = parsed.with_columns(jsonlines.double(pl.col("ms")))
    return set(claimed["row"]), flat(grouped(parsed))


def scanned(dialect: ModuleType, data: bytes) -> tuple[set[int], pl.DataFrame | None, int]:
    """Return the same by the native reader, the definition reading what that leaves."""
    found = sorting.Sorter(DIALECTS, {}).block(data, None)
    said, rows = found.scanned(dialect) or (
        Said(pl.DataFrame({"row": [], "said": []}, schema_overrides={"row": pl.UInt32}), pl.DataFrame()),
        [],
    )
    left, more = defined(dialect, found.asked(dialect))
    parts = [part for part in (flat(said) if said.rows.height else None, more) if part is not None]
    return {*rows, *left}, pl.concat(parts).sort("row") if parts else None, len(rows)


def check(dialect: ModuleType, lines: list[str]) -> int:
    """Compare both readings of lines; return how many were read natively."""
    lines = [line.replace("\n", " ").rstrip(" \t\r") for line in lines]
    lines = ["-" if not line or line.lstrip(" \t").startswith("{") else line for line in lines]
    frame = pl.DataFrame({"row": range(len(lines)), "text": lines}, schema_overrides={"row": pl.UInt32})
    rows, said = defined(dialect, frame)
    mine, read, sure = scanned(dialect, "".join(line + "\n" for line in lines).encode())
    assert [lines[i] for i in sorted(rows ^ mine)] == []
    if said is None or read is None:
        assert said is None or said.is_empty()
        assert read is None or read.is_empty()
        return sure
    assert [lines[i] for i in sorted({*said["row"]} ^ {*read["row"]})] == []
    for name in COLUMNS[1:]:
        different = said[name].ne_missing(read[name])
        assert not different.any(), (
            name,
            lines[said["row"].filter(different)[0]],
            said[name].filter(different)[0],
            read[name].filter(different)[0],
        )
    return sure
