"""LMCache: how many tokens of each request it found, beside vLLM or SGLang or alone.

The line of a lookup (`Reqid: R, Total tokens T, ... LMCache hit tokens: H`) gives H hits and T - H misses of the cache
`lmcache`, weighted by tokens: chunks of a prompt are looked up one after another until one is missing, so most requests
are neither a hit nor a miss as a whole. H counts from the beginning of the prompt, also what the engine has itself
(then `need to load` is 0 or less). A request that waits is looked up again and counts once. `Retrieved` and `Stored`
repeat, rank by rank, what was looked up; with hit tokens of None the answer is still to come.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import servers
from cachelog.contract.event import OF_REQUEST

NAME = "lmcache"
SOURCE = "LMCache/LMCache: lmcache/integration/vllm/vllm_v1_adapter.py, lmcache/logging.py"
BLIND: str | None = "LMCache counts tokens, does not name the model, and before 2025 logged no lookups at all"
HINTS = ("LMCache", "Reqid: ")
SAMPLES = (
    "[2025-08-14 22:22:32,244] LMCache INFO: Reqid: cmpl-6e2538e890324667a9e3bb9149673bb1-0, Total tokens 578, LMCache "
    "hit tokens: 256, need to load: 256 (vllm_v1_adapter.py:1029:lmcache.integration.vllm.vllm_v1_adapter)",
    "(EngineCore_DP0 pid=568279) [2026-02-09 22:55:49,661] LMCache INFO: Reqid: "
    "cmpl-3ee2fc427a6a47a285084e63d76ddbae-0, "
    "Total tokens 81, Inference Engine computed tokens: 80, LMCache hit tokens: 64, need to load: -16 (a.py:1:a)",
    "[2026-02-09 22:55:50,661] LMCache INFO: Reqid: cmpl-1, Total tokens 81, LMCache hit tokens: None. (a.py:1:a)",
    "Reqid: cmpl-6709d8795d3c4464b01999c9f3fffede-0, Total tokens 32, LMCache hit tokens: 24, need to load: 8",
    "(EngineCore_DP0 pid=494270) [2025-09-30 01:12:36,502] LMCache INFO: Retrieved 8 out of 24 required "
    "tokens (from 32 "
    "total tokens). size: 0.0011 gb, cost 0.55 ms, throughput: 1.98 GB/s;",
    "[2025-08-14 22:22:32,227] LMCache INFO: Stored 471 out of total 471 tokens. size: 0.0575 gb, cost 1.4476 ms",
    "INFO LMCache: Stored/updated 1 chunks, total time 0.00s, make chunks time 0.00s [2024-11-19 "
    "20:08:43,749] -- a.py:311",
)

_LOOKUP = r"Reqid: ([^ ,]+), Total tokens ([0-9]+),.*LMCache hit tokens: ([0-9]+)"
_TIME = r"^(?:\([^)]*\) ?)?\[([0-9-]+ [0-9:,]+)\]"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has LMCache's head, with a process of vLLM before it or not, or is a bare lookup."""
    return text.str.contains(servers.LMCACHE)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return two samples for every lookup: tokens asked for and tokens found."""
    text = pl.col("text")
    asked = lines.filter(text.str.contains("Reqid: ", literal=True) & text.str.contains(_LOOKUP))
    parts = [
        asked.select(
            "row",
            time=text.str.extract(_TIME),
            op=pl.lit("sample"),
            cache=pl.lit("lmcache"),
            key=text.str.extract(_LOOKUP, 1),
            reason=pl.lit(what + OF_REQUEST),
            seconds=text.str.extract(_LOOKUP, group).cast(pl.Float64),
        )
        for what, group in (("lookups", 2), ("hits", 3))
    ]
    return pl.concat(parts).sort("row", maintain_order=True)
