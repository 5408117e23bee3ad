"""The formats of a report: each is cachelog/render/NAME.py, which is loaded when it is asked for.

A renderer has `render(report: Report, setting: Setting) -> str | bytes`, pure: the same report, the same bytes. `text`
is the page for a terminal, which depends on the screen and is made by the command. A new format is its file, a member
here, and the ending of its files.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from cachelog.contract.finding import Report
    from cachelog.contract.verdict import Setting


class ReportFormat(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    HTML = "html"
    MARKDOWN = "markdown"
    BRIEF = "brief"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    GITLAB = "gitlab"
    PROMETHEUS = "prometheus"
    CSV = "csv"
    PARQUET = "parquet"
    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"


_F = ReportFormat
#: Ending of a file -> the formats that such a file may have, first the one that it has unless another is asked for.
ENDINGS: dict[str, tuple[ReportFormat, ...]] = {
    ".txt": (_F.TEXT, _F.BRIEF, _F.GITHUB),
    ".json": (_F.JSON, _F.SARIF, _F.GITLAB, _F.SLACK, _F.ALERTMANAGER),
    ".jsonl": (_F.JSONL, _F.PAGERDUTY, _F.GRAFANA),
    ".ndjson": (_F.JSONL, _F.PAGERDUTY, _F.GRAFANA),
    ".html": (_F.HTML,),
    ".htm": (_F.HTML,),
    ".md": (_F.MARKDOWN, _F.BRIEF),
    ".markdown": (_F.MARKDOWN, _F.BRIEF),
    ".sarif": (_F.SARIF,),
    ".xml": (_F.JUNIT,),
    ".prom": (_F.PROMETHEUS,),
    ".csv": (_F.CSV,),
    ".parquet": (_F.PARQUET,),
}
#: What `--notify` can post.
PAYLOADS = (_F.SLACK, _F.PAGERDUTY, _F.ALERTMANAGER, _F.GRAFANA, _F.JSON)
#: Formats of one JSON document a line; each is posted by itself.
LINES = (_F.PAGERDUTY, _F.GRAFANA)


class Renderer(Protocol):
    """The interface of the modules."""

    def render(self, report: Report, setting: Setting) -> str | bytes:
        """Return the report in this format."""
        ...


def renderer(wanted: ReportFormat) -> Renderer:
    """Return the module of a format other than text."""
    return cast("Renderer", import_module(f"cachelog.render.{wanted.value}"))
