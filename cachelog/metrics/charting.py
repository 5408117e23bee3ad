"""Pictures of findings: the miss rate of the affected replicas and of the others, and which version was where.

A picture shows the time of its finding with what came before and after it, in a bounded number of points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

import numpy as np
import polars as pl

from cachelog.contract.charting import Band, Charts, Lane, Line, Mark, Picture, Rates
from cachelog.contract.finding import Finding
from cachelog.contract.limits import Limits
from cachelog.contract.platform import ANY, DEPLOY, of_kind
from cachelog.contract.rule import Frames
from cachelog.contract.wording import replicas as so_many
from cachelog.metrics.proportions import wilson_bounds
from cachelog.metrics.windows import rate_known

_UNNAMED = "(unnamed)"
_UNKNOWN = "unknown"  # version of a replica of which nothing says it
_MARKED = ("load", "load_fail", "restart", "rollout", "flush")
_STEPS = (1, 2, 3, 6, 12, 18, 30, 60, 90, 180, 360, 720, 1440, 4320, 8640)  # base windows in a window: round widths
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _View:
    """The stretch of time that a picture shows."""

    start: datetime
    end: datetime


def charts(frames: Frames, findings: Sequence[Finding], limits: Limits) -> Charts:
    """Return the pictures of the best ranked findings that no other one explains, at most limits.chart_findings."""
    told = [finding for finding in findings if finding.caused_by is None][: limits.chart_findings]
    made = {finding.id: _picture(frames, _concrete(frames, finding, findings), limits) for finding in told}
    return Charts({name: picture for name, picture in made.items() if picture.says})


def _concrete(frames: Frames, finding: Finding, findings: Sequence[Finding]) -> Finding:
    """Return a finding of no model as one of the model that it harmed most, else of its replicas' busiest one."""
    if finding.model is not None:
        return finding
    harmed = [f.model for f in findings if f.caused_by == finding.id and f.model is not None]
    return replace(finding, model=harmed[0] if harmed else _most_asked(frames, finding.replicas))


def _most_asked(frames: Frames, replicas: Sequence[str]) -> str | None:
    mine = frames.totals.filter(pl.col("replica").is_in(list(replicas)))
    asked = mine.group_by("model").agg(pl.col("lookups").sum()).sort("lookups", "model", descending=[True, False])
    return None if asked.is_empty() else str(asked["model"][0])


def _picture(frames: Frames, finding: Finding, limits: Limits) -> Picture:
    view = _view(frames, finding, limits)
    lanes, rest = _lanes(frames, finding, view, limits)
    most = max(1, limits.chart_bands // max(len(lanes), 1))
    drawn = tuple(replace(lane, bands=lane.bands[-most:]) for lane in lanes)
    marks = _marks(frames, finding, [lane.replica for lane in lanes], view)
    step = -(-marks.height // limits.chart_marks) or 1
    rates = _rates(frames, finding, view, limits)
    return Picture(
        model=finding.model,
        start=view.start,
        end=view.end,
        rates=rates,
        figures=_fewer(rates, limits) if rates else None,
        lanes=drawn,
        versions=_versions(frames, finding, drawn),
        rest=rest,
        undrawn=sum(len(lane.bands) for lane in lanes) - sum(len(lane.bands) for lane in drawn),
        marks=tuple(Mark(*row) for row in marks.gather_every(step).iter_rows()),
        happened=marks.height,
    )


def _view(frames: Frames, finding: Finding, limits: Limits) -> _View:
    """Return the time of a finding and as much again on both sides, or the whole period where that is no more."""
    begun = finding.onset_low or finding.start or frames.start
    ended = finding.end or frames.end
    pad = max(ended - begun, timedelta(seconds=limits.chart_around_s))
    start, end = max(frames.start, begun - pad), min(frames.end, ended + pad)
    whole = end <= start or (end - start) * 2 > frames.end - frames.start
    return _View(frames.start, frames.end) if whole else _View(start, end)


def _is_of(finding: Finding) -> pl.Expr:
    return pl.col("model") == finding.model if finding.model is not None else pl.lit(False)


# -- miss rates -----------------------------------------------------------------------------------------


def _rates(frames: Frames, finding: Finding, view: _View, limits: Limits) -> Rates | None:
    cache = _cache(frames, finding)
    if cache is None:
        return None
    named = pl.col("replica").fill_null(_UNNAMED)
    mine = (_is_of(finding)) & (pl.col("cache") == cache) & (pl.col("lookups") > 0)
    everyone = frames.totals.filter(mine).select(named).to_series().unique()
    affected = everyone.is_in(list(finding.replicas))
    parts = bool(affected.any()) and not affected.all()
    inside = pl.col("w").is_between(view.start - frames.base, view.end, closed="right")
    rows = frames.counts.filter(mine & inside).with_columns(
        at=(~named.is_in(list(finding.replicas))).cast(pl.Int64) if parts else pl.lit(0, pl.Int64)
    )
    if rows.is_empty():
        return None
    hit = int(affected.sum())
    names = [f"{hit} affected", f"{len(everyone) - hit} not affected"] if parts else _all(len(everyone))
    return _windowed(rows, cache, names, frames.base, view, limits)


def _all(many: int) -> list[str]:
    return ["the only replica" if many == 1 else f"all {so_many(many)}"]


def _cache(frames: Frames, finding: Finding) -> str | None:
    """Return the cache of a finding, else the one that its model asks most; None where no rate is known of it."""
    sums = frames.totals.group_by("cache").agg(pl.col("hits", "stale").sum())
    known = [cache for cache, hits, stale in sums.iter_rows() if rate_known(cache, hits, stale)]
    mine = frames.totals.filter((_is_of(finding)) & pl.col("cache").is_in(known))
    if finding.cache is not None and finding.cache in mine["cache"]:
        return finding.cache
    asked = mine.group_by("cache").agg(pl.col("lookups").sum()).sort("lookups", "cache", descending=[True, False])
    return None if asked.is_empty() else str(asked["cache"][0])


def _windowed(
    rows: pl.DataFrame, cache: str, names: Sequence[str], base: timedelta, view: _View, limits: Limits
) -> Rates:
    step = _step(rows, base, view, limits)
    width = base * step
    first = _EPOCH + (view.start - _EPOCH) // width * width
    windows = (view.end - first) // width + 1
    since = (rows["w"].dt.timestamp("us").to_numpy() - (first - _EPOCH) // timedelta(microseconds=1)) // (
        width // timedelta(microseconds=1)
    )
    cell = rows["at"].to_numpy() * windows + np.clip(since, 0, windows - 1)
    shape = (len(names), windows)
    summed = [
        np.bincount(cell, weights=rows[column].to_numpy(), minlength=shape[0] * shape[1]).reshape(shape)
        for column in ("lookups", "misses")
    ]
    lines = tuple(_line(name, n.tolist(), y.tolist()) for name, n, y in zip(names, *summed, strict=True))
    return Rates(cache, first, width.total_seconds(), lines)


def _step(rows: pl.DataFrame, base: timedelta, view: _View, limits: Limits) -> int:
    """Return the fewest base windows with enough lookups in each line's, and not too many or too few windows."""
    span = max(view.end - view.start, base)
    fits = [step for step in _STEPS if span / (base * step) <= limits.chart_points] or [_STEPS[-1]]
    roomy = [step for step in fits if span / (base * step) >= limits.chart_rows] or fits[:1]
    fewest = int(rows.group_by("at").agg(pl.col("lookups").sum())["lookups"].to_numpy().min())
    return next((s for s in roomy if fewest * (base * s / span) >= limits.chart_window_lookups), roomy[-1])


def _line(name: str, lookups: Sequence[float], misses: Sequence[float]) -> Line:
    low, high = wilson_bounds(misses, lookups)
    n, y = (tuple(int(value) for value in values) for values in (lookups, misses))
    return Line(name, n, y, tuple(low.tolist()), tuple(high.tolist()))


def _fewer(rates: Rates, limits: Limits) -> Rates:
    """Return the same in at most limits.chart_rows windows, each of as many windows as the others."""
    many = -(-rates.windows // limits.chart_rows)
    cuts = np.arange(0, rates.windows, many)
    lines = (
        _line(line.name, *(np.add.reduceat(counts, cuts).tolist() for counts in (line.lookups, line.misses)))
        for line in rates.lines
    )
    return Rates(rates.cache, rates.start, rates.seconds * many, tuple(lines))


# -- versions on replicas -------------------------------------------------------------------------------


def _lanes(frames: Frames, finding: Finding, view: _View, limits: Limits) -> tuple[tuple[Lane, ...], dict[str, int]]:
    """Return a lane for each replica, the affected ones first, and of those left out how many end with which version.

    A finding of no model has lanes without versions, of its replicas only: its marks stand on them.
    """
    active = frames.replicas.filter(_is_of(finding))["replica"].unique().to_list()
    names = sorted(set(active) | set(finding.replicas), key=lambda name: (name not in finding.replicas, name))
    shown, left = names[: limits.chart_replicas], names[limits.chart_replicas :]
    levels = frames.levels.filter((_is_of(finding)) & (pl.col("start") <= view.end))
    bands = _bands(levels.filter(pl.col("replica").is_in(shown) & (pl.col("end") >= view.start)), view)
    last = levels.filter(pl.col("replica").is_in(left)).group_by("replica", maintain_order=True).last()
    rest = Counter(last["version"].fill_null(_UNKNOWN).to_list())
    if unknown := len(left) - last.height:
        rest[_UNKNOWN] += unknown
    lanes = (Lane(name, name in finding.replicas, bands.get(name, ())) for name in shown)
    return tuple(lanes), dict(sorted(rest.items()))


def _bands(levels: pl.DataFrame, view: _View) -> dict[str, tuple[Band, ...]]:
    """Return the bands of each replica within the view."""
    rows = levels.select("replica", "version", "start", "end", "observed").sort("replica", "start")
    return {
        str(name): tuple(
            Band(version or _UNKNOWN, max(start, view.start), min(end, view.end), observed == "lookup")
            for _, version, start, end, observed in runs
        )
        for name, runs in groupby(rows.iter_rows(), key=lambda row: row[0])
    }


def _versions(frames: Frames, finding: Finding, lanes: Sequence[Lane]) -> tuple[str, ...]:
    """Return the versions of the bands, the newest first; what cannot be compared stands last, by name."""
    drawn = {band.version for lane in lanes for band in lane.bands}
    order = frames.order.filter(_is_of(finding)).select("version", "ord")
    ranks: dict[str, int] = {version: rank for version, rank in order.iter_rows() if rank is not None}
    return tuple(sorted(drawn, key=lambda version: (-ranks.get(version, -1), version)))


def _marks(frames: Frames, finding: Finding, replicas: Sequence[str], view: _View) -> pl.DataFrame:
    """Return ts, op, replica, version of what happened to the model, to these replicas and to the fleet, by time."""
    about = _is_of(finding) | (pl.col("op").is_in(["restart", "flush", "rollout"]) & pl.col("model").is_null())
    here = pl.col("replica").is_null() | pl.col("replica").is_in(replicas)
    inside = pl.col("ts").is_between(view.start, view.end)
    columns = ["ts", "op", "replica", "version"]
    happened = frames.changes.filter(pl.col("op").is_in(list(_MARKED)) & about & here & inside).select(columns)
    deploys = _deploys(frames, finding, replicas).filter(inside).select(columns)
    return pl.concat([happened, deploys]).unique(maintain_order=True).sort("ts", maintain_order=True)


def _deploys(frames: Frames, finding: Finding, replicas: Sequence[str]) -> pl.DataFrame:
    """Return what the platform tells of deploys of the model, of all, or of a workload of these replicas."""
    workload = pl.col("replica").str.strip_suffix(ANY)
    named = frames.platform.select(workload.drop_nulls().unique()).to_series().to_list()
    mine = [name for name in named if any(replica.startswith(name) for replica in replicas)]
    chosen = of_kind(DEPLOY) & (pl.col("model").is_null() | _is_of(finding))
    told = frames.platform.filter(chosen & (pl.col("replica").is_null() | workload.is_in(mine)))
    return told.with_columns(op=pl.lit("rollout"), replica=pl.lit(None, pl.String))
