"""How far a replica's clock is from those of the others, by what its log shows of both (NOVEL 6).

Signs. Neighbours: in a file that several replicas write, lines that stand together were written together. Ends:
logs of a fleet that were cut at the same moments begin and end together, so one that is shifted at both ends by the
same has another clock. Rollouts: what all others do at the same moments, one does as much earlier or later each time.
Zone: both ends and a rollout are off by the same quarters of an hour, if less exactly.
Lines that are only late are told from a clock by standing out of order among the replica's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames

Sign = Literal["neighbours", "ends", "zone", "rollouts", "step"]

_BLOCK = 64  # lines that stand together
_SAMPLE = 300_000  # lookups of long logs that are looked at
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cited:
    """A line that shows it."""

    source: int
    line: int
    ts: datetime
    role: str


@dataclass(frozen=True, slots=True)
class Offset:
    """A clock that is ahead (positive seconds) or behind by one sign."""

    replica: str
    sign: Sign
    seconds: float
    spread: float  # half the width of what the sign leaves open, in seconds
    witnesses: int  # blocks of lines, other replicas, or rollouts
    lines: tuple[Cited, ...]


def offsets(events: Events, frames: Frames, limits: Limits) -> list[Offset]:
    """Return what each sign shows, by replica and sign."""
    blocks = _blocks(events, frames)
    found = [
        *_neighbours(blocks, frames, limits),
        *_ends(frames, limits),
        *_zones(frames, limits),
        *_rollouts(frames, limits),
        *_steps(blocks, frames, limits),
    ]
    return sorted(found, key=lambda o: (o.replica, o.sign))


def _blocks(events: Events, frames: Frames) -> pl.DataFrame:
    """Return source, block, replica: mean, first and last time in seconds, a line, and the number of lines.

    Of long logs every so many blocks are looked at.
    """
    every = max(1, int(frames.totals["lookups"].sum()) // _SAMPLE)
    block = pl.col("line") // _BLOCK
    seconds = (pl.col("ts") - frames.start).dt.total_microseconds() / 1e6
    parts = [
        part.rows.lazy()
        .filter((block % every == 0) & pl.col("ts").is_not_null() & pl.col("replica").is_not_null())
        .select("source", "line", pl.col("replica").cast(pl.String), block=block, t=seconds)
        .collect()
        for part in events.parts
    ]
    if not parts:
        return pl.DataFrame()
    keys = ["source", "replica", "block"]
    found = pl.concat(parts).group_by(keys).agg(
        n=pl.len(), mean=pl.col("t").mean(), low=pl.col("t").min(), high=pl.col("t").max(), line=pl.col("line").min(),
        at=pl.col("t").sort_by("line").first(),
    )  # fmt: skip
    return found.sort(keys)


def _neighbours(blocks: pl.DataFrame, frames: Frames, limits: Limits) -> Iterator[Offset]:
    """Yield the replicas whose lines bear another time than those around them, steadily and in their own order."""
    if blocks.is_empty():
        return
    place = ["source", "block"]
    mixed = blocks.filter(pl.col("replica").n_unique().over(place) >= limits.clock_peers)
    wide = pl.col("high") - pl.col("low")
    apart = mixed.with_columns(
        off=pl.col("mean") - pl.col("mean").median().over(place), more=wide - wide.median().over(place)
    )
    told = apart.group_by("replica").agg(
        n=pl.len(), off=pl.col("off").median(), more=pl.col("more").median(),
        spread=(pl.col("off").quantile(0.9) - pl.col("off").quantile(0.1)) / 2,
    ).sort("replica")  # fmt: skip
    sure = (pl.col("n") >= limits.clock_blocks) & (pl.col("off").abs() >= limits.clock_off_s)
    steady = (pl.col("spread") <= pl.col("off").abs() / 2) & (pl.col("more") <= pl.col("off").abs() / 2)
    for replica, n, off, spread in told.filter(sure & steady).select("replica", "n", "off", "spread").iter_rows():
        yield Offset(replica, "neighbours", off, spread, n, _together(mixed, replica, frames))


def _together(mixed: pl.DataFrame, replica: str, frames: Frames) -> tuple[Cited, ...]:
    """Cite a line of the replica and the nearest of another one in the same file."""
    mine = mixed.filter(pl.col("replica") == replica)
    one = mine.row(mine.height // 2, named=True)
    same = (pl.col("source") == one["source"]) & (pl.col("block") == one["block"]) & (pl.col("replica") != replica)
    rest = mixed.filter(same).sort((pl.col("line").cast(pl.Int64) - one["line"]).abs(), "replica")
    rows = [(one, f"line of {replica}"), (rest.row(0, named=True), f"line of {rest['replica'][0]} beside it")]
    return tuple(
        Cited(row["source"], row["line"], frames.start + timedelta(seconds=row["at"]), role) for row, role in rows
    )


def _ends(frames: Frames, limits: Limits) -> Iterator[Offset]:
    """Yield the replicas whose log begins and ends as much earlier, or later, than those of half the fleet at least."""
    lives = _lives(frames, limits)
    if len(lives) < limits.clock_peers:
        return
    begun, ended = _shifts(lives)
    pause = np.array([life[2] for life in lives.values()])
    slack = limits.clock_slack_ends_s + limits.clock_pauses * pause
    with_most = (np.abs(begun) <= slack) & (np.abs(ended) <= slack)
    if 2 * with_most.sum() < len(lives) or with_most.sum() < 2:
        return
    off = (begun + ended) / 2
    shifted = (np.abs(begun - ended) <= slack) & (np.abs(off) >= np.maximum(limits.clock_off_s, 3 * slack))
    for name, by, open_, odd in zip(lives, off.tolist(), slack.tolist(), shifted.tolist(), strict=True):
        if odd:
            yield Offset(name, "ends", by, open_, int(with_most.sum()), ())


def _shifts(lives: Mapping[str, tuple[float, float, float]]) -> tuple[_Floats, _Floats]:
    """Return by how much each log begins, and ends, later than the median one."""
    first, last, _ = (np.array([life[i] for life in lives.values()]) for i in range(3))
    return first - np.median(first), last - np.median(last)


def _lives(frames: Frames, limits: Limits) -> Mapping[str, tuple[float, float, float]]:
    """Return first and last lookup, and mean pause between lookups, by replica; seconds since the start."""
    told = frames.totals.drop_nulls("replica").group_by("replica").agg(
        pl.col("lookups").sum(), pl.col("first").min(), pl.col("last").max()
    )  # fmt: skip
    busy = told.filter(pl.col("lookups") >= limits.clock_lines).sort("replica")
    lives = {}
    for replica, n, first, last in busy.iter_rows():
        a, b = (first - frames.start).total_seconds(), (last - frames.start).total_seconds()
        lives[replica] = (a, b, (b - a) / n)
    return lives


def _zones(frames: Frames, limits: Limits) -> Iterator[Offset]:
    """Yield the replicas that begin, end and follow rollouts by the same quarters of an hour earlier or later.

    Each alone has other reasons: a replica that came later, a log that was fetched later, a rollout that took long.
    """
    lives = _lives(frames, limits)
    if len(lives) < limits.clock_peers:
        return
    shifts = dict(zip(lives, zip(*_shifts(lives), strict=True), strict=True))
    shared = _shared(frames, limits.clock_peers)
    near = pl.col("off").abs() <= limits.clock_slack_zone_s
    odd = shared.filter((near.mean().over(_MOVE) >= 0.5) & (pl.col("off").abs() >= limits.clock_zone_s))
    for rows in odd.sort("replica", "t").partition_by("replica", maintain_order=True):
        replica, offs = rows["replica"][0], rows["off"].to_numpy()
        zone = round(float(np.median(offs)) / limits.zone_step_s) * limits.zone_step_s
        apart = np.abs(np.array([*offs, *shifts.get(replica, (np.inf,))]) - zone)
        if apart.max() <= limits.clock_slack_zone_s:
            yield Offset(
                replica, "zone", zone, float(apart.max()), _far_apart(rows["t"].to_list(), limits), _cited(rows)
            )


_MOVE = ["op", "model", "version"]


def _shared(frames: Frames, least: int) -> pl.DataFrame:
    """Return changes that so many replicas make once each, with t, seconds since the start, and off, since the median.

    A line of a rollout is of no replica, but in a log of one alone it shows its clock.
    """
    changes = frames.changes.filter(pl.col("op").is_in(["rollout", "load", "flush"])).drop_nulls(["model", "ts"])
    owners = frames.changes.drop_nulls("replica").group_by("source").agg(
        _only=pl.when(pl.col("replica").n_unique() == 1).then(pl.col("replica").first())
    )  # fmt: skip
    named = changes.join(owners, on="source", how="left").with_columns(replica=pl.coalesce("replica", "_only"))
    seen = named.drop_nulls("replica")
    once = seen.filter(pl.len().over(*_MOVE, "replica") == 1)
    t = (pl.col("ts") - frames.start).dt.total_microseconds() / 1e6
    shared = once.with_columns(t=t).filter(pl.len().over(_MOVE) >= least)
    return shared.with_columns(off=pl.col("t") - pl.col("t").median().over(_MOVE))


def _rollouts(frames: Frames, limits: Limits) -> Iterator[Offset]:
    """Yield the replicas that are off by the same at rollouts which all others make at the same moment."""
    off = _shared(frames, limits.clock_peers + 1)
    tight = off.with_columns(most=(pl.col("off").abs() <= limits.clock_slack_ends_s).mean().over(_MOVE))
    odd = tight.filter((pl.col("most") >= 0.5) & (pl.col("off").abs() >= limits.clock_off_s)).sort("replica", "t")
    for rows in odd.partition_by("replica", maintain_order=True):
        apart = _far_apart(rows["t"].to_list(), limits)
        by, width = float(np.median(rows["off"].to_numpy())), float(np.ptp(rows["off"].to_numpy())) / 2
        if apart >= limits.clock_rollouts and width <= limits.clock_slack_ends_s:
            yield Offset(rows["replica"][0], "rollouts", by, width, apart, _cited(rows))


def _cited(rows: pl.DataFrame) -> tuple[Cited, ...]:
    lines = rows.select("source", "line", "ts", "version").head(2).iter_rows()
    return tuple(Cited(s, n, ts, f"version {v} on {rows['replica'][0]}") for s, n, ts, v in lines)


def _far_apart(times: Sequence[float], limits: Limits) -> int:
    """Count moments: what happens soon after another is of the same rollout."""
    moments, last = 0, -np.inf
    for time in times:
        if time - last > limits.rollout_grace_s:
            moments, last = moments + 1, time
    return moments


def _steps(blocks: pl.DataFrame, frames: Frames, limits: Limits) -> Iterator[Offset]:
    """Yield the replicas whose time goes back once, in the middle of their own lines, and runs on from there.

    By less than clock_step_s: files put together in the wrong order go back by more.
    """
    if blocks.is_empty():
        return
    own = ["source", "replica"]
    lower = pl.col("low").shift(-1).over(own) - pl.col("high")
    after = pl.col("mean").shift(-1).over(own) - pl.col("mean")
    turns = blocks.with_columns(
        back=-pl.max_horizontal(lower, after),
        ahead=after,
        pace=after.median().over(own),
        next=pl.col("line").shift(-1).over(own),
    )
    turned = (pl.col("back") >= limits.clock_off_s).sum().over(own) == 1
    most = pl.col("back").max().over(own)
    # a batch of late lines goes back too, but what follows it leaps forward again
    runs_on = (pl.col("ahead").max().over(own) < pl.col("pace") + most / 2) & (pl.col("pace") < most / 2)
    alone = turns.filter(turned & runs_on & (pl.col("back") == most) & (most <= limits.clock_step_s))
    for row in (
        alone.sort("replica", "source").unique("replica", keep="first", maintain_order=True).iter_rows(named=True)
    ):
        yield _turned(row, frames)


def _turned(row: Mapping[str, Any], frames: Frames) -> Offset:
    ts = frames.start + timedelta(seconds=row["at"])
    lines = (
        Cited(row["source"], row["line"], ts, "shortly before its time goes back"),
        Cited(row["source"], row["next"], ts - timedelta(seconds=row["back"]), "its time has gone back"),
    )
    return Offset(row["replica"], "step", -row["back"], row["high"] - row["low"], 1, lines)
