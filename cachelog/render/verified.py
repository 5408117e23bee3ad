"""Whether a saved report still follows from its logs: as text, and as JSON (cachelog.verified/1)."""

from __future__ import annotations

import json

from cachelog.contract.finding import Number, Report
from cachelog.contract.verified import SCHEMA, Difference, Verified
from cachelog.contract.wording import listed
from cachelog.render import text
from cachelog.render.page import PLAIN, Look, Page


def render(saved: Report, again: Report, found: Verified, look: Look = PLAIN) -> str:
    """Return the verdict in the first line, with what the rest may come of, then every difference in its own line."""
    page = Page(look)
    page.prose(page.safe(_verdict(saved, found)), style="bold")
    if saved.tool["version"] != again.tool["version"]:
        page.prose(f"The report is of cachelog {page.safe(saved.tool['version'])}, this is {again.tool['version']}.")
    if found.differences:
        page.blank()
    for item in found.differences:
        page.prose(page.safe(_said(item)), first=(f"{page.sign('item')} ",))
    return page.text()


def _verdict(saved: Report, found: Verified) -> str:
    of = f"{text.many(found.figures, 'figure')} and {text.many(found.lines, 'cited line')}"
    of += f" of {text.many(len(saved.findings), 'finding')} and {text.many(len(saved.models), 'model')}"
    if found.differences:
        return f"Does not hold: {_first(found)}{text.many(len(found.differences), 'difference')} in {of}."
    return f"All hold: {of} were recomputed from {text.many(sum(i.lines for i in saved.inputs), 'line')}."


def _first(found: Verified) -> str:
    """Name the lines that changed, else the inputs: all other differences may come of them."""
    lines = list(dict.fromkeys(item.line for item in found.differences if item.line))
    inputs = list(
        dict.fromkeys(d.where.removeprefix("input ") for d in found.differences if d.where.startswith("input "))
    )
    if lines:
        return f"{listed(lines)} {'is' if len(lines) == 1 else 'are'} not as cited; "
    return f"{listed(inputs)} {'is' if len(inputs) == 1 else 'are'} not as read; " if inputs else ""


def _said(item: Difference) -> str:
    field = f" {item.field}:" if item.field else ":"
    return f"{item.where}{':' if item.field else ''}{field} was {_value(item.was)}, is {_value(item.now)}"


def _value(value: Number) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | None) else str(value)


def as_json(saved: Report, again: Report, found: Verified) -> str:
    """Return the same as JSON: whether all holds, how much was recomputed, and the differences."""
    document = {
        "schema": SCHEMA,
        "tool": {"name": again.tool["name"], "version": again.tool["version"]},
        "report": {"version": saved.tool["version"], "findings": [f.id for f in saved.findings]},
        "holds": not found.differences,
        "recomputed": {"figures": found.figures, "lines": found.lines},
        "differences": [
            {"where": d.where, "field": d.field or None, "was": d.was, "is": d.now} for d in found.differences
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"
