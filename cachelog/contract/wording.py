"""How findings say things: lists of names, spans of time, numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return a readable list of names: a, b, c and 4 more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)", or nothing when no known name is near."""
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def lasting(seconds: float) -> str:
    """Return a span of time in its two largest units: 40 s, 12 min 30 s, 1 h 5 min; from three days on 29 d 23 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    hours, minutes = divmod(whole // 60, 60)
    if hours >= 72:
        return f"{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")
    return f"{hours} h" + (f" {minutes} min" if minutes else "")


def replicas(many: int) -> str:
    """Return "1 replica" or "5 replicas"."""
    return f"{many} replica" if many == 1 else f"{many} replicas"


def percent(share: float) -> str:
    """Return a share as per cent with one decimal."""
    return f"{100 * share:.1f} %"
