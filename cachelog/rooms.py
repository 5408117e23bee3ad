"""What stands in the folders: a rule, dialect or envelope is registered by its file being there."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from cachelog.contract.errors import UsageError

GROUP = "cachelog.dialects"
OFF = "CACHELOG_PLUGINS"


def detectors() -> Mapping[str, ModuleType]:
    """Return the rules by id."""
    return {name.replace("_", "-"): module for name, module in _modules("cachelog.detectors").items()}


def dialects() -> Mapping[str, ModuleType]:
    """Return the dialects by name, those of plug-ins first; raises UsageError on a plug-in that is broken."""
    guests = plugins()
    if broken := next((one for one in guests if one.broken), None):
        raise UsageError(f"{broken.broken}; uninstall it, or set {OFF}=off to do without plug-ins")
    return {one.name: one.module for one in guests if one.module} | built_in()


def built_in() -> dict[str, ModuleType]:
    """Return the dialects that come with cachelog by name."""
    return _modules("cachelog.dialects")


@dataclass(frozen=True)
class Plugin:
    """A dialect of another package (entry point group cachelog.dialects), or why it is none."""

    name: str
    module: ModuleType | None
    broken: str = ""


def plugins() -> tuple[Plugin, ...]:
    """Return the dialects that other packages bring, by name."""
    if os.environ.get(OFF, "") == "off":
        return ()
    return tuple(_plugin(point) for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)))


def _plugin(point: EntryPoint) -> Plugin:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    where = f"the plug-in {point.name} of {package}"
    try:
        module = point.load()
    except Exception as error:
        return Plugin(
            point.name, None, f"{where} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        )
    if why := _no_dialect(module, point.name):
        return Plugin(point.name, None, f"{where} {why}")
    made = ModuleType(point.name, module.__doc__)
    made.__dict__.update({name: value for name, value in vars(module).items() if not name.startswith("__")})
    made.__dict__.setdefault("BLIND", None)
    made.__dict__.update(PLUGIN=package, IDENTITY=f"{package} {point.value}")
    return Plugin(point.name, made)


def _no_dialect(module: object, name: str) -> str:
    """Return what of the contract of dialects (contract/dialect.py) a module lacks, "" for nothing."""
    if missing := [n for n in ("NAME", "SAMPLES", "claim", "parse") if not hasattr(module, n)]:
        return f"is no dialect: it has no {', '.join(missing)}"
    if getattr(module, "NAME", None) != name:
        return f"is no dialect: its NAME is {getattr(module, 'NAME', None)!r}, not the name of its entry point"
    return "has the name of a dialect of cachelog" if name in built_in() else ""


def envelopes() -> Mapping[str, ModuleType]:
    """Return the envelopes by name."""
    return _modules("cachelog.envelopes")


def _modules(package: str) -> dict[str, ModuleType]:
    folder = import_module(package).__path__
    names = sorted(found.name for found in pkgutil.iter_modules(folder))
    return {name: import_module(f"{package}.{name}") for name in names}
