"""A saved report against one that was recomputed from the raw lines: every figure, by name, was and is.

The recomputed report has gone through JSON as well, so that both are rounded alike. Findings are matched by their
fingerprint, inputs by their path below the folder that holds all of them: logs may have been moved. What an analysis of
another version of cachelog says otherwise is said, too; that the version differs is for the caller to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import PurePath

from cachelog.contract.finding import Evidence, Finding, Number, Report
from cachelog.contract.verified import Difference, Verified

_NONE = "none"  # what is said of the side that lacks a record
_LINE_KEYS = ("path", "line", "role")


Texts = Mapping[tuple[str, int], str]  # raw text by input and line


def moved(then: Sequence[str], now: Sequence[str]) -> dict[str, str]:
    """Return, by its path in the saved report, the path of each input that is there now."""
    there = {short: path for path, short in _below(now).items()}
    found = {path: path if path in now else there.get(short) for path, short in _below(then).items()}
    return {path: place for path, place in found.items() if place is not None}


def _below(paths: Sequence[str]) -> dict[str, str]:
    """Return paths without the folders that they have in common."""
    parts = [PurePath(path).parts for path in paths]
    levels = enumerate(zip(*(part[:-1] for part in parts), strict=False))
    same = next((at for at, names in levels if len(set(names)) > 1), min((len(p) - 1 for p in parts), default=0))
    return {path: "/".join(part[same:]) for path, part in zip(paths, parts, strict=True)}


def renamed(report: Report, paths: Mapping[str, str]) -> Report:
    """Return a report with its inputs under other names."""
    inputs = tuple(replace(item, path=paths.get(item.path, item.path)) for item in report.inputs)
    limits = tuple(replace(n, where=None if n.where is None else _named_in(n.where, paths)) for n in report.limits)
    findings = tuple(
        replace(f, evidence=tuple(replace(e, path=paths.get(e.path, e.path)) for e in f.evidence))
        for f in report.findings
    )
    return replace(report, inputs=inputs, limits=limits, findings=findings)


def _named_in(where: str, paths: Mapping[str, str]) -> str:
    """Put the other name for a path that a note begins with: "a.log and 3 more"."""
    first, rest, more = where.partition(" and ")
    return paths.get(where) or (paths[first] + rest + more if first in paths else where)


def compared(saved: Report, recomputed: Report, texts: Texts) -> Verified:
    """Compare reports whose inputs have the same names; `texts`: the cited lines of the saved one, as they are now."""
    count = Count()
    found = [*_whole(saved, recomputed, count), *_models(saved, recomputed, count)]
    found += _findings(_by_mark(saved), _by_mark(recomputed), texts, count)
    return Verified(count.figures, count.lines, tuple(sorted(found, key=_behind)))


def _behind(item: Difference) -> int:
    """Put what others come of before them: lines that changed, then inputs, then figures."""
    return 0 if item.line else 1 if item.where.startswith("input ") else 2


@dataclass(slots=True)
class Count:
    """How much was compared; it grows."""

    figures: int = 0
    lines: int = 0


def _whole(saved: Report, recomputed: Report, count: Count) -> Iterator[Difference]:
    for name in ("partial", "start", "end"):
        yield from _field("the report", name, getattr(saved, name), getattr(recomputed, name), count)
    then, now = ({i.path: i for i in report.inputs} for report in (saved, recomputed))
    yield from _records("input", then, now, count, skip=("path", "note", "unread"))
    said, says = ([(n.what, n.blocks, n.where) for n in report.limits] for report in (saved, recomputed))
    count.figures += len(said)
    for note in (n for n in said if n not in says):
        yield Difference("the report", "limits", note[0], _NONE)
    for note in (n for n in says if n not in said):
        yield Difference("the report", "limits", _NONE, note[0])


def _models(saved: Report, recomputed: Report, count: Count) -> Iterator[Difference]:
    rows = [{f"{m.model} in cache {m.cache}": m for m in report.models} for report in (saved, recomputed)]
    yield from _records("model", rows[0], rows[1], count, skip=("versions", "trend"))
    for name in (n for n in rows[0] if n in rows[1]):
        then, now = ({v.version: v for v in side[name].versions} for side in rows)
        yield from _records(f"model {name}: version", then, now, count)


def _records(
    kind: str, then: Mapping[str, object], now: Mapping[str, object], count: Count, skip: Sequence[str] = ()
) -> Iterator[Difference]:
    """Compare records of one kind, by name."""
    for name in (n for n in then if n not in now):
        yield Difference(f"{kind} {name}", "", "in the report", _NONE)
    for name in (n for n in now if n not in then):
        yield Difference(f"{kind} {name}", "", _NONE, "in the logs")
    for name in (n for n in then if n in now):
        yield from _record(f"{kind} {name}", then[name], now[name], count, skip)


def _record(where: str, then: object, now: object, count: Count, skip: Sequence[str] = ()) -> Iterator[Difference]:
    assert is_dataclass(then)
    for name in (f.name for f in fields(then) if f.name not in skip):
        yield from _field(where, name, getattr(then, name), getattr(now, name), count)


def _field(where: str, name: str, then: object, now: object, count: Count) -> Iterator[Difference]:
    """Compare one field, of maps, records and lists of records each figure."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*then, *now)):
            yield from _field(where, f"{name}.{key}", then.get(key), now.get(key), count)
    elif is_dataclass(then) and type(then) is type(now):
        for part in fields(then):
            yield from _field(where, f"{name}.{part.name}", getattr(then, part.name), getattr(now, part.name), count)
    elif isinstance(then, tuple) and isinstance(now, tuple) and len(then) == len(now) and _are_records(then):
        for at, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _field(where, f"{name}[{at}]", one, other, count)
    else:
        count.figures += 1
        if (was := _shown(then)) != (is_ := _shown(now)):
            yield Difference(where, name, was, is_)


def _are_records(values: tuple[object, ...]) -> bool:
    return all(is_dataclass(value) for value in values)


def _shown(value: object) -> Number:
    """Return a value as the JSON report writes it, lists in a line."""
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return ", ".join(str(_shown(getattr(item, "cause", item))) for item in value)
    return str(value)


def _by_mark(report: Report) -> dict[str, Finding]:
    """Return findings by fingerprint, with those they name by fingerprint too: ids follow the rank."""
    marks = {f.id: f"{f.rule} of {f.model or 'the fleet'} [{f.fingerprint}]" for f in report.findings}
    return {f.fingerprint: _marked(f, marks) for f in report.findings}


def _marked(finding: Finding, marks: Mapping[str, str]) -> Finding:
    causes = tuple(replace(c, finding=marks.get(c.finding, c.finding)) for c in finding.causes)
    return replace(finding, causes=causes, caused_by=marks.get(finding.caused_by or "", finding.caused_by))


def _findings(
    then: Mapping[str, Finding], now: Mapping[str, Finding], texts: Texts, count: Count
) -> Iterator[Difference]:
    """Compare findings; ranks only where the findings are the same ones."""
    skip = ("evidence", "fingerprint") + (() if set(then) == set(now) else ("id",))
    for mark, finding in then.items():
        yield from _lines(finding, now.get(mark), texts, count)
        if mark in now:
            yield from _record(_where(finding), finding, now[mark], count, skip)
        else:
            yield Difference(_where(finding), "", "in the report", _NONE)
    for mark, finding in now.items():
        if mark not in then:
            yield Difference(_where(replace(finding, id="")), "", _NONE, "in the logs")


def _where(finding: Finding) -> str:
    of = f" of {finding.model}" if finding.model else ""
    return f"finding {finding.id} ({finding.rule}{of})" if finding.id else f"a finding ({finding.rule}{of})"


def _lines(finding: Finding, again: Finding | None, texts: Texts, count: Count) -> Iterator[Difference]:
    """Compare the cited lines: what they say by reading them, their times and that they are cited by the finding."""
    cited = {_line_key(e): e for e in again.evidence} if again else {}
    for item in finding.evidence:
        count.lines += 1
        where = f"{_where(finding)}, line {item.path}:{item.line} ({item.role})"
        same = cited.get(_line_key(item))
        text = texts.get((item.path, item.line), same.text if same else None)
        if text != item.text:
            yield Difference(where, "text", item.text, _NONE if text is None else text, f"{item.path}:{item.line}")
        if same and same.time != item.time:
            yield Difference(where, "time", _shown(item.time), _shown(same.time))
        if again and not same:
            yield Difference(where, "evidence", "cited", "not cited")
    known = {_line_key(e) for e in finding.evidence}
    for key, item in cited.items():
        if key not in known:
            where = f"{_where(finding)}, line {item.path}:{item.line} ({item.role})"
            yield Difference(where, "evidence", "not cited", "cited")


def _line_key(item: Evidence) -> tuple[object, ...]:
    return tuple(getattr(item, name) for name in _LINE_KEYS)
