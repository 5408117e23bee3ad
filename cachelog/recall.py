"""Reports that were made before: the same logs, question and program give the same report, so it is kept.

An entry is the report as JSON (all of it, with what no format shows), under a hash of all that it depends on. Entries
quote lines of logs, so they are the user's alone; the oldest go.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from cachelog import pipeline
from cachelog.contract.finding import Report
from cachelog.ingest import cache
from cachelog.ingest.discover import Source, discover
from cachelog.request import Options

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_MOST = 50  # reports: to look back at what was asked lately


def analyzed(
    paths: Sequence[str], options: Options, progress: pipeline.Progress | None, beside: pipeline.Beside | None
) -> Report:
    """Return the report on the paths as pipeline.analyze does, made now or before; raises UsageError."""
    at = _entry(paths, options) if options.cache and not beside else None
    if at and (known := _read(at)):
        return known
    report = pipeline.analyze(paths, options, progress, beside)
    if at and not report.partial and not report.errors and _entry(paths, options) == at:
        _keep(at, report)
    return report


def _entry(paths: Sequence[str], options: Options) -> Path | None:
    """Return where the report is; None where it is not kept: small logs, pipes, and what may change unseen."""
    sources = discover(paths)
    if any(s.pipe for s in sources) or sum(s.size for s in sources) < options.limits.cached_bytes:
        return None
    home = Path(__file__).parent
    rooms = sorted(str(entry.relative_to(home)) for entry in home.rglob("*") if entry.is_dir())
    asked = [(f.name, getattr(options, f.name)) for f in fields(options) if f.name != "formats"]
    try:
        told = (cache.edition(("", *rooms)), pipeline.how(options), asked, [_identity(s) for s in sources])
    except OSError:
        return None
    return cache.reports() / f"{hashlib.sha256(repr(told).encode()).hexdigest()[:32]}.json"


def _identity(source: Source) -> object:
    """Return what an input is; raises OSError where it cannot be read, or changed too lately to be sure of it."""
    where = source.archive or source.path
    if source.note:
        return source
    info = os.stat(where)
    if time.time() - info.st_mtime < cache.FRESH_S:
        raise BlockingIOError(where)
    return source, info.st_mtime_ns, cache.identity(where, info.st_size, "")


def _form() -> TypeAdapter[Report]:
    from pydantic import TypeAdapter

    return TypeAdapter(Report)


def _read(at: Path) -> Report | None:
    with suppress(OSError, ValueError):
        found = _form().validate_json(at.read_bytes())
        os.utime(at)
        return found
    return None


def _keep(at: Path, report: Report) -> None:
    """Keep a report; what cannot be kept is not, and nobody needs to know."""
    with suppress(OSError):
        at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=at.parent)  # private to the user
        with os.fdopen(handle, "wb") as out:
            out.write(_form().dump_json(report))
        os.replace(made, at)
        for old in sorted(at.parent.iterdir(), key=lambda f: f.stat().st_mtime)[:-_MOST]:
            old.unlink()
