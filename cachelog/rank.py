"""Rank: the worst harm first, a cause before its effects, and names that stay from run to run (METHODS §7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2s

from cachelog.attribution.cause import EFFECTS, SHOWN
from cachelog.contract.finding import Confidence, Finding, Severity

_SURE = {Confidence.LOW: 0.4, Confidence.MEDIUM: 0.7, Confidence.HIGH: 1.0}
_BASIS = {"observed": 0.8, "unknown": 0.5}
_ONGOING = 1.5


def named(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings in a fixed order with their fingerprints: no times and no line numbers go into them."""
    seen: Counter[str] = Counter()
    done: list[Finding] = []
    for finding in sorted(findings, key=_by_name):
        facts = (
            finding.rule,
            finding.model,
            finding.cache,
            finding.version_from,
            finding.version_to,
            *finding.replicas,
        )
        text = "\0".join(f or "" for f in facts)
        seen[text] += 1  # a second one of the same kind: its number, as its time would change from run to run
        again = f"\0{seen[text]}" if seen[text] > 1 else ""
        mark = blake2s((text + again).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
        done.append(replace(finding, fingerprint=mark))
    return done


def rank(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings best first, with scores and ids F1, F2 ..., and links by id instead of fingerprint."""
    own = {f.fingerprint: _score(f) for f in findings}
    scored = [replace(f, score=_with_effects(f, findings, own)) for f in findings]
    scored.sort(key=lambda f: (-f.severity, _expected(f), -f.score, f.caused_by is not None, *_by_name(f)))
    ids = {f.fingerprint: f"F{place}" for place, f in enumerate(scored, 1)}
    return [_relinked(f, ids) for f in scored]


def _expected(finding: Finding) -> int:
    """Of what is for information alone, what somebody did comes first, then how caches are.

    A cache that was cold after a start is what everybody expects; it comes last.
    """
    if finding.severity > Severity.INFO or finding.rule not in (*EFFECTS, *SHOWN):
        return 0
    return 2 if finding.rule == "cold-start" else 1


def _by_name(finding: Finding) -> tuple[str, ...]:
    start = finding.start.isoformat() if finding.start else ""
    return (finding.rule, finding.model or "", start, finding.cache or "", *finding.replicas)


def _score(finding: Finding) -> float:
    """Harm: extra misses at least, and lookups that the wrong version answered, by how sure that is."""
    impact = finding.impact
    harm = max(0.0, impact.excess_misses_low or 0.0) + (impact.stale_served or 0)
    sure = _SURE[finding.confidence] * _BASIS.get(finding.order_basis or "", 1.0)
    return round(harm * sure * (_ONGOING if finding.ongoing else 1.0), 3)


def _with_effects(finding: Finding, findings: Sequence[Finding], own: dict[str, float]) -> float:
    """A cause is at least as bad as what it brought about."""
    effects = [own[f.fingerprint] for f in findings if f.caused_by == finding.fingerprint]
    return max([own[finding.fingerprint], *effects])


def _relinked(finding: Finding, ids: dict[str, str]) -> Finding:
    return replace(
        finding,
        id=ids[finding.fingerprint],
        caused_by=ids[finding.caused_by] if finding.caused_by else None,
        causes=tuple(replace(cause, finding=ids[cause.finding]) for cause in finding.causes),
    )
