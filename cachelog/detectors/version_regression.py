"""version-regression: an older version loaded after a newer one.

What it says
    A replica that had a newer version of a model went back to an older one, and the fleet did not go with it.

Why it matters
    These replicas answer with a model that was meant to be gone. Entries of result caches carry the version in their
    keys, so the old version also misses what the new one had warmed: misses rise on these replicas, and nobody
    deployed anything. Typical reasons: a restart that reads an old volume, image or config; a registry replica that
    lags; a pinned version in one pod's environment.

How it decides
    The level of a replica is the newest version resident on it, by its load and unload lines and by the versions that
    it served. A regression is a step of the level to an older version after the newer one had held for half a minute
    (a minute, to be certain; less in logs of a few minutes), when less than nine tenths of the replicas that had the
    newer version went back. A replica whose log begins with a start (the lines before a restart are gone) is held
    against its peers: it regressed when it loads an older version than at least half of them had. Only the order of
    lines of one replica counts, so clocks that differ between machines do no harm; that others kept the newer version
    needs them, and up to which error is said. The cost is the difference of its misses from before, less what the
    other replicas saw meanwhile.

When it stays quiet
    Older versions beside a newer one (on demand, tenant pinning, several versions by policy, any order at a start);
    overlaps of a rollout, shorter than 30 seconds; rollbacks: announced, or by the whole fleet; the end of a canary;
    A/B arms, which never step; replicas that go back and forth (version-flapping); labels whose order is not known.

What to do
    Look at what these replicas read at their start that the others do not: image digest, mounted volume, config map,
    registry endpoint. Load the newer version there or restart them once the source is right; then see that their
    misses fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.counted import Counted, Spell, everywhere
from cachelog.contract.event import OUTCOMES
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Number, Rejected, Severity
from cachelog.contract.limits import DEFAULT, Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, percent, replicas
from cachelog.metrics.beside import Beside, compared
from cachelog.metrics.episodes import Episode, Step, certainty, episodes
from cachelog.metrics.excess import Excess, excess, lines_compared
from cachelog.metrics.lines import load_line, restart_line, served_line
from cachelog.metrics.margins import of_episode

_SHOWN = 3  # replicas whose lines are cited


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding an episode that is neither a rollback nor the end of a canary."""
    found = [e for e in episodes(frames, limits) if e.verdict == "regression"]
    return [_beside(e, frames).added(_finding(e, events, frames, limits)) for e in found]


def _beside(episode: Episode, frames: Frames) -> Beside:
    """Return what the platform says of those that went back, compared with those that did not."""
    near = timedelta(seconds=DEFAULT.deploy_s)
    return compared(frames, episode.replicas, episode.kept, episode.start - near, episode.end)


def _finding(episode: Episode, events: Events, frames: Frames, limits: Limits) -> Finding:
    stale, total = _answered(episode, events)
    cost = excess(frames, episode.model, *_compared(episode))
    sure, margin = certainty(episode, limits), of_episode(episode, events, frames, limits)
    boots = [s for s in episode.steps if restart_line(frames, s.replica, s.start, limits)]
    return Finding(
        rule="version-regression",
        severity=_severity(episode, sure, stale, total, cost, limits),
        confidence=sure,
        title=_title(episode),
        summary=f"{_summary(episode, stale, total, cost, len(boots))} {margin.said}",
        model=episode.model,
        replicas=episode.replicas,
        version_from=episode.newer,
        version_to=episode.older,
        order_basis=episode.basis,
        start=episode.start,
        end=episode.end,
        onset_low=episode.start,
        onset_high=episode.start,
        ongoing=episode.ongoing,
        impact=Impact(
            lookups=total,
            excess_misses=round(cost.misses, 1) if cost else None,
            excess_misses_low=round(cost.low, 1) if cost else None,
            stale_served=stale,
        ),
        numbers=_numbers(episode, stale, total, cost, len(boots)) | margin.numbers,
        rejected=_rejected(episode),
        evidence=_evidence(episode, events, frames, limits),
        next_steps=_next_steps(episode, bool(boots)),
        counted=_counted(episode, cost is not None, limits),
    )


def _compared(episode: Episode) -> tuple[dict[str, tuple[datetime, datetime]], dict[str, datetime]]:
    """Return when each replica had the older version, and since when the time before that counts."""
    spells = {s.replica: (s.start, s.end) for s in episode.steps}
    return spells, {s.replica: s.newer.start for s in episode.steps}


def _counted(episode: Episode, compared: bool, limits: Limits) -> dict[str, tuple[Counted, ...]]:
    """Return which lines the figures count."""
    model, older = episode.model, episode.older
    near = timedelta(seconds=limits.restart_before_s)
    boots = tuple(Spell(s.replica, s.start - near, s.start) for s in episode.steps)
    had = tuple(Spell(s.seen_on, s.newer.start, s.newer.start + near) for s in episode.steps)
    served = tuple(
        Counted(what=f"lookups answered by {version}", model=model, version=version, outcomes=OUTCOMES,
                spells=tuple(Spell(s.replica, s.start, s.end) for s in episode.steps if s.older.version == version))
        for version in sorted({s.older.version for s in episode.steps})
    )  # fmt: skip
    slack = timedelta(seconds=limits.skew_s)
    loads = tuple(Spell(s.replica, s.start - slack, s.start + slack) for s in episode.steps)
    every = Counted(what="lookups", model=model, spells=everywhere(episode.start, episode.end), outcomes=OUTCOMES)
    found = {
        "impact.lookups": (every,),
        "impact.stale_served": served,
        "stale_served": served,
        "replicas_regressed": (Counted(what=f"loads of {older}", op="load", model=model, version=older, spells=loads),),
        "newer_held_seconds": (
            Counted(what=f"loads of {episode.newer}", op="load", model=model, version=episode.newer, spells=had),
        ),
        "restarted_before": (Counted(what="restarts", op="restart", model=None, spells=boots),),
    }
    return found | (lines_compared(model, *_compared(episode)) if compared else {})


def _answered(episode: Episode, events: Events) -> tuple[int | None, int | None]:
    """Count lookups that the stepped-back replicas answered with an older version, and all of the model meanwhile."""
    mine = (
        events.of(episode.model)
        .filter(
            (pl.col("op") == "lookup") & (pl.col("cache").cast(pl.String) != "model"),
            pl.col("ts").is_between(episode.start, episode.end),
        )
        .select("ts", "n", replica=pl.col("replica").cast(pl.String), version=pl.col("version").cast(pl.String))
    )
    stale = pl.lit(False)
    for step in episode.steps:
        within = pl.col("ts").is_between(step.start, step.end, closed="left" if step.recovered else "both")
        stale |= (pl.col("replica") == step.replica) & (pl.col("version") == step.older.version) & within
    row = mine.select(stale=pl.col("n").filter(stale).sum(), total=pl.col("n").sum()).collect()
    total = int(row["total"][0])
    return (int(row["stale"][0]), total) if total else (None, None)


def _severity(
    episode: Episode, sure: Confidence, stale: int | None, total: int | None, cost: Excess | None, limits: Limits
) -> Severity:
    """METHODS §7: harm is the lower end of the extra misses and the lookups that the older version answered."""
    if len(episode.fleet) == 1:
        return Severity.MEDIUM
    share = stale / total if stale and total else 0.0
    if share >= limits.stale_critical and episode.ongoing and sure is Confidence.HIGH:
        return Severity.CRITICAL
    if (stale or 0) >= limits.stale_high or share >= limits.stale_critical or (cost is not None and cost.low > 0):
        return Severity.HIGH
    short = sure is Confidence.LOW and (not episode.ongoing or max(s.held for s in episode.steps) < limits.skew_s)
    return Severity.LOW if short else Severity.MEDIUM


def _title(episode: Episode) -> str:
    many = f"{len(episode.steps)} of {replicas(len(episode.fleet))}"
    seen = "served" if all(step.older.observed == "lookup" for step in episode.steps) else "loaded"
    return f"{episode.model}: older version {episode.older} {seen} after newer {episode.newer} on {many}"


def _summary(episode: Episode, stale: int | None, total: int | None, cost: Excess | None, boots: int) -> str:
    went = f"went back from {episode.newer} to {episode.older}"
    if episode.started_stale:
        went = f"started with {episode.older} while their peers had {episode.newer}"
    parts = [
        f"{listed(episode.replicas, 5)} {went} at {episode.start:%H:%M:%S} UTC"
        + (f", {boots} of them after a restart" if boots else "")
        + (f"; {_others(episode)}." if len(episode.fleet) > 1 else "; it is the only replica in these logs.")
    ]
    if stale is not None and total:
        parts.append(f"{stale:,} of {total:,} lookups since then got {episode.older} ({percent(stale / total)}).")
    if cost and cost.low > 0:
        parts.append(_cost(cost))
    return " ".join(parts)


def _cost(cost: Excess) -> str:
    said = f"Their miss rate went from {percent(cost.rate_before)} to {percent(cost.rate_after)}"
    if cost.shared:
        return f"{said}, and that of the others rose with it: they seem to share a cache."
    return f"{said}: {cost.misses:,.0f} extra misses (at least {cost.low:,.0f})."


def _others(episode: Episode) -> str:
    kept = len(episode.kept)
    never = len(episode.fleet) - len({*episode.had, *episode.replicas})
    said = f"{kept} {'others keep' if kept != 1 else 'other keeps'} {episode.newer}"
    return said + (f", {never} never had it" if never else "")


def _numbers(
    episode: Episode, stale: int | None, total: int | None, cost: Excess | None, boots: int
) -> dict[str, Number]:
    found: dict[str, Number] = {
        "replicas_regressed": len(episode.steps),
        "replicas_that_had_newer": len(episode.had),
        "replicas_active": len(episode.fleet),
        "restarted_before": boots,
        "recovered": sum(s.recovered for s in episode.steps),
        "newer_held_seconds": round(max(s.dwell for s in episode.steps), 3),
        "older_held_seconds": round(max(s.held for s in episode.steps), 3),
        "stale_served": stale,
        "stale_share": round(stale / total, 6) if stale is not None and total else None,
    }
    if cost:
        found |= {
            "lookups_on_regressed": cost.lookups,
            "rate_before": round(cost.rate_before, 6),
            "rate_after": round(cost.rate_after, 6),
            "rate_of_others_meanwhile": None if cost.rate_others is None else round(cost.rate_others, 6),
            "excess_misses": round(cost.misses, 1),
            "excess_misses_low": round(cost.low, 1),
        }
    return found


def _rejected(episode: Episode) -> tuple[Rejected, ...]:
    if len(episode.fleet) == 1:
        return ()
    return (
        Rejected("rollback", f"{len(episode.kept)} of {len(episode.had)} replicas that had {episode.newer} kept it"),
        Rejected("announced rollout", f"no rollout line asks for {episode.older} before it"),
        Rejected("several versions on purpose", f"{episode.newer} is no longer resident on these replicas"),
    )


def _evidence(episode: Episode, events: Events, frames: Frames, limits: Limits) -> tuple[Evidence, ...]:
    found = [line for step in episode.steps[:_SHOWN] for line in _lines(step, events, frames, limits)]
    return tuple(dict.fromkeys(found))


def _lines(step: Step, events: Events, frames: Frames, limits: Limits) -> Sequence[Evidence]:
    """The line that shows the newer version, the restart in between, and the line that shows the older one."""
    slack = timedelta(seconds=limits.skew_s)
    newer = load_line(frames, step.model, step.seen_on, step.newer.version, step.start, "newer version loaded")
    older = load_line(frames, step.model, step.replica, step.older.version, step.start + slack, "older version loaded")
    if newer and older and (older.time or datetime.min) < (newer.time or datetime.min):
        older = None  # it was resident all the time
    model, here, there = step.model, step.replica, step.seen_on
    lines = (
        newer or served_line(events, model, there, step.newer.version, before=step.start, role="newer version served"),
        restart_line(frames, here, step.start, limits),
        older or served_line(events, model, here, step.older.version, since=step.start, role="older version served"),
    )
    return [line for line in lines if line is not None]


def _next_steps(episode: Episode, restarted: bool) -> tuple[str, ...]:
    where = listed(episode.replicas, 5)
    source = "image, mounted volume or config" if restarted else "model source (registry, volume, config)"
    steps = [
        f"compare the {source} of {where} with a replica that keeps {episode.newer}",
        f"load {episode.newer} on {where} again, or restart them once the source is right",
    ]
    if not episode.ongoing:
        steps = [f"find out why {where} had {episode.older} for {lasting(max(s.held for s in episode.steps))}"]
    return tuple(steps)
