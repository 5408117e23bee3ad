"""The whole story on one page: stage -> frames -> detect -> link -> rank -> Report."""

from __future__ import annotations

import fnmatch
import glob
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import chain
from types import ModuleType

import polars as pl

import cachelog
from cachelog import blindness, closer, custom, rank
from cachelog.attribution.cause import link
from cachelog.attribution.clocks import doubted
from cachelog.contract import platform
from cachelog.contract.counted import Counted, Located
from cachelog.contract.errors import UsageError
from cachelog.contract.events import Events
from cachelog.contract.finding import Evidence, Finding, ModelRow, Report, Severity
from cachelog.contract.limits import DEFAULT, Limits
from cachelog.contract.rule import Frames
from cachelog.contract.wording import listed
from cachelog.ingest import cache, json_scan, mapping, written
from cachelog.ingest import discover as discovery
from cachelog.ingest.cite import cite, is_picked
from cachelog.ingest.clock import fixed_offset
from cachelog.ingest.declared import declared
from cachelog.ingest.discover import Source, any_pipe, discover
from cachelog.ingest.opened import drop_spool, open_spool
from cachelog.ingest.seek import Span
from cachelog.ingest.stage import Asked, stage
from cachelog.ingest.staged import Staged
from cachelog.metrics import charting, residency, windows
from cachelog.metrics.beside import told_beside
from cachelog.metrics.causes import by_model, explained
from cachelog.metrics.sources import lines_of
from cachelog.metrics.strays import Strays, strays, without
from cachelog.origin import Reader, traced
from cachelog.request import EVERYTHING, Options, noted
from cachelog.rooms import detectors, dialects, envelopes

__all__ = ["DEFAULT", "Options", "analyze", "context", "engine", "fixed_offset", "inputs", "raw_lines"]

_RULES = 2  # at a time

Progress = Callable[[int, int], None]
Sources = Mapping[str, Sequence[Located]]  # by the name of a figure
Beside = Callable[[Events, Frames, Limits], None]  # looks at what the rules look at, with their limits
Found = tuple[list[Finding], tuple[str, ...]]  # and the rules that raised
Quoted = Callable[[int, Sequence[int]], dict[int, str]]  # input, lines -> texts


def cache_folder() -> str:
    """Return where what was read is kept between runs."""
    return str(cache.folder())


def how(options: Options) -> str:
    """Return what events depend on beside the logs and the program."""
    return Asked(options.tz, own=options.own).how(_dialects(options))


def cache_size() -> tuple[int, int]:
    """Return how many logs are kept, and how many bytes they take."""
    return cache.size()


def clear_cache() -> int:
    """Forget what is kept; return how many bytes that freed."""
    return cache.clear()


def engine() -> str:
    """Return which engine reads JSON lines."""
    return json_scan.engine()


def analyze(
    paths: Sequence[str], options: Options = EVERYTHING, progress: Progress | None = None, beside: Beside | None = None
) -> Report:
    """Read the logs under `paths` and return what went wrong, ranked, with the text of every cited line.

    `beside` is called with the events, unless none has a time. Ctrl-C while reading gives the report of what was read,
    marked partial. Raises UsageError.
    """
    spool = open_spool()
    try:
        staged = _understood(_stage(paths, options, spool, progress))
        with _meanwhile(staged.keep):
            return _analyzed(staged, options, spool, beside)
    finally:
        drop_spool(spool)


def observe(paths: Sequence[str], options: Options, progress: Progress | None, beside: Beside) -> None:
    """Read the logs for `beside` alone, which is not called when no event has a time; raises UsageError."""
    spool = open_spool()
    try:
        staged = _understood(_stage(paths, options, spool, progress))
        with _meanwhile(staged.keep):
            events, frames, _ = _seen(staged, options)
            if frames:
                beside(events, frames, _fitted(options.limits, frames))
    finally:
        drop_spool(spool)


def prove(
    paths: Sequence[str], options: Options, choose: Callable[[Report], Finding | None], progress: Progress | None = None
) -> tuple[Report, Finding | None, Sources]:
    """Analyse, and find the lines that each figure of one finding counts; raises UsageError, and what `choose` does."""
    spool = open_spool()
    try:
        staged = _understood(_stage(paths, options, spool, progress))
        with _meanwhile(staged.keep):
            report = _analyzed(staged, options, spool)
            chosen = choose(report)
            return report, chosen, _sources(staged, chosen, options) if chosen else {}
    finally:
        drop_spool(spool)


def _sources(staged: Staged, finding: Finding, options: Options) -> Sources:
    events, frames, _ = _seen(staged, options)
    if frames is None:
        return {}
    known = {c: _located(c, events, frames, staged) for c in dict.fromkeys(chain(*finding.counted.values()))}
    return {name: tuple(known[c] for c in counted) for name, counted in finding.counted.items()}


def _located(counted: Counted, events: Events, frames: Frames, staged: Staged) -> Located:
    many, *ends = lines_of(counted, events, frames)
    first, last = (f"{staged.sources[end[0]].path}:{end[1]}" if end else None for end in ends)
    return Located(counted, many, first, last)


@contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something beside; it is done at the end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _analyzed(
    staged: Staged, options: Options, spool: str | None, beside: Beside | None = None, quoted: Quoted | None = None
) -> Report:
    events, frames, odd = _seen(staged, options)
    if frames is None:
        return _noted(_report(staged, (), (), (), frames), options)
    if beside:
        beside(events, frames, _fitted(options.limits, frames))
    found = _detect(events, frames, options.limits)
    return _told(staged, (events, frames, odd), found, options, quoted or _quotes(staged, spool))


def _told(
    staged: Staged, known: tuple[Events, Frames, Strays | None], found: Found, options: Options, quoted: Quoted
) -> Report:  # fmt: skip
    """Link and rank what was found, and cite the lines."""
    events, frames, odd = known
    causes = explained(events, frames, _fitted(options.limits, frames))
    ranked = rank.rank(link(rank.named(doubted(found[0], frames)), frames, options.limits, causes.shared))
    asked = traced(_asked(ranked, options), _reader(staged, quoted), (events, frames), options.limits)
    hidden = sum(f.severity > Severity.INFO for f in ranked) - sum(f.severity > Severity.INFO for f in asked)
    models = windows.models(frames, by_model(causes, frames))
    report = _report(staged, models, _cited(asked, staged.sources, quoted), found[1], frames)
    told = (*report.limits, *blindness.gaps(ranked), *blindness.sampled(causes.modulus, causes.wrong))
    told = (*told, *blindness.strange_keys(causes.foreign), *blindness.strange_times(odd))
    charts = charting.charts(frames, asked, options.limits) if options.charts else None
    return replace(_noted(replace(report, limits=told), options), hidden=hidden, charts=charts)


def _noted(report: Report, options: Options) -> Report:
    """Let the report say what it was asked for, where that is not everything."""
    return replace(report, limits=(*report.limits, *noted(options)))


def context(report: Report, evidence: Evidence, around: int) -> list[tuple[int, str, bool]]:
    """Return (line number, raw text, is it the cited line) for `around` lines on both sides of a cited line."""
    path = evidence.path
    found = cite(Source(path, pipe=any_pipe([path])), [evidence.line], around)
    return [(number, text, number == evidence.line) for number, text in sorted(found.items())]


def inputs(paths: Sequence[str]) -> list[str]:
    """Return the paths of all inputs under `paths`; raises UsageError."""
    return [source.path for source in discover(paths)]


def left_out(paths: Sequence[str]) -> list[str]:
    """Return the files under `paths` that cachelog wrote itself, and does not read."""
    return discovery.left_out(paths)


def reports_among(files: Sequence[str]) -> list[str]:
    """Return, of files that cachelog wrote, those that are no part of a sample."""
    return [path for path in files if not written.is_expectation(path)]


def stamps(paths: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Return what tells whether inputs changed: their files, sizes and times of change; raises UsageError."""
    files = sorted({source.archive or source.path for source in discover(paths)})
    known = [(file, os.stat(file)) for file in files if os.path.exists(file)]
    return tuple((file, info.st_size, info.st_mtime_ns) for file, info in known)


def raw_lines(paths: Sequence[str], wanted: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], str]:
    """Return the raw texts of lines of inputs under `paths`, by input and line; of what can be read once only, none."""
    found: dict[tuple[str, int], str] = {}
    for source in discover(paths):
        numbers = () if source.note or source.pipe else wanted.get(source.path, ())
        found |= {(source.path, line): text for line, text in (cite(source, numbers) if numbers else {}).items()}
    return found


def _stage(
    paths: Sequence[str], options: Options, spool: str | None, progress: Progress | None, *, mining: bool = False
) -> Staged:
    span = Span(options.since, options.until)
    kept = options.cache and not mining
    asked = Asked(options.tz, spool, kept, span, progress, options.limits, mining, options.own)
    return _declared(stage(paths, _dialects(options), envelopes(), asked), options)


def _declared(staged: Staged, options: Options) -> Staged:
    """Add the deploys that the user tells of; raises UsageError on a model that is not in the logs."""
    for deploy in options.deploys:
        if deploy.model:
            _asked_for("model", staged, (glob.escape(deploy.model),))
    return declared(staged, options.deploys)


def _understood(staged: Staged) -> Staged:
    """Return what was read; raises UsageError where a place of outcomes holds none that is known."""
    told, strange = Counter[str](), Counter[str]()
    for item in staged.inputs:
        told.update(item.mapped)
        strange.update(item.strange)
    for what in sorted(told):
        if strange[f"{what}\0"] and strange[f"{what}\0"] == told[what]:
            words = [key.split("\0")[1] for key in sorted(strange) if key.startswith(f"{what}\0") and key[-1] != "\0"]
            raise UsageError(mapping.unknown_words(what, words))
    return staged


def staged(paths: Sequence[str], options: Options) -> Staged:
    """Return the events of inputs, and how they were read; raises UsageError."""
    return _stage(paths, options, None, None)


def _dialects(options: Options) -> Mapping[str, ModuleType]:
    """Return the dialects, those of the user first."""
    mapped = custom.mapped(options.own)
    return {**options.formats, **({mapped.NAME: mapped} if mapped else {}), **dialects()}


def _seen(staged: Staged, options: Options) -> tuple[Events, Frames | None, Strays | None]:
    """Return the events that are looked at, what rules share (None when none has a time), and what was left out."""
    odd = strays(staged.bulk, staged.rare, options.limits)
    events, rare = without(*_wanted(staged, options), odd)
    return events, _frames(events, rare, options), odd


def _wanted(staged: Staged, options: Options) -> tuple[Events, pl.DataFrame]:
    """Keep the events of the asked time, models and replicas; fleet-wide events (no model, no replica) stay.

    So does what the platform says: manifests are older than what they explain.
    """
    time: list[pl.Expr] = []
    if options.since:
        time.append(pl.col("ts") >= options.since)
    if options.until:
        time.append(pl.col("ts") < options.until)
    models, replicas = _asked_for("model", staged, options.models), _asked_for("replica", staged, options.replicas)
    here = [*time, *([] if replicas is None else [_is_one_of("replica", replicas)])]
    of_model = pl.lit(True) if models is None else _is_one_of("model", models)
    rows = pl.all_horizontal(here) if here else None
    bulk = Events(tuple(p.where(p.words.select(_all(of_model)).to_series(), rows) for p in staged.bulk.parts))
    rare = staged.rare.filter(pl.all_horizontal(pl.lit(True), *here) | platform.told(), of_model)
    return bulk, rare


def _all(mask: pl.Expr) -> pl.Expr:
    """Return the mask in full height, where it is a literal."""
    return pl.repeat(True, pl.len()) & mask


def _is_one_of(column: str, names: Sequence[str]) -> pl.Expr:
    return pl.col(column).cast(pl.String).is_in(names) | pl.col(column).is_null()


def _asked_for(column: str, staged: Staged, globs: Sequence[str]) -> list[str] | None:
    """Return the names that fit, None for all; raises UsageError on a glob that fits none: no answer looks healthy."""
    if not globs or not any(item.events for item in staged.inputs):
        return None
    known = staged.names(column)
    for wanted in globs:
        if not fnmatch.filter(known, wanted):
            raise UsageError(f"no {column} {wanted!r} in these logs; they name {listed(known, 8) or 'none'}")
    return [name for name in known if any(fnmatch.fnmatchcase(name, g) for g in globs)]


def _frames(events: Events, rare: pl.DataFrame, options: Options) -> Frames | None:
    """Make the frames that detectors share; None when no event has a time."""
    serving = rare.filter(~platform.told())
    if (span := _span(events, serving) or _span(events, rare)) is None:
        return None
    start, end = span
    counts, base = windows.counts(events, start, end)
    totals = windows.totals(counts)
    said, beside = told_beside(rare, serving, totals, (start, end), options.limits)
    changes = residency.changes(pl.concat([serving, beside]))
    replicas = residency.replicas(totals, changes)
    order = residency.ordered(totals, changes, replicas, start, end, options.order)
    limits = options.limits.for_span((end - start).total_seconds())
    levels = residency.levels(counts, changes, order, replicas, end, limits)
    changes = changes.join(
        order.select("model", "version", "ord"), on=["model", "version"], how="left", maintain_order="left"
    )
    return Frames(start, end, base, counts, totals, changes, order, levels, replicas, said)


def _span(events: Events, rare: pl.DataFrame) -> tuple[datetime, datetime] | None:
    """Return the times of the first and of the last event."""
    bounds = [pl.col("ts").min().alias("start"), pl.col("ts").max().alias("end")]
    found = pl.concat([rare.select(bounds), *(p.rows.lazy().select(bounds).collect() for p in events.parts)])
    start, end = found["start"].min(), found["end"].max()
    return (start, end) if isinstance(start, datetime) and isinstance(end, datetime) else None


def _fitted(limits: Limits, frames: Frames) -> Limits:
    return limits.for_span((frames.end - frames.start).total_seconds())


def _detect(events: Events, frames: Frames, asked: Limits) -> Found:
    """Run every rule, two at a time; one that raises costs only itself and is named in the report."""
    limits = _fitted(asked, frames)
    found: list[Finding] = []
    errors: list[str] = []
    brief = _passing(events, frames, asked, errors)
    with ThreadPoolExecutor(_RULES) as pool:
        running = {rule: pool.submit(module.detect, events, frames, limits) for rule, module in detectors().items()}
    for rule, findings in running.items():
        try:
            found += findings.result()
        except Exception as error:
            errors.append(f"{rule}: {type(error).__name__}: {error}")
    return [*found, *closer.without_repeats(found, brief)], tuple(errors)


def _passing(events: Events, frames: Frames, asked: Limits, errors: list[str]) -> list[Finding]:
    """Look closely at hours of a long log; if a rule raises there, that costs only these looks."""
    try:
        return closer.passing(events, frames, asked, detectors())
    except Exception as error:
        errors.append(f"a closer look: {type(error).__name__}: {error}")
        return []


def _asked(findings: Sequence[Finding], options: Options) -> list[Finding]:
    """Apply --rule, --min-severity and --top, which choose what is shown, not what is found."""
    kept = [f for f in findings if f.severity >= options.min_severity]
    if options.rules:
        kept = [f for f in kept if any(fnmatch.fnmatchcase(f.rule, g) for g in options.rules)]
    kept = kept[: options.top] if options.top is not None else kept
    shown = {f.id for f in kept}
    return [f if f.caused_by in shown else replace(f, caused_by=None) for f in kept]


def _quotes(staged: Staged, spool: str | None) -> Quoted:
    """Return what reads the text of lines once more."""
    return lambda index, lines: cite(staged.sources[index], lines, 0, spool, staged.read.marks.get(index, ()))


def _reader(staged: Staged, quoted: Quoted) -> Reader:
    """Return what reads lines of inputs again, but not those of big packed ones: that takes as long as all of it."""

    def read(wanted: Mapping[int, Sequence[int]]) -> dict[tuple[int, int], str]:
        found: dict[tuple[int, int], str] = {}
        for index, numbers in wanted.items():
            source, marks = staged.sources[index], staged.read.marks.get(index, ())
            if source.size <= DEFAULT.sought_bytes or is_picked(source, marks):
                texts = quoted(index, sorted(numbers))
                found |= {(index, line): text for line, text in texts.items()}
        return found

    return read


def _cited(findings: Sequence[Finding], sources: Sequence[Source], quoted: Quoted) -> tuple[Finding, ...]:
    """Read the cited lines again and put their paths and texts into the evidence."""
    wanted: dict[int, set[int]] = {}
    for finding in findings:
        for item in finding.evidence:
            wanted.setdefault(item.source, set()).add(item.line)
    texts = {index: quoted(index, sorted(numbers)) for index, numbers in sorted(wanted.items())}

    def cited(item: Evidence) -> Evidence:
        return replace(item, path=sources[item.source].path, text=texts[item.source].get(item.line, ""))

    return tuple(replace(f, evidence=tuple(cited(e) for e in f.evidence)) for f in findings)


def _reading(staged: Staged) -> blindness.Reading:
    return blindness.Reading(
        staged.inputs,
        staged.untimed(),
        staged.read.sought,
        staged.dropped,
        staged.lost(),
        staged.read.maps,
        staged.again,
    )


def _report(
    staged: Staged,
    models: tuple[ModelRow, ...],
    findings: tuple[Finding, ...],
    errors: tuple[str, ...],
    frames: Frames | None,
) -> Report:
    return Report(
        tool={"name": "cachelog", "version": cachelog.__version__},
        partial=staged.read.partial,
        start=frames.start if frames else None,
        end=frames.end if frames else None,
        inputs=staged.inputs,
        limits=blindness.limits(_reading(staged), models, frames),
        models=models,
        findings=findings,
        errors=errors,
    )
