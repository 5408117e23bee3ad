"""What these logs cannot tell, and which conclusions that blocks.

A limit that `bars` is one because of which nothing found does not mean that all is well: `check` is inconclusive then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from cachelog.contract.finding import LEVELS, LOW, SAMPLED, Finding, InputReport, LimitNote, ModelRow, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.contract.own import Mapped
from cachelog.contract.rule import Frames
from cachelog.contract.wording import listed
from cachelog.metrics.strays import Strays

#: Windows from this width on may hide what an engineer on call looks for.
_WIDE = timedelta(minutes=15)
#: Below this share of lines understood, the rest of an input may hold what matters.
_MOSTLY_UNREAD = 0.5

#: Of what is asked of a store, more than so many lines are not given unless told: logcli --limit=30, Loki's API 100 and
#: its server 5,000; Elasticsearch 10, and 10,000 at most; CloudWatch 10,000; all others have 1, 2 or 5 with zeros.
_ASKED = {
    "logcli": (30,), "loki": (), "cloudwatch": (), "gcp": (), "azure": (30_000,), "datadog": (), "splunk": (),
    "elasticsearch": (10,), "victorialogs": (), "csv_export": (),
}  # fmt: skip
_ROUND = re.compile(r"^[125]00+$")
_ROUNDER = re.compile(r"^[125]000+$")  # a file may have 100 lines by itself

_NUMBERED = re.compile(r"^(.+)\.([0-9]{1,3})(\.(?:gz|zst|bz2|xz))?$")
_RUN = re.compile(r"^(.*/var/log/pods/[^/]+/[^/]+/)([0-9]+)\.log$")


@dataclass(frozen=True)
class Reading:
    """How the inputs were read: `dropped` (source, into, lines) are lines that are told twice, `again` the numbers of
    lines that an input tells again further on, `lost` of those that inputs themselves say are missing."""

    inputs: Sequence[InputReport]
    untimed: int
    sought: Sequence[str]
    dropped: pl.DataFrame
    lost: Mapping[int, int]
    maps: Sequence[Mapped] = ()  # the user's
    again: Mapping[int, int] = field(default_factory=dict)


def limits(read: Reading, models: Sequence[ModelRow], frames: Frames | None) -> tuple[LimitNote, ...]:
    """Return the limits of a report in a fixed order."""
    inputs = read.inputs
    notes = [*_unmapped(inputs, read.maps), *_strange(inputs)]
    notes += [
        *_unread(inputs),
        *_assumed(inputs),
        *_untimed(read),
        *_sought(read.sought),
        *_twice(read.dropped, inputs),
        *_again(read.again, inputs),
    ]
    notes += [*_lost(read), *_sampled_lines(inputs), *_cut(inputs), *_rotated(inputs), *_earlier_runs(inputs)]
    notes += [
        *_levels(inputs, models),
        *_no_lookups(models, frames),
        *_only_misses(models),
        *_no_version(models, frames),
    ]
    notes += [*_no_order(frames), *_no_loads(frames), *_one_replica(frames), *_wide(frames)]
    return tuple(notes)


def gaps(findings: Sequence[Finding]) -> tuple[LimitNote, ...]:
    """Return what the gaps that were found hide."""
    blocks = "what happened meanwhile; counts and rates of that time"
    found = (f for f in findings if f.rule == "log-gap")
    return tuple(LimitNote(f.title, blocks, _several(f.replicas), f.severity > Severity.INFO) for f in found)


def sampled(modulus: int, wrong: float) -> tuple[LimitNote, ...]:
    """Return what is said where the causes of misses were found for one key of so many."""
    if modulus == 1:
        return ()
    what = f"the causes of misses were found for one key in {modulus} and scaled up"
    return (LimitNote(f"{what}, shares within {wrong:.1%}", "the exact number of misses of each cause"),)


def strange_keys(where: Collection[tuple[str, str]]) -> tuple[LimitNote, ...]:
    """Return what is said of models and caches whose keys are none of the cache's."""
    if not where:
        return ()
    names = listed([f"{model} ({cache})" for model, cache in sorted(where)], 3)
    what = "the keys of lookups are not those of the cache: ones never seen before hit as often as all others"
    return (LimitNote(what, "why lookups miss", names),)


def strange_times(found: Strays | None) -> tuple[LimitNote, ...]:
    """Return what is said of events whose times are far from all others."""
    if found is None:
        return ()
    times = " and ".join(f"{time:%Y-%m-%d %H}h UTC" for time in sorted({found.first, found.last}))
    events = "1 event is" if found.many == 1 else f"{found.many:,} events are"
    return (LimitNote(f"{events} far from all others in time, at {times}, and left out", "what happened then"),)


def _unmapped(inputs: Sequence[InputReport], maps: Sequence[Mapped]) -> Iterator[LimitNote]:
    found = {what for item in inputs for what in item.mapped}
    for one in maps:
        if one.fixed is None and one.said not in found:
            yield LimitNote(f"the map {one.said} found nothing in any line", f"what {one.field} should say")


def _strange(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    many = Counter[str]()
    for item in inputs:
        many.update(item.strange)
    for what, count in sorted(many.items()):
        place, _, word = what.partition("\0")
        if not word:
            continue
        yield LimitNote(
            f"{count} lines have an outcome of no known meaning: {word} ({place})", "how these lookups ended"
        )


def _unread(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    for item in inputs:
        if item.note:
            yield LimitNote(f"the input was not read whole: {item.note}", "everything its missing lines say", item.path)
    for item in inputs:
        lost = item.bad + item.unclaimed
        if item.lines and lost > _MOSTLY_UNREAD * item.lines:
            what = f"{lost} of {item.lines} lines were not understood ({item.unclaimed} unclaimed, {item.bad} bad)"
            yield LimitNote(what, "everything these lines say", item.path, _mostly_unread(inputs))


def _mostly_unread(inputs: Sequence[InputReport]) -> bool:
    lost, every = sum(item.bad + item.unclaimed for item in inputs), sum(item.lines for item in inputs)
    return lost > _MOSTLY_UNREAD * every


def _assumed(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    said: dict[str, list[str]] = {}
    for item in inputs:
        for part in (item.clock or "").split("; "):
            if what := part.rsplit(" (", 1)[0]:
                said.setdefault(what, []).append(item.path)
    for what, paths in sorted(said.items()):
        yield LimitNote(what, "the absolute time of its events", _several(paths))


def _several(names: Sequence[str]) -> str | None:
    if not names:
        return None
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _untimed(read: Reading) -> Iterator[LimitNote]:
    if many := read.untimed:
        what = f"{many} events have no time and no neighbour with one"
        most = 2 * many > sum(item.events for item in read.inputs)
        yield LimitNote(what, "their part in any rate or order", bars=most)


def _sought(paths: Sequence[str]) -> Iterator[LimitNote]:
    if paths:
        what = "of a log in order of time only the lines about the time asked for were read"
        yield LimitNote(what, "lines that are out of order by more than a minute", _several(paths))


def _twice(dropped: pl.DataFrame, inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    for (into,), rows in dropped.sort("into", "source").partition_by("into", as_dict=True, maintain_order=True).items():
        for own in (False, True):
            mine = rows.filter((pl.col("source") == into) == own)
            if mine.is_empty():
                continue
            many, paths = int(mine["lines"].sum()), [inputs[source].path for source in mine["source"]]
            how = "stand there twice in a row" if own else f"are in {inputs[into].path} too"
            what = f"{many:,} lines {how}; each counts once"
            yield LimitNote(what, "whether equal lines were several events", _several(paths))


def _again(again: Mapping[int, int], inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    for source, many in sorted(again.items()):
        what = f"at least {many:,} lines stand there again, a whole piece further on; they count twice"
        yield LimitNote(what, "counts and rates, where a piece was delivered twice", inputs[source].path, bars=True)


def _lost(read: Reading) -> Iterator[LimitNote]:
    for source, many in sorted(read.lost.items()):
        what = f"its collector says that {f'{many:,}' if many else 'some'} lines were left out"
        yield LimitNote(what, "counts and rates, and all that these lines said", read.inputs[source].path, bars=True)


def _sampled_lines(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    said: dict[str, list[str]] = {}
    for item in inputs:
        for sign in item.signs:
            if sign.startswith(SAMPLED):
                said.setdefault(sign.removeprefix(SAMPLED), []).append(item.path)
    for how, paths in sorted(said.items()):
        blocks = "counts of lookups, causes of misses, and single events, such as a load, that were left out"
        yield LimitNote(f"its lines are a sample ({how})", blocks, _several(paths), bars=True)


def _cut(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    """Inputs with as many lines as somebody asked for at most: there may have been more."""
    for item in inputs:
        asked = [limits for name in (item.envelope or "").split("+") if (limits := _ASKED.get(name)) is not None]
        lines = item.lines - (item.envelope == "csv_export")  # without its head
        known = any(lines in limits for limits in asked) or (asked and _ROUND.match(str(lines)))
        if known or _ROUNDER.match(str(lines)):
            what = f"exactly {lines:,} lines, as if it was cut at that number"
            yield LimitNote(what, "what came before or after these lines", item.path, bars=bool(known))


def _rotated(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    """Files of a rotated set that are not there, though older ones are."""
    paths = {item.path for item in inputs}
    sets: dict[str, set[int]] = {}
    for found in filter(None, map(_NUMBERED.match, sorted(paths))):
        sets.setdefault(found[1], set()).add(int(found[2]))
    for base, numbers in sorted(sets.items()):
        first = 1 if any(base + end in paths for end in ("", ".gz", ".zst", ".bz2", ".xz")) else min(numbers)
        missing = sorted(set(range(first, max(numbers))) - numbers)
        if missing and len(missing) <= len(numbers):
            names = ", ".join(f".{number}" for number in missing)
            what = f"of the rotated files of {base} these are missing: {names}"
            yield LimitNote(what, "what happened in their time; counts and rates of it", base, bars=True)


def _earlier_runs(inputs: Sequence[InputReport]) -> Iterator[LimitNote]:
    """A container's N.log is of its N-th restart; kubelet keeps two."""
    runs: dict[str, set[int]] = {}
    for found in filter(None, (_RUN.match(item.path.replace("!", "/")) for item in inputs)):
        runs.setdefault(found[1], set()).add(int(found[2]))
    gone = [folder for folder, numbers in sorted(runs.items()) if min(numbers) > 0]
    if gone:
        what = "the logs of earlier runs of the container are not there"
        yield LimitNote(what, "what happened before its last restarts", _several(gone))


def _levels(inputs: Sequence[InputReport], models: Sequence[ModelRow]) -> Iterator[LimitNote]:
    """Inputs that begin with warnings and errors alone, and have hardly any events."""
    high = [
        item.path
        for item in inputs
        if item.signs.get(LEVELS, 0) >= DEFAULT.level_lines
        and not item.signs.get(LOW)
        and item.events < DEFAULT.level_events * item.lines
    ]
    if high:
        blocks = "lookups, loads and restarts that are logged at lower levels"
        what = "nothing below WARNING is logged"
        yield LimitNote(what, blocks, _several(high), bars=not any(row.lookups for row in models))


def _no_lookups(models: Sequence[ModelRow], frames: Frames | None) -> Iterator[LimitNote]:
    if frames is not None and not any(row.lookups for row in models):
        yield LimitNote("no lookups in these logs", "miss rates, miss-rate-shift, what an incident cost")


def _only_misses(models: Sequence[ModelRow]) -> Iterator[LimitNote]:
    caches = sorted({row.cache for row in models if row.lookups is None and row.misses})
    rated = any(row.lookups for row in models)
    for cache in caches:
        what = f"of the cache {cache!r} only misses are logged"
        yield LimitNote(what, "its miss rate", bars=not rated)


def _no_version(models: Sequence[ModelRow], frames: Frames | None) -> Iterator[LimitNote]:
    """Models of which no line names a version."""
    if frames is None:
        return
    known = set(frames.order["model"].to_list())
    asked = sorted({row.model for row in models if row.lookups or row.misses})
    if without := [model for model in asked if model not in known]:
        named = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        blocks = "version-regression, version-skew, stuck-rollout and all that depends on versions"
        yield LimitNote(f"no line names a version of {named}", blocks, bars=not known)


def _no_order(frames: Frames | None) -> Iterator[LimitNote]:
    if frames is None or frames.order.is_empty():
        return
    several = frames.order.group_by("model").agg(
        versions=pl.len(),
        unknown=(pl.col("basis") == "unknown").any(),
        observed=(pl.col("basis") == "observed").any(),
        unnamed=pl.col("version").filter((pl.col("basis") == "declared") & pl.col("ord").is_null()).sort(),
    )
    for model, _, unknown, observed, unnamed in several.filter(pl.col("versions") > 1).sort("model").iter_rows():
        if unknown:
            what = f"which version of {model} is newer is not known"
            yield LimitNote(what, "version-regression of this model", model, bars=True)
        elif observed:
            what = f"the labels of {model} have no order; newer means seen later in this log"
            yield LimitNote(what, "a regression that began before the log", model)
        if unnamed:
            what = f"the order that was given has not {', '.join(unnamed[:3])}{' ...' * (len(unnamed) > 3)} of {model}"
            yield LimitNote(what, "version-regression to and from these versions", model, bars=True)


def _no_loads(frames: Frames | None) -> Iterator[LimitNote]:
    if frames is None or frames.levels.is_empty():
        return
    served = frames.levels.group_by("model").agg((pl.col("observed") == "lookup").all().alias("only"))
    names = served.filter("only").sort("model")["model"].to_list()
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield LimitNote(f"no load lines for {shown}", "when a version was loaded; versions are known from lookups only")


def _wide(frames: Frames | None) -> Iterator[LimitNote]:
    """Over weeks windows are wide; closer looks (closer.py) are at what stands out of all replicas of a model."""
    if frames is not None and frames.base >= _WIDE:
        days, minutes = (frames.end - frames.start).days, frames.base // timedelta(minutes=1)
        what = (
            f"over {days:,} days, miss rates are looked at in windows of {minutes:,} minutes at least, and closely"
            " where a model missed far more for half an hour to four hours"
        )
        yield LimitNote(what, "what was shorter, or on few replicas only; --since and --until narrow the period")


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
