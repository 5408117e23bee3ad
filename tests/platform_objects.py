"""Objects of Kubernetes as the API gives them, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence


def pod(name: str, created: str, *, config: str, image: str = "reg/search:2", **more: object) -> dict[str, object]:
    """Return a pod with a ConfigMap whose name ends in a hash, as kustomize names them, and a mesh beside the server."""
    containers = [{"name": "search", "image": image}, {"name": "istio-proxy", "image": "istio/proxyv2:1.24"}]
    volumes = [{"name": "c", "configMap": {"name": config}}, {"name": "t", "configMap": {"name": "kube-root-ca.crt"}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "creationTimestamp": created, "labels": {"pod-template-hash": name.split("-")[1]}},
        "spec": {"containers": containers, "volumes": volumes},
        "status": {"phase": "Running", "containerStatuses": [status("search", created), status("istio-proxy", created)]}
        | more,
    }


def status(container: str, started: str, **more: object) -> dict[str, object]:
    """Return the status of a container that runs."""
    return {"name": container, "restartCount": 0, "state": {"running": {"startedAt": started}}} | more


def event(kind: str, name: str, reason: str, message: str, at: str, **more: object) -> dict[str, object]:
    """Return an event, a warning unless more says another type."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.17e", "namespace": "prod"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "prod"},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "firstTimestamp": at,
        "lastTimestamp": at,
    } | more


def listed(items: Sequence[object]) -> str:
    """Return a list as kubectl prints it."""
    return json.dumps({"apiVersion": "v1", "items": list(items), "kind": "List"}, indent=4) + "\n"
