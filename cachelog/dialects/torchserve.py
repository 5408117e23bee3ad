"""TorchServe: ts_log and console, model_log, access_log, ts_metrics and model_metrics, with or without a time.

Versions are of three kinds of lines: the server's own (registered, default set, removed), the states of the workers,
whose names hold model and version (W-9000-fraud_1.0), and what handlers print, which is read as any application's
text. Stock log4j2 writes server lines twice into ts_log and all of it to the console again; ingest counts them once.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import sentences
from cachelog.contract.event import SWITCHED
from cachelog.contract.heads import LEVEL, TIME

NAME = "torchserve"
SOURCE = (
    "pytorch/serve frontend/server/src/main/resources/log4j2.xml, wlm/WorkerThread.java, wlm/ModelVersionedRefs.java"
)
BLIND = "TorchServe itself logs no cache lookups: hits and misses are there only where a handler prints them"
ORIGIN = r"^(?:org\.pytorch\.serve\.|(?:MODEL|ACCESS)_LOG$|(?:MODEL|TS|TELEMETRY)_METRICS$)"
HINTS = ("org.pytorch.serve.", "MODEL_LOG", "ACCESS_LOG", "_METRICS", "|#hostname:", " HTTP/")
SAMPLES = (
    "2026-11-23T15:14:06,245 [DEBUG] epollEventLoopGroup-3-3 org.pytorch.serve.wlm.ModelVersionedRefs - "
    "Setting default version to 2.0 for model churn",
    "2026-11-23T15:14:04,688 [DEBUG] epollEventLoopGroup-3-2 org.pytorch.serve.wlm.ModelVersionedRefs - "
    "Adding new version 2.0 for model churn",
    "2026-11-23T15:14:18,251 [DEBUG] epollEventLoopGroup-3-2 org.pytorch.serve.wlm.ModelVersionedRefs - "
    "Removed model: churn version: 2.0",
    "2026-11-23T15:13:50,452 [DEBUG] W-9000-churn_1.0 org.pytorch.serve.wlm.WorkerThread - W-9000-churn_1.0 "
    "State change null -> WORKER_STARTED",
    "2026-11-23T15:13:51,825 [DEBUG] W-9000-churn_1.0 org.pytorch.serve.wlm.WorkerThread - W-9000-churn_1.0 "
    "State change WORKER_STARTED -> WORKER_MODEL_LOADED",
    "2021-07-03 15:37:48,197 [DEBUG] W-9003-my_net_2.0 org.pytorch.serve.wlm.WorkerThread - "
    "W-9003-my_net_2.0 State change WORKER_MODEL_LOADED -> WORKER_STOPPED",
    "2022-05-25T14:50:37,600 [DEBUG] W-9000-bert_1.0 org.pytorch.serve.wlm.WorkerThread - W-9000-bert_1.0 "
    "State change WORKER_STARTED -> WORKER_ERROR",
    "2022-05-25T14:50:37,581 [WARN ] W-9000-bert_1.0 org.pytorch.serve.wlm.BatchAggregator - Load model "
    "failed: bert, error: Worker died.",
    "2026-11-23T15:13:49,919 [INFO ] main org.pytorch.serve.ModelServer -",
    "2026-11-23T15:13:52,719 [INFO ] W-9000-churn_1.0-stdout MODEL_LOG - prediction cache miss model=churn "
    "version=1.0 key=f1",
    "[INFO ] W-9000-churn_1.0-stdout MODEL_LOG - cache hit for f1",
    "2022-05-25T14:50:36,927 [INFO ] W-9000-bert_1.0-stdout MODEL_LOG - RuntimeError: failed to load model bert",
    '2026-11-23T15:13:52,720 [INFO ] W-9000-churn_1.0 ACCESS_LOG - /127.0.0.1:41160 "POST /predictions/churn '
    'HTTP/1.1" 200 17',
    '2026-11-23T15:14:18,248 - /127.0.0.1:44570 "PUT /models/churn/1.0/set-default HTTP/1.1" 200 2',
    "2026-11-23T15:13:52,719 - PredictionTime.ms:5.34|#ModelName:churn,Level:Model|#hostname:vm,requestID:04f"
    "ff133-d644-40a3-b9b6-512eca0cd1f8,timestamp:1795446832",
)

_LOGGER = r"(?:org\.pytorch\.serve\.[A-Za-z0-9_.$]+|(?:MODEL|ACCESS)_LOG|(?:MODEL|TS|TELEMETRY)_METRICS)"
_RECORD = rf"(?s)^(?:({TIME}) )?(?:\[?{LEVEL} *\]? +)?(\S+) ({_LOGGER}) -(?: (.*))?$"
_PARTS = ("time", "thread", "logger", "message")
_ACCESS = rf'^(?:{TIME} - )?(?:/[0-9a-fA-F.:%\[\]]+|null) "(?:[A-Z]+|gRPC) \S+ HTTP/[0-9.]+" [0-9]{{3}} [0-9]+$'
_METRIC = rf"^(?:{TIME} - )?[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z]+:[0-9.eE+-]+\|#[^|]*\|#hostname:"

_SAYS = (" State change ", "Setting default version", "Removed model: ", "Load model failed: ", "ModelServer -")
_WORKER = r"^W-[0-9]+-(.+)_([^_]+?)(?:-stdout|-stderr)?$"
_STATE = r"^W-[0-9]+-(.+)_([^_ ]+) State change (\S+ -> \S+)$"
_DEFAULT = r"^Setting default version to (\S+) for model (\S+)$"
_REMOVED = r"^Removed model: (\S+) version: (\S+)$"
_FAILED = r"(?s)^Load model failed: ([^,]+), error: (.*)$"
_BOOTED = r"(?s)^\s*(?:$|Torchserve version: )"  # the configuration that ModelServer prints once in each start
#: What the worker process prints of itself.
_UNSAID = r"^(?:Torch worker started|Successfully loaded /)"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is a record of TorchServe's loggers, of its access log or of its metrics."""
    return text.str.contains(_RECORD) | text.str.contains(_ACCESS) | text.str.contains(_METRIC)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of what the server says of versions and workers, and of what handlers print."""
    text, printed = pl.col("text"), pl.col("thread").str.contains("-std(?:out|err)$")
    by_handlers = text.str.contains_any(["-stdout ", "-stderr "]) & sentences.telling(text)
    cut = _cut(lines.filter(by_handlers | text.str.contains_any(list(_SAYS))))
    return pl.concat(
        [_server(cut.filter(~printed)), sentences.printed(cut.filter(printed), _UNSAID, ("of", "at"))],
        how="diagonal",
    )


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Return row and _PARTS, and the model and version that the name of a worker's thread holds."""
    groups = lines["text"].str.extract_groups(_RECORD).struct.rename_fields(list(_PARTS)).struct.unnest()
    worker = {"of": pl.col("thread").str.extract(_WORKER, 1), "at": pl.col("thread").str.extract(_WORKER, 2)}
    cut = lines.select("row").hstack(groups).filter(pl.col("thread").is_not_null())  # others are of no logger
    return cut.with_columns(**worker, message=pl.col("message").fill_null(""))


def _server(cut: pl.DataFrame) -> pl.DataFrame:
    said, reason = pl.col("message"), pl.coalesce(pl.col("message").str.extract(_FAILED, 2), _reason())
    op = (
        pl.when(said.str.contains(_STATE))
        .then(_state_op(said.str.extract(_STATE, 3)))
        .when(said.str.contains(_DEFAULT))
        .then(pl.lit("rollout"))
        .when(said.str.contains(_REMOVED))
        .then(pl.lit("unload"))
        .when(said.str.contains(_FAILED))
        .then(pl.lit("load_fail"))
        .when((pl.col("logger") == "org.pytorch.serve.ModelServer") & said.str.contains(_BOOTED))
        .then(pl.lit("restart"))
    )
    model = [said.str.extract(_STATE, 1), said.str.extract(_DEFAULT, 2), said.str.extract(_REMOVED, 1)]
    version = [said.str.extract(_STATE, 2), said.str.extract(_DEFAULT, 1), said.str.extract(_REMOVED, 2)]
    failed = pl.when(said.str.contains(_FAILED)).then(pl.col("at"))
    return cut.select(
        "row",
        "time",
        op=op,
        model=pl.coalesce(*model, said.str.extract(_FAILED, 1)),
        version=pl.coalesce(*version, failed),
        reason=reason,
    ).filter(pl.col("op").is_not_null())


def _state_op(change: pl.Expr) -> pl.Expr:
    """Workers that die while loading say so in a line of their own (Load model failed); scaling down is followed by
    the removal of the version, if it is one."""
    return (
        pl.when(change.str.ends_with("-> WORKER_STARTED"))
        .then(pl.lit("load_start"))
        .when(change.str.ends_with("-> WORKER_MODEL_LOADED"))
        .then(pl.lit("load"))
        .when(change.str.ends_with("-> WORKER_ERROR"))
        .then(pl.lit("load_fail"))
        .when(change == "WORKER_MODEL_LOADED -> WORKER_STOPPED")
        .then(pl.lit("unload"))
    )


def _reason() -> pl.Expr:
    said = pl.col("message")
    return (
        pl.when(said.str.contains(_DEFAULT))
        .then(pl.lit(SWITCHED))
        .when(said.str.ends_with("WORKER_MODEL_LOADED -> WORKER_STOPPED"))
        .then(pl.lit("worker stopped"))
        .when(said.str.ends_with("-> WORKER_ERROR"))
        .then(pl.lit("worker answered with an error"))
    )
