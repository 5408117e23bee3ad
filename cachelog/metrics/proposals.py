"""Where a series may have stepped: a score-CUSUM over seeded intervals (METHODS §1.3).

Seeded binary segmentation: Kovacs, Li, Bühlmann and Munk (2020). Vectorised over series; no loop over points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cachelog.contract.limits import Limits
from cachelog.metrics.proportions import Floats

Ints = NDArray[np.int64]

_DECAY = 2**-0.5  # lengths of the seeded intervals
_PROBES = 128  # split points tried in an interval


def propose(residual: Floats, information: Floats, limits: Limits) -> list[list[int]]:
    """Return candidate steps per series: narrowest seeded intervals whose score-CUSUM exceeds c ln T."""
    windows = residual.shape[1]
    shortest = shortest_segment(windows)
    intervals = _seeded(windows, shortest)
    gain, place = _best_splits(residual, information, intervals, shortest)
    threshold = limits.shift_cusum * math.log(windows)
    return [_narrowest(gain[:, s], place[:, s], intervals, threshold) for s in range(len(residual))]


def rise_near(residual: Floats, information: Floats, suspected: slice) -> list[list[int]]:
    """Return, per series, begin and end of the likeliest single rise that overlaps the suspected windows.

    All pairs of ends are scored that leave at most the length of the suspicion, and half of it again, on either side.
    """
    windows = residual.shape[1]
    shortest, reach = shortest_segment(windows), (3 * (suspected.stop - suspected.start) + 1) // 2
    starts = np.arange(max(suspected.start - reach, shortest), suspected.stop)
    ends = np.arange(suspected.start + 1, min(suspected.stop + reach, windows) + 1)
    long = ends[None, :] - starts[:, None] >= shortest
    r, v = _prefix(residual), _prefix(information)
    return [_likeliest_rise(r[s], v[s], starts, ends, long) for s in range(len(residual))]


def _likeliest_rise(r: Floats, v: Floats, starts: Ints, ends: Ints, long: NDArray[np.bool_]) -> list[int]:
    more, told = r[ends][None, :] - r[starts][:, None], v[ends][None, :] - v[starts][:, None]
    spread = told * (v[-1] - told) / max(v[-1], 1e-12)
    z = np.where(long & (spread > 1e-9), more / np.sqrt(np.maximum(spread, 1e-9)), -np.inf)
    row, column = divmod(int(np.argmax(z)), len(ends))
    return [int(starts[row]), int(ends[column])] if np.isfinite(z[row, column]) and z[row, column] > 0 else []


def shortest_segment(windows: int) -> int:
    """Return the fewest windows between two steps: 6, fewer in series under 48 windows."""
    return max(3, min(6, windows // 8))


def _seeded(windows: int, shortest: int) -> list[tuple[int, int]]:
    """Return the seeded intervals [a, b): lengths falling by sqrt 2, each length covering the series twice."""
    intervals = [(0, windows)]
    length = windows * _DECAY
    while math.ceil(length) >= 4 * shortest:
        whole = math.ceil(length)
        starts = np.linspace(0, windows - whole, 2 * math.ceil(windows / length) - 1).astype(int)
        intervals += [(int(a), int(a) + whole) for a in starts]
        length *= _DECAY
    return intervals


def _best_splits(
    residual: Floats, information: Floats, intervals: Sequence[tuple[int, int]], shortest: int
) -> tuple[Floats, Ints]:
    """Return the best gain and its place, (K intervals, S series); gain 0 where a side holds no information."""
    r, v = _prefix(residual), _prefix(information)
    gain = np.zeros((len(intervals), len(residual)))
    place = np.zeros(gain.shape, np.int64)
    rows = np.arange(len(residual))
    for k, (a, b) in enumerate(intervals):
        split = np.arange(a + shortest, b - shortest + 1)
        split = split[:: max(1, len(split) // _PROBES)]
        if not len(split):
            continue
        g = _gains(r[:, split] - r[:, [a]], v[:, split] - v[:, [a]], r[:, [b]] - r[:, [a]], v[:, [b]] - v[:, [a]])
        best = np.argmax(g, axis=1)
        gain[k], place[k] = g[rows, best], split[best]
    return gain, place


def _prefix(values: Floats) -> Floats:
    return np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))


def _gains(r_left: Floats, v_left: Floats, r_all: Floats, v_all: Floats) -> Floats:
    """Score statistic of a split, chi2 with one degree of freedom under the null model."""
    total = np.maximum(v_all, 1e-12)
    spread = v_left * (v_all - v_left) / total
    told = spread > 1e-9 * total
    gains: Floats = np.where(told, (r_left - r_all * v_left / total) ** 2 / np.where(told, spread, 1.0), 0.0)
    return gains


def _narrowest(gain: Floats, place: Ints, intervals: Sequence[tuple[int, int]], threshold: float) -> list[int]:
    """Take the narrowest interval over the threshold, drop those that hold its split, and so on."""
    left = sorted(np.flatnonzero(gain > threshold).tolist(), key=lambda k: (_width(intervals[k]), -gain[k], k))
    found: list[int] = []
    while left:
        split = int(place[left[0]])
        found.append(split)
        left = [k for k in left if not intervals[k][0] < split < intervals[k][1]]
    return sorted(found)


def _width(interval: tuple[int, int]) -> int:
    return interval[1] - interval[0]
