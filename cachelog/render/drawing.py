"""The charts of a picture as plain geometry for an SVG, and as plain values for the script that makes them move.

The drawing is what stands where scripts do not run (a mail, a CI artifact, print); the script draws the same anew.
Times are in seconds since 1970; places in the units of the SVG's view box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cachelog.contract.charting import Band, Lane, Line, Mark, Picture, Rates
from cachelog.contract.finding import Finding
from cachelog.contract.wording import percent
from cachelog.render import text

WIDTH, GUTTER, RIGHT = 960, 190, 14  # whole, left of the charts, right of them
RATE_HEIGHT, GAP, AXIS, HEAD = 170, 16, 22, 10  # of the rates; between, below, above
LANE, NARROW, MANY = 20, 13, 16  # height of a replica's lane, and where they are more than so many
COLOURS = 8  # of versions; more repeat

_TOPS = (0.004, 0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # ends of the axis of rates: quarters are round
_ROOM = 1.25  # over the highest rate
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
_MOST_TICKS = 8
_DAY = 86400
_LETTER = 6.4  # width of one in a band, in units
_TOLD = 120  # letters of it where it is told in full
_NAME = 26  # letters of a replica beside its lane
_KINDS = {
    "load": "loaded",
    "load_fail": "failed to load",
    "restart": "restarted",
    "rollout": "deploy",
    "flush": "flushed",
}


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis with its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The rate of one line and its interval, as paths."""

    name: str
    number: int  # of the line, for its colour
    rate: str
    interval: str


@dataclass(frozen=True, slots=True)
class Block:
    """A band of a lane."""

    x: float
    width: float
    colour: int
    label: str  # "" where there is no room
    told: str


@dataclass(frozen=True, slots=True)
class Row:
    """A lane with its name and blocks."""

    y: float
    name: str
    told: str
    affected: bool
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A mark: on a lane, or through everything where `y` is None."""

    x: float
    y: float | None
    kind: str
    told: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that the SVG of a picture shows."""

    height: float
    lane: float  # height of a lane
    bottom: float  # of the charts, above the axis of time
    times: tuple[Tick, ...]
    rates: tuple[Tick, ...]  # empty where no rate is known
    curves: tuple[Curve, ...]
    rows: tuple[Row, ...]
    points: tuple[Point, ...]
    shade: tuple[float, float] | None  # the time of the finding: x and width


@dataclass(frozen=True)
class _Scale:
    """From times to places."""

    start: float
    end: float

    def x(self, time: float) -> float:
        share = (time - self.start) / max(self.end - self.start, 1e-6)
        return round(GUTTER + min(max(share, 0.0), 1.0) * (WIDTH - GUTTER - RIGHT), 1)


def drawing(picture: Picture, finding: Finding) -> Drawing:
    """Return the geometry of a picture: rates above, a lane for each replica below, one axis of time."""
    scale = _Scale(picture.start.timestamp(), picture.end.timestamp())
    top = HEAD + (RATE_HEIGHT + GAP if picture.rates else 0)
    high = lane_height(picture)
    bottom = top + high * len(picture.lanes)
    rows = tuple(_row(lane, top + high * at, picture, scale) for at, lane in enumerate(picture.lanes))
    places = {lane.replica: row.y for lane, row in zip(picture.lanes, rows, strict=True)}
    return Drawing(
        height=bottom + AXIS,
        lane=high,
        bottom=bottom,
        times=tuple(_times(scale)),
        rates=tuple(_levels(picture.rates)) if picture.rates else (),
        curves=tuple(_curves(picture.rates, scale)) if picture.rates else (),
        rows=rows,
        points=tuple(_point(mark, places, scale) for mark in picture.marks),
        shade=_shade(finding, scale),
    )


def lane_height(picture: Picture) -> int:
    """Return the height of a lane: a big fleet must not push the proof off the screen."""
    return NARROW if len(picture.lanes) > MANY else LANE


def _shade(finding: Finding, scale: _Scale) -> tuple[float, float] | None:
    if finding.start is None:
        return None
    left = scale.x(finding.start.timestamp())
    right = scale.x(finding.end.timestamp()) if finding.end else scale.x(scale.end)
    return left, round(max(right - left, 1.0), 1)


# -- axes -----------------------------------------------------------------------------------------------


def _times(scale: _Scale) -> Iterator[Tick]:
    span = scale.end - scale.start
    step = next((s for s in _TICKS if span / s <= _MOST_TICKS), _TICKS[-1] * (int(span / _TICKS[-1] / _MOST_TICKS) + 1))
    at = -(-scale.start // step) * step
    while at <= scale.end:
        yield Tick(scale.x(at), _clock(at, step))
        at += step


def _clock(time: float, step: int) -> str:
    utc = datetime.fromtimestamp(time, UTC)
    if time % _DAY == 0:
        return f"{utc:%m-%d}"
    return f"{utc:%H:%M:%S}" if step < 60 else f"{utc:%H:%M}"


def top(rates: Rates) -> float:
    """Return where the axis of rates ends: above the highest rate, whatever the intervals of small counts say."""
    highest = max(
        (y / n for line in rates.lines for y, n in zip(line.misses, line.lookups, strict=True) if n), default=0
    )
    return next((end for end in _TOPS if end >= highest * _ROOM), 1.0)


def _levels(rates: Rates) -> Iterator[Tick]:
    end = top(rates)
    for quarter in range(5):
        yield Tick(_y(end * quarter / 4, end), f"{100 * end * quarter / 4:g} %")


def _y(rate: float, end: float) -> float:
    return round(HEAD + RATE_HEIGHT * (1 - min(rate / end, 1.0)), 1)


# -- rates ----------------------------------------------------------------------------------------------


def _curves(rates: Rates, scale: _Scale) -> Iterator[Curve]:
    end, first = top(rates), rates.start.timestamp() + rates.seconds / 2
    for number, line in enumerate(rates.lines):
        runs = list(_known(line))
        places = [[(scale.x(first + rates.seconds * at), at) for at in run] for run in runs]
        rate = "".join(_path([(x, _y(line.misses[at] / line.lookups[at], end)) for x, at in run]) for run in places)
        band = "".join(
            _path([(x, _y(line.high[at], end)) for x, at in run] + [(x, _y(line.low[at], end)) for x, at in run[::-1]])
            + "Z"
            for run in places
        )
        yield Curve(text.printable(line.name), number, rate, band)


def _known(line: Line) -> Iterator[list[int]]:
    """Yield the stretches of windows with lookups: over a gap no line is drawn."""
    run: list[int] = []
    for at, lookups in enumerate(line.lookups):
        if lookups:
            run.append(at)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Return a path; one point alone gets a dot's length, or it would not be seen."""
    steps = [f"{x:g} {y:g}" for x, y in points]
    return f"M{'L'.join(steps)}" if len(steps) > 1 else f"M{steps[0]}h1"


# -- versions -------------------------------------------------------------------------------------------


def _row(lane: Lane, y: float, picture: Picture, scale: _Scale) -> Row:
    blocks = tuple(_block(band, picture.versions, scale) for band in lane.bands)
    name = text.short(lane.replica, _TOLD)
    return Row(y, _tail(name), name, lane.affected, blocks)


def _tail(name: str) -> str:
    """Return the end of a long name: names of pods differ there."""
    return name if len(name) <= _NAME else "…" + name[-_NAME + 1 :]


def _block(band: Band, versions: Sequence[str], scale: _Scale) -> Block:
    x = scale.x(band.start.timestamp())
    width = round(max(scale.x(band.end.timestamp()) - x, 1.0), 1)
    name = text.short(band.version, 60)
    known = "seen in its answers" if band.seen else "told by a line about its load"
    told = f"{name}, {text.moment(band.start)} to {text.moment(band.end, band.start)} UTC, {known}"
    return Block(
        x, width, versions.index(band.version) % COLOURS, name if len(name) * _LETTER + 8 < width else "", told
    )


def _point(mark: Mark, places: dict[str, float], scale: _Scale) -> Point:
    y = places.get(mark.replica) if mark.replica is not None else None
    return Point(scale.x(mark.time.timestamp()), y, mark.kind, f"{text.moment(mark.time)} UTC: {happened(mark)}")


def happened(mark: Mark) -> str:
    """Return what a mark says: "loaded v41 on fraud-0"."""
    version = f" {text.short(mark.version, 60)}" if mark.version else ""
    where = f" on {text.short(mark.replica, _TOLD)}" if mark.replica is not None else ""
    return f"{_KINDS[mark.kind]}{version}{where}"


# -- for the script -------------------------------------------------------------------------------------


def values(picture: Picture, finding: Finding) -> dict[str, Any]:
    """Return what the script draws, as plain values; every text in it is printable."""
    lanes = {lane.replica: at for at, lane in enumerate(picture.lanes)}
    begun, ended = finding.start, finding.end
    return {
        "start": _seconds(picture.start),
        "end": _seconds(picture.end),
        "shade": [_seconds(begun), _seconds(ended or picture.end)] if begun else None,
        "rates": _rate_values(picture.rates) if picture.rates else None,
        "lane": lane_height(picture),
        "versions": [text.short(version, 60) for version in picture.versions],
        "lanes": [_lane_values(lane, picture.versions) for lane in picture.lanes],
        "marks": [
            [_seconds(mark.time), mark.kind, lanes.get(mark.replica or "", -1), happened(mark)]
            for mark in picture.marks
        ],
    }


def _rate_values(rates: Rates) -> dict[str, Any]:
    return {
        "start": _seconds(rates.start),
        "seconds": rates.seconds,
        "top": top(rates),
        "lines": [
            {
                "name": text.printable(line.name),
                "n": line.lookups,
                "y": line.misses,
                "low": [round(value, 4) for value in line.low],
                "high": [round(value, 4) for value in line.high],
            }
            for line in rates.lines
        ],
    }


def _lane_values(lane: Lane, versions: Sequence[str]) -> dict[str, Any]:
    bands = [[versions.index(b.version), _seconds(b.start), _seconds(b.end), int(b.seen)] for b in lane.bands]
    name = text.short(lane.replica, _TOLD)
    return {"name": name, "tail": _tail(name), "affected": lane.affected, "bands": bands}


def _seconds(time: datetime) -> float:
    return round(time.timestamp(), 3)


# -- as a table -----------------------------------------------------------------------------------------


def figures(rates: Rates) -> Iterator[tuple[str, list[str]]]:
    """Yield a row for each window: its time, and what each line says: rate, interval, misses of lookups."""
    for at in range(rates.windows):
        start = datetime.fromtimestamp(rates.start.timestamp() + rates.seconds * at, UTC)
        yield text.moment(start), [_figure(line, at) for line in rates.lines]


def _figure(line: Line, at: int) -> str:
    n, y = line.lookups[at], line.misses[at]
    return f"{text.rate(y / n, line.low[at], line.high[at])}, {y:,} of {n:,}" if n else "no lookups"


def course(rates: Rates, picture: Picture, finding: Finding) -> str:
    """Return a chart of rates in words, for those who do not see it: its extremes before and from the finding on."""
    said = [_extremes(line, rates, finding) for line in rates.lines]
    return f"Miss rate {text.span(picture.start, picture.end)}: {'; '.join(said)}."


def _extremes(line: Line, rates: Rates, finding: Finding) -> str:
    begun = finding.start.timestamp() if finding.start else rates.start.timestamp()
    cut = max(0, round((begun - rates.start.timestamp()) / rates.seconds))
    parts = [
        f"{percent(sum(line.misses[part]) / n)} {when}"
        for part, when in ((slice(0, cut), "before the finding began"), (slice(cut, None), "from then on"))
        if (n := sum(line.lookups[part]))
    ]
    return f"{text.printable(line.name)} {', '.join(parts)}"
