"""journald's export format, `journalctl -o export`: a record is lines KEY=VALUE, from __CURSOR= to an empty line.

The line of MESSAGE stands for the record. Fields that hold newlines or other binary data are made lines while the file
is read (ingest/records.py). The replica is the container where Docker wrote the record, else as in journald_short.
Pieces of long lines that Docker's driver cut are joined.
"""

from __future__ import annotations

import re

import polars as pl

from cachelog.contract.tags import container, replica

NAME = "journald_export"
SOURCE = "systemd.io/JOURNAL_EXPORT_FORMATS; moby/daemon/logger/journald"
BLIND = "fields of the application beside MESSAGE; files that do not begin with __CURSOR= and hold binary fields"
SAMPLES = ("__CURSOR=s=bc3d1f0e9a8b7c6d;i=4dab;b=cd69;m=5f2;t=640f3;x=9a",)

_FIELD = r"^(?:[A-Z_][A-Z0-9_]{0,63})?="  # without a name: what a binary field leaves over
_FIRST = OPENS = "__CURSOR="
_WANTED = (
    "_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP", "CONTAINER_NAME", "_HOSTNAME", "_SYSTEMD_UNIT",
    "SYSLOG_IDENTIFIER", "CONTAINER_PARTIAL_MESSAGE", "CONTAINER_PARTIAL_LAST", "CONTAINER_PARTIAL_ID",
)  # fmt: skip

#: All lines of a record go on, so that no unit ends inside one; the empty line after it does not.
OPEN = re.compile(rb"^()(?:[A-Z_][A-Z0-9_]{0,63})?=")
STREAM = OPEN


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is a field, and all before it back to __CURSOR= are: other logs have such lines, too."""
    field = text.str.contains(_FIELD)
    inside = pl.when(text.str.starts_with(_FIRST)).then(True).when(~field).then(False)
    return field & inside.forward_fill().fill_null(False)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return UNWRAPPED: the message of each record, and the record's other lines as what it speaks for."""
    text = pl.col("text")
    cut = lines.with_columns(
        record=text.str.starts_with(_FIRST).cum_sum(),
        key=text.str.extract("^([A-Z0-9_]*)="),
        value=text.str.replace("(?s)^[A-Z0-9_]*=", ""),
    )
    fields = cut.group_by("record", maintain_order=True).agg(
        pl.col("value").filter(pl.col("key") == name).first().alias(name) for name in _WANTED
    )
    spoken = pl.col("key") == "MESSAGE"
    pieces = (pl.col("CONTAINER_PARTIAL_MESSAGE") == "true") & (pl.col("CONTAINER_PARTIAL_LAST") != "true").fill_null(
        True
    )
    tag = pl.coalesce("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER")
    return cut.join(fields, on="record", maintain_order="left").select(
        "row",
        pl.col("value").alias("text"),
        env_time=pl.coalesce("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"),
        env_replica=pl.coalesce(container(pl.col("CONTAINER_NAME")), replica(pl.col("_HOSTNAME"), tag)),
        stream="CONTAINER_PARTIAL_ID",
        partial=pl.when(spoken).then(pieces.fill_null(False)),
    )
