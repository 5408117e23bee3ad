"""`kubectl rollout history`, as it prints its table. It tells no times, so nothing can be put beside the logs."""

from __future__ import annotations

import polars as pl

from cachelog.contract.dialect import PARSED

NAME = "kubectl_rollout"
SOURCE = "kubernetes/kubectl pkg/polymorphichelpers/history.go"
BLIND = "it has no times; give `kubectl get replicasets -o json`, which has"
HINTS = ("apps/", "CHANGE-CAUSE", "<none>", "kubectl ")
SAMPLES = (
    "deployment.apps/scorer ",
    "REVISION  CHANGE-CAUSE",
    "1         <none>",
    "2         kubectl set image deployment/scorer scorer=registry.example.com/scorer:2.9.1 --record=true",
)

_HEAD = r"^(?:deployment|daemonset|statefulset)\.apps/[a-z0-9.-]+ *$"
_ROW = r"^[0-9]+ +(?:<none>|kubectl .*)$"
SHAPE = r"^(?:(?:deployment|daemonset|statefulset)\.apps/|REVISION +CHANGE-CAUSE|[0-9]+ +(?:<none>|kubectl ))"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is the head or a row of the table."""
    return text.str.contains(_HEAD) | text.str.contains(r"^REVISION +CHANGE-CAUSE *$") | text.str.contains(_ROW)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return no rows: the table has no times."""
    return pl.DataFrame(schema=PARSED)
