"""cachelog demo: writes a small incident and analyses it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cachelog.cli.analyze import explain_errors, tell
from cachelog.cli.options import FailOn, Filters, Outputs
from cachelog.cli.printing import say
from cachelog.cli.publishing import planned
from cachelog.cli.running import analysed, exit_code
from cachelog.contract.errors import UsageError


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write its logs.")] = Path("cachelog-demo"),
    *,
    outputs: Outputs,
) -> int:
    """Write the logs of a small incident and analyse them."""
    from cachelog import demo as incident

    plan = planned(outputs)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{str(folder)!r} is there already; name a new folder for the demo's logs")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        incident.write(folder)
    except OSError as error:
        raise UsageError(f"cannot write the demo's logs to {str(folder)!r}: {error.strerror}") from None
    say(f"logs written to {folder}; this is what `cachelog {folder}` says of them:")
    report = analysed([str(folder)], Filters(), charts=plan.charts)
    tell(report, plan)
    explain_errors(report)
    return exit_code(report, FailOn.NONE, strict=False, zero=False)
