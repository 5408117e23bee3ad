"""EVENT: the one table between reading and detecting.

Every dialect's lines end as rows of this table, every detector starts from it.
Raw text is not kept: (source, line) names the line, and it is read again when it is cited.
"""

from __future__ import annotations

import polars as pl

OPS = (
    "lookup",  # one question to a cache; `outcome` says how it was answered
    "load_start",  # a replica begins to load a version
    "load",  # the version is loaded and can serve
    "load_fail",
    "unload",
    "evict",  # an entry (key given) or a loaded model (cache == "model") was pushed out
    "expire",
    "flush",
    "rollout",  # somebody asked for a version; `version` is the target, `reason` the action; or contract/platform.py
    "restart",  # the process of a replica started
    "sample",  # a periodic figure, or a line that says something only beside others; `reason` says what (see below)
)
OUTCOMES = ("hit", "miss", "stale", "bypass", "error")

#: Caches with a name of their own; "default" is where the log does not say which cache.
CACHES = ("model", "response", "prefix", "edge", "default")

#: What a `sample` counts. Its `reason` is one of these words, alone (ingest/counters.py decides since when it counts),
#: or with one of the endings; its `seconds` is the figure (`n` would overflow: Float64 holds integers to 2**53), and
#: its `key` tells counters of one name apart. Hits and misses, or lookups and hits, make lookups of weight `n`.
COUNTED = ("hits", "misses", "lookups")
SINCE_START = " since start"  # a counter that only grows until its process starts again
SINCE_LAST = " since last"  # what happened since the figure before
OF_REQUEST = " of request"  # figures of one request, told by `key`; said again they count once
#: Other reasons of samples. What is not used up stays a sample, and no metric or detector looks at samples.
HIT_RATE = "hit rate"  # `seconds` is a share of 0 to 1 over a window that nobody knows: no count
SCRAPE = "scrape"  # `ts` is the time of the figures below it
PROCESS = "process"  # from here on the process serves `model` in `version`; its counters begin at 0
LOADED = "loaded"  # the model of the process is loaded; `seconds` it took
LOST = "lost lines"  # so many lines of others are missing here, 0: nobody knows how many
FAILED = "failed: "  # the model of the process failed to load, and why

#: Reason of a rollout that is no wish: the server says that it answers with that version from now on.
SWITCHED = "set-default"

TS = pl.Datetime("us", "UTC")
LABEL = pl.Categorical()

EVENT: pl.Schema = pl.Schema(
    {
        "ts": TS,  # null where the line has no time and none can be inferred
        "source": pl.UInt32(),  # index into Report.inputs
        "line": pl.UInt64(),  # 1-based, in the decompressed file
        "replica": LABEL,  # pod, host, instance; else from the path
        "op": pl.Enum(OPS),
        "cache": LABEL,
        "outcome": pl.Enum(OUTCOMES),  # lookups only
        "model": LABEL,
        "version": LABEL,  # as written in the log
        "key": pl.UInt64(),  # hash of the cache key; null where there is none
        "digest": pl.String(),
        "reason": pl.String(),
        "n": pl.UInt32(),  # weight: "hits=120 misses=4" is two rows
        "seconds": pl.Float64(),  # latency of a lookup, duration of a load, figure of a sample
    }
)


def empty() -> pl.DataFrame:
    """Return an EVENT table without rows."""
    return pl.DataFrame(schema=EVENT)
