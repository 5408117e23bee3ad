"""Names that a user typed against the names there are: what is unknown is answered with the nearest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from cachelog.contract.errors import UsageError


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)", or nothing when no known name is near."""
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


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
