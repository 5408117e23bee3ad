"""Reads damaged logs whole: `nice python -m bench.fuzz_read SECONDS [SEED]` returns how many files broke a law.

A file is lines of the samples of dialects and envelopes, of the layouts of loggers and of each other's pieces, some
in two envelopes, with bytes changed, put in, left out and repeated, perhaps packed, perhaps cut short. Read by both
engines it must not raise, every line must be accounted for, and what it says must be the same. With atheris it is
guided by what the program does: `nice python -m bench.fuzz_read --atheris -max_total_time=600`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from random import Random

import polars as pl

from cachelog import pipeline, rooms
from cachelog.ingest import json_scan
from cachelog.ingest.staged import Staged

_BATCH = 40  # files read at once: small ones share a unit
_PACKED = (gzip.compress, bz2.compress, lzma.compress)
_PUT = (
    b"\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"=",
    b"\x1b[31m",
    b"\x1f",
    b"'",
)
_WORDS = (
    b"model=",
    b"hit",
    b"1e400",
    b"-0",
    b"9" * 30,
    b"\\ud800",
    b'"model":',
    b"@3",
    b"null",
    b" -> ",
    b"/models/m/3",
)
_LAYOUTS = Path(__file__).parent.parent / "tests" / "layouts"


def corpus() -> list[bytes]:
    """Return lines to begin with."""
    modules = {**rooms.dialects(), **rooms.envelopes()}.values()
    lines = [sample.encode() for module in modules for sample in module.SAMPLES]
    heads = (_LAYOUTS / "heads.txt").read_bytes().splitlines()
    said = (_LAYOUTS / "lookups.txt").read_bytes() + (_LAYOUTS / "loads.txt").read_bytes()
    messages = said.replace(b"<model>", b"m").replace(b"<version>", b"3").splitlines()
    lines += [head.replace(b"@@", messages[i % len(messages)]) for i, head in enumerate(heads)]
    return lines + [line for line in (_LAYOUTS / "objects.jsonl").read_bytes().splitlines() if line]


def made(lines: list[bytes], random: Random) -> bytes:
    """Return a file."""
    chosen = [_mutated(_wrapped(random.choice(lines), random), random, lines) for _ in range(random.randrange(1, 40))]
    data = random.choice((b"\n", b"\n", b"\n", b"\r\n")).join(chosen)
    if random.random() < 0.1:
        data = random.choice(_PACKED)(data)
        if random.random() < 0.5:
            data = _mutated(data, random, lines)
    return data[: random.randrange(len(data) + 1)] if random.random() < 0.1 else data


def _wrapped(line: bytes, random: Random) -> bytes:
    found = import_module("tests.wrapping_json").JSON_WRAPPERS.values()
    ways = [*import_module("tests.wrapping").WRAPPERS.values(), *(one for ways in found for one in ways)]
    text = line.decode("utf-8", "replace")
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        text = random.choice(ways)(text)
    return text.encode("utf-8", "replace")


def _mutated(line: bytes, random: Random, lines: list[bytes]) -> bytes:
    for _ in range(random.choice((0, 0, 1, 2, 5))):
        at = random.randrange(len(line) + 1)
        to = min(len(line), at + random.randrange(1, 12))
        put = random.choice((*_PUT, *_WORDS, line[at:to] * random.randrange(3), random.choice(lines)[at:to], b""))
        line = line[:at] + put + line[random.choice((at, to)) :]
    return line


def wrong(files: Sequence[bytes]) -> str | None:
    """Return what is wrong with the reading of files, None for nothing."""
    with tempfile.TemporaryDirectory(prefix="cachelog-") as folder:
        for number, data in enumerate(files):
            path = os.path.join(folder, f"{number:03d}.log")
            Path(path).write_bytes(data)
            os.utime(path, (1_795_446_990, 1_795_446_990))
        told = []
        for engine in ("native", "polars") if json_scan.NATIVE else ("polars",):
            os.environ[json_scan.VARIABLE] = engine
            try:
                staged = pipeline.staged([folder], pipeline.Options())
            except Exception:
                return f"{engine}: {traceback.format_exc()}"
            for books in staged.inputs:
                if books.lines != books.events + books.quiet + books.joined + books.unclaimed + books.bad:
                    return f"{engine}: lines are not accounted for: {books}"
            told.append(_told(staged))
    return None if len(told) < 2 or told[0] == told[1] else f"the engines read differently: {_different(*told)}"


def _told(staged: Staged) -> list[tuple[object, ...]]:
    books: list[tuple[object, ...]] = [(i, b.lines, b.events, b.quiet, b.bad) for i, b in enumerate(staged.inputs)]
    plain = staged.events.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    return books + plain.sort(["source", "line", *sorted(set(plain.columns) - {"source", "line"})]).rows()


def _different(one: list[tuple[object, ...]], other: list[tuple[object, ...]]) -> str:
    found = next((pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), ((), ()))
    return f"{found[0]} and {found[1]}"


def main(seconds: float, seed: int) -> int:
    """Return how many files broke a law; each is printed."""
    lines, until, files, broken = corpus(), time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        batch = {seed + files + i: made(lines, Random(seed + files + i)) for i in range(_BATCH)}
        if together := wrong([*batch.values()]):
            alone = [(number, why, data) for number, data in batch.items() if (why := wrong([data]))]
            broken += max(1, len(alone))
            for number, why, data in alone or [(seed + files, f"only together: {together}", b"")]:
                print(f"seed {number}: {why}\n{data!r}\n", flush=True)
        files += _BATCH
    print(f"{files} files from seed {seed} on, {broken} read wrongly")
    return broken


def guided() -> None:
    """Let atheris choose the files."""
    atheris, lines = import_module("atheris"), corpus()

    def one(data: bytes) -> None:
        seed = Random(int.from_bytes(data[:8], "little"))
        if why := wrong([data[8:] if data[:1] > b"\x80" else made(lines, seed)]):
            raise AssertionError(why)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] == "--atheris":
        guided()
    sys.exit(bool(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
