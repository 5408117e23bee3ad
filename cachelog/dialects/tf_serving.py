"""TensorFlow Serving, all generations: TensorFlow's own prefix, the oldest without a time, the newest by way of absl.

Loads, unloads and failures name model and version on every line. A line `(Re-)adding model: m` of a reload of the
configuration names no version: it is a rollout to what the server loads next (ingest/carry.py), unless it is of the
start. The binary reports the features of the CPU once in each process, between the start and the first load.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.heads import TIME

NAME = "tf_serving"
SOURCE = "tensorflow/serving core/loader_harness.cc, model_servers/server_core.cc"
BLIND = "TensorFlow Serving logs neither requests nor hosts, so there are no lookups and no rate"
HINTS = (".cc:", ".cc :", ".h:", ".c:", ".cpp:")
SAMPLES = (
    "2023-07-12 15:30:49.419595: I external/tf_serving/tensorflow_serving/core/loader_harness.cc:87] "
    "Successfully loaded servable version {name: pets version: 5}",
    "2020-11-10 18:41:01.517132: I tensorflow_serving/core/loader_harness.cc:74] Loading servable version "
    "{name: toy version: 2}",
    "2020-05-28 10:38:51.057843: I tensorflow_serving/model_servers/server_core.cc:573]  (Re-)adding model: toy",
    "2017-05-29 18:49:06.240155: I tensorflow_serving/core/loader_harness.cc:127] Done unloading servable "
    "version {name: pets version: 1}",
    "2021-03-02 08:14:11.310022: I tensorflow_serving/core/loader_harness.cc:164] Encountered an error for "
    "servable version {name: toy version: 3}: Not found: Could not find SavedModel .pb",
    "2021-03-02 08:14:11.310111: E tensorflow_serving/core/aspired_versions_manager.cc:379] Servable {name: "
    "toy version: 3} cannot be loaded: Not found: Could not find SavedModel .pb",
    "2018-01-09 21:38:04.021915: I tensorflow_serving/model_servers/main.cc:147] Building single TensorFlow "
    "model file config: model_name: mnist model_base_path: /root/ml",
    "2018-01-09 21:38:04.134781: I external/org_tensorflow/tensorflow/core/platform/cpu_feature_guard.cc:137]"
    " Your CPU supports instructions that this TensorFlow binary was not compiled to use: AVX2 FMA",
    "I0000 00:00:1719244446.123456     131 loader_harness.cc:95] Successfully loaded servable version {name: "
    "mnist version: 2}",
    "2020-11-10 18:41:01.531353: I external/org_tensorflow/tensorflow/cc/saved_model/reader.cc:54] Reading "
    "meta graph with tags { serve }",
    "E0109 21:38:04.210768165 53 ev_epoll1_linux.c:1051] grpc epoll fd: 5",
    "[evhttp_server.cc : 245] NET_LOG: Entering the event loop ...",
)

_FILE = r"[A-Za-z0-9_./-]+\.(?:cc|h|cpp|cu\.cc):[0-9]+\]"
_RECORD = rf"(?s)^[\s#]*(?:({TIME}): [IWEF]|[IWEF]0000 00:00:([0-9]{{10}}\.[0-9]{{6}}) +[0-9]+) ({_FILE}) ?(.*)$"
_OLDEST = r"(?s)^[IWEF] ((?:external/\S*)?tensorflow(?:_serving)?/\S+\.(?:cc|h):[0-9]+\]) ?(.*)$"
_OTHERS = r"^[IWED][0-9]{4} [0-9:]{8}\.[0-9]{9} +[0-9]+ \S+\.(?:c|cc|h):[0-9]+\]|^\[evhttp_server\.cc : [0-9]+\]"
#: Any of these begins like this.
SHAPE = (
    rf"^(?:[\s#]*(?:{TIME}: [IWEF]|[IWEF]0000 00:00:)|[IWEF] (?:external|tensorflow)|"
    r"[IWED][0-9]{4} [0-9:]{8}\.[0-9]{9} |\[evhttp_server\.cc : )"
)

_SAYS = ("ervable", "(Re-)adding model", "Building single", "cpu_feature_guard")
_S = r"\{name: (.+?) version: (-?[0-9]+)\}"
_LOADING = rf"^Loading servable version {_S}$"
_LOADED = rf"^Successfully loaded servable version {_S}$"
_UNLOADED = rf"^Done unloading (?:just-loaded )?servable version {_S}$"
# the manager repeats what the harness said ("cannot be loaded")
_FAILED = rf"(?s)^(?:Encountered an error for servable version {_S}|Servable: {_S} load failure): (.*)$"
_ADDING = r"^\s*\(Re-\)adding model: (.+)$"
_STARTED = r"^Building single TensorFlow model file config"
_GUARD = r"^external/org_tensorflow/.*cpu_feature_guard\.cc:"  # TensorFlow in Triton or Python has no such path


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has TensorFlow's prefix, or is of gRPC's or libevent's logs in the same stream."""
    return text.str.contains(_RECORD) | text.str.contains(_OLDEST) | text.str.contains(_OTHERS)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every record about a load, an unload, a start or a reload of the configuration."""
    text = pl.col("text")
    cut = lines.filter(text.str.contains_any(list(_SAYS))).select(
        "row",
        time=pl.coalesce(text.str.extract(_RECORD, 1), text.str.extract(_RECORD, 2)),
        file=pl.coalesce(text.str.extract(_RECORD, 3), text.str.extract(_OLDEST, 1)),
        message=pl.coalesce(text.str.extract(_RECORD, 4), text.str.extract(_OLDEST, 2)),
    )
    return cut.select("row", "time", *_said(pl.col("message"), pl.col("file"))).filter(pl.col("op").is_not_null())


def _said(message: pl.Expr, file: pl.Expr) -> list[pl.Expr]:
    """Return op, model, version and reason of a message."""
    op = (
        pl.when(message.str.contains(_LOADING))
        .then(pl.lit("load_start"))
        .when(message.str.contains(_LOADED))
        .then(pl.lit("load"))
        .when(message.str.contains(_UNLOADED))
        .then(pl.lit("unload"))
        .when(message.str.contains(_FAILED))
        .then(pl.lit("load_fail"))
        .when(message.str.contains(_ADDING))
        .then(pl.lit("rollout"))
        .when(message.str.contains(_STARTED) | file.str.contains(_GUARD))
        .then(pl.lit("restart"))
    )
    names = [message.str.extract(shape, 1) for shape in (_LOADING, _LOADED, _UNLOADED, _FAILED, _ADDING)]
    versions = [message.str.extract(shape, 2) for shape in (_LOADING, _LOADED, _UNLOADED, _FAILED)]
    reloaded = pl.when(message.str.contains(_ADDING)).then(pl.lit("configuration reloaded"))
    return [
        op.alias("op"),
        pl.coalesce(*names, message.str.extract(_FAILED, 3)).alias("model"),
        pl.coalesce(*versions, message.str.extract(_FAILED, 4)).alias("version"),
        pl.coalesce(message.str.extract(_FAILED, 5), reloaded).alias("reason"),
    ]
