"""What the platform says beside the logs: manifests that differ, what went wrong on a replica, the deploy before.

Manifests, deploys and trouble are facts of the platform, not of the model: they are told beside what the logs show, and
never make a version of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.finding import Evidence, Finding, Number, Rejected
from cachelog.contract.limits import Limits
from cachelog.contract.platform import (
    ANY,
    CHANGED,
    CONFIG_MAP,
    DEPLOY,
    IMAGE,
    MANIFEST,
    SAID,
    STARTED,
    TEMPLATE,
    TROUBLE,
    of_kind,
    told,
)
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed
from cachelog.metrics.once import once

_SHOWN = 2  # parts of manifests, values, and replicas that are told of
_PLACE = ["ts", "source", "line"]


def told_beside(
    rare: pl.DataFrame, serving: pl.DataFrame, totals: pl.DataFrame, period: tuple[datetime, datetime], limits: Limits
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return Frames.platform, and the events (EVENT) of the platform that belong to the changes of the fleet.

    Histories go back for years, and lists hold all pods: what is before the period says nothing (but manifests do), nor
    do starts of pods that are not in the logs, where these tell of any.
    """
    start, end = period
    ours = rare.filter(told() & (pl.col("ts") <= end))
    recent = pl.col("ts") >= start - timedelta(seconds=limits.announced_s)
    asked = pl.col("op") == "rollout"
    said = ours.filter(asked & (of_kind(MANIFEST) | recent)).with_columns(pl.col("replica").cast(pl.String))
    labels = [pl.col(name).cast(dtype) for name, dtype in SAID.items()]
    known = pl.concat([totals["replica"], serving["replica"].cast(pl.String)]).drop_nulls().unique()
    mine = pl.lit(known.is_empty()) | pl.col("replica").cast(pl.String).is_in(known.implode())
    started = (pl.col("op") == "restart") & (pl.col("ts") >= start) & mine
    named = asked & pl.col("model").is_not_null() & pl.col("version").is_not_null() & recent
    return said.select(labels).unique().sort(*SAID), ours.filter(started | named)


@dataclass(frozen=True)
class Beside:
    """What is told of some replicas: sentences, lines, what is ruled out, and figures by name."""

    said: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    numbers: Mapping[str, Number] = field(default_factory=dict)

    def added(self, finding: Finding) -> Finding:
        """Return a finding that tells this too."""
        return replace(
            finding,
            summary=" ".join((finding.summary, *self.said)),
            evidence=tuple(dict.fromkeys((*finding.evidence, *self.evidence))),
            rejected=(*finding.rejected, *self.rejected),
            numbers={**finding.numbers, **self.numbers},
        )


@dataclass(frozen=True)
class _Fact:
    """One part of the manifest of a replica."""

    values: frozenset[str]
    digests: frozenset[str]
    source: int
    line: int
    ts: datetime


_Facts = dict[str, dict[str, _Fact]]  # replica -> part of the manifest


def compared(
    frames: Frames, these: Sequence[str], others: Sequence[str], since: datetime, until: datetime
) -> Beside:  # fmt: skip
    """Return how the manifests of some replicas differ from those of others, and what went wrong on them meanwhile."""
    if frames.platform.is_empty():
        return Beside()
    manifests, troubles = _manifests(frames, these, others), _troubles(frames, these, since, until)
    said, evidence = manifests.said + troubles.said, manifests.evidence + troubles.evidence
    return Beside(said, evidence, manifests.rejected, manifests.numbers)


@once
def _facts(frames: Frames) -> _Facts:
    """Return the latest manifest of each replica, part by part."""
    rows = frames.platform.filter(of_kind(MANIFEST) & pl.col("replica").is_not_null() & pl.col("version").is_not_null())
    latest = rows.filter(pl.struct(_PLACE) == pl.struct(_PLACE).last().over("replica", "reason"))
    parts = latest.group_by("replica", "reason", maintain_order=True).agg(
        pl.col("version").unique(), pl.col("digest").drop_nulls().unique(), pl.col("source", "line", "ts").first()
    )
    found: _Facts = {}
    for replica, reason, versions, digests, source, line, ts in parts.iter_rows():
        fact = _Fact(frozenset(versions), frozenset(digests), source, line, ts)
        found.setdefault(replica, {})[reason.removeprefix(MANIFEST)] = fact
    return found


def _manifests(frames: Frames, these: Sequence[str], others: Sequence[str]) -> Beside:
    facts = _facts(frames)
    mine = [facts[r] for r in these if r in facts]
    theirs = [facts[r] for r in others if r in facts]
    if not theirs or len(mine) < len(these):
        return Beside()
    parts = sorted(set.intersection(*(set(known) for known in (*mine, *theirs))) - {STARTED})
    differing = {part: pair for part in parts if (pair := _differ(part, mine, theirs))}
    told = [part for part in differing if part != TEMPLATE] or list(differing)
    changed = _changed_between(frames, facts, these, others)
    if changed.said and told in ([], [TEMPLATE]):
        return changed
    if told:
        return _other_manifest(differing, told[:_SHOWN], facts, these, others)
    same = [part for part in parts if part != TEMPLATE and len({known[part].values for known in mine + theirs}) == 1]
    why = f"their pods have the same as the others: {listed(same, 5)}"
    return Beside(rejected=(Rejected("another manifest", why),) if same else ())


def _differ(
    part: str, mine: Sequence[dict[str, _Fact]], theirs: Sequence[dict[str, _Fact]]
) -> tuple[str, str] | None:  # fmt: skip
    """Return what each replica of one side has and none of the other; of equal images the digests."""
    sides = [[known[part].values for known in side] for side in (mine, theirs)]
    if part == IMAGE and set(sides[0]) == set(sides[1]):
        sides = [[known[part].digests for known in side] for side in (mine, theirs)]
    all_mine, all_theirs = (frozenset[str]().union(*side) for side in sides)
    own = all_mine - all_theirs, all_theirs - all_mine
    if not all(values & only for side, only in zip(sides, own, strict=True) for values in side):
        return None
    return listed(sorted(own[0]), _SHOWN), listed(sorted(own[1]), _SHOWN)


def _changed_between(frames: Frames, facts: _Facts, these: Sequence[str], others: Sequence[str]) -> Beside:
    """Return a ConfigMap of all these replicas that was changed after those of one side had started, and before others.

    A process reads its variables when it starts, and most their files.
    """
    known = [[r for r in side if r in facts] for side in (these, others)]
    every = [facts[r] for side in known for r in side]
    if not all(CONFIG_MAP in fact and STARTED in fact for fact in every):
        return Beside()
    shared = frozenset.intersection(*(fact[CONFIG_MAP].values for fact in every))
    rows = frames.platform.filter((pl.col("reason") == MANIFEST + CHANGED) & pl.col("version").is_in(sorted(shared)))
    mine, theirs = ([facts[r][STARTED].ts for r in side] for side in known)
    for ts, source, line, name in rows.select(*_PLACE, "version").reverse().iter_rows():
        before = max(mine) < ts <= min(theirs)
        if before or max(theirs) < ts <= min(mine):
            return _of_change(these, name, Evidence(source, line, ts, f"ConfigMap {name} changed"), before=before)
    return Beside()


def _of_change(these: Sequence[str], name: str, change: Evidence, *, before: bool) -> Beside:
    names = f"The pods of {listed(these)}" if len(these) > 1 else f"The pod of {these[0]}"
    order = ("before", "the old one", "after") if before else ("after", "the new one", "before")
    said = f"{names} started {order[0]} ConfigMap {name} changed ({change.time:%Y-%m-%d %H:%M:%S} UTC), so with"
    said += f" {order[1]}; the others {order[2]} it."
    return Beside((said,), (change,), numbers={"manifest_differs": CHANGED, "manifest_value": name})


def _other_manifest(
    differing: dict[str, tuple[str, str]],
    shown: Sequence[str],
    facts: _Facts,
    these: Sequence[str],
    others: Sequence[str],
) -> Beside:
    names = f"The pods of {listed(these)}" if len(these) > 1 else f"The pod of {these[0]}"
    names += ", created before the others," if _are_older(facts, these, others) else ""
    told = " and ".join(f"{part} {differing[part][0]} (the others {differing[part][1]})" for part in shown)
    first = next(r for r in others if r in facts)
    evidence = [
        Evidence(fact.source, fact.line, fact.ts, f"manifest of {replica}: {part} {listed(sorted(fact.values), 1)}")
        for replica in (*these[:_SHOWN], first)
        for part in shown[:1]
        if (fact := facts[replica].get(part))
    ]
    values = dict(zip(("manifest_value", "manifest_value_of_others"), differing[shown[0]], strict=True))
    said = f"{names} {'have' if len(these) > 1 else 'has'} {told}."
    return Beside((said,), tuple(evidence), numbers={"manifest_differs": shown[0], **values})


def _are_older(facts: _Facts, these: Sequence[str], others: Sequence[str]) -> bool:
    """Were all these pods created before all the others? The hash of its template is as old as a pod."""
    sides = [[facts[r][TEMPLATE].ts for r in side if TEMPLATE in facts.get(r, {})] for side in (these, others)]
    return len(sides[0]) == len(these) and bool(sides[1]) and max(sides[0]) < min(sides[1])


def _concerns(said: pl.DataFrame, replicas: Sequence[str]) -> pl.Expr:
    """Return whether a row is about one of these replicas, or a workload of theirs."""
    names = said["replica"].drop_nulls().unique().sort().to_list()
    known = frozenset(replicas)
    mine = [n for n in names if n in known or (n.endswith(ANY) and any(_is_pod_of(r, n) for r in replicas))]
    return pl.col("replica").is_in(mine)


_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"  # letters of names that Kubernetes makes up
_MADE_UP = re.compile(rf"(?:(?:{_SAFE}{{1,10}}|[a-f0-9]{{6,10}})-)?(?:{_SAFE}{{5}}|[0-9]+)")


def _is_pod_of(replica: str, workload: str) -> bool:
    """Is a replica named as a pod of a workload is: its name, a hash or none, and five letters or a number?"""
    prefix = workload.removesuffix(ANY) + "-"
    return replica.startswith(prefix) and _MADE_UP.fullmatch(replica[len(prefix) :]) is not None


def _troubles(frames: Frames, these: Sequence[str], since: datetime, until: datetime) -> Beside:
    """Return the last trouble of each of the first replicas that had any."""
    mine = frames.platform.filter(
        of_kind(TROUBLE) & _concerns(frames.platform, these) & pl.col("ts").is_between(since, until)
    )
    last = mine.group_by("replica", maintain_order=True).last().sort("replica").head(_SHOWN)
    rows = [
        (replica.removesuffix(ANY), reason.removeprefix(TROUBLE), Evidence(source, line, ts, "trouble told"))
        for replica, reason, source, line, ts in last.select("replica", "reason", "source", "line", "ts").iter_rows()
    ]
    said = (f"The platform says of {name} at {e.time:%H:%M:%S} UTC: {what.rstrip('.')}." for name, what, e in rows)
    return Beside(tuple(said), tuple(evidence for *_, evidence in rows))


def deployed(
    frames: Frames, model: str, replicas: Sequence[str], onset: tuple[datetime, datetime], limits: Limits
) -> Beside:
    """Return the last deploy of all, of the model, or of one of these replicas, up to the end of an onset's interval.

    Where deploys are known, and none of them was near, that is ruled out.
    """
    low, high = onset
    here = pl.col("replica").is_null() | _concerns(frames.platform, replicas)
    ours = here & (pl.col("model").is_null() | (pl.col("model") == model))
    known = frames.platform.filter(of_kind(DEPLOY) & ours)
    if known.is_empty():
        return Beside()
    since, until = low - timedelta(seconds=limits.deploy_s), high + timedelta(seconds=limits.deploy_late_s)
    near = known.filter(pl.col("ts").is_between(since, until)).select(*_PLACE, "reason")
    by_then = near.filter(pl.col("ts") <= high)
    for ts, source, line, reason in (near.head(1) if by_then.is_empty() else by_then.tail(1)).iter_rows():
        said = f"{_when(ts, low, high)} there was a deploy: {reason.removeprefix(DEPLOY).rstrip('.')}."
        figure: dict[str, Number] = {"deploy_seconds_before": round((low - ts).total_seconds(), 3)}
        return Beside((said,), (Evidence(source, line, ts, "deploy"),), numbers=figure)
    why = f"none of {known.height} that are told of was in the {lasting(limits.deploy_s)} before it"
    return Beside(rejected=(Rejected("a deploy", why),))


def _when(ts: datetime, low: datetime, high: datetime) -> str:
    if low < ts <= high:
        return f"At {ts:%H:%M:%S} UTC, in this time,"
    seconds = (low - ts if ts <= low else ts - high).total_seconds()
    return f"{lasting(seconds)} {'before' if ts <= low else 'after'} it"
