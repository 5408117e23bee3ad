"""clock-skew: a replica's clock is off, by how much.

What it says
    The times in a replica's lines are ahead of, or behind, those of the others by so many seconds; or its clock was set
    back in the middle of its log.

Why it matters
    What replicas did in which order cannot be read from their times any more: a cause seems to come after its effect,
    and a rollout seems to begin before anybody asked for it. Rules that compare one replica with itself hold all the
    same. More than half an hour off is mostly a wrong time zone.

How it decides
    By neighbours: in a file that several replicas write, lines that stand together were written together; its own bear
    another time, by nearly the same everywhere in the file. By ends: its log begins and ends as much earlier or later
    than the logs of at least half of the fleet, which begin and end together. By a zone: its log begins, ends and
    shows rollouts by the same quarters of an hour, half an hour at least, up to five minutes. By rollouts: at two or
    more, ten minutes apart, that the others made within seconds, it was off by the same. By a step: its time goes back
    once, by 20 seconds to ten minutes, and runs on from there. At least 20 seconds, by three replicas or more.

When it stays quiet
    Lines that are late, which stand out of order among the replica's own; replicas that only began later or ended
    earlier; files sorted by time, and logs cut by their own times, for these show no clock; rollouts that go from
    replica to replica. It is low, information where rollouts alone show it (a replica may always be the first), and
    medium from half an hour on.

What to do
    Look at the time synchronisation of its node (NTP, chrony), or at the time zone that it writes. Read its times
    with the offset taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Number, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting
from cachelog.metrics.clocks import Offset, offsets
from cachelog.metrics.lines import any_line

_HOW = {
    "neighbours": "the lines beside its own in the same file bear other times",
    "ends": "its log begins and ends as much {way} than those of {n} others, which begin and end together",
    "zone": "it begins, ends and follows {n} rollouts of the others by whole quarters of an hour {way}, "
    "as in another time zone",
    "rollouts": "at {n} rollouts that the others made at the same moment it was as much {way}",
}
_RANK = ("neighbours", "ends", "zone", "rollouts", "step")  # best first


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each replica whose clock is off, and for each whose clock was set back."""
    found = offsets(events, frames, limits)
    steady = [o for o in found if o.sign != "step"]
    off = [_off(list(group), events, frames, limits) for _, group in groupby(steady, key=lambda o: o.replica)]
    return off + [_step(o, frames) for o in found if o.sign == "step"]


def _off(mine: Sequence[Offset], events: Events, frames: Frames, limits: Limits) -> Finding:
    best = min(mine, key=lambda o: _RANK.index(o.sign))
    way = "ahead" if best.seconds > 0 else "behind"
    hows = [_HOW[o.sign].format(way="later" if o.seconds > 0 else "earlier", n=o.witnesses) for o in mine]
    start, end = _bounds(frames).get(best.replica, (frames.start, frames.end))
    return Finding(
        rule="clock-skew",
        severity=_severity(best, limits),
        confidence=_confidence(best, len(mine)),
        title=f"{best.replica}: clock about {lasting(abs(best.seconds))} {way} of the others",
        summary=f"Its times are {abs(best.seconds):,.0f} s {way}, give or take {best.spread:,.0f} s: {'; '.join(hows)}."
        " The order of its lines among those of other replicas does not hold.",
        replicas=(best.replica,),
        start=start,
        end=end,
        ongoing=True,
        numbers=_numbers(mine, best),
        evidence=_evidence(best, events, frames),
        next_steps=(f"look at the time synchronisation and the time zone of the node of {best.replica}",),
    )


def _severity(best: Offset, limits: Limits) -> Severity:
    if best.sign == "rollouts":
        return Severity.INFO
    return Severity.MEDIUM if abs(best.seconds) >= limits.clock_zone_s else Severity.LOW


def _confidence(best: Offset, signs: int) -> Confidence:
    if best.sign == "rollouts":
        return Confidence.LOW
    return Confidence.HIGH if best.sign in ("neighbours", "zone") or signs > 1 else Confidence.MEDIUM


def _numbers(mine: Sequence[Offset], best: Offset) -> dict[str, Number]:
    found: dict[str, Number] = {"offset_seconds": round(best.seconds, 3), "give_or_take_seconds": round(best.spread, 3)}
    return found | {f"offset_by_{o.sign}_seconds": round(o.seconds, 3) for o in mine}


def _evidence(best: Offset, events: Events, frames: Frames) -> tuple[Evidence, ...]:
    if best.lines:
        return tuple(Evidence(c.source, c.line, c.ts, c.role) for c in best.lines)
    firsts = _bounds(frames)
    others = sorted((first, name) for name, (first, _) in firsts.items() if name != best.replica)
    shown = [(best.replica, "its first line")]
    shown += [(name, "first line of another replica") for _, name in others[len(others) // 2 :][:1]]
    lines = [any_line(events, frames, name, role=role, since=firsts[name][0]) for name, role in shown]
    return tuple(line for line in lines if line)


def _bounds(frames: Frames) -> Mapping[str, tuple[datetime, datetime]]:
    """Return the times of the first and of the last lookup of each replica."""
    told = frames.totals.drop_nulls("replica").group_by("replica").agg(pl.col("first").min(), pl.col("last").max())
    return {replica: (first, last) for replica, first, last in told.iter_rows()}


def _step(offset: Offset, frames: Frames) -> Finding:
    before, after = offset.lines
    return Finding(
        rule="clock-skew",
        severity=Severity.LOW,
        confidence=Confidence.MEDIUM,
        title=f"{offset.replica}: clock set back by about {lasting(abs(offset.seconds))}",
        summary=f"Its lines run on from {after.ts:%H:%M:%S} UTC after they had come to {before.ts:%H:%M:%S} UTC."
        " What happened in that time stands twice as dense in its windows, and in no order.",
        replicas=(offset.replica,),
        start=after.ts,
        end=before.ts,
        numbers={"offset_seconds": round(offset.seconds, 3), "give_or_take_seconds": round(offset.spread, 3)},
        evidence=tuple(Evidence(c.source, c.line, c.ts, c.role) for c in offset.lines),
        next_steps=(f"look at the time synchronisation of the node of {offset.replica}",),
    )
