"""How every file of a folder is read: `python -m bench.samples FOLDER` prints a table, and what nobody claims.

Read apart, so that no file helps another. Of lines that are not read the templates are shown, most frequent first;
those that speak of caches, models or versions are marked, since only they would matter.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cachelog.contract.finding import InputReport
from cachelog.inspection import inspect

_TEMPLATES = 4  # of each file
_SHOWN = 110  # characters of a template
#: What a line that matters speaks of.
_TELLING = re.compile(r"(?i)cache|\bmodel|version|\b(?:hit|miss|evict|load|unload|rollout)(?:s|es|ed|ing)?\b")


def rows(folder: Path) -> Iterator[str]:
    """Yield a row of Markdown for each file, and one for all."""
    yield "| file | lines | claimed | events | unclaimed | bad | read as | not read |"
    yield "|---|--:|--:|--:|--:|--:|---|---|"
    total: Counter[str] = Counter()
    for path in sorted(folder.iterdir()):
        report = inspect([str(path)])
        for item in report.inputs:
            templates = report.insights[item.path].templates if item.path in report.insights else ()
            told = [f"{one.lines} × {_mark(one.text)}`{_short(one.text)}`" for one in templates[:_TEMPLATES]]
            total.update(_figures(item))
            yield _row(path.name, _figures(item), _read_as(item), "; ".join(told))
    yield _row("all", total, "", "")


def _figures(item: InputReport) -> dict[str, int]:
    read = item.lines - item.unclaimed - item.bad - item.joined
    figures = {"lines": item.lines, "claimed": read, "events": item.events}
    return {**figures, "unclaimed": item.unclaimed, "bad": item.bad}


def _row(name: str, figures: dict[str, int], read_as: str, told: str) -> str:
    counts = (str(figures.get(key, 0)) for key in ("lines", "claimed", "events", "unclaimed", "bad"))
    return f"| {' | '.join((name, *counts, read_as, told))} |"


def _read_as(item: InputReport) -> str:
    dialects = ", ".join(f"{name} {many}" for name, many in item.claimed.items())
    return f"{dialects} in {item.envelope}" if item.envelope else dialects


def _mark(text: str) -> str:
    return "**matters?** " if _TELLING.search(text) else ""


def _short(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")[:_SHOWN]


if __name__ == "__main__":
    for row in rows(Path(sys.argv[1])):
        print(row)
