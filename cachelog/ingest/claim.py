"""Whose line is it? One unit of bytes to events: unwrap envelopes, then each line goes to the dialect that claims it.

JSON lines are scanned as bytes in one go; everything else becomes a column of text. Claims are by line, not by
file, so mixed files need no special care.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import ModuleType

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.dialect import PARSED, UNWRAPPED
from cachelog.contract.errors import UsageError
from cachelog.contract.events import RARE, READ
from cachelog.contract.layout import Layout
from cachelog.contract.own import current
from cachelog.dialects import json_app
from cachelog.ingest import json_scan, mapping, plain, sorting, texts
from cachelog.ingest.conform import CONFORMED, conform
from cachelog.ingest.ledger import BAD, EVENTS, QUIET, UNCLAIMED, Rows, UnitBooks
from cachelog.ingest.lines import Unit
from cachelog.ingest.meaning import Meanings, Vocabulary
from cachelog.ingest.place import Inputs, place
from cachelog.ingest.said import Said, grouped
from cachelog.ingest.templates import masked
from cachelog.ingest.unwrap import AROUND, DEPTH, innermost, joined, positions, unwrap

_RowIds = npt.NDArray[np.uint32]
_FEW = 1_000  # rows: to make events of them takes as long as for one

#: What is around lines and no envelope: an array of objects, a list of Kubernetes, a change that it watches.
_AROUND = (
    Layout(records="items[]", payload=("",), tells=(("metadata.name", "metadata.uid", "metadata.creationTimestamp"),)),
    Layout(payload=("object",), tells=(("object.metadata.name", "object.metadata.uid"), ("object.kind",), ("type",))),
    Layout(records="[]", payload=("",)),
)


@dataclass(frozen=True)
class Layouts:
    """How JSON envelopes lie around records, strict ones first: the first that fits a line counts.

    By layout, and last for a message alone: the number of the envelope, -1 for none; that of the dialect whose objects
    the records are, -1 for lines; whether the line may have been the application's own; and whether it tells what the
    body of a record is, and what was said beside it.
    """

    layouts: tuple[Layout, ...]
    codes: npt.NDArray[np.int16]
    dialects: npt.NDArray[np.int16]
    loose: npt.NDArray[np.bool_]
    bodies: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, envelopes: Mapping[str, ModuleType], dialects: Mapping[str, ModuleType]) -> Layouts:
        """Gather the layouts of envelopes, and of dialects."""
        around, objects = _declared(envelopes), _declared(dialects)
        ordered = [*objects, *sorted(around, key=lambda entry: entry[0].loose), *((one, -1) for one in _AROUND)]
        numbers, mine = np.array([*(code for _, code in ordered), -1], np.int16), np.arange(len(ordered) + 1)
        layouts = tuple(one for one, _ in ordered)
        loose = np.array([*(one.loose for one in layouts), True])
        bodies = np.array([*(any("+" in path for path in one.payload) for one in layouts), False])
        of_dialects = mine < len(objects)
        return cls(layouts, np.where(of_dialects, -1, numbers), np.where(of_dialects, numbers, -1), loose, bodies)


def _declared(modules: Mapping[str, ModuleType]) -> list[tuple[Layout, int]]:
    return [(one, code) for code, module in enumerate(modules.values()) for one in getattr(module, "LAYOUTS", ())]


@dataclass(frozen=True)
class Reader:
    """How to read: the dialects and envelopes by name, and facts about each input."""

    dialects: Mapping[str, ModuleType]
    envelopes: Mapping[str, ModuleType]
    inputs: Inputs
    layouts: Layouts
    meanings: Meanings = field(default_factory=Meanings)
    mining: bool = False  # are templates of lines wanted that nobody claims?


@dataclass(frozen=True)
class _Reading:
    """What reading a unit gathers: parsed lines by dialect, and what envelopes said, outermost first."""

    reader: Reader
    books: Rows
    parts: list[Said]
    few: list[pl.DataFrame]  # parsed lines of which a dialect has only few in the unit: a pass over all is enough
    around: list[pl.DataFrame]


@dataclass(frozen=True)
class UnitRead:
    """A unit read: its events, and its books.

    `bulk` are READ with the vocabulary of their `said`; `rare` (RARE) are all other events. `late` is the time of the
    last event of the last input; `untimed`: events before the first that has a time have none.
    """

    bulk: tuple[tuple[pl.DataFrame, Vocabulary], ...]
    rare: pl.DataFrame
    late: datetime | None
    untimed: bool
    books: UnitBooks


def read_unit(unit: Unit, reader: Reader) -> UnitRead:
    """Read a unit."""
    reading = _Reading(reader, Rows.of(unit.sources()), [], [], [])
    books = reading.books
    _read(unit.data, reading)
    if reading.few:
        reading.parts.append(grouped(pl.concat(reading.few, how="diagonal")))
    if (short := _plain(unit, reading)) is not None:
        return short
    source, line = books.source, unit.lines()[books.of_lines()]
    newest = pl.Series(reader.inputs.newest, dtype=pl.Datetime("us")).gather(source)
    said = [part for part in reading.parts if part.rows.height]
    zone, meanings = reader.inputs.zone, reader.meanings
    found = [pair for part in said for pair in conform(part, newest.gather(part.rows["row"]), zone, meanings)]
    events = pl.concat([pl.DataFrame(schema=CONFORMED), *(rows for rows, _ in found)])
    books.state[events["row"].to_numpy()] = EVENTS
    placed, facts = place(events, innermost(reading.around, books), source, line, reader.inputs)
    timed = _timed(placed)
    parts = zip(_cut(timed, [rows.height for rows, _ in found]), [words for _, words in found], strict=True)
    bulk, rare = _split(parts)
    mine = timed.filter(pl.col("source") == unit.segments[-1].source)
    late = (
        mine.sort("line" if len(source) > unit.rows else "row", maintain_order=True)["ts"][-1] if mine.height else None
    )
    closed = books.closed(facts.assumed, facts.votes)
    if reader.mining:
        closed = replace(closed, lost=_lost(unit, closed))
    return UnitRead(bulk, rare, late, bool(timed["ts"].null_count()), closed)


def _lost(unit: Unit, books: UnitBooks) -> pl.DataFrame | None:
    """Return templates.MASKED of the lines that nobody claims; None for none."""
    rows = np.flatnonzero(books.state == UNCLAIMED).astype(np.uint32)
    if not len(rows):
        return None
    lines, _ = texts.decoded(bytes(unit.data), rows)
    row = lines["row"].to_numpy()
    told = texts.clean(lines).select("text").with_columns(source=books.source[row], line=unit.lines()[row])
    return masked(told)


def _plain(unit: Unit, reading: _Reading) -> UnitRead | None:
    """Read a unit of nothing but plain JSON lines of one input; None for all others."""
    if len(reading.parts) != 1 or reading.around or len(unit.segments) != 1:
        return None
    segment, said = unit.segments[0], reading.parts[0]
    if (found := plain.read(said, segment.source, segment.line0, reading.reader.meanings)) is None:
        return None
    rows, bulk, rare, vocabulary, late = found
    reading.books.state[rows] = EVENTS
    return UnitRead(((bulk, vocabulary),), rare, late, False, reading.books.closed(()))


def _timed(placed: pl.DataFrame) -> pl.DataFrame:
    """An event whose line has no time gets that of the event before it in its file; the books say how many."""
    if not placed["ts"].null_count():
        return placed
    known = placed.select("row", "source", "line", "ts", at=pl.int_range(pl.len())).sort(
        "source", "line", "row", maintain_order=True
    )
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
    rare = [pl.DataFrame(schema=RARE)]
    for rows, words in parts:
        many = words.bulk[rows["said"].to_numpy()]
        if not many.all():
            few = rows.filter(pl.Series(~many))
            rare.append(few.drop("op").hstack(words.table[few["said"]]).select(list(RARE)))
        mine = rows.select(list(READ))
        bulk.append((mine if many.all() else mine.filter(pl.Series(many)), words))
    return tuple(bulk), pl.concat(rare)


def _read(data: memoryview, reading: _Reading) -> None:
    """Scan JSON lines as bytes; where there are none, all are texts."""
    if bytes(data[:1]) in (b"{", b"[") or json_scan.holds(data, b"\n{") or json_scan.holds(data, b"\n[{"):
        _read_block(data, np.arange(reading.books.lines, dtype=np.uint32), reading, DEPTH)
    else:
        _read_lines(data, None, reading)


def _read_block(data: json_scan.Block, rows: _RowIds, reading: _Reading, depth: int, *, bodies: bool = False) -> None:
    """Read a block of whole lines, which are these rows; `bodies` as json_scan.scan has it."""
    scanned = json_scan.scan(data, reading.reader.layouts.layouts if depth else (), bodies=bodies)
    _note_json(scanned, data, rows, reading)
    if len(scanned.bad):
        _read_braced(_texts(data, rows, reading, scanned.bad), reading)
    if len(scanned.other) and isinstance(data, memoryview):  # of the unit itself, whose rows are its lines
        _read_lines(data, scanned.other, reading)
    elif len(scanned.other):
        _read_texts(_texts(data, rows, reading, scanned.other), reading, depth)
    if len(scanned.opened.records):
        _read_opened(scanned.opened, data, rows, reading, depth - 1)


def _note_json(scanned: json_scan.Scanned, data: json_scan.Block, rows: _RowIds, reading: _Reading) -> None:
    """Enter what was scanned into the books."""
    names = list(reading.reader.dialects)
    code, own = names.index(json_app.NAME), current()
    said = scanned.said.renumbered(pl.Series(rows))
    reading.books.claim(said.rows["row"].to_numpy(), code)
    for form in reversed(own.formats):  # the first that claims a line counts
        claimed = mapping.claimed(said.rows, form)
        reading.books.claim(said.rows["row"].filter(claimed).to_numpy(), names.index(form.name))
    wanted = scanned.said.rows["row"].to_numpy()
    text = texts.decoded(bytes(data), wanted)[0]["text"] if own.searches and len(wanted) else None
    said = mapping.folded(said, own, reading.books, text)
    reading.books.claim(rows[scanned.bad], code, BAD)
    reading.books.state[rows[scanned.blank]] = QUIET
    reading.parts.append(_read_known(said, reading))


def _read_opened(opened: json_scan.Opened, data: json_scan.Block, rows: _RowIds, reading: _Reading, depth: int) -> None:
    """Read the lines in envelopes: first those whose envelope is certain."""
    books, layouts = reading.books, reading.reader.layouts
    layout = opened.records["layout"].to_numpy()
    outer = rows[opened.records["row"].to_numpy()]
    inner = books.inner(outer)
    books.wrapped(outer, layouts.codes[layout])
    books.wrapped(inner, layouts.codes[layout])
    loose, bodies, dialect = layouts.loose[layout], layouts.bodies[layout], layouts.dialects[layout]
    lines = dialect < 0
    of_dialects = (dialect == code for code in np.unique(dialect[~lines]))
    for kind in (*of_dialects, ~loose & ~bodies & lines, ~loose & bodies & lines, loose & lines):
        mine = np.flatnonzero(kind).astype(np.uint32)
        if not len(mine):
            continue
        whole = len(mine) == len(layout)
        records = opened.records.with_columns(at=opened.records["row"], row=pl.Series(inner))
        chosen = _Inner(
            records if whole else records[mine], opened.lines if whole else texts.picked(opened.lines, mine)
        )
        if not lines[mine[0]]:
            _read_objects(chosen, int(dialect[mine[0]]), reading)
        elif loose[mine[0]]:
            _read_loose(chosen, data, rows, reading, depth)
        else:
            reading.around.append(chosen.records.select(list(AROUND)))
            _read_inner(chosen, reading, depth, bodies=bool(bodies[mine[0]]))


@dataclass(frozen=True)
class _Inner:
    """Records as scanned, their rows those of the unit and `at` those of the block, and their lines."""

    records: pl.DataFrame
    lines: bytes

    def rows(self) -> _RowIds:
        return self.records["row"].to_numpy()

    def where(self, mask: npt.NDArray[np.bool_]) -> _Inner:
        """Return the marked records."""
        at = np.flatnonzero(mask).astype(np.uint32)
        return _Inner(self.records[at], texts.picked(self.lines, at))


def _read_objects(inner: _Inner, code: int, reading: _Reading) -> None:
    """Let a dialect read its objects."""
    dialect = list(reading.reader.dialects.values())[code]
    lines, _ = texts.decoded(inner.lines)
    reading.books.claim(inner.rows(), code)
    _add(_checked(dialect.parse(inner.records.select("row").hstack([lines["text"]]))), reading)


def _read_inner(inner: _Inner, reading: _Reading, depth: int, *, bodies: bool = False) -> None:
    """Read the lines of records; where some are pieces of longer lines, those of their envelope are joined first."""
    for code, module in enumerate(reading.reader.envelopes.values()):
        mine = reading.reader.layouts.codes[inner.records["layout"].to_numpy()] == code
        if hasattr(module, "partial") and (~inner.records["ended"].to_numpy() & mine).any():
            _read_pieces(inner if mine.all() else inner.where(mine), module, reading, depth)
            inner = inner.where(~mine)
    if inner.records.height:
        _read_block(inner.lines, inner.rows(), reading, depth, bodies=bodies)


def _read_pieces(inner: _Inner, module: ModuleType, reading: _Reading, depth: int) -> None:
    lines, _ = texts.decoded(inner.lines)
    cut = inner.records.with_columns(lines["text"])
    whole = joined(cut.with_columns(partial=module.partial(cut)).select(list(UNWRAPPED)), reading.books)
    _read_texts(whole.select("row", "text"), reading, depth)


def _read_loose(inner: _Inner, data: json_scan.Block, rows: _RowIds, reading: _Reading, depth: int) -> None:
    """Read lines in what may have been the application's own; where no dialect reads them, the object around counts."""
    books, mine, place = reading.books, inner.rows(), len(reading.around)
    at = inner.records["at"].to_numpy()
    known = _of_known_loggers(inner.records, reading)
    if known.any():
        inner = inner.where(~known)
    _read_inner(inner, reading, depth)
    read = books.understood(mine)
    reading.around.insert(place, inner.records.filter(pl.Series(books.understood(inner.rows()))).select(list(AROUND)))
    if read.all():
        return
    again = at[~read]
    block = texts.picked(bytes(data), again)
    _note_json(json_scan.scan(block), block, rows[again], reading)


def _of_known_loggers(records: pl.DataFrame, reading: _Reading) -> npt.NDArray[np.bool_]:
    """Return which records are messages alone of loggers that a dialect knows: they have a reading of their own."""
    alone = records["layout"] == len(reading.reader.layouts.layouts)
    known = pl.repeat(False, records.height, eager=True)
    for dialect in reading.reader.dialects.values():
        if hasattr(dialect, "ORIGIN") and alone.any():
            known |= alone & _from(records["stream"], dialect.ORIGIN)
    return known.to_numpy()


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


def _around(outer: pl.DataFrame) -> pl.DataFrame:
    """What the objects around messages say, as an envelope does."""
    said = {
        n: pl.col(n).cast(pl.String) if n in outer.columns else pl.lit(None, pl.String) for n in ("time", "replica")
    }
    iso = pl.col("ts").dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ") if "ts" in outer.columns else pl.lit(None, pl.String)
    return outer.select("row", env_time=pl.coalesce(said["time"], iso), env_replica=said["replica"]).cast(AROUND)


def _texts(data: json_scan.Block, rows: _RowIds, reading: _Reading, wanted: _RowIds | None) -> pl.DataFrame:
    """Decode lines of a block (all, or the wanted ones); undecodable ones are bad."""
    lines, bad = texts.decoded(bytes(data), wanted)
    reading.books.state[rows[bad]] = BAD
    return lines.with_columns(pl.Series("row", rows).gather(lines["row"]))


def _read_lines(data: memoryview, wanted: _RowIds | None, reading: _Reading) -> None:
    """Read lines of a unit (all, or the wanted ones) that are no objects of JSON."""
    books = reading.books
    sorter = sorting.sorter(reading.reader.dialects, reading.reader.envelopes)
    if sorter is None or sorter.whole(data):
        rows = np.arange(books.lines, dtype=np.uint32)
        return _read_texts(_texts(data, rows, reading, wanted), reading, DEPTH)
    found = sorter.block(data, wanted)
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
    own = current()
    for code, dialect in _in_turn(reading.reader.dialects):
        if not own.searches:  # else the texts are needed
            reading.books.claim(lines.quiet(dialect), code)
        if not own.searches and (scanned := lines.scanned(dialect)):
            said, rows = scanned
            reading.books.claim(rows, code)
            reading.parts.append(mapping.folded(said, own, reading.books, None))
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
    if hasattr(dialect, "PLUGIN"):
        return _claimed_by_guest(lines, code, dialect, reading)
    mine = lines.select(dialect.claim(pl.col("text")).fill_null(False)).to_series()
    if mine.any():
        claimed = lines if mine.all() else lines.filter(mine)
        reading.books.claim(claimed["row"].to_numpy(), code)
        _add(_checked(_parsed(claimed, dialect, reading)), reading)
    return mine


def _claimed_by_guest(lines: pl.DataFrame, code: int, dialect: ModuleType, reading: _Reading) -> pl.Series:
    """As _claimed; what a plug-in raises is the user's to know, not a bug of cachelog's."""
    try:
        mine = lines.select(dialect.claim(pl.col("text")).fill_null(False)).to_series()
        claimed = lines.filter(mine)
        parsed = _checked(_parsed(claimed, dialect, reading)) if claimed.height else None
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        broke = f"the plug-in {dialect.NAME} of {dialect.PLUGIN} broke: {what}"
        raise UsageError(f"{broke}; uninstall it, or set CACHELOG_PLUGINS=off") from error
    if parsed is not None:
        reading.books.claim(claimed["row"].to_numpy(), code)
        _add(parsed, reading)
    return mine


def _parsed(claimed: pl.DataFrame, dialect: ModuleType, reading: _Reading) -> pl.DataFrame:
    """Let a dialect read its lines, and put what the user's maps find in its place."""
    parsed: pl.DataFrame = dialect.parse(claimed)
    own = current()
    if not own:
        return parsed
    text = claimed["text"].gather(positions(parsed["row"], claimed["row"])) if own.searches else None
    return mapping.mapped(parsed, own, reading.books, text)


def _add(parsed: pl.DataFrame, reading: _Reading) -> None:
    """Keep what a dialect read."""
    if parsed.height < _FEW:
        reading.few.append(parsed)
    else:
        reading.parts.append(grouped(parsed))


def _in_turn(dialects: Mapping[str, ModuleType]) -> list[tuple[int, ModuleType]]:
    """Return the dialects of text with their codes, those of last resort at the end."""
    coded = [(code, module) for code, module in enumerate(dialects.values()) if _is_of_text(module)]
    return sorted(coded, key=lambda item: (getattr(item[1], "LAST_RESORT", False), item[0]))


def _is_of_text(dialect: ModuleType) -> bool:
    return dialect.NAME != json_app.NAME and hasattr(dialect, "claim")


def _checked(parsed: pl.DataFrame) -> pl.DataFrame:
    return parsed.select(pl.col(name).cast(PARSED[name], strict=False) for name in parsed.columns if name in PARSED)


def _read_json_texts(lines: pl.DataFrame, reading: _Reading, depth: int) -> pl.DataFrame:
    """Scan those texts that begin as JSON objects, or as an array of them; return the others."""
    mine = lines.select(json_app.claim(pl.col("text")) | pl.col("text").str.contains(r"^[ \t]*\[[ \t]*\{")).to_series()
    if not mine.any():
        return lines
    objects = lines if mine.all() else lines.filter(mine)
    rows, data = objects["row"].to_numpy(), texts.joined(objects["text"])
    scanned = json_scan.scan(data, reading.reader.layouts.layouts if depth else ())
    _note_json(scanned, data, rows, reading)
    _read_braced(objects[scanned.bad], reading)
    if len(scanned.opened.records):
        _read_opened(scanned.opened, data, rows, reading, depth - 1)
    return pl.concat([lines.filter(~mine), objects[scanned.other]]).sort("row")
