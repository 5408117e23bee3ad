"""What lines have in common: a line as the words that stay and the values that change.

The first step of every miner of log templates (Drain, He et al. 2017: "preprocess by domain knowledge", and tokens with
digits are parameters), and all that is needed to compare few lines; lines are not clustered any further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?"  # ISO 8601
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?"
    r"|\b[A-Z][a-z]{2} [ \d]\d(?= \d\d:)"  # syslog
    r"|\b\d{10,19}(?:\.\d+)?\b"  # epoch
)
_BETWEEN = re.compile(r"[\s\"'=:,;(){}\[\]<>|]+")
_DIGIT = re.compile(r"\d")
VALUE = "*"


@dataclass(frozen=True, slots=True)
class Line:
    """The words of a line, VALUE in place of each value, and the values in their order."""

    template: tuple[str, ...]
    values: tuple[str, ...]


def read(text: str, own: str = "") -> Line:
    """Return a line as template and values; times are left out, and `own`, a name as the replica's, is no value."""
    plain = text.replace(own, " ") if own else text
    words = [word for word in _BETWEEN.split(_TIMES.sub(" ", plain)) if word]
    kept = tuple(VALUE if _DIGIT.search(word) else word for word in words)
    return Line(kept, tuple(word for word in words if _DIGIT.search(word)))
