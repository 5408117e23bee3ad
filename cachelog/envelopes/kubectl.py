"""What `kubectl logs` puts before lines: --prefix gives [pod/POD/CONTAINER], --timestamps a time of nine digits.

The digits tell the kubelet's time (RFC 3339 with all nanoseconds, kubernetes/pkg/kubelet/kuberuntime/logs) from an
application's own, which stays where it is. `docker logs --timestamps` writes the same.
"""

from __future__ import annotations

import polars as pl

NAME = "kubectl"
SOURCE = "kubernetes/kubectl pkg/cmd/logs; kubernetes/pkg/kubelet/kuberuntime/logs"
BLIND = "without --prefix, which pod wrote a line, unless the file is named for it"
SAMPLES = (
    "[pod/scorer-0/scorer] starting",
    "[pod/scorer-0/scorer] 2026-11-23T15:16:30.248043060Z starting",
    "2026-11-23T15:16:30.248043060Z starting",
    "2026-11-23T16:16:30.248043060+01:00 starting",
)

_PREFIX = r"\[pod/([^/\] ]+)/[^/\] ]+\]"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}(?:Z|[+-][0-9]{2}:[0-9]{2})"
_LINE = rf"(?s)^(?:{_PREFIX}(?: |$))?(?:({_TIME})(?: |$))?(.*)$"
SHAPE = rf"^(?:{_PREFIX}|{_TIME})(?: |$)"
_KUBELET = rf"^{_TIME} (?:stdout|stderr) [FP](?:[: ]|$)"  # a line of the envelope cri


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a pod in brackets or a time of the kubelet, and is not of its file."""
    return text.str.contains(SHAPE) & ~text.str.contains(_KUBELET)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["env_replica", "env_time", "text"])
    nothing = pl.lit(None, pl.String).alias("stream")
    return lines.select("row").hstack(groups.struct.unnest()).with_columns(nothing, partial=pl.lit(False))
