"""log-gap: lines are missing, and what cannot be concluded because of it.

What it says
    One or more replicas wrote nothing for a while, though by their own rate they should have, and went on afterwards:
    from when to when, how many lines are likely missing, and what that hides.

Why it matters
    Counts and rates of these replicas lack that time. A restart, a load or a failure in it left no line here, so that
    no other rule could find it; a version that differs after the gap changed at a time that nobody knows. Typical
    reasons: a log collector that fell behind or was restarted, a rotated file that was not collected, a full disk.

How it decides
    A minute or more without any line of a replica between lines before and after it, in which its own rate on both
    sides lets at least 30 lines expect. Then its peers are asked: when lines are lost, they go on as before; when the
    replica was out of rotation, they took its traffic over. Replicas that fall silent and come back together are one
    gap. Where all replicas are silent at once, the log alone cannot tell an outage from lost lines.

When it stays quiet
    Restarts, loads and unloads at the edge of a silence (it was down or drained); traffic that went to the others;
    silences that a replica, or the fleet, has again and again; the time before the first and after the last line of a
    replica. It is medium from five minutes on, when the peers show that lines are lost, low below; information where
    chance could hide what they did.

What to do
    Look at what collects the logs of these replicas: its restarts, its back-pressure, rotated files it missed. Fetch
    the lines from the node if they are still there, and analyse again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, listed, replicas
from cachelog.metrics.lines import any_line
from cachelog.metrics.presence import Presence, Silence, presence, silences

_SHOWN = 2  # replicas whose lines around the gap are cited
_DOWN = ("restart", "load_start", "load", "unload", "evict", "load_fail")


@dataclass(frozen=True, slots=True)
class _Gap:
    """A silence with its exact times: of the last line before it and of the first one after it."""

    silence: Silence
    replicas: tuple[str, ...]
    start: datetime
    end: datetime
    changed: tuple[str, ...]  # models that have another version afterwards

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each gap."""
    seen = presence(events, frames)
    told = [s for s in silences(seen, limits) if s.verdict != "idle"]
    gaps = [_gap(s, seen, frames) for s in told]
    return [
        _finding(gap, events, frames, limits)
        for gap in gaps
        if gap.seconds >= limits.gap_s and not _was_down(gap, frames, limits)
    ]


def _gap(silence: Silence, seen: Presence, frames: Frames) -> _Gap:
    names = tuple(seen.replicas[row] for row in silence.rows)
    first = seen.start + silence.first * seen.base
    last = seen.start + (silence.last + 1) * seen.base
    served = frames.counts.filter(pl.col("replica").is_in(names))
    signs = frames.changes.filter(pl.col("replica").is_in(names))["ts"]
    middle = first + (last - first) / 2
    before = [served.filter(pl.col("last") < middle)["last"].max(), signs.filter(signs < middle).max()]
    after = [served.filter(pl.col("first") > middle)["first"].min(), signs.filter(signs > middle).min()]
    start = max([time for time in before if isinstance(time, datetime)], default=first)
    end = min([time for time in after if isinstance(time, datetime)], default=last)
    return _Gap(silence, names, start, end, _changed(names, served, start, end))


def _changed(names: Sequence[str], served: pl.DataFrame, start: datetime, end: datetime) -> tuple[str, ...]:
    """Return the models of which a replica served another version right after the gap than right before it."""
    last = _versions(served.filter(pl.col("last") <= start), "last", descending=True)
    first = _versions(served.filter(pl.col("first") >= end), "first", descending=False)
    return tuple(sorted({model for (model, name), v in first.items() if last.get((model, name), v) != v}))


def _versions(served: pl.DataFrame, by: str, *, descending: bool) -> Mapping[tuple[str, str], str]:
    named = served.drop_nulls("version").sort(by, "version", descending=descending)
    rows = named.unique(["model", "replica"], keep="first", maintain_order=True)
    return {(model, replica): v for model, replica, v in rows.select("model", "replica", "version").iter_rows()}


def _was_down(gap: _Gap, frames: Frames, limits: Limits) -> bool:
    """Do lines at its edges say of most of its replicas that they stopped or started?"""
    edge = timedelta(seconds=limits.gap_edge_s)
    near = pl.col("ts").is_between(gap.start - edge, gap.start) | pl.col("ts").is_between(gap.end, gap.end + edge)
    told = frames.changes.filter(pl.col("op").is_in(_DOWN) & pl.col("replica").is_in(gap.replicas) & near)
    if told.is_empty():
        return False
    starts = told.filter((pl.col("op") == "restart") | (pl.col("ts") <= gap.start) | _first_sign(gap, frames))
    return 2 * starts["replica"].n_unique() > len(gap.replicas)


def _first_sign(gap: _Gap, frames: Frames) -> pl.Expr:
    """Is the event the first that the replica says after the gap, before it answers lookups?"""
    served = frames.counts.filter(pl.col("replica").is_in(gap.replicas) & (pl.col("first") >= gap.end))
    first = dict(served.group_by("replica").agg(pl.col("first").min()).iter_rows())
    answered = pl.col("replica").replace_strict(first, default=None, return_dtype=pl.Datetime("us", "UTC"))
    return (pl.col("ts") <= answered).fill_null(True)


def _finding(gap: _Gap, events: Events, frames: Frames, limits: Limits) -> Finding:
    lost = gap.silence.verdict == "lost"
    return Finding(
        rule="log-gap",
        severity=_severity(gap, limits),
        confidence=Confidence.HIGH if lost else Confidence.LOW,
        title=_title(gap, frames),
        summary=_summary(gap),
        replicas=gap.replicas,
        start=gap.start,
        end=gap.end,
        onset_low=gap.start,
        onset_high=gap.start,
        impact=Impact(),
        numbers={
            "gap_seconds": round(gap.seconds, 3),
            "lines_expected": round(gap.silence.expected),
            "lines_of_others": gap.silence.peers,
            "lines_of_others_expected": round(gap.silence.peers_expected),
            "models_changed_version": len(gap.changed),
        },
        evidence=_evidence(gap, events, frames),
        next_steps=(
            f"look at what collects the logs of {listed(gap.replicas, 5)} at {gap.start:%H:%M} UTC: restarts, rotation",
            "fetch the missing lines and analyse again; until then, trust no count or order of versions of that time",
        ),
    )


def _severity(gap: _Gap, limits: Limits) -> Severity:
    if gap.silence.verdict == "unknown":
        return Severity.INFO
    lost = gap.silence.verdict == "lost"
    return Severity.MEDIUM if lost and gap.seconds >= limits.gap_medium_s else Severity.LOW


def _title(gap: _Gap, frames: Frames) -> str:
    if gap.silence.verdict == "all silent":
        return f"no line of any replica for {lasting(gap.seconds)}"
    many = gap.replicas[0] if len(gap.replicas) == 1 else replicas(len(gap.replicas))
    return f"{many}: no line for {lasting(gap.seconds)}, about {gap.silence.expected:,.0f} are missing"


def _summary(gap: _Gap) -> str:
    said = f"{listed(gap.replicas, 5)} wrote nothing from {gap.start:%H:%M:%S} to {gap.end:%H:%M:%S} UTC"
    said += f"; by the rate before and after, about {gap.silence.expected:,.0f} lines."
    if gap.silence.verdict == "lost":
        part = gap.silence.peers / max(gap.silence.peers_expected, 1.0)
        said += f" The other replicas wrote {100 * part:.0f} % of their usual lines, so its traffic did not go to them."
    elif gap.silence.verdict == "unknown":
        said += " Whether its traffic went to the others does not show."
    else:
        said += " All were silent: an outage, or lines of all of them are missing."
    hidden = "Its counts lack that time, and what it loaded or how it restarted is not known."
    if gap.changed:
        hidden = f"{listed(gap.changed)} had another version afterwards: when it changed is not known."
    return f"{said} {hidden}"


def _evidence(gap: _Gap, events: Events, frames: Frames) -> tuple[Evidence, ...]:
    found = []
    for name in gap.replicas[:_SHOWN]:
        found.append(any_line(events, frames, name, role="last line before the gap", before=gap.start))
        found.append(any_line(events, frames, name, role="first line after the gap", since=gap.end))
    return tuple(dict.fromkeys(line for line in found if line))
