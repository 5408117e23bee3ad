"""What users declare about logs of their own, checked and made what reading takes: maps, words and [[format]] tables.

A format of text is a dialect like those of cachelog/dialects; one of JSON is read by the scanner of JSON lines
(contract/own.py). Regular expressions are Rust's (docs.rs/regex): linear in the line, without look-around.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import ModuleType

import polars as pl

from cachelog.contract import heads, pairs
from cachelog.contract.errors import UsageError
from cachelog.contract.event import OPS
from cachelog.contract.own import MAPPED, MEANINGS, SAME, TELLING, Declared, Mapped, Own, Word
from cachelog.contract.wording import nearest

#: The dialect of lines that no other reads, and of which a map tells the outcome or the event.
NAME = "mapped"
FILE = "cachelog.toml"
_KEY = re.compile(r"[^.\[\]\s\"'=/]+(?:\.[^.\[\]\s\"'=/]+)*")
_STEP = r"""(?:\.([^.\[\]"'\s]+)|\["([^"]+)"\]|\['([^']+)'\])"""
_ELEMENT = re.compile(r"\[(?:\d+|\*)\]")
_GAP = r"(?:^|[\s,;(\[{<|])"


def maps(texts: Sequence[str]) -> Own:
    """Return what --map options say; raises UsageError.

    FIELD=$.a.b (or a.b) is a path of keys, FIELD=/regex/ an expression of which the first group counts, FIELD='"text"'
    a fixed text; FIELD:WORD=MEANING says what a word of an outcome or event means, time:LAYOUT=... how a time is
    written.
    """
    places: list[Mapped] = []
    words: list[Word] = []
    for text in texts:
        where = f"--map {text}"
        name, equals, value = text.partition("=")
        field, colon, word = name.partition(":")
        if not equals or not value or not name:
            raise UsageError(f"{where}: give FIELD=$.path, FIELD=/regex/ or FIELD:WORD=MEANING, as in version=$.mv")
        if colon and field == "time":
            places.append(replace(place(field, value, where), said=text, layout=layout(word, where)))
        elif colon:
            words.append(_word(field, word, value, where))
        else:
            places.append(replace(place(field, value, where), said=text))
    return Own(tuple(places), tuple(words))


def place(field: str, value: str, where: str) -> Mapped:
    """Return where a field is found; `where` begins the sentence of the UsageError about a bad one."""
    known_field(field, where)
    said = f"{field}={value}"
    if value[:1] == '"' and value[-1:] == '"' and len(value) > 2:
        return Mapped(field, said, fixed=value[1:-1])
    if len(value) > 2 and value[:1] == "/" == value[-1:]:
        expression(value[1:-1], where)
        return Mapped(field, said, regex=value[1:-1])
    return Mapped(field, said, path=_path(value, where))


def layout(text: str, where: str) -> str:
    """Return how times are written, as strftime has it (docs.rs/chrono: format::strftime); raises UsageError.

    What it writes of a time it must read again, to the minute: else a year or a month may be missing.
    """
    known = pl.Series([datetime(2026, 11, 24, 22, 5, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC"))
    try:
        written = known.dt.strftime(text)
        again = written.str.to_datetime(text, time_unit="us", strict=False).dt.replace_time_zone(None)
    except pl.exceptions.PolarsError:
        again = pl.Series([None], dtype=pl.Datetime("us"))
    if again[0] != known.dt.replace_time_zone(None)[0]:
        raise UsageError(f"{where}: {text!r} is no layout of a date and a time; give one like %d/%m/%Y %H:%M:%S")
    return text


def known_field(field: str, where: str) -> None:
    """Raise UsageError on what is no field."""
    if field not in MAPPED:
        raise UsageError(f"{where}: no field {field!r}{nearest(field, MAPPED)}; there are {', '.join(MAPPED)}")


def expression(regex: str, where: str) -> Mapping[str, int]:
    """Return the groups of an expression by name (or number); raises UsageError on a bad one, or on one without."""
    try:
        found = pl.select(pl.lit("").str.extract_groups(regex)).to_series()
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"{where}: {_complaint(str(error))}") from None
    names = [one.name for one in found.dtype.fields] if isinstance(found.dtype, pl.Struct) else []
    if not names:
        raise UsageError(f"{where}: the expression has no group ( ) around what counts")
    return {name: number for number, name in enumerate(names, 1)}


def _complaint(error: str) -> str:
    if "look-around" in error:
        return "look-ahead and look-behind are not supported, for lines are hostile: match what stands around instead"
    if "backreference" in error:
        return "back-references are not supported, for lines are hostile"
    if "size limit" in error:
        return "the expression is too big"
    last = [line.strip() for line in error.splitlines() if line.strip().startswith("error:")]
    return f"no regular expression: {last[-1].removeprefix('error:').strip() if last else error.strip()}"


def _path(value: str, where: str) -> str:
    if re.fullmatch(rf"\${_STEP}+", value):
        return ".".join(next(filter(None, step)) for step in re.findall(_STEP, value))
    if _KEY.fullmatch(value):
        return value
    hint = "elements of arrays cannot be mapped; " if _ELEMENT.search(value) else ""
    raise UsageError(f"{where}: {hint}give keys of objects as in $.a.b, or an expression between slashes")


def _word(field: str, word: str, means: str, where: str) -> Word:
    plain = SAME.get(field, field)
    if plain not in TELLING or not word:
        raise UsageError(f"{where}: only words of outcome and event have meanings, as in outcome:WARM=hit")
    known = MEANINGS if plain == "outcome" else tuple(op for op in OPS if op not in ("lookup", "sample"))
    if means not in known:
        raise UsageError(f"{where}: no meaning {means!r}{nearest(means, known)}; there are {', '.join(known)}")
    return Word(plain, word.strip().lower(), means)


def mapped(own: Own) -> ModuleType | None:
    """Return the dialect of lines that no other reads but a map tells of; None where no map tells what happened."""
    patterns = [_sign(one) for one in own.maps if SAME.get(one.field, one.field) in TELLING and one.fixed is None]
    if not patterns:
        return None
    module = _module(NAME, "Lines that no other dialect reads, and of which --map tells the outcome or the event.")
    module.LAST_RESORT = True  # type: ignore[attr-defined]
    module.claim = lambda text: pl.any_horizontal(text.str.contains(p) for p in patterns)  # type: ignore[attr-defined]
    module.parse = _read  # type: ignore[attr-defined]
    return module


def _sign(one: Mapped) -> str:
    return one.regex if one.regex else f"{_GAP}{re.escape(one.path or '')}="


def _read(lines: pl.DataFrame) -> pl.DataFrame:
    """Read the head of a line, and its pairs."""
    cut = heads.cut(lines["text"])
    fields = pairs.canonical(pairs.read(cut["message"]))
    time = [pl.col("time"), pl.col("_head")] if "time" in fields.columns else [pl.col("_head")]
    rows = lines.select("row").hstack(fields).hstack([cut["time"].alias("_head")])
    return rows.with_columns(time=pl.coalesce(time)).drop("_head", "message", strict=False)


def _module(name: str, about: str) -> ModuleType:
    module = ModuleType(name, about)
    module.__dict__.update(NAME=name, SAMPLES=(), BLIND=None, SOURCE="the command line")
    return module


# ---- [[format]]

_KEYS = ("name", "about", "regex", "paths", "needs", "fixed", "words", "layout", "samples")


@dataclass(frozen=True)
class Sample:
    """A line of a format, and what it should say: fields of an event."""

    line: str
    says: Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """A [[format]] as declared: `source` is the file, `module` its dialect."""

    name: str
    source: str
    module: ModuleType
    declared: Declared
    samples: tuple[Sample, ...]


def formats(tables: object, source: str, taken: Mapping[str, object]) -> tuple[Format, ...]:
    """Return the formats of a configuration; `taken` are the names of built-in ones. Raises UsageError."""
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise UsageError(f"{source}: format: write [[format]], with two brackets")
    found: list[Format] = []
    for number, table in enumerate(tables, 1):
        one = _format(table, number, source)
        if one.name in taken or any(other.name == one.name for other in found):
            raise UsageError(f"{source}: format.name: {one.name!r} is taken; give another name")
        found.append(one)
    return tuple(found)


def _format(table: Mapping[str, object], number: int, source: str) -> Format:
    name = table.get("name")
    where = f"{source}: format {name if isinstance(name, str) else number}"
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"{where}: no key {key!r}{nearest(key, _KEYS)}; there are {', '.join(_KEYS)}")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", name):
        raise UsageError(f"{where}: name: give one of small letters, digits, - and _")
    if ("regex" in table) == ("paths" in table):
        raise UsageError(f"{where}: give either regex (lines of text) or paths (JSON objects)")
    fixed = [place(f, f'"{v}"', f"{where}: fixed.{f}") for f, v in _texts(table, "fixed", where).items()]
    words = tuple(_words(table, where))
    samples = tuple(_samples(table, where))
    module = _module(name, str(table.get("about", f"Lines of {name}.")))
    given = (table.get("regex"), table.get("paths"), table.get("needs"), fixed, words)
    identity = repr((*given, table["layout"]) if "layout" in table else given)
    module.__dict__.update(SOURCE=source, SAMPLES=tuple(s.line for s in samples), IDENTITY=identity)
    if "paths" in table:
        objects = _objects(table, name, tuple(fixed), words, where)
        module.__dict__.update(claim=_none, parse=lambda lines: lines.select("row").clear())
        return Format(name, source, module, _laid_out(objects, table, where), samples)
    regex, groups = _regex(table, where)
    found = tuple(Mapped(field, f"{name}: {field}") for field in groups)
    declared = Declared(name, (*found, *fixed), words=words)
    module.__dict__.update(claim=lambda text: text.str.contains(regex), parse=_parser(regex, groups, declared))
    return Format(name, source, module, _laid_out(declared, table, where), samples)


def _laid_out(form: Declared, table: Mapping[str, object], where: str) -> Declared:
    """Say how the time of a format is written, where its table says so."""
    if "layout" not in table:
        return form
    text = table["layout"]
    if not isinstance(text, str) or not any(one.field == "time" for one in form.maps):
        raise UsageError(f"{where}: layout: give a text like %d/%m/%Y %H:%M:%S, for a format that has a time")
    how = layout(text, f"{where}: layout")
    return replace(form, maps=tuple(replace(one, layout=how) if one.field == "time" else one for one in form.maps))


def _none(text: pl.Expr) -> pl.Expr:
    """Claim no text: the scanner of JSON lines knows the format."""
    return text.is_null() & text.is_not_null()


def _objects(
    table: Mapping[str, object], name: str, fixed: tuple[Mapped, ...], words: tuple[Word, ...], where: str
) -> Declared:
    given = _texts(table, "paths", where)
    found: list[Mapped] = []
    for field, path in given.items():
        one = place(field, path, f"{where}: paths.{field}")
        if one.path is None:
            raise UsageError(f"{where}: paths.{field}: give keys of objects as in $.a.b; fixed texts go into fixed")
        found.append(replace(one, said=f"{name}: {field}"))
    telling = [at for at, one in enumerate(found) if SAME.get(one.field, one.field) in TELLING]
    needs = telling or list(range(len(found)))
    if "needs" in table:
        asked = table["needs"]
        if not isinstance(asked, list) or not asked or not set(map(str, asked)) <= set(given):
            raise UsageError(f'{where}: needs: give a list of fields that paths has, as in ["outcome"]')
        needs = [at for at, one in enumerate(found) if one.field in asked]
    if not found:
        raise UsageError(f'{where}: paths: name at least one field, as in outcome = "$.result"')
    return Declared(name, (*found, *fixed), tuple(needs), words)


def _regex(table: Mapping[str, object], where: str) -> tuple[str, Mapping[str, int]]:
    regex = table["regex"]
    if not isinstance(regex, str):
        raise UsageError(f"{where}: regex: give a text, best between ''' and '''")
    groups = expression(regex, f"{where}: regex")
    named = {name: number for name, number in groups.items() if not name.isdigit()}
    for name in named:
        known_field(name, f"{where}: regex: group {name}")
    if not named:
        raise UsageError(f"{where}: regex: name the groups after fields, as in (?<model>[a-z]+)")
    return regex, named


def _parser(regex: str, groups: Mapping[str, int], form: Declared) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return what reads lines into the columns of the format's maps; ingest/mapping.py puts them in their place."""

    def parse(lines: pl.DataFrame) -> pl.DataFrame:
        found = lines["text"].str.extract_groups(regex).struct.unnest()
        columns = [found.to_series(number - 1).alias(form.column(at)) for at, number in enumerate(groups.values())]
        return lines.select("row", pl.lit(True).alias(form.mark)).hstack(columns)

    return parse


def _texts(table: Mapping[str, object], key: str, where: str) -> dict[str, str]:
    """Return a table of texts; numbers and booleans are texts as written."""
    given = table.get(key, {})
    if not isinstance(given, dict):
        raise UsageError(f'{where}: {key}: give a table, as in {key} = {{ model = "..." }}')
    for name, value in given.items():
        if not isinstance(value, str | int | float | bool):
            raise UsageError(f"{where}: {key}.{name}: give a text")
    return {str(name): str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


def _words(table: Mapping[str, object], where: str) -> Iterator[Word]:
    """Yield the words of outcomes, and those of events under `event`."""
    given = table.get("words", {})
    if not isinstance(given, dict):
        raise UsageError(f'{where}: words: give a table, as in words = {{ WARM = "hit" }}')
    for word, means in given.items():
        field, colon, text = str(word).rpartition(":")
        yield _word(field if colon else "outcome", text, str(means), f"{where}: words.{word}")


def _samples(table: Mapping[str, object], where: str) -> Iterator[Sample]:
    given = table.get("samples", [])
    if not isinstance(given, list):
        raise UsageError(f"{where}: samples: write [[format.samples]] with line and says")
    for number, one in enumerate(given, 1):
        here = f"{where}: samples {number}"
        if not isinstance(one, dict) or not isinstance(one.get("line"), str) or set(one) - {"line", "says"}:
            raise UsageError(f"{here}: give line (a text) and says (a table), nothing else")
        says = _texts(one, "says", here)
        for field in says:
            if field not in SAID:
                raise UsageError(
                    f"{here}: says.{field}: no such column{nearest(field, SAID)}; there are {', '.join(SAID)}"
                )
        yield Sample(one["line"], says)


#: What a sample may say: columns of an event, and `quiet = true` for a line that is none.
SAID = ("op", "outcome", "model", "version", "replica", "cache", "digest", "reason", "seconds", "time", "quiet")
