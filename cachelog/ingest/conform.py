"""What dialects found in a line becomes rows of EVENT: the vocabulary of caches and rollouts.

Applications name things freely ("cache_lookup" with result=hit, "Cache miss for ...", event=model_loaded). Words are
read once per distinct text, not once per line. What says nothing about caches, versions or restarts gives no event.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract import prose, tallies, urls
from cachelog.contract.dialect import PARSED
from cachelog.contract.event import CACHES, COUNTED, EVENT, LABEL, OPS, OUTCOMES, TS
from cachelog.contract.events import ROWS, TOLD, is_bulk
from cachelog.contract.jsonlines import double
from cachelog.contract.proxylines import PERHAPS_HIT, PERHAPS_MISS
from cachelog.ingest import keys
from cachelog.ingest.clock import Zone, instants
from cachelog.ingest.said import WORDS, Said

#: Lookups of an application that names no model are kept under this name.
UNNAMED = "(unnamed)"

#: Words of caches in lower case; what they mean is in their manuals: nginx $upstream_cache_status, Squid LogTags and
#: wiki SquidFaq/SquidLogs, Traffic Server admin-guide/logging/cache-results, CloudFront x-edge-result-type, Cloudflare
#: cache responses, Fastly fastly_info.state, ProxySG s-action, Azure Front Door cacheStatus, RFC 9211 (Cache-Status).
_HIT = (
    "hit", "memory_hit", "tcp_hit", "tcp_mem_hit", "tcp_disk_hit", "tcp_ims_hit", "tcp_inm_hit", "tcp_negative_hit",
    "tcp_offline_hit", "tcp_rescan_hit", "tcp_cf_hit", "tcp_remote_hit", "remote_hit", "partial_hit", "originshieldhit",
    # asked the origin, which said that the copy is still good
    "refreshhit", "revalidated", "tcp_refresh_unmodified", "tcp_cf_refresh_unmodified", "tcp_refresh_hit",
)  # fmt: skip
#: The copy was too old and the origin sent another.
_EXPIRED = ("expired", "tcp_refresh_modified", "tcp_cf_refresh_modified", "tcp_refresh_miss", "tcp_expired_miss")
_MISS = (
    "miss", "missed", "tcp_miss", "tcp_partial_miss", "tcp_cf_miss", "tcp_ims_miss", "tcp_swapfail_miss",
    "tcp_swapfail", "hitmiss", "not_found_in_cache",
)  # fmt: skip
#: Served although too old: the origin did not answer, or is being asked meanwhile.
_STALE = (
    "stale", "updating", "hit-stale", "stale_hit", "tcp_stale_hit", "tcp_async_hit", "tcp_refresh_fail_old",
    "tcp_refresh_fail_hit", "tcp_ref_fail_hit",
)  # fmt: skip
_BYPASS = ("bypass", "bypassed", "uncacheable", "no-cache")
_EDGE_BYPASS = (
    "pass", "hitpass", "pipe", "dynamic", "none", "ignored", "private_nostore", "cache_noconfig", "config_nocache",
    "tcp_tunnel", "tcp_nc_miss", "tcp_client_refresh_miss", "tcp_client_refresh",
)  # fmt: skip
_EDGE_ERROR = (
    "error", "limitexceeded", "capacityexceeded", "tcp_refresh_fail_err", "tcp_refresh_fail", "err_connect_fail",
    "err_dns_fail", "err_read_timeout", "err_read_error", "err_client_abort", "err_client_read_error",
    "err_unknown",
)  # fmt: skip
OUTCOME_WORDS: dict[str, str] = (
    dict.fromkeys(_HIT, "hit")
    | dict.fromkeys((*_MISS, *_EXPIRED), "miss")
    | dict.fromkeys(_STALE, "stale")
    | dict.fromkeys(_BYPASS, "bypass")
)
EDGE_WORDS = (
    OUTCOME_WORDS
    | dict.fromkeys(_EDGE_BYPASS, "bypass")
    | dict.fromkeys(_EDGE_ERROR, "error")
    | {PERHAPS_HIT: "hit", PERHAPS_MISS: "miss"}
)
#: Why a cache forwarded a request (RFC 9211, fwd=): the same in the words above.
_FORWARDED = {
    "miss": "miss", "uri-miss": "miss", "vary-miss": "miss", "partial": "miss", "stale": "expired",
    "bypass": "bypass", "method": "bypass", "request": "bypass",
}  # fmt: skip
_FLAGS = {"true": "hit", "1": "hit", "yes": "hit", "false": "miss", "0": "miss", "no": "miss"}


@dataclass(frozen=True)
class Phrase:
    """Texts that match `yes` and not `unless` mean `op`; `outcome` is set for lookups."""

    op: str
    yes: str
    unless: str | None = None
    outcome: str | None = None


_FAILED = r"fail(?:ed|ure|s|ing)?|error(?:ed)?|unable|could ?n.t|cannot|can.t|abort(?:ed)?"
_DONE = r"complete[d]?|success\w*|succeeded|finished|done|ok"
#: Figures about a cache are no lookups.
_RATES = r"\b(?:hit|miss)(?:s|es)? ?(?:rate|ratio|count|percent\w*|total|stat\w*)\b|\b(?:hits|misses) ?[=:]"
#: Caches of downloads are no caches of answers.
_FILES = rf"{_RATES}|\b(?:dir|directory|folder|path|files?|weights|checkpoints?|tokenizers?|datasets?|download\w*)\b"
#: The first phrase that fits wins. Texts are lower case, with _ - . / turned to blanks.
PHRASES = (
    Phrase("lookup", r"\bcache (?:lookup )?hit\b|\bhit (?:in|from) (?:\w+ )?cache\b|^(?:lookup )?hit$", _RATES, "hit"),
    Phrase(
        "lookup",
        r"\bcache (?:lookup )?miss(?:ed)?\b|\bmiss(?:ed)? (?:in|on) (?:\w+ )?cache\b|^(?:lookup )?miss$",
        _RATES,
        "miss",
    ),
    # Spring's cache abstraction and hand-written caches: "Cache entry for key 'a' found in cache 'models'"
    Phrase("lookup", r"\b(?:no cache entry for|not (?:found |present )?in (?:the )?(?:\w+ )?cache)\b", _FILES, "miss"),
    Phrase(
        "lookup",
        r"\bfound in (?:the )?(?:\w+ )?cache\b|\b(?:serv|answer|return)(?:ed|ing) from (?:the )?(?:\w+ )?cache\b",
        rf"{_FILES}|\bno\b",
        "hit",
    ),
    Phrase("lookup", r"\bcache (?:lookup )?stale\b|\bserv(?:ed|ing) stale\b", None, "stale"),
    Phrase("lookup", r"\bcache (?:lookup )?bypass(?:ed)?\b", None, "bypass"),
    Phrase("lookup", r"\bcache (?:lookup )?error\b|\bcache lookup failed\b", None, "error"),
    Phrase("rollout", r"\broll(?:ed|ing)? ?back\b|\breverted?\b", r"transaction"),
    Phrase(
        "rollout",
        r"\broll(?:ed|ing)? ?out\b|\bdeploy(?:ed|ing|ment)?\b|\bpromot(?:e|ed|ion|ing)\b|\bregistry\b|"
        r"\b(?:default|current|active|target) version\b|\bversion (?:changed?|switch(?:ed)?|update[d]?)\b",
        rf"\b(?:{_FAILED})\b(?: to)? (?:re)?load\b",
    ),
    Phrase(
        "load_fail",
        rf"\b(?:{_FAILED})\b.{{0,40}}\b(?:re)?load(?:ing)?\b|\b(?:re)?load(?:ing)?\b.{{0,40}}\b(?:{_FAILED})\b",
    ),
    Phrase("unload", r"\bunload(?:ed|ing)?\b|\bmodel (?:removed|dropped|unregistered|deregistered)\b"),
    Phrase(
        "load",
        rf"\b(?:re)?loaded\b|\b(?:re)?load(?:ing)? (?:\w+ )?(?:{_DONE})\b|^(?:model )?(?:re)?load(?: model)?$|"
        r"\bmodel (?:\S+ )?(?:is )?ready\b",
        r"\bnot ready\b",
    ),
    Phrase(
        "load_start",
        r"\b(?:re)?loading\b|\bload (?:start(?:ed|ing)?|begin|began|requested)\b|\bstart(?:ing|ed)? (?:to )?load\b",
    ),
    Phrase("evict", r"\bevict(?:ed|ing|ion)?\b"),
    Phrase("expire", r"\b(?:cache|entry|key|item)\b.*\bexpire[ds]?\b|\bexpired? (?:cache|entry|key|item)\b"),
    Phrase(
        "flush",
        r"\b(?:flush(?:ed)?|purged?|invalidated?|invalidation|cleared?)\b.*\bcache\b|\bcache\b.*\b(?:flush(?:ed)?|purged?|invalidated?|cleared?)\b",
    ),
    Phrase(
        "restart",
        r"^(?:re)?start(?:ing|ed|up)?$|^boot(?:ing|ed)?\b|^(?:\w+ ){0,2}(?:re)?start(?:ing|ed|up)\b|"
        r"\bstarted server process\b|"
        r"\b(?:server|service|process|replica|pod|app|application) (?:re)?start(?:ing|ed|up|s)?\b",
        rf"\b(?:{_DONE}|waiting|ready|after|request|job|task|thread|worker|session|span|timer|probe|upload|download|"
        r"batch|loop|pool|monitor\w*|initiali[sz]\w*)\b",
    ),
)

_MANY = 5_000  # different things said in a unit: a log of other words every time is read without memory
_MOST = 50_000  # things remembered, then all are forgotten: some hundred bytes each

_ROW_WORDS: pl.Schema = pl.Schema({name: PARSED[name] for name in WORDS})
_OF_LINES: pl.Schema = pl.Schema(
    {"row": pl.UInt32(), "said": pl.UInt32(), "ts": TS, "naive": pl.Boolean(), "yearless": pl.Boolean()}
    | {name: dtype for name, dtype in PARSED.items() if name not in WORDS and name != "row"}
)

#: What differs from event to event, and `said`, the row of a vocabulary's table; source and line the claim stage knows.
CONFORMED: pl.Schema = pl.Schema(
    {"row": pl.UInt32(), "ts": TS, "naive": pl.Boolean(), "yearless": pl.Boolean(), "op": EVENT["op"]}
    | {name: dtype for name, dtype in ROWS.items() if name not in ("ts", "source", "line")}
)


#: What a text tells of many lookups: the figures, of which cache, and since when they count.
_FIGURES: pl.Schema = pl.Schema(
    {"_about": LABEL, "_span": pl.String()} | {f"{what}_said": pl.Float64() for what in COUNTED}
)


class Vocabulary:
    """The different things that lines said: `table` (TOLD) only grows, and what they mean for a row is beside it.

    `keep`: it is an event; `bulk`: of the kind that comes by the million; `bare`: the row for an event without a key;
    `figures` (_FIGURES): what it tells of many lookups.
    """

    def __init__(self) -> None:
        self.table = pl.DataFrame(schema=TOLD)
        self.figures = pl.DataFrame(schema=_FIGURES)
        self.keep = np.zeros(0, np.bool_)
        self.bulk = np.zeros(0, np.bool_)
        self.bare = np.zeros(0, np.uint32)

    def learn(self, meant: pl.DataFrame) -> npt.NDArray[np.uint32]:
        """Add rows of _meaning; return where each stands. What an event without a key means may be a row of its own."""
        keyed = meant.select(TOLD.names())
        other = (meant["_bare"] != meant["cache"]).fill_null(False).to_numpy()
        bare = meant.filter(pl.Series(other)).with_columns(cache="_bare").select(TOLD.names())
        first, many = self.table.height, meant.height
        place = np.arange(first, first + many, dtype=np.uint32)
        instead = place.copy()
        instead[other] = np.arange(first + many, first + many + bare.height, dtype=np.uint32)
        added = pl.concat([keyed, bare])
        keep = meant["_keep"].to_numpy()
        self.keep = np.concatenate([self.keep, keep, keep[other]])
        self.bulk = np.concatenate([self.bulk, added.select(is_bulk()).to_series().to_numpy()])
        self.bare = np.concatenate([self.bare, instead, instead[other]])
        self.table = pl.concat([self.table, added])
        told = meant.select(list(_FIGURES))
        self.figures = pl.concat([self.figures, told, told.filter(pl.Series(other))])
        return place


class Meanings:
    """What words mean, kept from unit to unit: a log says the same few things all day."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], int] = {}
        self._vocabulary = Vocabulary()
        self._lock = threading.Lock()

    def of(self, words: pl.DataFrame) -> tuple[Vocabulary, npt.NDArray[np.uint32]]:
        """Return a vocabulary that holds these WORDS of said.py, and where in it each stands."""
        complete = _complete(words, _ROW_WORDS).select(list(_ROW_WORDS))
        if complete.height > _MANY:
            alone = Vocabulary()
            return alone, alone.learn(_meaning(_with_prose(_with_words(complete))))
        said = complete.rows()
        with self._lock:
            if len(self._known) > _MOST:
                self._known, self._vocabulary = {}, Vocabulary()
            new = pl.Series([key not in self._known for key in said], dtype=pl.Boolean)
            if new.any():
                self._learn(complete.filter(new).unique(maintain_order=True))
            return self._vocabulary, np.array([self._known[key] for key in said], np.uint32)

    def _learn(self, words: pl.DataFrame) -> None:
        place = self._vocabulary.learn(_meaning(_with_prose(_with_words(words))))
        self._known.update(zip(words.rows(), place.tolist(), strict=True))


Conformed = tuple[pl.DataFrame, Vocabulary]


def conform(said: Said, newest: pl.Series, zone: Zone, meanings: Meanings) -> tuple[Conformed, ...]:
    """Turn what lines say (`ts`, `naive` where the scanner read the time) into CONFORMED rows, events only.

    `newest` (Datetime us) is, per row, when its file was last written. Each vocabulary is that of the column `said`.
    """
    vocabulary, place = meanings.of(said.words)
    keep = vocabulary.keep[place]
    counting = _counting(said, vocabulary, place)
    if counting is None:
        mask = None if keep.all() else said.of(pl.Series(keep))
        return ((_kept(said, mask, newest, zone, vocabulary, place).select(list(CONFORMED)), vocabulary),)
    asked = (vocabulary.table["op"].gather(place) == "lookup").fill_null(False).to_numpy() & keep
    counting &= said.of(pl.Series(~asked))
    # a line of figures is nothing else: "loadSuccessCount=3" is no load
    mask = said.of(pl.Series(keep)) & ~counting
    events = _kept(said, mask, newest, zone, vocabulary, place).select(list(CONFORMED))
    return (events, vocabulary), _opened(_kept(said, counting, newest, zone, vocabulary, place), vocabulary)


def _counting(said: Said, vocabulary: Vocabulary, place: npt.NDArray[np.uint32]) -> pl.Series | None:
    """Return which rows tell figures about many lookups: hits, and misses or lookups; None for none."""
    given = [name for name in COUNTED if name in said.rows.columns]
    if "hits" not in given and not vocabulary.figures["hits_said"].count():
        return None
    spoken = {name: vocabulary.figures[f"{name}_said"].gather(place).is_not_null() for name in COUNTED}
    if "hits" not in given and not spoken["hits"].any():
        return None
    has = {n: said.of(spoken[n]) | (said.rows[n].is_not_null() if n in given else False) for n in COUNTED}
    counting = has["hits"] & (has["misses"] | has["lookups"])
    return counting if counting.any() else None


def _opened(counting: pl.DataFrame, vocabulary: Vocabulary) -> Conformed:
    """Return a sample for each figure of rows that tell several, with a vocabulary of its own."""
    names = ["model", "version"]
    told = vocabulary.table.select(names).hstack(vocabulary.figures)[counting["said"]]
    rows = counting.drop([*_FIGURES, *names], strict=False).hstack(told)
    figures = [
        rows.with_columns(seconds=pl.coalesce(what, f"{what}_said"), reason=pl.lit(what) + pl.col("_span"))
        for what in COUNTED
    ]
    kind = pl.lit("sample", EVENT["op"])
    samples = pl.concat(figures).filter(pl.col("seconds") >= 0).with_columns(op=kind, cache="_about")
    distinct = samples.select("op", "cache", "reason", *names).unique(maintain_order=True)
    blank = {name: pl.lit(None, TOLD[name]) for name in ("outcome", "digest")}
    words = distinct.with_columns(**blank, n=pl.lit(1, pl.UInt32), _keep=True, _bare="cache")
    alone = Vocabulary()
    place = pl.Series("said", alone.learn(words.with_columns(pl.lit(None, t).alias(n) for n, t in _FIGURES.items())))
    keyed = distinct.with_columns(said=place)
    found = samples.drop("said").join(keyed, on=distinct.columns, nulls_equal=True, maintain_order="left")
    return found.select(list(CONFORMED)), alone


def _kept(
    said: Said,
    mask: pl.Series | None,
    newest: pl.Series,
    zone: Zone,
    vocabulary: Vocabulary,
    place: npt.NDArray[np.uint32],
) -> pl.DataFrame:
    """Return the marked rows (all for None) with the columns of CONFORMED, and those of figures."""
    if mask is not None:
        said, newest = said.where(mask), newest.filter(mask)
    rows = _times(_complete(said.rows, _OF_LINES), newest, zone)
    meant = place[rows["said"].to_numpy()]
    key = keys.hashed(rows["key"])
    if (vocabulary.bare[place] != place).any():
        meant = np.where(key.is_null().to_numpy(), vocabulary.bare[meant], meant)
    events = rows.with_columns(key, said=pl.Series(meant), op=vocabulary.table["op"].gather(meant))
    named = (pl.col("op") != "rollout").fill_null(True) & (pl.col("replica").cast(LABEL) != "")
    return events.with_columns(replica=pl.when(named).then(pl.col("replica").cast(LABEL)), seconds=_seconds(events))


def _complete(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    missing = {name: dtype for name, dtype in schema.items() if name not in frame.columns}
    return frame.with_columns([pl.lit(None, dtype).alias(name) for name, dtype in missing.items()])


def _with_words(raw: pl.DataFrame) -> pl.DataFrame:
    """Add what the words of event, message, outcome and flag say; an explicit op stands."""
    named = pl.coalesce(pl.col("event"), pl.col("message")).cast(pl.String)
    frame = raw.with_columns(
        _event_text=pl.col("event").cast(pl.String), _message_text=pl.col("message").cast(pl.String)
    )
    for column in ("event", "message"):
        frame = _read_words(frame, f"_{column}_text", column)
    written = pl.col("outcome").cast(pl.String)
    edge = pl.col("cache") == "edge"
    tag = edge | written.str.contains(r"^\S+$|;\s*(?:hit\b|fwd=)")  # of an application a sentence is no tag
    asked = pl.when(tag).then(_word(written)).otherwise(written.str.to_lowercase())
    word = pl.when(edge).then(_mapped(asked, EDGE_WORDS)).otherwise(_mapped(asked, OUTCOME_WORDS))
    flag = _mapped(pl.col("hit").cast(pl.String).str.to_lowercase(), _FLAGS)
    frame = frame.with_columns(
        _outcome=pl.coalesce(word, flag, pl.col("event_outcome"), pl.col("message_outcome")),
        _expired=asked.is_in(list(_EXPIRED)),
        _perhaps=pl.when(edge & asked.is_in([PERHAPS_HIT, PERHAPS_MISS])).then(asked),
        _named=named.str.to_lowercase().str.contains(r"model[ _-]?cache"),
    )
    plain = pl.coalesce(word, flag).is_not_null()
    other = pl.coalesce(pl.col("event_op"), pl.col("message_op"))
    op = (
        pl.when(pl.col("op").is_not_null())
        .then(pl.col("op").cast(pl.String))
        .when(pl.col("event_op").is_not_null())
        .then(pl.col("event_op"))
        .when(plain)
        .then(pl.lit("lookup"))
        .otherwise(other)
    )
    return frame.with_columns(_op=op)


def _word(text: pl.Expr) -> pl.Expr:
    """Return the word of an outcome in lower case, out of what headers and tags put around it.

    Of a list the last member counts, the cache nearest to the client (RFC 9211; X-Cache of CDNs with shields). Read
    are Cache-Status ("Souin; hit; ttl=-3": too old), "Hit from cloudfront", TCP_MISS/200, TCP_HIT:HIER_NONE, tags with
    the end of the transfer (TCP_MISS_ABORTED), and the parts of fastly_info.state (HIT-CLUSTER, MISS-WAIT, HIT-STALE).
    """
    last = text.str.to_lowercase().str.extract(r"([^,]+)$").str.strip_chars(' "')
    forwarded = last.str.extract(r";\s*fwd=([a-z-]+)").replace_strict(_FORWARDED, default=None, return_dtype=pl.String)
    found = last.str.contains(r";\s*hit\b")
    word = last.str.extract(r"^([^\s;:/]+)").str.replace(r"_(?:aborted|timedout|timeout|ignored)$", "")
    state = word.str.extract(r"^(hit|miss|pass|hitpass|error)(?:-[a-z]+)+$")
    return (
        pl.when(found)
        .then(pl.when(last.str.contains(r"ttl=-")).then(pl.lit("stale")).otherwise(pl.lit("hit")))
        .when(forwarded.is_not_null())
        .then(forwarded)
        .when(state.is_not_null())
        .then(pl.when(word.str.contains("stale", literal=True)).then(pl.lit("stale")).otherwise(state))
        .otherwise(word)
    )


def _mapped(text: pl.Expr, words: dict[str, str]) -> pl.Expr:
    return text.replace_strict(words, default=None, return_dtype=pl.String)


def _read_words(frame: pl.DataFrame, text: str, name: str) -> pl.DataFrame:
    """Add NAME_op and NAME_outcome by classifying each distinct text once."""
    distinct = frame.select(pl.col(text).drop_nulls().unique())
    if distinct.is_empty():
        return frame.with_columns(
            pl.lit(None, pl.String).alias(f"{name}_op"), pl.lit(None, pl.String).alias(f"{name}_outcome")
        )
    read = distinct.with_columns(classify(pl.col(text))).rename({"op": f"{name}_op", "outcome": f"{name}_outcome"})
    return frame.join(read, on=text, how="left", maintain_order="left")


def classify(text: pl.Expr) -> list[pl.Expr]:
    """Return the expressions `op` and `outcome` for free texts; both null where no phrase fits."""
    words = text.str.slice(0, 300).str.replace_all(r"([a-z])([A-Z])", "$1 $2")  # ModelLoaded, cacheMiss
    plain = words.str.to_lowercase().str.replace_all(r"[_\-./]+", " ")
    op: pl.Expr = pl.lit(None, pl.String)
    outcome: pl.Expr = pl.lit(None, pl.String)
    for phrase in reversed(PHRASES):
        fits = plain.str.contains(phrase.yes)
        if phrase.unless:
            fits &= ~plain.str.contains(phrase.unless)
        op = pl.when(fits).then(pl.lit(phrase.op)).otherwise(op)
        outcome = pl.when(fits).then(pl.lit(phrase.outcome, pl.String)).otherwise(outcome)
    return [op.alias("op"), outcome.alias("outcome")]


def _with_prose(words: pl.DataFrame) -> pl.DataFrame:
    """Take model and version out of the message where no field names them."""
    message, nameless = pl.col("_message_text"), pl.col("model").is_null()
    unversioned = pl.col("version").is_null() & (pl.col("_op") != "lookup")
    silent = pl.col("_op").is_not_null() & pl.col("url").is_null() & message.is_not_null() & (nameless | unversioned)
    numbered = words.with_row_index("_at")
    asked = numbered.filter(silent)
    if asked.is_empty():
        return words
    named = {"model": prose.model(message), "version": prose.version(message), "to_version": prose.to_version(message)}
    read = asked.select("_at", *(pl.coalesce(pl.col(n).cast(pl.String), said).alias(n) for n, said in named.items()))
    strings = numbered.with_columns(pl.col(name).cast(pl.String) for name in named)
    return strings.update(read, on="_at", how="left").drop("_at")


def _is_event() -> pl.Expr:
    op, model = pl.col("_op"), _label("model")
    lookup = (
        (op == "lookup")
        & pl.col("_outcome").is_not_null()
        & (model.is_not_null() | pl.col("url").is_null() & (pl.col("cache").fill_null("") != "edge"))
    )
    target = pl.coalesce(_label("to_version"), _label("version")).is_not_null()
    declared = pl.col("op").is_not_null()  # by a dialect; carry.py finds its version or drops it
    rollout = (op == "rollout") & model.is_not_null() & (target | declared)
    fleet = op.is_in(["restart", "flush", "sample"])
    about_model = op.is_in(["load_start", "load", "load_fail", "unload", "evict", "expire"]) & model.is_not_null()
    return (lookup | rollout | fleet | about_model).fill_null(False)


def _label(name: str) -> pl.Expr:
    """A model or version as written; blank and "-" mean none. Where it is missing a URL may name it."""
    text = pl.col(name).cast(pl.String).str.strip_chars()
    clean = pl.when(text.is_in(["", "-", "null", "None"])).then(None).otherwise(text)
    if name == "model":
        return pl.coalesce(clean, urls.model(pl.col("url")))
    if name == "version":
        return pl.coalesce(clean, urls.version(pl.col("url")))
    return clean


def _meaning(said: pl.DataFrame) -> pl.DataFrame:
    """Return, per thing said, if it is an event (_keep) and its columns of EVENT; _bare is the cache without a key."""
    op = pl.col("_op")
    to_version = pl.coalesce(_label("to_version"), _label("version"))
    expired = pl.when(pl.col("_expired") & (op == "lookup")).then(pl.lit("expired"))
    model = _label("model")
    return said.select(
        _keep=_is_event(),
        op=op.cast(pl.Enum(OPS), strict=False),
        cache=_cache(op, keyed=True).cast(LABEL),
        _bare=_cache(op, keyed=False).cast(LABEL),
        outcome=pl.when(op == "lookup").then(pl.col("_outcome")).cast(pl.Enum(OUTCOMES), strict=False),
        model=pl.when((op == "lookup") & model.is_null()).then(pl.lit(UNNAMED)).otherwise(model).cast(LABEL),
        version=pl.when(op == "rollout").then(to_version).otherwise(_label("version")).cast(LABEL),
        digest=pl.col("digest").cast(pl.String),
        reason=pl.coalesce(expired, pl.when(op == "lookup").then(pl.col("_perhaps")), _reason(op)),
        n=pl.col("n").fill_null(1).cast(pl.UInt32),
        _about=_cache(pl.lit(None, pl.String), keyed=False).cast(LABEL),
        _span=tallies.span(pl.concat_str("_event_text", "_message_text", separator=" ", ignore_nulls=True)),
        **_figures(said),
    )


def _figures(said: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return the figures that messages tell."""
    message = pl.col("_message_text")
    if not said.select(tallies.told(message).any()).item():
        return {f"{what}_said": pl.lit(None, pl.Float64) for what in COUNTED}
    counts = tallies.counts(pl.when(tallies.told(message)).then(message))
    return {f"{what}_said": figure for what, figure in counts.items()}


def _reason(op: pl.Expr) -> pl.Expr:
    """A roll-back said only in words ("rolled back to v41") is kept as the reason of the rollout."""
    words = pl.coalesce(pl.col("_event_text"), pl.col("_message_text")).str.to_lowercase()
    back = words.str.contains(r"roll(?:ed|ing)?[ _-]?back|revert")
    said = pl.col("reason").cast(pl.String)
    return pl.when((op == "rollout") & back).then(pl.lit("rollback")).when(op == "lookup").then(None).otherwise(said)


def _cache(op: pl.Expr, *, keyed: bool) -> pl.Expr:
    """Loaded models and results are two caches of one model; a log that does not say which gives `default`."""
    given = pl.col("cache").cast(pl.String).str.to_lowercase()
    of_model = op.is_in(["load_start", "load", "load_fail", "unload", "rollout"]) | pl.col("_named")
    if not keyed:
        of_model |= op == "evict"
    return (
        pl.when(given.is_in(list(CACHES)))
        .then(given)
        .when(of_model.fill_null(False))
        .then(pl.lit("model"))
        .when(given.is_not_null() & (given != ""))
        .then(given)
        .otherwise(pl.lit("default"))
    )


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def _seconds(events: pl.DataFrame) -> pl.Expr:
    text = pl.col("duration").cast(pl.String)
    number = text.str.extract(r"^\s*(\d+(?:\.\d+)?)\s*[a-zµμ]+\s*$").cast(pl.Float64, strict=False)
    unit = text.str.extract(r"^\s*\d+(?:\.\d+)?\s*([a-zµμ]+)\s*$").replace_strict(
        _UNITS, default=None, return_dtype=pl.Float64
    )
    ms = pl.col("ms") if events.schema["ms"] == pl.Float64 else double(pl.col("ms"))
    # Polars divides a column by a number through its reciprocal, but one row exactly: only products are the same
    known = [pl.col("seconds").cast(pl.Float64, strict=False), ms * 0.001]
    return pl.coalesce(*known, number * unit) if events["duration"].count() else pl.coalesce(*known)


def _times(events: pl.DataFrame, newest: pl.Series, zone: Zone) -> pl.DataFrame:
    """Fill ts from the text of the time where the scanner did not read it, and shift what it read as naive."""
    frame = events.with_columns(newest.alias("_newest"))
    if frame["naive"].any() and zone.name != "UTC":
        local = zone.to_utc(pl.col("ts").dt.replace_time_zone(None))
        frame = frame.with_columns(ts=pl.when(pl.col("naive")).then(local).otherwise(pl.col("ts")))
    open_ = pl.col("ts").is_null() & pl.col("time").is_not_null()
    if not frame.select(open_.any()).item():
        return frame.with_columns(pl.col("naive", "yearless").fill_null(False))
    clock = instants(frame["time"].cast(pl.String), frame["_newest"], zone)
    return frame.with_columns(
        ts=pl.coalesce(pl.col("ts"), clock["ts"]),
        naive=pl.coalesce(pl.col("naive"), clock["naive"]),
        yearless=pl.coalesce(pl.col("yearless"), clock["yearless"]),
    )
