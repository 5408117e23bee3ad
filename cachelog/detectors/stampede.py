"""stampede: many misses of one key at once.

What it says
    Keys of a model are asked for many times while their entry is being filled, and each of these lookups is a miss of
    its own: how many, how many at once at most, and for how many keys. In one cache, or in the caches of many replicas
    at the same moment.

Why it matters
    One answer is computed ten or a hundred times, at the moment when it is asked for most: after it expired, or when
    something new gets popular. The backend sees a peak that the cache was built to keep away (a thundering herd).

How it decides
    Misses of one key and version that follow one another within the time of a fill (the 95th percentile of the
    latency of misses of the model, one second where they have none) are one herd. Five in one cache are a herd, or ten
    caches at once. It is told when herds hold a hundred extra misses and a tenth of the misses of the model.

When it stays quiet
    Two or three that meet by chance; caches that are cold after a load, restart or flush (cold-start). A few herds are
    low; medium from a fifth of the misses on.

What to do
    Let one request fill the entry and the others wait for it (single flight, request coalescing, a lock by key), serve
    the old answer while it is filled, and spread the times to live so that hot entries do not expire together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from cachelog.contract.counted import Counted, everywhere
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import percent
from cachelog.metrics.causes import explained
from cachelog.metrics.harm import added_seconds, severity_of_harm
from cachelog.metrics.lines import Scene, misses_of_key

_ONSET = 0.05  # of the extra misses: herds before are strays


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each model and cache in which herds matter."""
    found = explained(events, frames, limits).herds
    whole = frames.totals.group_by("model", "cache").agg(pl.col("lookups", "misses").sum())
    told = []
    for group in found.partition_by("model", "cache", maintain_order=True):
        mine = whole.join(group.select("model", "cache").unique(), on=["model", "cache"]).row(0, named=True)
        extra = int(group["misses"].sum()) - group.height
        if extra >= limits.medium_misses and extra >= limits.herd_share * mine["misses"]:
            told.append(_finding(group, mine, events, frames, limits))
    return told


def _finding(herds: pl.DataFrame, whole: dict[str, Any], events: Events, frames: Frames, limits: Limits) -> Finding:
    extra = int(herds["misses"].sum()) - herds.height
    start, end = _onset(herds), herds["end"].max()
    assert isinstance(end, datetime)
    biggest = herds.sort("misses", "start", "key", descending=[True, False, False]).row(0, named=True)
    model, cache = whole["model"], whole["cache"]
    lost = added_seconds(frames, model, cache, start, end, extra)
    return Finding(
        rule="stampede",
        severity=_severity(extra, whole, (start, end), frames, limits),
        confidence=Confidence.HIGH,
        title=f"{model}: up to {biggest['misses']:,} misses of one key at once",
        summary=f"{herds.height:,} times since {start:%Y-%m-%d %H:%M:%S} UTC a key was missed again while it was being"
        f" filled: {extra:,} misses more than fills needed, {percent(extra / whole['misses'])} of all."
        f" {herds['key'].n_unique():,} keys; at worst {biggest['misses']:,} misses in {biggest['caches']:,} caches.",
        model=model,
        cache=cache,
        start=start,
        end=end,
        onset_low=start,
        onset_high=start,
        ongoing=(frames.end - end).total_seconds() <= limits.shift_pending_s,
        impact=Impact(
            lookups=whole["lookups"],
            excess_misses=float(extra),
            excess_misses_low=float(extra),
            added_seconds=None if lost is None else round(lost, 3),
        ),
        numbers={
            "herds": herds.height,
            "keys": herds["key"].n_unique(),
            "misses_in_herds": int(herds["misses"].sum()),
            "largest_herd": biggest["misses"],
            "largest_herd_caches": biggest["caches"],
            "share_of_misses": round(extra / whole["misses"], 6),
        },
        evidence=_evidence(events, model, cache, biggest),
        counted={"impact.lookups": (_all(whole, frames),), "misses_in_herds": (_misses(whole, start, end),)},
        next_steps=("let one request fill an entry while the others wait, or serve the old answer meanwhile",),
    )


def _all(whole: dict[str, Any], frames: Frames) -> Counted:
    spells = everywhere(frames.start, frames.end)
    return Counted(what="lookups", model=whole["model"], cache=whole["cache"], spells=spells)


def _misses(whole: dict[str, Any], start: datetime, end: datetime) -> Counted:
    """Return the misses among which those of herds are."""
    spells = everywhere(start, end)
    return Counted(what="misses", model=whole["model"], cache=whole["cache"], spells=spells, outcomes=("miss",))


def _onset(herds: pl.DataFrame) -> datetime:
    """Return when the first herd began that is no stray."""
    ordered = herds.sort("start", "key")
    done = ordered.filter((pl.col("misses") - 1).cum_sum() >= _ONSET * (pl.col("misses") - 1).sum())
    first: datetime = done["start"][0]
    return first


def _severity(
    extra: int, whole: dict[str, Any], span: tuple[datetime, datetime], frames: Frames, limits: Limits
) -> Severity:  # fmt: skip
    inside = (pl.col("model") == whole["model"]) & (pl.col("cache") == whole["cache"])
    inside &= (pl.col("w") + frames.base > span[0]) & (pl.col("w") <= span[1])
    lookups = int(frames.counts.filter(inside)["lookups"].sum())
    worst = severity_of_harm(extra / max(lookups, 1), 1.0, float(extra), 1.0, False, limits)
    few = extra < limits.herd_medium * whole["misses"]
    return min(worst, Severity.LOW) if few else max(worst, Severity.MEDIUM)


def _evidence(events: Events, model: str, cache: str, herd: dict[str, Any]) -> tuple[Evidence, ...]:
    scene = Scene(model, cache, (), herd["start"], herd["end"])
    return misses_of_key(events, scene, herd["key"], "one of many misses of this key at once")
