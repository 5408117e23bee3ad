"""What was measured, kept in results.json, so that one section can be measured again alone."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.sections import Measured, engines


@dataclass(frozen=True)
class Row:
    """One command: seconds of wall and CPU and peak megabytes, a value a round."""

    wall: Sequence[float]
    cpu: Sequence[float]
    peak: Sequence[float]

    def seconds(self) -> float:
        """Return the median wall."""
        return median(self.wall)

    def most(self) -> float:
        """Return the largest peak."""
        return max(self.peak)


@dataclass(frozen=True)
class Entry:
    """One section at one size: when and where it was measured, the load before, and its rows in order."""

    when: str
    machine: str
    load: float
    bytes: int
    rows: Mapping[str, Row]
    notes: Sequence[str]

    def ratio(self, name: str, base: str, measure: str) -> float:
        """Return the median of the ratios within a round (wall, cpu), or the ratio of the largest peaks (peak)."""
        mine, theirs = self.rows[name], self.rows[base]
        if measure == "peak":
            return mine.most() / theirs.most()
        pairs = zip(mine.cpu, theirs.cpu, strict=True) if measure == "cpu" else zip(mine.wall, theirs.wall, strict=True)
        return median(one / other for one, other in pairs)


Results = dict[str, dict[int, Entry]]


def entry(measured: Measured, load: float) -> Entry:
    """Make an entry of what was measured just now."""
    rows = {
        name: Row([round(r.wall, 4) for r in runs], [round(r.cpu, 4) for r in runs], [round(r.peak, 1) for r in runs])
        for name, runs in measured.runs.items()
    }
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Entry(when, machine(), round(load, 1), measured.bytes, rows, list(measured.notes))


def machine() -> str:
    """Name processor, memory, system, and the versions that matter."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    parts = [_processor(), f"{os.cpu_count()} cores", f"{memory:.0f} GB", f"Python {platform.python_version()}"]
    parts += [f"{title} {version(name)}" for title, name in (("Polars", "polars"), ("DuckDB", "duckdb"))]
    return ", ".join([*parts, f"engine {engines()[0]}"])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def load(path: Path) -> Results:
    """Read results; nothing where there is no file."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text())
    return {name: {int(size): _entry(said) for size, said in sizes.items()} for name, sizes in kept.items()}


def _entry(said: Mapping[str, object]) -> Entry:
    rows = said["rows"]
    assert isinstance(rows, Mapping)
    return Entry(**{**said, "rows": {name: Row(**row) for name, row in rows.items()}})  # type: ignore[arg-type]


def save(path: Path, results: Results) -> None:
    """Write results, a line a row."""
    text = json.dumps({name: {str(s): asdict(e) for s, e in sizes.items()} for name, sizes in results.items()})
    path.write_text(_broken(json.loads(text)) + "\n")


def _broken(value: object, depth: int = 0) -> str:
    """Indent objects, but keep a row on its line: four levels down."""
    if not isinstance(value, dict) or depth == 4:
        return json.dumps(value)
    pad = " " * (depth + 1)
    inner = ",\n".join(f"{pad}{json.dumps(key)}: {_broken(item, depth + 1)}" for key, item in value.items())
    return "{\n" + inner + "\n" + pad[1:] + "}" if value else "{}"
