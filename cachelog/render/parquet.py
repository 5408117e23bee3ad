"""The findings as a Parquet file, a row each: times as instants, replicas, evidence and causes as lists.

Text is as the log has it; half a pair of surrogates, which is no text, is written out.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import polars as pl

from cachelog.contract.finding import Finding, Report
from cachelog.contract.verdict import NOTHING, Setting
from cachelog.render.document import finding_values, sound

_TIME = pl.Datetime("us", "UTC")
_EVIDENCE = pl.Struct({"path": pl.String, "line": pl.Int64, "time": _TIME, "text": pl.String, "role": pl.String})
_CAUSE = pl.Struct({"finding": pl.String, "share": pl.Float64, "confidence": pl.String, "why": pl.String})
_NUMBER = pl.Struct({"name": pl.String, "value": pl.Float64, "text": pl.String})
_COLUMNS: dict[str, Any] = {
    "id": pl.String,
    "rule": pl.String,
    "severity": pl.String,
    "confidence": pl.String,
    "score": pl.Float64,
    "title": pl.String,
    "summary": pl.String,
    "model": pl.String,
    "cache": pl.String,
    "replicas": pl.List(pl.String),
    "version_from": pl.String,
    "version_to": pl.String,
    "order_basis": pl.String,
    "start": _TIME,
    "end": _TIME,
    "onset_low": _TIME,
    "onset_high": _TIME,
    "ongoing": pl.Boolean,
    "lookups": pl.Int64,
    "excess_misses": pl.Float64,
    "excess_misses_low": pl.Float64,
    "stale_served": pl.Int64,
    "added_seconds": pl.Float64,
    "numbers": pl.List(_NUMBER),
    "caused_by": pl.String,
    "causes": pl.List(_CAUSE),
    "evidence": pl.List(_EVIDENCE),
    "next_steps": pl.List(pl.String),
    "fingerprint": pl.String,
}


def render(report: Report, setting: Setting = NOTHING) -> bytes:
    """Return the file; columns and types are the same whatever was found."""
    rows = [_row(finding) for finding in report.findings]
    out = BytesIO()
    pl.DataFrame(rows, schema=_COLUMNS, orient="row").write_parquet(out, compression="zstd")
    return out.getvalue()


def _row(finding: Finding) -> dict[str, Any]:
    values = sound(finding_values(finding))
    times = {name: getattr(finding, name) for name in ("start", "end", "onset_low", "onset_high")}
    lines = [{**line, "time": item.time} for line, item in zip(values["evidence"], finding.evidence, strict=True)]
    numbers = [_number(name, value) for name, value in values["numbers"].items()]
    row = {**values, **values["impact"], **times, "evidence": lines, "numbers": numbers}
    return {name: row[name] for name in _COLUMNS}


def _number(name: str, value: Any) -> dict[str, Any]:
    """A figure, or a word; a truth is 0 or 1."""
    plain = isinstance(value, int | float)
    return {"name": name, "value": float(value) if plain else None, "text": value if isinstance(value, str) else None}
