"""`cachelog stage`, `detect`, `merge`: the stages one by one, for more than one machine."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.analyze import explain_errors, tell
from cachelog.cli.options import FailOn, Filters, Output, Outputs, Paths
from cachelog.cli.printing import put, say
from cachelog.cli.publishing import planned
from cachelog.cli.running import exit_code, inputs, progress
from cachelog.cli.settings import Reading
from cachelog.contract.errors import UsageError

if TYPE_CHECKING:
    from cachelog.shards import Shard

Folders = Annotated[list[str], typer.Argument(metavar="FOLDER...", help="Folders that `cachelog stage` wrote.")]


def stage(
    paths: Paths = None,
    *,
    into: Annotated[str, typer.Option("--output", "-o", metavar="FOLDER", help="Where the events go.")],
    tz: Annotated[str, typer.Option(help="Zone of times that have none.", metavar="ZONE")] = "UTC",
    reading: Reading,
) -> int:
    """Read logs into a folder of events, for `detect` and `merge` here or on another machine."""
    from cachelog import shards
    from cachelog.pipeline import Options
    from cachelog.render import text

    with progress() as advance:
        report = shards.stage(inputs(paths), into, reading.into(Options(tz=tz)), advance)
    for note in (one for one in report.limits if "map " in one.what):
        say(f"cachelog: {note.what}")
    say(f"cachelog: {text.books(report.inputs)}; events in {into}")
    return 0 if any(item.events for item in report.inputs) else 3


def detect(
    folders: Folders,
    *,
    shard: Annotated[str, typer.Option(metavar="K/N", help="Look at every N-th model only, from the K-th.")] = "1/1",
    filters: Filters,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
) -> int:
    """Run the rules over staged events; what they find is for `merge`."""
    from cachelog import shards

    found = shards.detect(folders, _shard(shard), filters.options(datetime.now(UTC)))
    put(found, Output(output=output))
    return 0


def merge(
    folders: Annotated[
        list[str], typer.Argument(metavar="FOLDER... [FOUND...]", help="What `stage`, and what `detect` wrote.")
    ],
    *,
    filters: Filters,
    outputs: Outputs,
) -> int:
    """Put together what was staged and found: the report that `analyze` gives on all logs at once."""
    from cachelog import shards

    plan = planned(outputs)
    staged = [path for path in folders if os.path.isdir(path)]
    if not staged:
        raise UsageError("no folder of `cachelog stage` is named; the report needs its events beside what was found")
    found = [path for path in folders if not os.path.isdir(path)]
    options = replace(filters.options(datetime.now(UTC)), charts=plan.charts)
    report = shards.merge(staged, found, options)
    tell(report, plan)
    explain_errors(report)
    return exit_code(report, FailOn.NONE, strict=False, zero=False)


def _shard(text: str) -> Shard:
    from cachelog.shards import Shard

    number, _, many = text.partition("/")
    if not (number.isdigit() and many.isdigit() and 1 <= int(number) <= int(many)):
        raise UsageError(f"--shard {text!r} is no shard; give K/N with K from 1 to N, as 2/8")
    return Shard(int(number), int(many))
