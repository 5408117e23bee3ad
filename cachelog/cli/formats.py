"""cachelog formats: what can be read."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from types import ModuleType

from cachelog.cli.options import Format, Output
from cachelog.cli.printing import put


def formats(*, output: Output) -> int:
    """List the dialects and envelopes that can be read."""
    from cachelog.rooms import dialects, envelopes

    kinds = {"dialect": dialects(), "envelope": envelopes()}
    if output.format is Format.JSON:
        import json

        rows = [
            {"kind": kind, "name": name, "about": _about(module), "samples": list(module.SAMPLES)}
            for kind, modules in kinds.items()
            for name, module in sorted(modules.items())
        ]
        put(json.dumps(rows, indent=1), output)
        return 0
    put("\n\n".join(_section(kind, modules) for kind, modules in kinds.items()) + _PACKED, output)
    return 0


_PACKED = "\n\ncompressed with gzip or zstd, or not; by line, so files may be mixed"


def _section(kind: str, modules: Mapping[str, ModuleType]) -> str:
    width = max(map(len, modules))
    head = {"dialect": "what a line says", "envelope": "what wraps a line"}[kind]
    return "\n".join([head, *(f"  {name:<{width}}  {_about(module)}" for name, module in sorted(modules.items()))])


def _about(module: ModuleType) -> str:
    """Return the first paragraph of the module's docstring on one line."""
    return " ".join(cleandoc(module.__doc__ or "").split("\n\n", 1)[0].split())
