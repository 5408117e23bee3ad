"""MLflow: lines of its own loggers, among them those of `mlflow models serve` and of the registry's client.

The scoring server is uvicorn or gunicorn, whose lines are read as any application's. A model URI models:/NAME/VERSION
names model and version.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import sentences
from cachelog.contract.heads import LEVEL

NAME = "mlflow"
SOURCE = "mlflow/mlflow mlflow/utils/logging_utils.py"
BLIND = "MLflow's scoring server logs no loads, no versions and no cache lookups, only requests"
HINTS = (" mlflow",)
SAMPLES = (
    "2026/11/23 15:13:00 INFO mlflow.pyfunc.stdin_server: Loading model from models:/demand/3",
    "2026/11/23 15:13:00 INFO mlflow.models.flavor_backend_registry: Selected backend for flavor 'python_function'",
    "2026/11/23 15:13:01 INFO mlflow.pyfunc.backend: === Running command 'exec uvicorn --host 127.0.0.1 "
    "--port 5000 mlflow.pyfunc.scoring_server.app:app'",
    "2026/11/23 15:12:40 INFO mlflow.store.model_registry.abstract_store: Waiting up to 300 seconds for "
    "model version to finish creation. Model name: demand, version 3",
)

_HEAD = rf"(?s)^([0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}} [0-9:]{{8}}) {LEVEL} (mlflow[A-Za-z0-9_.]*): (.*)$"
_URI = r"\bmodels:/([^/@\s'\"]+)[/@]([^/\s'\"]+)"
_LOADING = r"^(?:Load|Download)ing model\b"
_QUIET = r"^(?:=== Running command|Start|Waiting |Selected backend|Restor|Downloading )"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the head of MLflow's loggers."""
    return text.str.contains(_HEAD)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of models that are loaded by their URI, and of what models log by MLflow's loggers."""
    text = pl.col("text")
    cut = lines.filter(sentences.telling(text)).select(
        "row", time=text.str.extract(_HEAD, 1), message=text.str.extract(_HEAD, 3)
    )
    named = pl.col("message").str.contains(_LOADING) & pl.col("message").str.contains(_URI)
    uri = {"model": pl.col("message").str.extract(_URI, 1), "version": pl.col("message").str.extract(_URI, 2)}
    loads = cut.filter(named).select("row", "time", op=pl.lit("load_start"), **uri)
    return pl.concat([loads, sentences.printed(cut.filter(~named), _QUIET)], how="diagonal")
