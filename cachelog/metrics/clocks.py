"""How far a replica's clock is from those of the others, by what its log shows of both (NOVEL 6).

Three signs. Neighbours: in a file that several replicas write, lines that stand together were written together. Ends:
logs of a fleet that were cut at the same moments begin and end together, so one that is shifted at both ends by the
same has another clock. Rollouts: what all others do at the same moments, one does as much earlier or later each time.
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

Sign = Literal["neighbours", "ends", "rollouts", "step"]

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
    first, last, pause = (np.array([life[i] for life in lives.values()]) for i in range(3))
    begun, ended = first - np.median(first), last - np.median(last)
    slack = limits.clock_slack_ends_s + limits.clock_pauses * pause
    with_most = (np.abs(begun) <= slack) & (np.abs(ended) <= slack)
    if 2 * with_most.sum() < len(lives) or with_most.sum() < 2:
        return
    off = (begun + ended) / 2
    shifted = (np.abs(begun - ended) <= slack) & (np.abs(off) >= np.maximum(limits.clock_off_s, 3 * slack))
    for name, by, open_, odd in zip(lives, off.tolist(), slack.tolist(), shifted.tolist(), strict=True):
        if odd:
            yield Offset(name, "ends", by, open_, int(with_most.sum()), ())


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


def _rollouts(frames: Frames, limits: Limits) -> Iterator[Offset]:
    """Yield the replicas that are off by the same at rollouts which all others make at the same moment."""
    ops = ["rollout", "load", "flush"]
    seen = frames.changes.filter(pl.col("op").is_in(ops)).drop_nulls(["replica", "model"])
    once = seen.filter(pl.len().over("op", "model", "version", "replica") == 1)
    keys = ["op", "model", "version"]
    t = (pl.col("ts") - frames.start).dt.total_microseconds() / 1e6
    shared = once.with_columns(t=t).filter(pl.len().over(keys) > limits.clock_peers)
    if shared.is_empty():
        return
    off = shared.with_columns(off=pl.col("t") - pl.col("t").median().over(keys))
    tight = off.with_columns(most=(pl.col("off").abs() <= limits.clock_slack_ends_s).mean().over(keys))
    odd = tight.filter((pl.col("most") >= 0.5) & (pl.col("off").abs() >= limits.clock_off_s)).sort("replica", "t")
    for rows in odd.partition_by("replica", maintain_order=True):
        apart = _far_apart(rows["t"].to_list(), limits)
        by, width = float(np.median(rows["off"].to_numpy())), float(np.ptp(rows["off"].to_numpy())) / 2
        if apart >= limits.clock_rollouts and width <= limits.clock_slack_ends_s:
            lines = rows.select("source", "line", "ts", "version").head(2).iter_rows()
            cited = tuple(Cited(s, n, ts, f"version {v} on {rows['replica'][0]}") for s, n, ts, v in lines)
            yield Offset(rows["replica"][0], "rollouts", by, width, apart, cited)


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
