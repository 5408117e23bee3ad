"""Names that a user typed against the names there are: what is unknown is answered with the nearest."""

from __future__ import annotations

from collections.abc import Sequence

from cachelog.contract.errors import UsageError
from cachelog.contract.wording import nearest

__all__ = ["known_rules", "nearest"]


def known_rules(globs: Sequence[str]) -> tuple[str, ...]:
    """Return the globs of rules; raises UsageError on one that fits no rule."""
    import fnmatch

    if not globs:
        return ()
    from cachelog.rooms import detectors

    rules = tuple(detectors())
    for glob in globs:
        if not any(fnmatch.fnmatchcase(rule, glob) for rule in rules):
            raise UsageError(f"no rule {glob!r}{nearest(glob, rules)}; `cachelog rules` lists them")
    return tuple(globs)
