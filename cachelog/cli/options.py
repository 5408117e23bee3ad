"""The options that commands share, as frozen records: a command that takes a record has all its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from cachelog.render.registry import ReportFormat

if TYPE_CHECKING:
    from cachelog.contract.deploys import Deploy
    from cachelog.request import Options

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH...", help="Files, folders (walked), globs, or - for standard input.", show_default=False
    ),
]


Keep = Annotated[str, typer.Option("--keep", metavar="TIME", help="Judge events of the last 24h, 7d ...")]


class Level(StrEnum):
    """Severities by name."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class FailOn(StrEnum):
    """Severities at which a command fails."""

    NONE = "none"
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Colour(StrEnum):
    """When to use colours."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Format(StrEnum):
    """How an answer is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class Filters:
    """Which part of the logs is read and which findings are shown."""

    since: Annotated[str | None, typer.Option(metavar="TIME", help="From this time on: RFC 3339, -3h, -15m, now.")] = (
        None
    )
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.")] = None
    model: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Only these models (repeatable).")] = None
    replica: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Only these replicas (repeatable).")] = None
    tz: Annotated[str, typer.Option(help="Zone of times that have none.", metavar="ZONE")] = "UTC"
    order: Annotated[str | None, typer.Option(help="Versions, oldest first: v1,v2,v3.", metavar="LABELS")] = None
    deploy: Annotated[
        list[str] | None,
        typer.Option(metavar="TIME[,MODEL[,VERSION]]", help="A deploy, of all models or of one (repeatable)."),
    ] = None
    rule: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only findings of these rules (repeatable).")
    ] = None
    top: Annotated[int | None, typer.Option(metavar="N", help="At most this many findings.", min=0)] = None
    min_severity: Annotated[Level, typer.Option(help="No findings below this.")] = Level.INFO
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Read everything anew, and keep nothing of it for the next run.")
    ] = False

    max_memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Keep events and keys in about this (500M, 2G)."),
    ] = None

    def options(self, now: datetime) -> Options:
        """Return what the pipeline is asked for; raises UsageError."""
        from cachelog.cli.naming import known_rules
        from cachelog.contract.errors import UsageError
        from cachelog.contract.finding import Severity
        from cachelog.request import Options

        asked = Options(
            since=when(self.since, now, self.tz, "--since"),
            until=when(self.until, now, self.tz, "--until"),
            models=tuple(self.model or ()),
            replicas=tuple(self.replica or ()),
            rules=known_rules(self.rule or ()),
            deploys=tuple(deployed(text, now, self.tz) for text in self.deploy or ()),
            top=self.top,
            min_severity=Severity[self.min_severity.name],
            tz=self.tz,
            cache=not self.no_cache,
            order=tuple(label.strip() for label in (self.order or "").split(",") if label.strip()),
        )
        if asked.since and asked.until and asked.since >= asked.until:
            raise UsageError(f"--since {self.since} is not before --until {self.until}, so no time is asked for")
        return asked.within(size(self.max_memory)) if self.max_memory else asked


@dataclass(frozen=True)
class Output:
    """Where the report goes and how it looks."""

    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TEXT
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None
    color: Annotated[Colour, typer.Option(help="Colours.")] = Colour.AUTO
    ascii: Annotated[bool, typer.Option("--ascii", help="Nothing but ASCII.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a bug.")] = False


@dataclass(frozen=True)
class Outputs:
    """Where a report goes, in which formats, and how its page looks."""

    format: Annotated[
        ReportFormat | None, typer.Option(help="How to write it to standard output.", show_default="text")
    ] = None
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write it to this file in the format of its ending (repeatable)."
        ),
    ] = None
    sarif_anchor: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="File of the repository (PATH:LINE) that sarif, github, gitlab point to."),
    ] = None
    notify: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Post it there: Slack, PagerDuty, Alertmanager, Grafana (repeatable)."),
    ] = None
    color: Annotated[Colour, typer.Option(help="Colours.")] = Colour.AUTO
    ascii: Annotated[bool, typer.Option("--ascii", help="Nothing but ASCII.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a bug.")] = False


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def when(text: str | None, now: datetime, tz: str, option: str) -> datetime | None:
    """Return the instant that a time option means; raises UsageError on what is none."""
    from cachelog.contract.errors import UsageError

    if text is None:
        return None
    plain = text.strip()
    if plain == "now":
        return now
    if plain[:1] == "-" and plain[-1:] in _UNITS and plain[1:-1].isdigit():
        return now - timedelta(**{_UNITS[plain[-1]]: int(plain[1:-1])})
    try:
        parsed = datetime.fromisoformat(plain)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is no time; give RFC 3339 (2026-11-20T14:02:00Z), -3h, -15m or now"
        ) from None
    return parsed.astimezone(UTC) if parsed.tzinfo else _zoned(parsed, tz)


def deployed(text: str, now: datetime, tz: str) -> Deploy:
    """Return the deploy that TIME[,MODEL[,VERSION]] means; raises UsageError on what is none."""
    from cachelog.contract.deploys import Deploy
    from cachelog.contract.errors import UsageError

    time, *named = (part.strip() for part in text.split(",", 2))
    at = when(time, now, tz, "--deploy")
    if at is None or "" in named:
        raise UsageError(f"--deploy {text!r} names no model; give TIME, TIME,MODEL or TIME,MODEL,VERSION")
    return Deploy(",".join([at.isoformat().replace("+00:00", "Z"), *named]), at, *named)


def duration(text: str, option: str) -> timedelta:
    """Return the time that a text like 90s, 10m, 24h or 7d means; raises UsageError on what is none."""
    from cachelog.contract.errors import UsageError

    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in _UNITS or not number.replace(".", "", 1).isdigit() or not float(number):
        raise UsageError(f"{option} {text!r} is no length of time; give one like 90s, 10m, 24h or 7d")
    return timedelta(**{_UNITS[unit]: float(number)})


_LEAST = 300 << 20  # bytes: less holds no more than the program itself


def size(text: str) -> int:
    """Return the bytes that a size means; raises UsageError on what is none, or too little."""
    from cachelog.contract.errors import UsageError

    number, unit = text.strip()[:-1], text.strip()[-1:].upper()
    units = {"M": 1 << 20, "G": 1 << 30}
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise UsageError(f"--max-memory {text!r} is no size; give one like 500M or 2G")
    found = int(float(number) * units[unit])
    if found < _LEAST:
        raise UsageError(f"--max-memory {text} is less than the program itself takes; give 300M or more")
    return found


def _zoned(naive: datetime, tz: str) -> datetime:
    from zoneinfo import ZoneInfo

    from cachelog.pipeline import fixed_offset

    offset = fixed_offset(tz)
    return (
        (naive - offset).replace(tzinfo=UTC)
        if offset is not None
        else naive.replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)
    )


def flat(command: Callable[..., int]) -> Callable[..., int]:
    """Let Typer see the fields of the records that a command takes as options of their own.

    Typer reads a function's signature; it has no option groups. So the signature is rewritten, once, here, instead of
    repeating fifteen options in every command.
    """
    hints = get_type_hints(command, include_extras=True)
    records: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    shown: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in records:
            shown.append(parameter.replace(annotation=hints[name]))
            continue
        inner = get_type_hints(records[name], include_extras=True)
        shown += [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=inner[f.name])
            for f in fields(records[name])
        ]

    @wraps(command)
    def called(**given: Any) -> int:
        made = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in records.items()}
        return command(**given, **made)

    shown.sort(key=lambda parameter: parameter.kind)
    called.__signature__ = inspect.Signature([p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in shown])  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in shown}
    return called
