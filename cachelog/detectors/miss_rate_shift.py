"""miss-rate-shift: a model's miss rate changed and stayed changed.

What it says
    From a time on (an interval, not a point) a model misses its cache more often than before: by how much, on which
    replicas, how many extra misses that made, and whether the rest of the fleet did the same. Falls are told too, as
    information. A deploy shortly before a rise is told beside it, or that none was, where deploys are known.

Why it matters
    Each miss is computed again: slower answers, more load, often on the machines that are busiest. A rate that went up
    and stays up does not mend itself.

How it decides
    Lookups are counted by window (10 s and wider). Counts are scaled for their overdispersion, a null model holds the
    level and, in logs of more than a day and a half, the rhythm of the day; steps are proposed by a score-CUSUM over
    seeded intervals, kept when a quasi-binomial model with all steps finds each of them significant as a maximum over
    all places (p <= 0.001), with an odds ratio of 1.25 at least; Benjamini-Hochberg over all models holds the false
    ones under one in a hundred. Then each replica is tested, the onset is placed by likelihood on those that changed,
    and the extra misses are those beyond the old level. Other replicas, or other models, are the control. The change
    is taken apart, exactly, into what is worse within replicas, versions and keys and what comes of others being asked.
    In logs of days, hours in which a model stands out against the half day around them, and against how its hours vary
    otherwise, are looked at by themselves in narrow windows; what comes back at the same time of day is its rhythm.

When it stays quiet
    Under 200 lookups or 10 misses. While caches are cold after a load or restart: those misses are counted apart and
    told by cold-start; what stays after them is a shift. When the rate only comes back from the dip after a cold start,
    or entries that were filled together expire together; where lines have cache keys, the age of the missed entries
    decides that. Rises that are over within a quarter of an hour, or began within five minutes of the end, are low; a
    slow drift counts one class less than a step.

What to do
    Some replicas only: compare them with the others, version, configuration, memory, time of start. One model: its
    keys, its traffic, its version. All models: the size of the cache, its time to live, a flush, the host it runs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from cachelog.contract.counted import Counted, everywhere, rated
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Number, Rejected, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import listed, percent
from cachelog.metrics.ages import COLD_TABLE, Shares, Stretch, shares
from cachelog.metrics.beside import compared, deployed
from cachelog.metrics.causes import explained
from cachelog.metrics.control import Control, Found, control
from cachelog.metrics.decomposition import Decomposition, of_change
from cachelog.metrics.excursions import Excursion, changes
from cachelog.metrics.harm import added_seconds, severity_of_harm
from cachelog.metrics.makeup import Flush, flush_of
from cachelog.metrics.proportions import newcombe, wilson
from cachelog.metrics.rates import rate_of
from cachelog.metrics.series import Series, stretches
from cachelog.metrics.settling import ColdEvent
from cachelog.metrics.spans import Study, touching

_MISSES = 3  # cited misses after the onset
_HITS = 2  # cited hits before it
_MOST = 0.5  # of the change


@dataclass(frozen=True)
class _Shift:
    """One excursion with all that is known of it."""

    studied: Study
    excursion: Excursion
    control: Control
    shares: Shares | None  # what the excess is made of; None: there are no keys to tell
    limits: Limits

    @property
    def start(self) -> datetime:
        return self.studied.series.time(self.excursion.at)

    @property
    def last(self) -> int:
        """Return the window after the last one with lookups in the stretch."""
        seen = np.flatnonzero(self.studied.series.lookups.sum(0)[: self.excursion.end])
        return int(seen[-1]) + 1

    @property
    def end(self) -> datetime:
        return self.studied.series.time(self.last)

    @property
    def ongoing(self) -> bool:
        """Is it there at the end of the log, as far as the model was asked for by then?"""
        return self.excursion.ongoing and self.last >= self.studied.series.windows - 2

    @property
    def lasted(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def brief(self) -> bool:
        """Was it over soon?"""
        return not self.ongoing and self.lasted < self.limits.shift_transient_s

    @property
    def pending(self) -> bool:
        """Did it begin so late that it may be over soon?"""
        return self.ongoing and self.lasted < self.limits.shift_pending_s

    @property
    def unproven(self) -> bool:
        """May it be no more than a slow cold start, or entries that were filled together and expire together?"""
        if self.shares is not None:
            return self.shares.sure < self.limits.ages_share
        return self.excursion.owed or self.excursion.waning

    @property
    def harmless(self) -> bool:
        """Do the keys show that it is only that?"""
        return self.shares is not None and self.unproven and self.shares.explained >= self.limits.ages_share

    @property
    def doubtful(self) -> bool:
        """Is it hard to tell from a drift, the old level from a passing low, or the new one from a slow cold start?"""
        if self.seasonal:
            return False
        told = self.excursion
        briefly = told.before.lookups < self.limits.shift_known * told.whole.lookups
        fresh = self.lasted < self.limits.settle_max_s and bool(_cold(self.studied, told))
        return told.gradual or (self.shares is None and (briefly or fresh))

    @property
    def only_cold(self) -> bool:
        """Does it begin with a cold start that explains it?"""
        return self.harmless and bool(_cold(self.studied, self.excursion))

    @property
    def seasonal(self) -> bool:
        """Was there a daily rhythm to hold it against?"""
        return self.studied.series.windows * self.studied.series.seconds >= self.limits.season_min_s

    @property
    def replicas(self) -> tuple[str, ...]:
        return tuple(self.studied.series.replicas[row] for row in self.excursion.rows)

    @property
    def share(self) -> float:
        """Return the share of the model's lookups that went to the replicas that changed."""
        stretch = slice(self.excursion.at, self.excursion.end)
        every = self.studied.whole.series.lookups[:, stretch].sum()
        rows = list(self.excursion.rows) or slice(None)
        return float(self.studied.series.lookups[rows, stretch].sum() / every)

    @property
    def excess_low(self) -> float:
        """Return extra misses at least, less those that old or cold entries may explain."""
        return self.excursion.excess_low * (1.0 - (self.shares.explained if self.shares else 0.0))


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each lasting change of a model's miss rate in one cache."""
    everything = changes(frames, limits)
    shifts = [_shift(events, frames, f[0], e, everything, limits) for f in everything for e in f[1]]
    told = [shift for shift in shifts if _worth_telling(shift)]
    cited = _evidence(events, told)
    return [_with_platform(_finding(s, lines, events, frames), s, frames) for s, lines in zip(told, cited, strict=True)]


def _with_platform(finding: Finding, shift: _Shift, frames: Frames) -> Finding:
    """Add the deploy before a rise, and how the manifests of the replicas that rose differ from those of the others."""
    if not shift.excursion.rising or frames.platform.is_empty():
        return finding
    model, every = shift.studied.series.model, shift.studied.whole.series.replicas
    onset = finding.onset_low or shift.start, finding.onset_high or shift.start
    mine = shift.replicas or every
    told = deployed(frames, model, mine, onset, shift.limits).added(finding)
    others = sorted(set(every) - set(mine))
    if not others:
        return told
    since = onset[0] - timedelta(seconds=shift.limits.deploy_s)
    return compared(frames, mine, others, since, finding.end or onset[1]).added(told)


def _shift(
    events: Events,
    frames: Frames,
    studied: Study,
    excursion: Excursion,
    everything: Sequence[Found],
    limits: Limits,
) -> _Shift:
    found = _shares(events, frames, studied, excursion, limits) if excursion.rising else None
    return _Shift(studied, excursion, control(studied, excursion, everything, limits), found, limits)


def _worth_telling(shift: _Shift) -> bool:
    """A rise is, unless a cold start explains it; a fall when it lasts and is beyond doubt: nobody waits for it."""
    if shift.excursion.rising:
        return not shift.only_cold
    return shift.lasted >= shift.limits.shift_transient_s and _confidence(shift) > Confidence.LOW


def _shares(events: Events, frames: Frames, studied: Study, excursion: Excursion, limits: Limits) -> Shares | None:
    one = studied.series
    known = explained(events, frames, limits)
    if (one.model, one.cache) in known.foreign:
        return None
    end = frames.end + timedelta(microseconds=1) if excursion.ongoing else one.time(excursion.end)
    earlier = rate_of(one.misses.sum(0), one.lookups.sum(0), slice(0, excursion.at)).value
    cold = _cold_table(_cold(studied, excursion))
    shared = (one.model, one.cache) in known.shared
    stretch = Stretch(one.time(excursion.at), end, excursion.rate_expected, earlier, cold, shared)
    total = int(one.lookups[:, : excursion.end].sum())
    mine = _lookups(events, one)
    if studied.parent:
        mine = mine.filter(pl.col("replica").is_in(list(one.replicas)))
    return shares(mine, total, frames.start, stretch, limits)


def _cold(studied: Study, excursion: Excursion) -> list[ColdEvent]:
    """Return the loads, restarts and flushes that a change begins with."""
    return [e for wave in touching(studied, excursion.low, excursion.high) for e in wave.events if e.op != "first"]


def _cold_table(events: Sequence[ColdEvent]) -> pl.DataFrame:
    return pl.DataFrame([(e.replica, e.time) for e in events], schema=COLD_TABLE, orient="row")


def _lookups(events: Events, series: Series) -> pl.LazyFrame:
    return events.of(series.model).filter((pl.col("op") == "lookup") & (pl.col("cache") == series.cache))


def _severity(shift: _Shift) -> Severity:
    told, limits = shift.excursion, shift.limits
    if not told.rising:
        return Severity.INFO
    moved = told.moved_after.odds / told.moved_before.odds
    difference = told.moved_after.value - told.moved_before.value
    if shift.seasonal:  # the level before may have been another time of day
        moved, difference = told.odds_ratio, told.difference / max(shift.share, 1e-9)
    worst = severity_of_harm(difference, moved, shift.excess_low, shift.share, shift.ongoing, limits)
    if shift.harmless:
        return Severity.INFO
    if shift.brief or shift.pending or shift.unproven:
        return min(worst, Severity.LOW)
    if shift.doubtful:
        return Severity(max(worst - 1, Severity.LOW))
    return worst


def _confidence(shift: _Shift) -> Confidence:
    told, limits = shift.excursion, shift.limits
    if shift.pending or shift.unproven or shift.doubtful:
        return Confidence.LOW
    held = shift.control.z is not None and shift.control.z >= 3.0
    compared = held or shift.seasonal or shift.control.scope == "fleet"
    sure = told.step.q <= limits.shift_sure and told.phi <= limits.shift_noisy
    return Confidence.HIGH if sure and compared else Confidence.MEDIUM


def _finding(shift: _Shift, evidence: tuple[Evidence, ...], events: Events, frames: Frames) -> Finding:
    told, series = shift.excursion, shift.studied.series
    start, end = max(shift.start, frames.start), min(shift.end, frames.end)
    parts = of_change(events, frames, series, told, shift.limits)
    flush = flush_of(events, frames, shift.studied, told, shift.limits) if told.rising else None
    lost = added_seconds(frames, series.model, series.cache, start, end, told.excess) if told.rising else None
    return Finding(
        rule="miss-rate-shift",
        severity=_severity(shift),
        confidence=max(_confidence(shift), Confidence.MEDIUM) if flush else _confidence(shift),
        title=_title(shift),
        summary=" ".join([_summary(shift), *_flushed(flush), *_mixed(parts)]),
        model=series.model,
        cache=series.cache,
        replicas=shift.replicas,
        start=start,
        end=end,
        onset_low=max(series.time(told.low), frames.start),
        onset_high=min(series.time(told.high + 1), frames.end),
        ongoing=shift.ongoing,
        impact=Impact(
            lookups=round(told.whole.lookups),
            excess_misses=round(told.excess, 1),
            excess_misses_low=round(shift.excess_low, 1),
            added_seconds=None if lost is None else round(lost, 3),
        ),
        numbers=_numbers(shift)
        | {"flush_share": round(flush.share, 4) if flush else None}
        | (parts.numbers if parts else {}),
        rejected=_rejected(shift),
        evidence=(*((Evidence(*flush.line, "flushed"),) if flush and flush.line else ()), *evidence),
        next_steps=("find out what emptied the caches, and why",) if flush else _next_steps(shift),
        counted=_counted(shift),
    )


def _title(shift: _Shift) -> str:
    told = shift.excursion
    verb = "rose" if told.rising else "fell"
    rates = f"from {percent(told.moved_before.value)} to {percent(told.moved_after.value)}"
    return f"{shift.studied.series.model}: miss rate {verb} {rates}{_where(shift)}"


def _where(shift: _Shift) -> str:
    seen = int((shift.studied.whole.series.lookups[:, shift.excursion.at :].sum(1) > 0).sum())
    if shift.control.scope == "replicas":
        return f" on {len(shift.replicas)} of {seen} replicas"
    if shift.control.scope == "fleet":
        return f", as did {shift.control.models_shifted} of {shift.control.models_seen} other models"
    return " on all replicas" if shift.replicas and seen > 1 else ""


def _summary(shift: _Shift) -> str:
    told, series = shift.excursion, shift.studied.series
    low, high = series.time(told.low), series.time(told.high + 1)
    until = "still so at the end of the log" if shift.ongoing else f"until {shift.end:%H:%M:%S}"
    parts = [f"Since a time between {low:%Y-%m-%d %H:%M:%S} and {high:%H:%M:%S} UTC, {until}"]
    if shift.control.scope == "replicas":
        parts[0] += f", on {listed(shift.replicas, 5)}"
    parts[0] += "."
    which = "these replicas" if shift.studied.parent else "all replicas"
    whole = f"{which} together {percent(told.before.value)} to {percent(told.after.value)}"
    if told.rising:
        parts.append(
            f"{told.excess:,.0f} extra misses (at least {max(0.0, shift.excess_low):,.0f})"
            f" of {told.whole.lookups:,.0f} lookups; {whole}."
        )
    else:
        parts.append(f"{-told.excess:,.0f} misses fewer in {told.whole.lookups:,.0f} lookups; {whole}.")
    return " ".join([*parts, *_reservations(shift)])


def _flushed(flush: Flush | None) -> list[str]:
    """Say that the caches were flushed, and how that is known."""
    if flush is None:
        return []
    if flush.line:
        how = f"Caches were flushed at {flush.line[2]:%H:%M:%S} UTC"
    else:
        how = "Caches were emptied at once, by a flush or a start that left no line"
    return [f"{how}; {percent(flush.share)} of all that became more are misses of entries lost by that."]


_MIX = {
    "replica": "because other replicas are asked than before",
    "version": "because other versions answer than before",
    "keys": "because other keys are asked for than before",
}


def _mixed(parts: Decomposition | None) -> list[str]:
    """Say where most of the change comes of what is asked, not of how well it is answered."""
    if parts is None or not parts.change:
        return []
    most = max(parts.mixes, key=lambda name: parts.mixes[name] / parts.change, default="")
    if not most or parts.mixes[most] / parts.change < _MOST:
        return []
    return [f"{100 * parts.mixes[most]:+.1f} of {100 * parts.change:+.1f} points come {_MIX[most]}."]


def _reservations(shift: _Shift) -> list[str]:
    told = shift.excursion
    said = []
    if told.cold_misses:
        said.append(f"Beside these, {told.cold_misses:,.0f} misses of cold caches, which went away.")
    if shift.unproven and told.rising:
        said.append(_harmless(shift))
    if shift.pending:
        said.append("It began too shortly before the end of the log to be certain.")
    if told.gradual and not shift.seasonal and told.rising:
        said.append("The rate drifts rather than steps.")
    if told.rising and shift.control.z is None and shift.control.scope == "model" and not shift.seasonal:
        said.append("Nothing in these logs could serve as a control, and they are too short for a daily rhythm.")
    return said


def _harmless(shift: _Shift) -> str:
    """Say which harmless course of things it may be."""
    if shift.shares is None and shift.excursion.waning:
        return "It began with cold caches and is coming down: it may be a slow cold start."
    if shift.shares is None:
        return "Entries filled since the last cold start may have expired together; there are no keys to tell."
    if shift.shares.explained < shift.limits.ages_share:
        return "Most missed entries were filled before this log: they may have been filled, and expired, together."
    return (
        "The missed entries were as old as none that was hit before: they may have been filled, and expired, together."
    )


def _numbers(shift: _Shift) -> dict[str, Number]:
    told, held = shift.excursion, shift.control
    low, high = newcombe(told.before.misses, told.before.lookups, told.after.misses, told.after.lookups)
    return {
        **_interval("before", told.before.misses, told.before.lookups),
        **_interval("after", told.after.misses, told.after.lookups),
        "rate_expected": round(told.rate_expected, 6),
        "difference": round(told.difference, 6),
        "difference_low": round(low, 6),
        "difference_high": round(high, 6),
        "odds_ratio": round(told.odds_ratio, 4),
        "p": float(f"{told.step.p:.3g}"),
        "p_adjusted": float(f"{told.step.q:.3g}"),
        "z": round(told.step.z, 2),
        "phi": round(told.phi, 3),
        "rho": round(told.rho, 5),
        "window_seconds": shift.studied.series.seconds,
        "smallest_shift_visible": round(told.smallest, 6),
        "scope": held.scope,
        "replicas_shifted": len(shift.replicas),
        "replicas_seen": len(shift.studied.whole.series.replicas),
        "share_of_lookups": round(shift.share, 4),
        "rate_before_there": round(told.moved_before.value, 6),
        "rate_after_there": round(told.moved_after.value, 6),
        "models_shifted_too": held.models_shifted,
        "models_seen_beside": held.models_seen,
        "control_rate_before": round(held.before.value, 6) if held.before else None,
        "control_rate_after": round(held.after.value, 6) if held.after else None,
        "control_z": None if held.z is None else round(held.z, 2),
        "cold_start_misses": round(told.cold_misses, 1),
        "certain_share": round(shift.shares.sure, 4) if shift.shares else None,
        "explained_share": round(shift.shares.explained, 4) if shift.shares else None,
        "gradual": told.gradual,
        "seasonal_baseline": shift.seasonal,
    }


def _counted(shift: _Shift) -> dict[str, tuple[Counted, ...]]:
    """Return which lines the figures count: cold caches are left out of rates, and not of the whole."""
    told, one = shift.excursion, shift.studied.series
    names = one.replicas if shift.studied.parent else ()
    before, after = (rated(one.model, stretches(one, cells), cache=one.cache) for cells in (told.earlier, told.later))
    whole = rated(one.model, everywhere(shift.start, one.time(told.until), names), cache=one.cache)
    return {
        "impact.lookups": whole[1:],
        "impact.excess_misses": whole,
        "rate_before": before,
        "lookups_before": before[1:],
        "rate_after": after,
        "lookups_after": after[1:],
    }


def _interval(name: str, misses: float, lookups: float) -> dict[str, Number]:
    rate, low, high = wilson(misses, lookups)
    bounds = ((f"rate_{name}", rate), (f"rate_{name}_low", low), (f"rate_{name}_high", high))
    numbers: dict[str, Number] = {key: None if value is None else round(value, 6) for key, value in bounds}
    return numbers | {f"lookups_{name}": round(lookups)}


def _rejected(shift: _Shift) -> tuple[Rejected, ...]:
    """Say which harmless explanations were looked at."""
    said = []
    if shift.shares is not None and shift.shares.sure >= shift.limits.ages_share:
        kept = percent(shift.shares.sure)
        said.append(
            Rejected("cold or expired entries", f"{kept} of the extra misses are neither first lookups nor old entries")
        )
    if shift.control.z is not None and shift.control.z >= 3.0:
        others = "replicas" if shift.control.scope == "replicas" else "models"
        said.append(
            Rejected("something that all share", f"other {others} did not rise with it (z = {shift.control.z:.1f})")
        )
    return tuple(said) if shift.excursion.rising else ()


def _next_steps(shift: _Shift) -> tuple[str, ...]:
    if not shift.excursion.rising:
        return ()
    if shift.control.scope == "replicas":
        return (f"compare {listed(shift.replicas)} with the replicas that kept their rate: version, memory, settings",)
    if shift.control.scope == "fleet":
        return ("look for what all models share: size of the cache, time to live, a flush, the host it runs on",)
    return ("look at what changed for this model: its version, its keys, its traffic, its cache settings",)


def _evidence(events: Events, shifts: Sequence[_Shift]) -> list[tuple[Evidence, ...]]:
    """Cite the first misses after each onset and the last hits before it, on replicas that changed."""
    queries = [query for shift in shifts for query in _cited(events, shift)]
    rows = pl.collect_all(queries)
    return [
        (*_told(rows[2 * k], "miss after the onset"), *_told(rows[2 * k + 1], "hit before the onset"))
        for k in range(len(shifts))
    ]


def _cited(events: Events, shift: _Shift) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    series, told = shift.studied.series, shift.excursion
    mine = _lookups(events, series)
    if shift.replicas:
        mine = mine.filter(pl.col("replica").is_in(list(shift.replicas)))
    onset, near = series.time(told.high), timedelta(seconds=30 * series.seconds)
    place = ["ts", "source", "line"]
    after = mine.filter((pl.col("outcome") == "miss") & pl.col("ts").is_between(onset, onset + near))
    before = mine.filter(
        (pl.col("outcome") == "hit") & pl.col("ts").is_between(series.time(told.low) - near, series.time(told.low))
    )
    return after.select(place).sort(place).head(_MISSES), before.select(place).sort(place).tail(_HITS)


def _told(rows: pl.DataFrame, role: str) -> list[Evidence]:
    return [Evidence(source, line, ts, role) for ts, source, line in rows.iter_rows()]
