"""What a dialect and an envelope are: modules with the names below, registered by being in their folder.

A dialect (cachelog/dialects/NAME.py) has
    NAME: str                                    equals the file name
    SAMPLES: tuple[str, ...]                     real lines; claimed by this dialect alone (a test over all pairs)
    claim(text: pl.Expr) -> pl.Expr              Boolean: is this line mine? cheap literals first
    parse(lines: pl.DataFrame) -> pl.DataFrame   [row, text] of claimed lines -> PARSED rows
    LAST_RESORT: bool                            optional: lines are offered to it after all others
    ORIGIN: str                                  optional, a regex: of the loggers (or files) that JSON lines of this
                                                 system name; of such "thread logger - message" is read
    BRACED: bool                                 optional: it has lines that look like JSON and are none
    HINTS: tuple[str, ...]                       optional: every line that is claimed holds at least one of these texts
    SHAPE: str                                   optional: every claimed line matches this from its beginning on; a
                                                 regular expression of what ingest/shapes.hpp understands
    TELLING: tuple[str, ...]                     optional, then SHAPE is all of claim: parse returns no row for a line
                                                 that holds none of these texts
    LAYOUTS: tuple[Layout, ...]                  optional: objects of JSON that are its own, not an application's lines;
                                                 then it may have no claim, and parse gets each object on one line
    BLIND: str | None                            optional: what the logs of this system cannot tell, one sentence
    SOURCE: str                                  optional: where the format is defined
Dialects are asked only about lines with their hints and shape: good hints, long and rare, are what makes them cheap.
A claimed line for which parse returns no row, or a row that conform finds to say nothing, is quiet.
One line may give several rows. Dialects hold no state: what spans lines (a load line without its
version) is carried over afterwards, in ingest/carry.py.

An envelope (cachelog/envelopes/NAME.py) has
    NAME, SAMPLES
    claim(text: pl.Expr) -> pl.Expr
    unwrap(lines: pl.DataFrame) -> pl.DataFrame  [row, text] -> UNWRAPPED
    locus(path: str) -> str | None               optional: the replica that a path of this kind names
    STREAM, OPEN: re.Pattern[bytes]              optional, where lines are cut into pieces: of any line, and of one that
                                                 the next of its stream goes on with; group 1 is the stream
    HINTS, SHAPE                                 optional, as above; the line is without blanks at its end
    OPENS: str                                   optional, where what a line is depends on those before it: what its
                                                 first line begins with. A block that holds it is offered whole
    SOURCE, BLIND                                as above; of an envelope, what cannot be told of lines in it

An envelope that is JSON has no claim and unwrap, but
    LAYOUTS: tuple[Layout, ...]                  how it lies around lines (contract/layout.py); it may have both
    partial(lines: pl.DataFrame) -> pl.Series    optional: which lines (text, env_time, ended) the next one goes on with
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import polars as pl

#: What parse() may return; a column it leaves out is null. Values are as written in the log.
PARSED: pl.Schema = pl.Schema(
    {
        "row": pl.UInt32(),  # the row of the line given to parse()
        "time": pl.String(),  # as written; ingest/clock.py knows the shapes
        "replica": pl.String(),
        "op": pl.String(),  # one of event.OPS, or null: conform reads it out of event, message and outcome
        "event": pl.String(),  # the application's name of the event, e.g. "cache_lookup", "model_loaded"
        "message": pl.String(),
        "cache": pl.String(),  # one of event.CACHES or the log's own name of the cache
        "outcome": pl.String(),  # hit, MISS, EXPIRED, TCP_HIT ...
        "hit": pl.String(),  # a flag: true/false/1/0
        "miss": pl.String(),  # a flag
        "model": pl.String(),
        "version": pl.String(),
        "from_version": pl.String(),
        "to_version": pl.String(),
        "key": pl.String(),
        "digest": pl.String(),
        "reason": pl.String(),
        "n": pl.UInt32(),
        "hits": pl.Float64(),  # figures of a line about many lookups: hits with misses or lookups make samples of it
        "misses": pl.Float64(),
        "lookups": pl.Float64(),
        "seconds": pl.Float64(),
        "duration": pl.String(),  # with its unit: "12.5ms", "0.3s", "1m2s"
        "ms": pl.String(),  # a number of milliseconds
        "url": pl.String(),  # request path or line; conform takes model and version out of it when they are null
    }
)

UNWRAPPED: pl.Schema = pl.Schema(
    {
        "row": pl.UInt32(),
        "text": pl.String(),  # the inner line
        "env_time": pl.String(),  # the envelope's own time, as written
        "env_replica": pl.String(),  # pod or container that the envelope names
        "stream": pl.String(),  # stdout/stderr: pieces are joined within one stream
        # true: the next line of the same stream continues this one; null: another row speaks for this line
        "partial": pl.Boolean(),
    }
)


class Dialect(Protocol):
    """The module interface of cachelog/dialects/*.py."""

    NAME: str
    SAMPLES: tuple[str, ...]
    claim: Callable[[pl.Expr], pl.Expr]
    parse: Callable[[pl.DataFrame], pl.DataFrame]


class Envelope(Protocol):
    """The module interface of cachelog/envelopes/*.py."""

    NAME: str
    SAMPLES: tuple[str, ...]
    claim: Callable[[pl.Expr], pl.Expr]
    unwrap: Callable[[pl.DataFrame], pl.DataFrame]
    locus: Callable[[str], str | None]
