"""cachelog analyze: what went wrong, ranked, with evidence."""

from __future__ import annotations

from typing import Annotated

import typer

from cachelog.cli.options import FailOn, Filters, Format, Output, Paths
from cachelog.cli.printing import look, put, say
from cachelog.cli.running import analysed, damaged, exit_code
from cachelog.contract.finding import Report


def analyze(
    paths: Paths = None,
    *,
    fail_on: Annotated[FailOn, typer.Option(help="Exit 1 when a finding is at least this bad.")] = FailOn.NONE,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 when an input is damaged.")] = False,
    filters: Filters,
    output: Output,
) -> int:
    """Say what went wrong, ranked, with the lines that prove it."""
    report = analysed(paths, filters, fail_on)
    put(rendered(report, output), output)
    explain_errors(report)
    if strict and damaged(report):
        say(f"cachelog: damaged or incomplete: {', '.join(damaged(report)[:5])}")
    return exit_code(report, fail_on, strict, exit_zero)


def rendered(report: Report, output: Output) -> str:
    """Return the report in the format asked for."""
    if output.format is Format.JSON:
        from cachelog.render import json

        return json.render(report)
    from cachelog.render import terminal

    return terminal.render(report, look(output))


def explain_errors(report: Report) -> None:
    """Say which rules failed: the report is whole but for them."""
    for error in report.errors:
        say(f"cachelog: a bug in a rule, the rest of the report stands: {error}; please report it with the log's shape")
