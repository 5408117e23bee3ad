"""Reads a block with each engine and with contract/jsonlines.py line by line, and compares what they say."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from cachelog.contract import jsonlines, opening
from cachelog.contract.layout import Layout
from cachelog.contract.limits import DEFAULT
from cachelog.dialects import json_app
from cachelog.ingest import json_scan, keys
from cachelog.ingest.clock import Zone, instants
from cachelog.ingest.said import WORDS, Said, grouped

COLUMNS = ("row", "ts", "naive", "replica", "key", "duration", "ms", "seconds", *(w for w in WORDS if w != "op"))


def flat(said: Said) -> pl.DataFrame:
    """Return COLUMNS by row, times read to the end and keys hashed, as conform does."""
    words = said.words.with_row_index("said")
    frame = said.rows.join(words, on="said", how="left", maintain_order="left")
    missing = [name for name in (*COLUMNS, "time") if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in missing)
    newest = pl.Series([datetime(2026, 11, 24)] * frame.height, dtype=pl.Datetime("us"))
    clock = instants(frame["time"].cast(pl.String), newest, Zone())
    return frame.select(
        pl.col("row").cast(pl.UInt32),
        pl.coalesce(pl.col("ts").cast(pl.Datetime("us", "UTC")), clock["ts"]).alias("ts"),
        pl.coalesce(pl.col("naive").cast(pl.Boolean), clock["naive"]).fill_null(False).alias("naive"),
        pl.col("replica").cast(pl.String),
        keys.hashed(frame["key"].cast(pl.String) if frame["key"].dtype == pl.Null else frame["key"]).alias("key"),
        pl.col("duration").cast(pl.String),
        pl.col("ms", "seconds").cast(pl.Float64),
        *(pl.col(name).cast(pl.UInt32 if name == "n" else pl.String) for name in COLUMNS[8:]),
    ).sort("row")


def defined(block: bytes, layouts: tuple[Layout, ...] = (), bodies: bool = False) -> json_scan.Scanned:
    """Read a block by definition."""
    lines = block.split(b"\n")[:-1]
    found: list[tuple[str, int]] = []
    bad: list[int] = []
    blank: list[int] = []
    other: list[int] = []
    opened: list[tuple[int, opening.Opened]] = []
    for row, line in enumerate(lines):
        bare = line.strip(b" \t\r")
        if layouts and len(line) <= DEFAULT.line_bytes and (one := _opened(line, layouts, bodies)):
            opened.append((row, one))
        elif bare[:1] != b"{":
            (other if bare else blank).append(row)
        elif len(line) <= DEFAULT.line_bytes and (text := _decoded(line)) is not None:
            found.append((text, row))
    read = jsonlines.read([text for text, _ in found], [row for _, row in found])
    wrapped = {row for row, _ in opened}
    bad = sorted(set(range(len(lines))) - set(blank) - set(other) - set(read["row"].to_list()) - wrapped)
    said = grouped(json_app.shape(read))
    rows = [np.array(r, np.uint32) for r in (bad, blank, other)]
    return json_scan.Scanned(said, rows[0], rows[1], rows[2], _records(opened, layouts))


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _opened(line: bytes, layouts: tuple[Layout, ...], bodies: bool) -> opening.Opened | None:
    text = _decoded(line)
    root = None if text is None else jsonlines.decode_any(text)
    listed = isinstance(root, list) and line.strip(b" \t\r")[1:].strip(b" \t\r")[:1] == b"{"
    return opening.opened(root, layouts, bodies=bodies) if listed or isinstance(root, dict) else None


def _records(opened: list[tuple[int, opening.Opened]], layouts: tuple[Layout, ...]) -> json_scan.Opened:
    rows = [
        (row, one.layout % (len(layouts) + 1), r.ended, r.time, r.replica, r.stream)
        for row, one in opened
        for r in one.records
    ]
    lines = "".join(f"{r.line}\n" for _, one in opened for r in one.records)
    return json_scan.Opened(pl.DataFrame(rows, json_scan.OPENED, orient="row"), lines.encode())


def differences(one: json_scan.Scanned, other: json_scan.Scanned) -> list[str]:
    """Return what two readings of a block do not agree on."""
    found = [
        f"{name}: {sorted(set(a.tolist()) ^ set(b.tolist()))[:5]}"
        for name, a, b in (
            ("bad", one.bad, other.bad),
            ("blank", one.blank, other.blank),
            ("other", one.other, other.other),
        )
        if a.tolist() != b.tolist()
    ]
    found += _different_records(one.opened, other.opened)
    left, right = flat(one.said), flat(other.said)
    if left["row"].to_list() != right["row"].to_list():
        return [*found, "rows"]
    for name in COLUMNS[1:]:
        different = left[name].ne_missing(right[name])
        if different.any():
            at = int(different.arg_max() or 0)
            found.append(f"{name} of row {left['row'][at]}: {left[name][at]!r} is not {right[name][at]!r}")
    return found


def _different_records(one: json_scan.Opened, other: json_scan.Opened) -> list[str]:
    left, right = one.records, other.records
    if not left.equals(right):
        at = next((i for i in range(min(left.height, right.height)) if left.row(i) != right.row(i)), -1)
        return [f"record {left.row(at) if left.height else ()} is not {right.row(at) if right.height else ()}"]
    lines = zip(one.lines.split(b"\n"), other.lines.split(b"\n"), strict=True)
    return [f"line {a!r} is not {b!r}" for a, b in lines if a != b and _object(a) != _object(b)]


def _object(line: bytes) -> object:
    found = jsonlines.decode(line.decode())
    return line if found is None else found
