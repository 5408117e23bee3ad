"""What `cachelog verify` says: how much of a saved report was recomputed, and what does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from cachelog.contract.finding import Number

SCHEMA = "cachelog.verified/1"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not hold: `where` (a finding, model, input or line), the `field` of it, what it was and is.

    The field is empty where all of it is on one side only.
    """

    where: str
    field: str
    was: Number
    now: Number
    line: str = ""  # path:line, where it is the text of a cited line


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared and what does not hold, in the order of the report."""

    figures: int  # fields of the saved report that were recomputed, cited lines apart
    lines: int  # cited lines that were read again
    differences: tuple[Difference, ...]
