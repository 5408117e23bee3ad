"""The one place where bench/ reaches into cachelog past its command line: read an input, and make what rules share.

Reading is from the log itself, never from what an earlier run has kept of it.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from cachelog import pipeline
from cachelog.contract.rule import Frames
from cachelog.metrics import windows


def counted(path: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read an input; return EVENT rows and Frames.counts."""
    events = staged(path)
    start, end = events["ts"].min(), events["ts"].max()
    assert isinstance(start, datetime)
    assert isinstance(end, datetime)
    return events, windows.counts(events.lazy(), start, end)[0]


def staged(path: str) -> pl.DataFrame:
    """Read an input; return EVENT rows."""
    return pipeline._stage([path], pipeline.Options(), None, None).events


def frames(events: pl.DataFrame) -> Frames:
    """Return the frames that rules share."""
    made = pipeline._frames(events, pipeline.Options())
    assert made is not None
    return made
