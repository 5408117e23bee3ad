"""The verdict of `cachelog check`: findings, miss rates, expectations, each a check with one sentence of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cachelog.contract.config import CheckConfig, Margins, Suppression
from cachelog.contract.deploys import Deploy
from cachelog.contract.events import Events
from cachelog.contract.finding import Finding, ModelRow, Number, Report, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.verdict import VERDICT, Check, Outcome, Verdict
from cachelog.contract.wording import percent
from cachelog.metrics.expected import Expected, Fulfilment, converged, fulfilled
from cachelog.metrics.judge import Errors, Judged, Side, judge_increase, judge_level, levels
from cachelog.metrics.sides import Parted, Place, deploys, sides, unsettled, whole

__all__ = ["Expected", "Parted", "Place"]


@dataclass(frozen=True)
class Remembered:
    """Rates that a baseline calls too high already."""

    failed: Mapping[str, Side] = field(default_factory=dict)  # by name of a check of its verdict
    risen: Mapping[Place, Side] = field(default_factory=dict)  # as its findings say

    def of(self, name: str, place: Place) -> Side | None:
        """Return the rate that a check has in the baseline."""
        return self.failed.get(name) or self.risen.get(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a check is to look at, beside the findings."""

    deployed: datetime | None = None  # None: as the logs show it
    deploys: tuple[Deploy, ...] = ()  # ... or of some models
    from_start: bool = False  # ... or all of these logs are after
    grace: timedelta | None = None
    config: CheckConfig = field(default_factory=CheckConfig)
    margins: Mapping[str, float] = field(default_factory=dict)  # fields of Margins from the command line
    expected: tuple[Expected, ...] = ()
    within: timedelta | None = None  # of the deploy all replicas are to have one version
    remembered: Remembered | None = None  # of a baseline, where there is one
    look: int = 1  # of how many
    looks: int = 1

    @property
    def most(self) -> bool:
        """Return whether a highest rate is asked for of every model."""
        return "most" in self.margins or "most" in self.config.margins


@dataclass(frozen=True)
class Sides:
    """The counts to judge, and when each model was deployed."""

    of: Mapping[Place, Parted]
    deployed: Mapping[str, datetime]


Judge = tuple[Margins, Place, Parted]
EXPECTED = "expected: "  # names of checks begin with it


def observed(events: Events, frames: Frames, asked: Asked, limits: Limits) -> Sides:
    """Return the two sides of these logs; where no deploy is known, all of them as the side after."""
    at = deploys(frames, limits)
    every = frames.totals["model"].drop_nulls().unique().sort().to_list()
    for one in sorted(asked.deploys, key=lambda deploy: deploy.ts):
        at |= dict.fromkeys([one.model] if one.model else every, one.ts)
    if asked.deployed is not None or asked.from_start:
        at = dict.fromkeys(every, asked.deployed or frames.start)
    found = sides(events, frames, at, asked.grace, limits)
    levels = asked.most or any("most" in own for own in asked.config.models.values())
    more = whole(events, frames, limits) if levels and len(at) < frames.totals["model"].n_unique() else {}
    return Sides({**more, **found}, at)


def everything(events: Events, frames: Frames, limits: Limits) -> dict[Place, Parted]:
    """Return all lookups of warm caches in these logs, as the side after."""
    return whole(events, frames, limits)


def as_saved(events: Events, frames: Frames, limits: Limits) -> dict[Place, Parted]:
    """Return what is held against a saved report: lookups of warm caches, all there are where none are known to be."""
    warm = {place: one for place, one in whole(events, frames, limits).items() if one.after}
    return {**unsettled(frames), **warm}


def beside_saved(logs: Sides, all_: Mapping[Place, Parted], before: Mapping[Place, Parted]) -> Sides:
    """Return the sides with a saved report as the side before, for models whose deploy these logs do not show.

    Likewise for those of which they have no lookups on one side of the deploy.
    """
    half = {p for p, one in logs.of.items() if one.before is None or one.after is None}
    new = {p: one for p, one in all_.items() if p in before and (p[0] not in logs.deployed or p in half)}
    return against(Sides({**logs.of, **new}, logs.deployed), {p: one for p, one in before.items() if p in new})


def against(logs: Sides, before: Mapping[Place, Parted]) -> Sides:
    """Return the sides with another set of logs as the side before, for the models that both hold."""
    both = {p: replace(one, before=before[p].after) for p, one in logs.of.items() if p in before}
    return Sides({**logs.of, **both}, logs.deployed)


def saved(rows: Sequence[ModelRow]) -> dict[Place, Parted]:
    """Return what the models of a saved report were before, in one slice each.

    Cold misses are among them, for a pass counts them after, too: the same logs have to pass against themselves.
    """
    import numpy as np

    found = {}
    for row in rows:
        if row.lookups:
            one = Side(np.array([row.misses], np.float64), np.array([row.lookups], np.float64))
            found[row.model, row.cache] = Parted(None, one, one)
    return found


def remembered(baseline: Report, checks: Sequence[Check]) -> Remembered:
    """Return the rates that a saved report calls too high: its own verdict, else its findings of risen rates."""
    failed = {
        one.name: side
        for one in checks
        if one.outcome is Outcome.FAIL and (side := _side(one.numbers, "rate_after", "lookups_after"))
    }
    risen: dict[Place, Side] = {}
    for one in baseline.findings:
        side = _side(one.numbers, "rate_after", "lookups_after")
        if one.rule == _RISE and one.severity > Severity.INFO and one.model and one.cache and side:
            known_ = risen.setdefault((one.model, one.cache), side)
            risen[one.model, one.cache] = max(known_, side, key=lambda s: s.rate.lookups)
    return Remembered(failed, risen)


_RISE = "miss-rate-shift"


def _side(numbers: Mapping[str, Number], rate: str, lookups: str) -> Side | None:
    import numpy as np

    share, many = numbers.get(rate), numbers.get(lookups)
    if not isinstance(share, int | float) or not isinstance(many, int | float) or not many:
        return None
    return Side(np.array([share * many], np.float64), np.array([many], np.float64))


# -- miss rates -----------------------------------------------------------------------------------------


def rates(logs: Sides, asked: Asked, limits: Limits) -> list[Check]:
    """Return one check for each model with a before and after, or a highest rate.

    What fails may be any of many models, so each may fail by its part of the error (Bonferroni); to pass, all have to
    pass, and that needs no correction (Berger 1982).
    """
    judged = list(_to_judge(logs, asked))
    each = (limits.check_error / max(len(judged), 1), limits.check_error)
    errors = Errors(*(levels(total, asked.looks)[asked.look - 1] for total in each))
    several = {m for (m, c) in logs.of for (n, d) in logs.of if m == n and c != d}
    return [_rate(one, logs, one[1][0] in several, (errors, asked), limits) for one in judged]


def _to_judge(logs: Sides, asked: Asked) -> Iterator[Judge]:
    for place, parts in sorted(logs.of.items()):
        margins = asked.config.of(place[0], asked.margins)
        known = place[0] in logs.deployed or parts.before is not None
        if margins.judge and (known or margins.most is not None):
            yield margins, place, parts


def _rate(one: Judge, logs: Sides, several: bool, how: tuple[Errors, Asked], limits: Limits) -> Check:
    margins, place, parts = one
    (model, cache), (errors, asked) = place, how
    name = f"miss rate of {model}" + (f" ({cache})" if several else "")
    results = _judgements(margins, parts, errors, limits)
    if not results:
        return Check(name, Outcome.INCONCLUSIVE, f"{model}: {_absent(parts, logs.deployed.get(model), limits)}", model)
    worst = max(results, key=lambda j: (_BADNESS[j.outcome], j.chance))
    told = Check(name, worst.outcome, _told(model, worst, errors, limits), model, numbers=_numbers(worst))
    if asked.remembered is None or worst.outcome is not Outcome.FAIL:
        return told
    was = asked.remembered.of(name, place)
    return replace(told, state="new") if was is None else _against(told, was, parts, margins, errors, limits)


def _against(told: Check, was: Side, parts: Parted, margins: Margins, errors: Errors, limits: Limits) -> Check:
    """Hold a rate that fails against what the baseline knows of it: known fails nothing, surely worse does."""
    now = _judgements(replace(margins, most=None), replace(parts, before=was), errors, limits)
    worse = any(one.outcome is Outcome.FAIL for one in now)
    in_baseline = f"{percent(was.rate.value)} in the baseline"
    return replace(
        told,
        outcome=Outcome.FAIL if worse else Outcome.PASS,
        sentence=f"{told.sentence}; {f'worse than the {in_baseline}' if worse else f'known, {in_baseline}'}",
        numbers={**told.numbers, "rate_in_baseline": was.rate.value},
        state="worse" if worse else "known",
    )


def _judgements(margins: Margins, parts: Parted, errors: Errors, limits: Limits) -> list[Judged]:
    """Judge the rise and the level: misses of cold caches are not counted to fail, and are to pass."""
    found = []
    if parts.before and parts.after:
        both = (judge_increase(parts.before, s, margins, errors, limits) for s in (parts.after, parts.warm) if s)
        found.append(_sure(*both))
    if margins.most is not None and parts.after:
        found.append(_sure(*(judge_level(s, margins.most, errors, limits) for s in (parts.after, parts.warm) if s)))
    return found


def _sure(every: Judged, warm: Judged | None = None) -> Judged:
    """Return a pass on all misses, a fail on those of warm caches, else that there is no telling."""
    if warm is None or every.outcome is Outcome.PASS:
        return every
    if every.outcome is warm.outcome:
        return warm if warm.outcome is Outcome.FAIL else every
    cold = every.after.misses - warm.after.misses
    return replace(every, outcome=Outcome.INCONCLUSIVE, cold=round(cold))


def _absent(parts: Parted, deployed: datetime | None, limits: Limits) -> str:
    when = f" ({deployed:%Y-%m-%d %H:%M:%S} UTC)" if deployed else ""
    least = round(limits.check_lookups)
    if parts.after is None:
        return f"no lookups of warm caches after the deploy{when} and its grace, {least} are needed at least"
    return f"no lookups of warm caches before the deploy{when}, {least} are needed at least"


_BADNESS = {Outcome.PASS: 0, Outcome.INCONCLUSIVE: 1, Outcome.FAIL: 2}


def _told(model: str, one: Judged, errors: Errors, limits: Limits) -> str:
    """Say value, threshold, numbers of lookups, interval, and what is missing, in one sentence."""
    n1 = f"{one.after.lookups:,.0f}"
    if one.before is None:
        text = (
            f"{model}: miss rate {percent(one.after.value)} (90 % interval {percent(one.low)} to {percent(one.high)})"
        )
        text += f" in {n1} lookups, {percent(one.allowed)} allowed"
        text += f", exceeded with a chance of {_chance(one.chance)}"
    else:
        rise = one.after.value - one.before.value
        text = f"{model}: miss rate {percent(one.before.value)} in {one.before.lookups:,.0f} lookups before,"
        text += f" {percent(one.after.value)} in {n1} after: {_points(rise)} (90 % interval {100 * one.low:+.1f} to"
        text += (
            f" {100 * one.high:+.1f}), {_points(one.allowed)} allowed, exceeded with a chance of {_chance(one.chance)}"
        )
    return text + _missing(one) + _looks(one, errors, limits)


def _looks(one: Judged, errors: Errors, limits: Limits) -> str:
    """Say why what one look would decide is not decided by one of several."""
    if one.outcome is not Outcome.INCONCLUSIVE or one.cold or errors.passing >= limits.check_error:
        return ""
    if not errors.passing < one.chance <= limits.check_error:
        return ""
    return f"; of several looks this one passes up to {_chance(errors.passing)}"


def _missing(one: Judged) -> str:
    if one.outcome is not Outcome.INCONCLUSIVE:
        return ""
    sides_ = [("after", one.after)] if one.before is None else [("before", one.before), ("after", one.after)]
    if one.cold:
        return f"; {one.cold:,} of the misses are the first ones of a key since the deploy, the caches are not warm yet"
    short = [f"{max(one.needed - r.lookups, 0):,.0f} more {side}" for side, r in sides_ if one.needed > r.lookups]
    return f"; about {one.needed:,} lookups {'on each side ' if one.before else ''}would decide it" + (
        f", {' and '.join(short)}" if short else ""
    )


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"


def _chance(share: float) -> str:
    return f"{100 * share:.1f} %" if 0.001 <= share <= 0.999 else "under 0.1 %" if share < 0.5 else "over 99.9 %"


def _numbers(one: Judged) -> dict[str, Number]:
    before = one.before
    return {
        "rate_before": before.value if before else None,
        "rate_after": one.after.value,
        "lookups_before": round(before.lookups) if before else None,
        "lookups_after": round(one.after.lookups),
        "allowed": one.allowed,
        "low": one.low,
        "high": one.high,
        "chance_over": one.chance,
        "dispersion": one.spread,
        "lookups_needed": one.needed,
        "lookups_still_needed": max(0, one.needed - round(min(one.after.lookups, before.lookups if before else 1e18))),
    }


# -- expectations ---------------------------------------------------------------------------------------


def expectations(frames: Frames, deployed: Mapping[str, datetime], asked: Asked, limits: Limits) -> list[Check]:
    """Return one check for each version that is expected, and for each model that should be on one version."""
    found = [
        _expectation(f"{EXPECTED}{e.model}={e.version} on {e.replicas}", e.model, fulfilled(frames, e, limits))
        for e in asked.expected
    ]
    if asked.within is not None:
        versions = frames.order.group_by("model").len().filter(frames.order.height > 0)["model"].sort().to_list()
        found += [
            _expectation(
                f"{EXPECTED}{m} on one version", m, converged(frames, m, deployed.get(m), asked.within, limits)
            )
            for m in versions
        ]
    return found


def _expectation(name: str, model: str, one: Fulfilment) -> Check:
    outcome = Outcome.INCONCLUSIVE if one.holds is None else Outcome.PASS if one.holds else Outcome.FAIL
    numbers: dict[str, Number] = {"replicas": one.replicas, "as_expected": one.as_expected}
    return Check(name, outcome, one.sentence, model, numbers=numbers)


# -- findings -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """How the findings compare with a saved report, by fingerprint; and what the team said of them."""

    states: Mapping[str, str] = field(default_factory=dict)  # fingerprint -> new, worse, known; empty without baseline
    resolved: tuple[Finding, ...] = ()  # of the saved report, gone now
    suppressed: Mapping[str, Suppression] = field(default_factory=dict)  # fingerprint -> what holds for it
    expired: Mapping[str, Suppression] = field(default_factory=dict)  # ... what held for it
    mended: tuple[str, ...] = ()  # names of checks that failed in the saved report, and pass now

    def counts(self, finding: Finding) -> bool:
        """Return whether a finding can fail a check."""
        return finding.fingerprint not in self.suppressed and self.states.get(finding.fingerprint) != "known"


def known(report: Report, baseline: Report | None, suppressions: Sequence[Suppression], now: datetime) -> Known:
    """Compare findings with those of a saved report, and find what is suppressed today."""
    fitting = {f.fingerprint: [s for s in suppressions if s.fits(f)] for f in report.findings}
    holding = {mark: [s for s in found if s.until >= now.date()] for mark, found in fitting.items()}
    old = {f.fingerprint: f for f in baseline.findings} if baseline else {}
    return Known(
        {f.fingerprint: _state(f, old.get(f.fingerprint)) for f in report.findings} if baseline else {},
        tuple(f for mark, f in old.items() if mark not in fitting and f.severity > Severity.INFO),
        {mark: found[0] for mark, found in holding.items() if found},
        {mark: max(found, key=lambda s: s.until) for mark, found in fitting.items() if found and not holding[mark]},
    )


def mended(before: Remembered, checks: Sequence[Check]) -> tuple[str, ...]:
    """Return the names of checks that failed in a baseline and pass now by themselves."""
    passing = {one.name for one in checks if one.outcome is Outcome.PASS and one.state is None}
    return tuple(name for name in before.failed if name in passing)


def _state(now: Finding, before: Finding | None) -> str:
    """A finding is worse when its severity rose, or when it costs twice as many misses beyond doubt."""
    if before is None:
        return "new"
    cost, low = before.impact.excess_misses, now.impact.excess_misses_low
    doubled = cost is not None and low is not None and low > 2 * max(cost, 1.0)
    return "worse" if now.severity > before.severity or doubled else "known"


# -- all together ---------------------------------------------------------------------------------------


def combined(findings: Check, of_models: Sequence[Check], more: Sequence[Check]) -> Verdict:
    """Return the verdict: the worst of what findings and the other checks say, in its words.

    `of_models` is what `findings` says, model by model.
    """
    every = (findings, *more)
    worst = max(every, key=lambda c: (_BADNESS[c.outcome], c is findings, c.numbers.get("chance_over") or 0.0))
    others = sum(c.outcome is worst.outcome for c in every) - 1
    said = worst.sentence
    if worst.outcome is Outcome.PASS:
        said += "".join(f"; {c.sentence}" for c in more[:2]) + (f"; and {len(more) - 2} more" if more[2:] else "")
    elif others:
        said += f", and {others} more {'checks' if others > 1 else 'check'} {_SAME[worst.outcome]}"
    return Verdict(worst.outcome, said, (*of_models, *more))


_SAME = {Outcome.FAIL: "failed", Outcome.INCONCLUSIVE: "inconclusive"}


def block(told: Verdict, known_: Known, deployed: Mapping[str, datetime]) -> dict[str, Any]:
    """Return a verdict as plain values, schema cachelog.check/1; a finding is named by its fingerprint."""
    return {
        "schema": VERDICT,
        "outcome": told.outcome.value,
        "sentence": told.sentence,
        "deployed_at": {model: _utc(at) for model, at in sorted(deployed.items())},
        "checks": [
            {
                "name": one.name,
                "outcome": one.outcome.value,
                "sentence": one.sentence,
                "model": one.model,
                "findings": list(one.findings),
                "numbers": {k: round(v, 6) if isinstance(v, float) else v for k, v in one.numbers.items()},
                "state": one.state,
            }
            for one in told.checks
        ],
        "states": dict(sorted(known_.states.items())),
        "resolved": [{"fingerprint": f.fingerprint, "title": f.title} for f in known_.resolved],
        "mended": list(known_.mended),
        "suppressed": [_held(mark, s) for mark, s in sorted(known_.suppressed.items())],
        "expired": [_held(mark, s) for mark, s in sorted(known_.expired.items())],
    }


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _held(fingerprint: str, one: Suppression) -> dict[str, str]:
    return {"fingerprint": fingerprint, "reason": one.reason, "until": one.until.isoformat()}
