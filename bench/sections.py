"""What is measured: sections of commands that run in alternation over one input, and the targets of the issue."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path

from bench.inputs import FORMATS, path_of, size
from bench.measure import ROOT, Command, Run, alternate, run

READ = "cachelog, read and count"
READ_POLARS = "cachelog (polars engine), read and count"
ANALYZE = "cachelog analyze, all rules"
ANALYZE_POLARS = "cachelog (polars engine) analyze, all rules"
DUCKDB = "DuckDB, read and count"
POLARS = "Polars scan_ndjson, read and count"
WHOLE, WINDOW = "cachelog analyze", "cachelog analyze --since (last 15 minutes)"
FIRST, SECOND, UNCACHED = "first run", "second run", "--no-cache"
HELP, SHORT, SHORT_POLARS = "cachelog --help", "1,000 lines analysed", "1,000 lines analysed (polars engine)"
LARGE = 16_000_000

_TEXTS = ("logfmt", "triton", "nginx")
_LAST = timedelta(minutes=15)
_DAY_END = datetime.fromisoformat("2026-11-21T00:00:00+00:00")  # of bench/fleet.py
_STARTS = 10
_PROBE = 5_000
_NOT_UNDERSTOOD = 3  # exit status of cachelog where no line was understood


@dataclass(frozen=True)
class Target:
    """A limit of the issue for one measure of a row, as a ratio to the section's base, or in seconds ("start")."""

    measure: str  # wall or peak
    limit: float


TARGETS: Mapping[tuple[str, str], tuple[Target, ...]] = {
    ("json", READ): (Target("wall", 0.5), Target("peak", 0.8)),
    ("json", READ_POLARS): (Target("wall", 2.5),),
    ("json", ANALYZE): (Target("wall", 1.0),),
    ("mixed", READ): (Target("wall", 0.8),),
    ("shuffled", READ): (Target("wall", 0.8),),
    ("gzip", READ): (Target("wall", 0.5),),
    ("triton", READ): (Target("wall", 0.5),),
    ("nginx", READ): (Target("wall", 0.5),),
    ("window", WINDOW): (Target("wall", 0.3),),
    ("second", SECOND): (Target("wall", 0.5),),
    ("start", HELP): (Target("wall", 0.3),),
    ("start", SHORT): (Target("wall", 0.6),),
}
#: The row that the others are divided by; sections without one are in seconds.
BASES: Mapping[str, str] = {**dict.fromkeys(FORMATS, DUCKDB), "window": WHOLE, "second": FIRST}
#: Limits of growth from 1 to 16 million lines: exponent of the time, and peak of the largest over that of 4 million.
EXPONENT, PEAK_GROWTH = 1.1, 1.3


@dataclass(frozen=True)
class Measured:
    """What one section gave for one size: bytes of the input, runs by row, and what was left out and why."""

    bytes: int
    runs: Mapping[str, Sequence[Run]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A title, the sizes to measure out of those asked (what stands together is measured together), and how."""

    title: str
    sizes: Callable[[Sequence[int]], Sequence[Sequence[int]]]
    measure: Callable[[Sequence[int], int], Measured]


def grown(name: str, lines: int) -> str:
    """Return the name of a row of the section growth."""
    return f"{name} | {lines}"


def prepared(kind: str, lines: int) -> Path:
    """Return the path of an input, written by a process of its own if it is not there."""
    if not path_of(kind, lines).exists():
        subprocess.run([sys.executable, "-m", "bench.generate", kind, str(lines)], check=True, cwd=ROOT)
    return path_of(kind, lines)


@cache
def _has_cache() -> bool:
    return "--no-cache" in _said("analyze", "--help")


@cache
def engines() -> tuple[str, ...]:
    """Return the engines that this build has, the better first."""
    return ("native", "polars") if "native" in _said("--version") else ("polars",)


def _said(*arguments: str) -> str:
    command = [sys.executable, "-m", "cachelog", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def _analyze(path: Path, *more: str) -> list[str]:
    uncached = ["--no-cache"] if _has_cache() else []
    return [sys.executable, "-m", "cachelog", "analyze", str(path), "--format", "json", *uncached, *more]


def _job(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"bench.{name}", *arguments]


def _measure_format(kind: str, sizes: Sequence[int], rounds: int) -> Measured:
    lines = sizes[0]
    path = prepared(kind, lines)
    ours = _ours(kind, path) if _reads(kind) else []
    peers = [Command(DUCKDB, _job("duckdb_job", kind, str(path)))]
    if kind == "json" and lines < LARGE:
        peers.append(Command(POLARS, _job("polars_job", str(path))))
    notes = () if ours else ("cachelog does not read this format in this revision",)
    runs = alternate([*ours, *peers], rounds)
    for name, found in runs.items():
        _check(name, found[-1].out, runs[DUCKDB][-1].out)
    return Measured(size(path), runs, notes)


def _ours(kind: str, path: Path) -> list[Command]:
    """The engine makes a difference to JSON lines only."""
    read, analyze = _job("count_job", str(path)), _analyze(path)
    best = {"CACHELOG_ENGINE": engines()[0]}
    commands = [Command(READ, read, best), Command(ANALYZE, analyze, best)]
    if len(engines()) > 1 and kind not in (*_TEXTS, "parquet"):
        commands.append(Command(READ_POLARS, read, {"CACHELOG_ENGINE": "polars"}))
        if kind == "json":
            commands.append(Command(ANALYZE_POLARS, analyze, {"CACHELOG_ENGINE": "polars"}))
    return commands


@cache
def _reads(kind: str) -> bool:
    """Return whether cachelog reads a small input of this kind; raises CalledProcessError where it fails otherwise."""
    ran = subprocess.run(_analyze(prepared(kind, _PROBE)), check=False, capture_output=True, cwd=ROOT)
    if ran.returncode != _NOT_UNDERSTOOD:
        ran.check_returncode()
    return not ran.returncode


def _check(name: str, out: str, peer: str) -> None:
    """Compare the sums; raises RuntimeError where they differ, for a wrong answer may well be fast."""
    said, theirs = json.loads(out), json.loads(peer)
    ours = _sums(said) if "models" in said else said
    if any(ours[what] != theirs[what] for what in ours):
        raise RuntimeError(f"{name} says {ours}, {DUCKDB} {theirs}")


def _sums(report: Mapping[str, list[Mapping[str, int | None]]]) -> dict[str, int]:
    rated = [model for model in report["models"] if model["lookups"] is not None]
    return {what: sum(model[what] or 0 for model in rated) for what in ("lookups", "misses")}


def _measure_window(sizes: Sequence[int], rounds: int) -> Measured:
    path = prepared("json", sizes[0])
    since = (_DAY_END - _LAST).isoformat()
    commands = [Command(WHOLE, _analyze(path)), Command(WINDOW, _analyze(path, "--since", since))]
    return Measured(size(path), alternate(commands, rounds))


def _measure_second(sizes: Sequence[int], rounds: int) -> Measured:
    """Each round begins with an empty cache; raises RuntimeError where the first run leaves nothing in it."""
    path = prepared("json", sizes[0])
    if not _has_cache():
        return Measured(size(path), {}, ("cachelog has no cache of parsed events in this revision",))
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "cache"
        analyze, place = [word for word in _analyze(path) if word != "--no-cache"], {"XDG_CACHE_HOME": str(kept)}
        commands = [
            Command(UNCACHED, _analyze(path)),
            Command(FIRST, analyze, place, partial(_emptied, kept)),
            Command(SECOND, analyze, place, partial(_filled, kept)),
        ]
        return Measured(size(path), alternate(commands, rounds))


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _filled(folder: Path) -> None:
    if not any(item.is_file() for item in folder.rglob("*")):
        raise RuntimeError(f"the first run left nothing in {folder}")


def _measure_growth(sizes: Sequence[int], rounds: int) -> Measured:
    """Every size in every round; rows are named by what is done and by lines."""
    paths = {lines: prepared("json", lines) for lines in sizes}
    commands = [
        Command(grown(name, lines), arguments)
        for lines, path in paths.items()
        for name, arguments in ((READ, _job("count_job", str(path))), (ANALYZE, _analyze(path)))
    ]
    return Measured(sum(size(path) for path in paths.values()), alternate(commands, rounds))


def _measure_inside(sizes: Sequence[int], rounds: int) -> Measured:
    """Stages in one process; only their walls are known."""
    path = prepared("json", sizes[0])
    found = json.loads(run(Command("inside", _job("inside", str(path), str(rounds)))).out)
    return Measured(size(path), {name: [Run(wall, wall, 0, "") for wall in walls] for name, walls in found.items()})


def _measure_start(sizes: Sequence[int], rounds: int) -> Measured:
    path = prepared("short", sizes[0])
    names = dict(zip((SHORT, SHORT_POLARS), engines(), strict=False))
    shorts = [Command(name, _analyze(path), {"CACHELOG_ENGINE": engine}) for name, engine in names.items()]
    commands = [Command(HELP, [sys.executable, "-m", "cachelog", "--help"]), *shorts]
    return Measured(size(path), alternate(commands, max(rounds, _STARTS)))


def _each(asked: Sequence[int]) -> list[list[int]]:
    return [[lines] for lines in sorted(set(asked))]


def _standard(asked: Sequence[int]) -> list[list[int]]:
    return _each([lines for lines in asked if lines < LARGE])


def _largest(asked: Sequence[int]) -> list[list[int]]:
    return _standard(asked)[-1:]


def _million(asked: Sequence[int]) -> list[list[int]]:
    return _standard([lines for lines in asked if lines <= 1_000_000] or asked)[-1:]


def _growing(asked: Sequence[int]) -> list[list[int]]:
    """From a million lines on, start-up is small beside the work."""
    every = sorted(set(asked))
    return [[lines for lines in every if lines >= 1_000_000] or every]


SECTIONS: Mapping[str, Section] = {
    **{
        kind: Section(format_.title, _each if kind == "json" else _standard, partial(_measure_format, kind))
        for kind, format_ in FORMATS.items()
        if kind != "short"
    },
    "window": Section("Only the window asked for", _largest, _measure_window),
    "second": Section("A second run", _largest, _measure_second),
    "growth": Section("Time and memory against size", _growing, _measure_growth),
    "start": Section("Start-up, process start included", lambda asked: [[1_000]], _measure_start),
    "inside": Section("Inside one process", _million, _measure_inside),
}
