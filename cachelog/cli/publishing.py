"""A report to where the user wants it: standard output, files by their endings, GitHub's summary, webhooks."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cachelog.cli.naming import nearest
from cachelog.cli.notifying import Post, planned_posts, send
from cachelog.cli.options import Outputs
from cachelog.cli.printing import emit, looks, save, say
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Report
from cachelog.contract.standing import Told
from cachelog.contract.verdict import Anchor, Setting, Verdict
from cachelog.render.registry import ENDINGS, ReportFormat, renderer

if TYPE_CHECKING:
    from cachelog.render.page import Look

_SPOKEN = (ReportFormat.TEXT, ReportFormat.MARKDOWN, ReportFormat.GITHUB)  # a reader of these sees the verdict
_NAMED = re.compile(r"([a-z]+)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Target:
    """One format to write; path None is standard output."""

    format: ReportFormat
    path: str | None = None


@dataclass(frozen=True)
class Plan:
    """Where a report goes: found out before the logs are read, so that a typing error costs no time."""

    outputs: Outputs
    targets: tuple[Target, ...]
    posts: tuple[Post, ...]
    anchor: Anchor | None

    @property
    def charts(self) -> bool:
        """Return whether what charts show is needed."""
        return any(target.format is ReportFormat.HTML for target in self.targets)


def planned(outputs: Outputs) -> Plan:
    """Return where the report goes; raises UsageError on what cannot be written or posted."""
    given = outputs.output or ()
    files = tuple(_file(path, outputs.format, alone=len(given) == 1) for path in given)
    _all_different([file.path or "" for file in files])
    told = outputs.format in {file.format for file in files}  # --format chose the format of a file
    plain = outputs.format or ReportFormat.TEXT
    printed = () if told or (files and outputs.format is None) else (Target(plain),)
    if Target(ReportFormat.PARQUET) in printed and sys.stdout.isatty():
        raise UsageError("parquet is no text for a terminal; name a file: -o findings.parquet")
    return Plan(outputs, printed + files, planned_posts(outputs.notify or (), outputs.format), _anchor(outputs))


@dataclass(frozen=True)
class Judged:
    """A verdict, as plain values too, and what a saved report said of the findings (SARIF's words by fingerprint)."""

    verdict: Verdict
    check: Mapping[str, Any]
    states: Mapping[str, str]


def quiet(plan: Plan) -> Plan:
    """Return a plan without what somebody would be disturbed by: standard output and posts."""
    return replace(plan, targets=tuple(target for target in plan.targets if target.path is not None), posts=())


def publish(
    report: Report, plan: Plan, page: Callable[[Look], str], judged: Judged | None = None, told: Told | None = None
) -> None:  # fmt: skip
    """Write and post a report; `page` makes its text for a screen; raises UsageError, ReaderGone."""
    setting, verdict = _setting(plan, judged), judged.verdict if judged else None
    if told:
        setting = replace(setting, told=told, states=_states(report, told))
    if verdict and not any(target.path is None and target.format in _SPOKEN for target in plan.targets):
        say(f"cachelog: {verdict.said}")
    # files before standard output, whose reader may go away
    for target in sorted(plan.targets, key=lambda target: target.path is None):
        _write(report, target, plan, setting, page)
    if any(target.format is ReportFormat.GITHUB for target in plan.targets):
        _tell_github(report, setting)
    for post in plan.posts:
        send(post, renderer(post.format).render(report, setting))


def _file(given: str, asked: ReportFormat | None, *, alone: bool) -> Target:
    """Read FORMAT=FILE, or a file whose ending tells the format; `asked` is what --format says."""
    found = _NAMED.fullmatch(given)
    if found and found[1] in set(ReportFormat):
        wanted, path = ReportFormat(found[1]), found[2]
    else:
        path, wanted = given, _by_ending(given, asked, alone)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder) or os.path.isdir(path):
        raise UsageError(f"cannot write {path!r}: {'it is a folder' if os.path.isdir(path) else 'no such folder'}")
    return Target(wanted, path)


def _by_ending(path: str, asked: ReportFormat | None, alone: bool) -> ReportFormat:
    """Return the format of a file; for one file alone --format chooses among those that its ending stands for."""
    ending = os.path.splitext(path)[1].lower()
    known = ENDINGS.get(ending)
    if known:
        return asked if alone and asked in known else known[0]
    if asked is None and ending[1:].isalpha():
        known_ones = ", ".join(ENDINGS)
        raise UsageError(
            f"no format has the ending of {path!r}{nearest(ending, ENDINGS)}; name it as in -o json={path},"
            f" or take one of {known_ones}"
        )
    return asked or ReportFormat.TEXT


def _all_different(paths: Sequence[str]) -> None:
    for path in paths:
        if sum(os.path.realpath(path) == os.path.realpath(other) for other in paths) > 1:
            raise UsageError(f"-o {path!r} is named twice")


def _anchor(outputs: Outputs) -> Anchor | None:
    """Read PATH or PATH:LINE, within the repository."""
    if outputs.sarif_anchor is None:
        return None
    path, _, line = outputs.sarif_anchor.rpartition(":")
    path, number = (path, int(line)) if path and line.isdecimal() else (outputs.sarif_anchor, 1)
    plain = os.path.normpath(path)
    if os.path.isabs(plain) or plain.split(os.sep)[0] in ("..", ".") or number < 1:
        raise UsageError(f"--sarif-anchor {outputs.sarif_anchor!r} is no PATH or PATH:LINE within the repository")
    return Anchor(plain.replace(os.sep, "/"), number)


def _setting(plan: Plan, judged: Judged | None) -> Setting:
    wanted = {target.format for target in plan.targets}
    pages: dict[str, str] = {}
    if wanted & {ReportFormat.SARIF, ReportFormat.HTML}:
        from cachelog.rooms import detectors

        pages = {rule: module.__doc__ or "" for rule, module in detectors().items()}
    key = os.environ.get("PAGERDUTY_ROUTING_KEY")
    plain = Setting(anchor=plan.anchor, pages=pages, routing_key=key)
    if judged is None:
        return plain
    return replace(plain, verdict=judged.verdict, check=judged.check, states=judged.states)


def _states(report: Report, told: Told | None) -> dict[str, str]:
    """Return the states that SARIF has for how findings stand to the run before; what was not news is unchanged."""
    if told is None:
        return {}
    fresh = {"new": told.news.new, "updated": told.news.worse}
    known = {finding.fingerprint: "unchanged" for finding in report.findings}
    return known | {finding.fingerprint: state for state, found in fresh.items() for finding in found}


def _write(report: Report, target: Target, plan: Plan, setting: Setting, page: Callable[[Look], str]) -> None:
    if target.format is ReportFormat.TEXT:
        body: str | bytes = _text(page(looks(plan.outputs, filed=target.path is not None)), target)
    else:
        made = renderer(target.format).render(report, setting)
        body = made if isinstance(made, bytes) else made.encode("utf-8", "backslashreplace")
    if target.path is None:
        emit(body)
    else:
        save(target.path, body)


def _text(page: str, target: Target) -> str:
    """Keep the runner of GitHub Actions from obeying lines of a log that the page cites."""
    if target.path or os.environ.get("GITHUB_ACTIONS") != "true":
        return page
    from cachelog.render import github

    return github.shielded(page)


def _tell_github(report: Report, setting: Setting) -> None:
    """Append to the summary of the step and to its outputs, where the runner of GitHub Actions names the files."""
    outcome = f"verdict={setting.verdict.outcome.value}\n" if setting.verdict else ""
    _append("GITHUB_OUTPUT", f"{outcome}findings={len(report.findings)}\n")
    _append("GITHUB_STEP_SUMMARY", f"{renderer(ReportFormat.MARKDOWN).render(report, setting)!s}\n")


def _append(variable: str, words: str) -> None:
    path = os.environ.get(variable)
    if not path:
        return
    try:
        with open(path, "ab") as file:
            file.write(words.encode("utf-8", "backslashreplace"))
    except OSError as error:
        say(f"cachelog: cannot write what ${variable} names: {error.strerror}")
