"""What words mean: each different thing that lines say becomes, once, a row of a vocabulary.

Applications name things freely ("cache_lookup" with result=hit, "Cache miss for ...", event=model_loaded). What says
nothing about caches, versions or restarts is no event.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract import model_ids, platform, prose, tallies, urls
from cachelog.contract.dialect import PARSED
from cachelog.contract.event import CACHES, COUNTED, LABEL, OPS, OUTCOMES
from cachelog.contract.events import TOLD, is_bulk
from cachelog.contract.proxylines import PERHAPS_HIT, PERHAPS_MISS
from cachelog.ingest.said import WORDS
from cachelog.ingest.words import (
    EDGE_WORDS,
    EXPIRED,
    FLAGS,
    FORWARDED,
    MISS_FLAGS,
    OUTCOME_WORDS,
    PHRASES,
    UNNAMED,
)

_MANY = 5_000  # different things said in a unit: a log of other words every time is read without memory
_MOST = 50_000  # things remembered, then all are forgotten: some hundred bytes each

_ROW_WORDS: pl.Schema = pl.Schema({name: PARSED[name] for name in WORDS})


#: What a text tells of many lookups: the figures, of which cache, and since when they count.
FIGURES: pl.Schema = pl.Schema(
    {"_about": LABEL, "_span": pl.String()} | {f"{what}_said": pl.Float64() for what in COUNTED}
)


class Vocabulary:
    """The different things that lines said: `table` (TOLD) only grows, and what they mean for a row is beside it.

    `keep`: it is an event; `bulk`: of the kind that comes by the million; `bare`: the row for an event without a key;
    `of_one`: it is of the replica that its line names; `figures` (FIGURES): what it tells of many lookups.
    """

    def __init__(self) -> None:
        self.table = pl.DataFrame(schema=TOLD)
        self.figures = pl.DataFrame(schema=FIGURES)
        self.keep = np.zeros(0, np.bool_)
        self.bulk = np.zeros(0, np.bool_)
        self.bare = np.zeros(0, np.uint32)
        self.of_one = np.zeros(0, np.bool_)

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
        of_one = added.select((pl.col("op") != "rollout").fill_null(True) | platform.told()).to_series().to_numpy()
        self.of_one = np.concatenate([self.of_one, of_one])
        self.bare = np.concatenate([self.bare, instead, instead[other]])
        self.table = pl.concat([self.table, added])
        told = meant.select(list(FIGURES))
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
        given = complete(words, _ROW_WORDS).select(list(_ROW_WORDS))
        if given.height > _MANY:
            alone = Vocabulary()
            return alone, alone.learn(_meaning(_with_prose(_with_words(given))))
        said = given.rows()
        with self._lock:
            if len(self._known) > _MOST:
                self._known, self._vocabulary = {}, Vocabulary()
            new = pl.Series([key not in self._known for key in said], dtype=pl.Boolean)
            if new.any():
                self._learn(given.filter(new).unique(maintain_order=True))
            return self._vocabulary, np.array([self._known[key] for key in said], np.uint32)

    def _learn(self, words: pl.DataFrame) -> None:
        place = self._vocabulary.learn(_meaning(_with_prose(_with_words(words))))
        self._known.update(zip(words.rows(), place.tolist(), strict=True))


def complete(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return a frame with the columns of a schema that it lacks, as nulls."""
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
    flag = _flag()
    frame = frame.with_columns(
        _outcome=pl.coalesce(word, flag, pl.col("event_outcome"), pl.col("message_outcome")),
        _expired=asked.is_in(list(EXPIRED)),
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


def _flag() -> pl.Expr:
    """Return what flags say: that it was a hit, or a miss, or the outcome itself; nothing where they contradict."""
    hit, miss = (pl.col(name).cast(pl.String).str.to_lowercase() for name in ("hit", "miss"))
    said = pl.coalesce(_mapped(hit, FLAGS), _mapped(hit, OUTCOME_WORDS))
    missed = _mapped(miss, MISS_FLAGS)
    return pl.when((said != missed).fill_null(False)).then(None).otherwise(pl.coalesce(said, missed))


def _word(text: pl.Expr) -> pl.Expr:
    """Return the word of an outcome in lower case, out of what headers and tags put around it.

    Of a list the last member counts, the cache nearest to the client (RFC 9211; X-Cache of CDNs with shields). Read
    are Cache-Status ("Souin; hit; ttl=-3": too old), "Hit from cloudfront", TCP_MISS/200, TCP_HIT:HIER_NONE, tags with
    the end of the transfer (TCP_MISS_ABORTED), and the parts of fastly_info.state (HIT-CLUSTER, MISS-WAIT, HIT-STALE).
    """
    last = text.str.to_lowercase().str.extract(r"([^,]+)$").str.strip_chars(' "')
    forwarded = last.str.extract(r";\s*fwd=([a-z-]+)").replace_strict(FORWARDED, default=None, return_dtype=pl.String)
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


def is_outcome(words: pl.Series) -> pl.Series:
    """Return which texts are outcomes of a lookup in the words of some cache; null is none."""
    text = pl.lit(words)
    known = pl.coalesce(_mapped(_word(text), EDGE_WORDS), _mapped(text.str.to_lowercase(), EDGE_WORDS))
    return pl.select(known.is_not_null()).to_series()


def _mapped(text: pl.Expr, words: dict[str, str]) -> pl.Expr:
    return text.replace_strict(words, default=None, return_dtype=pl.String)


def _read_words(frame: pl.DataFrame, text: str, name: str) -> pl.DataFrame:
    """Add NAME_op and NAME_outcome by classifying each distinct text once."""
    told = _classified(frame[text].drop_nulls().unique().to_list())
    read = pl.DataFrame(
        told, {text: pl.String(), f"{name}_op": pl.String(), f"{name}_outcome": pl.String()}, orient="row"
    )
    return frame.join(read, on=text, how="left", maintain_order="left")


#: What short texts were found to say: the new words of a log often stand beside texts that are known.
_CLASSIFIED: dict[str, tuple[str | None, str | None]] = {}
_SHORT = 300  # characters


def _classified(texts: list[str]) -> list[tuple[str, str | None, str | None]]:
    """Return texts with op and outcome."""
    found = {text: said for text in texts if (said := _CLASSIFIED.get(text))}
    new = [text for text in texts if text not in found]
    if new:
        told = pl.DataFrame({"text": new}, {"text": pl.String()}).select(classify(pl.col("text"))).rows()
        found |= zip(new, told, strict=True)
        if len(_CLASSIFIED) + len(new) <= _MOST:
            _CLASSIFIED.update({text: found[text] for text in new if len(text) <= _SHORT})
    return [(text, *found[text]) for text in texts]


def classify(text: pl.Expr) -> list[pl.Expr]:
    """Return the expressions `op` and `outcome` for free texts; both null where no phrase fits."""
    words = text.str.slice(0, _SHORT).str.replace_all(r"([a-z])([A-Z])", "$1 $2")  # ModelLoaded, cacheMiss
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
    silent = (
        pl.col("_op").is_not_null()
        & urls.model(pl.col("url")).is_null()
        & message.is_not_null()
        & (nameless | unversioned)
    )
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
    of_all = declared & platform.told(pl.col("reason").cast(pl.String))
    rollout = (op == "rollout") & (model.is_not_null() & (target | declared) | of_all)
    fleet = op.is_in(["restart", "flush", "sample"])
    about_model = op.is_in(["load_start", "load", "load_fail", "unload", "evict", "expire"]) & model.is_not_null()
    return (lookup | rollout | fleet | about_model).fill_null(False)


def _label(name: str) -> pl.Expr:
    """A model or version as written; blank and "-" mean none. Where it is missing a URL may name it.

    A model that holds its version (fraud@3) is read apart where no other version is named.
    """
    clean = _clean(name)
    if name == "model":
        said, known = model_ids.numbered(clean), _clean("version")
        apart = (known.is_null() | (known == said.struct.field("version"))).fill_null(False)
        return pl.coalesce(pl.when(apart).then(said.struct.field("model")), clean, urls.model(pl.col("url")))
    if name == "version":
        held = model_ids.numbered(_clean("model")).struct.field("version")
        return pl.coalesce(clean, held, urls.version(pl.col("url")))
    return clean


def _clean(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String).str.strip_chars()
    return pl.when(text.is_in(["", "-", "null", "None"])).then(None).otherwise(text)


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
