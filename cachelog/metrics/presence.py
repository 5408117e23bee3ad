"""When replicas write lines, and silences of theirs that are no chance.

A silence is judged by the replica's own rate, and by what its peers did meanwhile: when lines are lost, the peers go on
as before; when a replica gets no traffic, they take its part over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames

_Ints = npt.NDArray[np.int64]
_MICRO = timedelta(microseconds=1)

Verdict = Literal["lost", "idle", "unknown", "all silent"]


@dataclass(frozen=True)
class Presence:
    """Lines by replica (rows, by name) and window (columns)."""

    replicas: tuple[str, ...]
    start: datetime  # of window 0
    base: timedelta
    lines: _Ints


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch of windows without a line, of some replicas at once; they wrote before and after it."""

    rows: tuple[int, ...]
    first: int  # windows without a line: first to last
    last: int
    expected: float  # lines by their own rate before and after
    verdict: Verdict
    peers_expected: float  # lines of the others in it, by their rate before and after
    peers: int  # ... and what they were


def presence(events: Events, frames: Frames) -> Presence:
    """Return the lines of all replicas: lookups, bypasses, errors, samples, and all other events."""
    asked = frames.counts.select("replica", "w", n=pl.col("lookups") + pl.col("bypass") + pl.col("errors"))
    start = asked["w"].min() if asked.height else frames.start
    origin = start if isinstance(start, datetime) else frames.start
    origin -= max(0, -((frames.start - origin) // frames.base)) * frames.base  # a window that holds the first event
    told = pl.concat([frames.changes.select("replica", "ts"), _samples(events)]).with_columns(w="ts", n=1)
    told = told.select("replica", "w", pl.col("n").cast(pl.Int64))
    both = pl.concat([asked, told]).drop_nulls(["replica", "w"])
    at = (pl.col("w") - origin).dt.total_microseconds() // (frames.base // _MICRO)
    cells = both.select("replica", "n", at=at).group_by("replica", "at").agg(pl.col("n").sum())
    names = cells["replica"].unique().sort()
    row = cells["replica"].cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)
    width = int((frames.end - origin) // frames.base) + 1
    lines = np.zeros((len(names), width), np.int64)
    np.add.at(lines, (row, np.clip(cells["at"].to_numpy(), 0, width - 1)), cells["n"].to_numpy())
    return Presence(tuple(names.to_list()), origin, frames.base, lines)


def _samples(events: Events) -> pl.DataFrame:
    """Return replica and ts of the periodic lines, if there are any."""
    parts = [p.where((p.words["op"] == "sample").fill_null(False), None) for p in events.parts]
    found = [p.full(p.rows.lazy()) for p in parts if (p.words["op"] == "sample").any()]
    empty = pl.DataFrame(schema={"replica": pl.String, "ts": pl.Datetime("us", "UTC")})
    rows = [f.select(pl.col("replica").cast(pl.String), "ts").collect() for f in found]
    return pl.concat([empty, *rows])


def silences(seen: Presence, limits: Limits) -> list[Silence]:
    """Return the silences that are no chance, by time; those of several replicas at the same time are one."""
    found = list(_candidates(seen, limits))
    together = [_judged(seen, group, limits) for group in _grouped(found)]
    return [silence for silence in together if silence]


@dataclass(frozen=True, slots=True)
class _Zero:
    row: int
    first: int
    last: int
    expected: float


def _candidates(seen: Presence, limits: Limits) -> Iterator[_Zero]:
    """Yield the runs of empty windows, within the life of a replica, in which its own rate lets many lines expect."""
    shortest = max(1, math.ceil(limits.gap_s / seen.base.total_seconds()) - 1)
    rows, first, last = _zero_runs(seen.lines)
    total, life = seen.lines.sum(axis=1), _life(seen.lines)
    length = last - first + 1
    rate = total / np.maximum(life, 1)
    likely = (length >= shortest) & (rate[rows] * length >= limits.gap_lines / 4)
    for row, a, b in zip(rows[likely].tolist(), first[likely].tolist(), last[likely].tolist(), strict=True):
        near = _near(seen.lines[row], a, b)
        expected = near.mean() * (b - a + 1)
        spread = max(1.0, near.var() / max(near.mean(), 1e-9))
        if expected >= limits.gap_lines and expected / spread >= limits.gap_lines / 3:
            yield _Zero(row, a, b, float(expected))


def _zero_runs(lines: _Ints) -> tuple[_Ints, _Ints, _Ints]:
    """Return row, first and last window of all runs of empty windows that have lines on both sides."""
    silent = np.zeros((lines.shape[0], lines.shape[1] + 2), np.int8)
    silent[:, 1:-1] = lines == 0
    edges = np.diff(silent, axis=1)
    rows, first = np.nonzero(edges == 1)
    _, last = np.nonzero(edges == -1)
    inner = (first > 0) & (last < lines.shape[1])
    return rows[inner], first[inner], last[inner] - 1


def _life(lines: _Ints) -> _Ints:
    """Return how many windows lie between the first and the last line of each row."""
    any_ = lines > 0
    ends = lines.shape[1] - np.argmax(any_[:, ::-1], axis=1)
    life: _Ints = np.where(any_.any(axis=1), ends - np.argmax(any_, axis=1), 0)
    return life


def _near(row: _Ints, first: int, last: int) -> _Ints:
    """Return the windows before and after, as many on each side as it lasts, at least 12; its edges are cut windows."""
    reach = max(last - first + 1, 12)
    before, after = row[max(0, first - 1 - reach) : max(first - 1, 0)], row[last + 2 : last + 2 + reach]
    both: _Ints = np.concatenate([before, after])
    return both if len(both) else np.zeros(1, np.int64)


def _grouped(found: Sequence[_Zero]) -> list[tuple[_Zero, ...]]:
    """Put silences together that begin and end at the same time, but for a tenth of their length."""
    groups: list[list[_Zero]] = []
    for zero in sorted(found, key=lambda z: (z.first, z.last, z.row)):
        slack = 1 + (zero.last - zero.first) // 10
        fits = (g for g in groups if abs(g[0].first - zero.first) <= slack and abs(g[0].last - zero.last) <= slack)
        group = next(fits, None)
        if group is None:
            groups.append([zero])
        elif zero.row not in {z.row for z in group}:
            group.append(zero)
    return [tuple(group) for group in groups]


def _judged(seen: Presence, group: Sequence[_Zero], limits: Limits) -> Silence | None:
    rows = tuple(sorted(z.row for z in group))
    first, last = max(z.first for z in group), min(z.last for z in group)
    expected = sum(z.expected for z in group)
    others = np.delete(seen.lines, rows, axis=0).sum(axis=0)
    near = _near(others, first, last)
    inside = others[first : last + 1]
    usual, real = float(near.mean()) * len(inside), int(inside.sum())
    verdict = _verdict(expected, usual, real, _spread(near), limits)
    if verdict in ("unknown", "all silent") and _is_habit(seen, rows, first, last, limits):
        return None
    return Silence(rows, first, last, expected, verdict, usual, real)


def _spread(near: _Ints) -> float:
    return max(1.0, float(near.var() / max(near.mean(), 1e-9)))


def _verdict(expected: float, usual: float, real: int, spread: float, limits: Limits) -> Verdict:
    """Tell lost lines from lost traffic: did the others take over what the silent ones should have had?

    The ratio of the others' lines to their usual ones is 1 when lines are lost, 1 + expected / usual when traffic went
    to them; where chance could hide the difference, nobody knows.
    """
    if real < limits.gap_peers * max(usual, 1.0):
        return "all silent"
    if usual < 1:
        return "idle"
    shift = math.log1p(expected / usual)
    deviation = math.sqrt(spread * (1 / max(real, 1) + 1 / max(usual, 1.0)))
    rise = math.log(real / usual)
    if shift < limits.gap_z * deviation:
        return "unknown"
    return "lost" if rise < shift / 2 else "idle"


def _is_habit(seen: Presence, rows: Sequence[int], first: int, last: int, limits: Limits) -> bool:
    """Are there other silences of a third of its length at least?"""
    where, a, b = _zero_runs(seen.lines[list(rows)].sum(axis=0)[np.newaxis])
    long = (b - a + 1) * 3 >= last - first + 1
    return int(long.sum()) > limits.gap_habit and len(where) > 0
