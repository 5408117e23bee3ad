"""Gates of METHODS §9 that need no fleet: causes of misses against the known truth."""

from __future__ import annotations

from collections.abc import Iterator


def tables() -> Iterator[str]:
    """Yield them as lines of Markdown."""
    return iter(())
