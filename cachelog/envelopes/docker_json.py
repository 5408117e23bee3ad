r"""Docker's json-file log driver: {"log":"TEXT\n","stream":"stdout","time":"..."} a line.

Docker cuts a line longer than 16 KiB into pieces; all but the last have no newline at the end of `log`. What a process
leaves unended when it dies has none either, and must not swallow the first line of the next process; files that
were written again without their newlines have none at all. The container is in the path, its name in config.v2.json
beside the log. Format: moby/daemon/logger/jsonfilelog, the size of pieces: moby/daemon/logger/copier.go.
"""

from __future__ import annotations

import json
import os
import re

import polars as pl

from cachelog.contract.quoting import unescape

NAME = "docker_json"
SOURCE = "moby/daemon/logger/jsonfilelog; moby/daemon/logger/copier.go"
BLIND: str | None = None
SAMPLES = (
    r'{"log":"2026-11-23 15:16:30,388 INFO uvicorn.error: ready\n","stream":"stdout","time":"2026-11-23T15:16:30.38Z"}',
    '{"log":"a piece","stream":"stderr","attrs":{"tag":"x"},"time":"2026-11-23T15:16:30.388527154Z"}',
    r'{"log": "{\"event\": \"ready\"}\r\n", "stream": "stdout", "time": "2026-11-23T15:16:30.388527154Z"}',
)

_PIECE = 16 << 10  # bytes after which Docker cuts
_TEXT = r'(?:[^"\\]|\\.)*'
_TAIL = r', ?"stream": ?"(stdout|stderr)"(?:, ?"attrs": ?\{.*\})?, ?"time": ?"([0-9T:.Z+-]+)"\}$'
_LINE = rf'(?s)^\{{"log": ?"({_TEXT})"{_TAIL}'
SHAPE = r'^\{"log":'
_LOG = rb'^\{"log": ?"(?:[^"\\]|\\.)*'

#: In every line of this kind, which is JSON itself: claims must come before the scanner of JSON lines.
MARK = b'"stream":'
#: Lines that the next line of their stream goes on with; the group is the stream.
OPEN = re.compile(_LOG + rb'(?<!\\n)", ?"stream": ?"(stdout|stderr)"')
#: Any line of this kind, with its stream.
STREAM = re.compile(_LOG + rb'", ?"stream": ?"(stdout|stderr)"')

_CONTAINER = re.compile(r"(?:^|[/\\])([0-9a-f]{64})-json\.log")
_BY_KUBELET = re.compile(r"^k8s_[^_]+_([^_]+)_")  # dockershim: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is an object of log, stream and time, in Docker's order."""
    return text.str.starts_with('{"log":') & text.str.contains(_LINE)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; the container is not in the line, see `locus`."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["text", "stream", "env_time"])
    cut = lines.select("row").hstack(groups.struct.unnest())
    text = unescape(cut["text"])
    return cut.select(
        "row",
        text.str.strip_suffix("\n").alias("text"),
        "env_time",
        pl.lit(None, pl.String).alias("env_replica"),
        "stream",
        partial=_partial(text, cut["env_time"]),
    )


def _partial(text: pl.Series, time: pl.Series) -> pl.Series:
    """Return which lines go on: without a newline and long, or within a second of the line after."""
    ended = text.str.ends_with("\n")
    second = time.str.slice(0, 19)
    soon = (second == second.shift(-1)).fill_null(False) if ended.any() else pl.repeat(False, len(text), eager=True)
    return ~ended & ((text.str.len_bytes() >= _PIECE) | soon)


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
