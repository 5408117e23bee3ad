"""cachelog analyze: what went wrong, ranked, with evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.options import FailOn, Filters, Outputs, Paths
from cachelog.cli.printing import say
from cachelog.cli.publishing import Plan, planned, publish
from cachelog.cli.running import analysed, damaged, exit_code
from cachelog.cli.settings import Reading
from cachelog.contract.finding import Report

if TYPE_CHECKING:
    from cachelog.render.page import Look


def analyze(
    paths: Paths = None,
    *,
    fail_on: Annotated[FailOn, typer.Option(help="Exit 1 when a finding is at least this bad.")] = FailOn.NONE,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 when an input is damaged.")] = False,
    filters: Filters,
    reading: Reading,
    outputs: Outputs,
) -> int:
    """Say what went wrong, ranked, with the lines that prove it."""
    plan = planned(outputs)
    report = analysed(paths, filters, fail_on, reading, charts=plan.charts)
    tell(report, plan)
    explain_errors(report)
    if strict and damaged(report):
        say(f"cachelog: damaged or incomplete: {', '.join(damaged(report)[:5])}")
    return exit_code(report, fail_on, strict, exit_zero)


def tell(report: Report, plan: Plan) -> None:
    """Write the report where it is wanted; its text is the page for a terminal."""

    def page(look: Look) -> str:
        from cachelog.render import terminal

        return terminal.render(report, look)

    publish(report, plan, page)


def explain_errors(report: Report) -> None:
    """Say which rules failed: the report is whole but for them."""
    for error in report.errors:
        say(f"cachelog: a bug in a rule, the rest of the report stands: {error}; please report it with the log's shape")
