"""Times the stages in one process: `python -m bench.inside PATH ROUNDS` prints the seconds of each round as JSON.

JSON lines of fixed keys. A loop with time.perf_counter, one warm-up round that does not count; neither pyperf nor
pytest-benchmark is needed. Scanning and conforming are timed block by block in one thread, the rest as it is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl

from bench import inner
from cachelog.ingest import json_scan
from cachelog.ingest.staged import Staged

_BLOCK = 16 << 20
_Stage = Callable[[], object]


def measured(path: str, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every round by stage."""
    stages = dict(_stages(path))
    walls: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(rounds + 1):
        for name, stage in stages.items():
            start = time.perf_counter()
            stage()
            walls[name].append(time.perf_counter() - start)
    return {name: found[1:] for name, found in walls.items()}


def _stages(path: str) -> Iterator[tuple[str, _Stage]]:
    blocks = list(_blocks(Path(path).read_bytes()))
    if json_scan.NATIVE:
        yield "scan, native", lambda: [json_scan._scan_native(block) for block in blocks]
    yield "scan, polars engine", lambda: [json_scan._scan_polars(block) for block in blocks]
    yield "conform", _conforming(blocks)
    yield "stage (all of reading, threads)", lambda: inner.staged(path)
    yield from _judging(inner.staged(path))


def _conforming(blocks: Sequence[bytes]) -> _Stage:
    from cachelog.ingest.clock import Zone
    from cachelog.ingest.conform import conform
    from cachelog.ingest.meaning import Meanings

    said = [json_scan.scan(block).said for block in blocks]
    newest = [pl.repeat(datetime(2026, 11, 21), part.rows.height, dtype=pl.Datetime("us"), eager=True) for part in said]

    def stage() -> object:
        meanings = Meanings()
        return [conform(part, when, Zone("UTC"), meanings) for part, when in zip(said, newest, strict=True)]

    return stage


def _judging(found: Staged) -> Iterator[tuple[str, _Stage]]:
    from cachelog.contract.limits import DEFAULT
    from cachelog.metrics import residency
    from cachelog.rooms import detectors

    frames = inner.frames(found)
    limits = DEFAULT.for_span((frames.end - frames.start).total_seconds())
    yield "counts", lambda: inner.counts(found)
    known = (frames.counts, frames.changes, frames.order, frames.replicas)
    yield "levels", lambda: residency.levels(*known, frames.end, limits)
    yield "frames (counts, levels and the others)", lambda: inner.frames(found)
    for rule, module in detectors().items():
        yield f"rule {rule}", partial(module.detect, found.bulk, frames, limits)


def _blocks(data: bytes) -> Iterator[bytes]:
    """Cut after lines."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _BLOCK) + 1
        yield data[start : end or len(data)]
        start = end or len(data)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]))))
