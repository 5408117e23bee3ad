r"""Syslog lines of RFC 5424: `<PRI>1 TIME HOST APP PROCID MSGID STRUCTURED-DATA TEXT`, - where there is nothing.

Understood as well: the count of octets before lines that were copied off TCP, the byte order mark before the text,
and Heroku's drains, which leave the structured data out. The replica is a pod that the structured data names, else
the dyno of a drain, else the application where it is the id of a container, else the host.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract.tags import replica

NAME = "syslog_5424"
SOURCE = "RFC 5424 §6, RFC 6587 §3.4.1; devcenter.heroku.com/articles/log-drains"
BLIND = "two processes on one host are one replica, unless the structured data names their pods"
SAMPLES = (
    "<14>1 2026-11-23T15:16:30.240346Z node-3 scorer 4003 - - starting",
    '<165>1 2026-11-23T15:16:30.240+01:00 node-3 scorer - ID47 [a@32473 iut="3" note="x\\"y\\]"][b@1 c="d"] starting',
    "<14>1 - - - - - -",
    "<14>1 2026-11-23T15:16:30Z node-3 scorer 4003 - - \ufeffstarting",
    '<14>1 2026-11-23T15:16:30Z node-3 scorer - - [kubernetes pod_name="scorer-0" namespace_name="ml"] starting',
    "71 <14>1 2026-11-23T15:16:30Z node-3 scorer 4003 - - starting with a count",
    "83 <40>1 2026-11-23T15:16:30+00:00 host app web.3 - State changed from starting to up",
)

_TIME = r"-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
_START = r"(?:[0-9]{1,7} )?<[0-9]{1,3}>1 "
SHAPE = rf"^{_START}"
_WORD = r"[^ ]+"
_DATA = r'(?:\[[^ =\]"]+(?: [^ =\]"]+="(?:[^"\\]|\\.)*")*\])+'
_LINE = (
    rf"(?s)^{_START}({_TIME}) ({_WORD}) ({_WORD}) ({_WORD}) {_WORD}"  # host, application, process, message id
    rf"(?: ({_DATA}|-))?(?: \x{{feff}}?(.*))?$"
)
_POD = r'[ \[](?:pod_name|pod|podName|k8s\.pod\.name)="((?:[^"\\]|\\.)+)"'


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a priority, version 1, a time and four words."""
    return text.str.contains(rf"^{_START}(?:{_TIME})(?: {_WORD}){{4}}(?: |$)")


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line."""
    names = ["env_time", "host", "app", "process", "data", "text"]
    parts = lines["text"].str.extract_groups(_LINE).struct.rename_fields(names).struct.unnest()
    said = {name: pl.when(pl.col(name) != "-").then(pl.col(name)) for name in ("env_time", "host", "app")}
    dyno = pl.when((pl.col("host") == "host") & pl.col("data").is_null()).then(pl.col("process"))
    return (
        lines.select("row")
        .hstack(parts)
        .select(
            "row",
            pl.col("text").fill_null(""),
            said["env_time"],
            env_replica=pl.coalesce(pl.col("data").str.extract(_POD), dyno, replica(said["host"], said["app"])),
            stream=pl.lit(None, pl.String),
            partial=pl.lit(False),
        )
    )
