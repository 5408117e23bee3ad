"""Which replica a line of syslog or the journal is of: its host, or the tag where that names one replica better.

Docker's syslog and journald drivers put the id of the container there, its name when told so; units of systemd with
an instance (scorer@2.service) are several replicas on one host.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

_ID = "[0-9a-f]{12}|[0-9a-f]{64}"
_POD = r"[a-z][a-z0-9.-]*-[a-f0-9]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"  # of a deployment
_OWN = rf"^(?:{_ID}|{_POD})$"
_INSTANCE = r"^([^@/\s]+@[^@/\s]+)\.service$"
_BY_KUBELET = r"^k8s_[^_]+_([^_]+)_"  # dockershim: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT


def replica(host: pl.Expr, tag: pl.Expr) -> pl.Expr:
    """Return the tag where it is a pod or a container, HOST/UNIT for a unit with an instance, else the host."""
    unit = tag.str.extract(_INSTANCE)
    instance = pl.coalesce(pl.concat_str(host, unit, separator="/"), unit)
    return pl.when(tag.str.contains(_OWN)).then(tag).otherwise(pl.coalesce(instance, host))


def unwrapped(lines: pl.DataFrame, pattern: str, time: Callable[[pl.Expr], pl.Expr]) -> pl.DataFrame:
    """Return UNWRAPPED rows of lines whose pattern has the groups time, host, tag and text; other lines say nothing."""
    names = ["time", "host", "tag", "text"]
    parts = lines["text"].str.extract_groups(pattern).struct.rename_fields(names).struct.unnest()
    return lines.select("row").hstack(parts).select(
        "row",
        pl.col("text").fill_null(""),
        env_time=time(pl.col("time")),
        env_replica=replica(pl.col("host"), pl.col("tag")),
        stream=pl.lit(None, pl.String),
        partial=pl.lit(False),
    )  # fmt: skip


def container(name: pl.Expr) -> pl.Expr:
    """Return the pod of a container that the kubelet named, else the container's name without its slash."""
    return pl.coalesce(name.str.extract(_BY_KUBELET), name.str.strip_prefix("/"))
