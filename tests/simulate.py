"""A small physical simulator of a serving fleet: what its logs say follows from what happens, so the truth is exact.

Replicas hold versions of models and answer lookups from LRU caches with a time to live. Keys are version-scoped: after
a change of version every key is cold. Traffic is Poisson in time and Zipf in keys. Steps (loads, restarts, a smaller
cache ...) happen at set times; hits, misses and evictions are what comes of it. The same seed gives the same traffic
whatever the steps are, so a run without one step is the counterfactual of that step.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HIT, MISS, STALE, EXPIRED = range(4)  # EXPIRED is the miss of an entry that outlived its time
#: Why a lookup missed; `cold`: never in this cache, `new-keys`: of a key that the step of that name made up.
CAUSES = ("cold", "new-keys", "version-change", "ttl", "capacity", "flush", "duplicate")
COLD, NEW, VERSION, TTL, CAPACITY, FLUSH, DUPLICATE = range(len(CAUSES))


@dataclass(frozen=True)
class Traffic:
    """Lookups of one model: `rate` a second over the fleet, keys of Zipf exponent `skew`."""

    model: str
    versions: tuple[str, ...]  # oldest first
    rate: float
    keys: int
    skew: float = 0.9
    asks: tuple[tuple[str, float], ...] = ()  # requests that name a version: (version, share); the rest take the newest
    daily: float = 0.0  # the rate goes up and down by this share of its mean, once a day, least at `night`
    night: float = 0.0  # seconds after the start


@dataclass(frozen=True)
class CacheRules:
    """One cache: entries, seconds an entry lives, seconds after that in which it is still served, as stale."""

    capacity: int
    ttl: float = math.inf
    grace: float = 0.0
    fill: float = 0.0  # seconds that it takes to fill an entry; who asks meanwhile misses too
    scoped: bool = True  # keys hold the version; else a version answers with what another one put there


@dataclass(frozen=True)
class Step:
    """Something that happens `at` seconds after the start.

    `what`: load (ends at `at`, began `took` before), unload, restart, load_fail, rollout (a line only),
    join and leave (in or out of rotation), resize (to `value` entries), ttl (to `value` seconds), new_keys (a share
    `value` of lookups asks for keys never seen). resize, ttl and new_keys are of one model, or of all when it is "".
    """

    at: float
    what: str
    replica: str = ""
    model: str = ""
    version: str = ""
    value: float = 0.0
    took: float = 0.0
    reason: str = ""
    old: str = ""  # rollout: the version before
    digest: str = ""  # load: of what was loaded


@dataclass(frozen=True)
class Expected:
    """A finding that must be there; a field that is None or empty is not looked at. Times: seconds after the start."""

    rule: str
    model: str | None = None
    replicas: tuple[str, ...] = ()
    version_from: str | None = None
    version_to: str | None = None
    at: float | None = None
    tolerance_s: float = 60.0
    instead: tuple[str, ...] = ()  # rules that say as much
    primary: bool = False  # what everything else follows from
    because: str = ""  # the rule of the finding that it must be linked to


@dataclass(frozen=True)
class Forbidden:
    """A finding that must not be there at `severity` or above; "*" stands for every rule that is not expected."""

    rule: str = "*"
    severity: str = "low"
    model: str | None = None


@dataclass(frozen=True)
class Scenario:
    """A fleet, its traffic, what happens to it, what its logs leave out, and what is to be found in them."""

    replicas: tuple[str, ...]
    traffic: tuple[Traffic, ...]
    cache: CacheRules
    shared: bool = False  # one cache a model for the fleet; else one a model and replica
    resident: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # (replica, model) at the start
    steps: tuple[Step, ...] = ()
    seconds: float = 2400.0
    warmup: float = 900.0  # seconds of traffic before the log begins
    start: datetime = datetime(2026, 8, 3, 6, 40, tzinfo=UTC)
    slots: int | None = None  # loaded models a replica can hold; the rest are loaded when asked for
    unlogged: frozenset[str] = frozenset({"evict"})  # what is not written: evict, unload, load_start ...
    skew: Mapping[str, float] = field(default_factory=dict)  # seconds by which a replica's clock is ahead
    late: float = 0.0  # lines are written up to so many seconds late, out of order
    gaps: tuple[tuple[str, float, float], ...] = ()  # (replica, from, to): lines that were lost
    order: tuple[str, ...] = ()  # of versions, oldest first, where their names do not tell
    expect: tuple[Expected, ...] = ()
    forbid: tuple[Forbidden, ...] = ()


@dataclass(frozen=True)
class Lookups:
    """Columns of the logged lookups, in order of writing; labels are indices, times are microseconds of the epoch."""

    stamp: Ints
    written: Ints
    replica: Ints
    model: Ints
    version: Ints  # index into Traffic.versions
    key: Ints
    outcome: Ints
    seconds: Floats
    cause: Ints  # index into CAUSES of a miss, -1 of what is none


@dataclass(frozen=True)
class Change:
    """A logged line that is no lookup: load_start, load, load_fail, unload, restart, rollout, evict, model_miss."""

    stamp: int
    written: int
    op: str
    replica: str
    model: str
    version: str
    seconds: float = 0.0
    reason: str = ""
    old: str = ""
    key: int = -1
    digest: str = ""


@dataclass(frozen=True)
class Events:
    """What the logs hold."""

    scenario: Scenario
    lookups: Lookups
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Count:
    """Lookups by outcome; misses include those of expired entries."""

    hits: int = 0
    misses: int = 0
    stale: int = 0

    @property
    def lookups(self) -> int:
        """Return hits + misses + stale."""
        return self.hits + self.misses + self.stale


@dataclass(frozen=True)
class Truth:
    """What is so: counts by (model, version, replica), every logged change, and what is to be found."""

    start: datetime
    counts: Mapping[tuple[str, str, str], Count]
    changes: tuple[Change, ...]
    expect: tuple[Expected, ...]
    forbid: tuple[Forbidden, ...]


@dataclass(frozen=True)
class Simulated:
    """One run: what its logs hold, and what is so."""

    events: Events
    truth: Truth


def simulate(scenario: Scenario, seed: int) -> Simulated:
    """Run the scenario; the same scenario and seed give the same run."""
    asked = _traffic(scenario, seed)
    thrash = _on_demand(scenario, asked) if scenario.slots else ()
    served, evicted = _serve(scenario, asked)
    order = np.random.default_rng([seed, 2])
    lookups = _logged(scenario, served, order)
    changes = _changes(scenario, (*scenario.steps, *thrash), evicted, order)
    events = Events(scenario, lookups, changes)
    return Simulated(events, Truth(scenario.start, _counts(events), changes, scenario.expect, scenario.forbid))


def totals(truth: Truth, *by: int) -> dict[tuple[str, ...], Count]:
    """Add up the counts by some of 0 (model), 1 (version), 2 (replica)."""
    sums: Counter[tuple[tuple[str, ...], str]] = Counter()
    for names, count in truth.counts.items():
        part = tuple(names[i] for i in by)
        sums.update({(part, "hits"): count.hits, (part, "misses"): count.misses, (part, "stale"): count.stale})
    parts = sorted({part for part, _ in sums})
    return {part: Count(sums[part, "hits"], sums[part, "misses"], sums[part, "stale"]) for part in parts}


def ask(cache: OrderedDict[int, float], key: int, now: float, rules: CacheRules) -> tuple[int, int | None]:
    """Look `key` up in an LRU cache (key -> time of expiry, least recently used first), and fill it when it must be.

    Returns the outcome and the key that was pushed out to make room.
    """
    expires = cache.get(key)
    if expires is not None and now < expires:
        cache.move_to_end(key)
        return HIT, None
    cache[key] = now + rules.ttl
    cache.move_to_end(key)
    gone = cache.popitem(last=False)[0] if len(cache) > rules.capacity else None
    if expires is None:
        return MISS, gone
    return (STALE if now < expires + rules.grace else EXPIRED), gone


@dataclass(frozen=True)
class _Asked:
    """Columns of all lookups in order of time (seconds after the start; negative: before the log)."""

    t: Floats
    model: Ints
    replica: Ints  # the one the balancer would choose
    version: Ints  # the version that the request names, -1: the newest
    key: Ints
    luck: Floats  # standard normal: latency


def _traffic(scenario: Scenario, seed: int) -> _Asked:
    columns = [_of_model(scenario, i, np.random.default_rng([seed, 1, i])) for i in range(len(scenario.traffic))]
    joined = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    t, model, replica, version, key, luck = (column[order] for column in joined)
    return _Asked(t, model, replica, version, key, luck)


def _of_model(scenario: Scenario, index: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.generic], ...]:
    """Draw the lookups of one model: Poisson in time, Zipf in keys, replicas evenly."""
    traffic, span = scenario.traffic[index], scenario.seconds + scenario.warmup
    n = int(rng.poisson(traffic.rate * span))
    t = _daily(traffic, np.sort(rng.uniform(-scenario.warmup, scenario.seconds, n)), scenario)
    odds = np.cumsum(1.0 / np.arange(1, traffic.keys + 1) ** traffic.skew)
    key = np.searchsorted(odds, rng.uniform(0, odds[-1], n)).astype(np.int64)
    replica = rng.integers(0, len(scenario.replicas), n)
    chance, fresh = rng.uniform(0, 1, n), rng.uniform(0, 1, n)
    luck = rng.normal(size=n)
    key = _with_new_keys(scenario, index, t, key, fresh)
    return t, np.full(n, index), replica, _named_versions(traffic, chance), key, luck


def _daily(traffic: Traffic, t: Floats, scenario: Scenario) -> Floats:
    """Move times of an even rate to those of one that has a day and a night (the inverse of its integral)."""
    if not traffic.daily:
        return t
    grid = np.linspace(-scenario.warmup, scenario.seconds, 4096)
    rate = 1.0 - traffic.daily * np.cos(2 * np.pi * (grid - traffic.night) / 86400.0)
    passed = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    moved: Floats = np.interp((t - grid[0]) / (grid[-1] - grid[0]), passed / passed[-1], grid)
    return moved


def _with_new_keys(scenario: Scenario, index: int, t: Floats, key: Ints, fresh: Floats) -> Ints:
    for step in scenario.steps:
        if step.what == "new_keys" and step.model in ("", scenario.traffic[index].model):
            new = (t >= step.at) & (fresh < step.value)
            key = np.where(new, scenario.traffic[index].keys + np.arange(len(t)), key)
    return key


def _named_versions(traffic: Traffic, chance: Floats) -> Ints:
    version = np.full(len(chance), -1)
    low = 0.0
    for name, share in traffic.asks:
        version[(chance >= low) & (chance < low + share)] = traffic.versions.index(name)
        low += share
    return version


@dataclass
class _Past:
    """What became of entries; a cache is known by its replica (0 where it is shared) and model."""

    gone: dict[tuple[int, int, int], int] = field(default_factory=dict)  # (cache, entry) -> cause of its end
    ready: dict[tuple[int, int, int], float] = field(default_factory=dict)  # when its fill is done
    asked: set[tuple[int, int, int]] = field(default_factory=set)  # (cache, key), of any version


@dataclass
class _Fleet:
    """The state of the fleet while steps happen."""

    scenario: Scenario
    resident: dict[tuple[int, int], set[int]]
    rules: list[CacheRules]  # by model
    caches: list[list[OrderedDict[int, float]]]  # by replica, then model; a shared cache stands in every replica
    out: set[int]  # replicas out of rotation
    past: _Past


def _fleet(scenario: Scenario) -> _Fleet:
    replicas = {name: i for i, name in enumerate(scenario.replicas)}
    models = {traffic.model: i for i, traffic in enumerate(scenario.traffic)}
    resident = {
        (replicas[replica], models[model]): {scenario.traffic[models[model]].versions.index(v) for v in versions}
        for (replica, model), versions in scenario.resident.items()
    }
    one = [OrderedDict[int, float]() for _ in models]
    caches = [one if scenario.shared else [OrderedDict[int, float]() for _ in models] for _ in replicas]
    return _Fleet(scenario, resident, [scenario.cache] * len(models), caches, set(), _Past())


def _apply(fleet: _Fleet, step: Step) -> None:
    """Change the fleet as the step says; lines are no business of this function."""
    names = [traffic.model for traffic in fleet.scenario.traffic]
    chosen = [i for i, name in enumerate(names) if step.model in ("", name)]
    at = fleet.scenario.replicas.index(step.replica) if step.replica in fleet.scenario.replicas else -1
    if step.what in ("load", "unload"):
        held = fleet.resident.setdefault((at, chosen[0]), set())
        version = fleet.scenario.traffic[chosen[0]].versions.index(step.version)
        held.add(version) if step.what == "load" else held.discard(version)
    elif step.what == "restart":
        _restart(fleet, at)
    elif step.what == "flush":
        for replica in range(len(fleet.caches)) if at < 0 else [at]:
            for model in chosen:
                _clear(fleet, replica, model)
    elif step.what in ("join", "leave"):
        fleet.out.discard(at) if step.what == "join" else fleet.out.add(at)
    elif step.what in ("resize", "ttl"):
        _retune(fleet, step, chosen)


def _restart(fleet: _Fleet, replica: int) -> None:
    """A process that ends loses its models, and the caches in its own memory."""
    for model in range(len(fleet.rules)):
        fleet.resident[replica, model] = set()
        if not fleet.scenario.shared:
            _clear(fleet, replica, model)


def _clear(fleet: _Fleet, replica: int, model: int) -> None:
    place = 0 if fleet.scenario.shared else replica
    for entry in fleet.caches[replica][model]:
        fleet.past.gone[place, model, entry] = FLUSH
    fleet.caches[replica][model].clear()


def _retune(fleet: _Fleet, step: Step, models: Iterable[int]) -> None:
    for model in models:
        old = fleet.rules[model]
        size = int(step.value) if step.what == "resize" else old.capacity
        ttl = step.value if step.what == "ttl" else old.ttl
        fleet.rules[model] = replace(old, capacity=size, ttl=ttl)
        for replica, caches in enumerate(fleet.caches):
            while len(caches[model]) > size:
                entry = caches[model].popitem(last=False)[0]
                fleet.past.gone[0 if fleet.scenario.shared else replica, model, entry] = CAPACITY


def _served_version(fleet: _Fleet, replica: int, model: int, named: int) -> int:
    """Return the version that answers, -1 when the replica does not."""
    held = fleet.resident.get((replica, model), set())
    if not held or replica in fleet.out:
        return -1
    return named if named in held else max(held)


def _routes(fleet: _Fleet) -> tuple[Ints, Ints]:
    """Return (replica that answers, version that answers) by (model, version named + 1, replica chosen)."""
    replicas, models = len(fleet.scenario.replicas), len(fleet.rules)
    widest = max(len(traffic.versions) for traffic in fleet.scenario.traffic) + 1
    version = np.full((models, widest, replicas), -1)
    for model, named, replica in np.ndindex(version.shape):
        version[model, named, replica] = _served_version(fleet, replica, model, named - 1)
    target = np.full_like(version, -1)
    for model, named, replica in np.ndindex(version.shape):
        tried = ((replica + i) % replicas for i in range(replicas))
        target[model, named, replica] = next((r for r in tried if version[model, named, r] >= 0), -1)
    return target, version


@dataclass(frozen=True)
class _Served:
    """Columns of the answered lookups of the logged period, in order of time."""

    t: Floats
    model: Ints
    replica: Ints
    version: Ints
    key: Ints
    outcome: Ints
    cause: Ints
    luck: Floats


def _serve(scenario: Scenario, asked: _Asked) -> tuple[_Served, list[Step]]:
    """Answer every lookup; those that nobody could answer are gone. Also returns evictions, as steps."""
    fleet, evicted = _fleet(scenario), list[Step]()
    parts = [_answer_rows(fleet, asked, rows, evicted) for rows in _stretches(scenario, asked, fleet)]
    columns = [np.concatenate(part) for part in zip(*parts, strict=True)]
    logged = columns[0] >= 0
    served = _Served(*(column[logged] for column in columns))
    return served, [step for step in evicted if step.at >= 0]


def _stretches(scenario: Scenario, asked: _Asked, fleet: _Fleet) -> Iterator[slice]:
    """Yield the rows between one step and the next; the fleet changes as they are drawn."""
    first = 0
    for step in sorted(scenario.steps, key=lambda s: s.at):
        last = int(np.searchsorted(asked.t, step.at, side="left"))
        if last > first:
            yield slice(first, last)
            first = last
        _apply(fleet, step)
    yield slice(first, len(asked.t))


def _answer_rows(fleet: _Fleet, asked: _Asked, rows: slice, evicted: list[Step]) -> tuple[npt.NDArray[np.generic], ...]:
    target, version = _routes(fleet)
    model, named, chosen = asked.model[rows], asked.version[rows] + 1, asked.replica[rows]
    replica = target[model, named, chosen]
    ok = replica >= 0
    served = version[model, named, np.maximum(replica, 0)][ok]
    t, model, key, replica = asked.t[rows][ok], model[ok], asked.key[rows][ok], replica[ok]
    outcome, cause = _outcomes(fleet, (t, model, replica, served, key), evicted)
    return t, model, replica, served, key, outcome, cause, asked.luck[rows][ok]


_KEYS = 1 << 32  # an entry of a cache is version * _KEYS + key


def _outcomes(
    fleet: _Fleet, columns: Sequence[npt.NDArray[np.generic]], evicted: list[Step]
) -> tuple[Ints, Ints]:  # fmt: skip
    outcomes, causes = [], []
    rows = zip(*(column.tolist() for column in columns), strict=True)
    past = fleet.past
    for t, model, replica, version, key in rows:
        scope = version * _KEYS if fleet.rules[model].scoped else 0
        place, entry = 0 if fleet.scenario.shared else replica, scope + key
        if t < past.ready.get((place, model, entry), -math.inf):
            outcomes.append(MISS)
            causes.append(DUPLICATE)
            continue
        outcome, gone = ask(fleet.caches[replica][model], entry, t, fleet.rules[model])
        outcomes.append(outcome)
        causes.append(_cause(fleet, outcome, (place, model, entry), key))
        if outcome != HIT and fleet.rules[model].fill:
            past.ready[place, model, entry] = t + fleet.rules[model].fill
        if gone is not None:
            past.gone[place, model, gone] = CAPACITY
            evicted.append(_eviction(fleet.scenario, gone, t, model, replica))
    return np.array(outcomes, dtype=np.int64), np.array(causes, dtype=np.int64)


def _cause(fleet: _Fleet, outcome: int, entry: tuple[int, int, int], key: int) -> int:
    """Say why a lookup missed, and remember it."""
    place, model, _ = entry
    known = (place, model, key) in fleet.past.asked
    fleet.past.asked.add((place, model, key))
    ended = fleet.past.gone.pop(entry, None)
    if outcome in (HIT, STALE):
        return -1
    if outcome == EXPIRED:
        return TTL
    if ended is not None:
        return ended
    if known:
        return VERSION
    return NEW if key >= fleet.scenario.traffic[model].keys else COLD


def _eviction(scenario: Scenario, entry: int, t: float, model: int, replica: int) -> Step:
    version, key = divmod(entry, _KEYS)
    traffic = scenario.traffic[model]
    return Step(t, "evict", scenario.replicas[replica], traffic.model, traffic.versions[version], value=key)


def _on_demand(scenario: Scenario, asked: _Asked) -> tuple[Step, ...]:
    """Return what replicas with fewer slots than models load and push out: the least recently used model goes.

    Every replica answers for every model (its version is resident in the scenario); only the lines are of interest.
    """
    slots = [OrderedDict[int, None]() for _ in scenario.replicas]
    steps: list[Step] = []
    for t, model, replica in zip(asked.t.tolist(), asked.model.tolist(), asked.replica.tolist(), strict=True):
        held = slots[replica]
        if model in held:
            held.move_to_end(model)
            continue
        held[model] = None
        steps += _swap(scenario, t, replica, model, held)
    return tuple(step for step in steps if step.at >= 0)


def _swap(scenario: Scenario, t: float, replica: int, model: int, held: OrderedDict[int, None]) -> list[Step]:
    """A model is missing: the lines of the miss, of the model that makes room, and of the load."""
    name, traffic = scenario.replicas[replica], scenario.traffic[model]
    version = scenario.resident[name, traffic.model][-1]
    lines = [Step(t, "model_miss", name, traffic.model, version)]
    if len(held) > (scenario.slots or 0):
        gone = scenario.traffic[held.popitem(last=False)[0]]
        lines.append(Step(t, "model_evict", name, gone.model, scenario.resident[name, gone.model][-1]))
    return [*lines, Step(t + 0.3, "load", name, traffic.model, version, took=0.3)]


def _logged(scenario: Scenario, served: _Served, rng: np.random.Generator) -> Lookups:
    """Return the lookups whose lines are in the logs, stamped by the clock of their replica."""
    fast = (served.outcome == HIT) | (served.outcome == STALE)
    seconds = np.exp(served.luck * 0.5) * np.where(fast, 0.002, 0.045)
    kept = ~_lost(scenario, served.t, served.replica)
    ahead = np.array([scenario.skew.get(name, 0.0) for name in scenario.replicas])
    stamp = _micros(scenario, served.t + ahead[served.replica])
    written = _micros(scenario, served.t + rng.uniform(0, scenario.late, len(served.t)))
    rows = np.argsort(written, kind="stable")
    rows = rows[kept[rows]]
    columns = (stamp, written, served.replica, served.model, served.version, served.key, served.outcome)
    stamp, written, replica, model, version, key, outcome = (column[rows] for column in columns)
    return Lookups(stamp, written, replica, model, version, key, outcome, seconds[rows], served.cause[rows])


def _lost(scenario: Scenario, t: Floats, replica: Ints) -> npt.NDArray[np.bool_]:
    lost = np.zeros(len(t), dtype=bool)
    for name, start, end in scenario.gaps:
        lost |= (replica == scenario.replicas.index(name)) & (t >= start) & (t < end)
    return lost


def _micros(scenario: Scenario, t: Floats) -> Ints:
    epoch = (scenario.start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return epoch + np.rint(t * 1e6).astype(np.int64)


_SILENT = frozenset({"join", "leave", "resize", "ttl", "new_keys"})  # nobody writes a line about these


def _changes(
    scenario: Scenario, steps: Sequence[Step], evicted: Sequence[Step], rng: np.random.Generator
) -> tuple[Change, ...]:
    """Return the lines of the steps that are logged, in order of writing."""
    lines = [line for step in (*steps, *evicted) for line in _lines(step)]
    lines = [s for s in lines if _is_logged(scenario, s)]
    late = rng.uniform(0, scenario.late, len(lines))
    changes = [_change(scenario, step, extra) for step, extra in zip(lines, late.tolist(), strict=True)]
    return tuple(sorted(changes, key=lambda c: c.written))


def _lines(step: Step) -> list[Step]:
    if step.what in _SILENT:
        return []
    if step.what == "load" and step.took:
        return [replace(step, at=step.at - step.took, what="load_start", took=0.0), step]
    return [step]


def _is_logged(scenario: Scenario, step: Step) -> bool:
    lost = any(step.replica == name and start <= step.at < end for name, start, end in scenario.gaps)
    return 0 <= step.at < scenario.seconds and step.what not in scenario.unlogged and not lost


def _change(scenario: Scenario, step: Step, late: float) -> Change:
    stamp = _micros(scenario, np.array([step.at + scenario.skew.get(step.replica, 0.0), step.at + late]))
    key = int(step.value) if step.what == "evict" else -1
    return Change(
        int(stamp[0]), int(stamp[1]), step.what, step.replica, step.model, step.version, step.took, step.reason,
        step.old, key, step.digest,
    )  # fmt: skip


def _counts(events: Events) -> dict[tuple[str, str, str], Count]:
    """Count the logged lookups by (model, version, replica)."""
    rows = events.lookups
    cells = Counter(zip(*(c.tolist() for c in (rows.model, rows.version, rows.replica, rows.outcome)), strict=True))
    counts: dict[tuple[str, str, str], Count] = {}
    for model, version, replica in sorted({cell[:3] for cell in cells}):
        n = [cells[model, version, replica, outcome] for outcome in (HIT, MISS, STALE, EXPIRED)]
        traffic = events.scenario.traffic[model]
        names = (traffic.model, traffic.versions[version], events.scenario.replicas[replica])
        counts[names] = Count(n[HIT], n[MISS] + n[EXPIRED], n[STALE])
    return counts
