"""Hugging Face text-generation-inference: starts and loads of the launcher and router; its cache leaves no line.

The launcher prints its arguments at the start, on one line or, since 2.0, one a line.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import servers
from cachelog.contract.event import FAILED, LOADED, PROCESS

NAME = "tgi"
SOURCE = "huggingface/text-generation-inference: launcher/src/main.rs, router/src/server.rs"
BLIND: str | None = "text-generation-inference says nothing of its prefix cache: no lookups, no rate"
HINTS = ("text_generation_", '    model_id: "')
SAMPLES = (
    '2023-06-19T21:23:01.118777Z  INFO text_generation_launcher: Args { model_id: "h2oai/falcon-40b", revision: '
    'Some("7c46948b3c3329e7"), sharded: Some(false), num_shard: None, port: 80 }',
    "2024-06-17T13:11:09.417238Z  INFO text_generation_launcher: Args {",
    '    model_id: "meta-llama/Meta-Llama-3-70B-Instruct",',
    "2024-06-17T13:12:09.417238Z  INFO shard-manager: text_generation_launcher: Shard ready in 10.2s rank=0",
    "2024-06-17T13:12:09.517238Z  INFO text_generation_launcher: Starting Webserver",
    "2024-06-17T13:12:12.417238Z  INFO text_generation_router: router/src/main.rs:370: Connected",
    "2024-06-17T13:12:12.417238Z ERROR text_generation_launcher: Shard 0 failed to start",
    'INFO generate{parameters=GenerateParameters { best_of: None, stop: ["//", "[Response]"] } '
    'total_time="357.867572ms" '
    'queue_time="49.382µs" seed="None"}: text_generation_router::server: router/src/server.rs:309: Success',
)

_TIME = r"^(20[0-9]{2}-[0-9T:.-]+Z)"
_ARGUMENT = r'^    model_id: "([^"]+)",$'
_MODEL = r'(?:Args \{ |^    )model_id: "([^"]+)"'
_REVISION = r'revision: Some\(\s*"([^"]+)"'


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of the launcher or router, or its argument that names the model."""
    return text.str.contains(servers.TGI) | text.str.contains(_ARGUMENT)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of starts and loads; requests are quiet."""
    text = pl.col("text")
    reason = (
        pl.when(text.str.contains(_MODEL))
        .then(pl.lit(PROCESS))
        .when(text.str.contains(r"text_generation_router.*: Connected$"))
        .then(pl.lit(LOADED))
        .when(text.str.contains(r": Shard [0-9]+ failed to start$"))
        .then(pl.lit(FAILED + "a shard failed to start"))
    )
    op = (
        pl.when(text.str.contains(_MODEL))
        .then(pl.lit("load_start"))
        .when(text.str.contains(r"text_generation_launcher: Starting Webserver$"))
        .then(pl.lit("restart"))
    )
    named = {"model": text.str.extract(_MODEL), "version": text.str.extract(_REVISION)}
    time, nothing = text.str.extract(_TIME).alias("time"), pl.lit(None, pl.String)
    said = lines.select("row", time, **named, op=op, reason=nothing)
    marks = lines.select("row", time, **named, op=pl.when(reason.is_not_null()).then(pl.lit("sample")), reason=reason)
    return pl.concat([said, marks]).filter(pl.col("op").is_not_null()).sort("row", maintain_order=True)
