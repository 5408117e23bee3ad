"""What collectors of logs write into them about lines that they left out: journald, rsyslog, the kernel, Heroku.

Such a line says how many lines of others are missing, not which. It becomes a sample whose figure is that number (0
where the line tells none), and the report says what cannot be concluded.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.event import LOST

NAME = "log_loss"
SOURCE = (
    "systemd src/journal/journald-server.c (Suppressed %i messages from %s), rsyslog runtime/ratelimit.c, "
    "linux kernel/printk/printk.c, devcenter.heroku.com articles/error-codes (L10, L11)"
)
BLIND: str | None = "which lines were left out"
SAMPLES = (
    "Suppressed 1432 messages from fraud-scorer.service",
    "systemd-journald[311]: Suppressed 58 messages from /system.slice/docker.service",
    "imjournal: 20341 messages lost due to rate-limiting (20000 allowed within 600 seconds)",
    "imuxsock[pid: 3141, name: scorer] from <fraud>: begin to drop messages due to rate-limiting",
    "imuxsock lost 243 messages from pid 3141 due to rate-limiting",
    "/dev/kmsg buffer overrun, some messages lost.",
    "Error L10 (output buffer overflow): 491 messages dropped since 2026-11-23T15:13:01+00:00.",
)
HINTS = ("Suppressed ", "rate-limiting", "messages lost", "messages dropped since")

_SUPPRESSED = r"^(?:systemd-journald\[[0-9]+\]: )?Suppressed ([0-9]+) messages from \S+$"
_LIMITED = r"^(?:rsyslogd: )?im[a-z]+(?:\[[^\]]*\])?:?(?: from <[^>]*>:)? .*messages.* due to rate-limiting"
_KERNEL = r"^/dev/kmsg buffer overrun, some messages lost"
_DRAINED = r"^Error L1[01] \((?:output|tail) buffer overflow\): ([0-9]+) messages dropped since "
_LOSS = rf"(?:{_SUPPRESSED})|(?:{_LIMITED})|(?:{_KERNEL})|(?:{_DRAINED})"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line says that others were left out."""
    return text.str.contains(_LOSS)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a sample for each line: how many were left out."""
    text = pl.col("text")
    told = pl.coalesce(
        text.str.extract(_SUPPRESSED), text.str.extract(_DRAINED), text.str.extract(r"([0-9]+) messages lost"),
        text.str.extract(r" lost ([0-9]+) messages"),
    )  # fmt: skip
    many = told.cast(pl.Float64, strict=False).fill_null(0.0)
    return lines.select("row", op=pl.lit("sample"), reason=pl.lit(LOST), seconds=many)
