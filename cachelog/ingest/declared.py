"""Deploys that the user tells of (--deploy): an input of their own, whose lines are what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from cachelog.contract.deploys import Deploy
from cachelog.contract.event import EVENT
from cachelog.contract.finding import InputReport
from cachelog.contract.platform import DEPLOY
from cachelog.ingest.discover import Source
from cachelog.ingest.staged import Staged

PATH = "--deploy"


def declared(staged: Staged, deploys: Sequence[Deploy]) -> Staged:
    """Return what was read and these deploys."""
    if not deploys:
        return staged
    said, index = tuple(deploy.text for deploy in deploys), len(staged.sources)
    rows = [_row(deploy, index, line) for line, deploy in enumerate(deploys, 1)]
    many, size = len(said), sum(map(len, said))
    item = InputReport(PATH, "deploy", None, size, many, many, 0, 0, 0, 0, None)
    source = Source(PATH, size, said=said)
    read = replace(staged.read, sources=(*staged.sources, source), inputs=(*staged.inputs, item))
    return replace(staged, rare=pl.concat([staged.rare, pl.DataFrame(rows, EVENT)]), read=read)


def _row(deploy: Deploy, source: int, line: int) -> dict[str, object]:
    what = " of ".join(filter(None, (deploy.version, deploy.model))) or "of all models"
    told = {"ts": deploy.ts, "model": deploy.model, "version": deploy.version, "reason": f"{DEPLOY}{what} ({PATH})"}
    return {"source": source, "line": line, "op": "rollout", "cache": "model", "n": 1, **told}
