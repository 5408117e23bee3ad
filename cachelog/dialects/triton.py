"""NVIDIA Triton Inference Server, all generations: glog and ISO 8601 prefix, plain and quoted messages.

Triton logs neither requests nor the outcome of its response cache, only loads, unloads and starts. Since 2023 the
line that reports a load does not name the version: `loading: m:N` does, ingest/carry.py brings them together.
Messages: core/src/model_repository_manager/model_lifecycle.cc, server.cc; prefix and quotes: common/src/logging.cc.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.quoting import unescape

NAME = "triton"
SOURCE = "triton-inference-server/common src/logging.cc, core src/model_repository_manager/model_lifecycle.cc"
BLIND = "Triton logs no requests and no outcome of its response cache; only its /metrics count hits and misses"
HINTS = (".cc:", ".h:", ".cu:", ".cpp:", ".hpp:", "|", "+-", "Signal (")
SAMPLES = (
    'I1123 15:09:56.579892 10645 model_lifecycle.cc:472] "loading: fraud:41"',
    "I1123 15:09:57.932261 10645 model_lifecycle.cc:839] \"successfully loaded 'fraud'\"",
    "I0421 20:17:23.436337 1 model_repository_manager.cc:1239] successfully loaded 'a' version 1I0421 20:17:23.436445 "
    "1 model_repository_manager.cc:1239] successfully loaded 'b' version 1",
    "2022-05-23T23:49:14Z I 153 model_lifecycle.cc:624] successfully unloaded 'fraud' version 41",
    "E1010 00:39:51.711103 1 model_lifecycle.cc:596] failed to load 'yolox' version 1: Internal: failed to stat file",
    'W1123 15:09:56.252611 10645 pinned_memory_manager.cc:273] "Unable to allocate pinned system memory"',
    "Signal (15) received.",
    "| fraud      | 1       | READY  |",
    "+------------+---------+--------+",
)

# .go is klog and .py absl or the log of a Python model, whose lines are not Triton's
_FILE = r"[0-9]+ +[A-Za-z0-9_.-]+\.(?:cc|h|cu|cpp|hpp):[0-9]+\]"
_GLOG = rf"[IWEF][0-9]{{4}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}\.[0-9]{{6}} +{_FILE}"
_ISO = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}Z? [IWEF] {_FILE}"
_TABLE = r"\+(?:-+\+)+$|\|.* \|$"
_RECORD = rf"(?:{_GLOG}|{_ISO})"
_TIME = r"^(?:[IWEF]([0-9]{4} [0-9:.]+)|([0-9T:Z-]+)) "
SHAPE = rf"^(?:\s*{_RECORD}|{_TABLE}|Signal \([0-9]+\) received\.)"
TELLING = (
    "loading: ",
    "loaded '",
    "to load '",
    "to load model '",
    "oll failed for model",
    "inned memory pool",
    "pinned system",
)

#: The manager of pinned memory reports exactly once in each start, before the first model is loaded.
_STARTED = r"^(?:Pinned memory pool |Unable to allocate pinned system memory)"
_LOADING = r"^loading: (.+):(-?\d+)$"
_LOADED = r"^successfully loaded '([^']+)'(?: version (\d+))?$"
_UNLOADED = r"^successfully unloaded '([^']+)' version (\d+)$"
# the line without a reason repeats, for a whole request, what was said of each version
_FAILED = r"(?s)^failed to load '([^']+)' version (-?\d+): (.*)$"
_FAILED_WHOLE = r"(?s)^(?:failed to load model|Poll failed for model directory) '([^']+)': (.*)$"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has Triton's prefix, or is of a table or signal that it prints without one."""
    return text.str.contains(SHAPE)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every record about a load, an unload or a start; the rest is quiet."""
    telling = lines.filter(pl.col("text").str.contains_any(list(TELLING)))
    records = _records(telling.select("row", pl.col("text").str.strip_chars_start()))
    return records.select("row", "time", *_said(pl.col("message"))).filter(pl.col("op").is_not_null())


def _records(lines: pl.DataFrame) -> pl.DataFrame:
    """Split physical lines that hold several records (row, time, message), and unquote messages."""
    cut = lines.with_columns(pl.col("text").str.replace_all(_RECORD, "\0$0").str.split("\0")).explode("text")
    records = cut.filter(pl.col("text") != "").select(
        "row",
        time=pl.coalesce(pl.col("text").str.extract(_TIME, 1), pl.col("text").str.extract(_TIME, 2)),
        message=pl.col("text").str.extract(rf"(?s)^{_RECORD} ?(.*)$").str.strip_chars_end(),
    )
    quoted = records["message"].str.contains(r'(?s)^".*"$').fill_null(False)
    if not quoted.any():
        return records
    inner = unescape(records["message"].str.slice(1).str.strip_suffix('"'))
    return records.with_columns(message=inner.zip_with(quoted, records["message"]))


def _said(message: pl.Expr) -> list[pl.Expr]:
    """Return op, model, version and reason of a message."""
    loading, loaded = message.str.contains(_LOADING), message.str.contains(_LOADED)
    failed = message.str.contains(_FAILED) | message.str.contains(_FAILED_WHOLE)
    op = (
        pl.when(loading)
        .then(pl.lit("load_start"))
        .when(loaded)
        .then(pl.lit("load"))
        .when(message.str.contains(_UNLOADED))
        .then(pl.lit("unload"))
        .when(failed)
        .then(pl.lit("load_fail"))
        .when(message.str.contains(_STARTED))
        .then(pl.lit("restart"))
    )
    shapes = (_LOADING, _LOADED, _UNLOADED, _FAILED)
    version = pl.coalesce(message.str.extract(shape, 2) for shape in shapes)
    return [
        op.alias("op"),
        pl.coalesce(message.str.extract(shape, 1) for shape in (*shapes, _FAILED_WHOLE)).alias("model"),
        pl.when(version != "-1").then(version).alias("version"),  # -1: failed before a version was known
        pl.coalesce(message.str.extract(_FAILED, 3), message.str.extract(_FAILED_WHOLE, 2)).alias("reason"),
    ]
