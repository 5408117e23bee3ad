"""load-failure: a version fails to load, and what is served instead.

What it says
    One or more replicas report that they could not load a version of a model, how often, with which error, whether
    a later try went well, and which version they have instead.

Why it matters
    A rollout that cannot be loaded leaves an older version in service, or none. Servers often log it once, at level
    info, and go on.

How it decides
    Lines that report a failed load, gathered by model and version. A later line that the same version was loaded on the
    replica means that it recovered there.

When it stays quiet
    Retries that end well are low; so are requests for models that no replica in these logs ever loaded or served (a
    client that asks for a name that does not exist).

What to do
    Read the error: memory, a missing or broken file, credentials, an incompatible backend. The evidence names the line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from cachelog.contract.counted import Counted, everywhere
from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import listed, replicas

_SHOWN = 3
_REASON = 160  # characters of the error that go into the summary


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each model and version that failed to load."""
    failed = frames.changes.filter((pl.col("op") == "load_fail") & pl.col("model").is_not_null())
    groups = failed.partition_by("model", "version", maintain_order=True)
    groups.sort(key=lambda rows: (rows["model"][0], rows["version"][0] or ""))
    return [_finding(rows, frames) for rows in groups]


def _finding(rows: pl.DataFrame, frames: Frames) -> Finding:
    model, version = rows["model"][0], rows["version"][0]
    names = rows["replica"].drop_nulls().unique().sort().to_list()
    open_ = [r for r in names if not _recovered(rows, r, frames)]
    known = _known(model, frames)
    instead = _instead(model, open_, rows["ts"][0], frames)
    return Finding(
        rule="load-failure",
        severity=_severity(open_, known, instead),
        confidence=Confidence.HIGH,
        title=_title(model, version, names, open_),
        summary=_summary(rows, names, open_, instead),
        model=model,
        replicas=tuple(names),
        version_to=version,
        version_from=instead[0] if len(instead) == 1 else None,
        start=rows["ts"][0],
        end=_end(rows, open_, frames),
        ongoing=bool(open_),
        numbers={"failures": rows.height, "replicas_failed": len(names), "replicas_recovered": len(names) - len(open_)},
        evidence=_evidence(rows),
        counted={"failures": (_failures(model, version, rows),)},
        next_steps=(f"read the error and check that {model} {version or ''}".rstrip() + " can be loaded there at all",),
    )


def _failures(model: str, version: str | None, rows: pl.DataFrame) -> Counted:
    """Return which lines the failures are."""
    spells = everywhere(rows["ts"][0], rows["ts"][-1], rows["replica"].drop_nulls().unique().sort().to_list())
    return Counted(what="failed loads", op="load_fail", model=model, version=version, spells=spells)


def _end(rows: pl.DataFrame, open_: Sequence[str], frames: Frames) -> datetime:
    """The last failure; where the version is missing still, the last sign of these replicas."""
    last: datetime = rows["ts"][-1]
    signs = frames.replicas.filter(pl.col("replica").is_in(list(open_)))["last"].to_list()
    return last if not signs else max(last, *signs)


def _recovered(rows: pl.DataFrame, replica: str, frames: Frames) -> bool:
    """Was the version (or, where no version is named, the model) loaded there after the last failure?"""
    last = rows.filter(pl.col("replica") == replica)["ts"].max()
    version = rows["version"][0]
    later = (pl.col("op") == "load") & (pl.col("model") == rows["model"][0]) & (pl.col("replica") == replica)
    later &= pl.col("ts") >= last
    if version is not None:
        later &= pl.col("version") == version
    return not frames.changes.filter(later).is_empty()


def _known(model: str, frames: Frames) -> bool:
    """Did any replica ever load or serve this model?"""
    loaded = frames.changes.filter((pl.col("op") == "load") & (pl.col("model") == model))
    return not (loaded.is_empty() and frames.counts.filter(pl.col("model") == model).is_empty())


def _instead(model: str, names: Sequence[str], since: datetime, frames: Frames) -> list[str]:
    """Return the versions that the replicas had after the failure."""
    mine = (pl.col("model") == model) & pl.col("replica").is_in(list(names)) & (pl.col("end") >= since)
    return frames.levels.filter(mine)["version"].unique().sort().to_list()


def _severity(open_: Sequence[str], known: bool, instead: Sequence[str]) -> Severity:
    if not open_ or not known:
        return Severity.LOW
    return Severity.MEDIUM if instead else Severity.HIGH


def _title(model: str, version: str | None, names: Sequence[str], open_: Sequence[str]) -> str:
    what = f"version {version} fails to load" if version else "fails to load"
    after = "" if open_ else ", a later try went well"
    return f"{model}: {what} on {replicas(len(names))}{after}"


def _summary(rows: pl.DataFrame, names: Sequence[str], open_: Sequence[str], instead: Sequence[str]) -> str:
    reasons = Counter(r for r in rows["reason"].to_list() if r)
    said = f"{rows.height} failed loads on {listed(names, 5) or 'an unnamed replica'}."
    if reasons:
        reason = min(reasons, key=lambda r: (-reasons[r], r))
        said += f" Error: {reason[:_REASON]}."
    if open_:
        said += f" They have {listed(instead)} instead." if instead else " No other version of it is there."
    return said


def _evidence(rows: pl.DataFrame) -> tuple[Evidence, ...]:
    """The first failure of each replica, of the first few."""
    first: dict[Any, Evidence] = {}
    for source, line, ts, replica in rows.select("source", "line", "ts", "replica").iter_rows():
        first.setdefault(replica, Evidence(source, line, ts, "load failed"))
    return tuple(first.values())[:_SHOWN]
