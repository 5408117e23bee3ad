"""Which lines a figure of a finding counts, said so that they can be found again: `cachelog show` names them.

It is no part of the JSON report; a report is small, and the lines are in the logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time on one replica, on all where it is None."""

    replica: str | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Lines of one kind in some spells, which do not overlap; None of a field is any."""

    what: str  # in the plural, as in "142 misses"
    model: str | None
    spells: tuple[Spell, ...]
    op: str = "lookup"
    outcomes: tuple[str, ...] = ()  # of lookups; none: hits, misses and stale ones, as in every rate
    cache: str | None = None  # of lookups; None: any but that of loaded models
    version: str | None = None
    without: tuple[str, ...] = ()  # replicas that do not count
    closed: bool = True  # the end of a spell counts too
    whole: bool = False  # only windows of Frames.counts that lie whole in a spell


@dataclass(frozen=True, slots=True)
class Located:
    """What was found: how many, and the first and the last line in order of time, as `path:line`."""

    counted: Counted
    n: int
    first: str | None
    last: str | None


def everywhere(since: datetime, until: datetime, replicas: Iterable[str] = ()) -> tuple[Spell, ...]:
    """Return one stretch of time on each of some replicas, or on all."""
    return tuple(Spell(name, since, until) for name in replicas) or (Spell(None, since, until),)


def rated(model: str, spells: tuple[Spell, ...], *, cache: str | None = None, whole: bool = False) -> tuple[
    Counted, Counted
]:  # fmt: skip
    """Return the misses and the lookups of a rate."""
    every = Counted(what="lookups", model=model, spells=spells, cache=cache, closed=False, whole=whole)
    missed = Counted(
        what="misses", model=model, spells=spells, cache=cache, closed=False, whole=whole, outcomes=("miss",)
    )
    return missed, every
