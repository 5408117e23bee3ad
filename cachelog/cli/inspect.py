"""cachelog inspect: how each input was read, which names were taken for what, what was not understood."""

from __future__ import annotations

from datetime import UTC, datetime

from cachelog.cli.options import Filters, Format, Output, Paths
from cachelog.cli.printing import look, put
from cachelog.cli.running import inputs, progress
from cachelog.cli.settings import Reading


def inspect(paths: Paths = None, *, filters: Filters, reading: Reading, output: Output) -> int:
    """Show how each input was read and what was not understood."""
    from cachelog import inspection

    named = inputs(paths)
    options = reading.into(filters.options(datetime.now(UTC)))
    with progress() as advance:
        report = inspection.inspect(named, options, advance)
    if output.format is Format.JSON:
        from cachelog.render import json

        put(json.inspected(report), output)
    else:
        from cachelog.render import reading as page

        put(page.render(report, look(output)), output)
    if report.partial:
        return 130
    return 0 if any(item.events for item in report.inputs) else 3
