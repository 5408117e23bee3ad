"""eviction-thrash: entries are evicted and asked for again: the cache is too small.

What it says
    From a time on, most of the extra misses of a model are of entries that the cache had, pushed out to make room, and
    was then asked for again: how many, on which replicas, from what share of the lookups to what. Where it was so all
    the time, that is said as information.

Why it matters
    A cache that throws away what it needs next works for nothing: each of these misses would have been a hit with more
    room. Typical reasons: a smaller limit of entries or memory, bigger entries, more models in one cache, or a scan
    that runs through it once.

How it decides
    Every miss has a cause (METHODS §5). Capacity is the cause where a line says that the entry was evicted since it was
    last asked for; where no evictions are logged, where entries are gone that were left alone for longer than a time
    that tells hits from misses nearly always. A lasting rise of the miss rate is this rule's when capacity has half of
    all that became more. Without lines of evictions it is one class less sure.

When it stays quiet
    Misses whose entry ran out of time, was flushed, or belongs to another version; misses without keys, where nothing
    shows why. A cache that always evicted: a word from half of the lookups on, medium from 70 %.

What to do
    Compare the limits of the cache with what they were; give it more room, or keep out what is asked for once. If only
    some replicas have it, compare their settings.
"""

from __future__ import annotations

from dataclasses import replace

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import percent, replicas
from cachelog.metrics.lines import Scene, first_misses, misses_with_past
from cachelog.metrics.makeup import (
    Rise,
    Standing,
    finding_of,
    finding_of_standing,
    of_cause,
    said_of,
    scene_of,
    tells_evictions,
)

_RULE, _CAUSE = "eviction-thrash", "capacity"
_INFERRED = " No line tells an eviction: it is inferred from how long entries last."


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each rise that capacity explains, and for each model that always thrashed."""
    risen, always = of_cause(events, frames, _CAUSE, limits)
    return [
        *(_of_rise(rise, events, frames, limits) for rise in risen),
        *(_of_standing(one, events, frames, limits) for one in always),
    ]


def _of_rise(rise: Rise, events: Events, frames: Frames, limits: Limits) -> Finding:
    found = finding_of(_RULE, rise, _CAUSE, frames, limits)
    inferred = not tells_evictions(events, rise.model, rise.cache)
    where = f" on {replicas(len(rise.replicas))}" if rise.replicas else ""
    return replace(
        found,
        confidence=Confidence(max(found.confidence - inferred, Confidence.LOW)),
        title=f"{rise.model}: entries are evicted and asked for again{where}, the cache is too small",
        summary=f"Since {rise.start:%Y-%m-%d %H:%M:%S} UTC entries are missed that were evicted before."
        f" {said_of(rise.makeup, _CAUSE)}{_INFERRED if inferred else ''}",
        evidence=_evidence(events, scene_of(rise, events, frames, limits)),
        next_steps=("compare the size of the cache, its entries and who else uses it with what they were before",),
    )


def _of_standing(one: Standing, events: Events, frames: Frames, limits: Limits) -> Finding:
    found = finding_of_standing(_RULE, one, frames)
    inferred = not tells_evictions(events, one.model, one.cache)
    return replace(
        found,
        confidence=Confidence(max(found.confidence - inferred, Confidence.LOW)),
        severity=Severity.MEDIUM if one.rate >= limits.stands_medium else Severity.INFO,
        title=f"{one.model}: {percent(one.rate)} of the lookups miss entries that were evicted",
        summary=f"All the time: {one.mine:,} of {one.misses:,} misses are of entries that the cache had and evicted."
        + (_INFERRED if inferred else ""),
        evidence=_evidence(events, scene_of(one, events, frames, limits)),
        next_steps=("see whether more room would pay: each of these misses would have been a hit",),
    )


def _evidence(events: Events, scene: Scene) -> tuple[Evidence, ...]:
    pairs = misses_with_past(events, scene, ["evict"], ("evicted", "asked for again"))
    return pairs or first_misses(events, scene, "missed after the onset")
