"""ttl-churn: entries expire before they are asked for again.

What it says
    From a time on, most of the extra misses of a model are of entries that had outlived their time: how many, on which
    replicas, and the time to live before and after where the logs show it. Where it was so all the time, that is said
    as information.

Why it matters
    An entry that expires between two lookups was filled for nothing. A time to live that was set too short by a change
    of configuration, or in the wrong unit, turns a cache into none, and nothing in the logs says error.

How it decides
    Every miss has a cause (METHODS §5). It is the time to live where the line says that the entry had expired, or
    where ages show an edge: entries younger are hit, of those older fewer than one in a hundred. The edge is sought in
    stretches, so that a change shows. A lasting rise of the miss rate is this rule's when expiry has half of all that
    became more and the time to live became shorter by a fifth or more.

When it stays quiet
    Where the time to live is what it was: entries that were filled together after a cold start expire together, and
    traffic that asks less often meets more expired entries. Where the logs do not show it, a rise is medium at most,
    and none right after a cold start. Caches whose entries always expired: information, from half of the lookups on.

What to do
    Look for the change of the time to live at the onset: a deploy of configuration, a default of a new library. If it
    is meant, refresh hot entries before they expire.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Number, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, percent, replicas
from cachelog.metrics.causes import explained
from cachelog.metrics.lifetimes import Edge
from cachelog.metrics.lines import Scene, first_misses, misses_with_past
from cachelog.metrics.makeup import (
    Rise,
    Standing,
    finding_of,
    finding_of_standing,
    rises,
    said_of,
    scene_of,
    standing,
)

_RULE, _CAUSE = "ttl-churn", "ttl"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each rise that expiry explains, and for each model whose entries always expired."""
    found, told = list[Finding](), set[tuple[str, str]]()
    ttl = explained(events, frames, limits).ttl
    for rise in rises(events, frames, limits):
        if rise.makeup.share(_CAUSE) < limits.cause_share:
            continue
        told.add((rise.model, rise.cache))
        before, after = _around(ttl.get((rise.model, rise.cache), ()), rise)
        if not _is_harmless(rise, before, after, limits):
            found.append(_of_rise(rise, (before, after), events, frames, limits))
    always = [s for s in standing(events, frames, _CAUSE, limits) if (s.model, s.cache) not in told]
    return [*found, *(_of_standing(one, events, frames, limits) for one in always)]


def _around(edges: tuple[Edge, ...], rise: Rise) -> tuple[float | None, float | None]:
    """Return the longest time to live of entries filled before the onset and the last one after it, in seconds."""
    onset = (rise.start - _EPOCH) // timedelta(microseconds=1)
    before = [edge.age for edge in edges if edge.since < onset]
    after = [edge.age for edge in edges if edge.until > onset]
    return (max(before) / 1e6 if before else None), (after[-1] / 1e6 if after else None)


def _is_shorter(before: float | None, after: float | None, limits: Limits) -> bool:
    return before is not None and after is not None and after <= limits.ttl_shorter * before


def _is_harmless(rise: Rise, before: float | None, after: float | None, limits: Limits) -> bool:
    """Is the time to live what it was, or may, where it is not known, entries filled together have expired together?"""
    known = before is not None and after is not None
    return not _is_shorter(before, after, limits) and (known or rise.excursion.owed or rise.unsettled(limits))


def _of_rise(
    rise: Rise, ttl: tuple[float | None, float | None], events: Events, frames: Frames, limits: Limits
) -> Finding:  # fmt: skip
    found = finding_of(_RULE, rise, _CAUSE, frames, limits)
    where = f" on {replicas(len(rise.replicas))}" if rise.replicas else ""
    shorter = _is_shorter(*ttl, limits)
    numbers: dict[str, Number] = {"ttl_before_seconds": _rounded(ttl[0]), "ttl_after_seconds": _rounded(ttl[1])}
    return replace(
        found,
        severity=found.severity if shorter else min(found.severity, Severity.MEDIUM),
        confidence=found.confidence if shorter else min(found.confidence, Confidence.MEDIUM),
        title=f"{rise.model}: entries expire before they are asked for again{where}",
        summary=f"Since {rise.start:%Y-%m-%d %H:%M:%S} UTC entries are missed that had expired."
        f" {said_of(rise.makeup, _CAUSE)}{_of_ttl(*ttl)}",
        numbers={**found.numbers, **numbers},
        evidence=_evidence(events, scene_of(rise, events, frames, limits)),
        next_steps=("look for a change of the time to live: configuration, defaults of a library, its unit",),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _of_ttl(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return " The logs do not show for how long entries live."
    return f" Entries lived for {_span(before)}, and now live for {_span(after)}."


def _span(seconds: float) -> str:
    return lasting(seconds) if seconds >= 10 else f"{seconds:.1f} s"


def _of_standing(one: Standing, events: Events, frames: Frames, limits: Limits) -> Finding:
    found = finding_of_standing(_RULE, one, frames)
    return replace(
        found,
        title=f"{one.model}: {percent(one.rate)} of the lookups miss entries that expired",
        summary=f"All the time: {one.mine:,} of {one.misses:,} misses are of entries that had outlived their time.",
        evidence=_evidence(events, scene_of(one, events, frames, limits)),
        next_steps=("see whether entries may live for longer, or hot ones be refreshed before they expire",),
    )


def _evidence(events: Events, scene: Scene) -> tuple[Evidence, ...]:
    pairs = misses_with_past(events, scene, ["lookup", "expire"], ("was there", "missed again"))
    return pairs or first_misses(events, scene, "missed after the onset")
