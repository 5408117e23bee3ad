"""key=value pairs in text, read by layout: lines of one layout are matched by one regular expression.

Most lines of a log share few sequences of keys. They are learnt from a sample, each becomes one anchored expression
in which every byte decides (so the regex engine takes its fast path), and what fits none is cut into tokens one by
one. Both ways give the same: quoted values with escapes, the last of duplicate keys, `key=` and `key=""` as null.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from cachelog.contract import own
from cachelog.contract.fields import ALIASES, EDGE_ALIASES, INTO
from cachelog.contract.quoting import unescape

#: What a key looks like, and a value: quoted (perhaps followed by punctuation), bare, or nothing.
KEY = r"[A-Za-z_@$][A-Za-z0-9_.@$/-]*"
VALUE = r"""(?:"(?:[^"\\]|\\.)*"[,;)\]}>]*|'[^']*'[,;)\]}>]*|[^ \t"'][^ \t]*|)"""

_OPENERS = r"[(\[{<]*"
_ALPHA = r"[A-Za-z_]+"
# a word with something else than letters in it, and not KEY=...: whatever it is, it hides no pair
_ODD = r"[0-9.@$/-][A-Za-z0-9_.@$/-]*(?:[^A-Za-z0-9_.@$/= \t-][^ \t]*)?"
_MIXED = rf"(?:[A-Za-z_]+(?:{_ODD}|[^A-Za-z0-9_.@$/= \t-][^ \t]*)|{_ODD}|[^A-Za-z0-9_.@$/= \t(\[{{<-][^ \t]*)"
_DOUBLE = r"""\"((?:[^\"\\]|\\.)*)\"[,;)\]}>]*"""
_SINGLE = r"""'([^']*)'[,;)\]}>]*"""
_BARE = r"""([^ \t"',;)\]}>][^ \t,;)\]}>]*)"""
_MESSY = r"""([^ \t"'][^ \t]*)"""  # may end in punctuation that is not part of the value
_SPOKEN = "words"  # a value that goes on over the words after it
_TOKEN = re.compile(
    rf"(?P<open>{_OPENERS})(?:(?P<key>{KEY})=(?P<value>{VALUE})|(?P<mixed>{_MIXED})|(?P<alpha>{_ALPHA}))(?=[ \t]|$)"
)
_GAP = re.compile(r"[ \t]+")
# for lines that fit no layout: an open quote runs to the end of the line
_LOOSE_VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'[^']*'|[^ \t"'][^ \t]*|)"""
_LOOSE = rf"{_OPENERS}{KEY}={_LOOSE_VALUE}[^ \t]*|[^ \t]+"
_LOOSE_PAIR = rf"(?s)^{_OPENERS}({KEY})=(.*)$"

_AT = " at"  # a column: where a line stands among the others; no key has a blank
_SAMPLED = 128  # lines looked at to learn layouts
_ROUNDS = 6
_RARE = 64  # fewer lines than this are not worth a layout
_LAYOUTS = 24  # learnt in one round


@dataclass(frozen=True)
class Wanted:
    """Which keys to return, and which bare words stand for a key that is true."""

    keys: frozenset[str]
    flags: frozenset[str] = frozenset()
    prose: frozenset[str] = frozenset()  # keys whose unquoted value goes on over the bare words after it


@dataclass(frozen=True)
class _Layout:
    pattern: str
    names: tuple[str, ...]  # of the groups
    kinds: tuple[str, ...]  # how the values of the names are written: _DOUBLE, _SINGLE, _BARE, _MESSY or _SPOKEN
    flags: tuple[str, ...]


#: All names of contract/fields.py; `edge` is the status of an HTTP cache, which no other outcome may shadow.
FIELDS: Mapping[str, tuple[str, ...]] = {
    **{field: tuple(name for name in names if INTO not in name) for field, names in ALIASES.items()},
    "outcome": tuple(a for a in ALIASES["outcome"] if a not in EDGE_ALIASES and INTO not in a),
    "edge": EDGE_ALIASES,
}
ALL = Wanted(
    keys=frozenset(alias for names in FIELDS.values() for alias in names),
    flags=frozenset(FIELDS["hit"]),
    prose=frozenset(FIELDS["message"]),
)


def fields() -> Mapping[str, tuple[str, ...]]:
    """Return FIELDS, and the columns of what the user said (contract/own.py)."""
    return {**FIELDS, **mine} if (mine := own.current().aliases) else FIELDS


def every(wanted: Wanted = ALL) -> Wanted:
    """Return what is wanted, and the keys that the user named."""
    mine = own.current().aliases
    return replace(wanted, keys=wanted.keys.union(*mine.values())) if mine else wanted


#: Layouts that lines had before, the latest first: logs keep theirs. They only save the time of learning them again.
_known: dict[Wanted, tuple[_Layout, ...]] = {}


def read(text: pl.Series, wanted: Wanted = ALL) -> pl.DataFrame:
    """Return one row a text, one String column a wanted key (or the user's) that occurs; an empty value is null."""
    wanted = every(wanted)
    rest = text.alias("text").to_frame().with_row_index(_AT)
    known = _known.get(wanted, ())
    rest, parts, used = _matched(rest, known)
    for _ in range(_ROUNDS):
        if (before := rest.height) < _RARE:
            break
        rest, found, learnt = _matched(rest, _learn(rest["text"], wanted))
        parts, used = parts + found, learnt + used
        if before - rest.height < _RARE:
            break
    _known[wanted] = tuple(dict.fromkeys([*used, *known]))[:_LAYOUTS]
    parts.append(_tokenised(rest, wanted))
    whole = pl.concat([part for part in parts if part.height] or parts[-1:], how="diagonal")
    ordered = whole if whole[_AT].is_sorted() else whole.sort(_AT)
    return ordered.drop(_AT)


def _matched(rest: pl.DataFrame, layouts: Iterable[_Layout]) -> tuple[pl.DataFrame, list[pl.DataFrame], list[_Layout]]:
    """Return the lines that have none of the layouts, what the others say, and the layouts that were of use."""
    parts: list[pl.DataFrame] = []
    used: list[_Layout] = []
    for layout in layouts:
        if rest.height < _RARE:
            break
        found, rest = _match(rest, layout)
        if found.height:
            parts.append(found)
            used.append(layout)
    return rest, parts, used


def canonical(found: pl.DataFrame) -> pl.DataFrame:
    """Turn columns named by aliases into PARSED columns, the best alias that a line has first."""
    columns = {field: [pl.col(a) for a in names if a in found.columns] for field, names in fields().items()}
    frame = found.select(pl.coalesce(values).alias(field) for field, values in columns.items() if values)
    if "edge" in frame.columns:
        edge = pl.col("edge").is_not_null()
        others = {n: pl.col(n) if n in frame.columns else pl.lit(None, pl.String) for n in ("outcome", "cache")}
        frame = frame.with_columns(
            outcome=pl.coalesce("edge", others["outcome"]),
            cache=pl.when(edge).then(pl.lit("edge")).otherwise(others["cache"]),
        ).drop("edge")
    tallies = {name: pl.Float64() for name in ("hits", "misses", "lookups")}
    numbers = {"seconds": pl.Float64(), "n": pl.UInt32(), **tallies}
    return frame.with_columns(pl.col(n).cast(t, strict=False) for n, t in numbers.items() if n in frame.columns)


def _learn(text: pl.Series, wanted: Wanted) -> Iterator[_Layout]:
    """Yield the layouts of a sample, most frequent first; a layout seen once counts only while nothing repeats."""
    step = max(1, len(text) // _SAMPLED)
    counts = Counter(layout for line in text.gather_every(step).to_list() if (layout := _layout(line, wanted)))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0].pattern))
    yield from (layout for layout, seen in ranked[:_LAYOUTS] if seen > 1 or len(ranked) <= _LAYOUTS)


def _tokens(line: str) -> list[re.Match[str]] | None:
    """Cut a line at blanks outside quotes; None where a token is neither pair nor word."""
    tokens: list[re.Match[str]] = []
    at = gap.end() if (gap := _GAP.match(line)) else 0
    while at < len(line):
        token = _TOKEN.match(line, at)
        if token is None:
            return None
        tokens.append(token)
        gap = _GAP.match(line, token.end())
        at = gap.end() if gap else token.end()
    return tokens


def _layout(line: str | None, wanted: Wanted) -> _Layout | None:
    """Return the layout of a line: its keys in order, which of their values are quoted, and its plain words."""
    tokens = _tokens(line) if line else None
    if not tokens:
        return None
    last = {token["key"]: i for i, token in enumerate(tokens) if token["key"] in wanted.keys}
    spoken = _spoken(tokens, last, wanted)
    parts: list[str] = []
    for i, token in enumerate(tokens):
        captured = last.get(token["key"]) == i and bool(token["value"])
        part = _part(token, captured, wanted)
        if i + 1 in spoken and i not in spoken:
            part = part.removesuffix(")")
        if i in spoken and i + 1 not in spoken:
            part += ")"
        parts.append(part)
    names = tuple(t["key"] for i, t in enumerate(tokens) if last.get(t["key"]) == i and t["value"])
    kinds = tuple(_SPOKEN if last[name] + 1 in spoken else _kind(tokens[last[name]]["value"]) for name in names)
    silent = _spoken(tokens, None, wanted)
    words = (t["alpha"] for i, t in enumerate(tokens) if i not in silent)
    flags = tuple(sorted({word for word in words if word in wanted.flags and word not in last}))
    return _Layout("(?s)^[ \t]*" + "[ \t]+".join(parts) + "[ \t]*$", names, kinds, flags)


def _spoken(tokens: Sequence[re.Match[str]], last: Mapping[str, int] | None, wanted: Wanted) -> frozenset[int]:
    """Return the positions of the bare words that continue an unquoted message: hit in `msg=cache hit model=x`.

    Of equal keys the last counts; None for `last` means all.
    """
    found: set[int] = set()
    open_message = False
    for i, token in enumerate(tokens):
        if token["key"]:
            counts = token["key"] in wanted.prose and (last is None or last.get(token["key"]) == i)
            open_message = counts and token["value"][:1] not in ("", '"', "'")
        elif open_message:
            found.add(i)
    return frozenset(found)


def _part(token: re.Match[str], captured: bool, wanted: Wanted) -> str:
    """Return the expression of one token; every alternative begins with another byte, so nothing backtracks."""
    start = re.escape(token["open"])
    if not token["key"]:
        return start + (re.escape(token["alpha"]) if token["alpha"] else _MIXED)
    start += re.escape(token["key"]) + "="
    if captured:
        return start + _kind(token["value"])
    return start + (VALUE if token["value"] or token["key"] not in wanted.keys else "")


def _kind(value: str) -> str:
    if value[0] in "\"'":
        return _DOUBLE if value[0] == '"' else _SINGLE
    return _BARE if re.fullmatch(_BARE, value) else _MESSY


def _match(rest: pl.DataFrame, layout: _Layout) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (at, keys of the layout) of the lines that have it, and the other lines."""
    groups = rest["text"].str.extract_groups(layout.pattern).struct.unnest() if layout.names else None
    mine = groups[:, 0].is_not_null() if groups is not None else rest["text"].str.contains(layout.pattern)
    whole = bool(mine.all())
    taken = rest if whole else rest.filter(mine)
    found = taken.select(_AT)
    if groups is not None:
        groups.columns = list(layout.names)
        columns = (groups if whole else groups.filter(mine)).get_columns()
        found = found.hstack([_finished(column, kind) for column, kind in zip(columns, layout.kinds, strict=True)])
    missing = [flag for flag in layout.flags if flag not in found.columns]
    left = rest.clear() if whole else rest.filter(~mine.fill_null(False))
    return found.with_columns(pl.lit("true").alias(flag) for flag in missing), left


def _finished(value: pl.Series, kind: str) -> pl.Series:
    if kind == _BARE:
        return value
    if kind == _SPOKEN:
        return _null_if_empty(_trimmed(value.str.replace_all("[ \t]+", " ")))
    return _null_if_empty(_trimmed(value) if kind == _MESSY else unescape(value) if kind == _DOUBLE else value)


def _value(raw: pl.Series) -> pl.Series:
    """Take quotes and the punctuation behind the value off."""
    value = _trimmed(raw)
    quoted = value.str.starts_with('"').fill_null(False)
    if quoted.any():
        inner = value.str.strip_prefix('"').str.strip_suffix('"')
        value = unescape(inner) if quoted.all() else _chosen(quoted, unescape(inner), value)
    single = value.str.starts_with("'") & value.str.ends_with("'") & (value.str.len_bytes() > 1) & ~quoted
    if single.any():
        value = _chosen(single, value.str.slice(1).str.strip_suffix("'"), value)
    return _null_if_empty(value)


def _null_if_empty(value: pl.Series) -> pl.Series:
    empty = value == ""
    return value.set(empty, None) if empty.any() else value


def _trimmed(raw: pl.Series) -> pl.Series:
    """Drop , and ; at the end of a value, and closing brackets that it did not open."""
    plain = raw.str.strip_chars_end(",;")
    nested = raw.str.contains(r"[(\[{<]").fill_null(False) & ~raw.str.contains(r"""^["']""").fill_null(False)
    return _chosen(nested, plain, raw.str.strip_chars_end(",;)]}>"))


def _chosen(when: pl.Series, then: pl.Series, other: pl.Series) -> pl.Series:
    return then.zip_with(when.fill_null(False), other).alias(then.name)


def _tokenised(rest: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Read lines token by token: slower, but of any layout, and with unbalanced quotes."""
    tokens = (
        rest.select(_AT, token=pl.col("text").fill_null("").str.extract_all(_LOOSE))
        .explode("token", empty_as_null=True)
        .with_columns(
            key=pl.col("token").str.extract(_LOOSE_PAIR, 1),
            raw=pl.col("token").str.extract(_LOOSE_PAIR, 2),
        )
    )
    tokens = _with_prose(tokens, wanted)
    flag = pl.col("key").is_null() & ~pl.col("in_prose") & pl.col("token").is_in(sorted(wanted.flags))
    pairs = tokens.select(
        _AT,
        key=pl.when(flag).then(pl.col("token")).otherwise(pl.col("key")),
        raw=pl.when(flag).then(pl.lit("true")).otherwise(pl.col("raw")),
        flag=flag,
    ).filter(pl.col("key").is_in(sorted(wanted.keys | wanted.flags)))
    pairs = pairs.sort(~pl.col("flag"), maintain_order=True)  # the last counts, and a pair before a bare word
    value = _value(pairs["raw"])
    return _wide(rest.select(_AT), pairs.with_columns(value=value))


def _with_prose(tokens: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Append the bare words after `msg=cache` in `msg=cache hit model=...` to its value."""
    starts = pl.col("key").is_not_null()
    run = tokens.with_columns(run=starts.cum_sum().over(_AT))
    loose = pl.col("key").is_in(sorted(wanted.prose)) & ~pl.col("raw").str.contains(r"""^(?:["']|$)""")
    head = run.with_columns(in_prose=loose.first().over(_AT, "run").fill_null(False) & ~starts)
    if not head["in_prose"].any():
        return head
    words = pl.col("token").filter("in_prose").str.join(" ")
    joined = head.group_by(_AT, "run").agg(words=words)
    spoken = pl.when(starts & (pl.col("words") != "")).then(pl.col("raw") + " " + pl.col("words"))
    return head.join(joined, on=[_AT, "run"], how="left", maintain_order="left").with_columns(
        raw=spoken.otherwise(pl.col("raw"))
    )


def _wide(rows: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    names: Sequence[str] = sorted(pairs["key"].unique().to_list())
    last: Iterable[pl.Expr] = (pl.col("value").filter(pl.col("key") == name).last().alias(name) for name in names)
    wide = pairs.group_by(_AT).agg(last)
    return rows.join(wide, on=_AT, how="left", maintain_order="left") if names else rows
