"""llama.cpp server: what each request found in its slot, and loads.

`new prompt, ... task.n_tokens = T` and the first `n_tokens = C, memory_seq_rm [C, end)` of the same task (before 2025
`n_prompt_tokens` and `kv cache rm [C, end)`) say that C of T tokens were still there: hits and misses of the cache
`prefix`, weighted by tokens, for a slot is reused as far as the prompts agree. Lines have no time unless
--log-timestamps is given, and then only since the start: the times are those of an envelope, or none.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.event import LOADED, OF_REQUEST, PROCESS

NAME = "llamacpp"
SOURCE = "ggml-org/llama.cpp: tools/server/server.cpp"
BLIND: str | None = "the lines of llama.cpp have no time of their own, and it counts tokens, not requests"
SAMPLES = (
    "srv    load_model: loading model '/models/gemma-4-E4B-it-Q8_0.gguf'",
    "srv    load_model: failed to load model, '/models/gemma-4-E4B-it-Q8_0.gguf'",
    "main: model loaded",
    "main: server is listening on http://0.0.0.0:11434",
    "slot get_availabl: id  0 | task -1 | selected slot by LCP similarity, sim_best = 0.219 (> 0.100 thold), "
    "f_keep = 0.989",
    "slot update_slots: id  0 | task 65 | new prompt, n_ctx_slot = 65536, n_keep = 0, task.n_tokens = 6291",
    "slot update_slots: id  0 | task 65 | n_tokens = 1377, memory_seq_rm [1377, end)",
    "slot update_slots: id  0 | task 65 | n_tokens = 3425, memory_seq_rm [3425, end)",
    "slot update_slots: id  1 | task 7 | new prompt, n_ctx_slot = 4096, n_keep = 0, n_prompt_tokens = 22",
    "slot update_slots: id  1 | task 7 | kv cache rm [21, end)",
    "0.02.113.518 I srv  update_slots: all slots are idle",
    "llama_params_fit_impl: projected to use 9379 MiB of device memory vs. 12123 MiB of free device memory",
    "prompt eval time =   13931.70 ms /  4914 tokens (    2.84 ms per token,   352.72 tokens per second)",
)

_HEAD = r"^(?:[0-9]+\.[0-9]{2}\.[0-9]{3}\.[0-9]{3} )?(?:[DIWE] )?"
_LINES = (
    rf"{_HEAD}(?:(?:slot|srv|que) +[A-Za-z_]+: |(?:llama|ggml|gguf|clip|common)_[a-z_A-Z0-9]+: |"
    r"(?:load_tensors|load_model|print_info|system_info|build_info|load_backend): |init: using |start: binding |"
    r"main: (?:loading model|model loaded|server is listening|starting the main loop|exiting|build = "
    r"|seed|HTTP server))"
)
_TIMES = r"^ *(?:prompt eval|eval|total) time = +[0-9.]+ ms / +[0-9]+ (?:tokens|runs)"
SHAPE = rf"{_LINES}|{_TIMES}"
_SAYS = ("load_model: ", "model loaded", "listening", "new prompt, ", "memory_seq_rm [", "kv cache rm [")
_MODEL = r"load_model: (loading|failed to load) model,? '([^']+)'"
_TASK = r"^[^|]*\| task ([0-9]+) \| "
_ASKED = rf"{_TASK}new prompt, .*?(?:task\.n_tokens|n_prompt_tokens) = ([0-9]+)"
_FOUND = rf"{_TASK}(?:n_tokens = [0-9]+, memory_seq_rm|kv cache rm) \[([0-9]+), end\)"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has a head of the server, of a library of it, or is one of its timings."""
    return text.str.contains(_LINES) | text.str.contains(_TIMES)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of loads and starts, and samples of the tokens that requests asked for and found."""
    telling = lines.filter(pl.col("text").str.contains_any(list(_SAYS)))
    rows = [_events(telling), _marks(telling), _tokens(telling, "lookups", _ASKED), _tokens(telling, "hits", _FOUND)]
    return pl.concat(rows, how="diagonal").filter(pl.col("op").is_not_null()).sort("row", maintain_order=True)


def _model(text: pl.Expr) -> pl.Expr:
    return text.str.extract(_MODEL, 2).str.extract(r"([^/\\]+)$")


def _events(lines: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    done = text.str.extract(_MODEL)
    op = (
        pl.when(done == "loading")
        .then(pl.lit("load_start"))
        .when(done.is_not_null())
        .then(pl.lit("load_fail"))
        .when(text.str.contains(r"main: (?:server is listening|HTTP server is listening|HTTP server listening)"))
        .then(pl.lit("restart"))
    )
    return lines.select("row", op=op, model=_model(text))


def _marks(lines: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    begun = text.str.extract(_MODEL) == "loading"
    reason = pl.when(begun).then(pl.lit(PROCESS)).when(text.str.contains("main: model loaded")).then(pl.lit(LOADED))
    return lines.select(
        "row", op=pl.when(reason.is_not_null()).then(pl.lit("sample")), model=_model(text), reason=reason
    )


def _tokens(lines: pl.DataFrame, what: str, shape: str) -> pl.DataFrame:
    text = pl.col("text")
    return lines.filter(text.str.contains(shape)).select(
        "row",
        op=pl.lit("sample"),
        cache=pl.lit("prefix"),
        key=text.str.extract(shape, 1),
        reason=pl.lit(what + OF_REQUEST),
        seconds=text.str.extract(shape, 2).cast(pl.Float64),
    )
