"""BSD syslog lines: `<PRI>Mmm dd hh:mm:ss HOST TAG[PID]: TEXT`, the priority only where the wire format was kept.

The time has neither year nor zone; relays put years, fractions and ISO 8601 in its place, and some leave the host
out. `journalctl -o short` and /var/log/messages are the same without the priority. The replica is the host; where
the tag is the name of a pod or the id of a container (Docker's syslog driver), it is that.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.tags import unwrapped

NAME = "syslog_3164"
SOURCE = "RFC 3164 §4; rsyslog and syslog-ng templates; moby/daemon/logger/syslog"
BLIND = "year and zone, unless a relay wrote them; two processes on one host are one replica"
SAMPLES = (
    "Nov 23 15:16:30 node-3 scorer[4003]: starting",
    "<14>Nov 23 15:16:30 node-3 scorer[4003]: starting",
    "<30>Nov  3 15:16:30 node-3 0123456789ab[812]: starting",
    "<14>Nov 23 15:16:30 scorer[4003]: starting",
    "<14>2026-11-23T15:16:30.240346+00:00 node-3 scorer[4003]: starting",
    "<34>Nov 23 2026 15:16:30.240 10.0.0.7 scorer: starting",
    "Nov 23 15:16:30 node-3 kernel: out of memory",
    "Nov 23 15:16:30 node-3 scorer: starting",
)

_BSD = r"[A-Z][a-z]{2} [ 0-9][0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
_SECONDS = r"[A-Z][a-z]{2} [ 0-9][0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}"  # with fractions it is journald's
_ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_PRI = r"<[0-9]{1,3}>"
_HOST = r"[A-Za-z0-9_.:-]*[A-Za-z0-9_.-]"
_TAG = r"[^\s:\[\]]{1,64}(?:\[[^\]\s]{0,64}\])?:"
_WIRE = rf"{_PRI} ?(?:{_BSD}|{_ISO}) (?:{_HOST} )?{_TAG}"
_FILE = rf"{_SECONDS} {_HOST} {_TAG}"
_HOSTLESS = rf"{_SECONDS} [^\s:\[\]]{{1,64}}\[[0-9]+\]:"
_HEAD = rf"^(?:{_WIRE}|{_FILE}|{_HOSTLESS})(?: |$)"
_LEVELLED = rf"^{_SECONDS} (?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL) "  # a logger's own head
_LINE = rf"(?s)^(?:{_PRI} ?)?({_BSD}|{_ISO}) (?:({_HOST}) )?([^\s:\[\]]{{1,64}})(?:\[[^\]\s]{{0,64}}\])?:(?: (.*))?$"
SHAPE = rf"^(?:{_PRI} ?(?:{_BSD}|{_ISO}) |{_SECONDS} [^ ]+(?: [^ ]+)?:)"
_YEAR = r"^([A-Z][a-z]{2}) ([ 0-9][0-9]) ([0-9]{4}) "


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a priority or a time without a year, and then names who wrote it."""
    return text.str.contains(_HEAD) & ~text.str.contains(_LEVELLED)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line; a year among the parts of a time goes to where clocks look for it."""
    return unwrapped(lines, _LINE, lambda time: time.str.replace(_YEAR, "$2 $1 $3 ").str.strip_chars())
