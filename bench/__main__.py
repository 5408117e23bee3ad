"""Measures `cachelog analyze` beside DuckDB and writes RESULTS.md: `python -m bench [--lines N ...] [--rounds N]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from bench.generate import log
from bench.measure import Command, Run, alternate, typical
from cachelog.ingest import json_scan

_PEER = "DuckDB"
_RESULTS = Path(__file__).parent / "RESULTS.md"
_STARTS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, check the answers against each other, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=[100_000, 1_000_000, 4_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=_RESULTS)
    asked = parser.parse_args(arguments)
    tables = [_measured(lines, asked.rounds) for lines in asked.lines]
    asked.out.write_text("\n".join([_head(asked.rounds), *tables, _start()]))
    print(asked.out.read_text())
    return 0


def _measured(lines: int, rounds: int) -> str:
    path = log(lines)
    runs = alternate(_commands(path), rounds)
    peer = typical(runs[_PEER])
    for name, found in runs.items():
        _check(name, found[-1].out, peer.out)
    rows = [_row(name, found, runs[_PEER]) for name, found in runs.items()]
    return "\n".join([f"## {lines:,} lines ({path.stat().st_size / 1e6:.0f} MB)", "", *_TITLES, *rows, ""])


def _commands(path: Path) -> list[Command]:
    engines = ["native", "polars"] if json_scan.NATIVE else ["polars"]
    analyze = [sys.executable, "-m", "cachelog", "analyze", str(path), "--format", "json"]
    ours = [Command(f"cachelog, {engine}", analyze, {json_scan.VARIABLE: engine}) for engine in engines]
    return [*ours, Command(_PEER, [sys.executable, "-m", "bench.duckdb_job", str(path)], {})]


def _check(name: str, out: str, peer: str) -> None:
    """Compare the sums; raises RuntimeError where they differ, for a wrong answer may well be fast."""
    if name == _PEER:
        return
    models = json.loads(out)["models"]
    ours = {what: sum(m[what] for m in models if m["cache"] == "default") for what in ("lookups", "misses")}
    theirs = json.loads(peer)
    if any(ours[what] != theirs[what] for what in ours):
        raise RuntimeError(f"{name} says {ours}, DuckDB {theirs}")


_TITLES = (
    "| | wall s | of DuckDB's | CPU s | of DuckDB's | peak MB | of DuckDB's |",
    "|---|---|---|---|---|---|---|",
)


def _row(name: str, runs: Sequence[Run], peer: Sequence[Run]) -> str:
    """Ratios are medians of the ratios within one round."""
    mine = typical(runs)
    wall = median(r.wall / p.wall for r, p in zip(runs, peer, strict=True))
    cpu = median(r.cpu / p.cpu for r, p in zip(runs, peer, strict=True))
    peak = mine.peak / typical(peer).peak
    return f"| {name} | {mine.wall:.2f} | {wall:.2f} | {mine.cpu:.2f} | {cpu:.2f} | {mine.peak:.0f} | {peak:.2f} |"


def _start() -> str:
    command = Command("help", [sys.executable, "-m", "cachelog", "--help"], {})
    wall = typical(alternate([command], _STARTS)[command.name]).wall
    return f"## Start\n\n`cachelog --help`: {wall:.2f} s (median of {_STARTS}).\n"


def _head(rounds: int) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    memory = psutil.virtual_memory().total / (1 << 30)
    load = os.getloadavg()[0]
    machine = f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"
    return f"""# How fast

Made by `python -m bench` on {now}; {machine}, load {load:.1f} before. Whole processes
in alternation, {rounds} rounds, medians; peak is the largest. The files are in the page cache. cachelog does the whole
of `analyze --format json` with all rules; DuckDB only counts lookups and misses per model, version, replica and
minute and finds loads of an older version after a newer one. The sums are checked to agree. Seconds depend on the
machine and what else it does: compare the ratios.
"""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
