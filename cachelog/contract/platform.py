"""What the platform around the replicas says: manifests, deploys and trouble, in events whose reason begins so.

They are `rollout` and `restart` events that stand beside the serving logs (kubectl, Helm, Argo CD, GitHub, GitLab, the
option --deploy). A rollout without a model tells nothing about the version of one: an image or a chart is none.

A rollout with such a reason has in `replica` the pod that it is about, WORKLOAD-* for all pods of a workload, null for
all there are; in `version` what is asked for (an image, the hash of a configuration, a revision), `digest` that of the
image. One with a model and its version besides is a rollout of that version like any other.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.event import EVENT

MANIFEST = "manifest: "  # and which part of it: image, checksum/config, ConfigMap, MODEL_VERSION ...
TROUBLE = "platform: "  # and what went wrong on a replica; of a restart, after what it started
DEPLOY = "deploy: "  # and of what: somebody changed what runs
KINDS = (MANIFEST, TROUBLE, DEPLOY)

IMAGE = "image"
TEMPLATE = "pod template"  # its hash, which differs where anything does
CONFIG_MAP = "ConfigMap"
STARTED = "started"  # of a pod that runs: `ts` is since when its containers do
CHANGED = "ConfigMap changed"  # of no replica: `version` is its name, `ts` when it was changed last
ANY = "-*"  # the end of `replica` where it is a workload


def of_kind(kind: str) -> pl.Expr:
    """Return, over EVENT, whether an event is of one of KINDS."""
    return pl.col("reason").str.starts_with(kind).fill_null(False)


def told(reason: pl.Expr | None = None) -> pl.Expr:
    """Return, over EVENT or of an expression for reasons, whether the platform says an event."""
    said = pl.col("reason") if reason is None else reason
    return pl.any_horizontal([said.str.starts_with(kind) for kind in KINDS]).fill_null(False)


#: Frames.platform: what the platform says, by time, source and line; labels are String.
SAID: pl.Schema = pl.Schema(
    {"ts": EVENT["ts"], "source": EVENT["source"], "line": EVENT["line"]}
    | {name: pl.String() for name in ("replica", "model", "version", "digest", "reason")}
)
