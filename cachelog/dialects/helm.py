"""Helm: `helm history RELEASE -o json` and `helm list -o json`: the revisions of a release, each a deploy.

The release is named by `helm list` alone, and models by neither: a revision is a deploy of all there is in the logs.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from cachelog.contract.layout import Layout
from cachelog.contract.objects import Object, Told, deploys, instant, parsed, text

NAME = "helm"
SOURCE = "helm/helm cmd/helm/history.go, list.go"
BLIND = "a revision names neither models nor pods, and helm history not its release"
SAMPLES = (
    '{"revision":7,"updated":"2026-11-23T15:16:30.240427431Z","status":"deployed","chart":"scorer-1.4.0",'
    '"app_version":"2.9.1","description":"Upgrade complete"}',
    '{"name":"scorer","namespace":"prod","revision":"7","updated":"2026-11-23 15:16:30.240427431 +0000 UTC",'
    '"status":"deployed","chart":"scorer-1.4.0","app_version":"2.9.1"}',
)
LAYOUTS = (Layout(payload=("",), tells=(("app_version",), ("chart",), ("revision",), ("updated",))),)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a deploy for each revision."""
    return parsed(lines, _revision)


def _revision(one: Object) -> Iterator[Told]:
    release = text(one, "name")
    said = f"Helm{f' release {release}' if release else ''} revision {text(one, 'revision')}, {text(one, 'chart')}"
    for name, word in (("app_version", "app version "), ("description", ""), ("status", "")):
        said += f", {word}{text(one, name)}" if text(one, name) else ""
    return deploys(instant(one, "updated"), said, text(one, "chart"))
