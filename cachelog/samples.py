"""Do formats of one's own read their samples as they say: each is read through the pipeline, as a log would be."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from cachelog import pipeline
from cachelog.contract.own import Own
from cachelog.custom import Format, Sample
from cachelog.ingest.staged import Staged


def wrong(formats: Sequence[Format]) -> list[str]:
    """Return one sentence for each sample that is not read as it says, for each format without one."""
    own = Own(formats=tuple(one.declared for one in formats))
    options = pipeline.Options(own=own, formats={one.name: one.module for one in formats})
    found: list[str] = []
    for one in formats:
        if not one.samples:
            found.append(f"{one.source}: format {one.name} has no samples; give one line and what it says")
        for number, sample in enumerate(one.samples, 1):
            found += [
                f"{one.source}: format {one.name}, sample {number}: {why}" for why in _wrong(one, sample, options)
            ]
    return found


def _wrong(form: Format, sample: Sample, options: pipeline.Options) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="cachelog-") as folder:
        path = Path(folder) / "sample.log"
        path.write_text(sample.line.rstrip("\n") + "\n", encoding="utf-8")
        staged = pipeline.staged([str(path)], options)
    readers = list(staged.inputs[0].claimed)
    if form.name not in readers:
        yield f"the line is read as {readers[0]}" if readers else "the line is not claimed, the expression does not fit"
        return
    if strange := [what.partition("\0")[2] for what in staged.inputs[0].strange if what[-1] != "\0"]:
        yield f'the outcome {strange[0]!r} has no meaning; add it to words, as in words = {{ {strange[0]} = "hit" }}'
    elif why := _different(staged, sample.says):
        yield why


def _different(staged: Staged, says: Mapping[str, str]) -> str:
    """Return what is read otherwise than a sample says, "" for nothing."""
    rows = staged.events.to_dicts()
    if says.get("quiet") == "true":
        return "it is an event, and should be quiet" if rows else ""
    if not rows:
        return "nothing is read from it: it needs an outcome, or an event with a meaning and a model"
    fits = [{name: _text(row, name) for name in says} for row in rows]
    if any(found == dict(says) for found in fits):
        return ""
    found = fits[0]
    name = next(name for name in says if found[name] != says[name])
    return f"{name} is {found[name]!r}, and should be {says[name]!r}"


def _text(row: Mapping[str, object], name: str) -> str | None:
    value = row["ts" if name == "time" else name]
    if value is None:
        return None
    if name == "time":
        return str(pl.Series([value]).dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ").item())
    return f"{value:g}" if isinstance(value, float) else str(value)
