"""What the first lines of an input show of how it is logged: from which level on, and whether every line is.

Looked at are lines by their number, so that it does not matter how an input is cut into units, and of them those that
give no events: where lookups and loads are logged, the level is low enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cachelog.contract.finding import LEVELS, LOW, SAMPLED
from cachelog.ingest.ledger import EVENTS
from cachelog.ingest.lines import Unit

_FIRST = 60  # lines: those of a start, and some of the work
_SAID = 3  # lines: what says that it is sampled says so in each
_WIDE = 4_000  # bytes of a line that are looked at
_NEAR = 1 << 14  # bytes looked at together

_LEVEL = re.compile(
    rb"""(?i:\b(?:level|lvl|levelname|severity|log\.level)\\*["']?\s*[:=]\s*\\*["']?([a-z]+))"""
    rb"|(?:^|[\s\[(|<])(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|SEVERE)(?=[\s\])|>:])"
    rb"|(?:^|\s)([IWEF])[0-9]{4} [0-9]{2}:[0-9]{2}:"
)
_HIGH = (b"w", b"e", b"f", b"crit", b"severe", b"panic", b"alert")
_SHARE = re.compile(rb"""(?i)\b(sampl(?:e|ing)_?(?:rate|ratio|probability))\\*["']?\s*[:=]\s*\\*["']?(0?\.[0-9]+)""")
_EVERY = re.compile(rb"""(?i)\b(sampl(?:e|ing)_?interval)\\*["']?\s*[:=]\s*\\*["']?([2-9]|[1-9][0-9]+)\b""")

Sign = tuple[int, str, int]  # input, what, how many lines


def signs(unit: Unit, state: npt.NDArray[np.uint8]) -> tuple[Sign, ...]:
    """Return what the first lines of inputs show, as far as this unit holds them; `state` is the ledger's, by row."""
    ends = [*(s.row0 for s in unit.segments[1:]), unit.rows]
    found: list[Sign] = []
    for segment, end in zip(unit.segments, ends, strict=True):
        many = min(end - segment.row0, _FIRST + 1 - segment.line0)
        for at, told in enumerate(_lines(unit.data, segment.byte0, many)):
            if segment.line0 + at <= _SAID:
                found += [(segment.source, SAMPLED + rate, 1) for rate in _sampled(told)]
            if state[segment.row0 + at] != EVENTS and (level := _level(told)):
                found.append((segment.source, LEVELS, 1))
                found += [] if level.startswith(_HIGH) else [(segment.source, LOW, 1)]
    return tuple(found)


def _lines(data: memoryview, start: int, many: int) -> Iterator[bytes]:
    """Yield the beginnings of so many lines, of which the first begins at `start`."""
    while many > 0:
        near = bytes(data[start : start + _NEAR])
        whole = near.split(b"\n")[:-1][:many]
        if not whole:  # a line that is longer
            near, end = near[:_WIDE], _end(data, start + len(near))
            whole, start = [near], end - len(near) - 1
        yield from (line[:_WIDE] for line in whole)
        start += sum(map(len, whole)) + len(whole)
        many -= len(whole)


def _end(data: memoryview, start: int) -> int:
    """Return where the line ends that a byte is in, behind its newline."""
    while (cut := bytes(data[start : start + _NEAR]).find(b"\n")) < 0:
        start += _NEAR
    return start + cut + 1


def _level(line: bytes) -> bytes:
    """Return the level of a line in small letters, empty where none is found."""
    found = _LEVEL.search(line)
    return next(filter(None, found.groups()), b"").lower() if found else b""


def _sampled(line: bytes) -> list[str]:
    """Return how a line says that others are left out: `sample_rate=0.1`, `SampleInterval=10`."""
    if b"ampl" not in line:
        return []
    found = [*_SHARE.findall(line), *_EVERY.findall(line)]
    return [f"{name.decode()}={number.decode()}" for name, number in found if number.strip(b"0.")]
