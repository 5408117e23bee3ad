"""Container logs as the kubelet keeps them (containerd, CRI-O): `TIME stdout|stderr F|P TEXT`.

A line longer than 16 KiB is cut into pieces: P says that the next line of the same stream goes on. The pod is in the
path, /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log or /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log.
Format: kubernetes/cri-api, the logging section of its design document.
"""

from __future__ import annotations

import re

import polars as pl

NAME = "cri"
SOURCE = "kubernetes/cri-api, the logging section of its design document"
BLIND: str | None = None
SAMPLES = (
    "2026-11-23T15:16:30.248043060Z stdout F starting",
    '2026-11-23T15:16:30.248043060Z stderr P {"event": "feature_dump", "dump": "f0=',
    "2026-11-23T16:16:30.248+01:00 stdout F",
    "2026-11-23T15:16:30Z stdout P:TAG half a line",
)

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
SHAPE = rf"^{_TIME} (?:stdout|stderr) [FP]"
_PREFIX = r"^(([^ ]+) (stdout|stderr) ([FP])(?::[^ ]*)?(?: |$))"
_LONGEST = 200  # characters before the text

#: Lines that the next line of their stream goes on with; the group is the stream.
OPEN = re.compile(rb"^[0-9T:.Z+-]{20,40} (stdout|stderr) P(?::[^ ]*)?(?: |$)")
#: Any line of this kind, with its stream.
STREAM = re.compile(rb"^[0-9T:.Z+-]{20,40} (stdout|stderr) [FP](?::[^ ]*)?(?: |$)")

_POD = re.compile(r"(?:^|[/\\])[^/\\_]+_([^/\\_]+)_[0-9a-f-]{32,36}[/\\][^/\\]+[/\\][0-9]+\.log")
_LINK = re.compile(r"(?:^|[/\\])([^/\\_]+)_[^/\\_]+_[^/\\]+-[0-9a-f]{64}\.log")


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has a time, a stream and a tag."""
    return text.str.contains(rf"^{_TIME} (?:stdout|stderr) [FP](?::[^ ]{{0,99}})?(?: |$)")


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; the pod is not in the line, see `locus`."""
    names = ["prefix", "env_time", "stream", "tag"]
    prefix = lines["text"].str.head(_LONGEST).str.extract_groups(_PREFIX).struct.rename_fields(names).struct.unnest()
    return lines.hstack(prefix).select(
        "row",
        pl.col("text").str.slice(pl.col("prefix").str.len_bytes()),
        "env_time",
        pl.lit(None, pl.String).alias("env_replica"),
        "stream",
        partial=pl.col("tag") == "P",
    )


def locus(path: str) -> str | None:
    """Return the pod that a path of the kubelet names."""
    found = _POD.search(path) or _LINK.search(path)
    return found[1] if found else None
