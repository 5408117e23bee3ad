"""What stands in the folders: a rule, dialect or envelope is registered by its file being there."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType


def detectors() -> Mapping[str, ModuleType]:
    """Return the rules by id."""
    return {name.replace("_", "-"): module for name, module in _modules("cachelog.detectors").items()}


def dialects() -> Mapping[str, ModuleType]:
    """Return the dialects by name."""
    return _modules("cachelog.dialects")


def envelopes() -> Mapping[str, ModuleType]:
    """Return the envelopes by name."""
    return _modules("cachelog.envelopes")


def _modules(package: str) -> dict[str, ModuleType]:
    folder = import_module(package).__path__
    names = sorted(found.name for found in pkgutil.iter_modules(folder))
    return {name: import_module(f"{package}.{name}") for name in names}
