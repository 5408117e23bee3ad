"""What figures say together: counters and per-request figures become lookups, and take the model of their process.

Systems that log no lookups still print how many there were: `hits=120 misses=4` every minute, /metrics scraped into a
file, tokens found in a prefix cache with each batch. Dialects return each figure as a `sample` (contract/event.py).
Here, where all units are together, counters are differenced series by series: the first reading gives nothing (nobody
knows since when it counts), and one that falls, or whose process started anew, counts from 0 (as `increase` of
Prometheus does). Where the words do not say whether figures go on or start over, their growth does: a counter that
goes on falls only at restarts. Lookups stand at the later reading, their `reason` says how they were found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.event import (
    COUNTED,
    EVENT,
    FAILED,
    LABEL,
    LOADED,
    OF_REQUEST,
    OPS,
    OUTCOMES,
    PROCESS,
    SCRAPE,
    SINCE_LAST,
    SINCE_START,
    TS,
)
from cachelog.contract.limits import DEFAULT
from cachelog.ingest.discover import Source
from cachelog.ingest.words import UNNAMED

#: Reasons of the lookups made here.
COUNTER = "counter"  # the difference of two readings
INTERVAL = "interval"  # counted by the program itself

#: Input -> the time of its only scrape.
SCRAPED: pl.Schema = pl.Schema({"source": pl.UInt32(), "scraped": TS})

_PLACE = ["replica", "cache", "model", "version"]
_SERIES = [*_PLACE, "key", "what"]
_VAGUE = ("model", "response", "default")
_STANDS = ("ts", "source", "line")
_MOST = 2**32 - 1  # n is UInt32
_STAMPS = (
    r"((?:19|20)\d\d)-?(\d\d)-?(\d\d)[T_-]?(\d\d)[-:]?(\d\d)[-:]?(\d\d)",
    r"(?:^|\D)(1\d{9})(?:\d{3})?(?:\D|$)",
)


def scraped(sources: Sequence[Source]) -> pl.DataFrame:
    """Return SCRAPED: when each input was written, by the time in its name (UTC) or else the file's own."""
    times = [_named(source.path) or _written(source) for source in sources]
    return pl.DataFrame({"source": range(len(times)), "scraped": times}, schema=SCRAPED)


def _named(path: str) -> datetime | None:
    name = path.rsplit("/", 1)[-1]
    try:
        if found := re.search(_STAMPS[0], name):
            return datetime(*map(int, found.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
        if found := re.search(_STAMPS[1], name):
            return datetime.fromtimestamp(int(found[1]), UTC)
    except ValueError:
        pass
    return None


def _written(source: Source) -> datetime | None:
    return None if source.mtime is None else datetime.fromtimestamp(source.mtime, UTC)


def counted(
    samples: pl.DataFrame, files: pl.DataFrame | None = None, logged: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Turn EVENT rows of op `sample` into the lookups and loads that they tell of; the others stay as they are.

    `files` (SCRAPED) gives a time to inputs that hold one scrape and no time at all. `logged` (replica, cache, model)
    are the lookups that have lines of their own: figures of the same ones would count them twice, and are not used.
    The order of rows does not matter.
    """
    if samples.is_empty():
        return samples
    told = _told(_timed(samples, files))
    counts = _unlogged(told.filter(pl.col("what").is_not_null()), logged)
    lookups = _lookups(_decided(counts))
    left = told.filter(~pl.col("_id").is_in(lookups["_ids"].explode().implode()))
    kept = _loads(left).select(list(EVENT))
    return pl.concat([kept, lookups.select(list(EVENT))])


def _timed(samples: pl.DataFrame, files: pl.DataFrame | None) -> pl.DataFrame:
    """Give figures without a time that of the scrape above them in their input, or of the input if it is one scrape."""
    ordered = samples.sort("source", "line", maintain_order=True)
    if not ordered["ts"].null_count():
        return ordered
    marks = pl.when(pl.col("reason") == SCRAPE).then(pl.col("ts")).forward_fill().over("source")
    timed = ordered.with_columns(ts=pl.coalesce("ts", marks))
    if files is None or not timed["ts"].null_count():
        return timed
    series = [pl.col(name).cast(pl.String) for name in (*_PLACE, "reason")]
    alone = timed.group_by("source", *series, "key").agg(many=pl.len(), none=pl.col("ts").is_null().all())
    single = alone.group_by("source").agg(single=(pl.col("many") == 1).all() & pl.col("none").all())
    known = single.filter("single").join(files, on="source")
    dated = timed.join(known.select("source", "scraped"), on="source", how="left", maintain_order="left")
    return dated.with_columns(ts=pl.coalesce("ts", "scraped")).drop("scraped")


def _told(samples: pl.DataFrame) -> pl.DataFrame:
    """Add what is counted over what span, which process it was and its model, and _id: the place in time.

    Processes follow one another as lines do, the files of a replica as they begin. Readings follow one another in
    time, since the same may stand in two files; those without a time stand where their file has them.
    """
    reason = pl.col("reason")
    labels = [pl.col(name).cast(pl.String) for name in _PLACE]
    begun = pl.col("ts").min().over("source")
    lined = samples.with_columns(*labels, _ts=pl.col("ts").forward_fill().over("source"), _begun=begun)
    lined = lined.sort("_begun", "source", "line", maintain_order=True)
    started = (reason == PROCESS).fill_null(False)
    parts = reason.str.extract_groups(rf"^({'|'.join(COUNTED)})((?: since (?:start|last)| of request)?)$").struct
    marked = lined.with_columns(_process=started.cum_sum().over("replica"), what=parts["1"], span=parts["2"])
    served = [
        pl.when(started).then(pl.col(name)).first().over("replica", "_process").alias(f"_{name}")
        for name in ("model", "version")
    ]
    nameless = pl.col("model").is_null() & ~started
    named = marked.with_columns(*served).with_columns(
        version=pl.when(nameless).then(pl.coalesce("version", "_version")).otherwise("version"),
        model=pl.coalesce("model", "_model"),
    )
    return named.sort("_ts", "source", "line", maintain_order=True).with_row_index("_id")


def _unlogged(counts: pl.DataFrame, logged: pl.DataFrame | None) -> pl.DataFrame:
    """Leave out figures of a cache and replica, or a cache and model, whose lookups are logged one by one.

    Lines and figures of one cache may name it differently, or not at all: model, response and default are one here.
    """
    if logged is None or logged.is_empty():
        return counts
    kind = pl.when(pl.col("cache").is_in(list(_VAGUE))).then(pl.lit("default")).otherwise(pl.col("cache"))
    known = logged.select(pl.col(name).cast(pl.String) for name in ("replica", "cache", "model")).with_columns(
        _kind=kind
    )
    kinds = counts.with_columns(_kind=kind)
    for name in ("replica", "model"):
        kinds = kinds.join(known.drop_nulls(name), on=[name, "_kind"], how="anti", maintain_order="left")
    return kinds.drop("_kind")


def _loads(told: pl.DataFrame) -> pl.DataFrame:
    """Turn samples that tell how the load of the process's model ended into load and load_fail."""
    reason = pl.col("reason")
    ended = pl.col("model").is_not_null()
    loaded, failed = ended & (reason == LOADED), ended & reason.str.starts_with(FAILED)
    op = (
        pl.when(loaded)
        .then(pl.lit("load"))
        .when(failed)
        .then(pl.lit("load_fail"))
        .otherwise(pl.col("op").cast(pl.String))
    )
    why = pl.when(failed).then(reason.str.strip_prefix(FAILED)).when(loaded).then(None).otherwise(reason)
    cache = pl.when(loaded | failed).then(pl.lit("model")).otherwise("cache")
    return told.with_columns(op=op.cast(pl.Enum(OPS)), reason=why, cache=cache).with_columns(
        pl.col(name).cast(LABEL) for name in _PLACE
    )


def _decided(counts: pl.DataFrame) -> pl.DataFrame:
    """Decide the span of figures that do not say theirs, replica by replica: one program writes them all alike."""
    open_ = counts.filter(pl.col("span") == "")
    if open_.is_empty():
        return counts
    change = pl.col("seconds") - pl.col("seconds").shift(1).over(*_SERIES, "_process")
    steps = (
        open_.with_columns(_step=change)
        .filter(pl.col("_step").is_not_null() & (pl.col("_step") != 0))
        .group_by("source", "line", *_PLACE, "key")
        .agg(rose=(pl.col("_step") > 0).any(), fell=(pl.col("_step") < 0).any())
    )
    weight = (
        pl.when(~pl.col("fell"))
        .then(DEFAULT.counter_rise)
        .when(pl.col("rose"))
        .then(DEFAULT.counter_mixed)
        .otherwise(DEFAULT.counter_fall)
    )
    odds = steps.group_by("replica").agg(_odds=weight.sum() + DEFAULT.counter_prior)
    judged = counts.join(odds, on="replica", how="left", nulls_equal=True, maintain_order="left")
    span = pl.when(pl.col("_odds") < 0).then(pl.lit(SINCE_LAST)).otherwise(pl.lit(SINCE_START))
    return judged.with_columns(span=pl.when(pl.col("span") == "").then(span).otherwise("span"))


def _lookups(counts: pl.DataFrame) -> pl.DataFrame:
    """Return lookups with _ids, the samples that they are made of; misses not counted are the rest."""
    growth = pl.concat([_grown(counts), _once(counts)])
    sums = growth.group_by([*_PLACE, "_pair"], maintain_order=True).agg(
        *(pl.col("seconds").filter(pl.col("what") == what).sum().alias(what) for what in COUNTED),
        *((pl.col("what") == what).any().alias(f"_{what}") for what in COUNTED),
        *(pl.col(at).filter(pl.col("what") == "hits").first().alias(f"{at}_hits") for at in _STANDS),
        *(pl.col(at).filter(pl.col("what") != "hits").last().alias(f"{at}_misses") for at in _STANDS),
        reason=pl.when(pl.col("span").first() == SINCE_START).then(pl.lit(COUNTER)).otherwise(pl.lit(INTERVAL)),
        unknown=pl.col("seconds").is_null().any(),
        _ids="_id",
    )
    rest = pl.when(pl.col("_misses")).then("misses").otherwise((pl.col("lookups") - pl.col("hits")).clip(lower_bound=0))
    known = ~pl.col("unknown") & pl.col("_hits") & (pl.col("_misses") | pl.col("_lookups"))
    pairs = sums.filter(known).with_columns(misses=rest)
    return pl.concat([_weighed(pairs, "hits", "hit"), _weighed(pairs, "misses", "miss")])


def _grown(counts: pl.DataFrame) -> pl.DataFrame:
    """Difference counters; one that appears later than the others beside it began at 0, as labelled ones do.

    Counters of one cache start over together, though one may by then have passed its last reading.
    """
    value, process = pl.col("seconds"), pl.col("_process")
    read = _scrapes(counts.filter(pl.col("span") == SINCE_START)).with_columns(
        _before=value.shift(1).over(_SERIES),
        _other=process != process.shift(1).over(_SERIES),
        _first=pl.col("_id").min().over("_pair"),
    )
    fell = (pl.col("_other") | (value < pl.col("_before"))).any().over(*_PLACE, "_pair")
    late = pl.col("_first") > pl.col("_first").min().over(_PLACE)
    growth = pl.when(pl.col("_before").is_not_null() & ~fell).then(value - pl.col("_before"))
    return read.with_columns(seconds=growth.when(fell | late).then(value)).drop("_before", "_other", "_first")


def _scrapes(readings: pl.DataFrame) -> pl.DataFrame:
    """Add _pair, what belongs together: the figures of a line, or of a scrape, until a counter is read again."""
    lined = readings.sort("source", "line", maintain_order=True).with_columns(_at=pl.int_range(pl.len()))
    before = lined.select(pl.col("_at").shift(1).over(*_SERIES, "source").fill_null(-1)).to_series()
    scrape = pl.Series(_repeats(before.to_numpy()))
    alone = pl.col("key").is_null()
    at = pl.when(alone).then(pl.col("line").cast(pl.Int64)).otherwise(scrape)
    pair = pl.struct(pl.col("source"), at.alias("at"), alone.alias("alone"))
    return lined.with_columns(_pair=pair).drop("_at").sort("_id")


def _repeats(before: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the scrapes of rows, given where the counter of each row was read last: one ends before a repetition."""
    latest = np.maximum.accumulate(before)
    ends = np.zeros(len(before), np.int64)
    start = 0
    while (start := int(np.searchsorted(latest, start))) < len(before):
        ends[start] = 1
    return np.cumsum(ends)


def _once(counts: pl.DataFrame) -> pl.DataFrame:
    """Return figures that count as they are; those of one request once, though each rank of a server says them."""
    mine = counts.filter(pl.col("span") != SINCE_START)
    keyed = (pl.col("span") == OF_REQUEST) & pl.col("key").is_not_null()
    again = pl.int_range(pl.len()).over("replica", "cache", "_process", "key", "what") > 0
    process = pl.when(keyed).then(pl.col("_process").cast(pl.UInt32)).otherwise("source")
    at = pl.when(keyed).then(pl.col("key").reinterpret(signed=True)).otherwise(pl.col("line").cast(pl.Int64))
    pair = pl.struct(process.alias("source"), at.alias("at"), (~keyed).alias("alone"))
    return mine.filter(~(keyed & again)).with_columns(_pair=pair)


def _weighed(pairs: pl.DataFrame, what: str, outcome: str) -> pl.DataFrame:
    """Return EVENT rows of one outcome; a weight that n does not hold is split over several."""
    some = pairs.filter(pl.col(what) > 0).with_columns(n=pl.col(what).round().cast(pl.UInt64))
    parts = some.with_columns(_part=pl.int_ranges(0, (pl.col("n") - 1) // _MOST + 1)).explode("_part")
    least = pl.min_horizontal(pl.col("n") - pl.col("_part").cast(pl.UInt64) * _MOST, pl.lit(_MOST, pl.UInt64))
    stand = {at: pl.coalesce(f"{at}_{what}", f"{at}_hits") for at in _STANDS}
    given = {name: pl.lit(None, EVENT[name]) for name in ("key", "digest", "seconds")}
    return parts.select(
        "_ids",
        "reason",
        *(pl.col(name).cast(LABEL) for name in ("replica", "cache", "version")),
        model=pl.col("model").fill_null(UNNAMED).cast(LABEL),
        op=pl.lit("lookup", pl.Enum(OPS)),
        outcome=pl.lit(outcome, pl.Enum(OUTCOMES)),
        n=least.cast(pl.UInt32),
        **stand,
        **given,
    )
