"""For context, what one writes first in Polars: `python -m bench.polars_job PATH` over JSON lines.

The same sums as bench/duckdb_job.py, of a file without one bad line: scan_ndjson fails on such.
"""

from __future__ import annotations

import json
import sys

import polars as pl

_SCHEMA = pl.Schema(dict.fromkeys(("ts", "event", "pod", "model", "version", "cache"), pl.String()))


def answer(path: str) -> dict[str, int]:
    """Return lookups, misses, rows of the table of counts (groups), loads, and loads of an older version (older)."""
    wanted = pl.col("event").is_in(["cache.lookup", "model.load", "cache.evict"])
    ts = pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ")
    events = pl.scan_ndjson(path, schema=_SCHEMA, ignore_errors=True).filter(wanted).with_columns(ts).collect()
    keys = ["model", "pod", "version", pl.col("ts").dt.truncate("1m")]
    lookups = events.filter(pl.col("event") == "cache.lookup")
    counts = lookups.group_by(keys).agg(lookups=pl.len(), misses=(pl.col("cache") == "miss").sum())
    loads = events.filter(pl.col("event") == "model.load").sort("ts")
    number = pl.col("version").cast(pl.Int64, strict=False)
    older = loads.select((number < number.shift().over("model", "pod")).sum()).item()
    sums = counts.select(pl.col("lookups", "misses").sum()).row(0, named=True)
    return {**sums, "groups": counts.height, "loads": loads.height, "older": older}


if __name__ == "__main__":
    print(json.dumps(answer(sys.argv[1])))
