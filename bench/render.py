"""RESULTS.md of what was measured: verdicts, the chart, and a table a section and size."""

from __future__ import annotations

from collections.abc import Iterator

from bench import verdicts
from bench.results import Entry, Results, Row
from bench.sections import ANALYZE, BASES, READ, SECTIONS
from bench.verdicts import Verdict

_HEAD = """# How fast

Made by `python -m bench` (extra `bench`: DuckDB, zstandard) out of `results.json`; `python -m bench --only SECTION`
measures one section again. Whole processes in alternation; wall and CPU are medians of the rounds and ratios are
medians of the ratios within a round; peak is the largest resident memory. The files are in the page cache. Seconds
depend on the machine and what else it does: compare the ratios.

"Read and count" is, for ours and the peers alike: lookups and misses per model, version, replica and minute, and loads
of an older version after a newer one, without rules. `cachelog analyze` is all of it: every line accounted for, all
rules, JSON report. DuckDB 2 does the counting by hand with 2 threads: `read_json`, `read_parquet`, or whole lines with
a literal prefilter and `regexp_extract` (`bench/duckdb_job.py`). The sums are checked to agree in every run.

Verdicts are held against the targets of the issue at 4 million lines; in brackets: at a smaller size.
"""
_TITLES = "| | wall s | of {base} | CPU s | of it | peak MB | of it | verdict |\n|---|---|---|---|---|---|---|---|"
_NAMES = {"wall": "wall", "peak": "peak memory", "exponent": "exponent of time"}


def page(results: Results) -> str:
    """Return the whole page."""
    parts = [_HEAD, _summary(results), "![Wall time beside DuckDB, and peak memory against size](RESULTS.svg)\n"]
    for name in SECTIONS:
        for lines, entry in sorted(results.get(name, {}).items()):
            parts.append("\n".join(_section(name, lines, entry, results)) + "\n")
    return "\n".join(parts)


def _summary(results: Results) -> str:
    rows = [
        f"| {verdicts.title(v)} | {_NAMES[v.measure]} | {_number(v.found)} | {v.limit:.2f} | {_lines(v)} | {v.said()} |"
        for v in verdicts.everything(results)
    ]
    return "\n".join(["## Verdicts", "", "| | | found | at most | lines | |", "|---|---|---|---|---|---|", *rows, ""])


def _lines(verdict: Verdict) -> str:
    return f"{verdict.lines:,}" if verdict.lines else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _section(name: str, lines: int, entry: Entry, results: Results) -> Iterator[str]:
    where = f"{SECTIONS[name].title}, {lines:,} lines" if name not in ("growth", "start") else SECTIONS[name].title
    yield f"## {where}\n"
    yield f"{entry.bytes / 1e6:,.4g} MB; {entry.when}; {entry.machine}; load {entry.load} before; {_rounds(entry)}.\n"
    yield from (f"{note[0].upper()}{note[1:]}.\n" for note in entry.notes)
    if not entry.rows:
        return
    if name == "growth":
        yield from _growth(results)
    elif name == "inside":
        yield from _inside(entry, lines)
    elif name in BASES:
        yield from _ratios(name, lines, entry)
    else:
        yield from _seconds(name, lines, entry)


def _rounds(entry: Entry) -> str:
    count = max((len(row.wall) for row in entry.rows.values()), default=0)
    return "1 round" if count == 1 else f"{count} rounds"


def _ratios(name: str, lines: int, entry: Entry) -> Iterator[str]:
    base = BASES[name]
    yield _TITLES.format(base="DuckDB's" if base.startswith("DuckDB") else base)
    for row, made in entry.rows.items():
        wall, cpu, peak = (entry.ratio(row, base, measure) for measure in ("wall", "cpu", "peak"))
        cells = [f"{made.seconds():.2f}", f"{wall:.2f}", f"{_cpu(made):.2f}", f"{cpu:.2f}"]
        cells += [f"{made.most():.0f}", f"{peak:.2f}", _verdict(verdicts.of_row(name, lines, entry, row))]
        yield f"| {row} | {' | '.join(cells)} |"


def _cpu(row: Row) -> float:
    return sorted(row.cpu)[len(row.cpu) // 2]


def _verdict(found: list[Verdict]) -> str:
    return "; ".join(f"{_NAMES[v.measure]} at most {v.limit:.2f}: {v.said()}" for v in found)


def _seconds(name: str, lines: int, entry: Entry) -> Iterator[str]:
    yield "| | wall s | CPU s | peak MB | verdict |\n|---|---|---|---|---|"
    for row, made in entry.rows.items():
        verdict = _verdict(verdicts.of_row(name, lines, entry, row))
        yield f"| {row} | {made.seconds():.2f} | {_cpu(made):.2f} | {made.most():.0f} | {verdict} |"


def _growth(results: Results) -> Iterator[str]:
    yield "| | lines | wall s | peak MB |\n|---|---|---|---|"
    for row in (READ, ANALYZE):
        for lines, wall, peak in verdicts.curve(results, row):
            yield f"| {row} | {lines:,} | {wall:.2f} | {peak:.0f} |"
    yield ""
    for row in (READ, ANALYZE):
        found = [v for v in verdicts.growth(results, row) if v.found is not None]
        said = [f"{_NAMES[v.measure]} {_number(v.found)}, at most {v.limit:.2f}: {v.said()}" for v in found]
        yield f"{row}: {'; '.join(said) or 'one size only'}.\n"


def _inside(entry: Entry, lines: int) -> Iterator[str]:
    yield "Medians of a loop with `time.perf_counter` (`bench/inside.py`).\n"
    yield "| stage | s | a second |\n|---|---|---|"
    for row, made in entry.rows.items():
        wall = made.seconds()
        scans = row.startswith(("scan", "stage"))
        rate = f"{entry.bytes / wall / 1e6:,.0f} MB" if scans else f"{lines / wall / 1e6:,.1f} M lines"
        yield f"| {row} | {wall:.4f} | {rate} |"
