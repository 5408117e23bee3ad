"""What applications say in words and pairs, behind whatever head their logger writes: `predict model=fraud cache=HIT`.

The pairs of a message are read as in logfmt; of its words contract/prose.py and ingest/meaning.py take the rest. Model
servers log the lines of the handlers that run in them, so several dialects read such messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from cachelog.contract import pairs, prose, tallies, urls
from cachelog.contract.pairs import Wanted

#: What lines about caches, models and starts cannot do without.
_SAYS = (
    "cache", "hit", "miss", "stale", "bypass", "load", "evict", "expire", "flush", "purge", "invalidat", "clear",
    "roll", "revert", "deploy", "promot", "registry", "registered", "version", "start", "boot", "removed", "dropped",
    "ready", "now serving",
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

#: Keys of objects in text, as JSON and as Python write them: "model": "fraud", 'hit': True.
_MEMBERS = ((r'"([A-Za-z_@][A-Za-z0-9_.@-]*)": ?', " ${1}="), (r"'([A-Za-z_@][A-Za-z0-9_.@-]*)': ?", " ${1}="))
_OBJECT = r"""\{ ?["'][A-Za-z_@][A-Za-z0-9_.@-]*["']: ?"""
#: Fields of spans, as Rust's tracing writes them before what happened in them: predict{model="fraud" version=3}:
_SPAN_FIELDS = r"""(^|[\s:])[a-z_][a-z0-9_]*\{((?:[^{}"]|"[^"]*")*)\}:"""
_NAMES = r"(?:model(?:[_ -]?name|[_-]?id)?|modelName|Model(?:Name)?)"
_TOLD = (
    rf"{_NAMES}|(?:model[_ -]?)?version|modelVersion|(?:Model)?Version|"
    r"(?:cache[_ -]?)?(?:hit|miss|status|result|outcome|key)|cacheHit|cacheStatus|cacheResult|"
    r"Hit|Result|Outcome|cached|latency_ms|duration_ms"
)
_NAMED = rf"(?:^|[\s,;|(\[]){_NAMES}: ['\"]?([A-Za-z0-9_][^\s,;|)]*)"
_SAID_TOO = rf"(?:^|[\s,;|(\[])(?:{_TOLD}): [^\s].*[\s,;|(\[](?:{_TOLD}): [^\s]"
_COLONS = rf"(^|[\s,;|(\[])({_TOLD}): ([^\s])"
#: A path that names a model, behind the method of a request or where something was loaded from.
_PATH = r"""(?:^|[\s"'(=])((?:[a-z0-9+]+://[^\s/"']*)?/[^\s"']*?\b(?:models?|predictions?|servables?)/[^\s"',)]+)"""

_REQUEST = r"""(?:^|[\s"'])(?:GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS) """

#: Words that only lines about lookups and entries have.
_OF_CACHE = r"(?i)\b(?:hits?|miss(?:es|ed)?|stale|bypass(?:ed)?|evict(?:ed|ing|ion)?|expired?)\b"
#: Lines of tracebacks, which quote code and messages.
_TRACEBACK = (
    r"^(?:\s|Traceback |During handling of |The above exception |Caused by: |"
    r"[A-Za-z_][A-Za-z0-9_.]*(?:Error|Exception|Exit|Interrupt)\b)"
)


def telling(text: pl.Expr) -> pl.Expr:
    """Return whether a text may be about a cache, a model or a start."""
    return text.str.contains_any(list(_SAYS), ascii_case_insensitive=True)


def read(cut: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of messages without their heads: row, time, about (which cache the head names), message."""
    cut = _opened(cut)
    paired = cut["message"].str.contains("=", literal=True)
    pieces = [_of_pairs(cut.filter(paired)), _of_words(cut.filter(~paired))]
    return _with_figures(pl.concat(pieces, how="diagonal").sort("row"), cut)


def _opened(cut: pl.DataFrame) -> pl.DataFrame:
    """Write what objects and spans in messages hold, and "model: fraud, hit: 1", as pairs."""
    message = pl.col("message")
    held = message.str.contains(_OBJECT)
    spans = message.str.contains(_SPAN_FIELDS)
    named = message.str.extract(_NAMED)
    told = message.str.contains(_SAID_TOO) & named.is_not_null() & ~prose.is_no_model(named)
    marks = cut.select(held=held, spans=spans, told=told).select(pl.all().fill_null(False))
    if not marks.select(pl.any_horizontal(pl.all()).any()).item():
        return cut
    members = message
    for pattern, pair in _MEMBERS:
        members = members.str.replace_all(pattern, pair)
    members = members.str.replace_all(r"[{}]", " ").str.replace_all(r'\[("[^"\]]*")\]', "${1}")
    plain = message.str.replace_all(_SPAN_FIELDS, "${1} ${2} ")
    colons = plain.str.replace_all(_COLONS, "${1}${2}=${3}").str.replace_all(r" \| ", " ")
    opened = pl.when("held").then(members).when("told").then(colons).otherwise(plain)
    return cut.hstack(marks).with_columns(message=opened).drop("held", "spans", "told")


def _with_figures(parsed: pl.DataFrame, cut: pl.DataFrame) -> pl.DataFrame:
    """Add the figures about many lookups that messages tell, also where they are no pairs."""
    told = cut.filter(tallies.told(pl.col("message")))
    if told.is_empty():
        return parsed
    figures = told.select("row", **{f"_{n}": figure for n, figure in tallies.counts(pl.col("message")).items()})
    known = {n: [pl.col(n)] if n in parsed.columns else [] for n in tallies.NAMES}
    joined = parsed.join(figures, on="row", how="left", maintain_order="left")
    whole = joined.with_columns(pl.coalesce(*known[n], f"_{n}").alias(n) for n in tallies.NAMES)
    return whole.drop(f"_{n}" for n in tallies.NAMES)


def printed(cut: pl.DataFrame, quiet: str | None = None, of: tuple[str, str] | None = None) -> pl.DataFrame:
    """Return PARSED rows of what code that runs in a model server prints: row, time, message of each line in `cut`.

    `of` names the columns of `cut` with the model and version that the code runs for: of lookups and entries it speaks
    of that model, of loads only where it names it. Tracebacks, and what matches `quiet`, say nothing.
    """
    message = pl.col("message")
    silent = message.str.contains(_TRACEBACK) | (message.str.contains(quiet) if quiet else pl.lit(False))
    spoken = cut.filter(telling(message).fill_null(False) & ~silent)
    named = spoken.rename({of[0]: "_of", of[1]: "_at"}) if of else spoken
    found = read(named.with_columns(about=pl.lit(None, pl.String)))
    return _of_its_model(found) if of else found


def _of_its_model(found: pl.DataFrame) -> pl.DataFrame:
    message = pl.col("message")
    given = {name: pl.col(name) if name in found.columns else pl.lit(None, pl.String) for name in ("model", "version")}
    asked = [pl.col(name).is_not_null() for name in ("outcome", "hit", "miss") if name in found.columns]
    of_cache = pl.any_horizontal(message.str.contains(_OF_CACHE).fill_null(False), *asked)
    model = pl.coalesce(given["model"], pl.when(of_cache).then(pl.col("_of")))
    mine = pl.coalesce(model, prose.model(message)) == pl.col("_of")
    version = pl.coalesce(given["version"], pl.when(mine).then(pl.col("_at")))
    return found.with_columns(model=model, version=version).drop("_of", "_at")


def _of_pairs(cut: pl.DataFrame) -> pl.DataFrame:
    """Read messages with pairs; where these tell the outcome of a lookup, only the words before them are looked at."""
    named = pairs.canonical(pairs.read(cut["message"], _WANTED))
    given: dict[str, str] = {name: f"given_{name}" for name in ("time", "message") if name in named.columns}
    frame = cut.hstack(named.rename(given).get_columns())
    answered = [pl.col(name).is_not_null() for name in ("outcome", "hit", "miss") if name in frame.columns]
    plain = frame.select(pl.any_horizontal(pl.lit(False), *answered)).to_series()
    before = pl.col("message").str.extract(_BEFORE)
    without = pl.col("message").str.replace_all(_PAIR, "").str.strip_chars(" ,;:-")
    read = [
        frame.filter(plain).with_columns(_said=_few(before, frame.columns)),
        _with_words(frame.filter(~plain).with_columns(_said=without)),
    ]
    return _with_times(_with_paths(pl.concat(read, how="diagonal")), given)


def _with_paths(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the path in a message, where it names a model: of a request only where the line tells what came of it.

    That somebody asked for a model to be loaded or dropped is no load.
    """
    path = pl.col("message").str.extract(_PATH)
    answered = [pl.col(name).is_not_null() for name in ("outcome", "hit", "miss") if name in frame.columns]
    told = pl.any_horizontal(pl.lit(False), *answered) | ~pl.col("message").str.contains(_REQUEST)
    named = pl.when(told & urls.model(path).is_not_null()).then(path)
    known = [pl.col("url")] if "url" in frame.columns else []
    return frame.with_columns(url=pl.coalesce(*known, named))


def _of_words(cut: pl.DataFrame) -> pl.DataFrame:
    return _with_times(_with_paths(_with_words(cut.with_columns(_said=pl.col("message")))), {})


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
