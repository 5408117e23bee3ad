"""What journalctl prints: `TIME HOST UNIT[PID]: TEXT` in each of its outputs but short, json and export.

Short-precise, short-iso, short-iso-precise, short-full, with-unit, short-unix, short-monotonic and short-delta; with or
without the host. rsyslog's own format of files is the same as short-iso. `-o short` is syslog_3164, `-o cat` is the
bare line. The replica is the host, for a unit with an instance (scorer@2.service) HOST/UNIT@INSTANCE.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.tags import unwrapped

NAME = "journald_short"
SOURCE = "systemd/src/shared/logs-show.c, output_short; rsyslog RSYSLOG_FileFormat"
BLIND = (
    "zones written as names other than UTC and GMT; monotonic times are no time; multi-line messages beyond line one"
)
SAMPLES = (
    "Nov 23 15:16:30.240346 node-3 scorer[4003]: starting",
    "2026-11-23T15:16:30+0000 node-3 scorer[4003]: starting",
    "2026-11-23T15:16:30.240346+01:00 node-3 scorer[4003]: starting",
    "2026-11-23T15:16:30+0000 node-3 kernel: out of memory",
    "Mon 2026-11-23 15:16:30 UTC node-3 scorer[4003]: starting",
    "Mon 2026-11-23 16:16:30 CET node-3 fraud-scorer@3.service[4003]: starting",
    "1795446990.240346 node-3 scorer[4003]: starting",
    "[   12.345678] node-3 scorer[4003]: starting",
    "[   12.345678 <    0.000120 >] node-3 scorer[4003]: starting",
    "2026-11-23T15:16:30+0000 scorer[4003]: starting",
    "-- Boot 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --",
    "-- Logs begin at Mon 2026-11-23 15:00:00 UTC, end at Mon 2026-11-23 16:00:00 UTC. --",
)

_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_PRECISE = rf"[A-Z][a-z]{{2}} [ 0-9][0-9] {_CLOCK}\.[0-9]{{6}}"
_ISO = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}(?:[.,][0-9]{{6}})?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})"
_FULL = rf"[A-Z][a-z]{{2}} [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} {_CLOCK}(?:\.[0-9]{{6}})? (?:[A-Z]{{1,5}}|[+-][0-9]{{2,4}})"
_UNIX = r"[0-9]{10}\.[0-9]{6}"
_MONOTONIC = r"\[ *[0-9]+\.[0-9]{6}(?: < *[0-9]+\.[0-9]{6} >)?\]"
_TIME = rf"{_PRECISE}|{_ISO}|{_FULL}|{_UNIX}|{_MONOTONIC}"
_WHO = r"(?:([A-Za-z0-9_.-]+) )?([^\s\[\]:]{1,255}(?::[^\s\[\]:]+)*)"
_NOTICE = r"^-- (?:Boot [0-9a-f]{32}|Reboot|No entries|(?:Logs|Journal) begins? at .*) --$"
_HEAD = rf"^(?:(?:{_TIME}) {_WHO}\[[0-9]+\]|(?:{_TIME}) [A-Za-z0-9_.-]+ kernel):(?: |$)"
_NAMED_BY = r"(?:[A-Za-z0-9_.-]+ )?[^ \t\[\]:]+(?::[^ \t\[\]:]+)*"
SHAPE = rf"^(?:(?:{_TIME}) (?:{_NAMED_BY}\[[0-9]+\]|[A-Za-z0-9_.-]+ kernel):|-- )"
_LINE = rf"(?s)^({_TIME}) {_WHO}(?:\[[0-9]+\])?:(?: (.*))?$"

_SINCE_BOOT = r"^\["
_WEEKDAY = r"^[A-Z][a-z]{2} ([0-9]{4}-)"
_OFFSET = r" ([+-][0-9]{2})$"
_ZONE = r" ?(?:UTC|GMT)$"
_NAMED = r" [A-Z]{1,5}$"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a time of journalctl and a process with its number, or is its notice."""
    return text.str.contains(_HEAD) | text.str.contains(_NOTICE)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; notices say nothing."""
    return unwrapped(lines, _LINE, _time)


def _time(written: pl.Expr) -> pl.Expr:
    """Turn short-full into what clocks read, without a zone where only its name is known; times since boot are none."""
    plain = written.str.replace(_WEEKDAY, "$1").str.replace(_OFFSET, " ${1}00")
    zoned = plain.str.replace(_ZONE, "Z").str.replace(_NAMED, "")
    return pl.when(~written.str.contains(_SINCE_BOOT)).then(zoned)
