"""Makes sample-logs/: one small incident a folder, with an EXPECT.json in it that says what is so.

python -m tests.make_samples [FOLDER]
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.simulate import CacheRules, Count, Expected, Forbidden, Scenario, Simulated, Step, Traffic, simulate, totals
from tests.writing import write

ROOT = Path(__file__).parent.parent / "sample-logs"


@dataclass(frozen=True)
class Sample:
    """One incident: what happens, the dialect that tells of it, and what it shows."""

    about: str
    dialect: str
    scenario: Scenario
    seed: int


def make(folder: Path) -> None:
    """Write every sample and its expectation under `folder`; always the same bytes."""
    for name, sample in SAMPLES.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        run = simulate(sample.scenario, sample.seed)
        write(run, folder / name, sample.dialect)
        # on one line, and of a schema of its own: cachelog leaves it out of the logs of its folder
        expect = json.dumps(expectation(sample, run, folder / name))
        (folder / name / "EXPECT.json").write_text(expect + "\n", encoding="utf-8", newline="\n")


def expectation(sample: Sample, run: Simulated, logs: Path) -> dict[str, object]:
    """Return what the sample's EXPECT.json holds; `written` is the time that its files must have (glog has no year)."""
    start = sample.scenario.start
    end = start + timedelta(seconds=sample.scenario.seconds)
    counts = totals(run.truth, 0) if sample.dialect != "triton" else {}
    versions = totals(run.truth, 0, 1) if sample.dialect != "triton" else {}
    said = {
        "schema": "cachelog.expect/1",
        "about": sample.about,
        "written": _time(end),
        "findings": [_finding(wanted, start) for wanted in sample.scenario.expect],
        "never": [_never(rule) for rule in sample.scenario.forbid],
        "models": {model: _count(count) for (model,), count in counts.items()},
        "versions": {"@".join(names): _count(count) for names, count in versions.items()},
    }
    return said | ({"bypass": _bypassed(logs)} if sample.dialect == "nginx" else {})


def _time(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _finding(wanted: Expected, start: datetime) -> dict[str, object]:
    at = None if wanted.at is None else _time(start + timedelta(seconds=wanted.at))
    said: dict[str, object] = {
        "rule": wanted.rule,
        "model": wanted.model,
        "version_from": wanted.version_from,
        "version_to": wanted.version_to,
        "replicas": list(wanted.replicas),
        "start": at,
        "tolerance_s": wanted.tolerance_s,
        "any_of": list(wanted.instead),
    }
    return {name: value for name, value in said.items() if value not in (None, [])}


def _never(rule: Forbidden) -> dict[str, object]:
    said: dict[str, object] = {"rule": rule.rule, "severity": rule.severity}
    return said | ({"model": rule.model} if rule.model else {})


def _count(count: Count) -> dict[str, int]:
    return {"lookups": count.lookups, "hits": count.hits, "misses": count.misses, "stale": count.stale}


def _bypassed(logs: Path) -> int:
    return sum(path.read_text().count("cache=BYPASS") for path in sorted(logs.rglob("access.log")))


# -- the fleets -------------------------------------------------------------------------------------


def _fleet(pods: tuple[str, ...], traffic: tuple[Traffic, ...], start: str, **changes: object) -> Scenario:
    resident = {(pod, t.model): t.versions[:1] for pod in pods for t in traffic}
    base = Scenario(pods, traffic, CacheRules(2000, 300.0), True, resident, start=_utc(start), warmup=1800.0)
    return replace(base, **changes)  # type: ignore[arg-type]


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _switch(
    pods: Iterable[str], model: str, at: float, every: float, old: str, new: str, took: float = 2.3
) -> list[Step]:
    """Replicas load `new` and unload `old`, one after the other, at times that are not round."""
    steps = []
    for i, pod in enumerate(pods):
        loaded = at + every * i + 0.173 * i * i
        steps.append(Step(loaded, "load", pod, model, new, took=took + 0.11 * i))
        steps.append(Step(loaded + 0.847, "unload", pod, model, old))
    return steps


def _restart(pod: str, at: float, loads: Iterable[tuple[str, str]]) -> list[Step]:
    """A replica restarts and loads (model, version), one after the other."""
    steps = [Step(at, "restart", pod)]
    steps += [Step(at + 6.217 + 2.6 * i, "load", pod, m, v, took=2.1 + 0.3 * i) for i, (m, v) in enumerate(loads)]
    return steps


def _announce(model: str, at: float, old: str, new: str, reason: str) -> Step:
    return Step(at, "rollout", "", model, new, reason=reason, old=old)


_CALM = (Forbidden("*", "low"),)


def _not_else(*models: str) -> tuple[Forbidden, ...]:
    """An incident of one model is none of these, and none of another model."""
    rules = ("version-regression", "version-flapping", "miss-rate-shift", "load-failure")
    return tuple(Forbidden(rule, "low", model) for model in models for rule in rules)


def _stale_replica() -> Sample:
    pods = tuple(f"search-7d9c8b6f5-{tail}" for tail in ("2xkqm", "8rw4z", "hv6tn", "l5bjc", "qf9sd"))
    traffic = (Traffic("search-ranker", ("v9", "v10"), 1.15, 50), Traffic("spell-check", ("v3",), 0.12, 30))
    stale = (pods[1], pods[3])
    steps = [_announce("search-ranker", 357.4, "v9", "v10", "deploy")]
    steps += _switch(pods, "search-ranker", 361.3, 11.0, "v9", "v10")
    loads = (("search-ranker", "v9"), ("spell-check", "v3"))
    steps += [*_restart(stale[0], 842.6, loads), *_restart(stale[1], 861.9, loads)]
    again = 842.6 + 6.217
    found = (
        Expected("version-regression", "search-ranker", stale, "v10", "v9", again, 30.0),
        Expected("miss-rate-shift", "search-ranker", at=again, tolerance_s=180.0),
    )
    forbid = (*_not_else("spell-check"), Forbidden("rollback", "info"), Forbidden("version-flapping"))
    fleet = _fleet(pods, traffic, "2026-09-14T05:20:00", seconds=1680.0, cache=CacheRules(48, 2000.0),
                   steps=tuple(steps), expect=found, forbid=forbid)  # fmt: skip
    about = "Two of five replicas restart after a deploy with an old copy of the model; both versions share one cache."
    return Sample(about, "zap", fleet, 7)


def _clean_rolling_deploy() -> Sample:
    pods = tuple(f"risk-scorer-{i}" for i in range(4))
    traffic = (Traffic("checkout-risk", ("1.9.3", "1.10.0"), 0.55, 60), Traffic("address-match", ("4",), 0.22, 40))
    steps = [_announce("checkout-risk", 1076.2, "1.9.3", "1.10.0", "deploy")]
    steps += _switch(pods, "checkout-risk", 1081.7, 24.0, "1.9.3", "1.10.0")
    fleet = _fleet(pods, traffic, "2026-09-02T13:05:00", seconds=2700.0, steps=tuple(steps), forbid=_CALM)
    return Sample("A rolling deploy as it should be: every replica gets the newer version.", "logfmt", fleet, 3)


def _intended_rollback() -> Sample:
    pods = tuple(f"eta-5f7c9d8b4-{tail}" for tail in ("4mzxp", "9wq2h", "jt7kd"))
    traffic = (Traffic("eta-minutes", ("20260907-1", "20260909-1"), 0.27, 40), Traffic("geo-embed", ("12",), 0.08, 20))
    old, new = traffic[0].versions
    steps = [
        _announce("eta-minutes", 597.9, old, new, "deploy"),
        _announce("eta-minutes", 1402.2, new, old, "rollback"),
    ]
    steps += _switch(pods, "eta-minutes", 603.4, 19.0, old, new)
    steps += _switch(pods, "eta-minutes", 1409.8, 8.0, new, old)
    found = Expected("rollback", "eta-minutes", pods, new, old, 1409.8, 60.0)
    forbid = (Forbidden("version-regression"), Forbidden("version-flapping"), Forbidden("*", "high"))
    fleet = _fleet(pods, traffic, "2026-09-09T21:40:00", seconds=2520.0, steps=tuple(steps), expect=(found,),
                   forbid=(*forbid, *_not_else("geo-embed")))  # fmt: skip
    return Sample("A deploy that was taken back on all replicas, and announced: no alarm.", "cri", fleet, 5)


def _flapping() -> Sample:
    pods = tuple(f"tagger-{i}" for i in range(4))
    traffic = (Traffic("image-tags", ("41", "42"), 0.5, 60), Traffic("image-nsfw", ("7",), 0.16, 30))
    unsure = (pods[0], pods[2])
    steps = _switch(pods, "image-tags", 421.6, 15.0, "41", "42")
    for i in range(6):
        old, new = ("42", "41") if i % 2 == 0 else ("41", "42")
        steps += _switch(unsure, "image-tags", 900.2 + 231.0 * i, 13.0, old, new)
    found = Expected("version-flapping", "image-tags", unsure, at=900.2, tolerance_s=900.0)
    forbid = (*_not_else("image-nsfw"), Forbidden("rollback"), Forbidden("load-failure", "info"))
    fleet = _fleet(pods, traffic, "2026-09-21T08:15:00", seconds=2640.0, steps=tuple(steps), expect=(found,),
                   forbid=forbid)  # fmt: skip
    return Sample(
        "Two replicas poll two repositories that do not agree, and load one version after the other.", "text", fleet, 2
    )


def _triton_stale_repository() -> Sample:
    servers = ("triton-a", "triton-b", "triton-c", "triton-d")
    traffic = (Traffic("doc-layout", ("12", "13"), 0.1, 20), Traffic("ocr-lines", ("5", "6"), 0.1, 20))
    first = [
        step
        for i, s in enumerate(servers)
        for step in _restart(s, 2.0 + 3.0 * i, (("doc-layout", "12"), ("ocr-lines", "5")))
    ]
    steps = [*first, *_switch(servers, "doc-layout", 903.1, 30.0, "12", "13")]
    stale = servers[1:3]
    loads = (("doc-layout", "12"), ("ocr-lines", "5"))
    steps += [*_restart(stale[0], 2105.3, loads), *_restart(stale[1], 2131.8, loads)]
    steps += _switch(servers, "ocr-lines", 3011.5, 30.0, "5", "6")
    found = Expected("version-regression", "doc-layout", stale, "13", "12", 2105.3 + 6.217, 30.0)
    forbid = (*_not_else("ocr-lines"), Forbidden("rollback", "info"), Forbidden("version-flapping"))
    fleet = _fleet(servers, traffic, "2026-09-17T11:00:00", seconds=3600.0, steps=tuple(steps), expect=(found,),
                   forbid=forbid)  # fmt: skip
    return Sample("Two of four Triton servers restart with a model repository that is out of date.", "triton", fleet, 1)


def _nginx_edges() -> Sample:
    edges = ("edge-fra1", "edge-fra2", "edge-waw1")
    traffic = (Traffic("pricing", ("30", "31"), 1.05, 50), Traffic("stock-eta", ("8",), 0.3, 30))
    steps = _switch(edges, "pricing", 241.4, 6.0, "30", "31")
    steps += _switch(edges[2:], "pricing", 522.7, 1.0, "31", "30")
    found = Expected("version-regression", "pricing", edges[2:], "31", "30", 522.7, 30.0, ("version-flapping",))
    forbid = (*_not_else("stock-eta"), Forbidden("rollback"), Forbidden("load-failure", "info"))
    fleet = _fleet(edges, traffic, "2026-09-25T16:30:00", seconds=930.0, shared=False, cache=CacheRules(400, 90.0, 1.5),
                   steps=tuple(steps), expect=(found,), forbid=forbid)  # fmt: skip
    return Sample(
        "One of three nginx edges is reloaded with an old configuration, which pins the model's old version.",
        "nginx",
        fleet,
        4,
    )


def _load_failure() -> Sample:
    pods = tuple(f"ner-{i}" for i in range(4))
    traffic = (Traffic("entity-tags", ("2026.8.1", "2026.9.1"), 0.34, 40), Traffic("lang-detect", ("2.4.0",), 0.1, 20))
    old, new = traffic[0].versions
    why = "CUDA error: out of memory while copying weights (need 6.1 GiB, 4.8 GiB free)"
    steps = [
        _announce("entity-tags", 896.3, old, new, "deploy"),
        *_switch(pods[:3], "entity-tags", 902.5, 21.0, old, new),
    ]
    steps += [Step(965.9 + 120.0 * i, "load_fail", pods[3], "entity-tags", new, reason=why) for i in range(4)]
    found = Expected("load-failure", "entity-tags", pods[3:], version_to=new, at=965.9, tolerance_s=60.0)
    forbid = (Forbidden("version-regression"), Forbidden("version-flapping"), Forbidden("rollback", "info"))
    fleet = _fleet(pods, traffic, "2026-09-04T09:10:00", seconds=2400.0, steps=tuple(steps), expect=(found,),
                   forbid=(*forbid, *_not_else("lang-detect")))  # fmt: skip
    return Sample("One replica cannot load the newer version and goes on with the older one.", "structlog", fleet, 6)


def _crash_loop() -> Sample:
    pods = tuple(f"dedup-6b5d4c7f9-{tail}" for tail in ("7dzkl", "c2vxn", "w8hqs"))
    traffic = (Traffic("dedup-embed", ("17",), 0.56, 60), Traffic("dedup-rank", ("3",), 0.17, 30))
    loads = (("dedup-embed", "17"), ("dedup-rank", "3"))
    steps = [step for i in range(7) for step in _restart(pods[1], 811.4 + 128.0 * i + 3.7 * i * i, loads)]
    found = Expected("replica-restart", replicas=pods[1:2], at=811.4, tolerance_s=300.0)
    forbid = (Forbidden("version-regression"), Forbidden("version-flapping"), Forbidden("rollback", "info"))
    fleet = _fleet(pods, traffic, "2026-09-11T02:00:00", seconds=2700.0, shared=False, steps=tuple(steps),
                   expect=(found,), forbid=(*forbid, Forbidden("load-failure", "info")))  # fmt: skip
    return Sample("One replica restarts every two minutes and begins with empty caches each time.", "logfmt", fleet, 8)


def _steady() -> Sample:
    pods = tuple(f"upsell-{i}" for i in range(3))
    traffic = (Traffic("upsell", ("55",), 0.47, 60), Traffic("cart-embed", ("9",), 0.17, 30))
    fleet = _fleet(pods, traffic, "2026-09-07T18:00:00", seconds=2700.0, forbid=_CALM)
    return Sample("Nothing happens.", "zap", fleet, 9)


_MADE: tuple[Callable[[], Sample], ...] = (
    _stale_replica, _clean_rolling_deploy, _intended_rollback, _flapping, _triton_stale_repository, _nginx_edges,
    _load_failure, _crash_loop, _steady,
)  # fmt: skip
SAMPLES = {made.__name__[1:].replace("_", "-"): made() for made in _MADE}


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
