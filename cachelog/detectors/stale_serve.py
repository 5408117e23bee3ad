"""stale-serve: requests answered by an older version than the one the replica has loaded, or by a stale entry.

What it says
    A replica said that it loaded a newer version of a model, and lookups on it go on to be answered by the older one:
    how many, on which replicas, for how long. Or: a cache served entries past their time, and in one stretch far more
    than otherwise.

Why it matters
    The rollout looks complete, and users still get the old model: traffic was not switched, a worker process was not
    replaced, or entries of a result cache without the version in their keys outlive the version. Stale entries in
    bulk mean that what should refresh them does not answer.

How it decides
    From a minute after the line that the newer version is loaded, until it goes: at least 30 lookups, over a minute or
    more, that carry an older version. They are stale when the newer one answers next to none meanwhile; or when a line
    said that the older one was unloaded; or when they are hits only, though the newer one misses: entries that outlived
    their version. Stale entries are those that the cache itself calls so (STALE, UPDATING); a stretch of five minutes
    with a fifth of the lookups stale, and three times as many as in the rest of the log, is a failure to refresh.

When it stays quiet
    An older version that a line asked for after the newer was loaded (a default switched back): that is a rollback.
    Older versions served on purpose, for both hit and miss side by side (requests that name a version, tenants, arms);
    the first minute after a load; versions that lookups and loads do not name alike; an older version that was loaded
    after the newer (version-regression, rollback). It is low where all replicas do it: perhaps the newer version is to
    be promoted later, or was switched off on purpose. A steady share of stale entries is information: caches are set up
    to do that.

What to do
    See how requests choose the version on these replicas: label, default version, worker processes that were not
    reloaded; put the version into the key of result caches, or flush them at a rollout. Stale entries: look at the
    origin's errors and times in that stretch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby

import polars as pl

from cachelog.contract.counted import Counted, Spell, everywhere
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Severity
from cachelog.contract.limits import DEFAULT, Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, percent, replicas
from cachelog.metrics.lines import served_line
from cachelog.metrics.margins import of_stale
from cachelog.metrics.staleness import Entries, Stale, stale_entries, stale_replicas

_SHOWN = 3  # replicas whose lines are cited
_WHY = {
    "alone": "the newer version answers next to none",
    "unloaded": "a line said before that it was unloaded",
    "hits": "all of them are hits, of entries that outlived their version",
}


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each model and pair of versions, and one for each cache with stale entries."""
    unasked = (s for s in stale_replicas(frames, limits) if not _is_asked_for(s, frames, limits))
    found = sorted(unasked, key=lambda s: (s.model, s.newer, s.older, s.replica, s.loaded))
    pairs = groupby(found, key=lambda s: (s.model, s.newer, s.older))
    served = [_served(list(group), events, frames, limits) for _, group in pairs]
    return served + [_kept(e, events, frames) for e in stale_entries(frames, limits)]


def _is_asked_for(one: Stale, frames: Frames, limits: Limits) -> bool:
    """Did a line ask for the older version after the newer was loaded? Then it answers because it should."""
    until = one.first + timedelta(seconds=limits.clock_slack_s)
    asked = frames.changes.filter(
        (pl.col("op") == "rollout") & (pl.col("model") == one.model) & (pl.col("version") == one.older)
        & (pl.col("ts") >= one.loaded) & (pl.col("ts") <= until)
    )  # fmt: skip
    return not asked.is_empty()


def _served(mine: Sequence[Stale], events: Events, frames: Frames, limits: Limits) -> Finding:
    model, newer, older = mine[0].model, mine[0].newer, mine[0].older
    start, end = min(s.loaded for s in mine), max(s.last for s in mine)
    stale, total = sum(s.answered for s in mine), _lookups(model, mine, frames)
    names = tuple(sorted({s.replica for s in mine}))
    basis = frames.order.filter((pl.col("model") == model) & (pl.col("version") == newer))["basis"][0]
    margin, everywhere = of_stale(mine, events), _is_everywhere(model, names, mine, frames)
    return Finding(
        rule="stale-serve",
        severity=Severity.LOW if everywhere else _severity(mine, stale, total, limits),
        confidence=Confidence.MEDIUM if everywhere or basis == "observed" else Confidence.HIGH,
        title=f"{model}: {older} still answers on {replicas(len(names))} after {newer} was loaded there",
        summary=f"{_summary(mine, names, stale, total, everywhere)} {margin.said}",
        model=model,
        replicas=names,
        version_from=newer,
        version_to=older,
        order_basis=basis,
        start=start,
        end=end,
        onset_low=start,
        onset_high=min(s.first for s in mine),
        ongoing=any((s.until - s.last).total_seconds() <= limits.stale_grace_s for s in mine),
        impact=Impact(lookups=total, stale_served=stale),
        numbers={
            "replicas_stale": len(names),
            "stale_served": stale,
            "stale_share": round(stale / total, 6) if total else None,
            "answered_by_newer": sum(s.newly for s in mine),
            "longest_seconds": round(max((s.last - s.loaded).total_seconds() for s in mine), 3),
            **margin.numbers,
        },
        evidence=_evidence(mine, events),
        counted=_counted(mine),
        next_steps=(f"see what chooses the version of {model} for requests on {listed(names, 5)}",),
    )


def _counted(mine: Sequence[Stale]) -> dict[str, tuple[Counted, ...]]:
    """Return which lines the figures count, those soon after a load left out."""
    model, newer, older = mine[0].model, mine[0].newer, mine[0].older
    spells = tuple(Spell(s.replica, s.first, s.last) for s in mine)
    served = Counted(what=f"lookups answered by {older}", model=model, version=older, spells=spells)
    newly = Counted(what=f"lookups answered by {newer}", model=model, version=newer, spells=spells)
    every = everywhere(min(s.first for s in mine), max(s.last for s in mine))
    return {
        "impact.lookups": (Counted(what="lookups", model=model, spells=every, whole=True),),
        "impact.stale_served": (served,),
        "stale_served": (served,),
        "answered_by_newer": (newly,),
    }


def _lookups(model: str, mine: Sequence[Stale], frames: Frames) -> int:
    """Return the lookups of the model in the whole windows of that time."""
    first, last = min(s.first for s in mine), max(s.last for s in mine)
    near = (pl.col("model") == model) & (pl.col("cache") != "model")
    inside = frames.counts.filter(near & (pl.col("first") >= first) & (pl.col("last") <= last))
    return int(inside["lookups"].sum())


def _is_everywhere(model: str, names: Sequence[str], mine: Sequence[Stale], frames: Frames) -> bool:
    """Does every replica that answers for the model do so, with no line against it?

    Then the newer version is not promoted yet, or what is the default was switched back: by somebody, most likely.
    """
    first, last = min(s.first for s in mine), max(s.last for s in mine)
    near = (pl.col("model") == model) & (pl.col("cache") != "model") & (pl.col("lookups") > 0)
    there = frames.counts.filter(near & (pl.col("first") >= first) & (pl.col("last") <= last))["replica"]
    return set(there.drop_nulls().to_list()) <= set(names) and all(s.how == "alone" for s in mine)


def _severity(mine: Sequence[Stale], stale: int, total: int, limits: Limits) -> Severity:
    """METHODS §7, but in a log of minutes it is not known to last: medium."""
    much = stale >= limits.stale_high or stale >= limits.stale_critical * max(total, 1)
    lasts = max((s.last - s.loaded).total_seconds() for s in mine) >= DEFAULT.hold_s
    return Severity.HIGH if much and lasts else Severity.MEDIUM


def _summary(mine: Sequence[Stale], names: Sequence[str], stale: int, total: int, everywhere: bool) -> str:
    one = mine[0]
    hows = sorted({s.how for s in mine})
    said = f"{listed(names, 5)} loaded {one.newer} from {min(s.loaded for s in mine):%H:%M:%S} UTC on; {stale:,} of"
    said += (
        f" {total:,} lookups of the model since then got {one.older} there ({percent(stale / max(total, 1))}), for up"
    )
    said += f" to {lasting(max((s.last - s.loaded).total_seconds() for s in mine))}."
    if everywhere:
        return f"{said} No replica serves {one.newer} then: it is not promoted yet, or was switched off again."
    return f"{said} That is stale: {'; '.join(_WHY[how] for how in hows)}."


def _evidence(mine: Sequence[Stale], events: Events) -> tuple[Evidence, ...]:
    found = []
    for s in mine[:_SHOWN]:
        found.append(Evidence(s.source, s.line, s.loaded, "newer version loaded"))
        lines = (
            served_line(events, s.model, s.replica, s.older, since=s.first, role="older version still served"),
            served_line(events, s.model, s.replica, s.older, before=s.last, role="older version served last"),
        )
        found += [line for line in lines if line]
    return tuple(dict.fromkeys(found))


def _kept(entries: Entries, events: Events, frames: Frames) -> Finding:
    share = entries.stale_then / max(entries.lookups_then, 1)
    lines = _stale_lines(entries, events)
    log = everywhere(frames.start, frames.end)
    every = Counted(what="lookups", model=entries.model, cache=entries.cache, spells=log)
    much = "for " + lasting((entries.end - entries.start).total_seconds()) if entries.much else "throughout the log"
    said = f"{entries.stale:,} of {entries.lookups:,} lookups got an entry past its time."
    if entries.much:
        said += (
            f" {entries.stale_then:,} of {entries.lookups_then:,} ({percent(share)}) from {entries.start:%H:%M:%S} to"
        )
        said += f" {entries.end:%H:%M:%S} UTC: what should refresh the entries did not answer then."
    return Finding(
        rule="stale-serve",
        severity=Severity.MEDIUM if entries.much else Severity.INFO,
        confidence=Confidence.MEDIUM,
        title=f"{entries.model}: {percent(share)} of the lookups got stale entries {much}",
        summary=said,
        model=entries.model,
        cache=entries.cache,
        replicas=_where(entries, frames),
        start=entries.start,
        end=entries.end,
        onset_low=entries.start,
        onset_high=entries.start,
        impact=Impact(lookups=entries.lookups_then, stale_served=entries.stale_then if entries.much else None),
        numbers={"stale": entries.stale, "lookups": entries.lookups, "stale_share": round(share, 6)},
        evidence=lines,
        counted={"lookups": (every,), "stale": (replace(every, what="stale entries", outcomes=("stale",)),)},
    )


def _where(entries: Entries, frames: Frames) -> tuple[str, ...]:
    mine = (pl.col("model") == entries.model) & (pl.col("cache") == entries.cache) & (pl.col("stale") > 0)
    inside = frames.counts.filter(mine & pl.col("first").is_between(entries.start, entries.end))
    return tuple(inside["replica"].drop_nulls().unique().sort().to_list())


def _stale_lines(entries: Entries, events: Events) -> tuple[Evidence, ...]:
    mine = (pl.col("op") == "lookup") & (pl.col("outcome") == "stale") & (pl.col("ts") >= entries.start)
    rows = events.of(entries.model).filter(mine & (pl.col("cache").cast(pl.String) == entries.cache))
    first = rows.select("source", "line", "ts").bottom_k(2, by=["ts", "source", "line"]).collect()
    told = first.sort("ts", "source", "line").iter_rows()
    return tuple(Evidence(source, line, ts, "stale entry served") for source, line, ts in told)
