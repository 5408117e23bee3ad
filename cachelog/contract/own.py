"""What the user says of logs that no dialect knows: which name, expression or word stands for what (--map, [[format]]).

What is asked for here is read by every engine beside the names of contract/fields.py, each in a column of its own, and
put in its place by ingest/mapping.py, where it goes before what those names say. It is in force for the reading that it
was given to (a context variable), so that dialects stay functions of lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

#: Fields that can be mapped; `hit` is an outcome that is true or false, `op` what an event means.
MAPPED = (
    "time", "replica", "model", "version", "from_version", "to_version", "outcome", "hit", "key", "event", "op",
    "message", "cache", "digest", "reason", "url", "seconds", "ms", "duration", "hits", "misses", "lookups",
)  # fmt: skip
SAME = {"hit": "outcome", "op": "event"}
#: Fields of which one is enough to make an event of a line.
TELLING = ("outcome", "event")
#: What a word of an outcome may mean; "none" is no lookup.
MEANINGS = ("hit", "miss", "expired", "stale", "bypass", "error", "none")


@dataclass(frozen=True)
class Mapped:
    """Where a field is found: at a path of keys (a.b, as in contract/fields.py), by the first group of a regular
    expression, or it is a fixed text where a line has none. `said` is how the user wrote it, `layout` how a time is
    written (as strftime has it, None: a usual way)."""

    field: str
    said: str
    path: str | None = None
    regex: str | None = None
    fixed: str | None = None
    layout: str | None = None


@dataclass(frozen=True)
class Word:
    """A word that logs write in a field (outcome or event), in lower case, and what it means."""

    field: str
    word: str
    means: str


@dataclass(frozen=True)
class Declared:
    """A [[format]]. One of JSON claims the objects that have a value for each place of `needs` in `maps`; one of text
    (`needs` is empty) has a dialect that marks its lines."""

    name: str
    maps: tuple[Mapped, ...]
    needs: tuple[int, ...] = ()
    words: tuple[Word, ...] = ()

    @property
    def mark(self) -> str:
        """Return the name of the column that is true for lines of a format of text."""
        return f"own_{self.name}"

    def column(self, at: int) -> str:
        """Return the name of the column with what is found for a map."""
        return f"own_{self.name}_{at}"


@dataclass(frozen=True)
class Own:
    """All that the user said of how logs are to be read."""

    maps: tuple[Mapped, ...] = ()
    words: tuple[Word, ...] = ()
    formats: tuple[Declared, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.maps or self.words or self.formats)

    @property
    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        """Return column -> the path of keys that it is read from."""
        mine = {column(at): (one.path,) for at, one in enumerate(self.maps) if one.path}
        theirs = {f.column(at): (one.path,) for f in self.formats for at, one in enumerate(f.maps) if one.path}
        return mine | theirs

    @property
    def telling(self) -> tuple[str, ...]:
        """Return the columns that make an object one of an application, as opening.OWN has them."""
        return tuple(self.aliases)

    @property
    def searches(self) -> bool:
        """Is the text of lines needed?"""
        return any(one.regex for one in self.maps)


def column(at: int) -> str:
    """Return the name of the column with what is found for a map."""
    return f"own_{at}"


NOTHING = Own()
_IN_FORCE: ContextVar[Own] = ContextVar("own", default=NOTHING)


def current() -> Own:
    """Return what is in force."""
    return _IN_FORCE.get()


@contextmanager
def using(own: Own) -> Iterator[None]:
    """Put what the user said in force, in this thread and in the contexts copied from it."""
    token = _IN_FORCE.set(own)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)
