"""SGLang: what each prefill batch found in the radix cache, starts, loads and flushes.

`#cached-token` and `#new-token` of a batch are hits and misses of the cache `prefix`, weighted by tokens: a request
with cached tokens is no hit, nearly every request has some (the system prompt) and few have all. Tokens are what the
engines themselves divide ("cache hit rate"), so the rate here is the one on their dashboards. Ranks of a pipeline or
of context parallelism repeat what the first one says; ranks of data parallelism have requests of their own.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import servers
from cachelog.contract.event import LOADED, PROCESS, SINCE_LAST

NAME = "sglang"
SOURCE = "sgl-project/sglang: python/sglang/srt/managers/scheduler_metrics_mixin.py (0.4 to 0.5)"
BLIND: str | None = "SGLang counts tokens by batch: which request missed, and how many requests did, is not known"
HINTS = ("[20",)
SAMPLES = (
    "[2026-08-28 21:19:23] server_args=ServerArgs(model_path='RadixArk/Qwen3.8-Flash-Next-NVFP4', tokenizer_path='x', "
    "revision='7b71922')",
    "[2026-03-21 03:31:56] INFO engine.py:177: server_args=ServerArgs(model_path='qwen/qwen2.5-0.5b-instruct', "
    "tokenizer_path='qwen/qwen2.5-0.5b-instruct', tokenizer_mode='auto', revision=None)",
    "[2026-08-02 00:33:50] INFO:     Started server process [4711]",
    "[2026-08-02 00:33:51] Prefill batch, #new-seq: 1, #new-token: 7, #cached-token: 1200, full token usage: 0.00, swa "
    "token usage: 0.00, #running-req: 0, #queue-req: 0, #pending-token: 0, cuda graph: True, input throughput "
    "(token/s): 0.00",
    "[2025-04-01 04:00:11 DP0 TP0] Prefill batch. #new-seq: 1, #new-token: 5, #cached-token: 1, token usage: 0.00, "
    "#running-req: 0, #queue-req: 0, ",
    "[2026-06-27 10:02:58 PP0 ATTN_CP1 TP1 EP1] Prefill batch, #new-seq: 1, #new-token: 128, #cached-token: 0, token "
    "usage: 0.00, #running-req: 0, #queue-req: 0",
    "[2026-08-02 00:33:52] Decode batch, #running-req: 1, #full token: 1223, gen throughput (token/s): 9.79",
    "[2026-08-02 00:33:53] The server is fired up and ready to roll!",
    "[2026-08-02 00:34:53 TP0] Cache flushed successfully!",
    "[2026-08-02 00:33:40] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 16000, K size: 1.00 GB",
)

_SAYS = ("#cached-token: ", "server_args=", "Started server process", "fired up and ready", "Cache flushed success")
_HEAD = r"^\[([0-9-]+[T ][0-9:]+)((?: [A-Z_]+[0-9]+)*)\] "
_REPEATS = r" (?:PP|ATTN_CP)[1-9]"
_MODEL = r"server_args=ServerArgs\(.*?model_path='([^']+)'"
_REVISION = r"[(, ]revision='([^']+)'"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has a time in brackets with a rank, or says what only SGLang says."""
    return text.str.contains(servers.SGLANG)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of prefill batches, starts, loads and flushes; the rest is quiet."""
    telling = lines.filter(pl.col("text").str.contains_any(list(_SAYS))).with_columns(
        time=pl.col("text").str.extract(_HEAD), ranks=pl.col("text").str.extract(_HEAD, 2)
    )
    rows = pl.concat([_tokens(telling, "hits", "cached"), _tokens(telling, "misses", "new"), *_others(telling)])
    return rows.sort("row", maintain_order=True)


def _tokens(lines: pl.DataFrame, what: str, name: str) -> pl.DataFrame:
    tokens = pl.col("text").str.extract(rf"Prefill batch.*#{name}-token: ([0-9]+)").cast(pl.Float64, strict=False)
    counted = lines.with_columns(seconds=tokens).filter(
        pl.col("seconds").is_not_null() & ~pl.col("ranks").str.contains(_REPEATS)
    )
    return counted.select(*_row("sample", what + SINCE_LAST), seconds="seconds", cache=pl.lit("prefix"), **_NAMELESS)


_NAMELESS = {name: pl.lit(None, pl.String) for name in ("model", "version")}


def _row(op: str, reason: str | None) -> list[pl.Expr]:
    return [pl.col("row"), pl.col("time"), pl.lit(op).alias("op"), pl.lit(reason, pl.String).alias("reason")]


def _others(lines: pl.DataFrame) -> list[pl.DataFrame]:
    text = pl.col("text")
    blank = {"seconds": pl.lit(None, pl.Float64), "cache": pl.lit(None, pl.String)}
    named = {"model": text.str.extract(_MODEL), "version": text.str.extract(_REVISION)}
    begun = lines.filter(text.str.contains(_MODEL))
    served = [
        begun.select(*_row("load_start", None), **blank, **named),
        begun.select(*_row("sample", PROCESS), **blank, **named),
    ]
    ready = lines.filter(text.str.contains("The server is fired up and ready", literal=True))
    flushed = lines.filter(text.str.contains("Cache flushed successfully", literal=True))
    started = lines.filter(text.str.contains(r"INFO: +Started server process"))
    return [
        *served,
        ready.select(*_row("sample", LOADED), **blank, **_NAMELESS),
        flushed.select(*_row("flush", None), **blank | {"cache": pl.lit("prefix")}, **_NAMELESS),
        started.select(*_row("restart", None), **blank, **_NAMELESS),
    ]
