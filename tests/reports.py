"""Reports made by hand: what renderers must be able to show, without an engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cachelog.contract.finding import (
    Cause,
    Confidence,
    Evidence,
    Finding,
    Impact,
    InputReport,
    LimitNote,
    ModelRow,
    Rejected,
    Report,
    Severity,
    VersionRow,
)

START = datetime(2026, 11, 23, 15, 9, 56, tzinfo=UTC)
END = START + timedelta(minutes=30)
CAUSES = ("cold", "capacity", "version-change", "ttl", "flush", "duplicate", "new-keys", "error", "unexplained")

#: Colours, cursor moves, a title, bidi overrides, zero width, Rich markup, marks that climb, wide letters, tags.
HOSTILE = (
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\u202ecod.exe\u202c", "zero\u200bwidth\ufeff", "[red]x[/red] [/]",
    "z\u0300\u0301\u0302\u0303\u0304a", "模型-日本語", "🦀🦀🦀", "tab\tnew\nline\rback\x08", "\x9b2J", "\ud800lone",
    "blank\u3164\u2800", "\U000e0041tag", "nul\x00", "line\u2028para\u2029",
)  # fmt: skip


def at(minutes: float) -> datetime:
    """Return a time so many minutes after the start."""
    return START + timedelta(minutes=minutes)


def row(model: str = "fraud", **changes: object) -> ModelRow:
    """Return a model with two versions and a step in its miss rate."""
    versions = (
        version("v41", lookups=2000, misses=620, order=0),
        version("v42", lookups=10034, misses=584, order=1),
    )
    made = ModelRow(
        model=model, cache="response", lookups=12034, hits=10830, misses=1204, stale=0, bypass=3, errors=1,
        miss_rate=0.100050, miss_rate_low=0.094812, miss_rate_high=0.105546,
        causes=dict.fromkeys(CAUSES, 0) | {"ttl": 200, "unexplained": 1004},
        versions=versions, trend=(0.04,) * 12 + (None,) + (0.32,) * 11,
    )  # fmt: skip
    return replace(made, **changes)


def version(label: str, lookups: int | None = 100, misses: int = 10, order: int | None = 0) -> VersionRow:
    """Return one version of a model."""
    hits = None if lookups is None else lookups - misses
    return VersionRow(label, order, "parsed:int", lookups, hits, misses, START, END, ("fraud-0", "fraud-1"))


def regression(**changes: object) -> Finding:
    """Return an older version loaded after a newer one: the cause of `shift`."""
    made = Finding(
        id="F1", rule="version-regression", severity=Severity.CRITICAL, confidence=Confidence.HIGH, score=2211.75,
        title="fraud: older version v41 loaded after newer v42 on 2 of 4 replicas",
        summary="fraud-0, fraud-1 went back from v42 to v41 at 15:18:02 UTC; 2 others keep v42.",
        model="fraud", cache="response", replicas=("fraud-0", "fraud-1"), version_from="v42", version_to="v41",
        order_basis="parsed:int", start=at(8.1), end=END, onset_low=at(8.1), onset_high=at(8.1), ongoing=True,
        impact=Impact(lookups=9411, excess_misses=940.04, excess_misses_low=871.5, stale_served=2000),
        numbers={"rate_before": 0.041, "rate_after": 0.31, "replicas_regressed": 2, "stale_share": 2000 / 9411},
        rejected=(Rejected("rollback", "2 of 4 replicas that had v42 kept it"),),
        evidence=(
            Evidence(0, 84, at(1), "newer version loaded", "logs/fraud-0.log", '{"msg":"loaded","version":"v42"}'),
            Evidence(0, 199, at(8.1), "older version loaded", "logs/fraud-0.log", '{"msg":"loaded","version":"v41"}'),
        ),
        next_steps=("compare the image of fraud-0, fraud-1 with a replica that keeps v42",), fingerprint="75b1122a4fe54f1c",
    )  # fmt: skip
    return replace(made, **changes)


def shift(**changes: object) -> Finding:
    """Return the rise of the miss rate that `regression` explains for 78 %."""
    made = Finding(
        id="F2", rule="miss-rate-shift", severity=Severity.HIGH, confidence=Confidence.MEDIUM, score=1100.0,
        title="fraud: miss rate rose from 4.1 % to 31.0 % on 2 of 4 replicas", summary="It stays so.",
        model="fraud", cache="response", replicas=("fraud-0", "fraud-1"), start=at(8), end=END, onset_low=at(8),
        onset_high=at(8.5), ongoing=True, impact=Impact(9411, 1204.4, 1100.0, None, 75.25),
        numbers={
            "rate_before": 0.041, "rate_before_low": 0.037, "rate_before_high": 0.046,
            "rate_after": 0.31, "rate_after_low": 0.302, "rate_after_high": 0.319, "p": 1.2e-10, "control_z": None,
        },
        causes=(Cause("F1", 0.78, Confidence.HIGH, "78.0 % of the extra misses are on its replicas"),),
        caused_by="F1", evidence=(Evidence(1, 7, at(8.2), "miss after the onset", "logs/fraud-1.log", "miss"),),
        fingerprint="aa",
    )  # fmt: skip
    return replace(made, **changes)


def note(number: int = 3, **changes: object) -> Finding:
    """Return a finding that is information only."""
    made = Finding(
        id=f"F{number}", rule="rollback", severity=Severity.INFO, confidence=Confidence.HIGH,
        title="spam: rolled back from v4 to v3 on 4 of 4 replicas that had it", summary="Announced.", model="spam",
        replicas=("spam-0",), version_from="v4", version_to="v3", start=at(2), end=at(3), fingerprint=f"n{number}",
    )  # fmt: skip
    return replace(made, **changes)


def source(path: str = "logs/fraud-0.log", **changes: object) -> InputReport:
    """Return an input that was read whole."""
    made = InputReport(path, "json_app", None, 1_500_000, 6100, 6017, 83, 0, 0, 0, None)
    return replace(made, **changes)


def report(**changes: object) -> Report:
    """Return an incident: a regression with its effect, a note, two models, a limit."""
    made = Report(
        tool={"name": "cachelog", "version": "0.1.0"}, partial=False, start=START, end=END,
        inputs=(source(), source("logs/fraud-1.log", quiet=60, unclaimed=12, bad=11, clock="no zone in the lines, read as UTC (6017 events)")),
        limits=(LimitNote("no zone in the lines, read as UTC", "the absolute time of its events", "logs/fraud-1.log"),),
        models=(row(), row("spam", cache="model", lookups=None, hits=None, misses=13, miss_rate=None, miss_rate_low=None,
                           miss_rate_high=None, versions=(version("v3", None, 13),), trend=(), causes={"unexplained": 13})),
        findings=(regression(), shift(), note()),
    )  # fmt: skip
    return replace(made, **changes)


def healthy() -> Report:
    """Return a report without findings."""
    return report(findings=(), limits=(), inputs=(source(),), models=(row(),))


def empty() -> Report:
    """Return the report of inputs in which nothing was understood."""
    lines = source("a.log", format="unknown", lines=12, events=0, quiet=2, unclaimed=10)
    gone = source("b.log", format="unknown", bytes=0, lines=0, events=0, quiet=0, note="not read: Permission denied")
    return report(start=None, end=None, inputs=(lines, gone), limits=(), models=(), findings=())


def hostile() -> Report:
    """Return a report in which every word of a log is an attack."""
    bad = "".join(HOSTILE)
    evil = regression(
        title=bad, summary=bad, model=bad, cache=bad, replicas=HOSTILE, version_from=bad, version_to=bad, rule="version-regression",
        order_basis=bad, evidence=(Evidence(0, 1, START, bad, bad, bad), Evidence(0, 3, None, bad, bad, "")), next_steps=(bad,),
        rejected=(Rejected(bad, bad),), numbers={bad: bad}, causes=(Cause("F9", None, Confidence.LOW, bad),),
    )  # fmt: skip
    return report(
        inputs=(source(bad, format=bad, envelope=bad, clock=bad, note=bad, bad=1),), limits=(LimitNote(bad, bad, bad),),
        models=(row(bad, cache=bad, versions=(version(bad),)),), findings=(evil, shift(title=bad, summary=bad), note(title=bad)),
        errors=(bad,), fields={bad: {"model": bad}},
    )  # fmt: skip


def crowd(models: int = 60, findings: int = 30, replicas: int = 17) -> Report:
    """Return a report of many models, findings, replicas, versions, inputs and limits."""
    names = tuple(f"ranker-7d9c8b6f5-{i:05d}" for i in range(replicas))
    many = [
        regression(id=f"F{i + 1}", replicas=names, severity=Severity(4 - i * 4 // findings), fingerprint=f"{i:016x}",
                   title=f"model-{i}: older version v41 loaded after newer v42 on {replicas} of 40 replicas", model=f"model-{i}")
        for i in range(findings)
    ]  # fmt: skip
    labels = tuple(version(f"2026.11.{i}", order=i) for i in range(9))
    return report(
        inputs=tuple(source(f"logs/{name}.log", bad=i + 1) for i, name in enumerate(names)),
        limits=tuple(LimitNote(f"fact {i}", f"conclusion {i}") for i in range(30)),
        models=tuple(row(f"model-{i}", cache="default", versions=labels) for i in range(models)),
        findings=(*many, *(note(findings + i + 1) for i in range(20))),
    )
