"""Ray Serve: logs of replicas, proxies and the controller, as text, as the driver repeats them, and as JSON.

A replica with @serve.multiplexed logs each load of a model that it did not hold: a load, and a miss of the cache of
loaded models; hits leave no line. Since ray#60985 these lines are DEBUG. A model id of the form fraud:v41 names a
version. Models that make room for another go while a request is served (evict), else at the end of the replica
(unload). JSON lines are known by the file that they are from.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import model_ids, sentences
from cachelog.contract.heads import LEVEL, TIME

NAME = "ray_serve"
SOURCE = "ray-project/ray python/ray/serve/_private/logging_utils.py, python/ray/serve/multiplex.py"
BLIND = "Ray Serve logs the misses of multiplexed models only, at DEBUG since 2026, and no hits, so there is no rate"
HINTS = (" -- ", ".py:", ".py - ")
ORIGIN = r"^(?:multiplex|replica|proxy|controller|deployment_state|long_poll)\.py$"
SAMPLES = (
    "INFO 2026-11-23 15:34:40,751 app_M d6khn5yi 3996c065-0620-4105-9d3b-97ae48a7ac2f -- Loading model 'spam:v41'.",
    "DEBUG 2026-11-23 15:34:40,803 app_M d6khn5yi 3996c065-0620-4105-9d3b-97ae48a7ac2f -- Successfully "
    "loaded model 'spam:v41' in 51.5ms.",
    "INFO 2026-11-23 15:34:40,963 app_M d6khn5yi 6ca1413e-9eb2-4fce-9a5a-2b95c4db9fa3 -- Successfully "
    "unloaded model 'spam:v41' in 0.1ms.",
    "ERROR 2026-11-23 15:34:41,273 app_M d6khn5yi 58594c9d-0476-4089-84cf-6a3d9da20356 -- Failed to load "
    "model 'bad'. Error: no such model",
    "INFO 2026-11-23 15:34:44,362 app_M d6khn5yi -- Successfully unloaded model 'rank-v1' in 0.1ms.",
    "INFO 2023-05-24 01:19:03,854 default_Model default_Model#EjYmnQ CUpzhwUUNw / default multiplex.py:131 - "
    "Loading model '1'.",
    "INFO 2026-11-23 15:34:40,806 app_M d6khn5yi 3996c065-0620-4105-9d3b-97ae48a7ac2f -- GET /infer 200 59.1ms",
    "INFO 2026-11-23 15:34:40,807 app_M d6khn5yi 3996c065-0620-4105-9d3b-97ae48a7ac2f -- prediction cache "
    "hit model=churn version=3 key=a",
    "INFO 2026-11-23 15:34:37,956 controller 32292 -- Controller starting (version='2.53.0').",
    "INFO 2026-11-23 15:34:38,645 controller 32292 -- Deploying new version of Deployment(name='M', "
    "app='app') (initial target replicas: 1).",
    "INFO 2026-11-23 15:34:38,425 proxy 192.0.2.2 -- Proxy starting on node 4f44b8 (HTTP port: 18900).",
    "INFO 2026-11-23 15:34:39,691 app_M d6khn5yi -- Started initializing replica.",
)

_ACTOR = (
    r"(?:\((?:ServeReplica:|ProxyActor|ServeController|HTTPProxyActor|[A-Za-z_.:]+)\S* pid=[0-9]+(?:, ip=[^)]+)?\) )?"
)
_FROM = r"(?:--|[A-Za-z_]+\.py:[0-9]+ -)"
_HEAD = rf"{_ACTOR}{LEVEL} ({TIME}) (\S+) (\S+)((?: \S+){{0,3}}?) {_FROM} "
_RECORD = rf"(?s)^{_HEAD}(.*)$"
#: What is taken out of a JSON line: the function that wrote it, and the message.
_MESSAGE = r"(?s)^(?:(ray\.serve\.\S+) [a-z_]+|(?:\S+ )?multiplex)\.py - (.*)$"
_PARTS = ("time", "component", "replica", "request", "message")

_LOADING = r"^Loading model '([^']*)'\."
_LOADED = r"^Successfully loaded model '([^']*)' in ([0-9.]+)ms\."
_FAILED = r"(?s)^Failed to load model '([^']*)'\. Error: (.*)$"
_UNLOADED = r"^Successfully unloaded model '([^']*)' in ([0-9.]+)ms\."
_MULTIPLEXED = r"^(?:Loading|Unloading|Successfully (?:un)?loaded|Failed to load) model '"
#: What Ray Serve itself says with words that applications use for caches and starts.
_ITSELF = (
    r"^(?:Start(?:ed|ing) |LongPoll|Got updated |Configure |Deploying |Controller |Proxy |Replica|Request failed|"
    r"[A-Z]+ \S+ (?:[0-9]{3}|OK|ERROR|CANCELLED) [0-9.]+ms$)"
)


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the head of Ray Serve's loggers, or is a message out of its JSON."""
    return text.str.contains(rf"^{_HEAD}") | text.str.contains(_MESSAGE)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows about multiplexed models, and of what deployments log of themselves."""
    cut = _cut(lines.filter(sentences.telling(pl.col("text"))))
    multiplexed = pl.col("message").str.contains(_MULTIPLEXED)
    own = pl.col("component").is_in(["controller", "proxy", "http_proxy", "grpc_proxy"]).fill_null(False)
    read = sentences.printed(cut.filter(~multiplexed & ~own), _ITSELF)
    return pl.concat([_models(cut.filter(multiplexed)), read.drop("component", "request")], how="diagonal")


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Return row and _PARTS; `request` is not empty while a request is served."""
    text = pl.col("text")
    groups = lines["text"].str.extract_groups(_RECORD).struct.rename_fields(list(_PARTS)).struct.unnest()
    served = pl.when(text.str.extract(_MESSAGE, 1).str.contains("handle_request")).then(pl.lit("request"))
    return (
        lines.hstack(groups)
        .with_columns(
            message=pl.coalesce("message", text.str.extract(_MESSAGE, 2)),
            request=pl.coalesce("request", served, pl.lit("")),
        )
        .drop("text")
    )


def _models(cut: pl.DataFrame) -> pl.DataFrame:
    """A load is a row, and the miss that asked for it another."""
    said = pl.col("message")
    gone = pl.when(pl.col("request") != "").then(pl.lit("evict")).otherwise(pl.lit("unload"))
    op = (
        pl.when(said.str.contains(_LOADING))
        .then(pl.lit("load_start"))
        .when(said.str.contains(_LOADED))
        .then(pl.lit("load"))
        .when(said.str.contains(_FAILED))
        .then(pl.lit("load_fail"))
        .when(said.str.contains(_UNLOADED))
        .then(gone)
    )
    ids = pl.coalesce(said.str.extract(shape, 1) for shape in (_LOADING, _LOADED, _FAILED, _UNLOADED))
    found = cut.select(
        "row",
        "time",
        "replica",
        op=op,
        cache=pl.lit("model"),
        model=model_ids.model(ids),
        version=model_ids.version(ids),
        reason=said.str.extract(_FAILED, 2),
        ms=said.str.extract(_LOADED, 2),
    ).filter(pl.col("op").is_not_null())
    missed = found.filter(pl.col("op") == "load_start").with_columns(op=pl.lit("lookup"), outcome=pl.lit("miss"))
    return pl.concat([found, missed], how="diagonal")
