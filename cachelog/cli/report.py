"""cachelog report: what is new since the last run, for cron."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.analyze import explain_errors
from cachelog.cli.options import FailOn, Filters, Keep, Outputs, Paths, duration
from cachelog.cli.printing import emit, looks, say
from cachelog.cli.publishing import Plan, planned, publish, quiet
from cachelog.cli.running import exit_code, fails
from cachelog.cli.settings import Reading
from cachelog.cli.stopping import stopping
from cachelog.contract.errors import UsageError
from cachelog.contract.standing import Told
from cachelog.render.registry import ReportFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachelog.contract.finding import Finding
    from cachelog.contract.standing import News
    from cachelog.following.runs import Result
    from cachelog.render.page import Look
    from cachelog.request import Options


class Unless(StrEnum):
    """What is worth a mail."""

    NEW = "new"
    WORSE = "worse"
    ANY = "any"


def report(
    paths: Paths = None,
    *,
    state: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where the last run is noted; by default one for these paths.")
    ] = None,
    keep: Keep = "24h",
    quiet_unless: Annotated[
        Unless | None, typer.Option(help="Print nothing unless findings are new; new or worse; there at all.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=1, metavar="N", help="Stop reading in time; the next run goes on.")
    ] = None,
    trend: Annotated[bool, typer.Option("--trend", help="Read nothing: show the runs so far.")] = False,
    fail_on: Annotated[FailOn, typer.Option(help="Exit 1 when what is told is at least this bad.")] = FailOn.NONE,
    filters: Filters,
    reading: Reading,
    outputs: Outputs,
) -> int:
    """Say what is new since the last run: findings new, worse, known and resolved."""
    file = _named(state) or _state_of(_paths(paths))
    if trend:
        return _trend(file, outputs)
    from cachelog.cli.locking import Locked, only_one

    plan, now = planned(_spoken(outputs, quiet_unless)), datetime.now(UTC)
    try:
        with only_one(file):
            options = replace(reading.into(filters.options(now)), charts=plan.charts)
            return _run(_paths(paths), file, (keep, quiet_unless, max_seconds, fail_on, now), options, plan)
    except Locked as error:
        say(f"cachelog: {error}; this one did nothing")
        return 3


def _named(state: str | None) -> str | None:
    """Return the file of the state; a folder that is not there is a typo, and would lose what is known."""
    if state and not os.path.isdir(folder := os.path.dirname(os.path.abspath(state))):
        raise UsageError(f"--state {state}: there is no folder {folder}; make it, or correct the path")
    return state


def _spoken(outputs: Outputs, unless: Unless | None) -> Outputs:
    """Cron posts what is printed: who asks for silence unless there is news wants the news, whatever is written."""
    return replace(outputs, format=ReportFormat.TEXT) if unless and outputs.format is None else outputs


_Asked = tuple[str, Unless | None, float | None, FailOn, datetime]


def _run(paths: list[str], file: str, asked: _Asked, options: Options, plan: Plan) -> int:
    from cachelog.following import runs
    from cachelog.following.session import Kept, Session

    keep, unless, max_seconds, fail_on, now = asked
    kept = Kept(file, duration(keep, "--keep"))
    with Session.opened(paths, options, kept) as session, stopping() as stop:
        result = runs.run(session, now, max_seconds, stop.is_set)
        _tell(result, unless, plan)
        runs.finish(session, result, file)
    explain_errors(result.report)
    return _code(result, unless, fail_on)


def _paths(paths: Sequence[str] | None) -> list[str]:
    if not paths:
        raise UsageError("nothing to read; name log files, folders or globs")
    if "-" in paths:
        raise UsageError("standard input cannot be gone on with by the next run; name files, or use `cachelog analyze`")
    return list(paths)


def _state_of(paths: Sequence[str]) -> str:
    from cachelog.following.session import state_home

    named = "\0".join(sorted(os.path.abspath(path) for path in paths))
    mark = hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return os.path.join(state_home(), f"report-{mark}.json")


def _told(news: News, unless: Unless | None) -> tuple[Finding, ...]:
    """Return the findings that are worth telling."""
    news_only = (*news.new, *news.worse)
    return {Unless.NEW: news.new, Unless.WORSE: news_only}.get(unless or Unless.ANY, (*news_only, *news.known))


def _tell(result: Result, unless: Unless | None, plan: Plan) -> None:
    """Write the report; on standard output, and to where it is posted, only when it is worth it."""

    def page(look: Look) -> str:
        from cachelog.render import digest, terminal

        told = digest.told(result.report, result.news)
        said = terminal.Told(digest.sentence(result.news, result.run), notes=digest.notes(result.report, result.news))
        return terminal.judged(said, told, look) + digest.render(result.report, result.news, result.run, look)

    silent = unless is not None and not _told(result.news, unless)
    publish(result.report, quiet(plan) if silent else plan, page, told=Told(result.run, result.news))


def _trend(file: str, outputs: Outputs) -> int:
    from cachelog.following import history
    from cachelog.render import digest

    rows = history.read(history.path_of(file))
    if outputs.format in (ReportFormat.JSON, ReportFormat.JSONL):
        emit(rows.write_ndjson())
    else:
        emit(digest.trend(rows, looks(outputs, filed=False)))
    return 0 if rows.height else 3


def _code(result: Result, unless: Unless | None, fail_on: FailOn) -> int:
    """Return the exit code of CONTRACT; what was not worth telling fails nothing."""
    if result.report.errors:
        return 70
    if result.interrupted:
        return 130
    if any(fails(finding, fail_on) for finding in _told(result.news, unless)):
        return 1
    if result.run.partial:
        say(f"cachelog: {result.run.partial}; the next run goes on from there")
        return 3
    return exit_code(result.report, FailOn.NONE, strict=False, zero=False)
