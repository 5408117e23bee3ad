"""cachelog check: is this deploy all right: pass, fail or inconclusive."""

from __future__ import annotations

from typing import Annotated

import typer

from cachelog.cli.analyze import explain_errors, rendered
from cachelog.cli.options import FailOn, Filters, Format, Output, Paths
from cachelog.cli.printing import put
from cachelog.cli.running import analysed, exit_code
from cachelog.contract.finding import Finding, Report, Severity


def check(
    paths: Paths = None,
    *,
    fail_on: Annotated[FailOn, typer.Option(help="Fail when a finding is at least this bad.")] = FailOn.HIGH,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 when an input is damaged.")] = False,
    filters: Filters,
    output: Output,
) -> int:
    """Judge: pass (exit 0), fail (1) or inconclusive (3), in one sentence with the numbers."""
    report = analysed(paths, filters)
    code = exit_code(report, fail_on, strict, zero=False)
    if code == 0 and too_little(report):
        code = 3
    text = rendered(report, output) if output.format is Format.JSON else sentence(report, code, fail_on)
    put(text, output)
    explain_errors(report)
    return 0 if exit_zero and code in (1, 3, 4) else code


def too_little(report: Report) -> bool:
    """Return whether the logs hold neither lookups nor versions, so that nothing can be judged."""
    return not any(row.lookups or row.misses or row.versions for row in report.models)


def sentence(report: Report, code: int, fail_on: FailOn) -> str:
    """Return the verdict with what it rests on, and the findings that made it."""
    from cachelog.render.text import printable

    verdict = {0: "pass", 1: "fail"}.get(code, "inconclusive")
    bad = [f for f in report.findings if fail_on is not FailOn.NONE and f.severity >= Severity[fail_on.name]]
    lines = [f"{verdict}: {_reason(report, code, bad, fail_on)}"]
    lines += [f"  {f.id} {f.severity.word}: {f.title}. {f.summary}" for f in bad]
    return "\n".join(printable(line) for line in lines)


def _reason(report: Report, code: int, bad: list[Finding], fail_on: FailOn) -> str:
    if code == 1:
        return f"{len(bad)} finding{'s' if len(bad) != 1 else ''} at or above {fail_on.value} in {_seen(report)}"
    if code == 130:
        return f"interrupted; {_seen(report)} until then"
    if code == 70:
        return "a rule failed, so its findings are missing"
    if code == 4:
        return f"inputs are damaged or incomplete; {_seen(report)} could be read"
    if code == 3:
        return f"too little to judge: {_seen(report)}"
    return f"nothing at or above {fail_on.value} in {_seen(report)}"


def _seen(report: Report) -> str:
    lookups = sum(row.lookups or 0 for row in report.models)
    lines = sum(item.lines for item in report.inputs)
    models = len({row.model for row in report.models})
    said = f"{lookups:,} lookups of {models} model{'s' if models != 1 else ''} in {lines:,} lines"
    if report.start and report.end:
        said += f", {report.start:%Y-%m-%d %H:%M:%S} to {report.end:%H:%M:%S} UTC"
    return said
