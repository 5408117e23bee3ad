"""load-slow: loads take much longer than they did.

What it says
    From a time on, loads of a model, on a replica, or in the whole fleet take several times as long as before: the
    medians, since when, and how many loads.

Why it matters
    Loads are the time in which a replica serves nothing, or the old version. Slow ones stretch rollouts and restarts,
    and may run into time limits. Typical reasons: a slow registry or disk, a bigger version, a node short of CPU.

How it decides
    The duration of a load is what its line says, else the time since the line that it began. Loads are put in order of
    time, each held against the median of its model, and cut where the later ones outrank the earlier ones most (rank
    sum, Wilcoxon 1945; p <= 0.001 times the number of cuts, or no later one as short as any earlier one). The later
    median must be three times the earlier one and two seconds longer. The fleet is looked at first, then single models
    and replicas.

When it stays quiet
    Fewer loads than could be so by chance in one of fifty orders, three at least on either side; single slow loads;
    loads that got faster. Low, medium from ten seconds more.

What to do
    One model: its size, its format, what its new version brings. One replica: its disk, node, network. All: the
    registry or store that models come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from cachelog.contract.counted import Counted, everywhere
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting, replicas
from cachelog.metrics.loads import timed
from cachelog.metrics.proportions import Floats, normal_tail

_SHOWN = 2  # loads cited on either side


@dataclass(frozen=True)
class _Slower:
    """Loads of one scope, cut into earlier and later ones."""

    model: str | None
    replica: str | None
    earlier: pl.DataFrame
    later: pl.DataFrame

    @property
    def medians(self) -> tuple[float, float]:
        return _median(self.earlier), _median(self.later)


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for the fleet where all of it loads more slowly, else one a model or replica that does."""
    loads = timed(frames)
    fleet = _slower(loads, None, None, limits)
    if fleet is not None and _is_everywhere(fleet, limits):
        return [_finding(fleet, frames, limits)]
    models = [s for m, rows in _groups(loads, "model") if (s := _slower(rows, m, None, limits))]
    told = {m.model for m in models}
    rest = loads.filter(~pl.col("model").is_in(list(told)))
    some = [s for r, rows in _groups(rest, "replica") if (s := _slower(rows, None, r, limits))]
    return [_finding(one, frames, limits) for one in (*models, *some)]


def _groups(loads: pl.DataFrame, by: str) -> Iterator[tuple[str, pl.DataFrame]]:
    for name in loads[by].drop_nulls().unique().sort().to_list():
        yield name, loads.filter(pl.col(by) == name)


def _slower(loads: pl.DataFrame, model: str | None, replica: str | None, limits: Limits) -> _Slower | None:
    usual = pl.col("seconds") / pl.col("seconds").median().over("model")
    at = _cut(loads.select(usual).to_series().to_numpy(), limits)
    if at is None:
        return None
    found = _Slower(model, replica, loads[:at], loads[at:])
    before, after = found.medians
    long = after >= limits.slow_ratio * before and after - before >= limits.slow_s
    return found if long else None


def _median(loads: pl.DataFrame) -> float:
    return float(loads["seconds"].median())  # type: ignore[arg-type]


def _cut(took: Floats, limits: Limits) -> int | None:
    """Return the number of earlier loads, None where later ones do not take longer; by the largest rank sum."""
    n = len(took)
    cuts = np.arange(limits.slow_loads, n - limits.slow_loads + 1)
    if not len(cuts):
        return None
    rank = pl.Series(took).rank("average").to_numpy()
    sums = rank.sum() - np.cumsum(rank)[cuts - 1]
    later = n - cuts
    z = (sums - later * (n + 1) / 2) / np.sqrt(later * cuts * (n + 1) / 12)
    best = int(np.argmax(z))
    at = int(cuts[best])
    apart = took[at:].min() > took[:at].max() and math.comb(n, at) >= limits.slow_orders
    return at if apart or normal_tail(float(z[best])) * len(cuts) <= limits.slow_p else None


def _is_everywhere(fleet: _Slower, limits: Limits) -> bool:
    """Do most models that were loaded before and after take longer, and are there several?"""
    medians = (rows.group_by("model").agg(pl.col("seconds").median()) for rows in (fleet.earlier, fleet.later))
    before, after = medians
    both = before.join(after, on="model")
    slower = both.filter(pl.col("seconds_right") >= limits.slow_ratio * pl.col("seconds")).height
    return slower > 1 and 2 * slower > both.height


def _finding(one: _Slower, frames: Frames, limits: Limits) -> Finding:
    before, after = one.medians
    start = one.later["ts"][0]
    what = one.model or (f"loads on {one.replica}" if one.replica else "loads of all models")
    names = one.later["replica"].drop_nulls().unique().sort().to_list()
    return Finding(
        rule="load-slow",
        severity=Severity.MEDIUM if after - before >= limits.slow_medium_s else Severity.LOW,
        confidence=Confidence.HIGH
        if min(one.earlier.height, one.later.height) > limits.slow_loads
        else Confidence.MEDIUM,
        title=f"{what}: {'a load takes' if one.model else 'each takes'} {_span(after)}, it was {_span(before)}",
        summary=f"Since {start:%Y-%m-%d %H:%M:%S} UTC {one.later.height} loads on {replicas(len(names))} took"
        f" {_span(after)} in the median, {after / before:.1f} times as long as the {one.earlier.height} before.",
        model=one.model,
        replicas=tuple(names),
        version_from=_only_version(one, one.earlier),
        version_to=_only_version(one, one.later),
        start=start,
        end=one.later["ts"][-1],
        onset_low=one.earlier["ts"][-1],
        onset_high=start,
        ongoing=True,
        numbers={
            "median_seconds_before": round(before, 3),
            "median_seconds_after": round(after, 3),
            "loads_before": one.earlier.height,
            "loads_after": one.later.height,
        },
        evidence=(
            *_cited(one.earlier.tail(_SHOWN), "loaded as usual"),
            *_cited(one.later.head(_SHOWN), "loaded slowly"),
        ),
        counted={"loads_before": (_loads(one, one.earlier),), "loads_after": (_loads(one, one.later),)},
        next_steps=("look at where models are loaded from, and at the disk and network of these replicas",),
    )


def _loads(one: _Slower, loads: pl.DataFrame) -> Counted:
    """Return which lines the loads are."""
    spells = everywhere(loads["ts"][0], loads["ts"][-1], [one.replica] if one.replica else [])
    return Counted(what="loads", op="load", model=one.model, spells=spells)


def _span(seconds: float) -> str:
    return lasting(seconds) if seconds >= 10 else f"{seconds:.1f} s"


def _only_version(one: _Slower, loads: pl.DataFrame) -> str | None:
    versions = loads["version"].drop_nulls().unique()
    return versions[0] if one.model and len(versions) == 1 else None


def _cited(loads: pl.DataFrame, role: str) -> Iterator[Evidence]:
    for source, line, ts in loads.select("source", "line", "ts").iter_rows():
        yield Evidence(source, line, ts, role)
