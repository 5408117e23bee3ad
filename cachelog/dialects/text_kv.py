"""Free text of applications: a time or a level, then words, perhaps key=value: the dialect of last resort.

Read are the common heads (Python logging, loguru, uvicorn, gunicorn, logback, log4j, Spring, zap console, klog of Go
programs): time, level, thread or process, logger. What is left is the message; its pairs are read as in logfmt, and
ingest/conform.py takes model and version out of its words. Lines that say nothing about caches, models or starts are
quiet. A time of day without a date (logback's default) is no time.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import pairs
from cachelog.contract.pairs import Wanted

NAME = "text_kv"
LAST_RESORT = True
SAMPLES = (
    "2026-11-23 15:16:31,614 INFO  [19307] scorer: predict model=fraud version=v41 key=f3 cache=MISS 7.39ms",
    "2026-11-23 15:16:30,392 - scorer - WARNING - Model cache miss for fraud version v41, loading",
    "2026-11-23T15:16:30.248Z\tinfo\tlru\tcache/lru.go:88\tmodel loaded\t"
    '{"model_name": "fraud", "model_version": "41", "duration_ms": 651.5}',
    "2026-11-23 15:16:30.388 | INFO     | app.cache:load:12 - Loaded model fraud version v41 in 2.5 s",
    "15:16:30.388 [main] INFO  com.example.ModelCache - Evicted fraud version 41",
    "[2026-11-23 15:13:01 +0000] [7] [INFO] Booting worker with pid: 9",
    "2026-11-23T15:16:30.248+01:00  INFO 1 --- [main] c.e.Cache : cache hit model=fraud version=42 key=a",
    "I1123 15:09:56.579892   10645 registry.go:12] Rolled back fraud to v41",
    "INFO:     Started server process [19307]",
    "Loaded model fraud version v41 from s3://models/fraud/v41 in 120.8 ms",
)

_DAY = r"(?:[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ]|[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} |[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:)"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?"
_TIME = rf"{_DAY}{_CLOCK}{_ZONE}"
_LEVEL = (
    r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|FATAL|CRITICAL|SEVERE|PANIC|"
    r"trace|debug|info|notice|warn|warning|error|err|fatal|critical|panic|[TDIWEFC])"
)
_LONG_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL|SEVERE|PANIC)"
_KLOG = r"[IWEF]([0-9]{4} [0-9:]{8}\.[0-9]{6}) +[0-9]+ [A-Za-z0-9_.-]+\.go:[0-9]+\] "
_AFTER = r"(?:\s+|[|,:\])>-]|$)"
_CHANGED = r"(?:(?:un|re)?load|evict)(?:ed|ing)"
_TELLING_START = (
    rf"(?i)^(?:[a-z][a-z '-]{{0,40}} )?(?:cache (?:hit|miss)|{_CHANGED} (?:the )?model|"
    rf"model (?:cache (?:hit|miss)|[a-z0-9_.-]+ {_CHANGED}))\b"
)
_BEGINS = rf"^(?:[\[(<]?{_TIME}[\])>]?{_AFTER}|{_CLOCK} +\[|\[{_LEVEL} *\]|<{_LEVEL}>|{_LONG_LEVEL}(?::|\s)|{_KLOG})"
#: Records of servers that have dialects of their own: glog in ISO 8601, nginx's error log, TensorFlow Serving.
_OWNED = rf"^{_TIME}:? (?:[IWEF] (?:[0-9]+ )?[A-Za-z0-9_./-]+:[0-9]+\]|\[[a-z]+\] [0-9]+#[0-9]+: )"

# one piece of a head: [thread], level, process number, a.b.Logger, name:line, name -, |, ---
_PIECE = (
    rf"(?:\[[^\[\]]{{0,80}}\]|[\[<(]?{_LEVEL}[\]>)]?(?: |:|\t|$)|[0-9]+ |"
    r"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z0-9_$]+)+(?: |:|$)|[A-Za-z0-9_./$-]+(?::[A-Za-z0-9_<>]+)*:[0-9]+(?: |\t)|"
    r"[A-Za-z0-9_.$/-]+ - |\||--*(?: |$)|: )"
)
_HEAD = rf"(?s)^(?:[\[(<]?({_TIME})[\])>]?|{_CLOCK}|{_KLOG})?((?:[\s:|,-]*{_PIECE})*)[\s|:,-]*(.*)$"
_CONSOLE = rf"(?s)^({_TIME})\t{_LEVEL}((?:\t[^\t{{ ]+)*)\t([^\t]*)(?:\t(\{{.*\}}))?$"
_LOGGER = r"(?s)^(?:([a-z_][A-Za-z0-9_.$/-]*):\s+)?(.*)$"

#: What lines about caches, models and starts cannot do without.
_SAYS = (
    "cache", "hit", "miss", "stale", "bypass", "load", "evict", "expire", "flush", "purge", "invalidat", "clear",
    "roll", "revert", "deploy", "promot", "registry", "registered", "version", "start", "boot", "removed", "dropped",
)  # fmt: skip
#: What stands before a colon and is no logger but the first word of a message.
_NO_LOGGERS = (
    "cache", "model", "hit", "miss", "load", "loading", "loaded", "unload", "unloading", "unloaded", "reload",
    "reloading", "reloaded", "evict", "evicting", "evicted", "registry", "rollout", "rollback", "deploy", "deployed",
    "promoted", "starting", "started",
)  # fmt: skip
_WANTED = Wanted(pairs.ALL.keys)
_PAIR = rf"""{pairs.KEY}=(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;)\]]*)[,;]?"""
_SPAN = r"([0-9]+(?:\.[0-9]+)?) ?(ns|us|µs|μs|ms|s|sec|secs|seconds|m|min|minutes|h)\b"
_LASTED = (rf"\b(?:in|took|after) {_SPAN}", rf"(?:^|[ (]){_SPAN}[)\s]*$")
_UNITS = {"sec": "s", "secs": "s", "seconds": "s", "minutes": "min"}
_DIGEST = r"(?i)\b(?:sha(?:256)?|digest|checksum)[ :]+(?:sha256:)?([0-9a-f]{8,64})\b"
_FAILED = r"(?is)\b(?:fail|error|unable|cannot|could not|couldn't).*?: (.+)$"
_ASIDE = r"\(([^()]+)\)\W*$"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a time or a level, or with words about caches and models."""
    return (text.str.contains(_BEGINS) & ~text.str.contains(_OWNED)) | text.str.contains(_TELLING_START)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every line that may be about a cache, a model or a start."""
    telling = lines.filter(pl.col("text").str.contains_any(list(_SAYS), ascii_case_insensitive=True))
    cut = _cut(telling)
    named = pairs.canonical(_pairs(cut["message"]))
    taken = [name for name in ("time", "message") if name in named.columns]
    frame = cut.hstack(named.rename({name: f"given_{name}" for name in taken}).get_columns())
    return frame.select("row", *_columns(frame.columns))


def _columns(names: list[str]) -> list[pl.Expr]:
    """Columns of PARSED; what pairs say goes before what is read out of words."""
    message = pl.col("message")
    said = message.str.replace_all(_PAIR, "").str.strip_chars(" ,;:-")
    known = {n: [pl.col(n)] if n in names else [] for n in ("digest", "reason", "duration")}
    own = {"row", "message", "time", "given_time", "given_message", *known}
    times = [pl.col(name) for name in ("time", "given_time") if name in names]
    given = [pl.col("given_message")] if "given_message" in names else []
    measured = [pl.col(name).is_null() for name in ("ms", "seconds") if name in names]
    lasted = pl.when(pl.all_horizontal(True, *measured)).then(_lasted(message))
    return [
        *(pl.col(name) for name in names if name not in own),
        pl.coalesce(times).alias("time"),
        pl.coalesce(*given, _few(said, names)).alias("message"),
        pl.coalesce(*known["digest"], message.str.extract(_DIGEST)).alias("digest"),
        pl.coalesce(*known["reason"], said.str.extract(_FAILED), said.str.extract(_ASIDE)).alias("reason"),
        pl.coalesce(*known["duration"], lasted).alias("duration"),
    ]


def _few(said: pl.Expr, names: list[str]) -> pl.Expr:
    """Drop the numbers of sentences where pairs name model and version: few distinct ones are left."""
    if not {"model", "version"} <= set(names):
        return said
    plain = said.str.replace_all(r"[0-9]+(?:\.[0-9]+)?", "0")
    return pl.when(pl.col("model").is_not_null() & pl.col("version").is_not_null()).then(plain).otherwise(said)


def _lasted(message: pl.Expr) -> pl.Expr:
    spans = [pl.concat_str(message.str.extract(span, 1), _unit(message.str.extract(span, 2))) for span in _LASTED]
    return pl.coalesce(spans)


def _unit(unit: pl.Expr) -> pl.Expr:
    return unit.replace(_UNITS)


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Return row, time and message: what follows the head, after the name of a logger that is about caches."""
    console = pl.col("text").str.contains("\t", literal=True) & pl.col("text").str.contains(_CONSOLE)
    mine = lines.select(console).to_series()
    parts = [_plain(lines.filter(~mine))] + ([_consoles(lines.filter(mine))] if mine.any() else [])
    cut = pl.concat(parts)
    return cut.sort("row") if mine.any() else cut


def _plain(lines: pl.DataFrame) -> pl.DataFrame:
    names = ["date", "glog", "head", "message"]
    groups = lines["text"].str.extract_groups(_HEAD).struct.rename_fields(names).struct.unnest()
    logger, rest = pl.col("message").str.extract(_LOGGER, 1), pl.col("message").str.extract(_LOGGER, 2)
    kept = logger.is_null() | logger.is_in(list(_NO_LOGGERS))
    return lines.select("row").hstack(
        groups.with_columns(
            head=pl.when(kept).then(pl.col("head")).otherwise(pl.concat_str("head", logger)),
            message=pl.when(kept).then(pl.col("message")).otherwise(rest),
        ).select(time=_zoned(pl.coalesce("date", "glog")), message=_of_cache(pl.col("head"), pl.col("message")))
    )


def _consoles(lines: pl.DataFrame) -> pl.DataFrame:
    """zap's console: fields between tabs, and the rest as one JSON object, which is read as pairs."""
    names = ["time", "head", "message", "json"]
    groups = lines["text"].str.extract_groups(_CONSOLE).struct.rename_fields(names).struct.unnest()
    object_ = (
        pl.col("json").str.replace_all(r'"([A-Za-z_@][A-Za-z0-9_.@-]*)": ?', " ${1}=").str.replace_all(r"[{}]", " ")
    )
    said = pl.concat_str("message", object_.fill_null(""), separator=" ")
    return lines.select("row").hstack(
        groups.select(time=_zoned(pl.col("time")), message=_of_cache(pl.col("head"), said))
    )


def _zoned(time: pl.Expr) -> pl.Expr:
    return time.str.replace(r" ?(?:UTC|GMT)$", "Z")


def _of_cache(head: pl.Expr, message: pl.Expr) -> pl.Expr:
    """Where the cache is named in the head only ([ModelCache] miss for ...), let the message name it."""
    named = head.str.contains("(?i)cache")
    which = pl.when(head.str.contains("(?i)model[ _.-]?cache")).then(pl.lit("model cache ")).otherwise(pl.lit("cache "))
    return pl.when(named & ~message.str.contains("(?i)cache")).then(pl.concat_str(which, message)).otherwise(message)


def _pairs(message: pl.Series) -> pl.DataFrame:
    """Read the pairs of those messages that have any."""
    paired = message.str.contains("=", literal=True)
    if paired.all():
        return pairs.read(message, _WANTED)
    found = pairs.read(message.filter(paired), _WANTED)
    at = paired.arg_true()
    columns = [
        pl.Series(name, [None], pl.String).new_from_index(0, len(message)).scatter(at, found[name])
        for name in found.columns
    ]
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=len(message))
