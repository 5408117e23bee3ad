"""Parquet and Arrow exports say what the same lines say."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cachelog.ingest.cite import cite
from cachelog.ingest.discover import Source
from tests.reading import events, read

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROWS = [
    {"timestamp": T0 + timedelta(seconds=i), "event": "cache_lookup", "result": ("hit", "miss")[i % 3 == 0], "model": "fraud",
     "version": i % 2 + 1, "pod": f"p{i % 4}", "key": f"k{i % 7}", "latency_ms": i / 4, "bytes": i}
    for i in range(200)
]  # fmt: skip


def as_json(row: dict) -> str:
    return json.dumps({k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()})


WRITERS = {
    "parquet": pl.DataFrame.write_parquet,
    "arrow": lambda frame, path: frame.write_ipc(path, compression="zstd"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_rows_say_what_json_lines_say(tmp_path, kind):
    (tmp_path / "a.log").write_text("".join(as_json(row) + "\n" for row in ROWS))
    frame = pl.DataFrame(ROWS).with_columns(
        pl.col("pod").cast(pl.Categorical), pl.col("timestamp").dt.convert_time_zone("Asia/Kolkata")
    )
    WRITERS[kind](frame, tmp_path / f"b.{kind}")
    plain, exported = read(tmp_path / "a.log"), read(tmp_path / f"b.{kind}")
    assert events(exported).equals(events(plain))
    (books,) = exported.inputs
    assert (books.lines, books.events, books.bad, books.format) == (200, 200, 0, "json_app")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_column_of_lines_is_read_as_lines_and_cited(tmp_path, kind):
    line = "I1123 15:09:57.932261 10645 model_lifecycle.cc:839] \"successfully loaded 'fraud' version 3\""
    path = tmp_path / f"b.{kind}"
    WRITERS[kind](
        pl.DataFrame({"time": ["2026-11-23T15:09:58Z"] * 3, "message": ["x", line, "y"], "n": [1, 2, 3]}), path
    )
    (row,) = events(read(path)).to_dicts()
    assert (row["op"], row["model"], row["version"], row["line"]) == ("load", "fraud", "3", 2)
    assert json.loads(cite(Source(str(path)), [2])[2])["message"] == line


def test_a_file_that_is_cut_is_said(tmp_path):
    whole = io.BytesIO()
    pl.DataFrame(ROWS).write_parquet(whole)
    (tmp_path / "a.parquet").write_bytes(whole.getvalue()[:-100])
    (books,) = read(tmp_path).inputs
    assert books.note.startswith("ended early: ")
    assert books.events == 0
