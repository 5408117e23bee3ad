"""What the first lines of an input show of how it is logged: from which level on, and whether every line is.

Looked at are lines by their number, so that it does not matter how an input is cut into units, and of them those that
give no events: where lookups and loads are logged, the level is low enough.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from cachelog.contract.finding import LEVELS, LOW, SAMPLED
from cachelog.ingest.ledger import EVENTS
from cachelog.ingest.lines import Unit

_FIRST = 60  # lines: those of a start, and some of the work
_SAID = 3  # lines: what says that it is sampled says so in each
_WIDE = 4_000  # bytes of a line that are looked at
_NEAR = 1 << 18  # bytes within which the first lines of one input mostly are

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
    spans = [
        (s.source, s.line0 - s.row0, s.row0, min(end, s.row0 + _FIRST + 1 - s.line0))
        for s, end in zip(unit.segments, ends, strict=True)
    ]
    early = [span for span in spans if span[2] < span[3]]
    if not early:
        return ()
    starts, found = _starts(unit, early[-1][3]), list[Sign]()
    for source, shift, first, end in early:
        for row in range(first, end):
            told = bytes(unit.data[starts[row] : min(starts[row + 1] - 1, starts[row] + _WIDE)])
            if row + shift <= _SAID:
                found += [(source, SAMPLED + rate, 1) for rate in _sampled(told)]
            if state[row] != EVENTS and (level := _level(told)):
                found += [(source, LEVELS, 1)] + ([] if level.startswith(_HIGH) else [(source, LOW, 1)])
    return tuple(found)


def _starts(unit: Unit, rows: int) -> npt.NDArray[np.int64]:
    """Return where so many first rows begin, and the last of them ends."""
    view = np.frombuffer(unit.data, np.uint8)
    ends = np.flatnonzero(view[:_NEAR] == ord("\n"))
    if len(ends) < rows:
        ends = np.flatnonzero(view == ord("\n"))
    return np.concatenate([[0], ends[:rows] + 1])


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
