"""Whose line is it? One unit of bytes to events: unwrap envelopes, then each line goes to the dialect that claims it.

JSON lines are scanned as bytes in one go; everything else becomes a column of text. Claims are by line, not by
file, so mixed files need no special care.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.dialect import PARSED
from cachelog.contract.event import EVENT
from cachelog.contract.events import ROWS
from cachelog.dialects import json_app
from cachelog.ingest import json_scan, sorting, texts
from cachelog.ingest.conform import CONFORMED, Meanings, Vocabulary, conform
from cachelog.ingest.ledger import BAD, EVENTS, QUIET, Rows, UnitBooks
from cachelog.ingest.lines import Unit
from cachelog.ingest.place import Inputs, place
from cachelog.ingest.said import Said, grouped
from cachelog.ingest.unwrap import AROUND, DEPTH, innermost, unwrap

#: Messages that may be lines of their own: a time, a level, a bracket or a pair at the beginning, or telling pairs.
_RECORD = r"^\s*(?:[\[(<{]|\d{2,4}|[A-Z]+\d* |[a-z_]+=)|\b(?:model|model_name|modelName|cache|cache_status)="


@dataclass(frozen=True)
class Reader:
    """How to read: the dialects and envelopes by name, and facts about each input."""

    dialects: Mapping[str, ModuleType]
    envelopes: Mapping[str, ModuleType]
    inputs: Inputs
    meanings: Meanings = field(default_factory=Meanings)


@dataclass(frozen=True)
class _Reading:
    """What reading a unit gathers: parsed lines by dialect, and what envelopes said, outermost first."""

    reader: Reader
    books: Rows
    parts: list[Said]
    around: list[pl.DataFrame]


@dataclass(frozen=True)
class UnitRead:
    """A unit read: its events, and its books.

    `bulk` are ROWS with the vocabulary of their `said`; `rare` (EVENT) are all other events. `late` is the time of the
    last event of the last input; `untimed`: events before the first that has a time have none.
    """

    bulk: tuple[tuple[pl.DataFrame, Vocabulary], ...]
    rare: pl.DataFrame
    late: datetime | None
    untimed: bool
    books: UnitBooks


def read_unit(unit: Unit, reader: Reader) -> UnitRead:
    """Read a unit."""
    source, line = unit.sources(), unit.lines()
    reading = _Reading(reader, Rows.of(source), [], [])
    newest = pl.Series(reader.inputs.newest, dtype=pl.Datetime("us")).gather(source)
    _read(unit.data, reading)
    said = [part for part in reading.parts if part.rows.height]
    zone, meanings = reader.inputs.zone, reader.meanings
    found = [pair for part in said for pair in conform(part, newest.gather(part.rows["row"]), zone, meanings)]
    events = pl.concat([pl.DataFrame(schema=CONFORMED), *(rows for rows, _ in found)])
    reading.books.state[events["row"].to_numpy()] = EVENTS
    placed, assumed = place(events, innermost(reading.around), source, line, reader.inputs)
    timed = _timed(placed)
    parts = zip(_cut(timed, [rows.height for rows, _ in found]), [words for _, words in found], strict=True)
    bulk, rare = _split(parts)
    mine = timed.filter(pl.col("source") == source[-1])
    late = mine.sort("row")["ts"][-1] if mine.height else None
    return UnitRead(bulk, rare, late, bool(timed["ts"].null_count()), reading.books.closed(assumed))


def _timed(placed: pl.DataFrame) -> pl.DataFrame:
    """An event whose line has no time gets that of the event before it in its file; the books say how many."""
    if not placed["ts"].null_count():
        return placed
    known = placed.select("row", "source", "ts", at=pl.int_range(pl.len())).sort("row", maintain_order=True)
    filled = known.with_columns(pl.col("ts").forward_fill().over("source")).sort("at")
    return placed.with_columns(filled["ts"])


def _cut(rows: pl.DataFrame, heights: Sequence[int]) -> Iterator[pl.DataFrame]:
    start = 0
    for height in heights:
        yield rows.slice(start, height)
        start += height


def _split(
    parts: Iterable[tuple[pl.DataFrame, Vocabulary]],
) -> tuple[tuple[tuple[pl.DataFrame, Vocabulary], ...], pl.DataFrame]:
    """Keep apart what comes by the million and what does not."""
    bulk: list[tuple[pl.DataFrame, Vocabulary]] = []
    rare = [pl.DataFrame(schema=EVENT)]
    for rows, words in parts:
        many = words.bulk[rows["said"].to_numpy()]
        if not many.all():
            few = rows.filter(pl.Series(~many))
            rare.append(few.drop("op").hstack(words.table[few["said"]]).select(list(EVENT)))
        mine = rows.select(list(ROWS))
        bulk.append((mine if many.all() else mine.filter(pl.Series(many)), words))
    return tuple(bulk), pl.concat(rare)


def _read(data: memoryview, reading: _Reading) -> None:
    """Scan JSON lines as bytes, unless an envelope may be around them that is JSON itself; the others are texts."""
    objects = bytes(data[:1]) == b"{" or json_scan.holds(data, b"\n{")
    marks = [module.MARK for module in reading.reader.envelopes.values() if hasattr(module, "MARK")]
    if not objects or any(json_scan.holds(data, mark) for mark in marks):
        return _read_block(data, None, reading)
    scanned = json_scan.scan(data)
    _note_json(scanned, reading, DEPTH)
    if len(scanned.bad):
        _read_braced(texts.decoded(bytes(data), scanned.bad)[0], reading)
    if len(scanned.other):
        _read_block(data, scanned.other, reading)


def _note_json(scanned: json_scan.Scanned, reading: _Reading, depth: int) -> None:
    """Enter scanned lines into the books; an object whose message is itself a log line is read as that line."""
    code = list(reading.reader.dialects).index(json_app.NAME)
    reading.books.claim(scanned.said.rows["row"].to_numpy(), code)
    reading.books.claim(scanned.bad, code, BAD)
    reading.books.state[scanned.blank] = QUIET
    said = _read_known(scanned.said, reading)
    wrapping = _wraps(said.words) if depth > 0 else None
    if wrapping is None or not wrapping.any():
        reading.parts.append(said)
        return
    outer = said.where(said.of(wrapping))
    messages = outer.rows.with_columns(message=outer.of(said.words["message"]))
    inner = _read_messages(messages, reading, depth - 1)
    reading.parts.append(said.where(~said.rows["row"].is_in(inner.implode())))


def _read_known(said: Said, reading: _Reading) -> Said:
    """Read what loggers say that a dialect knows (its ORIGIN) as lines of that dialect; return the other objects."""
    for code, dialect in enumerate(reading.reader.dialects.values()):
        if not hasattr(dialect, "ORIGIN") or not {"origin"} & set(said.rows.columns) or "message" not in said.words:
            continue
        known = _from(said.rows["origin"], dialect.ORIGIN)
        if not known.any():
            continue
        mine = said.where(known)
        lines = _headed(mine).drop_nulls()
        left = _offered(lines, code, dialect, reading)["row"]
        read = lines["row"].filter(~lines["row"].is_in(left.implode()))
        reading.around.append(_around(mine.rows.filter(pl.col("row").is_in(read.implode()))))
        said = said.where(~said.rows["row"].is_in(read.implode()))
    return said


def _from(origin: pl.Series, pattern: str) -> pl.Series:
    """Return where the name of a logger matches; there are few distinct ones."""
    names = origin.cast(pl.String).unique().drop_nulls()
    return origin.cast(pl.String).is_in(names.filter(names.str.contains(pattern)).implode()).fill_null(False)


def _headed(said: Said) -> pl.DataFrame:
    """Return LINES of what a known logger says: thread and logger before the message, as in `a b.C - message`."""
    rows = said.rows.with_columns(message=said.of(said.words["message"]).cast(pl.String))
    thread = pl.col("context").cast(pl.String) + " " if "context" in rows.columns else pl.lit(None, pl.String)
    head = pl.concat_str(thread.fill_null(""), pl.col("origin").cast(pl.String), pl.lit(" - "))
    return rows.select("row", text=pl.concat_str(head, "message"))


def _wraps(words: pl.DataFrame) -> pl.Series | None:
    """Return which words are nothing but a message that may be a line of its own; None for none."""
    if "message" not in words.columns:
        return None
    others = [name for name in ("model", "outcome", "hit", "event", "op") if name in words.columns]
    record = pl.col("message").str.contains(_RECORD)
    alone = pl.all_horizontal(record, *(pl.col(name).is_null() for name in others))
    return words.select(alone.fill_null(False)).to_series()


def _read_messages(outer: pl.DataFrame, reading: _Reading, depth: int) -> pl.Series:
    """Read messages as lines with what the object around them says of time and replica; return the rows claimed."""
    lines, books = outer.select("row", text=pl.col("message").cast(pl.String)), reading.books
    rows, place = lines["row"].to_numpy(), len(reading.around)
    state, format_ = books.state[rows].copy(), books.format[rows].copy()
    books.format[rows] = -1
    _read_texts(lines, reading, depth)
    claimed = (books.format[rows] >= 0) & (books.state[rows] != BAD)
    books.format[rows[~claimed]] = format_[~claimed]
    books.state[rows[~claimed]] = state[~claimed]
    reading.around.insert(place, _around(outer.filter(pl.Series(claimed))))
    return pl.Series("row", rows[claimed], pl.UInt32)


def _around(outer: pl.DataFrame) -> pl.DataFrame:
    """What the objects around messages say, as an envelope does."""
    said = {
        n: pl.col(n).cast(pl.String) if n in outer.columns else pl.lit(None, pl.String) for n in ("time", "replica")
    }
    iso = pl.col("ts").dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ") if "ts" in outer.columns else pl.lit(None, pl.String)
    return outer.select("row", env_time=pl.coalesce(said["time"], iso), env_replica=said["replica"]).cast(AROUND)


def _read_block(data: memoryview, rows: npt.NDArray[np.uint32] | None, reading: _Reading) -> None:
    """Read lines of bytes (all, or the given rows) that are no objects of JSON; undecodable ones are bad."""
    books = reading.books
    sorter = sorting.sorter(reading.reader.dialects, reading.reader.envelopes)
    if sorter is None:
        lines, bad = texts.decoded(bytes(data), rows)
        books.state[bad] = BAD
        return _read_texts(lines, reading, DEPTH)
    found = sorter.block(data, rows)
    books.state[found.bad], books.state[found.blank] = BAD, QUIET
    odd = found.odd()
    if odd.height:
        _read_texts(odd, reading, DEPTH)
    _ask(found, reading)


def _read_texts(lines: pl.DataFrame, reading: _Reading, depth: int) -> None:
    """Read lines as what is left of them without envelopes; blank ones are quiet."""
    inner, said = unwrap(lines, reading.reader.envelopes, reading.books, depth)
    reading.around.extend(said)
    cleaned = texts.clean(inner)
    blank = cleaned["text"] == ""
    reading.books.state[cleaned["row"].filter(blank).to_numpy()] = QUIET
    lines = _read_json_texts(cleaned.filter(~blank) if blank.any() else cleaned, reading, depth)
    if lines.is_empty():
        return
    sorter = sorting.sorter(reading.reader.dialects, reading.reader.envelopes)
    if sorter is None:
        return _ask(sorting.Strings(lines), reading)
    found = sorter.column(lines)
    _ask(found, reading)
    if (odd := found.odd()).height:
        _ask(sorting.Strings(odd), reading)


def _ask(lines: sorting.Lines, reading: _Reading) -> None:
    """Give each line to the first dialect that claims it."""
    for code, dialect in _in_turn(reading.reader.dialects):
        reading.books.claim(lines.quiet(dialect), code)
        if scanned := lines.scanned(dialect):
            said, rows = scanned
            reading.books.claim(rows, code)
            reading.parts.append(said)
        asked = lines.asked(dialect)
        if asked.height and (mine := _claimed(asked, code, dialect, reading)).any():
            lines.take(mine)


def _read_braced(lines: pl.DataFrame, reading: _Reading) -> None:
    """Give lines that are no JSON after all to the dialects that write such lines."""
    for code, dialect in enumerate(reading.reader.dialects.values()):
        if getattr(dialect, "BRACED", False) and lines.height:
            lines = _offered(lines, code, dialect, reading)


def _offered(lines: pl.DataFrame, code: int, dialect: ModuleType, reading: _Reading) -> pl.DataFrame:
    """Let a dialect read the lines that it claims; return the others."""
    return lines.filter(~_claimed(lines, code, dialect, reading))


def _claimed(lines: pl.DataFrame, code: int, dialect: ModuleType, reading: _Reading) -> pl.Series:
    """Let a dialect read the lines that it claims; return which these are."""
    mine = lines.select(dialect.claim(pl.col("text")).fill_null(False)).to_series()
    if mine.any():
        claimed = lines if mine.all() else lines.filter(mine)
        reading.books.claim(claimed["row"].to_numpy(), code)
        reading.parts.append(grouped(_checked(dialect.parse(claimed))))
    return mine


def _in_turn(dialects: Mapping[str, ModuleType]) -> list[tuple[int, ModuleType]]:
    """Return the dialects of text with their codes, those of last resort at the end."""
    coded = [(code, module) for code, (name, module) in enumerate(dialects.items()) if name != json_app.NAME]
    return sorted(coded, key=lambda item: (getattr(item[1], "LAST_RESORT", False), item[0]))


def _checked(parsed: pl.DataFrame) -> pl.DataFrame:
    return parsed.select(pl.col(name).cast(PARSED[name], strict=False) for name in parsed.columns if name in PARSED)


def _read_json_texts(lines: pl.DataFrame, reading: _Reading, depth: int) -> pl.DataFrame:
    """Scan those texts that begin as JSON objects; return the others."""
    mine = lines.select(json_app.claim(pl.col("text"))).to_series()
    if not mine.any():
        return lines
    objects = lines if mine.all() else lines.filter(mine)
    rows = objects["row"].to_numpy()
    scanned = json_scan.scan(texts.joined(objects["text"]))
    said = scanned.said.renumbered(pl.Series(rows, dtype=pl.UInt32))
    none = np.zeros(0, np.uint32)
    _note_json(json_scan.Scanned(said, rows[scanned.bad], none, none), reading, depth)
    _read_braced(objects[scanned.bad], reading)
    return lines.filter(~mine)
