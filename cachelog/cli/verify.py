"""cachelog verify: does a saved report still follow from its logs, figure by figure."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.analyze import explain_errors
from cachelog.cli.options import Format, Output
from cachelog.cli.printing import look, put, say
from cachelog.cli.running import inputs, progress
from cachelog.cli.settings import Config, again
from cachelog.cli.show import saved
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Report

if TYPE_CHECKING:
    from cachelog.contract.verified import Verified


def verify(
    report: Annotated[str, typer.Argument(metavar="REPORT", help="A JSON report that `cachelog analyze` wrote.")],
    logs: Annotated[
        list[str], typer.Argument(metavar="LOGS...", help="The logs that it is about, also where they lie now.")
    ],
    *,
    config: Config = None,
    output: Output,
) -> int:
    """Recompute every figure of a saved report from the raw lines: exit 0 when all hold, 1 when one does not.

    3 when logs are missing. The options that the report was asked for with are in it, and are used again.
    """
    named = inputs(logs)
    told = _without(saved(report, asked=True), named)
    if lost := _missing(told, named):
        say(f"cachelog: missing: {', '.join(lost[:5])}{f' and {len(lost) - 5} more' if len(lost) > 5 else ''}")
        return 3
    anew = _recomputed(told, named, config)
    found = _compared(told, anew, named)
    put(_rendered(told, anew, found, output), output)
    explain_errors(anew)
    if anew.errors or anew.partial:
        return 70 if anew.errors else 130
    return 1 if found.differences else 0


def _without(told: Report, named: Sequence[str]) -> Report:
    """Leave out of a report of earlier days the inputs that cachelog wrote, and does not read any more."""
    from cachelog import pipeline
    from cachelog.verification import moved

    ours = moved([item.path for item in told.inputs], pipeline.left_out(named))
    return replace(told, inputs=tuple(item for item in told.inputs if item.path not in ours))


def _missing(told: Report, named: Sequence[str]) -> list[str]:
    """Return the paths that lead nowhere, else the inputs of the report that are not under them."""
    if lost := [path for path in named if path != "-" and not os.path.lexists(path) and not glob.glob(path)]:
        return lost
    there = _places(told, named)
    return [item.path for item in told.inputs if item.path not in there]


def _places(told: Report, named: Sequence[str]) -> Mapping[str, str]:
    from cachelog import pipeline
    from cachelog.verification import moved

    return moved([item.path for item in told.inputs], pipeline.inputs(named))


def _recomputed(told: Report, named: Sequence[str], config: Sequence[str] | None) -> Report:
    """Analyse the logs anew, without what was kept of them, as the report was asked for; raises UsageError."""
    from cachelog import pipeline, request

    try:
        options = request.recalled(told.limits)
    except ValueError as error:
        raise UsageError(f"the report was asked for with what this version does not know: {error}") from None
    with progress() as advance:
        return pipeline.analyze(named, again(options, config), advance)


def _compared(told: Report, again: Report, named: Sequence[str]) -> Verified:
    from cachelog import pipeline
    from cachelog.render import json
    from cachelog.verification import compared, renamed

    places = _places(told, named)
    wanted: dict[str, list[int]] = {}
    for item in (e for f in told.findings for e in f.evidence):
        wanted.setdefault(places.get(item.path, item.path), []).append(item.line)
    names = {now: then for then, now in places.items()}
    texts = {(names.get(p, p), n): text for (p, n), text in pipeline.raw_lines(named, wanted).items()}
    return compared(told, renamed(json.read(json.render(again)), names), texts)


def _rendered(told: Report, again: Report, found: Verified, output: Output) -> str:
    from cachelog.render import verified

    if output.format is Format.JSON:
        return verified.as_json(told, again, found)
    return verified.render(told, again, found, look(output))
