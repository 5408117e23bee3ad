"""The report as metrics in Prometheus' text format, for the textfile collector of node_exporter.

Gauges all of them, for they describe the period of the logs and not a process; no timestamps on samples, as the
collector wants. Labels are bounded: the models with the most misses by name, all others together as `_other`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cachelog.contract.finding import Finding, ModelRow, Report, Severity
from cachelog.contract.standing import Told
from cachelog.contract.verdict import NOTHING, Outcome, Setting
from cachelog.render import text

_ROWS = 200  # models in their caches, by name
_OTHER = "_other"
_LABEL = 120  # characters of a label's value
_STATES = ("events", "quiet", "joined", "unclaimed", "bad")

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]
Family = tuple[str, str, Sequence[Sample]]


@dataclass(frozen=True)
class _Sums:
    """Counts of one model, or of all that are not named; None where they are not logged."""

    lookups: int | None
    misses: int
    stale: int
    versions: int
    causes: Mapping[str, int]


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the metrics, in a fixed order."""
    families = (*_run(report, setting), *_findings(report.findings), *_models(report))
    return "".join(_family(name, meaning, samples) for name, meaning, samples in families)


def _family(name: str, meaning: str, samples: Sequence[Sample]) -> str:
    lines = [f"cachelog_{name}{_labels(labels)} {_value(value)}\n" for labels, value in samples]
    return f"# HELP cachelog_{name} {meaning}\n# TYPE cachelog_{name} gauge\n{''.join(lines)}" if lines else ""


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _value(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(round(value, 6) + 0.0)


def _run(report: Report, setting: Setting) -> Iterator[Family]:
    version = text.short(report.tool["version"], _LABEL)
    yield "build_info", "Version of cachelog that wrote this.", [((("version", version),), 1)]
    lines = [((("state", state),), sum(getattr(item, state) for item in report.inputs)) for state in _STATES]
    yield "inputs", "Log files read.", [((), len(report.inputs))]
    yield "input_bytes", "Bytes of log read.", [((), sum(item.bytes for item in report.inputs))]
    yield "input_lines", "Lines of log by how they were read.", lines
    for name, time in (("start", report.start), ("end", report.end)):
        samples = [((), time.timestamp())] if time else []
        yield f"logs_{name}_timestamp_seconds", f"Time of the {'first' if name == 'start' else 'last'} event.", samples
    yield "partial", "1 if reading was interrupted.", [((), int(report.partial))]
    yield "rule_errors", "Rules that failed, so that their findings are missing.", [((), len(report.errors))]
    if verdict := setting.verdict:
        outcomes = [((("verdict", outcome.value),), int(outcome is verdict.outcome)) for outcome in Outcome]
        yield "check_verdict", "1 for the verdict of cachelog check.", outcomes
    if setting.told:
        yield from _itself(setting.told)


def _itself(told: Told) -> Iterator[Family]:
    """Show that cachelog report ran, and had input."""
    run, news = told.run, told.news
    yield "last_run_timestamp_seconds", "When cachelog report last ran.", [((), run.at.timestamp())]
    yield "last_run_seconds", "How long that took.", [((), run.seconds)]
    yield "last_run_input_lines", "Lines of log that were new to it.", [((), run.lines)]
    yield "last_run_input_bytes", "Bytes of log that were new to it.", [((), run.bytes)]
    counts = {"new": news.new, "worse": news.worse, "known": news.known, "resolved": news.resolved}
    standings = [((("standing", standing),), len(found)) for standing, found in counts.items()]
    yield "findings_by_standing", "Findings by how they stand to the run before.", standings


def _findings(findings: Sequence[Finding]) -> Iterator[Family]:
    levels = [((("severity", level.word),), sum(f.severity is level for f in findings)) for level in Severity]
    yield "findings_by_severity", "Findings of each severity.", levels
    found = Counter((f.rule, f.severity) for f in findings)
    rules = [((("rule", rule), ("severity", level.word)), number) for (rule, level), number in sorted(found.items())]
    yield "findings", "Findings of each rule and severity that there are.", rules


def _models(report: Report) -> Iterator[Family]:
    groups = sorted(_grouped(report.models).items())
    known = [(labels, sums, sums.lookups) for labels, sums in groups if sums.lookups is not None]
    yield "model_lookups", "Lookups: hits, misses and stale.", [(labels, lookups) for labels, _, lookups in known]
    causes = [((*labels, ("cause", c)), n) for labels, sums in groups for c, n in sorted(sums.causes.items())]
    yield "model_misses", "Misses by what caused them.", causes
    ratios = [(labels, sums.misses / lookups) for labels, sums, lookups in known if lookups]
    yield "model_miss_ratio", "Share of the lookups that missed.", ratios
    yield "model_stale", "Lookups answered by a stale entry.", [(labels, sums.stale) for labels, sums in groups]
    yield "model_versions", "Versions seen.", [(labels, sums.versions) for labels, sums in groups]
    regressed = Counter(f.model or "" for f in report.findings if f.rule == "version-regression")
    known_models = {model for model, _ in _named(report.models)}
    told: Counter[str] = Counter()
    for model, number in regressed.items():
        told[text.short(model, _LABEL) if model in known_models else _OTHER] += number
    samples: Sequence[Sample] = [((("model", model),), number) for model, number in sorted(told.items())]
    yield "version_regressions", "Findings of an older version loaded after a newer one.", samples


def _named(models: Sequence[ModelRow]) -> set[tuple[str, str]]:
    """Return model and cache of the rows that keep their names."""
    best = sorted(models, key=lambda row: (-row.misses, -(row.lookups or 0), row.model, row.cache))
    return {(row.model, row.cache) for row in best[:_ROWS]}


def _grouped(models: Sequence[ModelRow]) -> dict[Labels, _Sums]:
    """Sum the rows that have the same labels: names may differ only in what no label shows."""
    named = _named(models)
    rows: dict[Labels, list[ModelRow]] = {}
    for row in models:
        known = (row.model, row.cache) in named
        model, cache = (text.short(row.model, _LABEL), text.short(row.cache, _LABEL)) if known else (_OTHER, _OTHER)
        rows.setdefault((("model", model), ("cache", cache)), []).append(row)
    return {labels: _sums(group) for labels, group in rows.items()}


def _sums(rows: Sequence[ModelRow]) -> _Sums:
    lookups = [row.lookups for row in rows if row.lookups is not None]
    causes: Counter[str] = Counter()
    for row in rows:
        causes.update(row.causes)
    return _Sums(
        sum(lookups) if len(lookups) == len(rows) else None,
        sum(row.misses for row in rows),
        sum(row.stale for row in rows),
        len({version.version for row in rows for version in row.versions}),
        causes,
    )
