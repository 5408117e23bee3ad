"""The heads of free text lines: time, level, thread or process, logger, in the shapes of common loggers.

Understood are the heads of Python's logging, loguru, structlog, rich, absl, tornado, uvicorn, gunicorn, celery;
logback, log4j, Spring, JBoss; of klog, log, logrus, zap and zerolog in Go programs; of Rust's tracing and env_logger;
of Ruby's Logger, Elixir's, Monolog; of winston, pino-pretty, Nest; of Serilog, NLog and log4net. Few heads differ in
more than their digits, so each is read once: a line is looked up by its beginning with all digits made 0, and the slow
expression sees distinct beginnings only.
"""

from __future__ import annotations

import polars as pl

_DAY = (
    r"(?:[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ]|[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4},? |[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}[: ])"
)
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?"
#: A time of day, a whole time, a level, the head of klog (group: its time without a year).
CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
_WHOLE = r"(?:[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}|[0-9]{8}T[0-9]{6}(?:\.[0-9]+)?Z?)"
TIME = rf"(?:{_DAY}{CLOCK}{_ZONE}|{_WHOLE})"
LEVEL = (
    r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|FATAL|CRITICAL|SEVERE|PANIC|INF|WRN|DBG|TRC|VRB|FTL|PNC|"
    r"trace|debug|info|notice|warn|warning|error|err|fatal|critical|panic|[TDIWEFC])"
)
KLOG = (
    r"[IWEF](?:([0-9]{4} [0-9:]{8}\.[0-9]{6}) +[0-9]+ [A-Za-z0-9_.-]+\.(?:go|py)|"
    r"([0-9]{8} [0-9:]{8}\.[0-9]{6}) +[0-9]+ [A-Za-z0-9_.-]+\.[a-z]{1,3}):[0-9]+\] "
)
#: Seconds since 1970 are a time where a level follows: zap's are 1.795e+09, others have 10 or 13 digits.
EPOCH = rf"\[?([0-9]\.[0-9]{{6,}}e\+[0-9]{{2}}|[0-9]{{10}}(?:\.[0-9]{{1,9}})?|[0-9]{{13}})\]?\s+\[?{LEVEL}(?:\]|:|\s)"
#: Times that are read as American only in these heads: rich, transformers' examples, Nest; tornado has no century.
AMERICAN = (
    rf"\[([0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}} [0-9:]{{8}})\] {LEVEL}\s|"
    rf"([0-9]{{2}}/[0-9]{{2}}/[0-9]{{4}} [0-9:]{{8}}) - {LEVEL} - |"
    rf"\[Nest\] [0-9]+ +- ([0-9]{{2}}/[0-9]{{2}}/[0-9]{{4}}, [0-9:]{{7,8}} [AP]M) +"
)
TORNADO = r"\[[DIWECF] ([0-9]{6} [0-9:]{8}) [A-Za-z0-9_.<>]+:[0-9]+\] "
#: What may stand before a time: a level, Ruby's letter, the prefix of a Go logger.
BEFORE = rf"(?:[\[<(]?{LEVEL} *[\]>)]?[\s:,|-]*|[DIWEFA], |[A-Za-z][A-Za-z0-9_./-]{{0,40}}: )"
#: A level alone: logrus on a terminal counts the seconds since its start.
COUNTING = rf"{LEVEL}\[[0-9]{{4,}}\] "

# one piece of a head: [thread], level, process number, a.b.Logger, name:line, name -, |, ---
_PIECE = (
    rf"(?:\[[^\[\]]{{0,80}}\](?: \([A-Za-z][A-Za-z0-9 ._#-]{{0,60}}\) )?|"
    rf"{LEVEL} \([^()]{{1,80}}\): |[\[<(]?{LEVEL}[\]>)]?(?: |:|\t|$)|[0-9]+ |"
    r"[a-z_][a-z0-9_]*(?:::[a-z_][a-z0-9_]*)+: |"
    r"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z0-9_$]+)+(?: |:|$)|"
    r"[A-Za-z0-9_/$-]*[./][A-Za-z0-9_./$-]*(?::[A-Za-z0-9_<>]+)*:[0-9]+(?::? |\t)|"
    r"[A-Za-z0-9_$-]+(?::[A-Za-z0-9_<>]+)*:[0-9]+(?: - |: | [|>] |\t)|"
    r"[A-Za-z0-9_.$/-]+ - |\||--*(?: |$)|: )"
)
_TIMED = rf"(?:{BEFORE})?[\[(<]?({TIME})(?:[\])>]| #[0-9]+\]| [A-Za-z][A-Za-z0-9_.]{{0,40}}\])?"
_ODD = rf"\[({CLOCK})(?: {LEVEL})?\] |{KLOG}|{EPOCH}|{AMERICAN}|{TORNADO}"
_HEAD = rf"(?s)^((?:{_TIMED}|({CLOCK})|{_ODD}|{COUNTING})?(?:[\s:|,>-]*{_PIECE})*[\s|:,>-]*)(.*)$"
_TIMES = 10  # groups of _HEAD with a time
#: A first word with a colon behind it is the name of the logger, unless it is one of these.
_NAMED = r"(?s)^([a-z_][A-Za-z0-9_.$/-]*):(\s+)"
_NO_LOGGERS = (
    "cache", "model", "hit", "miss", "load", "loading", "loaded", "unload", "unloading", "unloaded", "reload",
    "reloading", "reloaded", "evict", "evicting", "evicted", "registry", "rollout", "rollback", "deploy", "deployed",
    "promoted", "starting", "started",
)  # fmt: skip

_SAYING = r"(?i)(\[[^\[\]]*\b(?:hit|miss|missed|stale|loaded|unloaded|evicted)\b[^\[\]]*\][\s|:,>-]*)$"

_SAMPLED = 64  # lines that tell how long heads are
_MARGIN = 12  # characters of the message that are looked at with its head
_SHORTEST = 48  # characters: no time is cut off
_LONGEST = 400  # characters; a head is shorter
#: So much of a message must be seen to know that the head ends before it: no bracket, and a word with what follows.
_SURELY = r"(?s)^[^\[\s]\S*\s\S*\s?[^\s-]"

_WORDS = r"^[A-Za-z][A-Za-z_']*\s"  # no head at all: klog's begins with digits in its first word
#: What the name of a thread or logger says of the message behind it: [ModelCache] miss for ...
_ABOUT = (("(?i)model[ _.-]?cache", "model cache"), ("(?i)cache", "cache"))

CUT: pl.Schema = pl.Schema({"time": pl.String(), "about": pl.String(), "message": pl.String()})
_BOUNDS = ("_length", "_start", "_span", "about")


def cut(text: pl.Series) -> pl.DataFrame:
    """Return CUT, one row a text: its time as written, the cache that its head names, and its message."""
    reach = _reach(text)
    lines = pl.DataFrame({"text": text, "_masked": text.str.slice(0, reach).str.replace_all("[0-9]", "0")})
    distinct = lines.select(pl.col("_masked").unique())
    if distinct.height * 2 > len(text):
        return _divided(lines.with_columns(_bounds(pl.col("text"))))
    whole = pl.col("_masked").str.len_chars() < reach
    headed = (pl.col("_length") > 0) | pl.col("_masked").str.contains(_WORDS)
    sure = whole | (headed & pl.col("_masked").str.slice(pl.col("_length")).str.contains(_SURELY))
    read = distinct.with_columns(_bounds(pl.col("_masked"))).with_columns(_sure=sure)
    placed = lines.join(read, on="_masked", how="left", maintain_order="left")
    doubtful = ~placed["_sure"]
    if not doubtful.any():
        return _divided(placed)
    again = placed.filter(doubtful).select(_bounds(pl.col("text")))
    at = doubtful.arg_true()
    return _divided(placed.with_columns(placed[name].scatter(at, again[name]) for name in _BOUNDS))


def _reach(text: pl.Series) -> int:
    """Return how many characters of each line to look at: enough for nearly every head of a sample."""
    sample = text.gather_every(max(1, len(text) // _SAMPLED)).head(_SAMPLED)
    lengths = pl.DataFrame({"text": sample}).select(_bounds(pl.col("text")))["_length"].sort().to_list()
    return max(int(lengths[len(lengths) * 9 // 10]) + _MARGIN, _SHORTEST) if lengths else _LONGEST


def _bounds(text: pl.Expr) -> list[pl.Expr]:
    """Return, in characters, how long the head is and where its time stands; and what the head is about."""
    groups = text.str.slice(0, _LONGEST).str.extract_groups(_HEAD).struct
    head, rest = groups["1"], groups[str(_TIMES + 2)]
    time = pl.coalesce(groups[str(at)] for at in range(2, _TIMES + 2))
    said = head.str.extract(_SAYING).fill_null("")  # a bracket that tells what happened is part of the message
    head, rest = head.str.strip_suffix(said), pl.concat_str(said, rest)
    name = rest.str.extract(_NAMED, 1)
    logger = pl.when(~name.is_in(list(_NO_LOGGERS))).then(rest.str.extract(_NAMED, 0)).fill_null("")
    names = pl.concat_str(head, logger)
    return [
        names.str.len_chars().alias("_length"),
        head.str.find(time, literal=True).alias("_start"),
        time.str.len_bytes().alias("_span"),
        about(names).alias("about"),
    ]


def about(names: pl.Expr) -> pl.Expr:
    """Return which cache the names of threads and loggers are about, null for none."""
    return pl.coalesce(pl.when(names.str.contains(pattern)).then(pl.lit(word)) for pattern, word in _ABOUT)


def _divided(placed: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("text")
    time = pl.when(pl.col("_start").is_not_null()).then(text.str.slice(pl.col("_start"), pl.col("_span")))
    named = _named(time.str.replace(r" ?(?:UTC|GMT)$", "Z"))
    return placed.select(time=named, about="about", message=text.str.slice(pl.col("_length")))


def _named(time: pl.Expr) -> pl.Expr:
    """Put the year of American dates, and of tornado's, in front: these heads tell what their numbers are."""
    year = time.str.replace(r"^(\d\d)/(\d\d)/(\d{4}),? ", "$3-$1-$2 ").str.replace(
        r"^(\d\d)/(\d\d)/(\d\d) ", "20$3-$1-$2 "
    )
    return year.str.replace(r"^(\d\d)(\d\d)(\d\d) ", "20$1-$2-$3 ")
