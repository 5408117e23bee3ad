"""cachelog watch: findings as they arise, following files and standard input."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.analyze import explain_errors
from cachelog.cli.options import Colour, FailOn, Filters, Keep, Output, Paths, duration
from cachelog.cli.printing import look, put, say
from cachelog.cli.running import exit_code, inputs
from cachelog.cli.settings import Reading
from cachelog.cli.stopping import stopping

if TYPE_CHECKING:
    from cachelog.contract.finding import Report
    from cachelog.following.announce import Announcer, Note
    from cachelog.following.session import Session, Taken
    from cachelog.render.page import Look

_POLL_S = 0.2  # between looks at files that grow, and at those that did not for a while
_IDLE_S = 1.0
_COMMIT_S = 5.0  # a state is never further behind
_JUDGE_S = 1.0  # between judgements at least, and so many times what the last one took
_JUDGE_SHARE = 4.0
_BACKLOG_S = 5.0  # while there is more to read judgements wait, but not for longer


class Shape(StrEnum):
    """How findings are told."""

    TEXT = "text"
    JSONL = "jsonl"


def watch(
    paths: Paths = None,
    *,
    state: Annotated[
        str | None, typer.Option(metavar="FILE", help="Go on from this file after a restart, and keep it.")
    ] = None,
    keep: Keep = "24h",
    until_eof: Annotated[bool, typer.Option("--until-eof", help="End when all that there is was read.")] = False,
    last: Annotated[str | None, typer.Option("--for", metavar="TIME", help="End after 10m, 2h ...")] = None,
    fail_on: Annotated[FailOn, typer.Option(help="Exit 1 when a finding is at least this bad.")] = FailOn.NONE,
    filters: Filters,
    reading: Reading,
    format: Annotated[Shape, typer.Option(help="How to write it.")] = Shape.TEXT,
    color: Annotated[Colour, typer.Option(help="Colours.")] = Colour.AUTO,
    ascii: Annotated[bool, typer.Option("--ascii", help="Nothing but ASCII.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a bug.")] = False,
) -> int:
    """Follow logs and say what goes wrong the moment it is certain; Ctrl-C ends with the report on all of it."""
    from cachelog.following.announce import Announcer
    from cachelog.following.session import Kept, Session

    options = reading.into(filters.options(datetime.now(UTC)))
    kept = Kept(state, duration(keep, "--keep"))
    end = time.monotonic() + duration(last, "--for").total_seconds() if last else None
    output = Output(color=color, ascii=ascii, debug=debug)
    with _alone(state) as alone:
        if not alone:
            return 3
        with Session.opened(inputs(paths), options, kept) as session, stopping() as stop:
            watching = _Watching(
                session, Announcer(options.min_severity), format, output, look(output), until_eof, end, stop
            )
            report = watching.run()
    explain_errors(report)
    return exit_code(report, fail_on, strict=False, zero=False)


@contextmanager
def _alone(state: str | None) -> Iterator[bool]:
    """Hold the lock of a state, where there is one; give whether there was no other holder."""
    from cachelog.cli.locking import Locked, only_one

    if state is None:
        yield True
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(only_one(state))
        except Locked as error:
            say(f"cachelog: {error}; this one did nothing")
            yield False
            return
        yield True


@dataclass
class _Watching:
    """One watch, from its first look to its answer."""

    session: Session
    announcer: Announcer
    shape: Shape
    output: Output
    seen: Look  # what standard output shows, before a live view takes it over
    until_eof: bool
    end: float | None
    stop: threading.Event
    report: Report | None = None
    unjudged: bool = False
    uncommitted: bool = False
    judged: float = field(default_factory=time.monotonic)
    took: float = 0.0
    committed: float = field(default_factory=time.monotonic)

    def run(self) -> Report:
        """Follow until the end; return the answer, which was told."""
        from cachelog.following.runs import take_all

        with self._screen() as show:
            while not self._over(ended := self.session.feeds.ended, taken := self.session.take()):
                self._after(taken, show)
                if not taken.more:
                    self.stop.wait(0 if ended else _POLL_S if taken.lines else _IDLE_S)
            take_all(self.session)
        self.session.commit()
        report = self.session.report()
        self._tell(self.announcer.look(report.findings, last=True), report)
        self._conclude(report)
        self.session.commit()
        return report

    def _over(self, ended: bool, taken: Taken) -> bool:
        """Return whether to end; `ended` is whether all pipes had before what was taken."""
        idle = not (taken.lines or taken.bytes or taken.more or taken.unsure)
        only_pipes = ended and not self.session.follower.files
        pipes = ended or not self.session.feeds.feeds
        done = idle and pipes and (self.until_eof or only_pipes)
        return done or self.stop.is_set() or (self.end is not None and time.monotonic() >= self.end)

    def _after(self, taken: Taken, show: Callable[[Report], None]) -> None:
        """Judge and commit what was taken, each when it is due."""
        now = time.monotonic()
        self.unjudged |= bool(taken.lines)
        self.uncommitted |= bool(taken.lines)
        wait = max(_JUDGE_S, _JUDGE_SHARE * self.took, _BACKLOG_S if taken.more else 0.0)
        if self.unjudged and now - self.judged >= wait:
            self._judge(show)
        elif self.report and not taken.lines and self.announcer.waiting:
            self._tell(self.announcer.look(self.report.findings), self.report)
        if self.uncommitted and now - self.committed >= _COMMIT_S:
            self.session.commit()
            self.committed, self.uncommitted = time.monotonic(), False

    def _judge(self, show: Callable[[Report], None]) -> None:
        begun = time.monotonic()
        self.report = self.session.report(final=False)
        self.judged = time.monotonic()
        self.took, self.unjudged = self.judged - begun, False
        self._tell(self.announcer.look(self.report.findings), self.report)
        show(self.report)

    def _tell(self, notes: Sequence[Note], report: Report) -> None:
        from cachelog.render import json, live

        for note in notes:
            if self.shape is Shape.JSONL:
                said = live.as_jsonl(note.kind.value, report.end, finding=json.finding_alone(note.finding))
            else:
                cause = next((f for f in report.findings if f.id == note.finding.caused_by), None)
                said = live.line(note.kind.value, note.finding, note.before, report.end, self.seen, cause)
            put(said, self.output)

    def _conclude(self, report: Report) -> None:
        from cachelog.render import json, live, terminal

        if self.shape is Shape.JSONL:
            put(live.as_jsonl("report", report.end, report=json.render(report)), self.output)
        else:
            put("\n" + terminal.render(report, self.seen), self.output)

    @contextmanager
    def _screen(self) -> Iterator[Callable[[Report], None]]:
        """Give what shows how things stand: a live view on a terminal, nothing elsewhere."""
        if self.shape is Shape.JSONL or not self.seen.bars:
            yield lambda report: None
            return
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        from cachelog.render import live

        # standard output is redirected, so that notes stand above the view
        with Live(console=Console(file=sys.stdout), auto_refresh=False, transient=True) as screen:

            def show(report: Report) -> None:
                lines, octets = self.session.total
                screen.update(Text.from_ansi(live.view(report, (lines, octets), self.seen)), refresh=True)

            yield show
