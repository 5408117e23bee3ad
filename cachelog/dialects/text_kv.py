"""Free text of applications: a time or a level, then words, perhaps key=value: the dialect of last resort.

Read are the common heads (Python logging, loguru, uvicorn, gunicorn, logback, log4j, Spring, zap console, klog of Go
programs): time, level, thread or process, logger. What is left is the message; its pairs are read as in logfmt, and
ingest/conform.py takes model and version out of its words. Lines that say nothing about caches, models or starts are
quiet. A time of day without a date (logback's default) is no time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from cachelog.contract import heads, pairs
from cachelog.contract.heads import CLOCK, KLOG, LEVEL, TIME
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
    "predict model=fraud version=v41 key=f3 cache=HIT 0.29ms",
)

_LONG_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL|SEVERE|PANIC)"
_AFTER = r"(?:\s+|[|,:\])>-]|$)"
_CHANGED = r"(?:(?:un|re)?load|evict)(?:ed|ing)"
_TELLING_START = (
    rf"(?i)^(?:[a-z][a-z '-]{{0,40}} )?(?:cache (?:hit|miss)|{_CHANGED} (?:the )?model|"
    rf"model (?:cache (?:hit|miss)|[a-z0-9_.-]+ {_CHANGED}))\b"
)
#: Words, and then pairs that tell of a model or a cache.
_PAIRED_START = (
    r"^[A-Za-z][A-Za-z0-9_'-]*[ ,:](?:[^={\"]{0,80}[ ,(\[])?"
    r"(?:model|model_name|modelName|cache|cache_status|cache_result|cache_hit)=[^ ]"
)
_BEGINS = rf"^(?:[\[(<]?{TIME}[\])>]?{_AFTER}|{CLOCK} +\[|\[{LEVEL} *\]|<{LEVEL}>|{_LONG_LEVEL}(?::|\s)|{KLOG})"
#: Records of servers that have dialects of their own: glog in ISO 8601, nginx's error log, TensorFlow Serving.
_OWNED = rf"^{TIME}:? (?:[IWEF] (?:[0-9]+ )?[A-Za-z0-9_./-]+:[0-9]+\]|\[[a-z]+\] [0-9]+#[0-9]+: )"
_CONSOLE = rf"(?s)^({TIME})\t{LEVEL}((?:\t[^\t{{ ]+)*)\t([^\t]*)(?:\t(\{{.*\}}))?$"

#: What lines about caches, models and starts cannot do without.
_SAYS = (
    "cache", "hit", "miss", "stale", "bypass", "load", "evict", "expire", "flush", "purge", "invalidat", "clear",
    "roll", "revert", "deploy", "promot", "registry", "registered", "version", "start", "boot", "removed", "dropped",
)  # fmt: skip
_WANTED = Wanted(pairs.ALL.keys)
_PAIR = rf"""{pairs.KEY}=(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;)\]]*)[,;]?"""
_BEFORE = rf"(?s)^([^=]*?)[ \t(\[,;]*{pairs.KEY}="
_SPAN = r"([0-9]+(?:\.[0-9]+)?) ?(ns|us|µs|μs|ms|s|sec|secs|seconds|m|min|minutes|h)\b"
_LASTED = (rf"(?:^|[ (]){_SPAN}[)\s]*$", rf"\b(?:in|took|after) {_SPAN}")
_UNITS = {"sec": "s", "secs": "s", "seconds": "s", "minutes": "min"}
_DIGEST = r"(?i)\b(?:sha(?:256)?|digest|checksum)[ :]+(?:sha256:)?([0-9a-f]{8,64})\b"
_FAILED = r"(?is)\b(?:fail|error|unable|cannot|could not|couldn't).*?: (.+)$"
_ASIDE = r"\(([^()]+)\)\W*$"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a time or a level, or with words about caches and models."""
    telling = text.str.contains(_TELLING_START) | text.str.contains(_PAIRED_START)
    return telling | (text.str.contains(_BEGINS) & ~text.str.contains(_OWNED))


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every line that may be about a cache, a model or a start."""
    telling = lines.filter(pl.col("text").str.contains_any(list(_SAYS), ascii_case_insensitive=True))
    cut = _cut(telling)
    paired = cut["message"].str.contains("=", literal=True)
    pieces = [_of_pairs(cut.filter(paired)), _of_words(cut.filter(~paired))]
    return pl.concat(pieces, how="diagonal").sort("row")


def _of_pairs(cut: pl.DataFrame) -> pl.DataFrame:
    """Read messages with pairs; where these tell the outcome of a lookup, only the words before them are looked at."""
    named = pairs.canonical(pairs.read(cut["message"], _WANTED))
    given: dict[str, str] = {name: f"given_{name}" for name in ("time", "message") if name in named.columns}
    frame = cut.hstack(named.rename(given).get_columns())
    answered = [pl.col(name).is_not_null() for name in ("outcome", "hit") if name in frame.columns]
    plain = frame.select(pl.any_horizontal(pl.lit(False), *answered)).to_series()
    before = pl.col("message").str.extract(_BEFORE)
    without = pl.col("message").str.replace_all(_PAIR, "").str.strip_chars(" ,;:-")
    read = [
        frame.filter(plain).with_columns(_said=_few(before, frame.columns)),
        _with_words(frame.filter(~plain).with_columns(_said=without)),
    ]
    return _with_times(pl.concat(read, how="diagonal"), given)


def _of_words(cut: pl.DataFrame) -> pl.DataFrame:
    return _with_times(_with_words(cut.with_columns(_said=pl.col("message"))), {})


def _with_words(frame: pl.DataFrame) -> pl.DataFrame:
    """Add what sentences say beside model and version; what pairs say goes before."""
    message, said = pl.col("message"), pl.col("_said")
    told = {
        "digest": message.str.extract(_DIGEST),
        "reason": pl.coalesce(said.str.extract(_FAILED), said.str.extract(_ASIDE)),
    }
    return frame.with_columns(
        pl.coalesce(*([pl.col(name)] if name in frame.columns else []), value).alias(name)
        for name, value in told.items()
    )


def _with_times(frame: pl.DataFrame, given: Mapping[str, str]) -> pl.DataFrame:
    """Finish time, message and duration: the head's time, the message with the cache that the head names."""
    names = set(frame.columns)
    said = pl.when(pl.col("_said").str.contains("(?i)cache")).then(pl.col("_said"))
    of_cache = pl.coalesce(said, pl.concat_str("about", "_said", separator=" "), "_said")
    message = [pl.col("given_message")] if "message" in given else []
    time = [pl.col("given_time")] if "time" in given else []
    measured = [pl.col(name).is_null() for name in ("ms", "seconds") if name in names]
    lasted = pl.when(pl.all_horizontal(pl.lit(True), *measured)).then(_lasted(pl.col("message")))
    duration = [pl.col("duration")] if "duration" in names else []
    return frame.with_columns(
        time=pl.coalesce("time", *time),
        message=pl.coalesce(*message, of_cache),
        duration=pl.coalesce(*duration, lasted),
    ).drop("_said", "about", *given.values())


def _few(said: pl.Expr, names: Sequence[str]) -> pl.Expr:
    """Drop the numbers of sentences where pairs name model and version: few distinct ones are left."""
    if not {"model", "version"} <= set(names):
        return said
    plain = said.str.replace_all(r"[0-9]+(?:\.[0-9]+)?", "0")
    return pl.when(pl.col("model").is_not_null() & pl.col("version").is_not_null()).then(plain).otherwise(said)


def _lasted(message: pl.Expr) -> pl.Expr:
    spans = [
        pl.concat_str(message.str.extract(span, 1), message.str.extract(span, 2).replace(_UNITS)) for span in _LASTED
    ]
    return pl.coalesce(spans)


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Return row, time, about and message: what follows the head."""
    console = pl.col("text").str.contains("\t", literal=True) & pl.col("text").str.contains(_CONSOLE)
    mine = lines.select(console).to_series()
    plain = lines if not mine.any() else lines.filter(~mine)
    cut = plain.select("row").hstack(heads.cut(plain["text"]))
    return pl.concat([cut, _consoles(lines.filter(mine))]) if mine.any() else cut


def _consoles(lines: pl.DataFrame) -> pl.DataFrame:
    """zap's console: fields between tabs, and the rest as one JSON object, which is read as pairs."""
    names = ["time", "head", "message", "json"]
    groups = lines["text"].str.extract_groups(_CONSOLE).struct.rename_fields(names).struct.unnest()
    opened = pl.col("json").str.replace_all(r'"([A-Za-z_@][A-Za-z0-9_.@-]*)": ?', " ${1}=")
    said = pl.concat_str("message", opened.str.replace_all(r"[{}]", " ").fill_null(""), separator=" ")
    return lines.select("row").hstack(groups.select("time", about=heads.about(pl.col("head")), message=said))
