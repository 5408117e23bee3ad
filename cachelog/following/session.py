"""Logs that grow: what was read is kept from look to look, and the answer is that of `analyze` on all that was kept.

A session takes in what its inputs grew by, batch by batch (`take`), makes that last (`commit`), and answers (`report`).
`cachelog report` has a session a run, `cachelog watch` one for as long as it runs; with a state both go on where the
one before was left, wherever it died.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from cachelog import pipeline
from cachelog.contract.finding import LimitNote, Report
from cachelog.ingest.cite import cite
from cachelog.ingest.feed import Feeds
from cachelog.ingest.follow import Follower, Taken
from cachelog.ingest.journal import Journal
from cachelog.ingest.opened import drop_spool, open_spool
from cachelog.ingest.stage import Asked
from cachelog.ingest.staged import Staged
from cachelog.ingest.streams import Look, holds
from cachelog.pipeline import Options
from cachelog.rooms import envelopes

_TEXTS = "texts"
_SHORTENED = "shortened"


@dataclass(frozen=True)
class Kept:
    """What is kept: `state` is the file (None: nothing outlives the session), `events` for how long before the last."""

    state: str | None = None
    events: timedelta | None = None


@dataclass
class Session:
    """Inputs that are followed. Close it: `with Session.opened(...) as session`."""

    options: Options
    kept: Kept
    spool: str
    journal: Journal
    follower: Follower
    feeds: Feeds
    total: list[int] = field(default_factory=lambda: [0, 0])  # lines and bytes taken in

    @classmethod
    def opened(cls, paths: Sequence[str], options: Options, kept: Kept = Kept()) -> Session:
        """Open a session; raises UsageError on a state that is damaged. Who has a state must hold its lock."""
        spool = open_spool()
        try:
            most = options.limits.held_events
            journal = Journal.opened(kept.state, most) if kept.state else Journal(Path(spool) / "events", None, most)
            feeds = Feeds.of(paths, spool)
            asked = Asked(options.tz, spool, limits=options.limits, own=options.own)
            follower = Follower(paths, (pipeline._dialects(options), envelopes()), journal, asked, feeds.files)
        except BaseException:
            drop_spool(spool)
            raise
        return cls(options, kept, spool, journal, follower, feeds)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.feeds.close()
        drop_spool(self.spool)

    def take(self) -> Taken:
        """Take in what is new, up to a batch. Raises UsageError."""
        taken = self.follower.take()
        self.total[0] += taken.lines
        self.total[1] += taken.bytes
        return taken

    def commit(self) -> None:
        """Let go of what is too old, and make the rest last where there is a state. Raises UsageError."""
        keep = self.kept.events
        if keep is not None and (before := self.follower.oldest(keep)) is not None:
            self._forget(before, keep)
        for stream in self.journal.streams.values():
            if stream.pipe:
                self.feeds.trim(stream.path, stream.offset - self.options.limits.fed_bytes)
        if self.kept.state:
            self.journal.commit()
        else:
            self.journal.settle()

    def _forget(self, before: datetime, keep: timedelta) -> None:
        first = [segment.first for segment in self.journal.segments]
        self.journal.forget(before, before - keep, time.time() - keep.total_seconds())
        if first != [segment.first for segment in self.journal.segments]:
            self.journal.notes[_SHORTENED] = True

    def report(self, *, final: bool = True) -> Report:
        """Return the answer to all that is kept; `final`: also to lines that have no end yet. Raises UsageError."""
        staged = pipeline._declared(self.follower.staged(self.kept.events, final=final), self.options)
        quotes = _Quotes(self, staged, self._texts())
        report = pipeline._analyzed(staged, self.options, self.spool, quoted=quotes.quoted)
        self.journal.notes[_TEXTS] = quotes.used
        return replace(report, limits=(*report.limits, *self._shortened()))

    def _texts(self) -> Mapping[str, str]:
        texts = self.journal.notes.get(_TEXTS)
        return texts if isinstance(texts, dict) else {}

    def _shortened(self) -> list[LimitNote]:
        before, keep = self.follower.oldest(self.kept.events), self.kept.events
        if before is None or keep is None:
            return []
        shorter = any(s.first is not None and s.first < before for s in self.journal.segments)
        if not (shorter or self.journal.notes.get(_SHORTENED)):
            return []
        hours = f"{keep.total_seconds() / 3600:g} h"
        return [
            LimitNote(f"events are kept for {hours}; what was before is not judged again", "trends of more than that")
        ]


@dataclass
class _Quotes:
    """The texts of cited lines: what was cited once is kept, for its file may be gone when it is cited again."""

    session: Session
    staged: Staged
    known: Mapping[str, str]
    used: dict[str, str] = field(default_factory=dict)

    def quoted(self, index: int, lines: Sequence[int]) -> dict[int, str]:
        """Return the texts of lines of an input, as far as they can be had."""
        if self.staged.sources[index].said:
            return cite(self.staged.sources[index], lines)
        stream = self.session.follower.number(index)
        found = {line: self.known[name] for line in lines if (name := f"{stream}:{line}") in self.known}
        if missing := [line for line in lines if line not in found]:
            found |= self._read(index, stream, missing)
        self.used |= {f"{stream}:{line}": text for line, text in found.items()}
        return found

    def _read(self, index: int, number: int, lines: Sequence[int]) -> dict[int, str]:
        """Read lines from the file of a stream, if it still is its file afterwards."""
        source, stream = self.staged.sources[index], self.session.journal.streams.get(number)
        file, _ = self.session.feeds.files.get(source.path, lambda: (source.path, True))()
        if stream is None or not stream.present:
            return {}
        with suppress(OSError):
            found = cite(source, lines, 0, self.session.spool, self.staged.read.marks.get(index, ()))
            look = Look.at(source, file)
            return found if look and (look.same(stream) or holds(look, stream)) else {}
        return {}


def state_home() -> str:
    """Return the folder where states are kept when none is named."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "cachelog")


__all__ = ["Kept", "Session", "Taken", "state_home"]
