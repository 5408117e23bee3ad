"""cachelog inspect: how each input was read, what looks like which field, and what was not understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType

from cachelog import pipeline
from cachelog.contract.finding import InputReport, Insight, Report
from cachelog.contract.limits import DEFAULT
from cachelog.contract.own import using
from cachelog.ingest.cite import cite
from cachelog.ingest.fieldmap import Examined, examined
from cachelog.ingest.opened import drop_spool, open_spool
from cachelog.ingest.staged import Staged
from cachelog.ingest.suggest import proposal
from cachelog.metrics import windows
from cachelog.pipeline import Progress
from cachelog.request import EVERYTHING, Options
from cachelog.rooms import envelopes


def inspect(paths: Sequence[str], options: Options = EVERYTHING, progress: Progress | None = None) -> Report:
    """Read the logs and return how each input was read, without judging what happened."""
    spool = open_spool()
    try:
        staged = pipeline._stage(paths, options, spool, progress, mining=True)
        _, frames, _ = pipeline._seen(staged, options)
        models = windows.models(frames) if frames else ()
        known = pipeline._dialects(options)
        with using(options.own):
            read = [source for source in staged.sources if not (source.note or source.said)]
            seen = {source.path: examined(source, envelopes(), known, spool) for source in read}
        report = pipeline._report(staged, models, (), (), frames)
        quoted = tuple(_quoted(item, staged, spool) for item in report.inputs)
        told = _insights(report, seen, staged, known)
        return replace(report, fields={path: known for path, (known, _) in seen.items()}, inputs=quoted, insights=told)
    finally:
        drop_spool(spool)


def _insights(
    report: Report, seen: Mapping[str, Examined], staged: Staged, known: Mapping[str, ModuleType]
) -> Mapping[str, Insight]:
    """Return what is to be said of each input that was read."""
    found: dict[str, Insight] = {}
    for index, item in enumerate(report.inputs):
        if item.path not in seen:
            continue
        fields, candidates = seen[item.path]
        claimed = tuple((name, many, _about(known[name])) for name, many in item.claimed.items())
        unread = item.events < DEFAULT.inspect_read_share * item.lines
        maps = proposal(candidates, fields) if unread and any(c.field == "outcome" for c in candidates) else ()
        templates = staged.read.mined.templates(index, DEFAULT.inspect_templates)
        found[item.path] = Insight(claimed, candidates, maps, templates, unread)
    return found


def _about(module: ModuleType) -> str:
    """Return the first sentence about a dialect."""
    return " ".join((module.__doc__ or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _quoted(item: InputReport, staged: Staged, spool: str | None) -> InputReport:
    """Put paths and texts to the lines of an input that were not understood."""
    if not item.unread:
        return item
    index = item.unread[0].source
    wanted = [line.line for line in item.unread]
    texts = cite(staged.sources[index], wanted, 0, spool, staged.read.marks.get(index, ()))
    return replace(
        item, unread=tuple(replace(e, path=item.path, text=texts.get(e.line, "")) for e in item.unread)
    )  # fmt: skip
