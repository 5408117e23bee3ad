"""replica-restart: a replica restarts again and again, and what it loads afterwards.

What it says
    The process of a replica started again at least three times within an hour.

Why it matters
    Every start empties the caches that live in the process. A crash loop shows as a miss rate that will not go down,
    on one replica only, and it is easily overlooked because each start looks healthy.

How it decides
    Lines with which a process reports that it starts, and starts of containers that Kubernetes tells of, but for the
    first sign of the replica in the log. Models loaded between two starts tell what comes back.

When it stays quiet
    One or two starts of a replica: that is a rollout, or somebody's hand.

What to do
    Look for what ends the process: out of memory, a failing probe, a panic in the lines before the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

from cachelog.contract.counted import Counted, Spell
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.platform import TROUBLE
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed
from cachelog.metrics.beside import compared

_SHOWN = 4


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each replica that keeps restarting."""
    found: list[Finding] = []
    for rows in _starts(frames, limits).partition_by("replica", maintain_order=True):
        in_loop, most = _loop(rows["ts"].to_list(), rows["n"].to_list(), limits)
        if most >= limits.restarts:
            looping = rows.filter(in_loop)
            replica, start, end = looping["replica"][0], looping["ts"][0], looping["ts"][-1]
            near = timedelta(seconds=limits.restart_before_s)
            found.append(
                compared(frames, (replica,), (), start - near, end).added(_finding(looping, most, frames, limits))
            )
    return found


def _starts(frames: Frames, limits: Limits) -> pl.DataFrame:
    """The starts of each replica after its first sign of life; worker processes that start together are one.

    Events of Kubernetes tell several starts as one, with the times of the first and the last of them.
    """
    ordered = frames.changes.filter(pl.col("replica").is_not_null()).sort("replica", "ts", "source", "line")
    served = frames.counts.group_by("replica").agg(served=pl.col("first").min())
    boots = (
        ordered.with_columns(sign=pl.col("ts").first().over("replica"))
        .filter(pl.col("op") == "restart")
        .join(served, on="replica", how="left", maintain_order="left")
        .filter(pl.col("ts") > pl.min_horizontal("sign", "served"))
    )
    pause = (pl.col("ts") - pl.col("ts").shift(1).over("replica")).dt.total_microseconds() / 1e6
    apart = (pause > limits.restart_burst_s).fill_null(True)
    together = boots.with_columns(burst=apart.cum_sum())
    return together.with_columns(pl.col("n").max().over("burst")).filter(apart).cast({"n": pl.Int64})


def _loop(times: Sequence[datetime], weights: Sequence[int], limits: Limits) -> tuple[list[bool], int]:
    """Return which starts lie in a stretch of limits.restart_s with too many, and the most of any stretch."""
    inside = [False] * len(times)
    first = most = 0
    for last, time in enumerate(times):
        while (time - times[first]).total_seconds() > limits.restart_s:
            first += 1
        many = sum(weights[first : last + 1])
        most = max(most, many)
        if many >= limits.restarts:
            inside[first : last + 1] = [True] * (last + 1 - first)
    return inside, most


def _finding(rows: pl.DataFrame, most: int, frames: Frames, limits: Limits) -> Finding:
    replica, times = rows["replica"][0], rows["ts"].to_list()
    start, end = times[0], times[-1]
    loads = frames.changes.filter((pl.col("op") == "load") & (pl.col("replica") == replica) & (pl.col("ts") >= start))
    lookups = frames.counts.filter((pl.col("replica") == replica) & (pl.col("w") >= start))["lookups"].sum()
    starts = int(rows["n"].sum())
    gap = _gap(times, starts)
    return Finding(
        rule="replica-restart",
        severity=Severity.HIGH if most >= limits.restarts_high else Severity.MEDIUM,
        confidence=Confidence.HIGH,
        title=f"{replica} restarts again and again: {starts} starts in {lasting((end - start).total_seconds())}",
        summary=_summary(starts, gap, loads),
        replicas=(replica,),
        start=start,
        end=end,
        ongoing=(frames.end - end).total_seconds() <= 2 * gap,
        impact=Impact(lookups=int(lookups)),
        numbers={
            "restarts": starts,
            "most_in_an_hour": most,
            "typical_gap_seconds": gap,
            "loads_after": loads.height,
        },
        evidence=tuple(
            Evidence(source, line, ts, _role(reason or ""))
            for source, line, ts, reason in rows.select("source", "line", "ts", "reason").head(_SHOWN).iter_rows()
        ),
        counted={
            "impact.lookups": (Counted(what="lookups", model=None, spells=(Spell(replica, start, frames.end),)),),
            "restarts": (Counted(what="starts", op="restart", model=None, spells=(Spell(replica, start, end),)),),
            "loads_after": (Counted(what="loads", op="load", model=None, spells=(Spell(replica, start, frames.end),)),),
        },
        next_steps=(f"look at the last lines of {replica} before each start, and at its memory and probes",),
    )


def _gap(times: Sequence[datetime], starts: int) -> float:
    """Return the median pause between starts; where several are told as one, the mean."""
    pauses = sorted((b - a).total_seconds() for a, b in pairwise(times))
    if starts > len(times):
        return sum(pauses) / (starts - 1)
    return pauses[(len(times) - 1) // 2]


def _role(reason: str) -> str:
    """Say what the platform says of a start, where it does."""
    return f"restarted: {reason.removeprefix(TROUBLE)}" if reason.startswith(TROUBLE) else "restarted"


def _summary(starts: int, gap: float, loads: pl.DataFrame) -> str:
    said = f"{starts} starts, typically {lasting(gap)} apart."
    models = sorted({f"{m} {v or ''}".rstrip() for m, v in loads.select("model", "version").iter_rows()})
    return said + (f" It loads {listed(models, 5)} afterwards." if models else "")
