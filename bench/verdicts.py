"""What was measured against the targets of the issue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

from bench.results import Entry, Results
from bench.sections import ANALYZE, BASES, EXPONENT, PEAK_GROWTH, READ, SECTIONS, TARGETS, grown

FULL = 4_000_000  # lines of which the issue speaks
_MIDDLE = FULL
_SIZED = frozenset(name for name in BASES if name != "second")


@dataclass(frozen=True)
class Verdict:
    """One target: of what (section, row), which measure, what was found (None: not measured), and the limit."""

    section: str
    row: str
    measure: str
    found: float | None
    limit: float
    lines: int | None = None

    def said(self) -> str:
        """Return met, not met or not measured; in brackets at sizes of which the issue does not speak."""
        if self.found is None:
            return "not measured"
        word = "met" if self.found <= self.limit else "not met"
        small = self.section in _SIZED and self.lines is not None and self.lines < FULL
        return f"({word})" if small else word


def of_row(section: str, lines: int, entry: Entry, row: str) -> list[Verdict]:
    """Return the verdicts on one row."""
    return [
        Verdict(section, row, target.measure, _found(section, entry, row, target.measure), target.limit, lines)
        for target in TARGETS.get((section, row), ())
    ]


def _found(section: str, entry: Entry, row: str, measure: str) -> float | None:
    if row not in entry.rows:
        return None
    base = BASES.get(section)
    return entry.ratio(row, base, measure) if base else entry.rows[row].seconds()


def everything(results: Results) -> Iterator[Verdict]:
    """Yield every target of the issue with what was found at 4 million lines, or else at the largest size below."""
    for (section, row), targets in TARGETS.items():
        at = _chosen(results.get(section, {}))
        if at is None:
            yield from (Verdict(section, row, target.measure, None, target.limit) for target in targets)
        else:
            yield from of_row(section, at, results[section][at], row)
    for row in (READ, ANALYZE):
        yield from growth(results, row)


def _chosen(sizes: dict[int, Entry]) -> int | None:
    return max((lines for lines in sizes if lines <= FULL), default=None)


def growth(results: Results, row: str) -> list[Verdict]:
    """Return the verdicts on exponent and peak of what is done by `row`; the last sizes that were measured together."""
    last = max(results.get("growth", {}), default=0)
    points = curve(results, row)
    walls = [(lines, wall) for lines, wall, _ in points]
    peaks = {lines: peak for lines, _, peak in points}
    middle = peaks.get(_MIDDLE) if last > _MIDDLE else None
    exponent = slope(walls) if len(walls) > 1 else None
    return [
        Verdict("growth", row, "exponent", exponent, EXPONENT, last),
        Verdict("growth", row, "peak", peaks[last] / middle if middle else None, PEAK_GROWTH, last),
    ]


def curve(results: Results, row: str) -> list[tuple[int, float, float]]:
    """Return (lines, median wall, largest peak) of the section growth, by size."""
    sizes = results.get("growth", {})
    if not sizes:
        return []
    rows = sizes[max(sizes)].rows
    found = {int(name.rpartition("|")[2]): made for name, made in rows.items() if name.startswith(f"{row} |")}
    assert all(grown(row, lines) in rows for lines in found)
    return [(lines, found[lines].seconds(), found[lines].most()) for lines in sorted(found)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the exponent of y = c x^k by least squares on logarithms."""
    xs, ys = [log(x) for x, _ in points], [log(y) for _, y in points]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)


def title(verdict: Verdict) -> str:
    """Name a verdict for people."""
    return f"{SECTIONS[verdict.section].title}: {verdict.row}"
