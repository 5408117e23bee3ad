"""vLLM, both generations (V0 and V1, with and without the name of the process before the line).

Every ten seconds it prints the share of prompt tokens found in the prefix cache over the latest requests. That share is
a gauge and no count: it is kept as a sample, and gives no lookups. Counts are in /metrics (see prometheus). Models are
named when the engine starts; LoRA adapters when they are loaded. Uvicorn's lines in between have no time.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import servers
from cachelog.contract.event import FAILED, HIT_RATE, LOADED, PROCESS

NAME = "vllm"
SOURCE = "vllm-project/vllm: vllm/v1/metrics/loggers.py, vllm/v1/engine/core.py, vllm/engine/metrics.py (V0)"
BLIND: str | None = (
    "vLLM prints the hit rate of its prefix cache as a rolling share of tokens, no counts and no single lookup; "
    "a dump of /metrics over time has them"
)
HINTS = ("pid=", ".py:")
SAMPLES = (
    "(EngineCore pid=23397) INFO 08-01 20:59:16 [core.py:114] Initializing a V1 LLM engine (v0.25.1) with config: "
    "model='poolside/Laguna-S-2.1-NVFP4', speculative_config=SpeculativeConfig(method='dflash', "
    "model='poolside/Laguna-S-2.1-DFlash-NVFP4', num_spec_tokens=15), tokenizer='poolside/Laguna-S-2.1-NVFP4', "
    "skip_tokenizer_init=False, tokenizer_mode=auto, revision=None, tokenizer_revision=None",
    "INFO 12-06 11:39:30 llm_engine.py:249] Initializing an LLM engine (v0.6.4.post1) with config: "
    "model='microsoft/phi-1_5', speculative_config=None, tokenizer='microsoft/phi-1_5', revision=b6a7e2f",
    "(EngineCore pid=23397) INFO 08-01 21:23:42 [core.py:337] init engine (profile, create kv cache, warmup "
    "model) took "
    "867.33 s (compilation: 9.98 s)",
    "(APIServer pid=23283) INFO:     Started server process [23283]",
    "(APIServer pid=23283) INFO 08-01 21:24:29 [loggers.py:273] Engine 000: Avg prompt throughput: 8.9 tokens/s, Avg "
    "generation throughput: 12.6 tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 0.7%, Prefix "
    "cache hit "
    "rate: 16.9%",
    "INFO 02-25 11:11:31 metrics.py:471] Prefix cache hit rate: GPU: 52.36%, CPU: 0.00%",
    "INFO 07-12 10:02:11 [serving_models.py:178] Loaded new LoRA adapter: name 'tiny', path 'adapters/tiny-subject'",
    "INFO 07-12 10:12:11 [serving_models.py:211] Removed LoRA adapter: name 'tiny'",
    "INFO 07-12 10:13:00 [block_pool.py:378] Successfully reset prefix cache",
    "ERROR 07-12 10:14:00 [core.py:708] EngineCore failed to start.",
    '(APIServer pid=23283) INFO:     127.0.0.1:35594 - "GET /v1/models HTTP/1.1" 200 OK',
    "(EngineCore pid=23397) Loading safetensors checkpoint shards:   0% Completed | 0/49 [00:00<?, ?it/s]",
    "(APIServer pid=23283) WARNING 08-01 20:59:11 [vllm.py:1648] max_num_scheduled_tokens is set to 1600",
)

_SAYS = (
    " LLM engine (v", "init engine (", "Started server process", "refix cache hit rate: ", " LoRA adapter: name '",
    "reset prefix cache", "EngineCore failed to start",
)  # fmt: skip
_TIME = r"^(?:\([^)]*\) ?)?[A-Z]+ ([0-9]{2})-([0-9]{2} [0-9:.]+)"
_ENGINE = r"Initializing an? (?:V1 )?LLM engine \(v[^)]*\) with config: model='([^']+)'"
_REVISION = r"[ ,]revision='?([^,' ]+)"
_TOOK = r"init engine \([^)]*\) took ([0-9.]+) ?s"
_RATE = r"Prefix cache hit rate: (?:GPU: )?([0-9.]+)%"
_ADAPTER = r"(Loaded new|Removed) LoRA adapter: name '([^']+)'"
_FAILED = "EngineCore failed to start"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has vLLM's head, or the name of one of its processes; LMCache's lines in it are not its."""
    return text.str.contains(servers.VLLM) & ~text.str.contains(servers.LMCACHE)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of starts, loads, flushes and hit rates; the rest is quiet."""
    text = pl.col("text")
    telling = lines.filter(text.str.contains_any(list(_SAYS)))
    timed = telling.with_columns(time=pl.concat_str(text.str.extract(_TIME, 1), text.str.extract(_TIME, 2)))
    return pl.concat([_said(timed), _marks(timed)]).filter(pl.col("op").is_not_null()).sort("row", maintain_order=True)


def _said(lines: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    done = text.str.extract(_ADAPTER, 1)
    op = (
        pl.when(text.str.contains(_ENGINE))
        .then(pl.lit("load_start"))
        .when(done.is_not_null())
        .then(pl.when(done == "Removed").then(pl.lit("unload")).otherwise(pl.lit("load")))
        .when(text.str.contains("INFO: +Started server process"))
        .then(pl.lit("restart"))
        .when(text.str.contains("Successfully reset prefix cache", literal=True))
        .then(pl.lit("flush"))
    )
    return lines.select(
        "row",
        "time",
        op=op,
        cache=pl.when(op == "flush").then(pl.lit("prefix")),
        model=pl.coalesce(text.str.extract(_ENGINE), text.str.extract(_ADAPTER, 2)),
        version=_revision(),
        reason=pl.lit(None, pl.String),
        seconds=pl.lit(None, pl.Float64),
    )


def _marks(lines: pl.DataFrame) -> pl.DataFrame:
    """Return samples: which model the process serves, how its load ended, the hit rate."""
    text = pl.col("text")
    rate, took = (text.str.extract(shape).cast(pl.Float64, strict=False) for shape in (_RATE, _TOOK))
    reason = (
        pl.when(text.str.contains(_ENGINE))
        .then(pl.lit(PROCESS))
        .when(took.is_not_null())
        .then(pl.lit(LOADED))
        .when(text.str.contains(_FAILED, literal=True))
        .then(pl.lit(FAILED + _FAILED))
        .when(rate.is_not_null())
        .then(pl.lit(HIT_RATE))
    )
    return lines.select(
        "row",
        "time",
        op=pl.when(reason.is_not_null()).then(pl.lit("sample")),
        cache=pl.when(rate.is_not_null()).then(pl.lit("prefix")),
        model=text.str.extract(_ENGINE),
        version=_revision(),
        reason=reason,
        seconds=pl.coalesce(took, (rate / 100).round(6)),
    )


def _revision() -> pl.Expr:
    revision = pl.col("text").str.extract(_REVISION)
    return pl.when((revision != "None") & pl.col("text").str.contains(_ENGINE)).then(revision)
