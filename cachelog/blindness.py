"""What these logs cannot tell, and which conclusions that blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from cachelog.contract.finding import InputReport, LimitNote, ModelRow
from cachelog.contract.rule import Frames

#: Below this share of lines understood, the rest of an input may hold what matters.
_MOSTLY_UNREAD = 0.5


def limits(
    inputs: Sequence[InputReport],
    untimed: int,
    sought: Sequence[str],
    dropped: pl.DataFrame,
    models: Sequence[ModelRow],
    frames: Frames | None,
) -> tuple[LimitNote, ...]:
    """Return the limits of a report in a fixed order; `dropped` (source, into, lines) are lines that are told twice."""
    notes = [*_unread(inputs), *_assumed(inputs), *_untimed(untimed), *_sought(sought), *_twice(dropped, inputs)]
    notes += _no_lookups(models, frames)
    notes += [*_only_misses(models), *_no_order(frames), *_no_loads(frames), *_one_replica(frames)]
    return tuple(notes)


def sampled(modulus: int, wrong: float) -> tuple[LimitNote, ...]:
    """Return what is said where the causes of misses were found for one key of so many."""
    if modulus == 1:
        return ()
    what = f"the causes of misses were found for one key in {modulus} and scaled up"
    return (LimitNote(f"{what}, shares within {wrong:.1%}", "the exact number of misses of each cause"),)


def _unread(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    for item in inputs:
        if item.note:
            yield LimitNote(f"the input was not read whole: {item.note}", "everything its missing lines say", item.path)
    for item in inputs:
        lost = item.bad + item.unclaimed
        if item.lines and lost > _MOSTLY_UNREAD * item.lines:
            what = f"{lost} of {item.lines} lines were not understood ({item.unclaimed} unclaimed, {item.bad} bad)"
            yield LimitNote(what, "everything these lines say", item.path)


def _assumed(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    said: dict[str, list[str]] = {}
    for item in inputs:
        for part in (item.clock or "").split("; "):
            if what := part.rsplit(" (", 1)[0]:
                said.setdefault(what, []).append(item.path)
    for what, paths in sorted(said.items()):
        where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        yield LimitNote(what, "the absolute time of its events", where)


def _untimed(many: int) -> Iterator[LimitNote]:
    if many:
        yield LimitNote(f"{many} events have no time and no neighbour with one", "their part in any rate or order")


def _sought(paths: Sequence[str]) -> Iterator[LimitNote]:
    if paths:
        where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        what = "of a log in order of time only the lines about the time asked for were read"
        yield LimitNote(what, "lines that are out of order by more than a minute", where)


def _twice(dropped: pl.DataFrame, inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    for (into,), rows in dropped.sort("into", "source").partition_by("into", as_dict=True, maintain_order=True).items():
        for own in (False, True):
            mine = rows.filter((pl.col("source") == into) == own)
            if mine.is_empty():
                continue
            many, paths = int(mine["lines"].sum()), [inputs[source].path for source in mine["source"]]
            how = "stand there twice in a row" if own else f"are in {inputs[into].path} too"
            where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
            yield LimitNote(f"{many:,} lines {how}; each counts once", "whether equal lines were several events", where)


def _no_lookups(models: Sequence[ModelRow], frames: Frames | None) -> Iterator[LimitNote]:
    if frames is not None and not any(row.lookups for row in models):
        yield LimitNote("no lookups in these logs", "miss rates, miss-rate-shift, what an incident cost")


def _only_misses(models: Sequence[ModelRow]) -> Iterator[LimitNote]:
    caches = sorted({row.cache for row in models if row.lookups is None and row.misses})
    for cache in caches:
        yield LimitNote(f"of the cache {cache!r} only misses are logged", "its miss rate")


def _no_order(frames: Frames | None) -> Iterator[LimitNote]:
    if frames is None or frames.order.is_empty():
        return
    several = frames.order.group_by("model").agg(
        versions=pl.len(), unknown=(pl.col("basis") == "unknown").any(), observed=(pl.col("basis") == "observed").any()
    )
    for model, _, unknown, observed in several.filter(pl.col("versions") > 1).sort("model").iter_rows():
        if unknown:
            yield LimitNote(
                f"which version of {model} is newer is not known", "version-regression of this model", model
            )
        elif observed:
            what = f"the labels of {model} have no order; newer means seen later in this log"
            yield LimitNote(what, "a regression that began before the log", model)


def _no_loads(frames: Frames | None) -> Iterator[LimitNote]:
    if frames is None or frames.levels.is_empty():
        return
    served = frames.levels.group_by("model").agg((pl.col("observed") == "lookup").all().alias("only"))
    names = served.filter("only").sort("model")["model"].to_list()
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield LimitNote(f"no load lines for {shown}", "when a version was loaded; versions are known from lookups only")


def _one_replica(frames: Frames | None) -> Iterator[LimitNote]:
    """A single replica may be all there is, or the lines name none and the file stands for it."""
    if frames is None or frames.replicas.is_empty():
        return
    alone = frames.replicas.group_by("model").agg(many=pl.len(), name=pl.col("replica").first())
    several = frames.order.group_by("model").agg(versions=pl.len()).filter(pl.col("versions") > 1)
    rows = alone.filter(pl.col("many") == 1).join(several, on="model").sort("model")
    for model, name in rows.select("model", "name").iter_rows():
        what = f"all lines of {model} are of one replica, {name}, or do not name theirs"
        yield LimitNote(what, "whether the fleet went along with a change of version", model)
