"""Argo CD: the history of an Application (`argocd app get APP -o json`, `kubectl get applications -o json`).

Events of Argo CD and of Argo Rollouts are events of Kubernetes, and read there.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from cachelog.contract.layout import Layout
from cachelog.contract.objects import Object, Told, at, deploys, instant, items, parsed, text

NAME = "argo"
SOURCE = "argoproj/argo-cd pkg/apis/application/v1alpha1/types.go: RevisionHistory"
BLIND = "a revision of the repository, not of a model, unless a Helm parameter or label names model and version"
SAMPLES = (
    '{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"scorer","namespace":"argocd"},'
    '"spec":{"destination":{"namespace":"prod","server":"https://kubernetes.default.svc"},"project":"default"},'
    '"status":{"history":[{"deployedAt":"2026-11-23T15:16:30Z","deployStartedAt":"2026-11-23T15:16:27Z","id":6,'
    '"initiatedBy":{"username":"ada"},"revision":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4",'
    '"source":{"path":"scorer","repoURL":"https://git.example.com/deploy.git","targetRevision":"HEAD"}}]}}',
)
LAYOUTS = (
    Layout(
        payload=("",),
        tells=(
            ("spec.project",),
            ("spec.destination.namespace", "spec.destination.server", "spec.destination.name"),
            ("metadata.name",),
        ),
    ),
)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a deploy for each entry of a history."""
    return parsed(lines, _application)


def _application(one: Object) -> Iterator[Told]:
    labels = at(one, "metadata.labels")
    for entry in items(one, "status.history"):
        revision = text(entry, "revision")
        said = f"Argo CD application {text(one, 'metadata.name')}, revision {revision or 'unknown'}"
        if images := _images(entry):
            said += f", {', '.join(images)}"
        named = [_parameters(entry), *([labels] if isinstance(labels, dict) else [])]
        yield from deploys(instant(entry, "deployStartedAt", "deployedAt"), said, revision, named)


def _images(one: Object) -> list[str]:
    found = at(one, "source.kustomize.images")
    return [str(image) for image in found if isinstance(image, str)] if isinstance(found, list) else []


def _parameters(one: Object) -> Object:
    """Return Helm's parameters by the last part of their names."""
    return {
        name.rpartition(".")[2]: value
        for item in items(one, "source.helm.parameters")
        if (name := text(item, "name")) and (value := text(item, "value"))
    }
