"""How the day is written: JSON of fixed, mixed and shuffled keys, logfmt, Triton's verbose log, nginx's access log.

A template is a line with names of columns in angle brackets: `pod=<pod>`. Every function returns the parts of
bench/fleet.py with a column `text`, in order of time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from bench.fleet import START

Pairs = tuple[tuple[str, str], ...]

_HEAD: Pairs = (("ts", '"<ts>"'), ("level", '"info"'), ("service", '"edge-inference"'), ("pod", '"<pod>"'))
_OF_MODEL: Pairs = (("model", '"<model>"'), ("version", '"<version>"'))
_TRACED: Pairs = (("trace_id", '"<trace>"'), ("region", '"<region>"'))
_FIXED: Mapping[str, Pairs] = {
    "lookup": (
        *_HEAD, ("event", '"cache.lookup"'), *_OF_MODEL, ("cache", '"<cache>"'), ("key", '"<key>"'),
        ("latency_ms", "<ms>"), *_TRACED, ("msg", '"looked up result of inference"'),
    ),
    "request": (
        *_HEAD, ("event", '"http.request"'), ("method", '"POST"'), ("path", '"/v1/models/<model>:predict"'),
        ("status", "200"), ("bytes", "<bytes>"), ("duration_ms", "<ms>"), *_TRACED, ("msg", '"handled request"'),
    ),
    "load": (*_HEAD, ("event", '"model.load"'), *_OF_MODEL, ("load_ms", "<ms>"), ("msg", '"model loaded"')),
    "evict": (*_HEAD, ("event", '"cache.evict"'), *_OF_MODEL, ("key", '"<key>"'), ("reason", '"lru"')),
}  # fmt: skip
#: Every kind of event has keys of its own before, between and behind those that count.
_MIXED: Mapping[str, tuple[Pairs, ...]] = {
    "lookup": (
        _FIXED["lookup"],
        (
            *_TRACED, ("event", '"cache.lookup"'), ("tenant", '"retail"'), ("cache", '"<cache>"'), *_OF_MODEL,
            ("key", '"<key>"'), ("features", "<bytes>"), ("latency_ms", "<ms>"), *_HEAD,
        ),
    ),
    "request": (
        _FIXED["request"],
        (
            *_HEAD, ("event", '"grpc.request"'), ("rpc", '"Predict"'), ("code", '"OK"'), ("bytes", "<bytes>"),
            ("peer", '"10.3.0.7:4242"'), *_TRACED,
        ),
        (("ts", '"<ts>"'), ("event", '"queue.depth"'), ("depth", "<bytes>"), ("pod", '"<pod>"'), ("wait_ms", "<ms>")),
        (*_HEAD, ("event", '"gc.pause"'), ("generation", "2"), ("pause_ms", "<ms>"), ("heap", "<bytes>")),
        (
            ("logger", '"features.client"'), *_HEAD, ("event", '"feature.fetch"'), ("table", '"users"'),
            ("columns", "17"), ("bytes", "<bytes>"), ("elapsed_ms", "<ms>"), *_TRACED,
        ),
    ),
    "load": (_FIXED["load"],),
    "evict": (_FIXED["evict"],),
}  # fmt: skip
_NESTED: Pairs = (("http", '{"req":{"path":"/v1/x","status":200},"tags":["a","b"]}'),)
_ORDERS = 40

#: What Triton prints with --log-verbose=2, one request through: http_server.cc, infer_request.cc, infer_response.cc
#: and cache_manager.cc, quoted as since 24.07.
_VERBOSE = (
    'http_server.cc:4623] "HTTP request: 2 /v2/models/<model>/infer"',
    "model_lifecycle.cc:339] \"GetModel() '<model>' version -1\"",
    'infer_request.cc:905] "[request id: <trace>] prepared: [0x0x7f3a5c004d90] request id: <trace>, model: <model>, '
    "requested version: -1, actual version: <version>, flags: 0x0, correlation id: 0, batch size: 1, priority: 0, "
    'timeout (us): 0\\noriginal inputs:\\n[0x0x7f3a5c0051b8] input: INPUT__0, type: FP32, original shape: [1,16]"',
    'cache_manager.cc:207] "Looking up cache key: <key>"',
    'infer_response.cc:174] "add response output: output: OUTPUT__0, type: FP32, shape: [1,2]"',
    "http_server.cc:1259] \"HTTP using buffer for: 'OUTPUT__0', size: 8, addr: 0x7f3a8c0b2e10\"",
    'http_server.cc:1334] "HTTP release: size 8, addr 0x7f3a8c0b2e10"',
)
_LOADING = (
    'model_lifecycle.cc:472] "loading: <model>:<version>"',
    'onnxruntime.cc:2986] "TRITONBACKEND_ModelInitialize: <model> (version <version>)"',
    "model_lifecycle.cc:839] \"successfully loaded '<model>'\"",
)
_NGINX = (
    '10.3.0.7 - - [<clock>] "GET /v1/models/<model>:predict?key=<key> HTTP/1.1" 200 <bytes> "-" '
    '"scoring-client/2.3 (go1.22)" rt=<seconds> urt="<seconds>" cache=<status> '
    'upstream_path="/models/<model>/versions/<version>/predict" hostname=<pod>'
)

_Choice = npt.NDArray[np.integer]


def fixed(frame: pl.DataFrame) -> pl.DataFrame:
    """JSON lines: a kind of event always has the same keys in the same order."""
    return _written(_timed(frame), _kinds(frame, list(_FIXED)), [_json(pairs) for pairs in _FIXED.values()])


def mixed(frame: pl.DataFrame) -> pl.DataFrame:
    """JSON lines of nine shapes, one after the other by chance."""
    random, kinds = _chance(frame), list(_MIXED)
    counts = np.array([len(_MIXED[kind]) for kind in kinds])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    kind = _kinds(frame, kinds)
    shape = first[kind] + random.integers(0, 1 << 30, frame.height) % counts[kind]
    return _written(_timed(frame), shape, [_json(pairs) for shapes in _MIXED.values() for pairs in shapes])


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    """JSON lines: keys in 40 orders a kind, half of the lines with blanks, each with an unknown nested object."""
    orders = np.random.default_rng(3)
    templates = [
        _json([pairs[at] for at in orders.permutation(len(pairs))], *marks)
        for pairs in ((*fields, *_NESTED) for fields in _FIXED.values())
        for _ in range(_ORDERS)
        for marks in ((",", ":"), (", ", ": "))
    ]
    chosen = _chance(frame).integers(0, 2 * _ORDERS, frame.height)
    return _written(_timed(frame), _kinds(frame, list(_FIXED)) * 2 * _ORDERS + chosen, templates)


def logfmt(frame: pl.DataFrame) -> pl.DataFrame:
    """The fields of the fixed keys as pairs key=value."""
    templates = [" ".join(f"{key}={_bare(value)}" for key, value in pairs) for pairs in _FIXED.values()]
    return _written(_timed(frame), _kinds(frame, list(_FIXED)), templates)


def nginx(frame: pl.DataFrame) -> pl.DataFrame:
    """Combined lines with the state of the cache appended, `-` for what is not cached; no loads and evictions."""
    asked = frame.filter(pl.col("kind").is_in(["lookup", "request"])).with_columns(
        clock=_time("at").dt.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        status=pl.when(pl.col("kind") == "lookup").then(pl.col("cache").str.to_uppercase()).otherwise(pl.lit("-")),
        seconds=(pl.col("ms") / 1000).round(3),
    )
    return _written(asked, np.zeros(asked.height, np.int64), [_NGINX])


def triton(frame: pl.DataFrame) -> pl.DataFrame:
    """Triton's log with everything verbose: requests and lookups become quiet lines, a load becomes three lines."""
    loads = pl.col("kind") == "load"
    begun = frame.filter(loads)
    steps = [begun.with_columns(at=pl.col("at") + (pl.col("ms") * 500 * step).cast(pl.Int64)) for step in range(3)]
    traffic = frame.filter(~loads)
    shape = _chance(traffic).integers(0, len(_VERBOSE), traffic.height)
    loading = np.repeat(np.arange(len(_LOADING)) + len(_VERBOSE), begun.height)
    lines = pl.concat([traffic, *steps]).with_columns(glog=_time("at").dt.strftime("I%m%d %H:%M:%S%.6f 1 "))
    templates = [f"<glog>{said}" for said in (*_VERBOSE, *_LOADING)]
    return _written(lines, np.concatenate([shape, loading]), templates).sort("at", maintain_order=True)


def _written(frame: pl.DataFrame, shape: _Choice, templates: Sequence[str]) -> pl.DataFrame:
    """Write each row by the template that was chosen for it; rows stay in their places."""
    numbered = frame.with_row_index("_row").with_columns(_shape=pl.Series(shape, dtype=pl.Int64))
    written = [
        rows.with_columns(text=_text(templates[int(at)]))
        for (at,), rows in numbered.partition_by("_shape", as_dict=True).items()
    ]
    return pl.concat(written).sort("_row").drop("_row", "_shape")


def _text(template: str) -> pl.Expr:
    pieces = re.split(r"<(\w+)>", template)
    return pl.concat_str(pl.col(piece) if at % 2 else pl.lit(piece) for at, piece in enumerate(pieces))


def _json(pairs: Sequence[tuple[str, str]], comma: str = ",", colon: str = ":") -> str:
    return "{" + comma.join(f'"{key}"{colon}{value}' for key, value in pairs) + "}"


def _bare(value: str) -> str:
    return value if " " in value else value.strip('"')


def _kinds(frame: pl.DataFrame, kinds: Sequence[str]) -> npt.NDArray[np.int64]:
    numbers = frame["kind"].replace_strict(list(kinds), range(len(kinds)), return_dtype=pl.Int64)
    return numbers.to_numpy()


def _chance(frame: pl.DataFrame) -> np.random.Generator:
    """Chance of the shape only, so that the day is the same in every format; each part has its own."""
    return np.random.default_rng([5, int(frame["at"][-1])] if frame.height else 5)


def _timed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(ts=_time("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))


def _time(microseconds: str) -> pl.Expr:
    return pl.from_epoch(pl.col(microseconds) + int(START.timestamp() * 1e6), "us")


def columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of the fixed shapes as typed columns, null where a kind has no such key; ts is a time."""
    keys = dict.fromkeys(key for pairs in _FIXED.values() for key, _ in pairs if key != "ts")
    timed = frame.with_columns(ts=_time("at").dt.replace_time_zone("UTC"))
    return timed.select("ts", *(_column(key).alias(key) for key in keys))


def _column(key: str) -> pl.Expr:
    given = {kind: dict(pairs)[key] for kind, pairs in _FIXED.items() if key in dict(pairs)}
    return pl.coalesce(pl.when(pl.col("kind") == kind).then(_value(value)) for kind, value in given.items())


def _value(value: str) -> pl.Expr:
    if value.startswith('"'):
        return _text(value.strip('"'))
    return pl.col(value[1:-1]) if value.startswith("<") else pl.lit(int(value))
