"""new-keys: the traffic asks for keys never seen before.

What it says
    From a time on, most of the extra misses of a model are of keys that nobody had asked for: how many, and from what
    share of the lookups to what. Where it was so all the time, that is said as information.

Why it matters
    No cache can hold what it was never asked for. The cache is well; the traffic changed: a new client or tenant, a
    crawler, a key that took in something it should not (a time stamp, a request id), a change of the data. New keys
    also push out what was useful.

How it decides
    Every miss has a cause (METHODS §5). A key is new when no replica was asked for it before, in any version, after a
    time in which most keys have been seen: three times the median time between two lookups of a key. A lasting rise
    of the miss rate is this rule's when new keys have half of all that became more.

When it stays quiet
    At the start of the log, when all keys are new to it; on replicas that are new themselves; after a change of
    version where keys name their version; lookups without keys. Traffic that always was new is
    information, from half of the lookups on.

What to do
    See what the new keys have in common: a client, a parameter, a format. If the key holds what changes with each
    request, take it out of the key.
"""

from __future__ import annotations

from dataclasses import replace

from cachelog.contract.events import Events
from cachelog.contract.finding import Finding
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import percent, replicas
from cachelog.metrics.lines import Scene, first_lookups
from cachelog.metrics.makeup import Rise, Standing, finding_of, finding_of_standing, of_cause, said_of

_RULE, _CAUSE = "new-keys", "new-keys"


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each rise that new keys explain, and for each model that was always asked for new ones."""
    risen, always = of_cause(events, frames, _CAUSE, limits)
    return [
        *(_of_rise(rise, events, frames, limits) for rise in risen),
        *(_of_standing(one, events, frames, limits) for one in always),
    ]


def _of_rise(rise: Rise, events: Events, frames: Frames, limits: Limits) -> Finding:
    found = finding_of(_RULE, rise, _CAUSE, frames, limits)
    where = f" on {replicas(len(rise.replicas))}" if rise.replicas else ""
    scene = Scene(rise.model, rise.cache, rise.replicas, rise.start, rise.end)
    return replace(
        found,
        title=f"{rise.model}: keys are asked for that were never seen before{where}",
        summary=f"Since {rise.start:%Y-%m-%d %H:%M:%S} UTC keys are missed that nobody had asked for."
        f" {said_of(rise.makeup, _CAUSE)}",
        evidence=first_lookups(events, scene, "a key never seen before"),
        next_steps=("see what the new keys have in common: a client, a parameter, a time stamp or id in the key",),
    )


def _of_standing(one: Standing, events: Events, frames: Frames, limits: Limits) -> Finding:
    found = finding_of_standing(_RULE, one, frames)
    scene = Scene(one.model, one.cache, (), frames.start + (frames.end - frames.start) / 2, frames.end)
    return replace(
        found,
        title=f"{one.model}: {percent(one.rate)} of the lookups ask for keys never seen before",
        summary=f"All the time: {one.mine:,} of {one.misses:,} misses are of keys that nobody had asked for.",
        evidence=first_lookups(events, scene, "a key never seen before"),
        next_steps=("see whether the key holds something that changes with each request",),
    )
