"""cachelog formats: what can be read."""

from __future__ import annotations

from inspect import cleandoc
from types import ModuleType

from cachelog.cli.options import Format, Output
from cachelog.cli.printing import look, put


def formats(*, output: Output) -> int:
    """List the dialects and envelopes that can be read."""
    from cachelog.rooms import dialects, envelopes

    kinds = {"dialect": dialects(), "envelope": envelopes()}
    if output.format is Format.JSON:
        import json

        rows = [
            {
                "kind": kind,
                "name": name,
                "about": _about(module),
                "source": module.SOURCE,
                "cannot_tell": module.BLIND,
                "samples": list(module.SAMPLES),
            }
            for kind, modules in kinds.items()
            for name, module in sorted(modules.items())
        ]
        put(json.dumps(rows, indent=1), output)
        return 0
    from cachelog.render import manual

    heads = {"dialect": "what a line says", "envelope": "what wraps a line"}
    sections = {
        heads[kind]: {name: _whole(module) for name, module in sorted(modules.items())}
        for kind, modules in kinds.items()
    }
    put(manual.terms(sections, look(output), _PACKED), output)
    return 0


_PACKED = "Compressed with gzip, zstd, bz2 or xz, in tar or zip archives, or not; by line, so files may be mixed."


def _whole(module: ModuleType) -> str:
    """Return what it is, what it cannot tell and where it is defined."""
    blind = f" Cannot tell: {module.BLIND.rstrip('.')}." if module.BLIND else ""
    return f"{_about(module)}{blind} Source: {module.SOURCE}"


def _about(module: ModuleType) -> str:
    """Return the first paragraph of the module's docstring on one line."""
    return " ".join(cleandoc(module.__doc__ or "").split("\n\n", 1)[0].split())
