"""Writes the log that is measured: a day of a fleet of 24 replicas and 32 models as JSON lines, in order of time.

Six lines in ten are lookups of a result cache, the others requests with keys of their own, loads, and evictions.
Every model is rolled out from 41 to 42 within two hours; one replica of a model goes back to the older version later,
and one model misses more from the afternoon on.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

START = datetime(2026, 11, 20, tzinfo=UTC)
_DAY_US = 86_400_000_000
_MODELS = [f"{task}-{size}" for task in ("fraud", "rank", "embed", "spam", "vision", "asr", "ner", "recsys")
           for size in ("scorer", "small", "large", "edge")]  # fmt: skip
_PODS = [f"inference-{i:02d}-7d9f8c6b5d-x{i:02d}kq" for i in range(24)]
_PART = 250_000  # lines made at a time
_ROLLOUT_US = 6 * 3_600_000_000
_BACK_US = 15 * 3_600_000_000  # when one replica goes back
_SHIFT_US = 14 * 3_600_000_000

_COMMON = '"ts":"<ts>","level":"info","service":"edge-inference","pod":"<pod>"'
_SHAPES = {
    "lookup": "{" + _COMMON + ',"event":"cache.lookup","model":"<model>","version":"<version>","cache":"<cache>",'
    '"key":"<key>","latency_ms":<ms>,"trace_id":"<trace>","region":"<region>","msg":"looked up result of inference"}',
    "request": "{" + _COMMON + ',"event":"http.request","method":"POST","path":"/v1/models/<model>:predict",'
    '"status":200,"bytes":<bytes>,"duration_ms":<ms>,"trace_id":"<trace>","region":"<region>","msg":"handled request"}',
    "load": "{" + _COMMON + ',"event":"model.load","model":"<model>","version":"<version>","load_ms":<ms>,'
    '"msg":"model loaded"}',
    "evict": "{" + _COMMON + ',"event":"cache.evict","model":"<model>","version":"<version>","key":"<key>",'
    '"reason":"lru"}',
}  # fmt: skip


def log(lines: int) -> Path:
    """Return the path of a log of so many lines, written once and kept in the temporary folder."""
    path = Path(tempfile.gettempdir()) / f"cachelog-bench-{lines}.ndjson"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as out:
            for part in _parts(lines):
                out.write(part)
        unfinished.rename(path)
    return path


def _parts(lines: int) -> Iterator[bytes]:
    random = np.random.default_rng(7)
    at = np.sort(random.integers(0, _DAY_US, lines))
    loads = _loads(random)
    for first in range(0, lines, _PART):
        part = at[first : first + _PART]
        until = at[first + _PART] if first + _PART < lines else _DAY_US
        mine = loads.filter((pl.col("at") >= (part[0] if first else 0)) & (pl.col("at") < until))
        text = pl.concat([_traffic(random, part), mine.select("at", text=_text("load"))]).sort("at")["text"]
        yield ("\n".join(text.to_list()) + "\n").encode()


def _loads(random: np.random.Generator) -> pl.DataFrame:
    """Every replica loads every model at its start and at the rollout; one goes back."""
    grid = pl.DataFrame({"pod": _PODS}).join(pl.DataFrame({"model": _MODELS}), how="cross")
    start = grid.with_columns(at=pl.lit(0, pl.Int64), version=pl.lit("41"))
    rollout = grid.with_columns(at=pl.Series(_rolled_out(grid)), version=pl.lit("42"))
    back = grid.filter((pl.col("pod") == _PODS[7]) & (pl.col("model") == _MODELS[0]))
    loads = pl.concat([start, rollout, back.with_columns(at=pl.lit(_BACK_US, pl.Int64), version=pl.lit("41"))])
    return _columns(loads.with_columns(ms=random.gamma(3, 200, loads.height).round(3)))


def _rolled_out(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Model after model, replica after replica."""
    model = frame["model"].replace_strict(_MODELS, range(len(_MODELS)), return_dtype=pl.Int64).to_numpy()
    pod = frame["pod"].replace_strict(_PODS, range(len(_PODS)), return_dtype=pl.Int64).to_numpy()
    return _ROLLOUT_US + model * 225_000_000 + pod * 8_000_000


def _traffic(random: np.random.Generator, at: npt.NDArray[np.int64]) -> pl.DataFrame:
    count = len(at)
    kinds = np.array(["lookup", "evict", "request"])[np.searchsorted([0.62, 0.63], random.random(count))]
    model = np.array(_MODELS)[random.zipf(1.3, count) % len(_MODELS)]
    frame = pl.DataFrame(
        {"at": at, "kind": kinds, "model": model, "pod": np.array(_PODS)[random.integers(0, 24, count)]}
    )
    went_back = (pl.col("pod") == _PODS[7]) & (pl.col("model") == _MODELS[0]) & (pl.col("at") > _BACK_US)
    newer = (pl.Series(at) > _rolled_out(frame)) & ~frame.select(went_back).to_series()
    rate = np.where((model == _MODELS[1]) & (at > _SHIFT_US), 0.14, 0.06)
    missed = random.random(count) < rate
    frame = frame.with_columns(
        version=pl.when(newer).then(pl.lit("42")).otherwise(pl.lit("41")),
        cache=pl.when(pl.Series(missed)).then(pl.lit("miss")).otherwise(pl.lit("hit")),
        key=pl.Series([f"{k:016x}" for k in random.zipf(1.2, count) % 1_000_003]),
        ms=(random.gamma(2, 4, count) + missed * 80).round(3),
        bytes=random.integers(100, 5000, count),
        trace=pl.Series([f"{a:016x}{b:016x}" for a, b in random.integers(0, 2**63, (count, 2))]),
        region=np.array(["eu-west-1", "us-east-1", "ap-south-1"])[random.integers(0, 3, count)],
    )
    texts = pl.coalesce(pl.when(pl.col("kind") == kind).then(_text(kind)) for kind in ("lookup", "evict", "request"))
    return _columns(frame).select("at", text=texts)


def _columns(frame: pl.DataFrame) -> pl.DataFrame:
    time = pl.from_epoch(pl.col("at") + int(START.timestamp() * 1e6), "us")
    return frame.with_columns(ts=time.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))


def _text(kind: str) -> pl.Expr:
    pieces = re.split(r"<(\w+)>", _SHAPES[kind])
    return pl.concat_str(pl.col(piece) if at % 2 else pl.lit(piece) for at, piece in enumerate(pieces))
