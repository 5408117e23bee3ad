"""Ollama: runners started, ready, failed and evicted; with OLLAMA_DEBUG also requests that found their model loaded.

Models are named by the blob of their weights: tags such as latest move, and the lines of starts have no other name. A
start is a miss of the cache `model`, for only a request for a model that is not loaded starts a runner; hits of it
("evaluating already loaded") and tokens found in a slot ("loading cache slot") are logged at DEBUG alone. Runners
print what llama.cpp prints (see llamacpp).
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import servers
from cachelog.contract.event import FAILED, LOADED, PROCESS, SINCE_LAST

NAME = "ollama"
SOURCE = "ollama/ollama: server/sched.go, llm/server.go, runner/ollamarunner/cache.go (0.1 to 0.13)"
BLIND: str | None = (
    "without OLLAMA_DEBUG=1 Ollama logs no hits and no evictions, so there is no rate; requests do not name their model"
)
HINTS = (".go:", "[GIN] ")
SAMPLES = (
    'time=2026-02-10T14:28:48.636+09:00 level=INFO source=routes.go:1597 msg="Listening on 127.0.0.1:11434 (version '
    '0.13.0)"',
    "2024/01/11 20:41:03 routes.go:930: INFO Listening on 127.0.0.1:11434 (version 0.1.20)",
    'time=2026-02-10T14:28:48.642+09:00 level=INFO source=server.go:392 msg="starting runner" '
    'cmd="/usr/bin/ollama runner '
    '--ollama-engine --port 61993"',
    'time=2026-02-10T14:29:48.642+09:00 level=INFO source=server.go:392 msg="starting runner" '
    'cmd="/usr/bin/ollama runner '
    "--model "
    '/root/.ollama/models/blobs/sha256-dde5aa3fc5ffc17176b5e8bdc82f587b24b2678c6c66101bf7da77af9f7ccdff --port 6"',
    'time=2025-10-03T13:18:05.001+02:00 level=INFO source=server.go:1289 msg="llama runner started in 0.78 seconds"',
    'time=2025-10-03T13:22:30.006+02:00 level=DEBUG source=sched.go:580 msg="evaluating already loaded" '
    "model=/root/.ollama/models/blobs/sha256-dde5aa3fc5ffc17176b5e8bdc82f587b24b2678c6c66101bf7da77af9f7ccdff",
    'time=2025-10-03T13:22:30.008+02:00 level=DEBUG source=cache.go:104 msg="loading cache slot" id=0 '
    "cache=20 prompt=26 "
    "used=19 remaining=7",
    'time=2026-08-29T08:18:37.236Z level=DEBUG source=sched.go:339 msg="resetting model to expire immediately to make '
    'room" runner.name=registry.ollama.ai/library/embeddinggemma:latest runner.size="641.8 MiB" '
    "runner.model=/root/.ollama/models/blobs/sha256-0800cbac9c2064dde519420e75e512a83cb360de3ad5df176185dc69652fc515 "
    "runner.num_ctx=2048 refCount=0",
    'time=2026-08-29T08:23:37.236Z level=DEBUG source=sched.go:341 msg="timer expired, expiring to unload" '
    "runner.name=registry.ollama.ai/library/llama3.2:latest "
    "runner.model=/root/.ollama/models/blobs/sha256-dde5aa3fc5ffc17176b5e8bdc82f587b24b2678c6c66101bf7da77af9f7ccdff",
    'time=2026-08-29T08:24:37.236Z level=ERROR source=sched.go:456 msg="error loading llama server" '
    'error="llama runner '
    'process has terminated: exit status 2"',
    'time=2026-02-10T14:28:48.634+09:00 level=INFO source=images.go:522 msg="total blobs: 11"',
    '[GIN] 2025/10/03 - 13:22:32 | 200 |   2.10313825s |             ::1 | POST     "/api/generate"',
)

_SAYS = (
    "Listening on ", "starting runner", "starting llama server", "llama runner started in ", "evaluating "
    "already loaded",
    "loading cache slot", "to expire immediately to make room", "expiring to unload", "error loading llama server",
    "Load failed",
)  # fmt: skip
_TIME = r"^(?:time=([^ ]+)|([0-9/]{10} [0-9:]{8}) )"
_MESSAGE = r'(?: msg="((?:[^"\\]|\\.)*)"| msg=([^ ]+)|\.go:[0-9]+: [A-Z]+ (.*)$)'
_BLOB = r'(?: --model | (?:runner\.)?model=|"model":")"?([^ "]+)'
_STARTS = r"^starting (?:runner|llama server)"
_TOOK = r"llama runner started in ([0-9.]+) seconds"
_SHORT = 12  # digits of a digest that Ollama itself shows


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the head of Ollama's logger with one of its files, or is of its web server."""
    return text.str.contains(servers.OLLAMA)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of starts, loads, lookups and evictions; the rest is quiet."""
    text = pl.col("text")
    telling = lines.filter(text.str.contains_any(list(_SAYS)))
    path = text.str.extract(_BLOB)
    digest = path.str.extract(r"sha256[-:]([0-9a-f]{12,64})")
    named = pl.concat_str(pl.lit("sha256-"), digest.str.slice(0, _SHORT))
    said = telling.select(
        "row",
        "text",
        time=pl.coalesce(text.str.extract(_TIME, 1), text.str.extract(_TIME, 2)),
        message=pl.coalesce(text.str.extract(_MESSAGE, group) for group in (1, 2, 3)),
        model=pl.coalesce(named, path.str.extract(r"([^/\\]+)$")),
        digest=digest,
    )
    rows = pl.concat([_events(said), _lookups(said), _marks(said), *_tokens(said)], how="diagonal")
    return rows.filter(pl.col("op").is_not_null()).drop("text", "message").sort("row", maintain_order=True)


def _events(said: pl.DataFrame) -> pl.DataFrame:
    message, model = pl.col("message"), pl.col("model").is_not_null()
    evicted = message.str.ends_with("to expire immediately to make room")
    expired = message.str.ends_with("expiring to unload")
    failed = model & (message == "Load failed")
    op = (
        pl.when(message.str.starts_with("Listening on "))
        .then(pl.lit("restart"))
        .when(message.str.contains(_STARTS) & model)
        .then(pl.lit("load_start"))
        .when(evicted)
        .then(pl.lit("evict"))
        .when(expired)
        .then(pl.lit("unload"))
        .when(failed)
        .then(pl.lit("load_fail"))
    )
    why = pl.when(evicted).then(pl.lit("to make room")).when(expired).then(pl.lit("keep-alive expired"))
    return said.with_columns(
        op=op,
        cache=pl.when(op != "restart").then(pl.lit("model")),
        reason=why.when(failed).then(_error()),
    )


def _error() -> pl.Expr:
    return pl.col("text").str.extract(r' error="((?:[^"\\]|\\.)*)"')


def _lookups(said: pl.DataFrame) -> pl.DataFrame:
    """A request finds its model loaded, or a runner is started for it."""
    message = pl.col("message")
    outcome = (
        pl.when(message == "evaluating already loaded")
        .then(pl.lit("hit"))
        .when(message.str.contains(_STARTS))
        .then(pl.lit("miss"))
    )
    asked = said.with_columns(outcome=outcome).filter(pl.col("outcome").is_not_null() & pl.col("model").is_not_null())
    return asked.with_columns(op=pl.lit("lookup"), cache=pl.lit("model"), digest=pl.lit(None, pl.String))


def _marks(said: pl.DataFrame) -> pl.DataFrame:
    """Return samples: which model the latest runner serves, and how its load ended."""
    message = pl.col("message")
    took = message.str.extract(_TOOK).cast(pl.Float64, strict=False)
    failed = (message == "error loading llama server") | ((message == "Load failed") & pl.col("model").is_null())
    reason = (
        pl.when(message.str.contains(_STARTS) & pl.col("model").is_not_null())
        .then(pl.lit(PROCESS))
        .when(took.is_not_null())
        .then(pl.lit(LOADED))
        .when(failed)
        .then(pl.lit(FAILED) + _error().fill_null("error loading llama server"))
    )
    return said.with_columns(op=pl.when(reason.is_not_null()).then(pl.lit("sample")), reason=reason, seconds=took)


def _tokens(said: pl.DataFrame) -> list[pl.DataFrame]:
    """Return samples of the tokens of a prompt that its slot still held, and of those that it did not."""
    loaded = said.filter(pl.col("message") == "loading cache slot")
    return [
        loaded.with_columns(
            op=pl.lit("sample"),
            cache=pl.lit("prefix"),
            reason=pl.lit(what + SINCE_LAST),
            seconds=pl.col("text").str.extract(rf" {name}=([0-9]+)").cast(pl.Float64),
        )
        for what, name in (("hits", "used"), ("misses", "remaining"))
    ]
