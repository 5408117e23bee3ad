"""Which version label is newer, and on what basis (METHODS §3).

Works on the distinct labels of one model, never on events. All labels of a model must parse under one scheme:
date, integer, semantic version (semver.org 2.0), PEP 440; before them an order the user declared, after them the
order in which the fleet took the versions up. Where nothing helps the order is unknown, and said to be.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

_SEMVER = re.compile(
    r"^(\d+)\.(\d+)\.(\d+)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9A-Za-z.-]+))?$"
)
_DATE = re.compile(
    r"^(20\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_T.]?(\d{2})[:_-]?(\d{2})[:_-]?(\d{2})?)?(?:[-_.](\d{1,4}))?Z?$"
)
_HASH = re.compile(r"^(?:sha256:)?[0-9a-f]{7,64}$")
_LEAD_V = re.compile(r"^[vV](?=\d)")
_NON_DIGITS = re.compile(r"^[^0-9]*")
#: Names that are pointed at one version today and another tomorrow: no versions at all.
ALIASES = frozenset(
    [
        "latest",
        "stable",
        "canary",
        "production",
        "prod",
        "staging",
        "archived",
        "none",
        "champion",
        "challenger",
        "dev",
        "current",
        "previous",
        "main",
        "master",
        "default",
        "live",
    ]
)

Key = Any  # a value that sorts among those of its scheme


@dataclass(frozen=True)
class Order:
    """Ranks of one model's labels, higher is newer; None is not comparable. Equal ranks are neither newer."""

    ranks: Mapping[str, int | None]
    basis: str


def order(labels: Sequence[str], declared: Sequence[str] = (), seen: Mapping[str, float | None] | None = None) -> Order:
    """Return the order of one model's labels.

    `declared` names labels oldest first. `seen` gives per label when the fleet had it (seconds; None: never by the
    majority of replicas; equal values: not told apart), and is used where the labels themselves have no order.
    """
    names = sorted(set(labels))
    places = {label: place for place, label in enumerate(declared)}
    if any(name in places for name in names):
        return Order({name: places.get(name) for name in names}, "declared")
    parsed = _parsed(names)
    if parsed is not None and not (seen and _contradicted(parsed.ranks, seen)):
        return parsed
    return _observed(names, seen or {})


def _parsed(names: Sequence[str]) -> Order | None:
    if any(name.lower() in ALIASES for name in names) or _hashes(names):
        return None
    bare = {name: _LEAD_V.sub("", rest) for name, rest in _without_prefix(names).items()}
    for scheme, key in _SCHEMES.items():
        keys = {name: key(label) for name, label in bare.items()}
        if all(k is not None for k in keys.values()):
            places = {k: place for place, k in enumerate(sorted(set(keys.values())))}
            return Order({name: places[k] for name, k in keys.items()}, f"parsed:{scheme}")
    return None


def _hashes(names: Sequence[str]) -> bool:
    """Hexadecimal digests sort, but their order means nothing."""
    lettered = sum(bool(re.search("[a-f]", name)) for name in names)
    return all(_HASH.match(name) for name in names) and 2 * lettered >= len(names)


def _without_prefix(names: Sequence[str]) -> Mapping[str, str]:
    """Take off what all labels begin with, up to the first digit: ranker-2024-06-01, model-v12."""
    found = _NON_DIGITS.match(names[0])
    prefix = found[0] if found else ""
    for name in names[1:]:
        while not name.startswith(prefix):
            prefix = prefix[:-1]
    return {name: name[len(prefix) :] or name for name in names}


def _integer(label: str) -> Key:
    return int(label) if label.isascii() and label.isdigit() and len(label) <= 18 else None


def _date(label: str) -> Key:
    found = _DATE.match(label)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def _semver(label: str) -> Key:
    """A pre-release is older than its release; build metadata does not count."""
    found = _SEMVER.match(label)
    if not found:
        return None
    pre: Key = (1,)
    if found[4] is not None:
        pre = (0, tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in found[4].split(".")))
    return (int(found[1]), int(found[2]), int(found[3]), pre)


def _pep440(label: str) -> Key:
    try:
        return Version(label)
    except InvalidVersion:
        return None


_SCHEMES: Mapping[str, Callable[[str], Key]] = {
    "date": _date,
    "int": _integer,
    "semver": _semver,
    "pep440": _pep440,
}

_FEW = 4  # fewer versions than this say nothing about whether their order is that of the rollouts
_MOST_CONTRADICTIONS = 0.3


def _contradicted(ranks: Mapping[str, int | None], seen: Mapping[str, float | None]) -> bool:
    """Do the rollouts go against the parsed order too often for it to be one (numbers used as mere names)?"""
    times = sorted((time, ranks[name] or 0) for name, time in seen.items() if time is not None and name in ranks)
    if len(times) < _FEW:
        return False
    steps = [(a, b) for a, b in itertools.pairwise(times) if a[0] < b[0]]
    against = sum(b[1] < a[1] for a, b in steps)
    return against > _MOST_CONTRADICTIONS * len(steps)


def _observed(names: Sequence[str], seen: Mapping[str, float | None]) -> Order:
    """Newer is what the fleet took up later; without two such times nothing is known."""
    times = sorted({time for name in names if (time := seen.get(name)) is not None})
    if len(times) < 2:
        return Order(dict.fromkeys(names), "unknown")
    places = {time: place for place, time in enumerate(times)}
    ranks = {name: places[time] if (time := seen.get(name)) is not None else None for name in names}
    return Order(ranks, "observed")
