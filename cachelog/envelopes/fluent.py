"""Fluent Bit and Fluentd: a text in `log` with what they know of the container; and Docker's fluentd driver, FireLens.

Where they parse JSON in the text and lay its fields beside it, the object is read as the application's own. Fluentd's
outputs to files and to the terminal put a time and a tag before the object.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.layout import Layout

NAME = "fluent"
SOURCE = "docs.fluentbit.io (kubernetes filter), docs.fluentd.org (out_file, out_stdout), docs.docker.com (fluentd)"
BLIND = "which lines are pieces of a longer one: the shipper must join them"
SAMPLES = (
    '{"date":1795446990.240427,"log":"INFO ready","stream":"stdout","kubernetes":{"pod_name":"scorer-0"}}',
    '{"log":"INFO ready\\n","stream":"stdout","docker":{"container_id":"4c7e"},"kubernetes":{"pod_name":"scorer-0"}}',
    '{"container_id":"4c7e18eb","container_name":"/scorer-0","source":"stdout","log":"INFO uvicorn.error: ready"}',
    '{"date":1795446990.240427,"log":"INFO uvicorn.error: ready"}',
    '2026-11-23T15:16:30+00:00\tkube.scorer\t{"log":"INFO uvicorn.error: ready"}',
    '2026-11-23 15:16:30.240427000 +0000 kube.scorer: {"log":"INFO uvicorn.error: ready"}',
)

_TIME = ("@timestamp", "time", "timestamp", "date")
_POD = (
    "kubernetes.pod_name",
    "kubernetes.pod.name",
    "container_name",
    "container_id",
    "docker.container_id",
    "kubernetes.host",
)
_OTHERS = ("source_type", "agent.type", "ecs.version")  # vector, ecs
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TAB = rf"^({_DATE}T[0-9:.]{{8,18}}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}}))\t[^\t ]+\t(\{{.*)$"
_COLON = rf"^({_DATE} [0-9:.]{{8,18}} [+-][0-9]{{4}}) [^ ]+: (\{{.*)$"
SHAPE = rf"^{_DATE}(?:T[0-9:.Z+-]{{9,24}}\t| [0-9:.]{{8,18}} [+-][0-9]{{4}} )"

LAYOUTS = (
    Layout(
        payload=("log", "message"),
        time=_TIME,
        replica=_POD,
        stream=("stream", "source"),
        tells=(
            ("kubernetes.pod_name", "kubernetes.container_name", "docker.container_id", "container_id"),
            ("log", "message"),
        ),
        unless=_OTHERS,
        loose=True,
    ),
    Layout(
        payload=("log",),
        time=_TIME,
        replica=("container_name", "hostname", "host"),
        stream=("stream",),
        tells=(("date",), ("log",)),
        unless=_OTHERS,
        loose=True,
    ),
)


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has a time, a tag and an object, as Fluentd's outputs write them."""
    return text.str.contains(_TAB) | text.str.contains(_COLON)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line."""
    parts = [
        lines["text"].str.extract_groups(pattern).struct.rename_fields(["time", "text"]) for pattern in (_TAB, _COLON)
    ]
    tab, colon = (part.struct.unnest() for part in parts)
    nothing = [pl.lit(None, pl.String).alias(name) for name in ("env_replica", "stream")]
    return lines.select(
        "row", text=tab["text"].fill_null(colon["text"]), env_time=tab["time"].fill_null(colon["time"])
    ).with_columns(*nothing, partial=pl.lit(False))
