"""Measures cachelog beside its peers and writes RESULTS.md: `python -m bench [--only SECTION ...] [--lines N ...]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from bench import chart, render, results
from bench.results import Results
from bench.sections import LARGE, SECTIONS

_FOLDER = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked, check the answers against each other, and write the results after every section."""
    asked = _asked(arguments)
    if find_spec("duckdb") is None:
        print('python -m bench needs DuckDB: pip install ".[bench]"', file=sys.stderr)
        return 2
    kept = results.load(asked.out / "results.json")
    lines = [*asked.lines, LARGE] if asked.large else asked.lines
    for name in asked.only or SECTIONS:
        for sizes in SECTIONS[name].sizes(lines):
            _measured(name, sizes, asked.rounds, kept)
            _write(asked.out, kept)
    _write(asked.out, kept)
    print((asked.out / "RESULTS.md").read_text())
    return 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--lines", type=int, nargs="+", default=[100_000, 1_000_000, 4_000_000], metavar="N")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="16 million lines too (5.4 GB), where sizes are compared")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="folder of results.json, RESULTS.md and RESULTS.svg")
    return parser.parse_args(arguments)


def _measured(name: str, sizes: Sequence[int], rounds: int, kept: Results) -> None:
    """Measure one section and put it in the place of what was known of it."""
    print(f"{name}, {', '.join(f'{lines:,}' for lines in sizes)} lines", file=sys.stderr, flush=True)
    load = os.getloadavg()[0]
    found = results.entry(SECTIONS[name].measure(sizes, rounds), load)
    kept.setdefault(name, {})[max(sizes)] = found


def _write(folder: Path, kept: Results) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "results.json", kept)
    (folder / "RESULTS.svg").write_text(chart.drawing(kept))
    (folder / "RESULTS.md").write_text(render.page(kept))


if __name__ == "__main__":
    sys.exit(main())
