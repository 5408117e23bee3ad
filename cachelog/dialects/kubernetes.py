"""Kubernetes: events, pods, replica sets and what makes them, as `kubectl get ... -o json` prints them.

Events of controllers beside Kubernetes' own are read as well: Argo Rollouts, Argo CD, Flux. A pod tells what it runs
(image, digest, annotations with checksums, ConfigMaps, variables about models) and when its containers started; a
replica set when a new template was deployed, a ConfigMap when it was changed (`--show-managed-fields`). Known sidecars
are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import polars as pl

from cachelog.contract.layout import Layout
from cachelog.contract.limits import DEFAULT
from cachelog.contract.objects import Object, Told, at, deploys, instant, items, parsed, quoted, text, texts
from cachelog.contract.platform import ANY, CHANGED, CONFIG_MAP, DEPLOY, IMAGE, MANIFEST, STARTED, TEMPLATE, TROUBLE

NAME = "kubernetes"
SOURCE = "kubernetes.io/docs/reference/kubernetes-api: Pod, ReplicaSet, Deployment, Event; reasons of events in kubelet"
BLIND = (
    "events are kept for an hour, pods that are gone are not listed, of a container only its last two starts are told, "
    "and no version of a model unless a variable names it"
)
SAMPLES = (
    '{"apiVersion":"v1","kind":"Event","metadata":{"name":"scorer-7d9fd8b6c4-x2k4q.17a","namespace":"prod"},'
    '"involvedObject":{"kind":"Pod","name":"scorer-7d9fd8b6c4-x2k4q","fieldPath":"spec.containers{scorer}"},'
    '"reason":"Started","message":"Started container scorer","type":"Normal","count":1,"source":{"component":'
    '"kubelet"},"firstTimestamp":"2026-11-23T15:16:30Z","lastTimestamp":"2026-11-23T15:16:30Z"}',
    '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"scorer-7d9fd8b6c4-x2k4q","creationTimestamp":'
    '"2026-11-23T15:16:28Z","annotations":{"checksum/config":"9f86d081884c"},"labels":{"pod-template-hash":"7d9fd8b6c4"}},'
    '"spec":{"containers":[{"name":"scorer","image":"registry.example.com/scorer:2.9.1"}]},"status":{"phase":"Running",'
    '"containerStatuses":[{"name":"scorer","restartCount":0,"image":"registry.example.com/scorer:2.9.1","imageID":'
    '"registry.example.com/scorer@sha256:3b1e","state":{"running":{"startedAt":"2026-11-23T15:16:30Z"}}}]}}',
    '{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"scorer-7d9fd8b6c4","creationTimestamp":'
    '"2026-11-23T15:16:27Z","annotations":{"deployment.kubernetes.io/revision":"7"},"ownerReferences":[{"kind":'
    '"Deployment","name":"scorer"}]},"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"scorer","image":'
    '"registry.example.com/scorer:2.9.1"}]}}}}',
)
_NAMED = ("metadata.name", "metadata.uid", "metadata.creationTimestamp")
LAYOUTS = (
    Layout(payload=("",), tells=(("apiVersion",), ("kind",), _NAMED)),
    # of lists that the API itself answers the items have neither
    Layout(payload=("",), tells=(("involvedObject.name", "regarding.name"), ("reason",), _NAMED)),
    Layout(payload=("",), tells=(("status.qosClass", "status.hostIP", "status.podIP"), _NAMED)),
)

#: Containers beside the server: meshes, log shippers, agents; KServe's and Knative's own.
_SIDECARS = re.compile(
    r"istio-|linkerd-|envoy|queue-proxy|fluent|promtail|vector|filebeat|datadog|otel|opentelemetry|vault-agent|"
    r"cloud-sql|cloudsql|config-reloader|git-sync|dapr|jaeger|.*-exporter|.*-sidecar"
)
#: Annotations by which charts and operators make pods new when their configuration is.
_CHECKSUM = re.compile(r"(?i)(?:checksum|config.?hash|hash.?config|config.?version|last-applied-hash)")
_VARIABLE = re.compile(r"(?i)[A-Z0-9_]*MODEL[A-Z0-9_]*(?:VERSION|REVISION|TAG|URI|PATH|DIR|NAME)|STORAGE_URI")
_OWN_CONFIGMAP = "kube-root-ca.crt"  # every pod has it
_PULLED = re.compile(r'image "([^"]+)"')
_NEW_SET = re.compile(r"Scaled up replica set (\S+) (?:from 0 )?to \d+(?: from 0)?$")
_REVISION = "deployment.kubernetes.io/revision"
_HISTORY = "deployment.kubernetes.io/revision-history"
#: Reasons of events that tell of a deploy: Argo Rollouts, Argo CD, Flux.
_DEPLOYS = frozenset(
    (
        "RolloutUpdated", "RolloutCompleted", "RolloutAborted", "OperationStarted", "OperationCompleted",
        "InstallSucceeded", "UpgradeSucceeded", "RollbackSucceeded", "ReconciliationSucceeded",
    )
)  # fmt: skip
_DIGITS = 9  # of a count of events
_WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Rollout")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return what each object tells: starts of containers, manifests of pods, deploys, and trouble."""
    return parsed(lines, _object)


def _object(one: Object) -> Iterator[Told]:
    if at(one, "involvedObject") or at(one, "regarding"):
        return _event(one)
    if text(one, "kind") in (None, "Pod"):
        return _pod(one)
    return _workload(one)


# -- events -----------------------------------------------------------------------------------------------------------


def _event(one: Object) -> Iterator[Told]:
    about = at(one, "involvedObject") or at(one, "regarding")
    kind, name = text(about, "kind"), text(about, "name")
    times = ("series.lastObservedTime", "lastTimestamp", "deprecatedLastTimestamp", "eventTime")
    last = instant(one, *times, "firstTimestamp", "deprecatedFirstTimestamp", "metadata.creationTimestamp")
    if not (kind and name and last):
        return
    if kind == "Pod":
        yield from _of_pod(one, name, text(about, "fieldPath") or "", last)
    else:
        yield from _of_workload(one, kind, name, last)


def _of_pod(one: Object, pod: str, field: str, last: str) -> Iterator[Told]:
    container = field.partition("{")[2].rstrip("}")
    if _SIDECARS.match(container) or field.startswith("spec.initContainers"):
        return
    reason = text(one, "reason")
    said = text(one, "message") or text(one, "note") or reason or ""
    first = instant(one, "firstTimestamp", "deprecatedFirstTimestamp")
    if reason == "Started":
        yield from _started(pod, said, first or last, last, _count(one))
    elif reason == "Pulled" and (image := _PULLED.search(said)):
        yield Told("rollout", last, MANIFEST + IMAGE, pod, image[1])
    elif reason == "Killing" or text(one, "type") == "Warning":
        yield Told("rollout", last, TROUBLE + quoted(f"{reason}: {said}"), pod)


def _count(one: Object) -> str | None:
    return text(one, "series.count") or text(one, "count") or text(one, "deprecatedCount")


def _started(pod: str, said: str, first: str, last: str, count: str | None) -> Iterator[Told]:
    """Yield the starts of an event: one at its first time, and at its last all others up to then, if that is near."""
    many = int(count) if count and count.isdecimal() and len(count) < _DIGITS else 1
    yield Told("restart", first, TROUBLE + quoted(said), pod)
    if many > 1 and last != first:
        took = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
        near = 0 < took <= DEFAULT.restart_s
        yield Told("restart", last, TROUBLE + quoted(f"{said} ({many} times)"), pod, n=many - 1 if near else 1)


def _of_workload(one: Object, kind: str, name: str, last: str) -> Iterator[Told]:
    reason, said = text(one, "reason") or "", text(one, "message") or text(one, "note") or ""
    pods = _pods_of(kind, name)
    grown = _NEW_SET.match(said) if reason == "ScalingReplicaSet" else None
    if grown or reason in _DEPLOYS:
        what = f"{kind} {name}: {said if grown else f'{reason}: {said}'}"
        yield from deploys(last, what, grown[1] if grown else None, replica=pods)
    elif text(one, "type") == "Warning" and pods:
        yield Told("rollout", last, TROUBLE + quoted(f"{kind} {name}: {reason}: {said}"), pods)


def _pods_of(kind: str, name: str) -> str | None:
    """Return the pods of a workload; None where its name tells nothing of theirs."""
    return name + ANY if kind in _WORKLOADS else None


# -- pods -------------------------------------------------------------------------------------------------------------


def _pod(pod: Object) -> Iterator[Told]:
    name, created = text(pod, "metadata.name"), instant(pod, "metadata.creationTimestamp")
    if not name or not created:
        return
    known: dict[tuple[str, str], str | None] = {}
    for kind, value, digest in _manifest(pod):
        known.setdefault((kind, value), digest)
    for (kind, value), digest in known.items():
        yield Told("rollout", created, f"{MANIFEST}{kind}", name, quoted(value), digest)
    for status in _main(items(pod, "status.containerStatuses")):
        yield from _starts(name, status)
        yield from _waiting(pod, name, status, created)
    running = (instant(s, "state.running.startedAt") for s in _main(items(pod, "status.containerStatuses")))
    if since := max(filter(None, running), default=None):
        yield Told("rollout", since, MANIFEST + STARTED, name, since)
    for condition in items(pod, "status.conditions"):
        time = instant(condition, "lastTransitionTime")
        if time and text(condition, "type") == "PodScheduled" and text(condition, "reason") == "Unschedulable":
            yield Told("rollout", time, TROUBLE + quoted(f"Unschedulable: {text(condition, 'message')}"), name)


def _main(containers: list[Object]) -> list[Object]:
    """Return the containers that are no known sidecars."""
    return [c for c in containers if not _SIDECARS.match(text(c, "name") or "")]


def _manifest(pod: Object) -> Iterator[tuple[str, str, str | None]]:
    """Yield what a pod runs: the part of the manifest, its value, and the digest of an image."""
    for container in _main(items(pod, "spec.containers")):
        yield from _image(pod, container)
        for variable in items(container, "env"):
            named, value = text(variable, "name"), text(variable, "value")
            if named and value and _VARIABLE.fullmatch(named):
                yield named, value, None
    for key, value in sorted(texts(pod, "metadata.annotations").items()):
        if _CHECKSUM.search(key):
            yield quoted(key), value, None
    for name in _config_maps(pod):
        yield CONFIG_MAP, name, None
    labels = texts(pod, "metadata.labels")
    for key in ("pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash"):
        if key in labels:
            yield TEMPLATE, labels[key], None


def _image(pod: Object, container: Object) -> Iterator[tuple[str, str, str | None]]:
    image, name = text(container, "image"), text(container, "name")
    if image:
        status = next((s for s in items(pod, "status.containerStatuses") if text(s, "name") == name), {})
        yield IMAGE, image, (text(status, "imageID") or "").rpartition("@")[2] or None


def _config_maps(pod: Object) -> list[str]:
    found = {text(volume, "configMap.name") for volume in items(pod, "spec.volumes")}
    for volume in items(pod, "spec.volumes"):
        found |= {text(source, "configMap.name") for source in items(volume, "projected.sources")}
    for container in _main(items(pod, "spec.containers")):
        found |= {text(source, "configMapRef.name") for source in items(container, "envFrom")}
        found |= {text(variable, "valueFrom.configMapKeyRef.name") for variable in items(container, "env")}
    return sorted(name for name in found if name and name != _OWN_CONFIGMAP)


def _starts(pod: str, status: Object) -> Iterator[Told]:
    """Yield when the container started, and when it did before."""
    for state in ("lastState.terminated", "state.terminated", "state.running"):
        if time := instant(status, f"{state}.startedAt"):
            why = text(status, "lastState.terminated.reason") if state != "lastState.terminated" else None
            code = text(status, "lastState.terminated.exitCode")
            said = f"started container {text(status, 'name')}"
            said += f" after {why} (exit code {code}), restarts: {text(status, 'restartCount')}" if why else ""
            yield Told("restart", time, TROUBLE + quoted(said), pod)


def _waiting(pod: Object, name: str, status: Object, created: str) -> Iterator[Told]:
    """Yield why a container does not run: since its pod is not ready, for the state itself has no time."""
    reason = text(status, "state.waiting.reason")
    if reason in (None, "ContainerCreating", "PodInitializing"):
        return
    ready = [c for c in items(pod, "status.conditions") if text(c, "type") == "ContainersReady"]
    since = next((time for c in ready if (time := instant(c, "lastTransitionTime"))), created)
    said = f"{reason}: {text(status, 'state.waiting.message') or ''}"
    yield Told("rollout", since, TROUBLE + quoted(said.rstrip(": ")), name)


# -- what makes pods --------------------------------------------------------------------------------------------------


def _workload(one: Object) -> Iterator[Told]:
    kind, name = text(one, "kind") or "", text(one, "metadata.name")
    if name and kind == CONFIG_MAP:
        yield from _config_map(one, name)
    if not name or kind not in _WORKLOADS:
        return
    if kind == "ReplicaSet":
        yield from _replica_set(one, name)
    for condition in items(one, "status.conditions"):
        time, reason = instant(condition, "lastUpdateTime", "lastTransitionTime"), text(condition, "reason")
        what = f"{kind} {name}: {text(condition, 'message') or reason}"
        if not time or text(condition, "type") != "Progressing":
            continue
        if reason in ("ProgressDeadlineExceeded", "RolloutAborted"):
            yield Told("rollout", time, TROUBLE + quoted(what), name + ANY)
        elif reason == "NewReplicaSetAvailable":
            yield Told("rollout", time, DEPLOY + quoted(what), name + ANY)


def _config_map(one: Object, name: str) -> Iterator[Told]:
    """Yield when it was changed last; what names model and version asks for it."""
    times = [instant(field, "time") for field in items(one, "metadata.managedFields")]
    changed = max(filter(None, (*times, instant(one, "metadata.creationTimestamp"))), default=None)
    if name == _OWN_CONFIGMAP or changed is None:
        return
    yield Told("rollout", changed, MANIFEST + CHANGED, None, name)
    told = list(deploys(changed, f"ConfigMap {name} changed", name, [texts(one, "data")]))
    yield from told if told[1:] else ()


def _replica_set(one: Object, name: str) -> Iterator[Told]:
    """Yield the deploy of a new template. A later one of the same template has left no time."""
    owner = next((o for o in items(one, "metadata.ownerReferences") if text(o, "kind") in _WORKLOADS), {})
    notes = texts(one, "metadata.annotations")
    revision = notes.get(_HISTORY, "").split(",")[0] or notes.get(_REVISION) or text(one, "metadata.name")
    containers = _main(items(one, "spec.template.spec.containers"))
    images = ", ".join(image for c in containers if (image := text(c, "image")))
    whose = text(owner, "name") or name
    what = f"{text(owner, 'kind') or 'ReplicaSet'} {whose}: revision {revision}" + (f", {images}" if images else "")
    variables = [{text(v, "name") or "": text(v, "value") for v in items(c, "env")} for c in containers]
    yield from deploys(instant(one, "metadata.creationTimestamp"), what, revision, variables, whose + ANY)
