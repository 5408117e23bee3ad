"""`python -m bench.judge` writes bench/JUDGE.md: how often the judge of `cachelog check` is wrong, beside others.

Counts are simulated, not logs: 12 slices of five minutes before and 12 after, with traffic that is sparse, without a
miss before, overdispersed, or comes in waves. Kayenta's Mann-Whitney judge and thresholds on points are as METHODS §2
has them (experiments/e2_ci_judge.py), at their own defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cachelog.cli.deciding import LOOKS
from cachelog.contract.config import Margins
from cachelog.contract.limits import DEFAULT
from cachelog.contract.verdict import Outcome
from cachelog.metrics.judge import Errors, Side, judge_increase, levels
from cachelog.metrics.proportions import Floats, normal_quantile, normal_tail

SLICES = 12
RUNS = 300  # of each rate: over three, 5 % is known to +-1.5 points
MARGINS = Margins()
ERROR = DEFAULT.check_error


@dataclass(frozen=True)
class Traffic:
    """What lookups are like: how many a slice, which rates before, how rates vary from slice to slice."""

    name: str
    lookups: float
    rates: tuple[float, ...]
    spread: float = 0.0  # intra-class correlation of a slice: rates of slices are beta distributed
    memory: float = 0.0  # correlation of a slice's rate with that of the slice before


TRAFFIC = (
    Traffic("sparse: 1 lookup a slice", 1, (0.02, 0.05, 0.2), 0.01),
    Traffic("sparse: 4", 4, (0.02, 0.05, 0.2), 0.01),
    Traffic("20", 20, (0.02, 0.05, 0.2), 0.01),
    Traffic("200", 200, (0.02, 0.05, 0.2), 0.01),
    Traffic("zero baseline: 4", 4, (0.0,)),
    Traffic("zero baseline: 20", 20, (0.0,)),
    Traffic("zero baseline: 200", 200, (0.0,)),
    Traffic("overdispersed (5 %): 20", 20, (0.02, 0.05, 0.2), 0.05),
    Traffic("overdispersed (5 %): 200", 200, (0.02, 0.05, 0.2), 0.05),
    Traffic("in waves (5 %, memory 0.7): 20", 20, (0.02, 0.05, 0.2), 0.05, 0.7),
    Traffic("in waves (5 %, memory 0.7): 200", 200, (0.02, 0.05, 0.2), 0.05, 0.7),
)


def allowed(rate: float) -> float:
    """Return the rise that the margins allow."""
    return max(MARGINS.absolute, MARGINS.relative * rate)


#: What happens to the rate, and which verdict would be wrong.
CHANGES: dict[str, Callable[[float], float]] = {
    "none": lambda p: p,
    "half": lambda p: p + 0.5 * allowed(p),
    "margin": lambda p: p + allowed(p),
    "bad": lambda p: 2.5 * p + 0.05,
}


def drawn(dice: np.random.Generator, traffic: Traffic, rate: float, slices: int = SLICES) -> Side:
    """Return one side: Poisson lookups, and misses with the rate of their slice."""
    n = dice.poisson(traffic.lookups, slices)
    p = _varied(dice, traffic, rate, slices)
    return Side(dice.binomial(n, p).astype(np.float64), n.astype(np.float64))


def _varied(dice: np.random.Generator, traffic: Traffic, rate: float, slices: int) -> Floats:
    """Beta rates of slices; with memory through the ranks of an autoregressive normal series (a copula)."""
    if not traffic.spread or not rate:
        return np.full(slices, rate)
    k = (1 - traffic.spread) / traffic.spread
    if not traffic.memory:
        return dice.beta(rate * k, (1 - rate) * k, slices)
    table = np.sort(np.random.default_rng(1).beta(rate * k, (1 - rate) * k, 4096))
    z, level = np.empty(slices), dice.standard_normal()
    for at in range(slices):
        level = traffic.memory * level + math.sqrt(1 - traffic.memory**2) * dice.standard_normal()
        z[at] = level
    ranks = np.array([4095 * (1 - normal_tail(one)) for one in z]).astype(np.int64)
    return np.asarray(table[ranks])


Judge = Callable[[Side, Side], str]


def of_cachelog(before: Side, after: Side) -> str:
    """The judge of `cachelog check`."""
    return judge_increase(before, after, MARGINS, Errors(ERROR, ERROR), DEFAULT).outcome.value


def of_threshold(before: Side, after: Side) -> str:
    """A threshold on the difference of two points, as Flagger and alerts have it."""
    first, second = before.rate.value, after.rate.value
    return "fail" if second - first > allowed(first) else "pass"


def of_two_proportions(before: Side, after: Side) -> str:
    """A test that two proportions are equal, p < 0.01, without a margin."""
    first, second = before.rate, after.rate
    if not first.lookups or not second.lookups:
        return "pass"
    pooled = (first.misses + second.misses) / (first.lookups + second.lookups)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / first.lookups + 1 / second.lookups))
    return "fail" if second.value - first.value > normal_quantile(0.99) * max(deviation, 1e-12) else "pass"


def of_mann_whitney(before: Side, after: Side) -> str:
    """Kayenta's judge: the 98 % interval of the Hodges-Lehmann shift of slice rates, tolerance 25 % of it."""
    a, b = (side.misses[side.lookups > 0] / side.lookups[side.lookups > 0] for side in (after, before))
    if len(a) < 2 or len(b) < 2:
        return "pass"
    shifts = np.sort((a[:, None] - b[None, :]).ravel())
    m, n = len(a), len(b)
    low = int(np.floor(m * n / 2 - normal_quantile(0.99) * math.sqrt(m * n * (m + n + 1) / 12)))
    return "fail" if shifts[min(max(low, 0), m * n - 1)] > 0.25 * abs(np.median(shifts)) else "pass"


JUDGES: dict[str, Judge] = {
    "cachelog": of_cachelog,
    "threshold on points": of_threshold,
    "Mann-Whitney (Kayenta)": of_mann_whitney,
    "two proportions, p < 0.01": of_two_proportions,
}


def shares(traffic: Traffic, change: str) -> dict[str, dict[str, float]]:
    """Return the share of each verdict by judge, over all rates; all judges see the same counts."""
    dice = np.random.default_rng([TRAFFIC.index(traffic), list(CHANGES).index(change)])
    found: dict[str, list[str]] = {name: [] for name in JUDGES}
    for rate in traffic.rates:
        for _ in range(RUNS):
            before, after = drawn(dice, traffic, rate), drawn(dice, traffic, CHANGES[change](rate))
            for name, judge in JUDGES.items():
                found[name].append(judge(before, after))
    return {name: {o.value: said.count(o.value) / len(said) for o in Outcome} for name, said in found.items()}


def errors_table() -> Iterator[str]:
    """Yield the table of errors as lines of Markdown."""
    wrong = "false fail, no change | false fail, half the margin | false pass, bad"
    yield f"| lookups a slice | judge | {wrong} | fails, bad | inconclusive, no change | inconclusive, bad |"
    yield "|---|---|---|---|---|---|---|---|"
    for traffic in TRAFFIC:
        none, half, bad = (shares(traffic, change) for change in ("none", "half", "bad"))
        for name in JUDGES:
            figures = (
                none[name]["fail"], half[name]["fail"], bad[name]["pass"], bad[name]["fail"],
                none[name]["inconclusive"], bad[name]["inconclusive"],
            )  # fmt: skip
            yield f"| {traffic.name} | {name} | {' | '.join(_percent(f) for f in figures)} |"


def boundary_table() -> Iterator[str]:
    """Yield how often the judge says pass or fail where the rise is exactly what is allowed: each should be 5 %."""
    yield "| lookups a slice | false fail | false pass |"
    yield "|---|---|---|"
    for traffic in TRAFFIC:
        found = shares(traffic, "margin")["cachelog"]
        yield f"| {traffic.name} | {_percent(found['fail'])} | {_percent(found['pass'])} |"


# -- looking again and again ----------------------------------------------------------------------------

#: The error that each look may take.
SPENDING: dict[str, tuple[float, ...]] = {
    "5 % at every look": (ERROR,) * LOOKS,
    "5 % once, at the end": (0.0,) * (LOOKS - 1) + (ERROR,),
    "O'Brien-Fleming (cachelog)": levels(ERROR, LOOKS),
    "5 % shared evenly (Bonferroni)": (ERROR / LOOKS,) * LOOKS,
}
WATCHED = Traffic("20 a slice", 20, (0.05, 0.2), 0.01)
PER_LOOK = 4  # slices after the deploy that come with every look


@dataclass(frozen=True)
class Watched:
    """One run of looks: the verdict, and at which part of the time."""

    said: str
    part: float


def watched(before: Side, after: Side, errors: tuple[float, ...]) -> Watched:
    """Look as `cachelog check --wait` does, and stop at the first verdict."""
    for look, error in enumerate(errors, 1):
        seen = Side(after.misses[: PER_LOOK * look], after.lookups[: PER_LOOK * look])
        said = judge_increase(before, seen, MARGINS, Errors(error, error), DEFAULT).outcome
        if said is not Outcome.INCONCLUSIVE:
            return Watched(said.value, look / LOOKS)
    return Watched("inconclusive", 1.0)


def watching_table() -> Iterator[str]:
    """Yield what looking again and again costs, by how the error is spent."""
    wrong = "fail, rise as allowed | pass, rise as allowed | false fail, no change"
    yield f"| error of a look | {wrong} | pass, no change | after | fail, bad | after |"
    yield "|---|---|---|---|---|---|---|---|"
    found = {
        name: {change: _runs(change, how) for change in ("margin", "none", "bad")} for name, how in SPENDING.items()
    }
    for name, runs in found.items():
        edge, none, bad = runs["margin"], runs["none"], runs["bad"]
        figures = [_share(edge, "fail"), _share(edge, "pass"), _share(none, "fail")]
        yield (
            f"| {name} | {' | '.join(map(_percent, figures))} | {_percent(_share(none, 'pass'))} |"
            f" {_when(none, 'pass')} | {_percent(_share(bad, 'fail'))} | {_when(bad, 'fail')} |"
        )


def _runs(change: str, errors: tuple[float, ...]) -> list[Watched]:
    dice = np.random.default_rng([99, list(CHANGES).index(change)])  # the same counts for every way of spending
    found = []
    for rate in WATCHED.rates:
        for _ in range(RUNS):
            before = drawn(dice, WATCHED, rate, 4 * PER_LOOK * LOOKS)
            after = drawn(dice, WATCHED, CHANGES[change](rate), PER_LOOK * LOOKS)
            found.append(watched(before, after, errors))
    return found


def _share(runs: list[Watched], said: str) -> float:
    return sum(one.said == said for one in runs) / len(runs)


def _when(runs: list[Watched], said: str) -> str:
    parts = [one.part for one in runs if one.said == said]
    return f"{100 * float(np.median(parts)):.0f} % of the time" if parts else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


# -- the page -------------------------------------------------------------------------------------------

_HEAD = f"""# How often the judge of `cachelog check` is wrong

Written by `python -m bench.judge`: counts drawn at random with fixed seeds, {SLICES} slices of five minutes before a
deploy and {SLICES} after, {RUNS} runs for each rate. Rates before are 2, 5 and 20 %, or 0. A rise of 2 points, or of a
quarter of the rate before, is allowed. *Bad* is a rate of 2.5 times the one before and 5 points more.

How dispersion is estimated was chosen among ten ways by these kinds of traffic (with other seeds), so the figures are
those of a choice, not of traffic that nobody has looked at. Finding the two sides in logs is no part of this.
"""
_AT = """
## On the edge

The rise is exactly what is allowed. Here no verdict is right, and each kind of wrong one should come in 5 % at most.
"""
_WAIT = f"""
## Looking again and again

`--wait` looks {LOOKS} times while the logs grow, and stops at the first verdict. Before is four times as long as the
wait; 20 lookups a slice, rates of 5 and 20 %, {PER_LOOK} slices a look. "After" is the median part of the wait until
that verdict.
"""


def page() -> str:
    """Return bench/JUDGE.md."""
    lines = (*errors_table(), _AT, *boundary_table(), _WAIT, *watching_table())
    return "\n".join((_HEAD, *lines)) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("JUDGE.md").write_text(page(), encoding="utf-8")
