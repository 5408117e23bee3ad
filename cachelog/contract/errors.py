"""The error that is the user's to mend."""

from __future__ import annotations


class UsageError(Exception):
    """Bad usage or configuration: one clear sentence that says what to do (exit 2)."""
