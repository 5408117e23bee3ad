"""KServe ModelMesh: its plain log file, and its JSON on the console, known by the name of the logger.

A request for a model that is not loaded leaves `Cache miss for model invocation`, in a thread that is named after the
model (invoke-ex-ID); hits leave nothing. Ids made by KServe end in a hash of the model's spec (fraud__isvc-60ac5fc3c4):
a new hash is a new version, and hashes have no order.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import model_ids
from cachelog.contract.heads import LEVEL, TIME

NAME = "modelmesh"
SOURCE = "kserve/modelmesh src/main/resources/log4j2.xml, com/ibm/watson/modelmesh/ModelMesh.java"
BLIND = "ModelMesh logs misses of its cache of loaded models and no hits; its ids hold a hash where a version would be"
ORIGIN = r"^com\.ibm\.watson\.modelmesh\."
HINTS = ("c.i.w.m.", "com.ibm.watson.modelmesh.")
SAMPLES = (
    "2022-12-16 15:08:01.120 [model-load-mnist__isvc-60ac5fc3c4] INFO  c.i.w.m.ModelMesh - Starting load for "
    "model mnist__isvc-60ac5fc3c4 type=rt:triton {}",
    "2022-12-16 15:08:03.121 [model-load-mnist__isvc-60ac5fc3c4] INFO  c.i.w.m.ModelMesh - Load of model "
    "mnist__isvc-60ac5fc3c4 type=rt:triton completed in 2001ms {}",
    "2022-12-16 15:08:03.130 [invoke-ex-mnist__isvc-60ac5fc3c4] INFO  c.i.w.m.ModelMesh - Cache miss for "
    "model invocation, held up 2010ms {}",
    "2022-12-16 15:08:36.985 [model-load-cifar] ERROR c.i.w.m.ModelMesh - Load failed for model cifar "
    "type=mt:onnx after 36078ms {}",
    "2022-12-16 15:09:00.001 [invoke-ex-cifar] INFO  c.i.w.m.ModelMesh - Eviction triggered for model cifar "
    "(weight=12500 / 97MiB) {}",
    "2022-12-16 15:08:00.911 [mm-task-thread-7] INFO  c.i.w.m.ModelMesh - Published new instance record: "
    "InstanceRecord [lruTime=1671169768301 (79 minutes ago), count=4] {}",
)

_LOGGER = r"(?:c\.i\.w\.m|com\.ibm\.watson\.modelmesh)\.[A-Za-z0-9_.$]+"
_PLAIN = rf"(?s)^({TIME}) \[([^\]]+)\] {LEVEL} +{_LOGGER} - (.*?)(?: \{{[^{{}}]*\}})?$"
_THREADED = rf"(?s)^(?:(\S+) )?{_LOGGER} - (.*)$"  # out of JSON: thread, message

_SAYS = ("load", "Evict", "Cache miss", "cache capacity", "ejecting")
_STARTING = r"^Starting load for model (\S+) type="
_LOADED = r"^Load of model (\S+) type=\S+ completed in ([0-9]+)ms"
_FAILED = r"^(?:Load (?:failed|interrupted) for|Rejecting load of) model (\S+) "
_WHY = r"^(?:Load (failed|interrupted) for |(Rejecting) load of )"
_EVICTED = r"^Eviction triggered for model (\S+) \(weight="
_UNLOADED = r"^Unload of (?:model )?(\S+) completed in ([0-9]+)ms"
_MISS = r"^Cache miss for model invocation, held up ([0-9]+)ms"
_ASKED = r"^invoke-[a-z]+-(.+)$"
_BOOTED = r"^Model cache capacity = "
_WHYS = {"failed": "load failed", "interrupted": "load interrupted", "Rejecting": "too old or large for the cache"}


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of ModelMesh's log file, or a message out of its JSON."""
    return text.str.contains(_PLAIN) | text.str.contains(_THREADED)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every record about a load, an eviction, a miss or a start."""
    text = pl.col("text")
    cut = lines.filter(text.str.contains_any(list(_SAYS))).select(
        "row",
        time=text.str.extract(_PLAIN, 1),
        thread=pl.coalesce(text.str.extract(_PLAIN, 2), text.str.extract(_THREADED, 1)),
        message=pl.coalesce(text.str.extract(_PLAIN, 3), text.str.extract(_THREADED, 2)),
    )
    return cut.select("row", "time", *_said(pl.col("message"), pl.col("thread"))).filter(pl.col("op").is_not_null())


def _said(message: pl.Expr, thread: pl.Expr) -> list[pl.Expr]:
    missed = message.str.contains(_MISS)
    op = (
        pl.when(message.str.contains(_STARTING))
        .then(pl.lit("load_start"))
        .when(message.str.contains(_LOADED))
        .then(pl.lit("load"))
        .when(message.str.contains(_FAILED))
        .then(pl.lit("load_fail"))
        .when(message.str.contains(_EVICTED))
        .then(pl.lit("evict"))
        .when(message.str.contains(_UNLOADED))
        .then(pl.lit("unload"))
        .when(missed)
        .then(pl.lit("lookup"))
        .when(message.str.contains(_BOOTED))
        .then(pl.lit("restart"))
    )
    shapes = (_STARTING, _LOADED, _FAILED, _EVICTED, _UNLOADED)
    asked = pl.when(missed).then(thread.str.extract(_ASKED))
    ids = pl.coalesce(*(message.str.extract(shape) for shape in shapes), asked)
    why = pl.coalesce(message.str.extract(_WHY, 1), message.str.extract(_WHY, 2))
    return [
        op.alias("op"),
        model_ids.model(ids).alias("model"),
        model_ids.version(ids).alias("version"),
        pl.when(op != "restart").then(pl.lit("model")).alias("cache"),
        pl.when(missed).then(pl.lit("miss")).alias("outcome"),
        why.replace_strict(_WHYS, default=None, return_dtype=pl.String).alias("reason"),
        pl.coalesce(message.str.extract(_LOADED, 2), message.str.extract(_MISS)).alias("ms"),
    ]
