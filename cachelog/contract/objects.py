"""JSON objects of APIs, read one by one: there are thousands of them beside millions of log lines.

Dialects with LAYOUTS get each object as one line of JSON. Whatever has another type than the API gives it says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import polars as pl

from cachelog.contract import jsonlines
from cachelog.contract.dialect import PARSED
from cachelog.contract.platform import DEPLOY

Object = Mapping[str, object]

_LONGEST = 200  # characters of a text that is quoted
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?) ?(Z|UTC|[+-]\d\d:?\d\d)(?: [A-Z]{3,5}| [+-]\d\d)?",
    re.ASCII,
)
_EPOCH = "1970"  # Go writes the year 1 where there is no time
_MODEL = ("model", "model_name", "modelName", "MODEL", "MODEL_NAME")
_VERSION = ("model_version", "modelVersion", "version", "MODEL_VERSION")


@dataclass(frozen=True)
class Told:
    """One event of the platform; columns of PARSED."""

    op: str
    time: str
    reason: str
    replica: str | None = None
    version: str | None = None
    digest: str | None = None
    model: str | None = None
    n: int = 1


def parsed(lines: pl.DataFrame, read: Callable[[Object], Iterator[Told]]) -> pl.DataFrame:
    """Return the PARSED rows of lines [row, text] of which each is a JSON object."""
    rows = []
    for row, text in lines.select("row", "text").iter_rows():
        rows += [{"row": row, **asdict(told)} for told in read(jsonlines.decode(text) or {})]
    names = ["row", *Told.__dataclass_fields__]
    return pl.DataFrame(rows, schema={name: PARSED[name] for name in names})


def at(value: object, path: str) -> object:
    """Return what is at a path of keys, None where there is nothing."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: object, path: str) -> str | None:
    """Return the text or number at a path as written; None for anything else and for an empty one."""
    found = at(value, path)
    return str(found) if isinstance(found, str) and found else None


def texts(value: object, path: str) -> dict[str, str]:
    """Return an object of texts."""
    found = at(value, path)
    return {k: str(v) for k, v in found.items() if isinstance(v, str) and v} if isinstance(found, dict) else {}


def items(value: object, path: str) -> list[Object]:
    """Return the objects of an array."""
    found = at(value, path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def instant(value: object, *paths: str) -> str | None:
    """Return the first time at one of the paths as RFC 3339; read is also what Go and Ruby print."""
    for path in paths:
        found = _INSTANT.fullmatch(text(value, path) or "")
        if found and found[1] >= _EPOCH:
            time = f"{found[1]}T{found[2]}{'Z' if found[3] == 'UTC' else found[3]}"
            if _is_time(time):
                return time
    return None


def _is_time(time: str) -> bool:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    return True


def quoted(said: str) -> str:
    """Return a text on one line, shortened."""
    line = " ".join(said.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def deploys(
    time: str | None, what: str, version: str | None, named: Sequence[Object] = (), replica: str | None = None
) -> Iterator[Told]:
    """Yield a deploy, of a model too where one of the objects names it with its version; nothing without a time."""
    if time is None:
        return
    reason = DEPLOY + quoted(what)
    yield Told("rollout", time, reason, replica, version)
    model, asked = (next((t for o in named for n in names if (t := text(o, n))), None) for names in (_MODEL, _VERSION))
    if model and asked:
        yield Told("rollout", time, reason, None, asked, None, model)
