"""Dumps of /metrics over time: Prometheus text format and OpenMetrics, one scrape after another or a file each.

Read are counters of cache hits, misses and lookups: Triton's per model, vLLM's, SGLang's and LMCache's (these three
count tokens), and any NAME_cache_hits_total with NAME_cache_misses_total, or counters with a label result="hit". A
counter says nothing until it is read again: ingest/counters.py differences them. Times are those of the samples, else
of a line between the scrapes (a comment, `date`, RFC 3339, epoch), else of the file. Triton's gauges of the whole
server (2022) are left out: beside those per model they would count twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from cachelog.contract.event import SCRAPE, SINCE_START
from cachelog.contract.fields import ALIASES

NAME = "prometheus"
SOURCE = "https://prometheus.io/docs/instrumenting/exposition_formats/"
BLIND: str | None = (
    "what happened before the first scrape, when within an interval, and in a process that ended between two scrapes"
)
SAMPLES = (
    "# HELP nv_cache_num_hits_per_model Number of cache hits per model",
    "# TYPE nv_cache_num_hits_per_model counter",
    'nv_cache_num_hits_per_model{model="fraud",version="1"} 120.000000',
    'nv_cache_num_misses_per_model{model="fraud",version="1"} 4.000000 1767348000000',
    'vllm:prefix_cache_queries_total{engine="0",model_name="Qwen/Qwen2.5-Coder-7B-Instruct"} 72.0',
    'vllm:prefix_cache_hits_total{engine="0",model_name="Qwen/Qwen2.5-Coder-7B-Instruct"} 3.2e+01',
    'feature_cache_requests_total{model="fraud",result="hit"} 12',
    "prediction_cache_hits_total 1729",
    'process_start_time_seconds{job="x"} 1.76734e+09',
    "# EOF",
    "# 2026-01-02T10:00:00Z",
    "### scrape at 1767348000.123",
    "Fri Jan  2 10:00:00 UTC 2026",
)

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABELS = r'\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\}'
_VALUE = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?Inf|NaN"
# a bare name needs an underscore or colon: "total 12" is any program's
_BARE = r"[a-zA-Z]*[_:][a-zA-Z0-9_:]*"
_SAMPLE = rf"^(?:{_BARE}|{_NAME}{_LABELS}) (?:{_VALUE})(?: -?[0-9]+(?:\.[0-9]+)?)?(?: # \{{.*)?$"
_COMMENT = rf"^# (?:(?:HELP|TYPE|UNIT) {_NAME}(?: |$)|EOF$)"

_ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?"
_EPOCH = r"1[0-9]{9}(?:\.[0-9]+)?|1[0-9]{12}"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
# `date`: Fri Jan  2 10:00:00 UTC 2026, or Fri 02 Jan 2026 10:00:00 AM UTC
_DATE_C = rf"{_WEEKDAY} +({_MONTH}) +([0-9]{{1,2}}) ([0-9:]{{8}}) ([A-Z]{{1,5}}|[+-][0-9]{{2,4}}) ([0-9]{{4}})"
_DATE_EN = (
    rf"{_WEEKDAY} +([0-9]{{1,2}}) +({_MONTH}) +([0-9]{{4}}) ([0-9:]{{8}})(?: ([AP]M))? ([A-Z]{{1,5}}|[+-][0-9]{{2,4}})"
)
_RULE = r"(?:[#=*-]+ *(?:[A-Za-z][A-Za-z0-9_.@/-]*[ :=]*){0,4})"
_HEADER = rf"^(?:{_RULE}?(?:{_DATE_C}|{_DATE_EN})|{_RULE}(?:{_ISO}|{_EPOCH})|{_ISO}|{_EPOCH})[ =*#-]*$"
#: A sample, a comment, a bare time, a line drawn around one, or a day.
SHAPE = (
    rf"^(?:{_BARE} [-+.0-9IN]|{_NAME}\{{|# (?:HELP|TYPE|UNIT|EOF)|(?:{_ISO}|{_EPOCH})[ =*#-]*$|[#=*-]"
    rf"|{_WEEKDAY} )"
)
_MONTHS = {name: f"{number:02}" for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """Counters whose whole name matches: what they count, and of which cache; None is told by name and labels."""

    name: str
    what: str | None
    cache: str | None = None


_NONE = "none"  # counts no lookups
_END = r"(?:_total|_count)?$"
#: The first that fits wins.
FAMILIES = (
    Family(r"^nv_cache_num_hits_per_model$", "hits", "response"),
    Family(r"^nv_cache_num_misses_per_model$", "misses", "response"),
    Family(r"^vllm:prefix_cache_queries(?:_total)?$", "lookups", "prefix"),
    Family(r"^vllm:prefix_cache_hits(?:_total)?$", "hits", "prefix"),
    # the same under its name before 0.9, which has both
    Family(r"^vllm:gpu_prefix_cache_queries(?:_total)?$", "lookups", "gpu_prefix"),
    Family(r"^vllm:gpu_prefix_cache_hits(?:_total)?$", "hits", "gpu_prefix"),
    Family(r"^vllm:external_prefix_cache_queries(?:_total)?$", "lookups", "external_prefix"),
    Family(r"^vllm:external_prefix_cache_hits(?:_total)?$", "hits", "external_prefix"),
    Family(r"^vllm:mm_cache_queries(?:_total)?$", "lookups", "mm"),
    Family(r"^vllm:mm_cache_hits(?:_total)?$", "hits", "mm"),
    Family(r"^sglang:prompt_tokens_total$", "lookups", "prefix"),
    Family(r"^sglang:cached_tokens_total$", "hits", "prefix"),
    Family(r"^lmcache:num_lookup_tokens(?:_total)?$", "lookups", "lmcache"),
    Family(r"^lmcache:num_lookup_hits(?:_total)?$", "hits", "lmcache"),
    Family(
        r"^(?:vllm|sglang|lmcache):|^nv_|_(?:created|sum|bucket)$|second|duration|latency|bytes|size|rat", None, _NONE
    ),
    Family(rf"(?:cache|keyspace)_(?:\w+_)?hits?{_END}", "hits"),
    Family(rf"(?:cache|keyspace)_(?:\w+_)?miss(?:es)?{_END}", "misses"),
    Family(rf"cache_(?:lookups|queries){_END}", "lookups"),
    Family(rf"cache(?:_\w+)?{_END}|^memcached_commands{_END}", None),
)

#: Labels that say how a lookup was answered; other values (set, evicted) are other counters.
_ANSWER = r'(?i)[{{,] *(?:result|outcome|status|cache_status|cache_result|cache|type|state)="(?:cache_?)?(?:{})"'
_HIT, _MISS = "hits?", "miss|misses|missed|expired"
_CACHES = ("cache_name", "cache", "cacheName", "name", "cache_type")


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is a sample or comment of an exposition, or a line between two with nothing but a time."""
    return text.str.contains(_SAMPLE) | text.str.contains(_COMMENT) | text.str.contains(_HEADER)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a sample for every counter of cache lookups, and one for every time between scrapes."""
    text = pl.col("text")
    sample = text.str.contains(r"(?i)hit|miss|lookup|quer|cache|prompt_tokens") & text.str.contains(_SAMPLE)
    mark = text.str.contains(_HEADER)
    return pl.concat([_counters(lines.filter(sample)), _marks(lines.filter(mark))], how="diagonal").sort("row")


def _marks(lines: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    dates = [_date(text, _DATE_C, 5, 1, 2, 3, 4), _date(text, _DATE_EN, 3, 2, 1, 4, 6)]
    plain = text.str.extract(rf"({_ISO})").str.replace(r" ?UTC$", "Z")
    time = pl.coalesce(*dates, plain, text.str.extract(rf"(?:^|[^0-9])({_EPOCH})[^0-9]*$"))
    return lines.select("row", time=time, op=pl.lit("sample"), reason=pl.lit(SCRAPE))


def _date(text: pl.Expr, shape: str, year: int, month: int, day: int, clock: int, zone: int) -> pl.Expr:
    """Return what `date` prints as RFC 3339, naive where its zone is an abbreviation other than UTC and GMT."""
    time, named = text.str.extract(shape, clock), text.str.extract(shape, zone)
    hour, half = time.str.slice(0, 2).cast(pl.Int32, strict=False), text.str.extract(r" ([AP]M) ")
    full = pl.when(half == "PM").then(hour % 12 + 12).when(half == "AM").then(hour % 12).otherwise(hour)
    offset = pl.when(named.is_in(["UTC", "GMT", "Z"])).then(pl.lit("Z")).when(named.str.contains("^[+-]")).then(named)
    return pl.concat_str(
        text.str.extract(shape, year),
        pl.lit("-"),
        text.str.extract(shape, month).replace_strict(_MONTHS, default=None, return_dtype=pl.String),
        pl.lit("-"),
        text.str.extract(shape, day).str.pad_start(2, "0"),
        pl.lit("T"),
        full.cast(pl.String).str.pad_start(2, "0"),
        time.str.slice(2),
        offset.fill_null(""),
    )


def _counters(lines: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    cut = lines.select(
        "row",
        name=text.str.extract(rf"^({_NAME})"),
        labels=text.str.extract(rf"^{_NAME}({_LABELS})").fill_null(""),
        seconds=text.str.extract(rf"[ }}]({_VALUE})(?: -?[0-9.]+)?(?: #.*)?$").cast(pl.Float64, strict=False),
        time=text.str.extract(r" ([0-9]{9,20}(?:\.[0-9]+)?)(?: #.*)?$"),
    )
    return (
        cut.with_columns(_family()).filter(pl.col("_family").is_not_null() & pl.col("seconds").is_finite()).pipe(_said)
    )


def _family() -> pl.Expr:
    """Return the number of the family of a name, null for none."""
    name = pl.col("name")
    fits = [pl.when(name.str.contains(f.name)).then(pl.lit(i)) for i, f in enumerate(FAMILIES)]
    found = pl.coalesce(fits)
    return pl.when(~found.is_in([i for i, f in enumerate(FAMILIES) if f.cache == _NONE])).then(found).alias("_family")


def _label(*names: str) -> pl.Expr:
    values = (pl.col("labels").str.extract(rf'[{{,] *{name}="((?:[^"\\]|\\.)+)"') for name in names if "." not in name)
    return pl.coalesce(values)


def _said(cut: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows: what is counted of which cache, model, version and replica, and which counter it is."""
    number, labels = range(len(FAMILIES)), pl.col("labels")
    what = pl.col("_family").replace_strict(number, [f.what for f in FAMILIES], return_dtype=pl.String)
    cache = pl.col("_family").replace_strict(number, [f.cache for f in FAMILIES], return_dtype=pl.String)
    hit, miss = labels.str.contains(_ANSWER.format(_HIT)), labels.str.contains(_ANSWER.format(_MISS))
    answer = pl.when(hit).then(pl.lit("hits")).when(miss).then(pl.lit("misses"))
    plain = labels.str.replace(_ANSWER.format(f"{_HIT}|{_MISS}"), "")
    named = cut.with_columns(what=pl.coalesce(what, answer), key=pl.concat_str("name", "labels"), labels=plain)
    return named.filter(pl.col("what").is_not_null()).select(
        "row",
        "time",
        "seconds",
        "key",
        op=pl.lit("sample"),
        reason=pl.col("what") + SINCE_START,
        cache=pl.coalesce(_label(*_CACHES), cache, _prefix(pl.col("name"))),
        **{field: _label(*ALIASES[field]) for field in ("model", "version", "replica")},
    )


def _prefix(name: pl.Expr) -> pl.Expr:
    """Return the cache that a counter is named after: one with a name of its own, or feature_cache."""
    own = name.str.extract(r"(model|response|prefix)_cache")
    return pl.coalesce(own, name.str.extract(r"^(\w+_cache|\w*keyspace)_"))
