"""A small incident for `cachelog demo`: two of five replicas restart with an old copy of a model after a deploy.

What the lines say follows from what happens, as in real life: the replicas share one result cache that is big enough
for one version of the model and too small for two, and its keys are version-scoped.
"""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

_SEED = 20
_START = datetime(2026, 10, 5, 7, 30, tzinfo=UTC)
_SECONDS, _WARM_UP = 2700.0, 1800.0  # length of the logs, and of the traffic before them
_MODEL, _OLD, _NEW = "recommender", "v9", "v10"
_PODS = tuple(f"recommend-6c8f7d5b9-{tail}" for tail in ("4hzqm", "7wkxc", "b2ntv", "m9sdp", "x5rgl"))
_STALE = (_PODS[1], _PODS[4])
_RATE, _KEYS, _ENTRIES = 1.6, 60, 56  # lookups a second, different keys, entries of the cache
_DEPLOY, _RESTART = 612.0, 1431.0

_Line = tuple[float, str, dict[str, object]]  # seconds after the start, replica, fields


def write(folder: Path) -> None:
    """Write the logs of the incident, one file for the lookups and one for loads and deploys; always the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    changes = sorted(_changes(), key=lambda line: line[0])
    _save(folder / "lookups.jsonl", _lookups(changes))
    _save(folder / "models.jsonl", changes)


def _save(path: Path, lines: Iterator[_Line] | list[_Line]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for at, replica, fields in lines:
            head = {"ts": _time(at), "pod": replica} if replica else {"ts": _time(at)}
            file.write(json.dumps(head | fields) + "\n")


def _time(at: float) -> str:
    return (_START + timedelta(seconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _changes() -> Iterator[_Line]:
    """What happens to the replicas: a rolling deploy, and later two restarts with the old version."""
    deploy: dict[str, object] = {
        "event": "rollout_started",
        "model": _MODEL,
        "from": _OLD,
        "to": _NEW,
        "reason": "deploy",
    }
    yield _DEPLOY, "", deploy
    for i, pod in enumerate(_PODS):
        at = _DEPLOY + 6.4 + 17.3 * i
        yield at, pod, _change("model_loaded", _NEW)
        yield at + 0.9, pod, _change("model_unloaded", _OLD)
    for i, pod in enumerate(_STALE):
        at = _RESTART + 23.8 * i
        yield at, pod, {"event": "server_starting"}
        yield at + 7.2, pod, _change("model_loaded", _OLD)


def _change(event: str, version: str) -> dict[str, object]:
    return {"event": event, "model": _MODEL, "version": version}


def _lookups(changes: list[_Line]) -> Iterator[_Line]:
    """Ask the cache: replicas at random, keys by Zipf, the version that the replica has loaded at the time."""
    dice, cache, waiting = random.Random(_SEED), OrderedDict[tuple[str, int], None](), list(changes)
    serves = dict.fromkeys(_PODS, _OLD)
    weights = list(accumulate(1 / (rank + 1) ** 0.9 for rank in range(_KEYS)))
    at = -_WARM_UP
    while (at := at + dice.expovariate(_RATE)) < _SECONDS:
        while waiting and waiting[0][0] <= at:
            _note(serves, *waiting.pop(0)[1:])
        pod = dice.choice([pod for pod in _PODS if serves[pod]])
        key = dice.choices(range(_KEYS), cum_weights=weights)[0]
        result = _ask(cache, (serves[pod], key))
        took = round(dice.lognormvariate(0.7 if result == "hit" else 3.9, 0.4), 1)
        said = {"event": "cache_lookup", "result": result, "model": _MODEL, "version": serves[pod]}
        if at >= 0:
            yield at, pod, said | {"key": f"{key:x}", "latency_ms": took}


def _note(serves: dict[str, str], pod: str, fields: dict[str, object]) -> None:
    """A replica serves what it loaded last, and nothing from its restart to the next load."""
    if fields["event"] in ("model_loaded", "server_starting"):
        serves[pod] = str(fields.get("version", ""))


def _ask(cache: OrderedDict[tuple[str, int], None], entry: tuple[str, int]) -> str:
    result = "hit" if entry in cache else "miss"
    cache[entry] = None
    cache.move_to_end(entry)
    if len(cache) > _ENTRIES:
        cache.popitem(last=False)
    return result
