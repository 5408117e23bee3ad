"""What every renderer says in the same way: hostile text made printable, figures, stories and the verdict."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cachelog.contract.finding import Evidence, Finding, InputReport, ModelRow, Number, Report, Severity
from cachelog.contract.verdict import Setting
from cachelog.contract.wording import lasting, percent

# -- hostile text ---------------------------------------------------------------------------------------

#: Characters that Unicode calls printable although nothing is seen of them, and selectors that change widths.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(map(chr, range(0xFE00, 0xFE10)))
_MARKS = 2  # more combining marks than this on one letter climb into the lines around it
_SENTENCE = 1_200  # characters of a verdict: a title is made of names that a log gives
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def printable(text: str, *, ascii_only: bool = False) -> str:
    r"""Return `text` on one line with every character seen: controls, bidi and zero-width ones become \x1b, \u202e.

    Letters of every script, wide characters and emoji stay as they are unless `ascii_only`.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(_shown(text))
    return shown.encode("ascii", "backslashreplace").decode() if ascii_only else shown


def _shown(text: str) -> Iterator[str]:
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        hidden = char in _UNSEEN or marks > _MARKS or not char.isprintable()
        yield _escape(char) if hidden else char


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return _NAMED.get(char) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def log_line(text: str, *, ascii_only: bool = False) -> str:
    """Return a raw log line as `printable` does, but without its colours and with tabs as blanks."""
    return printable(_COLOUR.sub("", text).replace("\t", "  ").strip(), ascii_only=ascii_only)


def short(text: str, most: int) -> str:
    """Return `text` as `printable` does, its middle left out where it takes more than `most` characters."""
    shown = printable(text[:most] + text[-most:] if len(text) > 2 * most else text)
    return shown if len(shown) <= most else shown[: most // 2] + "…" + shown[-(most - most // 2 - 1) :]


def quoted(item: Evidence, most: int = 400) -> str:
    """Return a cited line on one line: where it stands, what it shows, and its text."""
    said = f"{short(item.path, 200)}:{item.line} {short(item.role, 100)}"
    return f"{said}: {short(log_line(item.text), most)}" if item.text else said


# -- figures --------------------------------------------------------------------------------------------


def many(value: float, one: str, more: str | None = None) -> str:
    """Return a number with its noun: "1 finding", "1,204 lookups"."""
    return f"{round(value):,} {one if round(value) == 1 else more or one + 's'}"


def rate(value: float, low: float | None, high: float | None) -> str:
    """Return a share with its interval: 31.9 % (30.2 to 33.6)."""
    if low is None or high is None:
        return percent(value)
    return f"{percent(value)} ({100 * low:.1f} to {100 * high:.1f})"


def size(octets: int) -> str:
    """Return a number of bytes in decimal units."""
    value, unit = float(octets), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def moment(time: datetime, since: datetime | None = None) -> str:
    """Return a time in UTC to the second, without its date where that is the one of `since`."""
    utc = time.astimezone(UTC)
    same_day = since is not None and since.astimezone(UTC).date() == utc.date()
    return f"{utc:%H:%M:%S}" if same_day else f"{utc:%Y-%m-%d %H:%M:%S}"


def span(start: datetime, end: datetime) -> str:
    """Return a period: 2026-11-23 15:09:56 to 15:40:00 UTC (30 min)."""
    return f"{moment(start)} to {moment(end, start)} UTC ({lasting((end - start).total_seconds())})"


def figure(name: str, value: Number) -> str:
    """Return one of a finding's numbers; its name tells the unit: shares as per cent, differences as points."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    words = set(name.split("_"))
    if words & {"rate", "share"}:
        return percent(value)
    if words & {"difference", "shift"}:
        return f"{100 * value:+.1f} points"
    if "seconds" in words:
        return lasting(value) if value >= 60 else f"{value:,g} s"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


_RATES = ("rate_before", "rate_first", "rate_after", "rate_later")


def rates(numbers: Mapping[str, Number]) -> list[str]:
    """Return the miss rates of a finding in order of time, each with its interval where there is one."""
    found = [(name, numbers.get(name)) for name in _RATES]
    return [
        rate(value, _share(numbers.get(f"{name}_low")), _share(numbers.get(f"{name}_high")))
        for name, value in found
        if isinstance(value, float | int)
    ]


def _share(value: Number) -> float | None:
    return value if isinstance(value, float | int) else None


# -- stories --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """A finding with all that follows from it, directly or not, in rank order."""

    cause: Finding
    effects: tuple[Finding, ...] = ()


def stories(findings: Sequence[Finding]) -> tuple[Story, ...]:
    """Return one story for each finding that no other one explains, in rank order: a cause and its effects are one."""
    by_id = {f.id: f for f in findings}
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(_root(finding, by_id).id, []).append(finding)
    return tuple(Story(by_id[root], tuple(f for f in members if f.id != root)) for root, members in found.items())


def _root(finding: Finding, by_id: Mapping[str, Finding]) -> Finding:
    """Follow the causes up; findings that explain one another in a circle are told by the best ranked of them."""
    path = [finding.id]
    while (cause := by_id.get(by_id[path[-1]].caused_by or "")) and cause.id not in path:
        path.append(cause.id)
    if not cause:
        return by_id[path[-1]]
    circle = path[path.index(cause.id) :]
    return next(f for name, f in by_id.items() if name in circle)


def verdict(report: Report) -> str:
    """Return the whole report in one sentence: the worst story, or what was looked at and found to be in order."""
    told = stories(report.findings)
    if told and told[0].cause.severity > Severity.INFO:
        return _worst(told, report.end)
    events = sum(i.events for i in report.inputs)
    if events and report.start is None:
        asked = "the time, the models and the replicas asked for"
        return f"Nothing to judge: none of the {many(events, 'event')} is of {asked}."
    if report.start is None:
        return f"Nothing to judge: no lookups and no model events in {looked_at(report)}."
    if report.hidden:
        return f"Nothing to show: {many(report.hidden, 'finding')} left out as asked, in {looked_at(report)}."
    return f"Nothing wrong found in {looked_at(report)}."


def when(finding: Finding) -> str:
    """Return start, length and the interval of the onset."""
    if finding.start is None:
        return ""
    said = f"{moment(finding.start)} UTC"
    if finding.end and finding.end > finding.start:
        said += f", for {lasting((finding.end - finding.start).total_seconds())}"
    said += ", ongoing at the end of the logs" if finding.ongoing else ""
    low, high = finding.onset_low, finding.onset_high
    if low and high and (high - low).total_seconds() >= 1:
        said += f"; began between {moment(low, finding.start)} and {moment(high, finding.start)}"
    return said


def headline(report: Report, setting: Setting) -> str:
    """Return the verdict of `check` where there is one, else that of the report; safe to print."""
    return short(setting.verdict.said if setting.verdict else verdict(report), _SENTENCE)


def _worst(told: Sequence[Story], end: datetime | None) -> str:
    cause = told[0].cause
    since = f" {'since' if cause.ongoing else 'at'} {moment(cause.start, end)} UTC" if cause.start else ""
    cost = explained(told[0]) or harm(cause)
    return cause.title.rstrip(".") + since + (f"; {cost}" if cost else "") + "."


def explained(story: Story) -> str:
    """Return how much of the extra misses of its effects a cause explains, "" where that is not known."""
    parts: dict[tuple[str | None, str | None], tuple[float, float]] = {}
    for effect in story.effects:
        for cause in effect.causes:
            if cause.finding == story.cause.id and cause.share is not None and effect.impact.excess_misses:
                # several effects on one cache count the same misses: only the largest of them is a sum
                place, part = (effect.model, effect.cache), (effect.impact.excess_misses, cause.share)
                parts[place] = max(parts.get(place, part), part)
    total = sum(misses for misses, _ in parts.values())
    if total <= 0:
        return ""
    part_of = sum(misses * share for misses, share in parts.values()) / total
    return f"it explains {100 * part_of:.0f} % of {many(total, 'extra miss', 'extra misses')}"


def harm(finding: Finding) -> str:
    """Return what a finding cost in lookups, "" where nothing is proven."""
    impact = finding.impact
    parts: list[str] = []
    if impact.stale_served:
        of = f" of {impact.lookups:,}" if impact.lookups else ""
        parts.append(f"{impact.stale_served:,}{of} lookups answered by {_stale(finding)}")
    if extra := extra_misses(finding):
        parts.append(extra)
    return ", ".join(parts)


def _stale(finding: Finding) -> str:
    """Return the version that should not have answered: of a rollout that stopped, the one it comes from."""
    version = finding.version_from if finding.rule == "stuck-rollout" else finding.version_to
    return version or "what was stale"


def extra_misses(finding: Finding) -> str:
    """Return the extra misses with their lower bound where chance does not explain them, else ""."""
    impact = finding.impact
    if impact.excess_misses is None or impact.excess_misses <= 0:
        return ""
    if impact.excess_misses_low is None:
        return many(impact.excess_misses, "extra miss", "extra misses")
    if impact.excess_misses_low <= 0:
        return ""
    return many(impact.excess_misses, "extra miss", "extra misses") + f" (at least {impact.excess_misses_low:,.0f})"


def looked_at(report: Report, *, period: bool = True) -> str:
    """Return what was read: "1,204 lookups of 3 models on 5 replicas in 42 min"."""
    lookups = sum(row.lookups or 0 for row in report.models)
    if not report.models:
        return f"{many(sum(i.lines for i in report.inputs), 'line')} of {many(len(report.inputs), 'input')}"
    told = f"{many(lookups, 'lookup')} of " if lookups else "the loads of "
    told += many(len({row.model for row in report.models}), "model")
    told += f" on {many(len(replicas_of(report.models)), 'replica')}"
    if period and report.start and report.end:
        told += f" in {lasting((report.end - report.start).total_seconds())}"
    return told


def books(inputs: Sequence[InputReport]) -> str:
    """Return the sums of reading: every line is in one of the five places."""
    kept = {name: sum(getattr(i, name) for i in inputs) for name in ("events", "quiet", "joined", "unclaimed", "bad")}
    total = sum(i.lines for i in inputs)
    parts = [f"{number:,} {name}" for name, number in kept.items() if number or name == "events"]
    what = f"{many(len(inputs), 'input')}, {size(sum(i.bytes for i in inputs))}"
    return f"{what}: {many(total, 'line')} = {' + '.join(parts)}"


def replicas_of(models: Sequence[ModelRow]) -> list[str]:
    """Return the names of all replicas that these models ran on."""
    return sorted({name for row in models for version in row.versions for name in version.replicas})


def by_severity(findings: Sequence[Finding]) -> str:
    """Return how many findings there are of each severity, the worst first: "1 critical, 2 info"."""
    counts = {level: sum(f.severity is level for f in findings) for level in sorted(Severity, reverse=True)}
    return ", ".join(f"{number:,} {level.word}" for level, number in counts.items() if number)
