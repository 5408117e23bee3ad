"""load-churn: a model is loaded, dropped and loaded again.

What it says
    Replicas load a version of a model, drop it, and load the same version again, over and over: how often, on which
    replicas, how soon after it was dropped, and how many seconds the loads took.

Why it matters
    Each load takes seconds to minutes, in which requests for the model wait, and its caches begin cold. The replicas
    have room for fewer models than they are asked for: memory or slots, not the version, is what is wrong.

How it decides
    Lines of loads and of unloads or evictions of loaded models. A cycle is a load of the version that the replica
    dropped before it, without another version in between (METHODS §4: thrash). Three cycles within ten minutes on a
    replica are churn, and so are three whose median time from drop to load is under a minute.

When it stays quiet
    Changes of version (version-flapping), restarts (replica-restart), models that are loaded on demand now and then.
    A few cycles are low, medium from twenty on.

What to do
    Give the replicas more room, or send each model to fewer of them, so that each holds what it is asked for.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.counted import Counted, everywhere
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, replicas
from cachelog.metrics.loads import cycles

_SHOWN = 2  # cycles cited


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each model that is loaded again and again."""
    groups = cycles(frames, limits).partition_by("model", "replica", maintain_order=True)
    churning = [group for group in groups if _churns(group, limits)]
    if not churning:
        return []
    models = pl.concat(churning).partition_by("model", maintain_order=True)
    return [_finding(mine.sort("ts", "source", "line"), frames, limits) for mine in models]


def _churns(mine: pl.DataFrame, limits: Limits) -> bool:
    """Are there enough cycles near to one another, or enough that followed the drop at once? Of one replica."""
    if mine.height < limits.churn_cycles:
        return False
    times = mine["ts"].dt.epoch("us").sort()
    quick = (times - times.shift(limits.churn_cycles - 1)).min()
    median = mine["gap"].median()
    near = isinstance(quick, int) and quick <= limits.churn_s * 1e6
    return near or (isinstance(median, float) and median <= limits.churn_gap_s)


def _finding(mine: pl.DataFrame, frames: Frames, limits: Limits) -> Finding:
    model, names = mine["model"][0], mine["replica"].unique().sort().to_list()
    versions = mine["version"].drop_nulls().unique()
    start, end = mine["dropped"][0], mine["ts"][-1]
    fleet = frames.replicas.filter(pl.col("model") == model).height
    return Finding(
        rule="load-churn",
        severity=Severity.MEDIUM if mine.height >= limits.churn_medium else Severity.LOW,
        confidence=Confidence.HIGH,
        title=f"{model}: loaded, dropped and loaded again {mine.height:,} times on {len(names)} of {replicas(fleet)}",
        summary=_summary(mine, names, (end - start).total_seconds()),
        model=model,
        replicas=tuple(names),
        version_to=versions[0] if len(versions) == 1 else None,
        start=start,
        end=end,
        onset_low=start,
        onset_high=start,
        ongoing=(frames.end - end).total_seconds() <= limits.churn_s,
        numbers={
            "cycles": mine.height,
            "most_cycles_of_a_replica": int(mine["replica"].value_counts()["count"].max()),  # type: ignore[arg-type]
            "median_gap_seconds": round(float(mine["gap"].median()), 3),  # type: ignore[arg-type]
            "replicas_active": fleet,
        },
        evidence=_evidence(mine),
        counted={"cycles": (Counted(what="loads", op="load", model=model, spells=everywhere(start, end, names)),)},
        next_steps=(f"give {listed(names)} room for all models that they are asked for, or send them fewer",),
    )


def _summary(mine: pl.DataFrame, names: list[str], seconds: float) -> str:
    gap = float(mine["gap"].median())  # type: ignore[arg-type]
    after = lasting(gap) if gap >= 1 else f"{1000 * gap:.0f} ms"
    return (
        f"{listed(names, 5)} dropped it and loaded the same version again {mine.height:,} times in {lasting(seconds)},"
        f" typically {after} after it was dropped."
    )


def _evidence(mine: pl.DataFrame) -> tuple[Evidence, ...]:
    rows = mine.head(_SHOWN).select("dropped_source", "dropped_line", "dropped", "source", "line", "ts").iter_rows()
    return tuple(
        e for a, b, c, d, f, g in rows for e in (Evidence(a, b, c, "dropped"), Evidence(d, f, g, "loaded again"))
    )
