"""Errors that carry their exit code."""

from __future__ import annotations


class UsageError(Exception):
    """Bad usage or configuration: one clear sentence that says what to do (exit 2)."""


class NoData(Exception):
    """Nothing was read that could be judged (exit 3)."""
