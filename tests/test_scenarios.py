"""What happens to simulated fleets is found in their logs, and what does not happen is not.

Every scenario with one seed by default; `-m slow` runs ten. A failure names scenario, seed and dialect:
`python -m tests.test_scenarios NAME SEED DIALECT FOLDER` writes its logs and prints what cachelog makes of them.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from cachelog.contract.finding import Report
from cachelog.pipeline import analyze
from tests.judging import counted, counted_versions, described, false, missed
from tests.scenarios import SCENARIOS, as_triton_logs
from tests.simulate import Simulated, simulate, totals
from tests.writing import write

DIALECTS = ("structlog", "zap", "logfmt", "text", "cri")
#: Triton writes nothing but loads; its versions are integers, as those of seeds 0, 5 and 6 are.
TRITON = (
    "ab-arms", "canary-abort", "crash-loop", "flapping", "load-failure", "rolling-deploy", "rolling-restart",
    "rollback-silent", "several-resident", "stale-poll", "stale-repaired", "stale-restart", "stale-truncated",
)  # fmt: skip
#: Access logs of edges have no line about loads: versions are known from the requests that they served.
EDGES = (
    "ab-arms", "blue-green-back", "flapping", "new-keys", "pinned-restart", "rollback-silent", "rolling-deploy",
    "rolling-restart", "slow-rollout", "smaller-cache", "stale-poll", "stale-repaired", "stale-restart", "steady",
)  # fmt: skip


def cases(seeds: range) -> list[tuple[str, int, str]]:
    """Every scenario with every seed, dialects taking turns; Triton and nginx where they can tell."""
    plain = [(n, s, DIALECTS[(i + s) % len(DIALECTS)]) for i, n in enumerate(sorted(SCENARIOS)) for s in seeds]
    triton = [(name, 6 * s, "triton") for name in TRITON for s in seeds[: len(seeds) // 4 + 1]]
    edges = [(name, s, "nginx") for name in EDGES for s in seeds[: len(seeds) // 4 + 1]]
    return plain + triton + edges


def run(name: str, seed: int, dialect: str, folder: Path) -> tuple[Simulated, Report]:
    """Simulate a scenario, write its logs and analyse them."""
    scenario = SCENARIOS[name](seed)
    simulated = simulate(as_triton_logs(scenario) if dialect == "triton" else scenario, seed)
    write(simulated, folder, dialect)
    return simulated, analyze([str(folder)])


def judge(simulated: Simulated, report: Report) -> tuple[list[str], list[str]]:
    """Return (what was missed, what is false), as texts."""
    truth = simulated.truth
    gone = missed(report.findings, truth.expect, truth.start)
    wrong = false(report.findings, truth.expect, truth.forbid, truth.start)
    return [f"{e.rule} {e.model} {','.join(e.replicas)} at {e.at}" for e in gone], described(wrong)


def check(name: str, seed: int, dialect: str, folder: Path) -> None:
    simulated, report = run(name, seed, dialect, folder)
    assert not report.errors
    if dialect != "triton":
        by_model = {model: count for (model,), count in totals(simulated.truth, 0).items()}
        by_version = {"@".join(names): (c.lookups, c.misses) for names, c in totals(simulated.truth, 0, 1).items()}
        assert counted(report) == by_model
        assert counted_versions(report) == by_version
    assert judge(simulated, report) == ([], []), described(report.findings)


@pytest.mark.parametrize(("name", "seed", "dialect"), cases(range(1, 2)))
def test_what_happened_is_found_and_nothing_else(name, seed, dialect, tmp_path):
    check(name, seed, dialect, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed", "dialect"), cases(range(2, 12)))
def test_what_happened_is_found_and_nothing_else_with_other_seeds(name, seed, dialect, tmp_path):
    check(name, seed, dialect, tmp_path)


@pytest.mark.parametrize("name", ["smaller-cache", "shorter-ttl", "new-keys", "stale-costly"])
def test_a_shift_costs_the_misses_that_there_would_not_have_been(name, tmp_path):
    scenario = SCENARIOS[name](3)
    simulated, report = run(name, 3, "zap", tmp_path)
    wanted = next(e for e in scenario.expect if e.rule == "miss-rate-shift")
    assert wanted.model and wanted.at
    calm = replace(scenario, steps=tuple(s for s in scenario.steps if s.at < wanted.at - 30.0))
    real, other = (totals(truth, 0)[wanted.model,].misses for truth in (simulated.truth, simulate(calm, 3).truth))
    found = next(f for f in report.findings if f.rule == "miss-rate-shift" and f.model == wanted.model)
    assert found.impact.excess_misses == pytest.approx(real - other, rel=0.1)
    assert found.impact.excess_misses_low and found.impact.excess_misses_low < real - other


def main(name: str, seed: str, dialect: str, folder: str) -> None:
    """Write one case to a folder that stays, and print what is missed, what is false and all that is found."""
    simulated, report = run(name, int(seed), dialect, Path(folder))
    gone, wrong = judge(simulated, report)
    print("missed", *gone, "false", *wrong, "found", *described(report.findings), sep="\n  ")


if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4] if len(sys.argv) > 4 else tempfile.mkdtemp())
