"""The report as JSON Lines, schema cachelog.lines/1: the run, then a line each for what it says.

Every line has a `kind`; findings, models, inputs and limits are as in cachelog.report/1. Pure ASCII; half a pair of
surrogates, which strict parsers refuse, is written as the text \\\\ud800.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cachelog.contract.finding import Report
from cachelog.contract.verdict import NOTHING, Setting
from cachelog.render.document import as_json, sound

SCHEMA = "cachelog.lines/1"
_PARTS = (("findings", "finding"), ("models", "model"), ("limits", "limit"), ("inputs", "input"))


def render(report: Report, setting: Setting = NOTHING) -> str:
    """Return the report, one JSON document a line."""
    lines = _lines(as_json(report), setting)
    return "".join(json.dumps(sound(line), ensure_ascii=True, allow_nan=False) + "\n" for line in lines)


def _lines(document: dict[str, Any], setting: Setting) -> Iterator[dict[str, Any]]:
    yield {"kind": "run", "schema": SCHEMA, **{key: document[key] for key in ("tool", "partial", "period")}}
    if verdict := setting.verdict:
        yield {"kind": "verdict", "outcome": verdict.outcome.value, "sentence": verdict.sentence}
        for check in verdict.checks:
            yield {"kind": "check", **asdict(check), "outcome": check.outcome.value}
    for part, kind in _PARTS:
        for item in document[part]:
            yield {"kind": kind, **item}
