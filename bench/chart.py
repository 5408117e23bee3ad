"""RESULTS.svg: walls beside DuckDB as bars on a logarithmic scale, and peaks against size as lines; plain SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import log10

from bench.results import Results
from bench.sections import ANALYZE, DUCKDB, READ, SECTIONS, TARGETS
from bench.verdicts import FULL

_WIDTH, _LEFT, _RIGHT, _ROW = 900, 330, 60, 44
_LOW, _HIGH = 0.1, 20.0  # ratios at the ends of the scale
_COLOURS = {READ: "#1f77b4", ANALYZE: "#ff7f0e", DUCKDB: "#555555"}
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
_PLOT = 260  # height of the lower panel


def drawing(results: Results) -> str:
    """Return the whole drawing."""
    bars = list(_bars(results))
    top = 70
    lower = top + _ROW * len(bars) + 70
    height = lower + _PLOT + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        _text(20, 26, "Wall time, DuckDB's counting by hand = 1 (less is faster)", size=16),
        *_legend(20, 48),
        *_scale(top, _ROW * len(bars)),
        *(part for at, bar in enumerate(bars) for part in _group(top + at * _ROW, *bar)),
        _text(20, lower - 14, "Peak memory against lines, JSON lines of fixed keys", size=16),
        *_peaks(results, lower),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bars(results: Results) -> Iterator[tuple[str, str, list[tuple[str, float]]]]:
    """Yield section, label and (row, ratio) of the formats, each at 4 million lines or at the largest size below."""
    for name, section in SECTIONS.items():
        lines = max((lines for lines in results.get(name, {}) if lines <= FULL), default=None)
        if lines is None or DUCKDB not in results[name][lines].rows:
            continue
        entry = results[name][lines]
        found = [(row, entry.ratio(row, DUCKDB, "wall")) for row in (READ, ANALYZE) if row in entry.rows]
        yield name, f"{section.title}, {lines / 1e6:g} M", found


def _x(ratio: float) -> float:
    share = (log10(min(max(ratio, _LOW), _HIGH)) - log10(_LOW)) / (log10(_HIGH) - log10(_LOW))
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _legend(x: int, y: int) -> Iterator[str]:
    for at, row in enumerate((READ, ANALYZE)):
        yield f'<rect x="{x + at * 240}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[row]}"/>'
        yield _text(x + 18 + at * 240, y, row)
    yield f'<line x1="{x + 490}" x2="{x + 490}" y1="{y - 12}" y2="{y + 3}" stroke="#d62728" stroke-width="3"/>'
    yield _text(x + 500, y, "target of the issue")


def _scale(top: int, height: int) -> Iterator[str]:
    for tick in _TICKS:
        width = 2 if tick == 1 else 0.5
        yield (
            f'<line x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="{top}" y2="{top + height}" stroke="#888" '
            f'stroke-width="{width}"/>'
        )
        yield _text(_x(tick), top + height + 16, f"{tick:g}", anchor="middle")


def _group(y: int, section: str, label: str, found: Sequence[tuple[str, float]]) -> Iterator[str]:
    yield _text(_LEFT - 10, y + 24, label, anchor="end", size=12)
    if not found:
        yield _text(_LEFT + 6, y + 24, "not read in this revision")
    for at, (row, ratio) in enumerate(found):
        top = y + 5 + at * 17
        yield (f'<rect x="{_LEFT}" y="{top}" width="{_x(ratio) - _LEFT:.1f}" height="15" fill="{_COLOURS[row]}"/>')
        yield _text(_x(ratio) + 5, top + 12, f"{ratio:.2f}", size=11)
        for target in TARGETS.get((section, row), ()):
            if target.measure == "wall":
                x = _x(target.limit)
                yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + 15}" stroke="#d62728" stroke-width="3"/>'


def _peaks(results: Results, top: int) -> Iterator[str]:
    sizes = results.get("json", {})
    curves = {
        row: [(lines, sizes[lines].rows[row].most()) for lines in sorted(sizes) if row in sizes[lines].rows]
        for row in (READ, ANALYZE, DUCKDB)
    }
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return
    x, y = _axes(points, top)
    for lines in sorted(sizes):
        yield _text(x(lines), top + _PLOT + 20, f"{lines / 1e6:g} M", anchor="middle")
    for share in (0.25, 0.5, 0.75, 1):
        peak = share * max(peak for _, peak in points)
        yield f'<line x1="90" x2="{_WIDTH - 220}" y1="{y(peak):.1f}" y2="{y(peak):.1f}" stroke="#ddd"/>'
        yield _text(82, y(peak) + 4, f"{peak:,.0f} MB", anchor="end", size=11)
    for row, curve in curves.items():
        yield from _curve(row, [(x(lines), y(peak)) for lines, peak in curve])


def _axes(points: Sequence[tuple[int, float]], top: int) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Lines on a logarithmic scale, megabytes on a plain one from 0."""
    first, last = log10(min(x for x, _ in points)), log10(max(x for x, _ in points))
    most, wide = max(y for _, y in points), max(last - first, 1e-9)
    return (
        lambda lines: 110 + (log10(lines) - first) / wide * (_WIDTH - 350),
        lambda peak: top + _PLOT * (1 - peak / most),
    )


def _curve(row: str, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    if not points:
        return
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{path}" fill="none" stroke="{_COLOURS[row]}" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_COLOURS[row]}"/>' for x, y in points)
    x, y = points[-1]
    yield _text(x + 8, y + 4, row, size=11)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
