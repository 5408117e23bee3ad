"""Link effects to causes by scope and time (METHODS §6, a first version).

An effect is a shift of the miss rate or a cold start; a cause is a version event, two versions at once, or a restart. A
cause fits as far as the extra misses lie on its replicas and its replicas have extra misses (their F-measure), and as
far as it came before; in a cache that all replicas share, two versions leave less room for both, and all of them pay.
A rollout that stopped where its version fails to load needs no such weighing. What the keys show of a shift
(evictions, expiry, new keys) stands between the two: it is the cause of the shift where no event fits as well, and
else another effect of the event.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.finding import Cause, Confidence, Finding, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, percent

EFFECTS = frozenset({"miss-rate-shift", "cold-start"})
SHOWN = frozenset({"eviction-thrash", "ttl-churn", "new-keys", "stampede"})  # by keys, of the misses themselves
SPLITS = frozenset({"stuck-rollout", "version-skew"})  # two versions at once, whatever brought them about
VERSIONS = frozenset({"version-regression", "version-flapping", "rollback", "load-failure", "mutable-version"})
CAUSES = VERSIONS | SPLITS | {"replica-restart"}

Shared = frozenset[tuple[str | None, str | None]]  # (model, cache) of which all replicas share one


@dataclass(frozen=True, slots=True)
class _Candidate:
    finding: Finding
    share: float  # of the effect's extra misses on the cause's replicas
    score: float


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known beside the findings."""

    frames: Frames
    limits: Limits
    shared: Shared


def link(findings: Sequence[Finding], frames: Frames, limits: Limits, shared: Shared = frozenset()) -> list[Finding]:
    """Return the findings, effects with their causes and causes with at least the severity of what they explain."""
    known = _Known(frames, limits, shared)
    causes = [f for f in findings if f.rule in CAUSES and not _has_reason(f, findings)]
    shown = [f for f in findings if f.rule in SHOWN and f.severity > Severity.INFO]
    shown = [_explained(f, _fitting(f, causes, known), limits) for f in shown]
    of_itself = {f.fingerprint: f for f in shown}
    linked = [of_itself.get(f.fingerprint) or _linked(f, causes, shown, known) for f in findings]
    linked = [_held_up(f, linked) if f.rule == "stuck-rollout" else f for f in linked]
    brought = {f.fingerprint: [e for e in linked if e.caused_by == f.fingerprint] for f in linked}
    return [_charged(f, brought[f.fingerprint]) for f in linked]


def _has_reason(split: Finding, findings: Sequence[Finding]) -> bool:
    """Are two versions at once what another event of the same replicas brought about? Then that is the cause."""
    if split.rule not in SPLITS:
        return False
    mine = (f for f in findings if f.rule in VERSIONS and f.model == split.model)
    return any(set(f.replicas) & set(split.replicas) for f in mine)


def _is_meant(cause: Finding) -> bool:
    """A rollback, or two versions on purpose: it explains what it costs, but nobody did wrong."""
    return cause.rule == "rollback" or (cause.rule == "version-skew" and cause.severity is Severity.INFO)


def _held_up(stuck: Finding, findings: Sequence[Finding]) -> Finding:
    """Return a stopped rollout with the failed loads of its version as its cause, where all that are behind fail."""
    same = (
        f for f in findings if f.rule == "load-failure" and (f.model, f.version_to) == (stuck.model, stuck.version_to)
    )
    failed = next((f for f in same if set(f.replicas) & set(stuck.replicas)), None)
    if failed is None:
        return stuck
    share = len(set(failed.replicas) & set(stuck.replicas)) / len(stuck.replicas)
    why = f"the version fails to load on {percent(share)} of the replicas that are behind"
    cause = Cause(failed.fingerprint, None, Confidence.HIGH if share == 1 else Confidence.MEDIUM, why)
    return replace(stuck, causes=(cause,), caused_by=failed.fingerprint if share == 1 else None)


def _rises(finding: Finding) -> bool:
    return (finding.impact.excess_misses or 0.0) > 0


def _charged(finding: Finding, effects: Sequence[Finding]) -> Finding:
    """Charge a cause with what its effects cost on its replicas, and give it their severity.

    Its own figure is against the other replicas meanwhile, and too low where they share a cache with its own. What was
    meant stays information however much it cost.
    """
    rules = ("miss-rate-shift", "stuck-rollout")
    sure = [e for e in effects if e.causes[0].confidence is not Confidence.LOW and e.rule in rules]
    if not sure or _is_meant(finding):
        return finding
    own = [(e.causes[0].share or 0.0, e.impact) for e in sure if finding.model in (None, e.model)]
    cost = sum(share * (impact.excess_misses or 0.0) for share, impact in own)
    low = sum(share * (impact.excess_misses_low or 0.0) for share, impact in own)
    impact = finding.impact
    if cost > (impact.excess_misses or 0.0):
        impact = replace(impact, excess_misses=round(cost, 1), excess_misses_low=round(low, 1))
    return replace(finding, severity=max([finding.severity, *(e.severity for e in sure)]), impact=impact)


def _linked(
    finding: Finding, causes: Sequence[Finding], shown: Sequence[Finding], known: _Known
) -> Finding:  # fmt: skip
    """Link an effect to the events behind it, or where none fits as well to what the keys show of it."""
    if finding.rule not in EFFECTS or not _rises(finding):
        return finding
    mine = [s for s in shown if (s.model, s.cache) == (finding.model, finding.cache)]
    events, near = (_fitting(finding, some, known) for some in (causes, mine))
    limits = known.limits
    from_events = _explained(finding, events, limits)
    if not near or finding.rule != "miss-rate-shift":
        return from_events
    behind = bool(near[0].finding.causes) or (events[:1] and events[0].score >= limits.link_nearer * near[0].score)
    return from_events if from_events.causes and behind else _explained(finding, near, limits)


def _fitting(effect: Finding, causes: Sequence[Finding], known: _Known) -> list[_Candidate]:
    """Return the causes in scope, the best first."""
    extra = _extra_by_replica(effect, known.frames)
    found = [_candidate(effect, cause, extra, known) for cause in causes if _in_scope(effect, cause, known.frames)]
    return sorted(found, key=lambda c: (-c.score, c.finding.fingerprint))


def _explained(effect: Finding, found: Sequence[_Candidate], limits: Limits) -> Finding:
    total = sum(c.score for c in found) + limits.link_unknown
    if not found or found[0].score < limits.link_score or found[0].score / total < limits.link_least:
        return effect
    told = [c for c in found if c.score >= found[0].score / 2]
    # what was meant explains a rise but does not make it less of a story of its own
    return replace(
        effect,
        caused_by=None if _is_meant(told[0].finding) else told[0].finding.fingerprint,
        causes=tuple(_cause(c, effect, c.score / total) for c in told),
    )


def _in_scope(effect: Finding, cause: Finding, frames: Frames) -> bool:
    """Same model or all models; or another model on exactly the same replicas, when these are not the whole fleet.

    A replica that restarts with an old volume has an old configuration for its other models too.
    """
    if effect.rule == "cold-start" and cause.rule in SPLITS:
        return False  # the load is behind it, not that others had none
    if cause.model in (None, effect.model):
        return True
    fleet = frames.replicas.filter(pl.col("model") == effect.model).height
    return effect.replicas == cause.replicas and 0 < len(effect.replicas) < fleet


def _extra_by_replica(effect: Finding, frames: Frames) -> Mapping[str, float]:
    """Misses of each replica beyond its rate before the effect, in as much time before as after."""
    start = effect.start or frames.start
    end = effect.end or frames.end
    mine = frames.counts.filter((pl.col("model") == effect.model) & (pl.col("cache") == effect.cache))
    before = _rates(mine, start - (end - start), start)
    after = _rates(mine, start, end)
    return {r: misses - n * _ratio(before.get(r, (0, 0)), n, misses) for r, (n, misses) in after.items()}


def _rates(counts: pl.DataFrame, since: datetime, until: datetime) -> Mapping[str, tuple[int, int]]:
    inside = counts.filter((pl.col("w") >= since) & (pl.col("w") < until))
    sums = inside.group_by("replica").agg(pl.col("lookups", "misses").sum())
    return {replica: (n, misses) for replica, n, misses in sums.iter_rows()}


def _ratio(before: tuple[int, int], n: int, misses: int) -> float:
    """The rate before; a replica that was not there before has no extra misses of its own."""
    lookups, missed = before
    return missed / lookups if lookups else misses / max(n, 1)


def _candidate(effect: Finding, cause: Finding, extra: Mapping[str, float], known: _Known) -> _Candidate:
    fit, share = _fit(cause.replicas or sorted(extra), extra)  # one that names no replica is of them all
    if (effect.model, effect.cache) in known.shared and cause.rule in VERSIONS | SPLITS:
        fit = max(fit, _fit(sorted(extra), extra)[0])  # versions share the room, so all replicas pay
    prior = 1.0 if cause.model in (None, effect.model) else known.limits.link_other_model
    return _Candidate(cause, share, prior * fit * _timely(effect, cause, known.limits))


def _fit(names: Sequence[str], extra: Mapping[str, float]) -> tuple[float, float]:
    """Return how well some replicas fit those with extra misses (F-measure), and their share of these."""
    total = sum(x for x in extra.values() if x > 0)
    inside = sum(extra.get(r, 0.0) for r in names if extra.get(r, 0.0) > 0)
    risen = sum(extra.get(r, 0.0) > 0.02 * total for r in names)
    recall = inside / total if total else 0.0
    precision = risen / len(names) if names else 0.0
    return (2 * recall * precision / (recall + precision) if recall + precision else 0.0), recall


def _timely(effect: Finding, cause: Finding, limits: Limits) -> float:
    """1 where the cause began within the interval of the onset, falling off on both sides."""
    if cause.start is None or effect.start is None:
        return 0.0
    low = (effect.onset_low or effect.start) - timedelta(seconds=limits.link_slack_s)
    high = (effect.onset_high or effect.start) + timedelta(seconds=limits.link_slack_s)
    if cause.start < low:
        return math.exp(-(low - cause.start).total_seconds() / limits.link_before_s)
    if cause.start > high:
        return math.exp(-(cause.start - high).total_seconds() / limits.link_after_s)
    return 1.0


def _cause(candidate: _Candidate, effect: Finding, belief: float) -> Cause:
    lead = ((effect.start or datetime.min) - (candidate.finding.start or datetime.min)).total_seconds()
    when = f"began {lasting(abs(lead))} {'before' if lead >= 0 else 'after'} it was seen"
    why = f"{percent(candidate.share)} of the extra misses are on its replicas; it {when}"
    sure = Confidence.HIGH if belief >= 0.8 else Confidence.MEDIUM if belief >= 0.5 else Confidence.LOW
    if candidate.finding.model not in (None, effect.model):
        why = f"another model, but the same replicas at the same time; {why}"
        sure = min(sure, Confidence.MEDIUM)
    return Cause(candidate.finding.fingerprint, round(candidate.share, 6), sure, why)
