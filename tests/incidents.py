"""More that happens to serving fleets: what is in no labelled case, for `python -m bench.incidents` and the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.plots import Plot, capacity_for, plot, ttl_for
from tests.scenarios import (
    HEALTHY,
    SCENARIOS,
    deploy,
    happen,
    in_turn,
    loaded_at,
    restart,
    restarts,
    some,
    switch,
    when,
)  # fmt: skip
from tests.simulate import CacheRules, Expected, Forbidden, Scenario, Step

# -- nothing is wrong -------------------------------------------------------------------------------


def autoscaler_rollout(seed: int) -> Scenario:
    """Load rises during a rolling deploy: replicas come up with the old version, and one with the new one.

    The old ones are deployed to at the end, like everybody.
    """
    it = plot("autoscaler-rollout", seed, pods=9)
    fresh, there = it.pods[-3:], it.pods[:-3]
    resident = {place: versions for place, versions in it.base.resident.items() if place[0] in there}
    it = replace(it, base=replace(it.base, resident=resident))
    at, every = when(it, 0.3, 0.4), in_turn(it, 40.0)
    steps = [*deploy(it, there, at, every), *restarts(it, fresh[:2], at + 2.2 * every, 5.0, it.old)]
    steps += restart(it, fresh[2], at + 3.1 * every, it.new)
    steps += switch(it, fresh[:2], at + every * len(there) + 60.0, every, it.old, it.new)
    return happen(it, steps, forbid=HEALTHY)


def scale_down(seed: int) -> Scenario:
    """The autoscaler takes replicas away, and the others answer for them."""
    it = plot("scale-down", seed, pods=8)
    at = when(it, 0.4, 0.6)
    steps = [Step(at + 40.0 * i, "leave", pod) for i, pod in enumerate(some(it, 2))]
    return happen(it, steps, forbid=HEALTHY)


def diurnal(seed: int) -> Scenario:
    """A day: traffic goes up and down, and with it the miss rate of entries that expire; one deploy on some days."""
    it = plot("diurnal", seed)
    dice, seconds = it.dice, float(it.dice.uniform(6.0, 36.0)) * 3600.0
    factor, amount, night = it.base.seconds / seconds, float(dice.uniform(0.3, 0.8)), float(dice.uniform(0, 86400))
    traffic = tuple(replace(t, rate=t.rate * factor, daily=amount, night=night) for t in it.base.traffic)
    ttl = it.base.cache.ttl / factor  # the same entries per life, so about the same miss rate
    base = replace(it.base, seconds=seconds, traffic=traffic, cache=replace(it.base.cache, ttl=ttl))
    it = replace(it, base=replace(base, warmup=min(it.base.warmup / factor, 2 * seconds)))
    steps = deploy(it, it.pods, when(it, 0.2, 0.8)) if dice.random() < 0.3 else []
    return happen(it, steps, forbid=HEALTHY)


def two_deploys(seed: int) -> Scenario:
    """Two rolling deploys, one after the other; the third version follows the second."""
    it = plot("two-deploys", seed)
    at, last = when(it, 0.2, 0.3), it.versions[2]
    steps = deploy(it, it.pods, at)
    again = at + it.after(1200.0)
    steps += switch(it, it.pods, again, in_turn(it, 15.0), it.new, last)
    return happen(it, steps, forbid=HEALTHY)


def same_digest(seed: int) -> Scenario:
    """Replicas restart one after the other, and all load what they had, digest and all."""
    it = plot("same-digest", seed)
    steps = restarts(it, it.pods, when(it, 0.3, 0.5), in_turn(it, 40.0), it.old)
    steps = [replace(step, digest=_DIGESTS[0]) if step.what == "load" else step for step in steps]
    return _with_digests(happen(it, [*_loads(it), *steps], forbid=HEALTHY))


# -- incidents --------------------------------------------------------------------------------------

_DIGESTS = (
    "sha256:4b1f0c9d2e7a53b86c0d1f4e9a7b3c5d8e2f6a1b0c9d8e7f6a5b4c3d2e1f0a9b",
    "sha256:c07e5d31a98b4f62e1d0c3b5a7f9e8d6c4b2a1908f7e6d5c4b3a291807f6e5d4",
)


def _loads(it: Plot) -> list[Step]:
    """The lines of the first loads, with the first digest."""
    return [
        Step(0.5 + 0.3 * i, "load", pod, it.model, it.old, took=0.2, digest=_DIGESTS[0])
        for i, pod in enumerate(it.pods)
    ]


def _with_digests(scenario: Scenario) -> Scenario:
    """The lines of first loads that have no digest would be of an unknown one."""
    kept = tuple(s for s in scenario.steps if s.what != "load" or s.digest or s.model != scenario.traffic[0].model)
    return replace(scenario, steps=kept)


def two_digests(seed: int) -> Scenario:
    """A label is pushed again: replicas that restart afterwards load other contents under the same name."""
    it = plot("two-digests", seed)
    pods = some(it, max(1, len(it.pods) // 3))
    steps = restarts(it, pods, when(it, 0.3, 0.6), 20.0, it.old)
    steps = [
        replace(step, digest=_DIGESTS[1]) if step.what == "load" and step.model == it.model else step for step in steps
    ]
    at = loaded_at(steps, pods, it.model)
    found = Expected("mutable-version", it.model, pods, at=at, tolerance_s=60.0, primary=True)
    forbid = tuple(Forbidden(rule, "info") for rule in ("version-regression", "version-flapping", "rollback"))
    return _with_digests(happen(it, [*_loads(it), *steps], expect=(found,), forbid=forbid))


def stale_without_effect(seed: int) -> Scenario:
    """One replica goes back to the old version; keys do not hold the version, so no miss comes of it."""
    it = plot("stale-without-effect", seed)
    it = replace(it, base=replace(it.base, cache=replace(it.base.cache, scoped=False)))
    pods, at = some(it, 1), when(it, 0.2, 0.3)
    again = switch(it, pods, at + it.after(800.0), 20.0, it.new, it.old)
    found = _back(it, pods, again)
    forbid = (Forbidden("miss-rate-shift"), Forbidden("rollback", "info"), Forbidden("version-flapping"))
    return happen(it, [*deploy(it, it.pods, at), *again], expect=(found,), forbid=forbid)


def _back(it: Plot, pods: tuple[str, ...], steps: list[Step]) -> Expected:
    at = loaded_at(steps, pods, it.model)
    return Expected("version-regression", it.model, pods, it.new, it.old, at, 60.0, primary=True)


def _thrash(model: str, at: float, rule: str) -> tuple[Expected, ...]:
    shift = Expected("miss-rate-shift", model, at=at, tolerance_s=240.0, because=rule)
    return shift, Expected(rule, model, at=at, tolerance_s=240.0, primary=True)


def two_incidents(seed: int) -> Scenario:
    """Some replicas go back to an old version of one model while the cache of another one becomes small."""
    it = plot("two-incidents", seed, True, models=3)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.2, 0.3)
    again = switch(it, pods, at + it.after(800.0), 20.0, it.new, it.old)
    other, late = it.base.traffic[1], at + it.after(800.0) + float(it.dice.uniform(-1.0, 1.0)) * it.after(300.0)
    lookups = (other, other.rate)
    it = replace(it, base=replace(it.base, cache=CacheRules(capacity_for(*lookups, 0.1))))
    small = Step(late, "resize", model=other.model, value=capacity_for(*lookups, 0.35))
    expect = (_back(it, pods, again), *_thrash(other.model, late, "eviction-thrash"))
    return happen(it, [*deploy(it, it.pods, at), *again, small], expect=expect, forbid=(Forbidden("rollback", "info"),))


def two_of_one_model(seed: int) -> Scenario:
    """First a model's traffic asks for new keys, later some replicas go back to an old version of it."""
    it = plot("two-of-one-model", seed)
    pods, at = some(it, max(1, len(it.pods) // 3)), when(it, 0.3, 0.35)
    new = Step(at, "new_keys", model=it.model, value=float(it.dice.uniform(0.15, 0.4)))
    again = switch(it, pods, when(it, 0.7, 0.75), 20.0, it.new, it.old)
    expect = (_back(it, pods, again), *_thrash(it.model, at, "new-keys"))
    resident = {p: (it.new,) if p[1] == it.model else v for p, v in it.base.resident.items()}
    it = replace(it, base=replace(it.base, resident=resident))
    seen = Step(it.after(10.0), "load", it.pods[0], it.model, it.new, took=0.5)
    return happen(it, [seen, new, *again], expect=expect, forbid=(Forbidden("rollback", "info"),))


def split_by_version(seed: int) -> Scenario:
    """Half of the fleet gets the new version and stays with it; in the cache they share each half fills its own."""
    it = plot("split-by-version", seed, True)
    traffic = it.base.traffic[0]
    cache = CacheRules(1_000_000, min(ttl_for(traffic, traffic.rate, 0.2), it.base.seconds / 4))
    it = replace(it, base=replace(it.base, cache=cache, warmup=4 * cache.ttl))
    new, at = some(it, len(it.pods) // 2), when(it, 0.25, 0.35)
    old = tuple(pod for pod in it.pods if pod not in new)
    told = Expected("stuck-rollout", it.model, old, it.old, it.new, instead=("version-skew",), primary=True)
    rise = Expected("miss-rate-shift", it.model, at=at, tolerance_s=300.0)
    forbid = (Forbidden("rollback", "info"), Forbidden("version-regression"), Forbidden("version-flapping"))
    return happen(it, deploy(it, new, at), expect=(told, rise), forbid=forbid)


INCIDENTS: dict[str, Callable[[int], Scenario]] = SCENARIOS | {
    factory.__name__.replace("_", "-"): factory
    for factory in (
        autoscaler_rollout, scale_down, diurnal, two_deploys, same_digest, two_digests, stale_without_effect,
        two_incidents, two_of_one_model, split_by_version,
    )
}  # fmt: skip
