"""cachelog show: one finding in full, with its arithmetic and the lines around its evidence."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.naming import nearest
from cachelog.cli.options import Filters, Format, Output, Paths
from cachelog.cli.printing import look, put
from cachelog.cli.running import inputs, proved, state_path
from cachelog.cli.settings import Reading
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Evidence, Finding, Report
from cachelog.contract.limits import DEFAULT

if TYPE_CHECKING:
    from cachelog.pipeline import Sources


def show(
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Its id (F1) or fingerprint.")],
    paths: Paths = None,
    *,
    report: Annotated[str | None, typer.Option(metavar="FILE", help="Read this saved JSON report.")] = None,
    around: Annotated[int, typer.Option("--context", "-C", min=0, max=1000, help="Lines around each line.")] = 2,
    filters: Filters,
    reading: Reading,
    output: Output,
) -> int:
    """Show one finding in full, without PATH of your last analysis."""
    if report and paths:
        raise UsageError("name either PATH or --report, not both")
    sources: Sources | None
    if paths:
        whole, one, sources = proved(inputs(paths), filters, reading, lambda found: _chosen(found, finding))
    else:
        whole = saved(report or state_path(), asked=report is not None)
        one = _chosen(whole, finding)
        sources = _sources(whole, one) if output.format is Format.TEXT else None
    put(_rendered(whole, one, output, around, sources), output)
    return 0


def _sources(report: Report, finding: Finding) -> Sources | None:
    """Find the lines that the figures of a saved finding count, where its logs are there and not too big to be read."""
    from cachelog import pipeline, request

    files = sorted({_file(item.path) for item in report.inputs})
    try:
        if sum(os.path.getsize(path) for path in files) > DEFAULT.shown_bytes:
            return None
        options = replace(request.recalled(report.limits), cache=True)
        _, again, sources = pipeline.prove(
            files,
            options,
            lambda found: next((f for f in found.findings if f.fingerprint == finding.fingerprint), None),
        )
    except (OSError, ValueError, UsageError):  # the logs have gone, or became others
        return None
    same = again is not None and (again.numbers.keys(), again.start) == (finding.numbers.keys(), finding.start)
    return sources if same else None


def _file(path: str) -> str:
    """Return the file on disk that holds an input."""
    return path if os.path.lexists(path) else path.split("!", 1)[0]


def saved(path: str, asked: bool) -> Report:
    """Return the report in a file; raises UsageError, on a file that was not `asked` for with other words."""
    from cachelog.render import json

    try:
        with open(path, encoding="utf-8") as file:
            return json.read(file.read())
    except FileNotFoundError:
        hint = "name a report that `cachelog analyze --format json -o FILE` wrote"
        raise UsageError(
            f"no such report: {path!r}; {hint}" if asked else "there is no last analysis; name PATH or --report"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read {path!r}: {error.strerror}") from None


def _chosen(report: Report, name: str) -> Finding:
    for finding in report.findings:
        if name.casefold() in (finding.id.casefold(), finding.fingerprint):
            return finding
    ids = [f.id for f in report.findings]
    listed = f"it has {', '.join(ids[:10])}{' ...' if len(ids) > 10 else ''}" if ids else "it has no findings"
    raise UsageError(f"no finding {name!r} in the report{nearest(name, ids)}; {listed}")


def _rendered(report: Report, finding: Finding, output: Output, around: int, sources: Sources | None) -> str:
    if output.format is Format.JSON:
        from cachelog.render import json

        return json.finding_alone(finding)
    from cachelog.render import detail

    def context(item: Evidence) -> Sequence[tuple[int, str, bool]]:
        from cachelog import pipeline

        try:
            lines = pipeline.context(report, item, around)
        except OSError:  # the log has gone since; the cited line itself is in the report
            return ()
        # another file of that name, or the log was rotated: what stands there now proves nothing
        return lines if any(cited and text == item.text for _, text, cited in lines) else ()

    return detail.render(report, finding, look(output), context, sources)
