"""Findings about versions that need clocks to agree better than they do (NOVEL 6): told, and with less confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from cachelog.contract.finding import Confidence, Finding
from cachelog.contract.rule import Frames
from cachelog.contract.wording import lasting

_MARGIN = "holds_up_to_skew_seconds"


def doubted(findings: Sequence[Finding], frames: Frames) -> list[Finding]:
    """Return the findings, with low confidence where a clock of the model's replicas is off by more than they bear."""
    off: dict[str, float] = {}
    for finding in findings:
        by = finding.numbers.get("offset_seconds")
        if finding.rule == "clock-skew" and isinstance(by, float | int) and finding.confidence > Confidence.LOW:
            off |= dict.fromkeys(finding.replicas, abs(by))
    return [_doubted(f, off, frames) for f in findings] if off else list(findings)


def _doubted(finding: Finding, off: dict[str, float], frames: Frames) -> Finding:
    margin = finding.numbers.get(_MARGIN)
    if not isinstance(margin, float | int):
        return finding
    there = frames.replicas.filter(pl.col("model") == finding.model)["replica"].to_list()
    worse = sorted((-off[name], name) for name in there if off.get(name, 0.0) >= margin)
    if not worse:
        return finding
    by, name = worse[0]
    said = f"{finding.summary} The clock of {name} is off by {lasting(-by)}, which is more."
    return replace(finding, confidence=Confidence.LOW, summary=said)
