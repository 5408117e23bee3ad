"""cachelog explain and cachelog rules: the manual in the program."""

from __future__ import annotations

from inspect import cleandoc
from typing import Annotated

import typer

from cachelog.cli.naming import nearest
from cachelog.cli.options import Format, Output
from cachelog.cli.printing import look, put
from cachelog.contract.errors import UsageError


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="A rule, as `cachelog rules` lists them.")],
    *,
    output: Output,
) -> int:
    """Explain a rule: what it says, how it decides, what to do."""
    from cachelog.rooms import detectors

    known = detectors()
    if rule not in known:
        raise UsageError(f"no rule {rule!r}{nearest(rule, known)}; `cachelog rules` lists them")
    page = cleandoc(known[rule].__doc__ or "")
    if output.format is Format.JSON:
        put(_as_json({"rule": rule, "page": page}), output)
        return 0
    from cachelog.render import manual

    put(manual.render(page, look(output)), output)
    return 0


def rules(*, output: Output) -> int:
    """List the rules."""
    from cachelog.rooms import detectors

    lines = {rule: _first_line(module.__doc__) for rule, module in sorted(detectors().items())}
    if output.format is Format.JSON:
        put(_as_json([{"rule": rule, "says": says} for rule, says in lines.items()]), output)
        return 0
    from cachelog.render import manual

    put(manual.terms({"": lines}, look(output)), output)
    return 0


def _first_line(page: str | None) -> str:
    return (page or "").strip().split("\n", 1)[0].partition(": ")[2]


def _as_json(document: object) -> str:
    import json

    return json.dumps(document, indent=1)
