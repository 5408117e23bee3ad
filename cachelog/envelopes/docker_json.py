r"""Docker's json-file log driver: {"log":"TEXT\n","stream":"stdout","time":"..."} a line.

Docker cuts a line longer than 16 KiB into pieces; all but the last have no newline at the end of `log`. What a process
leaves unended when it dies has none either, and must not swallow the first line of the next process; files that
were written again without their newlines have none at all. The container is in the path, its name in config.v2.json
beside the log.
"""

from __future__ import annotations

import json
import os
import re

import polars as pl

from cachelog.contract.layout import Layout

NAME = "docker_json"
SOURCE = "moby/daemon/logger/jsonfilelog; the size of pieces: moby/daemon/logger/copier.go"
BLIND = "the container is named by the path alone: copied elsewhere, replicas are the names of the files"
SAMPLES = (
    r'{"log":"2026-11-23 15:16:30,388 INFO uvicorn.error: ready\n","stream":"stdout","time":"2026-11-23T15:16:30.38Z"}',
    '{"log":"a piece","stream":"stderr","attrs":{"tag":"x"},"time":"2026-11-23T15:16:30.388527154Z"}',
    r'{"log": "{\"event\": \"ready\"}\r\n", "stream": "stdout", "time": "2026-11-23T15:16:30.388527154Z"}',
)

LAYOUTS = (
    Layout(
        payload=("log",),
        time=("time",),
        stream=("stream",),
        tells=(("stream",), ("log",), ("time",)),
        unless=("kubernetes", "docker", "date", "@timestamp", "tag"),
        loose=True,
    ),
)

_PIECE = 16 << 10  # bytes after which Docker cuts
_LOG = rb'^\{"log": ?"(?:[^"\\]|\\.)*'

#: Lines that the next line of their stream goes on with; the group is the stream.
OPEN = re.compile(_LOG + rb'(?<!\\n)", ?"stream": ?"(stdout|stderr)"')
#: Any line of this kind, with its stream.
STREAM = re.compile(_LOG + rb'", ?"stream": ?"(stdout|stderr)"')

_CONTAINER = re.compile(r"(?:^|[/\\])([0-9a-f]{64})-json\.log")
_BY_KUBELET = re.compile(r"^k8s_[^_]+_([^_]+)_")  # dockershim: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT


def partial(lines: pl.DataFrame) -> pl.Series:
    """Return which lines (text, env_time, ended) go on: no newline, and long or within a second of the line after."""
    ended, second = lines["ended"], lines["env_time"].str.slice(0, 19)
    soon = (second == second.shift(-1)).fill_null(False) if ended.any() else pl.repeat(False, len(ended), eager=True)
    return ~ended & ((lines["text"].str.len_bytes() >= _PIECE) | soon)


def locus(path: str) -> str | None:
    """Return the name of the container, else its short id, for a path below /var/lib/docker/containers."""
    found = _CONTAINER.search(path)
    return _name(os.path.dirname(path)) or found[1][:12] if found else None


def _name(folder: str) -> str | None:
    """Read the name that config.v2.json beside the log gives."""
    try:
        with open(os.path.join(folder, "config.v2.json"), "rb") as config:
            described = json.loads(config.read(1 << 20))
        name = str(described["Name"]).removeprefix("/")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    pod = _BY_KUBELET.match(name)
    return pod[1] if pod else name or None
