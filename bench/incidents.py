"""`python -m bench.incidents` simulates fleets to which something happens, and tables what `analyze` makes of it.

Families are those of tests/scenarios.py and tests/incidents.py, with seeds that no test uses: 20 minutes to 12 hours,
3 to 20 replicas, sparse to busy, miss rates from half a percent to 60 %. With all families it writes
bench/INCIDENTS.md; with `--only` it prints, and names every run that is not right.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from bench import machine
from cachelog.contract.finding import Finding, Report, Severity
from cachelog.pipeline import Options, analyze
from tests.incidents import INCIDENTS
from tests.judging import described, false, fits
from tests.plots import WIDE
from tests.scenarios import HEALTHY
from tests.simulate import CAUSES, Expected, Scenario, Simulated, Truth, simulate
from tests.writing import write

DIALECTS = ("structlog", "zap", "logfmt", "text", "cri")
SEEDS, HEALTHY_SEEDS = 20, 50
#: What may follow from an incident of the same model, and is then no false alarm.
CONSEQUENCES = (
    "miss-rate-shift", "cold-start", "version-skew", "replica-restart", "eviction-thrash", "stuck-rollout",
    "ttl-churn", "new-keys", "stampede", "stale-serve", "load-churn",
)  # fmt: skip
#: Misses that a shift must cost, times the deviation of the others and part of the others, to be asked for.
EXCESS, TIMES, HALF = 200.0, 10.0, 0.5
SOME = 100.0  # lookups of the model: in sparse traffic nobody can say when to a minute
LOST = 20.0  # lines that a gap must take to be asked for: how else would it differ from a quiet minute
_NEARLY = timedelta(minutes=5)
_MOSTLY = 0.6  # of the lookups
_SHIFTS = ("miss-rate-shift", "eviction-thrash", "ttl-churn", "new-keys")


@dataclass(frozen=True)
class Outcome:
    """What became of one run: what was asked for, missed and false, and where the primary cause stands."""

    family: str
    seed: int
    dialect: str
    asked: int
    missed: tuple[str, ...]
    false: tuple[str, ...]
    rank: int | None  # of the primary cause; None where there is none, or where it was missed
    primary: bool
    links: tuple[str, ...]  # to a cause that is not the one
    healthy: bool
    days: float  # models times days of log
    onsets: tuple[bool, ...]  # of the shifts that were asked for: is the onset inside its interval
    lookups: int


def outcome(family: str, seed: int) -> Outcome:
    """Simulate one run, write its logs and analyse them."""
    scenario = INCIDENTS[family](seed)
    run, dialect = simulate(scenario, seed), DIALECTS[seed % len(DIALECTS)]
    with tempfile.TemporaryDirectory() as folder:
        write(run, Path(folder), dialect)
        report = analyze([folder], Options(order=scenario.order))
    return _judged((family, seed, dialect), scenario, run, report)


def _judged(name: tuple[str, int, str], scenario: Scenario, run: Simulated, report: Report) -> Outcome:
    truth, found = run.truth, report.findings
    healthy = not any(e.rule != "version-skew" for e in truth.expect)
    asked = [_in_sparse(e, scenario) for e in truth.expect if _is_to_be_seen(e, scenario, run, name[1])]
    placed = {e: next((i for i, f in enumerate(found, 1) if fits(f, e, truth.start)), None) for e in asked}
    missed = tuple(_said(e) for e in asked if placed[e] is None)
    wrong = tuple(described(f for f in _false(found, truth, [*scenario.skew], healthy) if not _always_was(f, run)))
    first = [e for e in asked if e.primary] or asked[:1]
    ranks = [place for e in first if (place := placed[e])]
    count = sum(c.lookups for c in truth.counts.values())
    return Outcome(
        *name, len(asked), missed, wrong, min(ranks, default=None), bool(first) and not healthy,
        tuple(_wrong_links(found, truth, asked)), healthy, len(scenario.traffic) * scenario.seconds / 86400,
        tuple(_inside(found, truth, asked)), count,
    )  # fmt: skip


def _said(wanted: Expected) -> str:
    versions = f"{wanted.version_from}->{wanted.version_to}"
    return f"{wanted.rule} {wanted.model} {versions} {','.join(wanted.replicas)} at {wanted.at}"


# -- what can be asked for --------------------------------------------------------------------------


def _is_to_be_seen(wanted: Expected, scenario: Scenario, run: Simulated, seed: int) -> bool:
    """A shift that costs next to nothing, or a gap in lines that hardly come, is not asked for."""
    if wanted.rule in _SHIFTS and wanted.at is not None:
        extra, usual = _cost(wanted, scenario, run, seed)
        return bool(extra >= max(EXCESS, TIMES * usual**0.5, HALF * usual))
    if wanted.rule == "log-gap":
        each = sum(t.rate for t in scenario.traffic) / len(scenario.replicas)
        return sum(each * (end - start) for _, start, end in scenario.gaps) >= LOST
    return True


def _in_sparse(wanted: Expected, scenario: Scenario) -> Expected:
    """A shift is placed within its tolerance, or within the time of some lookups where that is longer."""
    rates = {t.model: t.rate for t in scenario.traffic}
    if wanted.rule not in _SHIFTS or wanted.model not in rates:
        return wanted
    return replace(wanted, tolerance_s=max(wanted.tolerance_s, SOME / rates[wanted.model]))


def _cost(wanted: Expected, scenario: Scenario, run: Simulated, seed: int) -> tuple[float, float]:
    """Return the misses of the model that what happened at that time made, and those that there would have been."""
    calm = replace(scenario, steps=tuple(s for s in scenario.steps if not _is_behind(s.at, wanted)))
    other = simulate(calm, seed)
    real, usual = (_misses_since(one, wanted) for one in (run, other))
    return real - usual, usual


def _misses_since(run: Simulated, wanted: Expected) -> int:
    rows, scenario = run.events.lookups, run.events.scenario
    mine = rows.model == [t.model for t in scenario.traffic].index(wanted.model or "")
    start = (scenario.start.timestamp() + (wanted.at or 0.0)) * 1e6
    return int((mine & (rows.cause >= 0) & (rows.stamp >= start)).sum())


def _is_behind(at: float, wanted: Expected) -> bool:
    return wanted.at is not None and at >= wanted.at - 30.0


# -- what is wrong ----------------------------------------------------------------------------------


def _false(found: Sequence[Finding], truth: Truth, skewed: Iterable[str], healthy: bool) -> list[Finding]:
    """Return the findings above information that nothing explains, and those that the family rules out."""
    open_ = [f for f in found if not any(fits(f, e, truth.start) for e in truth.expect)]
    open_ = [f for f in open_ if f.rule != "clock-skew" or not set(f.replicas) <= set(skewed)]
    if healthy:
        return false(open_, (), HEALTHY, truth.start)
    ruled_out = false(open_, (), truth.forbid, truth.start)
    return [f for f in open_ if f in ruled_out or (f.severity > Severity.INFO and not _follows(f, truth))]


def _always_was(finding: Finding, run: Simulated) -> bool:
    """A cache that is too small all day, for most lookups, is found by right whatever else happens."""
    rows, names = run.events.lookups, [t.model for t in run.events.scenario.traffic]
    if finding.rule != "eviction-thrash" or finding.model not in names:
        return False
    mine = rows.model == names.index(finding.model)
    evicted = mine & (rows.cause == CAUSES.index("capacity"))
    return bool(evicted.sum() >= _MOSTLY * mine.sum())


def _follows(finding: Finding, truth: Truth) -> bool:
    """A consequence of an incident of the same model, or of a restart, most of which comes after it."""
    mine = [e for e in truth.expect if e.model in (None, finding.model)]
    restarted = any(c.op == "restart" for c in truth.changes)
    times = [e.at for e in mine] or ([0.0] if restarted else [])
    if finding.rule not in CONSEQUENCES or not times or finding.start is None:
        return False
    first = truth.start + timedelta(seconds=min(at or 0.0 for at in times))
    lasted, since = (finding.end - t if finding.end else timedelta(0) for t in (finding.start, first))
    return (finding.onset_high or finding.start) >= first - _NEARLY or since >= lasted / 2


def _wrong_links(found: Sequence[Finding], truth: Truth, asked: Iterable[Expected]) -> Iterator[str]:
    """Yield shifts whose cause is another one than the family's."""
    ids = {f.id: f for f in found}
    for wanted in asked:
        for finding in found if wanted.because else ():
            if fits(finding, wanted, truth.start):
                cause = ids.get(finding.caused_by or "")
                if cause is None or cause.rule != wanted.because or cause.model != wanted.model:
                    by = f"{cause.rule} {cause.model}" if cause else "nothing"
                    yield f"{finding.rule} {finding.model} by {by}"


def _inside(found: Sequence[Finding], truth: Truth, asked: Iterable[Expected]) -> Iterator[bool]:
    """Yield of every shift that was found whether its interval of the onset holds the true one."""
    for wanted in asked:
        if wanted.rule != "miss-rate-shift" or wanted.at is None:
            continue
        at = truth.start + timedelta(seconds=wanted.at)
        for finding in found:
            if fits(finding, wanted, truth.start) and finding.onset_low and finding.onset_high:
                yield finding.onset_low <= at <= finding.onset_high
                break


# -- the page ---------------------------------------------------------------------------------------


def outcomes(families: Sequence[str], seeds: int | None, jobs: int) -> Iterator[Outcome]:
    """Yield the runs of families, in order; as many seeds for each, or as many as its kind asks for."""
    asked = [(name, seed) for name in families for seed in range(WIDE, WIDE + (seeds or _seeds(name)))]
    if jobs == 1:
        yield from (outcome(*one) for one in asked)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(outcome, *zip(*asked, strict=True))


def _seeds(family: str) -> int:
    expect = INCIDENTS[family](WIDE).expect
    return SEEDS if any(e.rule != "version-skew" for e in expect) else HEALTHY_SEEDS


def _healthy_table(runs: Sequence[Outcome]) -> Iterator[str]:
    yield "| nothing is wrong | runs | with anything above info | model-days |"
    yield "|---|---|---|---|"
    for name in dict.fromkeys(run.family for run in runs):
        mine = [run for run in runs if run.family == name]
        yield f"| {name} | {len(mine)} | {sum(bool(r.false) for r in mine)} | {sum(r.days for r in mine):.1f} |"
    days, alarms = sum(r.days for r in runs), sum(len(r.false) for r in runs)
    yield f"| **all** | {len(runs)} | {sum(bool(r.false) for r in runs)} | {days:.1f} |"
    yield f"\nFindings above info: {alarms}, that is {alarms / days if days else 0:.3f} a model-day."


def _incident_table(runs: Sequence[Outcome]) -> Iterator[str]:
    yield "| something happens | runs | asked for | found | false above info | primary first | links to another cause |"
    yield "|---|---|---|---|---|---|---|"
    for name in [*dict.fromkeys(run.family for run in runs), ""]:
        mine = [run for run in runs if name in ("", run.family)]
        asked, first = sum(r.asked for r in mine), [r for r in mine if r.primary]
        found, wrong = asked - sum(len(r.missed) for r in mine), sum(len(r.false) for r in mine)
        top = f"{sum(r.rank == 1 for r in first)} of {len(first)}" if first else "-"
        links = sum(len(r.links) for r in mine)
        yield f"| {name or '**all**'} | {len(mine)} | {asked} | {found} | {wrong} | {top} | {links} |"
    inside = [one for run in runs for one in run.onsets]
    yield f"\nOnset of a shift inside its stated interval (95 %): {sum(inside)} of {len(inside)}."


def _wrong(runs: Iterable[Outcome]) -> Iterator[str]:
    for run in runs:
        told = [("missed", run.missed), ("false", run.false), ("link", run.links)]
        if run.primary and run.rank not in (None, 1):
            told.append(("primary", (f"at place {run.rank}",)))
        for what, texts in told:
            yield from (f"* {run.family} {run.seed} {run.dialect} ({run.lookups:,} lookups): {what} {t}" for t in texts)


def page(runs: Sequence[Outcome]) -> str:
    """Return bench/INCIDENTS.md."""
    well, ill = [r for r in runs if r.healthy], [r for r in runs if not r.healthy]
    parts = [
        "# What cachelog makes of incidents that nobody has tuned it to\n",
        machine.line(),
        __doc__.split("\n\n")[1],
    ]
    tables = ([*_healthy_table(well)] if well else []) + [""] + ([*_incident_table(ill)] if ill else [])
    return "\n".join([*parts, "", *tables, "", "## Every run that is not right\n", *_wrong(runs), ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the families that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.incidents", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(INCIDENTS), metavar="NAME", help=", ".join(INCIDENTS))
    parser.add_argument("--seeds", type=int, help=f"of each family; else {SEEDS}, and {HEALTHY_SEEDS} of healthy ones")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args(arguments)
    runs = []
    for run in outcomes(asked.only or list(INCIDENTS), asked.seeds, asked.jobs):
        runs.append(run)
        print(*_wrong([run]), sep="\n", end="\n" if [*_wrong([run])] else "", file=sys.stderr, flush=True)
    if asked.only:
        print(
            *_healthy_table([r for r in runs if r.healthy]),
            *_incident_table([r for r in runs if not r.healthy]),
            sep="\n",
        )
        return 0
    Path(__file__).with_name("INCIDENTS.md").write_text(page(runs), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
