"""MLServer (Seldon, KServe): text, and the structured form where it is no valid JSON.

MLServer fills its structured form by string formatting and escapes nothing, so a quote in a message breaks the line;
such lines are read here, whole ones by the JSON scanner. Version and model stand in the head of the line. What a custom
runtime logs is read as any application's text.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import sentences
from cachelog.contract.heads import LEVEL, TIME

NAME = "mlserver"
SOURCE = "SeldonIO/MLServer mlserver/logging.py, mlserver/registry.py"
BLIND = "MLServer logs neither requests by version nor what its response cache answers"
BRACED = True
HINTS = ("[mlserver", '"name": "mlserver')
SAMPLES = (
    "2026-11-23 15:27:17,129 [mlserver][iris:v0.3.0] INFO - Loaded model 'iris' successfully.",
    "2026-11-23 15:27:29,469 [mlserver][iris:2] INFO - Reloaded model 'iris' successfully.",
    "2026-11-23 15:27:29,487 [mlserver][iris:2] INFO - Unloaded version 2 of model 'iris' successfully.",
    "2026-11-23 15:27:29,487 [mlserver] INFO - Unloaded all versions of model 'iris' successfully.",
    "2026-11-23 15:27:29,490 [mlserver][wine:1] INFO - Couldn't load model 'wine'. Model will be removed "
    "from registry.",
    "2026-11-23 15:27:30,112 [mlserver][wine] INFO - prediction cache hit key=a latency_ms=2",
    "2026-11-23 15:27:17,086 [mlserver.rest] INFO - HTTP server running on http://0.0.0.0:28080",
)

_MODEL = r"(?:\[([^\]:]+)(?::([^\]]+))?\])?"
_TEXT = rf"(?s)^({TIME}) \[mlserver[A-Za-z0-9_.]*\]{_MODEL} {LEVEL} - (.*)$"
_BRACED = (
    rf'(?s)^\{{"time": "({TIME})", "name": "mlserver[^"]*", "level": "[A-Z]+", "message": "(.*?)" '
    r'(?:, "model_name": "([^"]*)")?(?:, "model_version": "([^"]*)")?\}$'
)
_LOADED = r"^(?:Rel|L)oaded model '([^']+)' successfully\.$"
_UNLOADED = r"^Unloaded (?:version (\S+) of )?model '([^']+)' successfully\.$"
_FAILED = r"^Couldn't load model '([^']+)'\. Model will be removed from registry\.$"
_ITSELF = r"^(?:Start(?:ed|ing) |New worker |Inference pool )"
_ALL = "^Unloaded all versions of "  # beside a line for each


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the head of MLServer's logger, as text or as what is nearly JSON."""
    return text.str.contains(_TEXT) | text.str.contains(_BRACED)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of loads and unloads, and of what custom runtimes log."""
    cut = _cut(lines.filter(sentences.telling(pl.col("text"))))
    registry = pl.col("message").str.contains(rf"{_LOADED}|{_UNLOADED}|{_FAILED}")
    logged = cut.filter(~registry & ~pl.col("message").str.contains(_ALL))
    return pl.concat(
        [_registry(cut.filter(registry)), sentences.printed(logged, _ITSELF, ("model", "version"))], how="diagonal"
    )


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Return row, time, model, version and message."""
    text, places = pl.col("text"), {"time": (1, 1), "model": (2, 3), "version": (3, 4), "message": (4, 2)}
    return lines.select(
        "row",
        **{
            name: pl.coalesce(text.str.extract(_TEXT, plain), text.str.extract(_BRACED, braced))
            for name, (plain, braced) in places.items()
        },
    )


def _registry(cut: pl.DataFrame) -> pl.DataFrame:
    said = pl.col("message")
    op = (
        pl.when(said.str.contains(_LOADED))
        .then(pl.lit("load"))
        .when(said.str.contains(_UNLOADED))
        .then(pl.lit("unload"))
        .otherwise(pl.lit("load_fail"))
    )
    named = pl.coalesce(said.str.extract(_LOADED), said.str.extract(_UNLOADED, 2), said.str.extract(_FAILED))
    version = pl.coalesce("version", said.str.extract(_UNLOADED, 1))
    return cut.select("row", "time", op=op, model=pl.coalesce("model", named), version=version)
