"""Files that cachelog wrote itself: a report that lies beside the logs is no log.

They are told by their first bytes: JSON documents by their schema, metrics, pages and SARIF by the name of the tool.
"""

from __future__ import annotations

import re
from contextlib import suppress

_HEAD = 1024  # bytes in which all of them say it
_ENDINGS = (".json", ".jsonl", ".ndjson", ".prom", ".html", ".htm", ".sarif", ".xml")
_SAYS = re.compile(
    rb'\s*\{\s*(?:"kind": "run",\s*)?"schema": "cachelog\.'  # reports, lines, findings, verdicts, samples
    rb"|# HELP cachelog_build_info "
    rb'|(?:<\?xml[^>]*>\s*)?<testsuites name="cachelog"'
    rb'|\s*<!doctype html>[^\0]{0,600}<meta name="generator" content="cachelog '
    rb'|\{\s*"\$schema": "[^"]*sarif[^"]*",\s*"version": "[^"]*",\s*"runs": \[\s*\{\s*"tool": \{\s*"driver": \{\s*'
    rb'"name": "cachelog"',
    re.IGNORECASE,
)


_EXPECTED = re.compile(rb'\s*\{\s*"schema": "cachelog\.expect/')


def by_cachelog(path: str) -> bool:
    """Return whether cachelog wrote a regular file; what cannot be read was written by somebody else."""
    return _SAYS.match(_head(path)) is not None


def is_expectation(path: str) -> bool:
    """Return whether a file says what is so in a sample beside it."""
    return _EXPECTED.match(_head(path)) is not None


def _head(path: str) -> bytes:
    if path.lower().endswith(_ENDINGS):
        with suppress(OSError), open(path, "rb") as raw:
            return raw.read(_HEAD)
    return b""
