"""cachelog formats: what can be read; `formats check`: do formats of one's own read their samples."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.cli.options import Format, Output
from cachelog.cli.printing import look, put, say
from cachelog.cli.settings import Reading, checking, configured
from cachelog.contract.errors import UsageError

if TYPE_CHECKING:
    from cachelog.rooms import Plugin

_CHECK = "check"


def formats(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[check]", help="check: do the formats of cachelog.toml read their samples.", show_default=False
        ),
    ] = None,
    *,
    reading: Reading,
    output: Output,
) -> int:
    """List the dialects and envelopes that can be read, or check formats of your own against their samples."""
    if what == _CHECK:
        return _checked(reading)
    if what is not None:
        raise UsageError(f"formats {what}: there is `cachelog formats` and `cachelog formats check`")
    if reading.map:
        raise UsageError("formats lists formats; --map is for the commands that read logs")
    return _listed(reading, output)


def _checked(reading: Reading) -> int:
    """Say one sentence for each sample that is read otherwise: exit 1; 2 where there is nothing to check."""
    from cachelog import custom, samples
    from cachelog.render import text

    checking(reading.config)  # the tables of `cachelog check` are in the same file
    found, _ = configured(reading.config)
    if not found:
        raise UsageError(f"no [[format]] in a {custom.FILE} here or above; name a file with --config FILE")
    wrong = samples.wrong(found)
    for sentence in wrong:
        say(f"cachelog: {sentence}")
    many = sum(len(one.samples) for one in found)
    right = "all samples are read as they say" if not wrong else f"{len(wrong)} of them not as they say"
    print(f"{text.many(len(found), 'format')}, {text.many(many, 'sample')}: {right}")
    return 1 if wrong else 0


def _listed(reading: Reading, output: Output) -> int:
    from cachelog.rooms import built_in, envelopes, plugins

    guests, found = plugins(), {one.name: one.module for one in configured(reading.config)[0]}
    mine = {one.name: one.module for one in guests if one.module} | found
    kinds = {"dialect": {**mine, **built_in()}, "envelope": envelopes()}
    if output.format is Format.JSON:
        put(_as_json(kinds, guests), output)
        return 0
    from cachelog.render import manual

    heads = {"dialect": "what a line says", "envelope": "what wraps a line"}
    sections = {
        heads[kind]: {name: _whole(module) for name, module in sorted(modules.items())}
        for kind, modules in kinds.items()
    }
    if broken := {one.name: one.broken for one in guests if one.broken}:
        sections["plug-ins that cannot be read with"] = broken
    put(manual.terms(sections, look(output), _PACKED), output)
    return 0


def _as_json(kinds: Mapping[str, Mapping[str, ModuleType]], guests: tuple[Plugin, ...]) -> str:
    import json

    rows: list[dict[str, object]] = [
        {
            "kind": kind,
            "name": name,
            "about": _about(module),
            "source": _source(module),
            "cannot_tell": getattr(module, "BLIND", None),
            "samples": list(module.SAMPLES),
        }
        for kind, modules in kinds.items()
        for name, module in sorted(modules.items())
    ]
    rows += [{"kind": "broken plug-in", "name": one.name, "about": one.broken} for one in guests if one.broken]
    return json.dumps(rows, indent=1)


_PACKED = "Compressed with gzip, zstd, bz2 or xz, in tar or zip archives, or not; by line, so files may be mixed."


def _whole(module: ModuleType) -> str:
    """Return what it is, what it cannot tell and where it is defined."""
    blind = f" Cannot tell: {module.BLIND.rstrip('.')}." if getattr(module, "BLIND", None) else ""
    return f"{_about(module)}{blind} Source: {_source(module)}"


def _source(module: ModuleType) -> str:
    """Return where a format is defined; of a plug-in also which package brings it."""
    of = getattr(module, "PLUGIN", None)
    return f"{getattr(module, 'SOURCE', 'not said')}" + (f" (plug-in of {of})" if of else "")


def _about(module: ModuleType) -> str:
    """Return the first paragraph of the module's docstring on one line."""
    return " ".join(cleandoc(module.__doc__ or "").split("\n\n", 1)[0].split())
