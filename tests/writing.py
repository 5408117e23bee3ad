"""Writes simulated runs as logs: the lines that applications, pods, Triton and nginx write."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests.simulate import EXPIRED, HIT, MISS, STALE, Change, Events, Simulated

_EDGES = 97  # every so many requests one goes round the cache, and one is no request for a model
_NOISE = 211  # every so many lookups an application says something else


class Row(NamedTuple):
    """One logged lookup, with names for its indices."""

    stamp: int
    replica: str
    model: str
    version: str
    key: str
    outcome: int
    seconds: float


class _Line(NamedTuple):
    written: int
    path: str
    text: str


@dataclass(frozen=True)
class Style:
    """How a kind of application writes: one line a lookup, lines for a change, and the file for a replica."""

    lookup: Callable[[Row], str]
    change: Callable[[Change], str]
    path: Callable[[str], str]
    noise: Callable[[Row], str]


def write(simulated: Simulated, folder: Path, dialect: str) -> None:
    """Write the logs of a run under `folder`: structlog, zap, logfmt, text, cri, triton or nginx.

    Files get the time of their last line as their own, as the logs of a running service have it.
    """
    files: dict[str, list[_Line]] = {}
    for line in _WRITERS[dialect](simulated.events):
        files.setdefault(line.path, []).append(line)
    for name, lines in sorted(files.items()):
        lines.sort(key=lambda line: line.written)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line.text + "\n" for line in lines), encoding="utf-8", newline="\n")
        os.utime(path, (lines[-1].written / 1e6, lines[-1].written / 1e6))


def rows(events: Events) -> Iterator[tuple[int, Row]]:
    """Yield (when it was written, lookup), in order of writing."""
    scenario, at = events.scenario, events.lookups
    columns = (at.written, at.stamp, at.replica, at.model, at.version, at.key, at.outcome, at.seconds)
    for written, stamp, replica, model, version, key, outcome, seconds in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        traffic = scenario.traffic[model]
        name = scenario.replicas[replica]
        yield written, Row(stamp, name, traffic.model, traffic.versions[version], f"{key:x}", outcome, seconds)


@functools.lru_cache(maxsize=8)
def _second(second: int, form: str) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(form)


def _iso(stamp: int, digits: int = 6, form: str = "%Y-%m-%dT%H:%M:%S") -> str:
    second, micros = divmod(stamp, 1_000_000)
    return f"{_second(second, form)}.{micros:06d}"[: 20 + digits]


def _applications(style: Style, events: Events) -> Iterator[_Line]:
    for i, (written, row) in enumerate(rows(events)):
        yield _Line(written, style.path(row.replica), style.lookup(row))
        if i % _NOISE == _NOISE - 1:
            yield _Line(written, style.path(row.replica), style.noise(row))
    for change in events.changes:
        yield _Line(change.written, style.path(change.replica), style.change(change))


def _word(outcome: int) -> str:
    return {HIT: "hit", MISS: "miss", STALE: "stale", EXPIRED: "miss"}[outcome]


# -- structlog: one JSON object a line, all replicas in one stream ----------------------------------

_STRUCTLOG_EVENTS = {
    "load_start": "loading_model",
    "load": "model_load_finished",
    "load_fail": "model_load_failed",
    "unload": "model_unloaded",
    "restart": "service_starting",
    "rollout": "rollout_requested",
    "evict": "entry_evicted",
    "model_evict": "model_evicted",
    "model_miss": "model_cache",
}


def _structlog(stamp: int, replica: str, event: str, level: str = "info", **fields: object) -> str:
    head = {"timestamp": _iso(stamp) + "Z", "level": level, "logger": "serving.results", "instance": replica}
    said = {name: value for name, value in (head | {"event": event} | fields).items() if value not in ("", None)}
    return json.dumps(said)


def _structlog_lookup(row: Row) -> str:
    return _structlog(
        row.stamp, row.replica, "result_cache", cache_status=_word(row.outcome), model=row.model,
        model_version=row.version, cache_key=row.key, duration_ms=round(row.seconds * 1000, 2),
    )  # fmt: skip


def _structlog_change(change: Change) -> str:
    level = "error" if change.op == "load_fail" else "info"
    fields: dict[str, object] = {"model": change.model, "error": change.reason if change.op == "load_fail" else ""}
    if change.op == "rollout":
        fields |= {"from_version": change.old, "to_version": change.version, "reason": change.reason}
    else:
        fields |= {"model_version": change.version}
    if change.op == "load" and change.seconds:
        fields |= {"duration_ms": round(change.seconds * 1000, 1)}
    fields |= {"model_digest": change.digest}
    if change.op == "evict":
        fields |= {"cache_key": f"{change.key:x}"}
    if change.op == "model_miss":
        fields |= {"cache_status": "miss"}
    return _structlog(change.stamp, change.replica, _STRUCTLOG_EVENTS[change.op], level, **fields)


def _structlog_noise(row: Row) -> str:
    return _structlog(row.stamp, row.replica, "http_request", method="GET", route="/ready", code=200)


STRUCTLOG = Style(_structlog_lookup, _structlog_change, lambda replica: "serving.jsonl", _structlog_noise)


# -- CRI: the same objects without the instance, in the kubelet's folders ---------------------------


def _pod_path(replica: str) -> str:
    pod = replica or "model-deployer-0"
    code = hashlib.sha256(pod.encode()).hexdigest()
    uid = f"{code[:8]}-{code[8:12]}-4{code[13:16]}-8{code[17:20]}-{code[20:32]}"
    return f"pods/inference_{pod}_{uid}/app/0.log"


def _cri(stamp: int, text: str) -> str:
    return f"{_iso(stamp)}417Z stdout F {text}"


CRI = Style(
    lambda row: _cri(row.stamp, _structlog_lookup(row._replace(replica=""))),
    lambda change: _cri(change.stamp, _structlog_change(replace(change, replica=""))),
    _pod_path,
    lambda row: _cri(row.stamp, _structlog_noise(row._replace(replica=""))),
)


# -- zap: one file a replica, which is named by the file only ---------------------------------------

_ZAP_MESSAGES = {
    "load_start": "loading model",
    "load": "loaded model",
    "load_fail": "could not load model",
    "unload": "unloaded model",
    "restart": "starting up",
    "rollout": "deploying model version",
    "evict": "evicted entry",
    "model_evict": "evicted model",
    "model_miss": "model cache miss",
}


def _zap(stamp: int, message: str, level: str = "info", **fields: object) -> str:
    said = {name: value for name, value in fields.items() if value not in ("", None)}
    head = {"level": level, "ts": stamp / 1e6, "msg": message}
    return json.dumps(head | said, separators=(",", ":"))


def _zap_lookup(row: Row) -> str:
    return _zap(
        row.stamp, f"result cache {_word(row.outcome)}", model=row.model, version=row.version, key=row.key,
        took_ms=round(row.seconds * 1000, 2),
    )  # fmt: skip


def _zap_change(change: Change) -> str:
    failed = change.op == "load_fail"
    fields: dict[str, object] = {"model": change.model, "version": change.version}
    if change.op == "rollout":
        fields |= {"from": change.old, "to": change.version, "reason": change.reason}
    if change.op == "load" and change.seconds:
        fields |= {"took_ms": round(change.seconds * 1000, 1)}
    fields |= {"digest": change.digest}
    if change.op == "evict":
        fields |= {"key": f"{change.key:x}"}
    if failed:
        fields |= {"error": change.reason}
    return _zap(change.stamp, _ZAP_MESSAGES[change.op], "error" if failed else "info", **fields)


ZAP = Style(
    _zap_lookup,
    _zap_change,
    lambda replica: f"{replica or 'deployer'}.log",
    lambda row: _zap(row.stamp, "request done", path="/metrics", status=200),
)


# -- logfmt: one stream, short names ----------------------------------------------------------------


def _logfmt(stamp: int, level: str, message: str, **fields: object) -> str:
    pairs = "".join(f" {name}={_quoted(str(value))}" for name, value in fields.items() if value != "")
    return f't={_iso(stamp, 3)}Z lvl={level} msg="{message}"{pairs}'


def _quoted(text: str) -> str:
    return json.dumps(text) if " " in text or '"' in text else text


def _logfmt_lookup(row: Row) -> str:
    return _logfmt(
        row.stamp, "info", f"{_word(row.outcome)} in result cache", replica=row.replica, model=row.model,
        version=row.version, key=row.key, took=f"{row.seconds * 1000:.2f}ms",
    )  # fmt: skip


def _logfmt_change(change: Change) -> str:
    fields: dict[str, object] = {"replica": change.replica, "model": change.model, "version": change.version}
    level = "error" if change.op == "load_fail" else "info"
    if change.op == "rollout":
        fields |= {"old_version": change.old, "reason": change.reason}
    if change.op == "load" and change.seconds:
        fields |= {"took": f"{change.seconds:.3f}s"}
    fields |= {"digest": change.digest}
    if change.op == "evict":
        fields |= {"key": f"{change.key:x}"}
    if level == "error":
        fields |= {"err": change.reason}
    return _logfmt(change.stamp, level, _ZAP_MESSAGES[change.op], **fields)


LOGFMT = Style(
    _logfmt_lookup,
    _logfmt_change,
    lambda replica: "serving.log",
    lambda row: _logfmt(row.stamp, "debug", "scraped metrics", replica=row.replica, took="3ms"),
)


# -- text: Python's logging with key=value in the message, one file a replica -----------------------

_TEXT_MESSAGES = {
    "load_start": "Loading model",
    "load": "Loaded model",
    "load_fail": "Failed to load model",
    "unload": "Unloaded model",
    "restart": "Service starting",
    "rollout": "Rollout requested",
    "evict": "Evicted entry",
    "model_evict": "Evicted model",
    "model_miss": "Model cache miss",
}


def _text(stamp: int, level: str, logger: str, message: str) -> str:
    time = _iso(stamp, 3, "%Y-%m-%d %H:%M:%S").replace(".", ",")
    return f"{time} {level:<7} {logger}: {message}"


def _text_lookup(row: Row) -> str:
    said = f"model={row.model} version={row.version} key={row.model}/{row.version}/{row.key}"
    message = f"Result cache {_word(row.outcome)} {said} took_ms={row.seconds * 1000:.2f}"
    return _text(row.stamp, "INFO", "serving.results", message)


def _text_change(change: Change) -> str:
    said = f"{_TEXT_MESSAGES[change.op]} model={change.model} version={change.version}"
    if change.op == "restart":
        said = f"{_TEXT_MESSAGES[change.op]} pid=1 python=3.12.4"
    if change.op == "rollout":
        said += f" old_version={change.old} reason={change.reason}"
    if change.op == "load" and change.seconds:
        said += f" took_ms={change.seconds * 1000:.1f}"
    if change.digest:
        said += f" digest={change.digest}"
    if change.op == "evict":
        said += f" key={change.model}/{change.version}/{change.key:x}"
    if change.op == "load_fail":
        said += f" error={_quoted(change.reason)}"
    return _text(change.stamp, "ERROR" if change.op == "load_fail" else "INFO", "serving.loader", said)


TEXT = Style(
    _text_lookup,
    _text_change,
    lambda replica: f"{replica or 'deployer'}.log",
    lambda row: _text(row.stamp, "WARNING", "urllib3.connectionpool", "Connection pool is full, discarding connection"),
)


# -- Triton 2.51: loads only; glog without a year, quoted messages ----------------------------------

_TABLES = (
    ("server.cc:604", ("Repository Agent", "Path")),
    ("server.cc:631", ("Backend", "Path", "Config")),
    ("server.cc:674", ("Model", "Version", "Status")),
)

_OPTIONS = (
    ("Option", "Value"),
    ("server_id", "triton"),
    ("server_version", "2.51.0"),
    ("model_repository_path[0]", "/models"),
    ("model_control_mode", "MODE_POLL"),
    ("cache_enabled", "1"),
)
_STARTED = (
    ("grpc_server.cc:2558", "Started GRPCInferenceService at 0.0.0.0:8001"),
    ("http_server.cc:4713", "Started HTTPService at 0.0.0.0:8000"),
    ("http_server.cc:362", "Started Metrics Service at 0.0.0.0:8002"),
)


def _glog(stamp: int, place: str, message: str, level: str = "I") -> str:
    second, micros = divmod(stamp, 1_000_000)
    text = json.dumps(message, ensure_ascii=False) if message else ""
    return f"{level}{_second(second, '%m%d %H:%M:%S')}.{micros:06d} 1 {place}] {text}"


def _triton(events: Events) -> Iterator[_Line]:
    for replica in events.scenario.replicas:
        held: dict[str, str] = {}
        mine = [change for change in events.changes if change.replica == replica]
        for change in mine:
            for written, text in _triton_change(change, held):
                yield _Line(written, f"{replica}.log", text)


def _triton_change(change: Change, held: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Yield (when, line); `held` is what the server has loaded, which it lists when it ends."""
    at, name, version = change.stamp, change.model, change.version
    if change.op == "restart":
        yield from _triton_end(at - 6_000_000, held)
        yield from _triton_start(at)
        held.clear()
    elif change.op == "load_start":
        yield at, _glog(at, "model_lifecycle.cc:472", f"loading: {name}:{version}")
    elif change.op == "load":
        held[name] = version
        made, done = at - 94_217, at - 1_363
        place = f"TRITONBACKEND_ModelInstanceInitialize: {name}_0_0 (CPU device 0)"
        yield made, _glog(made, "python_be.cc:2249", place)
        yield done, _glog(done, "model.py:11", f"{name} version {version} is up")
        yield at, _glog(at, "model_lifecycle.cc:839", f"successfully loaded '{name}'")
    elif change.op == "unload":
        yield at, _glog(at, "model_lifecycle.cc:624", f"successfully unloaded '{name}' version {version}")
    elif change.op == "load_fail":
        text = f"failed to load '{name}' version {version}: {change.reason}"
        yield at, _glog(at, "model_lifecycle.cc:642", text, "E")
        yield at + 30, _glog(at + 30, "model_lifecycle.cc:777", f"failed to load '{name}'")


def _triton_start(at: int) -> Iterator[tuple[int, str]]:
    config = '{"size":"16777216"}'
    cache = "/opt/tritonserver/caches/local/libtritoncache_local.so"
    made = f"Creating TritonCache with name: 'local', libpath: '{cache}', cache_config: '{config}'"
    yield at, _glog(at, "cache_manager.cc:174", made)
    pinned = "Pinned memory pool is created at '0x7f1c08000000' with size 268435456"
    yield at + 611, _glog(at + 611, "pinned_memory_manager.cc:277", pinned)
    yield at + 640, _glog(at + 640, "cuda_memory_manager.cc:117", "CUDA memory pool disabled")
    for i, (place, columns) in enumerate(_TABLES):
        when = at + 790 + 13 * i
        yield when, _glog(when, place, "") + "\n" + _table([columns])
    yield at + 8_300, _glog(at + 8_300, "metrics.cc:770", "Collecting CPU metrics")
    yield at + 8_400, _glog(at + 8_400, "tritonserver.cc:2598", "") + "\n" + _table(_OPTIONS)
    for i, (place, text) in enumerate(_STARTED):
        yield at + 15_000 + 300 * i, _glog(at + 15_000 + 300 * i, place, text)


def _table(cells: Sequence[tuple[str, ...]]) -> str:
    """Return a table as Triton prints it, with an empty line after it."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule, ""])


def _triton_end(at: int, held: dict[str, str]) -> Iterator[tuple[int, str]]:
    """A server that is told to stop unloads what it holds; one that never started says nothing."""
    if not held:
        return
    yield at, "Signal (15) received."
    yield at + 100, _glog(at + 100, "server.cc:305", "Waiting for in-flight requests to complete.")
    inflight = "Timeout 30: Found 0 model versions that have in-flight inferences"
    yield at + 140, _glog(at + 140, "server.cc:321", inflight)
    yield at + 300, _glog(at + 300, "server.cc:336", "All models are stopped, unloading models")
    left = f"Timeout 30: Found {len(held)} live models and 0 in-flight non-inference requests"
    yield at + 510, _glog(at + 510, "server.cc:345", left)
    for i, (name, version) in enumerate(sorted(held.items())):
        when = at + 1_120_000 + 61_000 * i
        yield when, _glog(when, "model_lifecycle.cc:624", f"successfully unloaded '{name}' version {version}")


# -- nginx: access logs of edges that pin versions by their configuration, and their error logs -----


def _nginx(events: Events) -> Iterator[_Line]:
    for i, (written, row) in enumerate(rows(events)):
        path = f"{row.replica}/access.log"
        yield _Line(written, path, _access(row, ("HIT", "MISS", "UPDATING", "EXPIRED")[row.outcome]))
        if i % _EDGES == _EDGES - 1:
            yield _Line(written, path, _access(row, "BYPASS"))
            yield _Line(written, path, _probe(row))
    start = int(events.scenario.start.timestamp() * 1e6) - 1_000_000
    for replica in events.scenario.replicas:
        yield from _error_log(events, replica, start)


def _access(row: Row, status: str) -> str:
    waited = status in ("MISS", "EXPIRED", "BYPASS")
    seconds = f"{row.seconds if waited else 0:.3f}"
    upstream = f'"{seconds}"' if waited else '"-"'
    request = f"GET /v1/models/{row.model}:predict?key={row.key} HTTP/1.1"
    return (
        f'10.4.{len(row.key)}.17 - - [{_second(row.stamp // 1_000_000, "%d/%b/%Y:%H:%M:%S")} +0000] "{request}" 200 '
        f'{70 + len(row.key)} "-" "feature-gateway/1.8" rt={seconds} urt={upstream} cache={status} '
        f'upstream_path="/models/{row.model}/versions/{row.version}/predict"'
    )


def _probe(row: Row) -> str:
    time = _second(row.stamp // 1_000_000, "%d/%b/%Y:%H:%M:%S")
    return (
        f'10.4.0.2 - - [{time} +0000] "GET /healthz HTTP/1.1" 200 3 "-" "kube-probe/1.31" rt=0.000 urt="-" cache=- '
        'upstream_path=""'
    )


def _error_log(events: Events, replica: str, start: int) -> Iterator[_Line]:
    """A change of the pinned version is a reload: the master gets a signal and starts another worker."""
    worker = 30
    yield _notice(start, replica, 'using the "epoll" event method')
    yield _notice(start, replica, "nginx/1.22.1")
    yield _notice(start, replica, f"start worker process {worker}")
    for change in events.changes:
        if change.replica == replica and change.op == "load":
            at, worker = change.stamp, worker + 1
            yield _notice(at, replica, "signal 1 (SIGHUP) received from 412, reconfiguring")
            yield _notice(at, replica, "reconfiguring")
            yield _notice(at, replica, f"start worker process {worker}")
            yield _notice(at, replica, f"worker process {worker - 1} exited with code 0")


def _notice(at: int, replica: str, text: str) -> _Line:
    time = _second(at // 1_000_000, "%Y/%m/%d %H:%M:%S")
    return _Line(at, f"{replica}/error.log", f"{time} [notice] 1#1: {text}")


_WRITERS: dict[str, Callable[[Events], Iterator[_Line]]] = {
    "structlog": functools.partial(_applications, STRUCTLOG),
    "zap": functools.partial(_applications, ZAP),
    "logfmt": functools.partial(_applications, LOGFMT),
    "text": functools.partial(_applications, TEXT),
    "cri": functools.partial(_applications, CRI),
    "triton": _triton,
    "nginx": _nginx,
}
