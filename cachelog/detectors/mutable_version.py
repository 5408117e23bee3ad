"""mutable-version: one version label, two different digests.

What it says
    Lines name one version of a model with two or more digests: which, since when, which replicas have which, and how
    many lookups each answered.

Why it matters
    The label was pushed again with other contents. Replicas that loaded before and after it answer differently and
    nobody sees it, for they say the same version; a cache whose keys carry the label mixes the answers of both. A
    rollback to the label does not bring back what was there.

How it decides
    The digest of a version on a replica is that of its latest load line (or start of a load, or of its lookups, where
    they carry one). Digests are compared as hexadecimal text without "sha256:", a short form equals its long form, and
    only digests of one kind of line and of one length are held against one another.

When it stays quiet
    A replica that names several digests within one load: these are files of one version. Lookups with more than a few
    digests, or with two that alternate on a replica: these are digests of requests. The same replicas that differ in
    several versions: these are builds by architecture; information where that shows in one version only, by digests
    that came in turns. It is high where replicas with
    different digests serve at the end of the log, medium where they do not serve, low when all have come to the new
    one; information for labels that are meant to move (latest, stable).

What to do
    Load the same digest everywhere; flush caches whose keys carry the label. Then make labels immutable in the
    registry, or name versions by digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Confidence, Evidence, Finding, Impact, Severity
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import listed, replicas
from cachelog.metrics.digests import Sighting, is_by_replica, twofold
from cachelog.versions.order import ALIASES

_SHOWN = 4  # lines cited
_BUILT = " They came in turns, and each replica keeps its own: builds for two architectures, most likely."
_LENGTH = 12  # characters of a digest that are shown


def detect(events: Events, frames: Frames, limits: Limits) -> list[Finding]:
    """Return one finding for each version of a model that has more than one digest."""
    return [_finding(key, seen, frames) for key, seen in twofold(events, frames, limits).items()]


def _finding(key: tuple[str, str], seen: Sequence[Sighting], frames: Frames) -> Finding:
    model, version = key
    second = next(s for s in seen if s.digest != seen[0].digest)
    now = {s.replica: s.digest for s in seen}
    sides = _sides(now)
    odd = tuple(sorted(r for r, digest in now.items() if digest != sides[0]))
    built = is_by_replica(seen)
    answered, total = _answered(model, version, odd, second, frames)
    return Finding(
        rule="mutable-version",
        severity=Severity.INFO if built else _severity(version, odd, total),
        confidence=Confidence.LOW if built else Confidence.HIGH,
        title=f"{model}: version {version} has {len({s.digest for s in seen})} different digests",
        summary=_summary(seen, sides, now, second, answered, total) + (_BUILT if built else ""),
        model=model,
        replicas=odd or tuple(sorted({s.replica for s in seen if s.digest == second.digest})),
        version_from=version,
        version_to=version,
        start=second.ts,
        end=frames.end if odd else seen[-1].ts,
        onset_low=seen[0].ts,
        onset_high=second.ts,
        ongoing=bool(odd),
        impact=Impact(lookups=total),
        numbers={
            "digests": len({s.digest for s in seen}),
            "replicas_seen": len(now),
            "replicas_apart": len(odd),
            "lookups_of_those_apart": answered,
        },
        evidence=_evidence(seen),
        next_steps=(f"load one digest of {model} {version} everywhere, and flush caches that carry its label",),
    )


def _sides(now: Mapping[str, str]) -> list[str]:
    """Return the digests that replicas have at the end, that of most of them first."""
    held = list(now.values())
    return sorted(set(held), key=lambda digest: (-held.count(digest), digest))


def _answered(
    model: str, version: str, odd: Sequence[str], second: Sighting, frames: Frames
) -> tuple[int | None, int | None]:
    """Return the lookups of the version since then: of the replicas apart from most, and of all."""
    mine = frames.counts.filter(
        (pl.col("model") == model) & (pl.col("version") == version) & (pl.col("cache") != "model"),
        pl.col("last") >= second.ts,
    )
    total = int(mine["lookups"].sum())
    return (int(mine.filter(pl.col("replica").is_in(odd))["lookups"].sum()), total) if total else (None, None)


def _severity(version: str, odd: Sequence[str], total: int | None) -> Severity:
    if version.lower() in ALIASES:
        return Severity.INFO
    if not odd:
        return Severity.LOW
    return Severity.HIGH if total else Severity.MEDIUM


def _summary(
    seen: Sequence[Sighting], sides: Sequence[str], now: Mapping[str, str], second: Sighting, answered: int | None,
    total: int | None,
) -> str:  # fmt: skip
    said = f"{seen[0].digest[:_LENGTH]} was seen first, {second.digest[:_LENGTH]} from {second.ts:%H:%M:%S} UTC on"
    if len(sides) == 1:
        return f"{said}; all {replicas(len(now))} have {sides[0][:_LENGTH]} now."
    parts = [f"{listed(sorted(r for r in now if now[r] == d), 4)} with {d[:_LENGTH]}" for d in sides]
    said = f"{said}. At the end of the log: {'; '.join(parts)}."
    return f"{said} The smaller part answered {answered:,} of {total:,} lookups since then." if answered else said


def _evidence(seen: Sequence[Sighting]) -> tuple[Evidence, ...]:
    """Cite the first line of each digest on each replica, those of the first digests first."""
    first: dict[str, list[Sighting]] = {}
    for sighting in seen:
        first.setdefault(sighting.digest, []).append(sighting)
    each = max(1, _SHOWN // len(first))
    lines = [s for mine in first.values() for s in mine[:each]]
    return tuple(Evidence(s.source, s.line, s.ts, f"digest {s.digest[:_LENGTH]} on {s.replica}") for s in lines)
