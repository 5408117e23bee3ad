"""Patient zero (NOVEL 10): the line from which on replicas differ, and what these logged before it and others did not.

Compared are the lines right before the load of the older version with those right before the same step of replicas that
kept the newer one: a template that all of the first have and none of the others, or a value in which each side is of
one mind, and they are not of the same. Lines that are events are known already and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from cachelog.contract.events import Events
from cachelog.contract.finding import Evidence, Finding
from cachelog.contract.limits import Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import listed, replicas

_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?"  # ISO 8601
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?"
    r"|\b[A-Z][a-z]{2} [ \d]\d(?= \d\d:)"  # syslog
    r"|\b\d{10,19}(?:\.\d+)?\b"  # epoch
)
_BETWEEN = re.compile(r"[\s\"'=:,;(){}\[\]<>|]+")
_DIGIT = re.compile(r"\d")
VALUE = "*"

RULE = "version-regression"
PATIENT_ZERO = "patient-zero"
_ROLE = "logged before it, and not by the others"
_TOLD = 2  # lines
_WIDTH = 100  # characters of a line in a sentence

Texts = Mapping[tuple[int, int], str]  # by source and line
Reader = Callable[[Mapping[int, Sequence[int]]], Texts]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a replica: where it loaded what it has."""

    replica: str
    source: int
    line: int
    own: bool  # its file holds lines of no other replica


@dataclass(frozen=True, slots=True)
class Odd:
    """A line that only the replicas of one side logged."""

    place: Place
    line: int
    text: str
    instead: str  # what the others have in its place, "" for nothing


@dataclass(frozen=True, slots=True)
class Line:
    """The words of a line, VALUE in place of each value, and the values in their order."""

    template: tuple[str, ...]
    values: tuple[str, ...]


def read(text: str, own: str = "") -> Line:
    """Return a line as template and values; times are left out, and `own`, a name as the replica's, is no value."""
    plain = text.replace(own, " ") if own else text
    words = [word for word in _BETWEEN.split(_TIMES.sub(" ", plain)) if word]
    kept = tuple(VALUE if _DIGIT.search(word) else word for word in words)
    return Line(kept, tuple(word for word in words if _DIGIT.search(word)))


def traced(
    findings: Sequence[Finding], reader: Reader, known: tuple[Events, Frames], limits: Limits
) -> list[Finding]:  # fmt: skip
    """Return the findings, regressions with their patient zero where lines of loads show it."""
    few = {f.fingerprint for f in [f for f in findings if f.rule == RULE][: limits.traced]}
    return [_traced(f, reader, *known, limits) if f.fingerprint in few else f for f in findings]


def _traced(finding: Finding, reader: Reader, events: Events, frames: Frames, limits: Limits) -> Finding:
    odd, even = _places(finding, frames, limits)
    if not odd or len(odd) + len(even) < 2:
        return finding
    zero = odd[0]
    found = [Evidence(zero.source, zero.line, _time(zero, frames), PATIENT_ZERO)]
    lines = _differing(_windows(odd, reader, events, limits), _windows(even, reader, events, limits))
    found += [Evidence(one.place.source, one.line, None, _ROLE) for one in lines]
    steps = [_step(one, finding, len(even)) for one in lines]
    return replace(finding, evidence=(*finding.evidence, *found), next_steps=(*steps, *finding.next_steps))


def _places(finding: Finding, frames: Frames, limits: Limits) -> tuple[list[Place], list[Place]]:
    """Return where replicas loaded the older version, the first one first, and where others were at the same step.

    That is a load of the newer version; after a start of the process, if the older one was: starts log much themselves.
    """
    loads = _loads(finding, frames, limits)
    mine = pl.col("replica").is_in(list(finding.replicas))
    since = (pl.col("ts") >= finding.start) & (pl.col("version") == finding.version_to)
    older = loads.filter(mine & since).unique("replica", keep="first", maintain_order=True)
    if older.is_empty():
        return [], []
    others = loads.filter(~mine & (pl.col("started") == older["started"][0]))
    newer = others.sort(pl.col("version") == finding.version_from, "ts", "source", "line", nulls_last=False)
    newer = newer.unique("replica", keep="last", maintain_order=True).sort("replica")
    files = dict(frames.changes.drop_nulls("replica").group_by("source").agg(pl.col("replica").n_unique()).iter_rows())
    one, other = (rows.head(limits.traced_replicas).select("replica", "source", "line") for rows in (older, newer))
    return _placed(one, files), _placed(other, files)


def _placed(rows: pl.DataFrame, files: Mapping[int, int]) -> list[Place]:
    return [Place(replica, source, line, files.get(source, 0) < 2) for replica, source, line in rows.iter_rows()]


def _loads(finding: Finding, frames: Frames, limits: Limits) -> pl.DataFrame:
    """Return the loads of the model, and whether the process had started shortly before, by time."""
    rows = frames.changes.drop_nulls("replica").select("ts", "source", "line", "replica", "op", "model", "version")
    boots = rows.filter(pl.col("op") == "restart").select("replica", "ts", boot="ts")
    loads = rows.filter((pl.col("op") == "load") & (pl.col("model") == finding.model))
    near = timedelta(seconds=limits.restart_before_s)
    told = loads.join_asof(boots, on="ts", by="replica", tolerance=near, check_sortedness=False)
    return told.with_columns(started=pl.col("boot").is_not_null())


def _windows(places: Sequence[Place], reader: Reader, events: Events, limits: Limits) -> dict[Place, dict[int, str]]:
    """Return the lines before each place that are of its replica and no events."""
    wanted: dict[int, list[int]] = {}
    for place in places:
        wanted.setdefault(place.source, []).extend(range(max(1, place.line - limits.traced_lines), place.line))
    texts = reader(wanted)
    told = _events(wanted, events)
    return {place: _window(place, texts, told, limits) for place in places}


def _window(place: Place, texts: Texts, told: frozenset[tuple[int, int]], limits: Limits) -> dict[int, str]:
    near = range(max(1, place.line - limits.traced_lines), place.line)
    lines = {n: texts.get((place.source, n), "") for n in near if (place.source, n) not in told}
    return {n: text for n, text in lines.items() if text and (place.own or place.replica in text)}


def _events(wanted: Mapping[int, Sequence[int]], events: Events) -> frozenset[tuple[int, int]]:
    """Return which of the lines are lookups and the like."""
    told = [(source, line) for source, lines in wanted.items() for line in lines]
    asked = pl.DataFrame(told, schema={"source": pl.UInt32, "line": pl.UInt64}, orient="row").unique()
    rows = (part.rows.lazy().select("source", "line") for part in events.parts)
    found = (part.join(asked.lazy(), on=["source", "line"], how="semi").collect() for part in rows)
    return frozenset(row for part in found for row in part.iter_rows())


def _differing(odd: Mapping[Place, Mapping[int, str]], even: Mapping[Place, Mapping[int, str]]) -> list[Odd]:
    """Return the first lines of the first replica that all of its side have in this form, and none of the others."""
    if len(even) < 2 or len(odd) + len(even) < 4:
        return []  # of so few each logs something of its own
    mine, theirs = ([_read(place, lines) for place, lines in side.items()] for side in (odd, even))
    place, lines = next(iter(odd.items()))
    found: list[Odd] = []
    for number, text in lines.items():
        line = read(text, place.replica)
        instead = _instead(line, mine, theirs)
        if instead is not None and line.template not in {read(one.text, place.replica).template for one in found}:
            found.append(Odd(place, number, text, instead))
    return found[-_TOLD:]


_Forms = Mapping[tuple[str, ...], list[tuple[str, ...]]]  # values by template


def _read(place: Place, lines: Mapping[int, str]) -> _Forms:
    found: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for text in lines.values():
        line = read(text, place.replica)
        found.setdefault(line.template, []).append(line.values)
    return found


def _instead(line: Line, mine: Sequence[_Forms], theirs: Sequence[_Forms]) -> str | None:
    """Return None where the others may have logged it too, else the values that they have in its place."""
    if not line.template or not all(line.template in forms for forms in mine):
        return None
    if not any(line.template in forms for forms in theirs):
        return ""
    if len(mine) < 2 or not all(line.template in forms for forms in theirs):
        return None
    here, there = (_agreed(side, line.template) for side in (mine, theirs))
    apart = [b for a, b in zip(here, there, strict=True) if a and b and a != b]
    return ", ".join(apart) if apart else None


def _agreed(side: Sequence[_Forms], template: tuple[str, ...]) -> list[str]:
    """Return, for each value of a template, the one that all of a side have, "" where they differ."""
    rows: Iterable[tuple[str, ...]] = (values for forms in side for values in forms[template])
    return [column[0] if len(set(column)) == 1 else "" for column in zip(*rows, strict=True)]


def _time(place: Place, frames: Frames) -> datetime | None:
    at = frames.changes.filter((pl.col("source") == place.source) & (pl.col("line") == place.line))["ts"]
    return at[0] if len(at) else None


def _step(one: Odd, finding: Finding, others: int) -> str:
    text = one.text.strip()
    said = text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
    what = f"have {one.instead} there" if one.instead else "did not log the like before theirs"
    who = f"{replicas(others)} that kept {finding.version_from} {what}"
    return f"see why {listed(finding.replicas)} logged before it: {said} ({who})"
