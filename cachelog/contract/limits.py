"""Every threshold of every rule: its unit and why it has this value.

Sections belong to rules. A number in a rule's code that is no entry here is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """All thresholds; seconds unless the name says otherwise."""

    # -- ingest -------------------------------------------------------------------------------
    block_bytes: int = 16 << 20  # one parse unit: big enough to amortise, small enough to bound memory (PERF §5)
    line_bytes: int = 8 << 20  # a longer line is counted as bad: no log line is that long, a JSON bomb is

    # -- versions -----------------------------------------------------------------------------
    skew_s: float = 30.0  # runs shorter than this are clock skew or overlap of a rollout (METHODS §4)
    dwell_s: float = 60.0  # the newer version must have held this long to be certain
    hold_s: float = 300.0  # the older version must have held this long to be certain
    episode_gap_s: float = 1800.0  # regressions of one model closer than this are one episode


DEFAULT = Limits()
