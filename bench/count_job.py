"""Ours without the rules: read and count, `python -m bench.count_job PATH`; the sums of bench/duckdb_job.py."""

from __future__ import annotations

import json
import sys

from cachelog.cli import process


def answer(path: str) -> dict[str, int]:
    """Return lookups, misses, rows of the table of counts (groups), loads, and loads of an older version (older)."""
    import polars as pl

    from bench import inner

    loads, counts = inner.counted(path)
    number = pl.col("version").cast(pl.String).cast(pl.Int64, strict=False)
    older = loads.sort("ts", "source", "line").select((number < number.shift().over("model", "replica")).sum()).item()
    sums = counts.select(pl.col("lookups", "misses").sum()).row(0, named=True)
    return {**sums, "groups": counts.height, "loads": loads.height, "older": older}


if __name__ == "__main__":
    process.begin()  # as `cachelog` itself begins and ends
    print(json.dumps(answer(sys.argv[1])))
    process.end(0)
