"""KServe: its Python model server, its predecessor KFServing, and the agent that pulls models for multi-model serving.

The agent writes JSON, known by the file that it is from (agent/puller.go). Neither names a version: it stands in the
storage URI at most. What a custom predictor logs by KServe's logger is read as any application's text.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import sentences
from cachelog.contract.heads import LEVEL, TIME

NAME = "kserve"
SOURCE = "kserve/kserve python/kserve/kserve/logging.py, pkg/agent/puller.go"
BLIND = "KServe logs no versions and no cache lookups, only which models its servers have"
ORIGIN = r"^agent/(?:puller|syncer|watcher|main)\.go:[0-9]+$"
HINTS = (" kserve", " uvicorn.", "kfserver:", "storage:", "http:", "web:", "agent/")
SAMPLES = (
    "2024-05-06 09:12:03.481 1 kserve INFO [model_server.py:register_model():439] Registering model: wine",
    "2024-05-06 09:12:03.501 1 uvicorn.error INFO:     Started server process [1]",
    '2024-05-06 09:13:11.902 uvicorn.access INFO:     10.0.0.7:44414 1 - "POST /v1/models/wine:predict '
    'HTTP/1.1" 200 OK',
    "2024-05-06 09:13:11.900 1 kserve.trace requestId: N.A., preprocess_ms: 0.012, explain_ms: 0, predict_ms: 1.2",
)

_LOGGER = r"(?:kserve(?:\.trace)?|uvicorn\.(?:error|access))"
_SERVER = rf"(?s)^({TIME}) (?:[0-9]+ )?{_LOGGER} (?:{LEVEL}:? +)?(?:\[\S+:[0-9]+\] )?(.*)$"
_OWNED = rf"^{TIME} (?:[0-9]+ kserve(?:\.trace)? |(?:[0-9]+ )?uvicorn\.(?:error|access) {LEVEL}: )"
_KFSERVING = r"(?s)^\[[IWED] ([0-9]{2})([0-9]{2})([0-9]{2}) ([0-9:]{8}) (?:kfserver|storage|http|web):[0-9]+\] (.*)$"
_AGENT = r"(?s)^(?:\S+ )?agent/[a-z]+\.go:[0-9]+ - (.*)$"
_ACCESS = r'^\S+ [0-9]+ - "'

_REGISTERED = r"^Registering model: (.+)$"
_LOADED = r"^Successfully loaded model (\S+)$"
_UNLOADED = r"^Successfully unloaded model (\S+)$"
_FAILED = r"(?s)^Failed to (?:[Ll]oad|download) model (\S+)(?: with (?:err )?(.*))?$"
_ITSELF = rf"{_REGISTERED}|{_LOADED}|{_UNLOADED}|{_FAILED}"
_QUIET = r"^(?:(?:un)?loading model |Worker is started|Sync|Watching|Start |Starting |Setting |Downloading |requestId)"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the head of KServe's loggers, or is a message out of the agent's JSON."""
    return text.str.contains(_OWNED) | text.str.contains(_KFSERVING) | text.str.contains(_AGENT)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of models that come and go, of starts, and of what predictors log."""
    cut = _cut(
        lines.filter(sentences.telling(pl.col("text")) | pl.col("text").str.contains_any(["Failed to", "Registering"]))
    )
    own = pl.col("message").str.contains(_ITSELF)
    logged = cut.filter(~own & ~pl.col("message").str.contains(_ACCESS))
    return pl.concat([_models(cut.filter(own)), sentences.printed(logged, _QUIET)], how="diagonal")


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Return row, time and message."""
    text = pl.col("text")
    day = [text.str.extract(_KFSERVING, part) for part in (1, 2, 3)]
    old = pl.concat_str(
        pl.lit("20"), day[0], pl.lit("-"), day[1], pl.lit("-"), day[2], pl.lit(" "), text.str.extract(_KFSERVING, 4)
    )
    message = [text.str.extract(_SERVER, 2), text.str.extract(_KFSERVING, 5), text.str.extract(_AGENT)]
    return lines.select("row", time=pl.coalesce(text.str.extract(_SERVER), old), message=pl.coalesce(message))


def _models(cut: pl.DataFrame) -> pl.DataFrame:
    said = pl.col("message")
    op = (
        pl.when(said.str.contains(_UNLOADED))
        .then(pl.lit("unload"))
        .when(said.str.contains(_FAILED))
        .then(pl.lit("load_fail"))
        .otherwise(pl.lit("load"))
    )
    model = pl.coalesce(said.str.extract(shape, 1) for shape in (_REGISTERED, _LOADED, _UNLOADED, _FAILED))
    return cut.select("row", "time", op=op, model=model, reason=said.str.extract(_FAILED, 2))
