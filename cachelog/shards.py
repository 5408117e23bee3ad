"""The stages one by one, for more than one machine: each reads its logs, each looks at its models, one tells.

stage PATH... gives a folder of events, detect FOLDER... --shard K/N what rules find of every N-th model, and
merge FOLDER... FOUND... the report: the same to the byte as that of one `analyze` over all logs (DECISIONS 29).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from cachelog import pipeline
from cachelog.contract import wire
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Finding, Report
from cachelog.ingest import staged
from cachelog.ingest.opened import drop_spool, open_spool
from cachelog.pipeline import Found, Options, Progress

_SCHEMA = "cachelog.found/1"


@dataclass(frozen=True)
class Shard:
    """Every `many`-th model, beginning with number `number` (from 1)."""

    number: int = 1
    many: int = 1

    def holds(self, finding: Finding) -> bool:
        """Return whether a finding is of this shard; what is of no model is of the first."""
        name = finding.model or ""
        return (zlib.crc32(name.encode()) % self.many if name else 0) == self.number - 1


def stage(paths: Sequence[str], folder: str, options: Options, progress: Progress | None = None) -> Report:
    """Read logs into a folder; return how each input was read. Raises UsageError."""
    spool = open_spool()
    try:
        read = pipeline._stage(paths, options, spool, progress)
        staged.save(folder, read.read)
        return pipeline._report(read, (), (), (), None)
    finally:
        drop_spool(spool)


def detect(folders: Sequence[str], shard: Shard, options: Options) -> str:
    """Return, as JSON, what the rules find of the models of a shard; raises UsageError."""
    read = pipeline._declared(staged.load(folders), options)
    events, frames, _ = pipeline._seen(read, options)
    found, errors = pipeline._detect(events, frames, options.limits) if frames else ([], ())
    mine = [finding for finding in found if shard.holds(finding)]
    said = {"schema": _SCHEMA, "shard": shard.number, "of": shard.many, "findings": wire.told(mine), "errors": errors}
    return json.dumps(said)


def merge(folders: Sequence[str], files: Sequence[str], options: Options) -> Report:
    """Return the report on staged logs, from what was found of them, or where no files are named by looking now.

    Raises UsageError on a file that is none, or a shard that is missing.
    """
    read = pipeline._declared(staged.load(folders), options)
    if not files:
        return pipeline._analyzed(read, options, None)
    found = _found(files)
    events, frames, odd = pipeline._seen(read, options)
    if frames is None:
        return pipeline._noted(pipeline._report(read, (), (), (), None), options)
    return pipeline._told(read, (events, frames, odd), found, options, pipeline._quotes(read, None))


def _found(files: Sequence[str]) -> Found:
    parts = sorted((_loaded(file) for file in files), key=lambda part: part[0])
    many = {part[1] for part in parts}
    numbers = [part[0] for part in parts]
    if len(many) != 1 or numbers != list(range(1, max(many) + 1)):
        raise UsageError(f"of {max(many)} shards these were given: {', '.join(map(str, numbers))}; each is needed once")
    errors = sorted({error for part in parts for error in part[3]})
    return [finding for part in parts for finding in part[2]], tuple(errors)


def _loaded(file: str) -> tuple[int, int, tuple[Finding, ...], tuple[str, ...]]:
    try:
        with open(file, encoding="utf-8") as raw:
            said = json.load(raw)
        if said["schema"] != _SCHEMA:
            raise ValueError(f"its schema is {said['schema']}")
        findings = wire.read(tuple[Finding, ...], said["findings"])
        return int(said["shard"]), int(said["of"]), findings, tuple(map(str, said["errors"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file!r} is no file that `cachelog detect` wrote: {error}") from None
