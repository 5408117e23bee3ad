"""From the options of `cachelog check` to its verdict: one look at the logs, or several while they grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.options import FailOn, Filters, Level, when
from cachelog.cli.printing import say
from cachelog.cli.running import STDIN, analysed, inputs, progress
from cachelog.cli.settings import Reading, checking
from cachelog.contract.errors import UsageError

if TYPE_CHECKING:
    from cachelog.contract.events import Events
    from cachelog.contract.finding import Report
    from cachelog.contract.limits import Limits
    from cachelog.contract.rule import Frames
    from cachelog.contract.verdict import Check, Verdict
    from cachelog.gate import Asked, Expected, Known, Parted, Place, Remembered, Sides

LOOKS = 9  # while waiting, evenly: each takes a part of the error, more of them decide hardly sooner


class Inconclusive(StrEnum):
    """What an inconclusive verdict exits with."""

    OWN = "3"
    PASS = "pass"
    FAIL = "fail"


@dataclass(frozen=True)
class Comparing:
    """What is before, what is after, and what was there already."""

    deployed_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it was deployed; else as the logs show it.")
    ] = None
    before: Annotated[list[str] | None, typer.Option(metavar="PATH", help="Logs of the time before (repeatable).")] = (
        None
    )
    baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="A saved JSON report: what it holds already fails nothing.")
    ] = None
    grace: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Not judged after a deploy; else until caches are warm.")
    ] = None
    wait: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Follow the logs up to so long until there is a verdict.")
    ] = None


@dataclass(frozen=True)
class Allowed:
    """What passes."""

    max_increase_abs: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=1, help="Rise of a miss rate allowed: 0.02 (default).")
    ] = None
    max_increase_rel: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, help="... of the rate before, if more: 0.25 (default).")
    ] = None
    max_miss_rate: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=1, help="Highest miss rate allowed, cold misses apart.")
    ] = None
    expect: Annotated[
        list[str] | None, typer.Option(metavar="MODEL=VERSION", help="Every replica has it and answers with it.")
    ] = None
    on: Annotated[str, typer.Option(metavar="GLOB", help="... every replica of this name.")] = "*"
    expect_converged: Annotated[
        str | None, typer.Option(metavar="SPAN", help="All replicas have one version so long after the deploy.")
    ] = None


@dataclass(frozen=True)
class Look:
    """One look at the logs: the report, what is known of its findings, and what was checked beside them."""

    report: Report
    known: Known
    more: tuple[Check, ...]
    deployed: dict[str, datetime]


Options = tuple[Comparing, Allowed]


@dataclass(frozen=True)
class Logs:
    """What is looked at, and how."""

    paths: Sequence[str] | None
    filters: Filters
    reading: Reading
    fail_on: FailOn
    charts: bool


def span(text: str, option: str) -> timedelta:
    """Return the length of time that an option means; raises UsageError on what is none."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise UsageError(f"{option} {text!r} is no length of time; give one like 90s, 10m or 1h")
    return timedelta(**{units[unit]: float(number)})


def decided(logs: Logs, options: Options, judge: Callable[[Look], Verdict]) -> Look:
    """Return the look at the logs that decides, the last of as many as were asked for; raises UsageError."""
    logs = replace(logs, paths=inputs(logs.paths))
    asked = _asked(options, logs.filters, logs.reading)
    wait = options[0].wait
    if wait is None:
        return _look(logs, options[0], asked)
    if STDIN in (logs.paths or ()):
        raise UsageError("--wait follows files; standard input is read to its end as it is")
    return _waited(logs, options[0], asked, span(wait, "--wait").total_seconds(), judge)


def _waited(
    logs: Logs, comparing: Comparing, asked: Asked, seconds: float, judge: Callable[[Look], Verdict]
) -> Look:  # fmt: skip
    """Look until there is a verdict; where nothing was written meanwhile, one look is all there was."""
    from cachelog import pipeline

    said, seen, one = "", None, None
    for look in _looks(seconds):
        now = pipeline.stamps(logs.paths or ())
        if one is None or now != seen:
            one, first = _look(logs, comparing, replace(asked, look=look, looks=LOOKS)), one is None
            verdict = judge(one)
            if _final(one, verdict):
                return one
            if verdict.said != said and look < LOOKS:
                say(f"cachelog: look {look} of {LOOKS}: {verdict.said}")
            said, seen = verdict.said, now
    assert one is not None
    return _look(logs, comparing, asked) if first else one


def _looks(seconds: float) -> Iterator[int]:
    """Yield the number of each look, the first at once, sleeping between them."""
    begun = time.monotonic()
    for look in range(LOOKS):
        time.sleep(max(0.0, begun + seconds * look / (LOOKS - 1) - time.monotonic()))
        yield look + 1


def _final(one: Look, verdict: Verdict) -> bool:
    """Is there nothing to wait for? A version that is not there yet may still come, a failed rate was sure enough."""
    from cachelog.contract.verdict import Outcome
    from cachelog.gate import EXPECTED

    if one.report.errors or one.report.partial or verdict.outcome is Outcome.PASS:
        return True
    return any(c.outcome is Outcome.FAIL and not c.name.startswith(EXPECTED) for c in verdict.checks)


def _look(logs: Logs, comparing: Comparing, asked: Asked) -> Look:
    from cachelog import gate

    found: list[tuple[Sides, list[Check]]] = []
    saved, old = _baseline(comparing.baseline) if comparing.baseline else (None, None)
    asked = replace(asked, remembered=old)

    def beside(events: Events, frames: Frames, limits: Limits) -> None:
        counts = gate.observed(events, frames, asked, limits)
        if comparing.before:
            counts = gate.against(counts, _before(comparing.before, logs.filters, logs.reading))
        elif saved and asked.deployed is None:
            counts = gate.beside_saved(counts, gate.as_saved(events, frames, limits), gate.saved(saved.models))
        wanted = gate.expectations(frames, counts.deployed, asked, limits)
        judged = (
            gate.rates(counts, asked, limits) if logs.fail_on is not FailOn.NONE or _explicit(comparing, asked) else []
        )
        found.append((counts, [*judged, *wanted]))

    report = analysed(logs.paths, logs.filters, logs.fail_on, logs.reading, charts=logs.charts, beside=beside)
    known = gate.known(report, saved, asked.config.suppressions, datetime.now(UTC))
    deployed, more = (dict(found[0][0].deployed), found[0][1]) if found else ({}, [])
    if _part(logs.filters):
        known = replace(known, resolved=())
    elif old:
        known = replace(known, mended=gate.mended(old, more))
    return Look(report, known, tuple(more), deployed)


def _part(filters: Filters) -> bool:
    """Is only a part of the findings looked at? Then what is not there is not resolved."""
    some = filters.model or filters.replica or filters.rule or filters.since or filters.until
    return bool(some) or filters.top is not None or filters.min_severity is not Level.INFO


def _explicit(comparing: Comparing, asked: Asked) -> bool:
    """Was a comparison asked for in so many words?"""
    return bool(comparing.deployed_at or comparing.before or comparing.baseline or asked.margins)


# -- what is asked for ----------------------------------------------------------------------------------


def _asked(options: Options, filters: Filters, reading: Reading) -> Asked:
    from cachelog.gate import Asked

    comparing, allowed = options
    margins = {
        "absolute": allowed.max_increase_abs,
        "relative": allowed.max_increase_rel,
        "most": allowed.max_miss_rate,
    }
    return Asked(
        deployed=when(comparing.deployed_at, datetime.now(UTC), filters.tz, "--deployed-at"),
        deploys=filters.options(datetime.now(UTC)).deploys,
        from_start=bool(comparing.before),
        grace=span(comparing.grace, "--grace") if comparing.grace else None,
        config=checking(reading.config),
        margins={name: value for name, value in margins.items() if value is not None},
        expected=tuple(_expected(text, allowed.on) for text in allowed.expect or ()),
        within=span(allowed.expect_converged, "--expect-converged") if allowed.expect_converged else None,
    )


def _expected(text: str, on: str) -> Expected:
    from cachelog.gate import Expected

    model, equals, version = text.rpartition("=")
    if not equals or not model or not version:
        raise UsageError(f"--expect {text!r} names no version; give MODEL=VERSION, as ranker=v42")
    return Expected(model, version, on)


def _baseline(path: str) -> tuple[Report, Remembered]:
    """Return a saved report, and the rates that it calls too high already."""
    from cachelog import gate
    from cachelog.render import json

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        report = json.read(text)
        return report, gate.remembered(report, json.checks(text))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path!r}: {getattr(error, 'strerror', None) or error}") from None


def _before(paths: Sequence[str], filters: Filters, reading: Reading) -> dict[Place, Parted]:
    """Return the counts of the logs of the time before; `--since` and `--until` are about the time after."""
    from cachelog import gate, pipeline

    found: dict[Place, Parted] = {}

    def beside(events: Events, frames: Frames, limits: Limits) -> None:
        found.update(gate.everything(events, frames, limits))

    options = replace(reading.into(filters.options(datetime.now(UTC))), since=None, until=None, deploys=())
    with progress() as advance:
        pipeline.observe(paths, options, advance, beside)
    return found
