"""What the user asked for, and how a report says it, so that the same can be asked again (`cachelog verify`).

A report has no field for options (schema cachelog.report/1), and one that holds a part of the logs must say so. It does
among what it cannot tell: `asked for with --since 2026-11-23T15:00:00.000000Z --model 'fraud*'`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import ModuleType

from cachelog.contract.deploys import Deploy
from cachelog.contract.finding import LimitNote, Severity
from cachelog.contract.limits import DEFAULT, Limits
from cachelog.contract.own import NOTHING, Own

_LEAD = "asked for with "
_LEFT_OUT = "what that leaves out"
_MIB = 1 << 20


@dataclass(frozen=True)
class Options:
    """What the user asked for; globs are of the shell kind, an empty tuple means everything."""

    since: datetime | None = None
    until: datetime | None = None
    models: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    top: int | None = None
    min_severity: Severity = Severity.INFO
    tz: str = "UTC"
    order: tuple[str, ...] = ()  # version labels, oldest first
    limits: Limits = DEFAULT
    maps: tuple[str, ...] = ()  # what the user says of how lines are read, as --map has it
    configs: tuple[str, ...] = ()  # the files with formats of the user's own
    own: Own = NOTHING  # both, as reading takes them
    formats: Mapping[str, ModuleType] = field(default_factory=dict)  # and the dialects of these formats
    deploys: tuple[Deploy, ...] = ()  # that the user tells of
    memory: int | None = None  # bytes for which `limits` were chosen, None where the user named none
    cache: bool = False  # use what was read before, and keep what is read
    charts: bool = False  # make what the charts of a page show

    def within(self, memory: int) -> Options:
        """Return the options with the limits that fit so many bytes."""
        return replace(self, memory=memory, limits=DEFAULT.for_memory(memory))


EVERYTHING = Options()


def noted(options: Options) -> tuple[LimitNote, ...]:
    """Return what a report says of the options that changed it, nothing where none did."""
    words = [word for pair in _told(options) for word in pair]
    return (LimitNote(_LEAD + shlex.join(words), _LEFT_OUT),) if words else ()


def recalled(notes: Iterable[LimitNote]) -> Options:
    """Return the options that a report was asked for with; raises ValueError on a note that names no such options."""
    found = Options()
    for note in notes:
        if note.what.startswith(_LEAD) and note.blocks == _LEFT_OUT:
            words = shlex.split(note.what.removeprefix(_LEAD))
            for name, value in zip(words[::2], words[1::2], strict=True):
                found = _with(found, name, value)
    return found


def _told(options: Options) -> Iterator[tuple[str, str]]:
    for name, time in (("--since", options.since), ("--until", options.until)):
        if time:
            yield name, time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    yield from _each("--model", options.models)
    yield from _each("--replica", options.replicas)
    if options.tz != Options.tz:
        yield "--tz", options.tz
    if options.order:
        yield "--order", ",".join(options.order)
    yield from _each("--deploy", [deploy.text for deploy in options.deploys])
    yield from _each("--map", options.maps)
    yield from _each("--config", options.configs)
    yield from _each("--rule", options.rules)
    if options.top is not None:
        yield "--top", str(options.top)
    if options.min_severity > Severity.INFO:
        yield "--min-severity", options.min_severity.word
    if options.memory:
        yield "--max-memory", f"{options.memory / _MIB!r}M"


def _each(name: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for value in values)


def _with(found: Options, name: str, value: str) -> Options:
    match name:
        case "--since":
            return replace(found, since=datetime.fromisoformat(value))
        case "--until":
            return replace(found, until=datetime.fromisoformat(value))
        case "--model":
            return replace(found, models=(*found.models, value))
        case "--replica":
            return replace(found, replicas=(*found.replicas, value))
        case "--rule":
            return replace(found, rules=(*found.rules, value))
        case "--map":
            return replace(found, maps=(*found.maps, value))
        case "--config":
            return replace(found, configs=(*found.configs, value))
        case "--tz":
            return replace(found, tz=value)
        case "--order":
            return replace(found, order=tuple(value.split(",")))
        case "--deploy":
            time, *named = value.split(",", 2)
            return replace(found, deploys=(*found.deploys, Deploy(value, datetime.fromisoformat(time), *named)))
        case "--top":
            return replace(found, top=int(value))
        case "--min-severity" if value.upper() in Severity.__members__:
            return replace(found, min_severity=Severity[value.upper()])
        case "--max-memory":
            return found.within(round(float(value.removesuffix("M")) * _MIB))
    raise ValueError(f"{name} {value!r} is no option that changes a report")
