"""What charts of a report show: miss rates over time and versions on replicas, few enough points to draw.

Made by metrics/charting.py when a page with charts is asked for; no part of the JSON report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Line:
    """Misses and lookups of some replicas, one figure a window, with the 95 % Wilson interval of their rate.

    Ends of the interval are 0 and 1 where a window has no lookups: nothing is known of it.
    """

    name: str  # "2 affected replicas"
    lookups: tuple[int, ...]
    misses: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """The miss rate of a model in a cache over time; all lines have the same windows."""

    cache: str
    start: datetime  # of the first window
    seconds: float  # width of a window
    lines: tuple[Line, ...]  # the affected replicas first, where others can be set against them

    @property
    def windows(self) -> int:
        """Return the number of windows."""
        return len(self.lines[0].lookups)


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time in which a version was the newest on a replica."""

    version: str
    start: datetime
    end: datetime
    seen: bool  # known from the lookups that it answered, not from a line about its load


@dataclass(frozen=True, slots=True)
class Lane:
    """One replica of the timeline."""

    replica: str
    affected: bool
    bands: tuple[Band, ...]  # in order of time


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: on a replica, or to the fleet where `replica` is None."""

    time: datetime
    kind: str  # op of the event: load, load_fail, restart, rollout, flush
    replica: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Picture:
    """What the charts of one finding show, all over the same stretch of time."""

    model: str | None  # of a finding of no model: the one that it harmed most, else that its replicas are asked most
    start: datetime
    end: datetime
    rates: Rates | None  # None where the logs tell no rate
    figures: Rates | None  # the same in few windows, to read as a table
    lanes: tuple[Lane, ...]
    versions: tuple[str, ...]  # of the bands, the newest first
    rest: Mapping[str, int] = field(default_factory=dict)  # replicas without a lane, by the version that they end with
    undrawn: int = 0  # bands left out, the first ones of replicas that change all the time
    marks: tuple[Mark, ...] = ()
    happened: int = 0  # events, of which `marks` are an even selection where they are too many

    @property
    def says(self) -> bool:
        """Return whether there is anything to see."""
        return bool(self.rates or self.marks or any(lane.bands for lane in self.lanes))


@dataclass(frozen=True, slots=True)
class Charts:
    """The pictures of a report by the id of their finding, of the best ranked ones that nothing else explains."""

    pictures: Mapping[str, Picture]
