"""Run the pipeline for a command: paths, the clock, a progress bar, and the state of the last run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from cachelog.cli.options import FailOn, Filters
from cachelog.cli.printing import say, write_whole
from cachelog.cli.settings import Reading
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Finding, Report, Severity
from cachelog.contract.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachelog.pipeline import Beside, Sources

STDIN = "-"
_AS_USUAL = Reading()
_PATIENCE = 1.0  # seconds before a progress bar appears


def inputs(paths: Sequence[str] | None) -> list[str]:
    """Return the paths to read, standard input when it is piped and nothing is named; raises UsageError."""
    if paths:
        if list(paths).count(STDIN) > 1:
            raise UsageError("- (standard input) can be named once only")
        tell_left_out(tuple(paths))
        return list(paths)
    if sys.stdin is not None and not sys.stdin.isatty():
        return [STDIN]
    raise UsageError("nothing to read; name a log file, a folder of logs, a glob, or - for standard input")


@cache
def tell_left_out(paths: tuple[str, ...]) -> None:
    """Name the files that are not read because cachelog wrote them, once a run; those of samples need no word."""
    from cachelog import pipeline

    if ours := pipeline.reports_among(pipeline.left_out([path for path in paths if path != STDIN])):
        say(f"cachelog: not read, since cachelog wrote it: {listed(ours)}")


def analysed(
    paths: Sequence[str] | None,
    filters: Filters,
    fail_on: FailOn = FailOn.NONE,
    reading: Reading = _AS_USUAL,
    *,
    charts: bool = False,
    beside: Beside | None = None,
) -> Report:
    """Return the report on the paths, with what charts show if asked, and keep it for `cachelog show`.

    Raises UsageError.
    """
    from cachelog import recall

    _no_hiding(filters, fail_on)
    named = inputs(paths)
    options = replace(reading.into(filters.options(datetime.now(UTC))), charts=charts)
    with progress() as advance:
        report = recall.analyzed(named, options, advance, beside)
    _keep(report)
    return report


def proved(
    paths: Sequence[str], filters: Filters, reading: Reading, choose: Callable[[Report], Finding]
) -> tuple[Report, Finding, Sources]:
    """Return the report on the paths, one finding of it, and the lines that its figures count; raises UsageError."""
    from cachelog import pipeline

    with progress() as advance:
        report, _, sources = pipeline.prove(paths, reading.into(filters.options(datetime.now(UTC))), choose, advance)
    _keep(report)
    return report, choose(report), sources


def _no_hiding(filters: Filters, fail_on: FailOn) -> None:
    """Refuse to hide what the exit code is asked to tell; raises UsageError."""
    levels = list(FailOn)
    if fail_on is FailOn.NONE:
        return
    if levels.index(fail_on) < levels.index(FailOn(filters.min_severity)):
        level = filters.min_severity.value
        raise UsageError(f"--min-severity {level} hides what --fail-on {fail_on.value} looks for; raise --fail-on too")
    if filters.top == 0:
        raise UsageError(f"--top 0 hides what --fail-on {fail_on.value} looks for")


@contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """Give a callback (bytes done, bytes in all) that draws a bar on a terminal's stderr once it takes longer."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, begun, shown = bar.add_task("reading", total=None), time.monotonic(), False

    def advance(done: int, total: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - begun > _PATIENCE:
            bar.start()
            shown = True
        bar.update(task, completed=done, total=total or None)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()


def exit_code(report: Report, fail_on: FailOn, strict: bool, zero: bool) -> int:
    """Return the exit code of CONTRACT: a bug, an interruption, findings, damaged input, no data, in this order."""
    if report.errors:
        return 70
    if report.partial:
        return 130
    if zero:
        return 0
    if any(fails(finding, fail_on) for finding in report.findings):
        return 1
    if strict and damaged(report):
        return 4
    return 3 if report.start is None else 0


def fails(finding: Finding, fail_on: FailOn) -> bool:
    """Return whether a finding is at or above the level."""
    return fail_on is not FailOn.NONE and finding.severity >= Severity[fail_on.name]


def damaged(report: Report) -> list[str]:
    """Return the inputs that hold lines that could not be read, or were not read whole."""
    return [item.path for item in report.inputs if item.bad or item.note]


def state_path() -> str:
    """Return where the last report of this user is kept."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "cachelog", "last.json")


def _keep(report: Report) -> None:
    """Keep the report, private to the user; a home that cannot be written costs nothing but `show` without paths."""
    from cachelog.render import json

    path = state_path()
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        write_whole(path, json.render(report), 0o600)
