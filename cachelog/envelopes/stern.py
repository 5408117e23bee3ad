"""stern's own text: `POD CONTAINER line`, with -A `NAMESPACE POD CONTAINER line`.

Nothing marks these words, so a line is taken only when it can hardly be anything else: the first looks like the name
of a pod that a controller made (scorer-0, scorer-6d9f7c5b8-4kq2x), and what follows is a record of a kind of its own.
"""

from __future__ import annotations

import polars as pl

NAME = "stern"
SOURCE = "stern/stern cmd/cmd.go, the templates of --output; json and extjson are JSON lines, raw is the bare line"
BLIND = "lines that begin with none of these records; of -o raw, which pod wrote a line"
SAMPLES = (
    'scorer-0 scorer {"event": "ready"}',
    "fraud-scorer-6d9f7c5b8-4kq2x scorer 2026-11-23 15:16:30,388 INFO uvicorn.error: ready",
    "ml-prod scorer-0 scorer time=2026-01-02T11:32:00.037Z level=info msg=ready",
)

_WORD = r"[a-z](?:[a-z0-9-]*[a-z0-9])?"
_SUFFIX = r"(?:[bcdfghjklmnpqrstvwxz2456789]{5}|[a-z]*[0-9][a-z0-9]*)"  # what kubernetes makes up, or a number
_POD = rf"[a-z][a-z0-9.-]*-{_SUFFIX}"
_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)"
_RECORD = (
    r'\{["}]',  # JSON
    r"\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}",  # a time
    r"[0-9]{2}:[0-9]{2}:[0-9]{2}[.,]",
    r"\[pod/",  # kubectl
    r"\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:",
    r"[IWEF][0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}",
    rf"\[?{_LEVEL}(?:[\]:]|\s)",
    r"(?:time|timestamp|ts|t|level|lvl|severity|msg|event|logger|caller)=",
    r"[0-9a-fA-F.:]+ [^ ]+ [^ ]+ \[",  # an access log
    r"(?:[^ \[]+ ){1,6}\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:",
    r"(?i:(?:(?:un|re)?load|evict)(?:ed|ing) (?:the )?model |model cache (?:hit|miss) )",
    r"[a-z]+ model=",
    r"<[0-9]{1,3}>(?:1 |[A-Z0-9])",  # syslog
    r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}[ .]",
    r"[A-Za-z0-9_.-]+[-_][0-9]{1,4} +\| ",  # docker compose
    r"[0-9]{9,10}\.[0-9]{3,6} ",  # Squid, Traffic Server, Redis' MONITOR
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}\s+[0-9]{2}:",  # CloudFront
    r"[0-9a-fA-F.:]+:[0-9]+ \[",  # HAProxy
    r"(?:Proxy|Server) [^ ]+ (?:started|stopped|is )",
    r"[0-9]+:(?:[XCSM] |signal-handler | Client )",  # Redis, memcached
    r"(?:[<>][0-9]+ |slab class |\*+ +<< |#[A-Z][A-Za-z-]+: |id=firewall |\"p?message\",)",
    r"(?i:[a-z][\w .:-]{0,60}[ ({\[:](?:hits|hit_?count)[=:] ?[0-9])",  # figures of a cache
    r"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})? [0-9][0-9.e+-]*(?: [0-9]+)?$",  # metrics, and the times between them
    r"#+ [0-9a-z]",
    r"\([A-Za-z][A-Za-z0-9_ =]* pid=[0-9]+",  # servers of language models
    r"Reqid: |\[GIN\] [0-9]| +model_id: |(?:slot|srv) +[a-z_]+: |main: ",
    r"(?:systemd-journald\[[0-9]+\]: )?Suppressed [0-9]+ messages |im(?:journal|uxsock)[:\[ ]",
    r"/dev/kmsg |Error L1[01] \(",
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) +[A-Z0-9]",
    # heads of more loggers (contract/heads.py): Serilog, pino-pretty, Ruby, zap, logrus, tornado, glog, winston, Nest
    r"\[?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?: [A-Z]{3}\]|\] | +[\[A-Z])",
    rf"[DIWEFA], \[[0-9]{{4}}-|[0-9]\.[0-9]{{6,}}e\+09\s|{_LEVEL}\[[0-9]|\[[DIWECF] [0-9]|[IWEF][0-9]{{8}} |\[Nest\] ",
    r"(?:info|warn|warning|error|debug|verbose): |\{'[a-z]|\[?1[0-9]{9}(?:[0-9]{3}|\.[0-9]+)?\]? ",
    r"(?i:\[?(?:cache|lookup):? (?:hit|miss)|(?:hit|miss) [a-z0-9_.-]+[@:]v?[0-9])",
    r"\[?[0-9]{2}/[0-9]{2}/[0-9]{2}",
)
_RECORDS = "|".join(_RECORD)
_LINE = rf"(?s)^ {{0,4}}(?:{_WORD} )?({_POD}) {_WORD} ((?:{_RECORDS}).*)$"

SHAPE = rf"^ {{0,4}}(?:{_WORD} )?{_POD} {_WORD} "


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the name of a pod, a container and then a record."""
    return text.str.contains(_LINE)


def unwrap(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one UNWRAPPED row a line."""
    groups = lines["text"].str.extract_groups(_LINE).struct.rename_fields(["env_replica", "text"])
    nothing = [pl.lit(None, pl.String).alias(name) for name in ("env_time", "stream")]
    return lines.select("row").hstack(groups.struct.unnest()).with_columns(*nothing, partial=pl.lit(False))
