"""What happens to serving fleets, with what must be found in their logs and what must not: name -> factory(seed).

The seed chooses the size of the fleet, names, versions and their scheme, times, and how much the logs say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tests.plots import WIDE, Plot, capacity_for, plot, ttl_for
from tests.simulate import CacheRules, Expected, Forbidden, Scenario, Step, Traffic

#: Nothing happened that anybody should be told of.
HEALTHY = (Forbidden("*", "low"),)


def happen(it: Plot, steps: Iterable[Step], **changes: object) -> Scenario:
    """Return the scenario with these steps, after the lines of the initial loads where the log has them."""
    begun = _first_loads(it) if it.dice.random() < 0.5 else []
    return replace(it.base, steps=(*begun, *steps), **changes)  # type: ignore[arg-type]


def _first_loads(it: Plot) -> list[Step]:
    """The lines of loads that were under way when the log began; the versions are resident already."""
    return [
        Step(float(it.dice.uniform(0.1, 5.0)), "load", pod, model, version, took=_took(it))
        for (pod, model), versions in it.base.resident.items()
        for version in versions
    ]


def _took(it: Plot) -> float:
    return float(it.dice.uniform(0.8, 4.0))


def some(it: Plot, count: int, among: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return `count` replicas by lot, sorted."""
    return tuple(sorted(str(p) for p in it.dice.choice(list(among or it.pods), count, replace=False)))


def switch(it: Plot, pods: Iterable[str], at: float, every: float, old: str, new: str) -> list[Step]:
    """Replicas load `new`, then unload `old`, one after the other."""
    steps = []
    for i, pod in enumerate(pods):
        loaded = at + every * (i + float(it.dice.uniform(0.0, 0.4)))
        steps.append(Step(loaded, "load", pod, it.model, new, took=_took(it)))
        steps.append(Step(loaded + float(it.dice.uniform(0.3, 3.0)), "unload", pod, it.model, old))
    return steps


def deploy(it: Plot, pods: Iterable[str], at: float, every: float = 0.0) -> list[Step]:
    """A rolling deploy of the new version, announced or not."""
    line = Step(at - 2.5, "rollout", "", it.model, it.new, reason="deploy", old=it.old)
    said = [line] if it.dice.random() < 0.5 else []
    step = every or float(it.dice.uniform(8.0, 25.0))
    return [*said, *switch(it, pods, at, in_turn(it, step), it.old, it.new)]


def in_turn(it: Plot, seconds: float) -> float:
    """Return the time from replica to replica: less in large fleets whose log is short."""
    return min(seconds, it.after(600.0) / len(it.pods))


def restart(it: Plot, pod: str, at: float, version: str) -> list[Step]:
    """A replica restarts and loads `version` of the model, and of the others what they had."""
    steps = [Step(at, "restart", pod)]
    ready = at + float(it.dice.uniform(6.0, 15.0))
    for traffic in it.base.traffic:
        loaded = version if traffic.model == it.model else it.old
        steps.append(Step(ready + _took(it), "load", pod, traffic.model, loaded, took=0.8))
    return steps


def restarts(it: Plot, pods: Iterable[str], at: float, every: float, version: str) -> list[Step]:
    """Replicas restart one after the other and load `version`."""
    return [step for i, pod in enumerate(pods) for step in restart(it, pod, at + every * i, version)]


def when(it: Plot, low: float, high: float) -> float:
    """Return a time between two shares of the log's length, not on a round second."""
    return float(it.dice.uniform(low, high)) * it.base.seconds


def loaded_at(steps: Iterable[Step], pods: Sequence[str], model: str) -> float:
    return min(s.at for s in steps if s.what == "load" and s.replica in pods and s.model == model)


def _regression(it: Plot, pods: tuple[str, ...], steps: Iterable[Step]) -> Expected:
    at = loaded_at(steps, pods, it.model)
    return Expected("version-regression", it.model, pods, it.new, it.old, at, 60.0, primary=True)


def _only_this_model(it: Plot, *rules: str) -> tuple[Forbidden, ...]:
    return tuple(Forbidden(rule, "low", t.model) for rule in rules for t in it.base.traffic if t.model != it.model)


def _alarm(it: Plot) -> tuple[Forbidden, ...]:
    """What a regression must not be taken for."""
    other = _only_this_model(it, "version-regression", "version-flapping", "miss-rate-shift")
    return (*other, Forbidden("rollback", "info"), Forbidden("version-flapping"), Forbidden("load-failure", "info"))


_NO_ALARM = (
    Forbidden("version-regression"),
    Forbidden("version-flapping"),
    Forbidden("load-failure", "info"),
    Forbidden("*", "high"),
)


def as_triton_logs(scenario: Scenario) -> Scenario:
    """Log what Triton logs: the server's start with its loads, the start of every load, and that the log goes on.

    It has no lookups, so without a deploy of another model at the end nobody could tell that it does.
    """
    first = [
        Step(2.0 + i / 7, "load", pod, model, version, took=1.2)
        for i, ((pod, model), versions) in enumerate(sorted(scenario.resident.items()))
        for version in versions
    ]
    begun = [Step(0.2, "restart", pod) for pod in sorted({pod for pod, _ in scenario.resident})]
    later = [step for i, pod in enumerate(scenario.replicas) for step in _other_model(scenario, pod, 8.3 * i)]
    kept = [step for step in scenario.steps if step.at >= 30.0]
    return replace(scenario, steps=(*begun, *first, *kept, *later), unlogged=scenario.unlogged - {"load_start"})


def _other_model(scenario: Scenario, pod: str, after: float) -> tuple[Step, Step]:
    traffic, at = scenario.traffic[-1], scenario.seconds - 90.0 + after
    old, new = traffic.versions[:2]
    return (
        Step(at, "load", pod, traffic.model, new, took=1.7),
        Step(at + 1.1, "unload", pod, traffic.model, old),
    )


# -- nothing is wrong -------------------------------------------------------------------------------


def steady(seed: int) -> Scenario:
    """Traffic and nothing else."""
    return happen(plot("steady", seed), (), forbid=HEALTHY)


def rolling_deploy(seed: int) -> Scenario:
    """The new version is loaded everywhere, one replica after the other, in place."""
    it = plot("rolling-deploy", seed, shared=seed % 2 == 0)
    return happen(it, deploy(it, it.pods, when(it, 0.3, 0.5)), forbid=HEALTHY)


def rolling_restart(seed: int) -> Scenario:
    """The same, but each replica restarts into the new version."""
    it = plot("rolling-restart", seed, shared=seed % 2 == 0)
    return happen(it, restarts(it, it.pods, when(it, 0.3, 0.5), in_turn(it, 40.0), it.new), forbid=HEALTHY)


def slow_rollout(seed: int) -> Scenario:
    """A rolling deploy that takes a third of the log."""
    it = plot("slow-rollout", seed)
    every = it.base.seconds / 3 / len(it.pods)
    return happen(it, deploy(it, it.pods, when(it, 0.3, 0.4), every), forbid=HEALTHY)


def restart_during_rollout(seed: int) -> Scenario:
    """Replicas that wait for their turn restart with the old version in the middle of a rolling deploy."""
    it = plot("restart-during-rollout", seed)
    at, last = when(it, 0.3, 0.4), it.pods[-2:]
    steps = [*deploy(it, it.pods[:-2], at, 30.0), *restarts(it, last, at + 45.0, 5.0, it.old)]
    steps += switch(it, last, at + in_turn(it, 30.0) * len(it.pods) + 90.0, 20.0, it.old, it.new)
    return happen(it, steps, forbid=HEALTHY)


def canary_promoted(seed: int) -> Scenario:
    """One replica tries the new version, the others follow."""
    it = plot("canary-promoted", seed)
    at = when(it, 0.25, 0.35)
    steps = [*switch(it, it.pods[:1], at, 1.0, it.old, it.new), *deploy(it, it.pods[1:], at + it.after(420.0))]
    return happen(it, steps, forbid=HEALTHY)


def ab_arms(seed: int) -> Scenario:
    """Half of the replicas are pinned to each version for good; some of them restart."""
    it = plot("ab-arms", seed, pods=6)
    arm = some(it, 3)
    resident = dict(it.base.resident) | {(pod, it.model): (it.new,) for pod in arm}
    it = replace(it, base=replace(it.base, resident=resident))
    rest = [pod for pod in it.pods if pod not in arm]
    steps = [*restart(it, arm[0], when(it, 0.3, 0.5), it.new), *restart(it, rest[0], when(it, 0.5, 0.7), it.old)]
    told = Expected("version-skew", it.model, tuple(rest), it.old, it.new)
    return happen(it, steps, expect=(told,), forbid=(Forbidden("version-skew"), *HEALTHY))


def pinned_restart(seed: int) -> Scenario:
    """One replica is pinned to the old version; it restarts after the others have long had the new one.

    It is left alone with the old version's entries in the cache they share: that shift of its miss rate is real.
    """
    it = plot("pinned-restart", seed)
    pinned = it.pods[0]
    steps = [*deploy(it, it.pods[1:], when(it, 0.2, 0.3)), *restart(it, pinned, when(it, 0.6, 0.7), it.old)]
    rules = ("version-regression", "version-flapping", "rollback", "load-failure", "replica-restart", "version-skew")
    found = Expected("stuck-rollout", it.model, (pinned,), it.old, it.new)
    return happen(it, steps, expect=(found,), forbid=tuple(Forbidden(rule, "info") for rule in rules))


def several_resident(seed: int) -> Scenario:
    """Three versions are resident on purpose, requests name them; replicas restart and load them in any order."""
    it = plot("several-resident", seed)
    scheme = it.versions
    asks = ((scheme[0], 0.25), (scheme[1], 0.3))
    traffic = tuple(replace(t, asks=asks) if t.model == it.model else t for t in it.base.traffic)
    resident = dict(it.base.resident) | {(pod, it.model): scheme for pod in it.pods}
    it = replace(it, base=replace(it.base, traffic=traffic, resident=resident))
    steps = [step for pod in some(it, 3) for step in _restart_any_order(it, pod, when(it, 0.2, 0.8), scheme)]
    return happen(it, steps, forbid=HEALTHY)


def _restart_any_order(it: Plot, pod: str, at: float, versions: Sequence[str]) -> list[Step]:
    others = [step for step in restart(it, pod, at, it.old) if step.model != it.model]
    order = [str(v) for v in it.dice.permutation(list(versions))]
    loads = [Step(at + 9.0 + 3.1 * i, "load", pod, it.model, v, took=_took(it)) for i, v in enumerate(order)]
    return [*others, *loads]


def on_demand_old(seed: int) -> Scenario:
    """The fleet serves the new version; some replicas load the old one beside it for a few requests that name it."""
    it = plot("on-demand-old", seed)
    traffic = tuple(replace(t, asks=((it.old, 0.03),)) if t.model == it.model else t for t in it.base.traffic)
    resident = dict(it.base.resident) | {(pod, it.model): (it.new,) for pod in it.pods}
    it = replace(it, base=replace(it.base, traffic=traffic, resident=resident))
    at, steps = when(it, 0.3, 0.5), list[Step]()
    for i, pod in enumerate(some(it, 2)):
        steps.append(Step(at + 9.7 * i, "load", pod, it.model, it.old, took=_took(it)))
        steps.append(Step(at + it.after(480.3) + 31.0 * i, "unload", pod, it.model, it.old))
    return happen(it, steps, forbid=HEALTHY)


def scale_up(seed: int) -> Scenario:
    """Three replicas more come up with what the fleet serves."""
    it = plot("scale-up", seed, pods=7)
    fresh = it.pods[-3:]
    resident = {place: versions for place, versions in it.base.resident.items() if place[0] not in fresh}
    it = replace(it, base=replace(it.base, resident=resident))
    return happen(it, restarts(it, fresh, when(it, 0.4, 0.5), 12.0, it.old), forbid=HEALTHY)


def clock_skew(seed: int) -> Scenario:
    """A rolling deploy; the clocks of two replicas are wrong by more than a minute."""
    it = plot("clock-skew", seed)
    slow, fast = some(it, 2)
    steps = deploy(it, it.pods, when(it, 0.3, 0.5))
    forbid = (*_NO_ALARM, Forbidden("rollback", "info"), Forbidden("miss-rate-shift", "medium"))
    found = tuple(Expected("clock-skew", replicas=(pod,)) for pod in (slow, fast))
    return happen(it, steps, skew={slow: -85.0, fast: 70.0}, expect=found, forbid=forbid)


def late_lines(seed: int) -> Scenario:
    """A rolling deploy; lines are written up to 25 s late, out of order."""
    it = plot("late-lines", seed)
    return happen(it, deploy(it, it.pods, when(it, 0.3, 0.5)), late=25.0, forbid=HEALTHY)


def log_gap(seed: int) -> Scenario:
    """A rolling deploy; one replica's lines of eight minutes are lost, its load of the new version among them."""
    it = plot("log-gap", seed)
    at = when(it, 0.3, 0.5)
    forbid = (*_NO_ALARM, Forbidden("rollback", "info"), Forbidden("miss-rate-shift", "medium"))
    found = Expected("log-gap", replicas=it.pods[:1], at=at - 120.0, tolerance_s=30.0)
    gap = (it.pods[0], at - 120.0, at + 360.0)
    return happen(it, deploy(it, it.pods, at), gaps=(gap,), expect=(found,), forbid=forbid)


def stuck_rollout(seed: int) -> Scenario:
    """A rolling deploy stops before the last third of the fleet, and no line says why."""
    it = plot("stuck-rollout", seed)
    left = it.pods[-max(1, len(it.pods) // 3) :]
    at = when(it, 0.2, 0.4)
    steps = deploy(it, [pod for pod in it.pods if pod not in left], at)
    found = Expected("stuck-rollout", it.model, left, it.old, it.new, at, 60.0)
    forbid = (Forbidden("version-skew", "info"), Forbidden("version-regression"), Forbidden("rollback", "info"))
    return happen(it, steps, expect=(found,), forbid=(*forbid, *_only_this_model(it, "stuck-rollout", "stale-serve")))


def drained(seed: int) -> Scenario:
    """A replica is taken out of rotation for some minutes and put back; the others take its traffic over."""
    it = plot("drained", seed)
    at, (pod,) = when(it, 0.3, 0.5), some(it, 1)
    return happen(it, [Step(at, "leave", pod), Step(at + it.after(500.0), "join", pod)], forbid=HEALTHY)


# -- back on purpose --------------------------------------------------------------------------------


def _rolled_back(it: Plot, announced: bool) -> Scenario:
    at = when(it, 0.25, 0.35)
    back = at + float(it.dice.uniform(it.after(700.0), it.after(1000.0)))
    steps = [*deploy(it, it.pods, at), *switch(it, it.pods, back, 7.0, it.new, it.old)]
    if announced:
        steps.append(Step(back - 3.1, "rollout", "", it.model, it.old, reason="rollback", old=it.new))
    found = Expected("rollback", it.model, it.pods, it.new, it.old, back, 60.0)
    return happen(it, steps, expect=(found,), forbid=_NO_ALARM)


def rollback_announced(seed: int) -> Scenario:
    """The whole fleet goes back, and a line says so."""
    return _rolled_back(plot("rollback-announced", seed), True)


def rollback_silent(seed: int) -> Scenario:
    """The whole fleet goes back, and no line says so."""
    return _rolled_back(plot("rollback-silent", seed), False)


def canary_abort(seed: int) -> Scenario:
    """One replica tries the new version and goes back."""
    it = plot("canary-abort", seed)
    at, pod = when(it, 0.3, 0.4), some(it, 1)
    steps = [*switch(it, pod, at, 1.0, it.old, it.new), *switch(it, pod, at + it.after(640.0), 1.0, it.new, it.old)]
    return happen(it, steps, forbid=_NO_ALARM)


def blue_green_back(seed: int) -> Scenario:
    """Traffic goes to other replicas with the new version, and back to the first ones."""
    it = plot("blue-green-back", seed, pods=8)
    blue, green = it.pods[:4], it.pods[4:]
    resident = {place: versions for place, versions in it.base.resident.items() if place[0] in blue}
    it = replace(it, base=replace(it.base, resident=resident))
    at = when(it, 0.25, 0.35)
    steps = [Step(0.0, "leave", pod) for pod in green] + restarts(it, green, at, 5.0, it.new)
    steps += _turn(at + 90.0, green, blue) + _turn(at + it.after(900.0), blue, green)
    return happen(it, steps, forbid=_NO_ALARM)


def _turn(at: float, to: Iterable[str], away: Iterable[str]) -> list[Step]:
    return [Step(at, "join", pod) for pod in to] + [Step(at + 0.5, "leave", pod) for pod in away]


# -- an older version after a newer one -------------------------------------------------------------


def _stale(it: Plot, pods: tuple[str, ...], steps: list[Step], again: list[Step], **changes: object) -> Scenario:
    expect = (_regression(it, pods, again),)
    given: dict[str, object] = {"expect": expect, "forbid": _alarm(it)} | changes
    return happen(it, [*steps, *again], **given)


def stale_restart(seed: int) -> Scenario:
    """Some replicas restart after a deploy and load the old version again."""
    it = plot("stale-restart", seed)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.2, 0.3)
    return _stale(it, pods, deploy(it, it.pods, at), restarts(it, pods, at + it.after(800.0), 20.0, it.old))


def stale_poll(seed: int) -> Scenario:
    """Some replicas poll a repository that lags behind, load the old version and drop the new one."""
    it = plot("stale-poll", seed)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.2, 0.3)
    return _stale(it, pods, deploy(it, it.pods, at), switch(it, pods, at + it.after(750.0), 20.0, it.new, it.old))


def stale_no_unloads(seed: int) -> Scenario:
    """As above, and the logs have no lines about unloading."""
    it = plot("stale-no-unloads", seed)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.2, 0.3)
    again = switch(it, pods, at + it.after(750.0), 20.0, it.new, it.old)
    return _stale(it, pods, deploy(it, it.pods, at), again, unlogged=it.base.unlogged | {"unload"})


def stale_most(seed: int) -> Scenario:
    """Six of eight go back, two do not: no rollback, or one that is not complete."""
    it = plot("stale-most", seed, pods=8)
    pods, at = some(it, 6), when(it, 0.2, 0.3)
    return _stale(it, pods, deploy(it, it.pods, at), restarts(it, pods, at + it.after(750.0), 15.0, it.old))


def stale_repaired(seed: int) -> Scenario:
    """Some replicas restart with the old version and get the new one again after twelve minutes."""
    it = plot("stale-repaired", seed)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.15, 0.25)
    again = restarts(it, pods, at + it.after(700.0), 20.0, it.old)
    repaired = switch(it, pods, at + it.after(1450.0), 15.0, it.old, it.new)
    return _stale(it, pods, [*deploy(it, it.pods, at), *repaired], again)


def stale_skewed(seed: int) -> Scenario:
    """As a stale restart, with two wrong clocks and lines up to 15 s late."""
    it = plot("stale-skewed", seed)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.2, 0.3)
    calm = [pod for pod in it.pods if pod not in pods]
    skew = {calm[0]: -75.0, calm[1]: 65.0}
    again = restarts(it, pods, at + it.after(800.0), 20.0, it.old)
    return _stale(it, pods, deploy(it, it.pods, at), again, skew=skew, late=15.0)


def stale_truncated(seed: int) -> Scenario:
    """As a stale restart, and the restart began the stale replicas' logs anew: what they had before is lost."""
    it = plot("stale-truncated", seed)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.2, 0.3)
    again = restarts(it, pods, at + it.after(800.0), 20.0, it.old)
    gaps = tuple((step.replica, 0.0, step.at) for step in again if step.what == "restart")
    return _stale(it, pods, deploy(it, it.pods, at), again, gaps=gaps)


def stale_costly(seed: int) -> Scenario:
    """Half of the replicas go back, and both versions share one small cache: the misses are the harm."""
    it = plot("stale-costly", seed, True, 6)
    traffic = tuple(replace(t, rate=5.0, keys=160) for t in it.base.traffic) if seed < WIDE else it.base.traffic
    cache = CacheRules(130, 400.0) if seed < WIDE else CacheRules(capacity_for(traffic[0], traffic[0].rate, 0.1))
    it = replace(it, base=replace(it.base, traffic=traffic, cache=cache))
    pods, at = some(it, 3), when(it, 0.25, 0.3)
    scenario = _stale(it, pods, deploy(it, it.pods, at), restarts(it, pods, at + it.after(800.0), 10.0, it.old))
    shift = Expected("miss-rate-shift", it.model, at=scenario.expect[0].at, tolerance_s=180.0)
    return replace(scenario, expect=(*scenario.expect, shift))


def flapping(seed: int) -> Scenario:
    """Some replicas go back and forth between two versions."""
    it = plot("flapping", seed)
    pods, at = some(it, 2), when(it, 0.1, 0.15)
    steps = deploy(it, it.pods, at)
    first = at + it.after(500.0)
    for i in range(6):
        old, new = (it.new, it.old) if i % 2 == 0 else (it.old, it.new)
        steps += switch(it, pods, first + it.after(235.0) * i, 6.0, old, new)
    found = Expected("version-flapping", it.model, pods, at=first, tolerance_s=900.0)
    other = _only_this_model(it, "version-regression", "version-flapping")
    return happen(it, steps, expect=(found,), forbid=(*other, Forbidden("rollback", "low")))


# -- loads, restarts and caches ---------------------------------------------------------------------


def load_failure(seed: int) -> Scenario:
    """Some replicas fail to load the new version again and again and keep the old one."""
    it = plot("load-failure", seed)
    pods, at = some(it, 2), when(it, 0.3, 0.4)
    steps = deploy(it, [pod for pod in it.pods if pod not in pods], at)
    why = "checksum mismatch: expected 5f0c, got e3b0"
    fails = [
        Step(at + 11.3 * j + 90.0 * i, "load_fail", p, it.model, it.new, reason=why)
        for i in range(4)
        for j, p in enumerate(pods)
    ]
    found = Expected("load-failure", it.model, pods, version_to=it.new, at=at, tolerance_s=60.0)
    forbid = (Forbidden("version-regression"), Forbidden("version-flapping"), Forbidden("rollback", "info"))
    return happen(it, [*steps, *fails], expect=(found,), forbid=(*forbid, *_only_this_model(it, "load-failure")))


def crash_loop(seed: int) -> Scenario:
    """One replica restarts again and again and loads what it had."""
    it = plot("crash-loop", seed)
    pod, at = some(it, 1), when(it, 0.3, 0.4)
    steps = [step for i in range(7) for step in restart(it, pod[0], at + it.after(140.0) * i, it.old)]
    found = Expected("replica-restart", replicas=pod, at=at, tolerance_s=900.0)
    forbid = (Forbidden("version-regression"), Forbidden("version-flapping"), Forbidden("rollback", "info"))
    return happen(it, steps, expect=(found,), forbid=forbid)


def model_thrash(seed: int) -> Scenario:
    """Replicas have room for fewer models than they serve, and load and drop them all the time."""
    it = plot("model-thrash", seed, pods=4, models=3 if seed >= WIDE else None)
    quick = replace(it, base=replace(it.base, slots=len(it.base.traffic) - 1, traffic=_rarer(it)))
    found = Expected("load-churn")
    forbid = (Forbidden("version-regression"), Forbidden("version-flapping"), Forbidden("rollback", "info"))
    return happen(quick, (), expect=(found,), forbid=forbid)


def _rarer(it: Plot) -> tuple[Traffic, ...]:
    """All models but the first are asked for so rarely that each is pushed out now and then."""
    return tuple(replace(t, rate=t.rate if i == 0 else 0.3) for i, t in enumerate(it.base.traffic))


def _shifted(it: Plot, step: Step) -> Scenario:
    found = Expected("miss-rate-shift", it.model, at=step.at, tolerance_s=240.0)
    why = {"resize": "eviction-thrash", "ttl": "ttl-churn", "new_keys": "new-keys"}
    shown = Expected(why[step.what], it.model, at=step.at, tolerance_s=240.0, primary=True)
    rules = ("version-regression", "version-flapping", "load-failure", "replica-restart", "rollback")
    never = [Forbidden(rule, "info") for rule in rules]
    never += [Forbidden(rule, model=it.model) for rule in why.values() if rule != why[step.what]]
    other = _only_this_model(it, "miss-rate-shift", why[step.what])
    return happen(it, [step], expect=(found, shown), forbid=(*never, *other))


def _worse(it: Plot) -> tuple[Traffic, float, float]:
    """Return the traffic, the lookups a second of one cache, and a miss rate that is clearly worse than before."""
    traffic = it.base.traffic[0]
    return traffic, traffic.rate / (1 if it.base.shared else len(it.pods)), min(0.9, 2 * it.miss + 0.1)


def smaller_cache(seed: int) -> Scenario:
    """The cache of one model becomes small."""
    it = plot("smaller-cache", seed)
    size = capacity_for(*_worse(it)) if seed >= WIDE else 25
    return _shifted(it, Step(when(it, 0.4, 0.5), "resize", model=it.model, value=size))


def shorter_ttl(seed: int) -> Scenario:
    """Entries of one model live for a tenth of their time."""
    it = plot("shorter-ttl", seed)
    ttl = ttl_for(*_worse(it)) if seed >= WIDE else 24.0
    return _shifted(it, Step(when(it, 0.4, 0.5), "ttl", model=it.model, value=ttl))


def new_keys(seed: int) -> Scenario:
    """A third of the lookups of one model asks for keys never seen before."""
    it = plot("new-keys", seed)
    share = float(it.dice.uniform(0.05, 0.4)) if seed >= WIDE else 0.33
    return _shifted(it, Step(when(it, 0.4, 0.5), "new_keys", model=it.model, value=share))


SCENARIOS: dict[str, Callable[[int], Scenario]] = {
    factory.__name__.replace("_", "-"): factory
    for factory in (
        steady, rolling_deploy, rolling_restart, slow_rollout, restart_during_rollout, canary_promoted, ab_arms,
        pinned_restart, several_resident, on_demand_old, scale_up, clock_skew, late_lines, log_gap, stuck_rollout, drained, rollback_announced,
        rollback_silent, canary_abort, blue_green_back, stale_restart, stale_poll, stale_no_unloads, stale_most,
        stale_repaired, stale_skewed, stale_truncated, stale_costly, flapping, load_failure, crash_loop, model_thrash,
        smaller_cache, shorter_ttl, new_keys,
    )
}  # fmt: skip
