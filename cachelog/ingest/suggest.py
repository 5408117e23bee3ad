"""Which places of lines that no dialect knows look like a model, version, replica, outcome or key, for inspect.

The head of an input is cut into columns: the paths of JSON objects, the keys of pairs, and the words of text that
stand between the same separators in most lines. A column is judged by what it is called and by what it holds.
Nothing is read by this: it proposes what to give to --map.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from cachelog.contract import heads
from cachelog.contract.finding import Candidate
from cachelog.ingest.clock import Zone, instants
from cachelog.ingest.words import EDGE_WORDS, FLAGS, GUESSES

#: What names of columns are made of, by field: the parts of camelCase, snake_case and paths.
_NAMES: Mapping[str, frozenset[str]] = {
    "model": frozenset(
        [
            "model",
            "models",
            "mdl",
            "servable",
            "predictor",
            "net",
            "network",
            "estimator",
            "classifier",
            "ranker",
            "algo",
            "predict",
            "infer",
            "score",
        ]
    ),
    "version": frozenset(
        ["version", "ver", "rev", "revision", "release", "build", "mv", "v", "vsn", "tag", "gen", "generation"]
    ),
    "replica": frozenset(
        [
            "pod",
            "replica",
            "host",
            "hostname",
            "node",
            "box",
            "instance",
            "machine",
            "server",
            "srv",
            "worker",
            "at",
            "container",
        ]
    ),
    "outcome": frozenset(
        [
            "cache",
            "cached",
            "hit",
            "result",
            "res",
            "outcome",
            "status",
            "state",
            "lookup",
            "answer",
            "source",
            "src",
            "verdict",
            "memo",
            "reuse",
            "reused",
            "store",
            "stored",
        ]
    ),
    "key": frozenset(["key", "hash", "ck", "fingerprint", "digest", "cachekey", "kid", "entry", "id", "h"]),
    "time": frozenset(["time", "timestamp", "ts", "at", "when", "date", "stamp", "clock", "t", "logged"]),
    "ms": frozenset(
        [
            "ms",
            "msec",
            "millis",
            "milliseconds",
            "latency",
            "lat",
            "took",
            "elapsed",
            "spent",
            "dur",
            "duration",
            "cost",
            "dt",
        ]
    ),
}
_WORD = re.compile(r"[A-Za-z0-9_.\-]+")
_PAIR = re.compile(r"""(?:^|[\s,;(\[{<|])([A-Za-z_@$][\w.$/@-]*)=("(?:[^"\\]|\\.)*"|[^\s,;"')\]}>]+)""")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LABEL = r"[A-Za-z][\w.\-]{1,63}"
_POD = r"[a-z][\w.]*-[\w.-]*\d[\w.-]*"
_VERSION = r"[a-z]{0,3}\d{1,12}(?:[.\-_]\w+)*|[0-9a-f]{7,64}"
_MOST = 200  # different values of a column that are kept
_SHOWN = 3  # examples
_FEW = 24  # words of outcomes at most
_CUT = "\0"  # stands for a pair in a line: its key names a place of its own
_YEAR, _SEP = r"(?:19|20)\d\d", r"[/.\-]"
#: Dates with their year, and clocks: no version, whatever path they stand in. What stands for one, and finds it again.
_DATES = {
    "\1": (rf"(?<![\w@#:])(?:{_YEAR}({_SEP})\d\d?\1\d\d?|\d\d?({_SEP})\d\d?\2{_YEAR})(?!\w)", r"\d+[/.-]\d+[/.-]\d+"),
    "\2": (r"(?<![\w.:])\d\d?:\d\d:\d\d(?:[.,]\d+)?(?![\w:])", r"\d+:\d+:\d+(?:[.,]\d+)?"),
}
#: Times that have their year at the end, as strftime writes them: which of day and month is first is told by values.
_ENDING_IN_YEAR = re.compile(
    rf"(\d\d?)({_SEP})(\d\d?)\2{_YEAR}([ T]|, )\d\d?:\d\d:\d\d(?:([.,])(\d{{1,9}}))?( ?[AaPp][Mm])?"
)
_AGAIN = 1.2  # how often each key is seen, at least; ids of requests are no keys
_DEEP = 6  # objects in objects
_LEVELS = frozenset(["trace", "debug", "info", "notice", "warn", "warning", "error", "err", "fatal", "critical"])
_HEAD = re.compile(r"^\W*(\d+[/.-]\d+[/.-]\d{4}\D{1,2}\d+:\d+:\d+(?:[.,]\d+)?(?: ?[AaPp][Mm])?)")


@dataclass
class _Column:
    """A place of lines, as --map has it, what it is called, and what it holds."""

    place: str
    names: frozenset[str]
    filled: int = 0
    values: Counter[str] = field(default_factory=Counter)

    def add(self, value: str) -> None:
        self.filled += 1
        if value in self.values or len(self.values) < _MOST:
            self.values[value] += 1

    def share(self, fits: Callable[[str], object]) -> float:
        """Return the share of lines whose value fits."""
        good = sum(many for value, many in self.values.items() if fits(value))
        return good / max(1, sum(self.values.values()))

    def of(self, pattern: str) -> float:
        return self.share(re.compile(pattern).fullmatch)


def candidates(lines: Sequence[str]) -> tuple[Candidate, ...]:
    """Return the places of lines that look like a field, best first for each field, one field a place."""
    columns = [c for c in _columns(lines) if c.filled * 10 >= len(lines)]
    scored = sorted(
        ((score, name, c) for c in columns for name, score in _scores(c) if score > 0),
        key=lambda found: (-found[0], found[1], -found[2].filled, found[2].place),
    )
    taken: set[str] = set()
    found: list[Candidate] = []
    for score, name, c in scored:
        if name in taken or any(one.place == c.place for one in found):
            continue
        taken.add(name)
        examples = tuple(value for value, _ in sorted(c.values.items(), key=lambda v: (-v[1], v[0]))[:_SHOWN])
        words = tuple(sorted(c.values)) if name == "outcome" else ()
        layout = layout_of(list(c.values)) if name == "time" else None
        found.append(Candidate(name, c.place, c.filled / len(lines), examples, score >= _SURE, _unknown(words), layout))
    order = list(_NAMES)
    return tuple(sorted(found, key=lambda one: order.index(one.field)))


_SURE = 2.0  # the name and the values speak for it


def proposal(found: Sequence[Candidate], known: Mapping[str, str]) -> tuple[str, ...]:
    """Return what to give to --map for the fields that are not known yet."""
    maps: list[str] = []
    for one in found:
        if one.field in known and one.field != "outcome":
            continue
        if one.field == "ms" and {"ms", "seconds", "duration"} & set(known):
            continue
        lasts = "duration" if one.field == "ms" and any(v[-1:].isalpha() for v in one.examples) else one.field
        maps.append(f"{lasts}:{one.layout}={one.place}" if one.layout else f"{lasts}={one.place}")
        maps += [f"outcome:{word}={GUESSES.get(word.lower(), 'hit')}" for word in one.words]
    return tuple(maps)


def _unknown(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word.lower() not in EDGE_WORDS and word.lower() not in FLAGS)


def _scores(c: _Column) -> Iterator[tuple[str, float]]:
    """Yield how well a column fits each field: above 2 by name and values, above 1 by one of them."""
    few = len(c.values) <= _FEW
    meant = c.share(lambda v: v.lower() in EDGE_WORDS or v.lower() in GUESSES or (_named(c, "outcome") and v in FLAGS))
    if few and meant > 0.9:
        yield "outcome", 1.2 + (1.5 if _named(c, "outcome") else 0) + (0.5 if _both(c) else 0) - (len(c.values) == 1)
        return
    if _timely(c) > 0.9 or layout_of(list(c.values)):
        yield "time", 1.5 + _named(c, "time")
        return
    pod = c.of(_POD) > 0.9
    levels = c.share(lambda v: v.lower() in _LEVELS)
    label, version, number = c.of(_LABEL), c.of(_VERSION), c.of(r"-?\d+(?:\.\d+)?")
    many = len(c.values) > max(20, c.filled // 20)
    if levels > 0.9:
        return
    if _named(c, "model") or (label > 0.9 and not many and number < 0.1):
        unlike = 1.5 * many + 0.6 * (pod or version > 0.9)
        yield "model", 1.5 * _named(c, "model") + label + (0.3 if 1 < len(c.values) <= 64 else 0) - unlike
    if not many and version > 0.9 and (_named(c, "version") or number > 0.9):
        yield "version", 1.5 * _named(c, "version") + (0.9 if len(c.values) <= 24 else 0.2)
    if ((_named(c, "replica") and label > 0.5) or pod) and not many:
        yield "replica", 1.5 * _named(c, "replica") + label
    again = sum(c.values.values()) / len(c.values) >= _AGAIN
    if _named(c, "key") and again and len(c.values) > 3:
        yield "key", 1.5 + (0.6 if many else 0)
    elif many and again and label > 0.9:
        yield "key", 1.1
    if c.of(r"\d+(?:\.\d+)?(?:ns|us|µs|ms|s)?") > 0.9 and (_named(c, "ms") or c.of(r".*ms") > 0.9):
        yield "ms", 2.1


def _named(c: _Column, name: str) -> bool:
    return bool(c.names & _NAMES[name])


def _both(c: _Column) -> bool:
    """Does a column hold words of hits and of misses?"""
    meant = {EDGE_WORDS.get(v.lower()) or GUESSES.get(v.lower()) or FLAGS.get(v.lower()) for v in c.values}
    return {"hit", "miss"} <= meant


def _timely(c: _Column) -> float:
    """Return the share of values that are times; small numbers are none."""
    texts = [v for v in c.values if len(v) >= 10][:20]
    if len(texts) < min(len(c.values), 20):
        return 0.0
    newest = pl.Series([None] * len(texts), dtype=pl.Datetime("us"))
    known = instants(pl.Series(texts, dtype=pl.String), newest, Zone("UTC"))["ts"]
    return known.count() / max(1, len(texts))


def _columns(lines: Sequence[str]) -> list[_Column]:
    found: dict[str, _Column] = {}
    texts: list[str] = []
    for line in lines:
        pieces = list(_of_object(line) if line[:1] == "{" else _of_pairs(line))
        if line[:1] != "{":
            texts.append(line)
        for place, name, value in pieces:
            if place not in found:
                found[place] = _Column(place, _parts(name))
            found[place].add(value)
    return [*found.values(), *_of_texts(texts)]


def _of_object(line: str) -> Iterator[tuple[str, str, str]]:
    try:
        root = json.loads(line, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return
    yield from _leaves(root, "$", "", 0)


def _leaves(value: object, place: str, name: str, depth: int) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict) and depth < _DEEP:
        for key, inner in value.items():
            step = f".{key}" if re.fullmatch(r"[^.\[\]\"'\s]+", key) else f'["{key}"]'
            if '"' not in key:
                yield from _leaves(inner, place + step, f"{name} {key}", depth + 1)
    elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):  # as jsonlines.py has it
        yield from _leaves(value[0], place, name, depth)
    elif isinstance(value, bool):
        yield place, name, "true" if value else "false"
    elif isinstance(value, str) and len(value) <= 200:
        yield place, name, value


def _of_pairs(line: str) -> Iterator[tuple[str, str, str]]:
    pairs = _PAIR.findall(line)
    if len(pairs) >= 2:
        for key, value in pairs:
            yield key, key, value.strip('"')


def _parts(name: str) -> frozenset[str]:
    """Return the words of a name; of a path the last key counts, and the one before it."""
    return frozenset(part.lower() for part in _PART.findall(" ".join(name.split()[-2:])))


def _of_texts(texts: Sequence[str]) -> list[_Column]:
    """Return the columns of the most frequent templates: lines with the same separators, behind what heads have."""
    if not texts:
        return []
    times = heads.cut(pl.Series(texts, dtype=pl.String))["time"].to_list()
    return [*_of_heads(texts), *_of_messages(texts, times)]


def _of_heads(texts: Sequence[str]) -> list[_Column]:
    """Return the column of the times that lines begin with, where these end in their year."""
    found = [_HEAD.match(text) for text in texts]
    column = _Column(f"/{_HEAD.pattern}/".replace("[/", "[\\/"), frozenset({"time"}))
    for match in found:
        if match:
            column.add(match[1])
    return [column] if column.filled else []


def _of_messages(texts: Sequence[str], times: Sequence[str | None]) -> list[_Column]:
    messages = [_dateless(_PAIR.sub(_CUT, _timeless(text, time))) for text, time in zip(texts, times, strict=True)]
    shapes = Counter(tuple(_WORD.split(m)) for m in messages)
    first, *others = sorted(shapes, key=lambda s: (-shapes[s], s))
    other = next((s for s in others if shapes[s] * 20 >= len(messages) and _common(first, s) > 2), None)
    if other is None:
        return _slots(first, [_WORD.findall(m) for m in messages if tuple(_WORD.split(m)) == first])
    return _of_two(first, other, [m for m in messages if tuple(_WORD.split(m)) in (first, other)])


def _timeless(text: str, time: str | None) -> str:
    """Return a line without the time that it begins with, which is known."""
    start = text.find(time.removesuffix("Z")) if time else -1
    return text[start + len(time) :] if time and 0 <= start < 3 else text


def _dateless(message: str) -> str:
    """Put a sign in the place of each date and each clock."""
    for sign, (pattern, _) in _DATES.items():
        message = re.sub(pattern, sign, message)
    return message


def layout_of(values: Sequence[str]) -> str | None:
    """Return how times that end in their year are written, as strftime has it; None where they are not."""
    found = [_ENDING_IN_YEAR.fullmatch(value.strip()) for value in values]
    told = [match for match in found if match]
    if not told or len(told) < len(found):
        return None
    _, sep, _, gap, point, digits, half = told[0].groups()
    month_first = any(int(match[3]) > 12 for match in told)
    day, month = ("%m", "%d") if month_first else ("%d", "%m")
    fraction = "" if not point else "%.f" if point == "." else f",%{len(digits)}f"
    clock = f"%I:%M:%S{fraction}{half[:-2]}%p" if half else f"%H:%M:%S{fraction}"
    return f"{day}{sep}{month}{sep}%Y{gap}{clock}"


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many separators two templates begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _of_two(one: Sequence[str], other: Sequence[str], messages: Sequence[str]) -> list[_Column]:
    """Return the columns where two templates begin alike, and the few texts in which they differ ("from store")."""
    same = _common(one, other)
    tail = min(_common(one[::-1], other[::-1]), len(one) - same, len(other) - same)
    rows = [_WORD.findall(m)[: same - 1] for m in messages]
    columns = _slots(one[:same], rows)
    if not tail:  # one goes on where the other ends: they differ in more than a text
        return columns
    spans = [[w.span() for w in _WORD.finditer(m)] for m in messages]
    texts = [m[s[same - 1][0] : s[len(s) - tail][1]] for m, s in zip(messages, spans, strict=True) if len(s) >= same]
    if len(set(texts)) <= _FEW:
        said = "|".join(re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(text)) for text in sorted(set(texts)))
        differing = _Column(f"/{_plain(one[same - 1])}({said})/", frozenset({"outcome"}))
        for text in texts:
            differing.add(text)
        columns.append(differing)
    return columns


def _slots(shape: Sequence[str], rows: Sequence[Sequence[str]]) -> list[_Column]:
    """Return the words that differ between the lines of a template, but for the values of pairs."""
    slots = [Counter(row[at] for row in rows) for at in range(len(shape) - 1)]
    columns: list[_Column] = []
    for at, values in enumerate(slots):
        before = slots[at - 1] if at else Counter[str]()
        if len(values) > 1 or _like_a_version(shape[at], values, before):
            place, names = _place(shape, slots, at)
            if re.escape(_CUT) in place or _CUT in place:
                continue
            one = _Column(f"/{place}/", names)
            for row in rows:
                one.add(row[at])
            columns.append(one)
    return columns


def _like_a_version(separator: str, values: Counter[str], before: Counter[str]) -> bool:
    """Is what all lines have a version: behind what is in a path, or behind a word that says so?"""
    called = len(before) == 1 and bool(_parts(next(iter(before))) & _NAMES["version"])
    return bool(re.fullmatch(_VERSION, next(iter(values)))) and (separator in ("/", ":", "@", "#") or called)


def _place(shape: Sequence[str], slots: Sequence[Counter[str]], at: int) -> tuple[str, frozenset[str]]:
    """Return an expression that finds a word by what stands before it, from the last word that all lines have."""
    first = at
    while first > 0 and len(slots[first - 1]) > 1:
        first -= 1
    start = re.escape(next(iter(slots[first - 1]))) if first else ""
    between = "".join(f"{_plain(shape[n])}[\\w.-]+" for n in range(first, at))
    name = next(iter(slots[at - 1])) if at and len(slots[at - 1]) == 1 else ""
    signs = {"at" for _ in "@" if shape[at].endswith("@")} | {
        "v" for _ in "#" if at and shape[at] in ("#", "@", ":", "/")
    }
    names = _parts(name) | signs
    return f"{start}{between}{_plain(shape[at])}([\\w.-]+)", names


def _plain(separator: str) -> str:
    """Return an expression of a separator; blanks may be more or fewer, and dates and clocks others."""
    plain = re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(separator))
    for sign, (_, again) in _DATES.items():
        plain = plain.replace(sign, again)
    return plain.replace("/", r"\/")
