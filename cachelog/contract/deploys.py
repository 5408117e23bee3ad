"""Deploys that the user tells of (--deploy)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Deploy:
    """A deploy that the user tells of: `text` is TIME[,MODEL[,VERSION]] in UTC; without a model it is one of all."""

    text: str
    ts: datetime
    model: str | None = None
    version: str | None = None
