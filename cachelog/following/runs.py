"""One run of `cachelog report`: take in what is new, judge what is kept, hold it against the last run.

The order makes every moment safe to die at. Events and the places up to which logs were read become lasting in one
step, batch by batch. What was told is noted only after it was told: a run that dies between says its news again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from cachelog.contract import wire
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import LimitNote, Report
from cachelog.contract.standing import News, Noted, Run, compared, told
from cachelog.following import history
from cachelog.following.session import Session

_TOLD, _RUNS, _JUDGED = "told", "runs", "judged"
_SETTLE_S = 2.5  # a copy that is being made is whole by then, or it is none
_PAUSE_S = 0.1
_LEAST = 0.5  # of the time given is for reading


@dataclass(frozen=True)
class Result:
    """What a run found; `interrupted`: by the user."""

    report: Report
    news: News
    run: Run
    first: bool
    interrupted: bool = False


def run(
    session: Session, now: datetime, max_seconds: float | None = None, stop: Callable[[], bool] = lambda: False
) -> Result:  # fmt: skip
    """Take in what is new, until time is over or `stop` says so, and say what is new in it; raises UsageError."""
    begun, notes = time.monotonic(), session.journal.notes
    late = _in_time(session, begun, max_seconds)
    ended = take_all(session, lambda: stop() or late())
    session.commit()
    interrupted = ended and stop()
    partial = _why(interrupted, max_seconds) if ended else None
    judging = time.monotonic()
    report = session.report()
    notes[_JUDGED] = round(time.monotonic() - judging, 3)
    before = _noted(notes.get(_TOLD))
    news = compared(before, report.findings, whole=partial is None)
    numbered = int(str(notes.get(_RUNS, 0))) + 1
    counts = Counter(f.severity.word for f in report.findings)
    found = Run(
        number=numbered, at=now, seconds=round(time.monotonic() - begun, 3), lines=session.total[0],
        bytes=session.total[1], inputs=len(report.inputs), partial=partial, findings=dict(counts),
    )  # fmt: skip
    return Result(_marked(report, partial), news, found, numbered == 1, interrupted)


def finish(session: Session, result: Result, state: str) -> None:
    """Note that a run told its news; raises UsageError."""
    notes = session.journal.notes
    history.append(history.path_of(state), history.rows(result.run, result.news, result.report.models))
    notes[_TOLD] = wire.told(told(_noted(notes.get(_TOLD)), result.news, result.run.at))
    notes[_RUNS] = result.run.number
    session.commit()


def take_all(session: Session, stop: Callable[[], bool] = lambda: False) -> bool:
    """Take in all there is, and make it last batch by batch; return whether `stop` ended it before."""
    settled = time.monotonic() + _SETTLE_S
    while True:
        if stop():
            return True
        taken = session.take()
        if taken.lines:
            session.commit()
        if taken.more:
            continue
        if not taken.unsure or time.monotonic() > settled:
            return False
        time.sleep(_PAUSE_S)


def _why(interrupted: bool, max_seconds: float | None) -> str:
    return "interrupted" if interrupted else f"--max-seconds {max_seconds or 0:g} was over before all was read"


def _in_time(session: Session, begun: float, max_seconds: float | None) -> Callable[[], bool]:
    """Return what tells that reading must end, so that there is as much time for judging as that took last time."""
    if max_seconds is None:
        return lambda: False
    judging = float(str(session.journal.notes.get(_JUDGED, 0)))
    until = begun + max(_LEAST * max_seconds, max_seconds - judging)
    return lambda: time.monotonic() >= until


def _marked(report: Report, partial: str | None) -> Report:
    if partial is None:
        return report
    note = LimitNote(f"not all was read: {partial}; the next run goes on from there", "what is not read yet")
    return replace(report, partial=True, limits=(*report.limits, note))


def _noted(said: object) -> tuple[Noted, ...]:
    try:
        return wire.read(tuple[Noted, ...], said or [])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the state does not say what was told before: {error}; name another, or remove it") from None
