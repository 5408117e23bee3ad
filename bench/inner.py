"""The one place where bench/ reaches into cachelog past its command line: read an input, and make what rules share.

Reading is from the log itself, never from what an earlier run has kept of it.
"""

from __future__ import annotations

import polars as pl

from cachelog import pipeline, rooms
from cachelog.contract.rule import Frames
from cachelog.ingest.opened import drop_spool, open_spool
from cachelog.ingest.stage import Asked, stage
from cachelog.ingest.staged import Staged
from cachelog.metrics import windows


def staged(path: str) -> Staged:
    """Read an input."""
    return stage([path], rooms.dialects(), rooms.envelopes())


def counted(path: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read an input in bounded memory; return the EVENT rows of loads and Frames.counts."""
    spool = open_spool()
    try:
        found = stage([path], rooms.dialects(), rooms.envelopes(), Asked(spool=spool))
        return found.rare.filter(pl.col("op") == "load"), counts(found)
    finally:
        drop_spool(spool)


def counts(found: Staged) -> pl.DataFrame:
    """Return Frames.counts."""
    span = pipeline._span(found.bulk, found.rare)
    assert span is not None
    return windows.counts(found.bulk, *span)[0]


def frames(found: Staged) -> Frames:
    """Return the frames that rules share."""
    made = pipeline._frames(found.bulk, found.rare, pipeline.Options())
    assert made is not None
    return made
