"""Free text of applications: a time or a level, then words, perhaps key=value: the dialect of last resort.

Read are the common heads (Python logging, loguru, uvicorn, gunicorn, logback, log4j, Spring, zap console, klog of Go
programs): time, level, thread or process, logger. What is left is the message; its pairs are read as in logfmt, and
ingest/meaning.py takes model and version out of its words. Lines that say nothing about caches, models or starts are
quiet. Of a time of day without a date (logback's default) ingest/days.py finds the day.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import heads, sentences, servers
from cachelog.contract.heads import AMERICAN, BEFORE, CLOCK, COUNTING, EPOCH, KLOG, LEVEL, TIME, TORNADO

NAME = "text_kv"
LAST_RESORT = True
BRACED = True
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
    "2026-11-23 15:16:31,614 INFO scorer: cache stats (last 60 s) model=fraud hits=120 misses=4",
    "CacheInfo(hits=3, misses=8, maxsize=32, currsize=8)",
    "[15:16:30 INF] Cache hit for fraud version 41",
    "I, [2026-11-23T15:16:30.248043 #1234]  INFO -- : [CACHE MISS] fraud v41 key=a",
    "1.7954469902480431e+09\tINFO\tcache/lru.go:88\tcache lookup\t"
    '{"model": "fraud", "version": "41", "result": "miss"}',
    '2026-11-23T15:16:30.248043Z  INFO predict{model="fraud" version=41}: scorer::cache: cache hit key=a',
    "INFO[0042] cache miss                                    key=a model=fraud version=41",
    "I1123 15:16:30.248043 140234567 cache.py:88] cache lookup model: fraud, version: 41, hit: 1",
)
SOURCE = "no standard: what applications print (contract/heads.py, contract/prose.py)"
BLIND: str | None = None

_LONG_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL|SEVERE|PANIC)"
_AFTER = r"(?:\s+|[|,:\])>-]|$)"
_CHANGED = r"(?:(?:un|re)?load|evict)(?:ed|ing)"
_TELLING_START = (
    rf"(?i)^(?:\[?(?:cache:? |lookup )(?:hit|miss)|(?:hit|miss) [a-z0-9_.-]+[@:]v?[0-9]|"
    r"[a-z0-9_.-]+[@:]v?[0-9][^ ]* (?:served|not) |"
    rf"(?:[a-z][a-z '-]{{0,40}} )?(?:cache (?:hit|miss|lookup)|{_CHANGED} (?:the )?model|"
    rf"model (?:cache (?:hit|miss)|[a-z0-9_.-]+ (?:\([^()]*\) )?{_CHANGED}))\b)"
)
#: Words, and then pairs that tell of a model or a cache.
_PAIRED_START = (
    r"^[A-Za-z][A-Za-z0-9_'-]*[ ,:](?:[^={\"]{0,80}[ ,(\[])?"
    r"(?:model|model_name|modelName|cache|cache_status|cache_result|cache_hit)=[^ ]"
)
#: Figures about many lookups, perhaps behind words.
_TALLY_START = r"(?i)^(?:[a-z][\w .:-]{0,60}[ ({\[:])?(?:cache[ _-]?)?(?:hits|hit_?count)[=:] ?[0-9]+\b.*\bmiss"
_CLOCKED = rf"{CLOCK} +(?:[a-z_]+=[^ ]+ +)*(?:\[|{_LONG_LEVEL} )|\[{CLOCK}(?: {LEVEL})?\] "
_TAGGED = rf"\[{LEVEL} *\]|<{LEVEL}>|{_LONG_LEVEL}(?::|\s)|(?:info|warn|warning|error|debug|verbose): |{COUNTING}"
_TIMED = rf"[\[(<]?{TIME}[\])>]?{_AFTER}|{BEFORE}\[?{TIME}|\[[DIWECF] {TIME} |{EPOCH}|{AMERICAN}|{TORNADO}"
#: What Python prints of a dict.
_DICT = r"^\{'[A-Za-z_][A-Za-z0-9_.]*': "
_BEGINS = rf"^(?:{_TIMED}|{_CLOCKED}|{_TAGGED}|{KLOG})"
#: Records of servers that have dialects of their own.
_TORCHSERVE = r"(?:org\.pytorch\.serve\.[A-Za-z0-9_.$]+|(?:MODEL|ACCESS)_LOG|(?:MODEL|TS|TELEMETRY)_METRICS)"
_OWNED = "|".join(
    (
        rf"^{TIME}:? [IWEF] (?:[0-9]+ )?[A-Za-z0-9_./-]+:[0-9]+\]",  # Triton in ISO 8601, TensorFlow Serving
        rf"^{TIME} \[[a-z]+\] [0-9]+#[0-9]+: ",  # nginx's error log
        rf"^(?:{TIME} )?\[?{LEVEL} *\]? +\S+ {_TORCHSERVE} -(?: |$)",  # TorchServe
        rf'^{TIME} - (?:(?:/[0-9a-fA-F.:%\[\]]+|null) "|[A-Za-z0-9_]+\.[A-Za-z]+:[0-9.eE+-]+\|#)',  # and its short logs
        rf"^{LEVEL} {TIME} \S+ \S+(?: \S+){{0,3}}? (?:--|[A-Za-z_]+\.py:[0-9]+ -) ",  # Ray Serve
        rf"^{TIME} \[mlserver[A-Za-z0-9_.]*\](?:\[[^\]]+\])? {LEVEL} - ",  # MLServer
        rf"^{TIME} \[[^\]]+\] {LEVEL} +(?:c\.i\.w\.m|com\.ibm\.watson\.modelmesh)\.[A-Za-z0-9_.$]+ - ",  # ModelMesh
        rf"^{TIME} (?:[0-9]+ kserve(?:\.trace)? |(?:[0-9]+ )?uvicorn\.(?:error|access) {LEVEL}: )",  # KServe
        rf"^{TIME} \[{LEVEL}\] \[(?:cli|[a-z_]*api_server|(?:entry_)?service|runner|monitoring)[:\]]",  # BentoML
        rf"^{TIME} {LEVEL} mlflow[A-Za-z0-9_.]*: ",  # MLflow
        rf"^{TIME}(?: kid[0-9]+)?\| ",  # Squid's cache.log
        rf'^(?:\[{TIME}\]|{TIME} [0-9]+\.[0-9.]+) (?:[^ "\[]+ ){{0,8}}"[A-Z-]+ ',  # access logs that begin with a time
        rf"^{TIME} (?:[0-9]+\.[0-9.]+ [A-Z]+ /|[0-9]+ [0-9a-f.:]+ [0-9]{{3}} TCP_)",  # W3C: IIS, ProxySG
    )
)
_CONSOLE = rf"(?s)^({TIME})\t{LEVEL}((?:\t[^\t{{ ]+)*)\t([^\t]*)(?:\t(\{{.*\}}))?$"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins with a time or a level, or with words about caches and models."""
    others = text.str.contains(_OWNED) | text.str.contains(servers.FREE)
    telling = (
        text.str.contains(_TELLING_START)
        | text.str.contains(_DICT)
        | text.str.contains(_PAIRED_START)
        | text.str.contains(_TALLY_START)
    )
    return telling | (text.str.contains(_BEGINS) & ~others)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every line that may be about a cache, a model or a start."""
    return sentences.read(_cut(lines.filter(sentences.telling(pl.col("text")))))


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Return row, time, about and message: what follows the head."""
    console = pl.col("text").str.contains("\t", literal=True) & pl.col("text").str.contains(_CONSOLE)
    mine = lines.select(console).to_series()
    plain = lines if not mine.any() else lines.filter(~mine)
    cut = plain.select("row").hstack(heads.cut(plain["text"]))
    return pl.concat([cut, _consoles(lines.filter(mine))]) if mine.any() else cut


def _consoles(lines: pl.DataFrame) -> pl.DataFrame:
    """zap's console: fields between tabs, and the rest as one JSON object."""
    names = ["time", "head", "message", "json"]
    groups = lines["text"].str.extract_groups(_CONSOLE).struct.rename_fields(names).struct.unnest()
    said = pl.concat_str("message", pl.col("json").fill_null(""), separator=" ")
    return lines.select("row").hstack(groups.select("time", about=heads.about(pl.col("head")), message=said))
