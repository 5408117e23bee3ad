"""The findings as CSV (RFC 4180), a row each, for a spreadsheet.

A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV injection). Characters that
nobody sees are written out; Parquet has all text as the log has it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from typing import Any

from cachelog.contract.finding import Finding, Report
from cachelog.contract.verdict import NOTHING, Setting
from cachelog.render import text
from cachelog.render.document import finding_values

_COLUMNS = (
    "id", "rule", "severity", "confidence", "score", "title", "summary", "model", "cache", "replicas", "version_from",
    "version_to", "order_basis", "start", "end", "onset_low", "onset_high", "ongoing", "lookups", "excess_misses",
    "excess_misses_low", "stale_served", "added_seconds", "caused_by", "evidence_path", "evidence_line",
    "evidence_text", "fingerprint",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\\t", "\\r", "\\n", "|", "%", "＝", "＋", "－", "＠")
_CELL = 32_000  # characters; a spreadsheet takes 32,767


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return a heading and a row for each finding."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(row[name]) for name in _COLUMNS] for row in map(_row, report.findings))
    return out.getvalue()


def _row(finding: Finding) -> Mapping[str, Any]:
    values = finding_values(finding)
    first = values["evidence"][0] if values["evidence"] else {}
    cited = {f"evidence_{key}": first.get(key) for key in ("path", "line", "text")}
    return {**values, **values["impact"], **cited, "replicas": "; ".join(values["replicas"])}


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else value
    shown = text.short(value, _CELL)
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULA) else shown
