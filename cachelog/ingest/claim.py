"""Whose line is it? One unit of bytes to events: unwrap envelopes, then each line goes to the dialect that claims it.

JSON lines are scanned as bytes in one go; everything else becomes a column of text. Claims are by line, not by
file, so mixed files need no special care.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt
import polars as pl

from cachelog.contract.dialect import PARSED, UNWRAPPED
from cachelog.contract.event import EVENT, LABEL
from cachelog.dialects import json_app
from cachelog.ingest import json_scan
from cachelog.ingest.clock import Zone
from cachelog.ingest.conform import CONFORMED, conform
from cachelog.ingest.ledger import BAD, EVENTS, JOINED, QUIET, UNCLAIMED, UnitBooks
from cachelog.ingest.lines import Unit
from cachelog.ingest.said import Said, grouped

_DEPTH = 3  # envelopes in envelopes
_ANSI = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])"
_LINES: pl.Schema = pl.Schema({"row": pl.UInt32(), "text": pl.String()})


@dataclass(frozen=True)
class Reader:
    """How to read: the dialects and envelopes by name, the zone of naive times, and facts about each input."""

    dialects: Mapping[str, ModuleType]
    envelopes: Mapping[str, ModuleType]
    zone: Zone
    newest: Sequence[object]  # per input: naive datetime of its last change
    fallback: Sequence[str]  # per input: replica name of last resort
    locus: Sequence[str | None]  # per input: replica that its path names


@dataclass
class _Rows:
    """The books of the unit while it is read."""

    source: npt.NDArray[np.uint32]
    state: npt.NDArray[np.uint8]
    format: npt.NDArray[np.int16]
    envelope: npt.NDArray[np.int16]

    def claim(self, rows: npt.NDArray[np.uint32], dialect: int, state: int = QUIET) -> None:
        self.state[rows] = state
        self.format[rows] = dialect


def read_unit(unit: Unit, reader: Reader) -> tuple[pl.DataFrame, UnitBooks]:
    """Return the EVENT rows of a unit and its books."""
    source, line = unit.sources(), unit.lines()
    none = np.full(unit.rows, -1, np.int16)
    books = _Rows(source, np.full(unit.rows, UNCLAIMED, np.uint8), none, none.copy())
    newest = pl.Series(reader.newest, dtype=pl.Datetime("us")).gather(source)
    reading = _Reading(reader, books, [], [])
    _read(unit.data, reading)
    wrapped = _context(reading.context)
    said = [part for part in reading.parts if part.rows.height]
    found = [conform(part, newest.gather(part.rows["row"]), reader.zone) for part in said]
    events = pl.concat([pl.DataFrame(schema=CONFORMED), *found])
    books.state[events["row"].to_numpy()] = EVENTS
    full, assumed = _place(events, wrapped, source, line, reader)
    return full, UnitBooks(source, books.state, books.format, books.envelope, assumed)


@dataclass(frozen=True)
class _Reading:
    """What reading a unit gathers: parsed lines by dialect, and what envelopes said (row, env_time, env_replica)."""

    reader: Reader
    books: _Rows
    parts: list[Said]
    context: list[pl.DataFrame]


def _read(data: bytes, reading: _Reading) -> None:
    head = data.lstrip(b" \t\r\n")[:64]
    if not head.startswith(b"{") or _json_envelope(head):
        return _read_texts(_texts(data, reading.books, None), reading, _DEPTH)
    scanned = json_scan.scan(data)
    _note_json(scanned, reading, _DEPTH)
    return _read_texts(_texts(data, reading.books, scanned.other), reading, _DEPTH)


def _json_envelope(head: bytes) -> bool:
    return head.startswith((b'{"log":', b'{"log" :', b'{"stream":', b'{"time":"2')) and b'"log"' in head


def _note_json(scanned: json_scan.Scanned, reading: _Reading, depth: int) -> None:
    """Enter scanned lines into the books; an object whose message is itself a log line is read as that line."""
    code = list(reading.reader.dialects).index(json_app.NAME)
    said = scanned.said
    reading.books.claim(said.rows["row"].to_numpy(), code)
    reading.books.claim(scanned.bad, code, BAD)
    reading.books.state[scanned.blank] = QUIET
    wrapping = _wraps(said.words) if depth > 0 else None
    if wrapping is None or not wrapping.any():
        reading.parts.append(said)
        return
    outer = said.where(said.of(wrapping))
    messages = outer.rows.with_columns(message=outer.of(said.words["message"]))
    inner = _read_messages(messages, reading, depth - 1)
    reading.parts.append(said.where(~said.rows["row"].is_in(inner.implode())))


def _wraps(words: pl.DataFrame) -> pl.Series | None:
    """Nothing but a message that may be a line of its own: it begins like a record, with a time or a level."""
    if "message" not in words.columns:
        return None
    others = [name for name in ("model", "outcome", "hit", "event", "op") if name in words.columns]
    record = pl.col("message").str.contains(r"^\s*(?:[\[(<{]|\d{2,4}|[A-Z]+\d* |[a-z_]+=)")
    alone = pl.all_horizontal(record, *(pl.col(name).is_null() for name in others))
    return words.select(alone.fill_null(False)).to_series()


def _read_messages(outer: pl.DataFrame, reading: _Reading, depth: int) -> pl.Series:
    """Read messages as lines with what the object around them says of time and replica; return the rows claimed."""
    lines = _clean(outer.select("row", text=pl.col("message").cast(pl.String)))
    iso = pl.col("ts").dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ") if "ts" in outer.columns else pl.lit(None, pl.String)
    time = pl.col("time").cast(pl.String) if "time" in outer.columns else pl.lit(None, pl.String)
    replica = pl.col("replica").cast(pl.String) if "replica" in outer.columns else pl.lit(None, pl.String)
    before = reading.books.format[lines["row"].to_numpy()].copy()
    state = reading.books.state[lines["row"].to_numpy()].copy()
    reading.books.format[lines["row"].to_numpy()] = -1
    _read_texts(lines, reading, depth)
    rows = lines["row"].to_numpy()
    claimed = (reading.books.format[rows] >= 0) & (reading.books.state[rows] != BAD)
    reading.books.format[rows[~claimed]] = before[~claimed]
    reading.books.state[rows[~claimed]] = state[~claimed]
    taken = pl.Series("row", rows[claimed], pl.UInt32)
    around = outer.select("row", env_time=pl.coalesce(time, iso), env_replica=replica)
    reading.context.append(around.filter(pl.col("row").is_in(taken.implode())))
    return taken


def _texts(data: bytes, books: _Rows, rows: npt.NDArray[np.uint32] | None) -> pl.DataFrame:
    """Decode lines (all, or the given rows) to a _LINES frame; undecodable ones are bad, blank ones quiet."""
    if rows is not None and not len(rows):
        return pl.DataFrame(schema=_LINES)
    lines = data.split(b"\n")
    lines.pop()
    wanted = range(len(lines)) if rows is None else rows.tolist()
    try:
        texts = data.decode().split("\n")[:-1] if rows is None else [lines[r].decode() for r in wanted]
    except UnicodeDecodeError:
        texts, wanted = _decoded(lines, wanted, books)
    frame = pl.DataFrame([pl.Series("row", wanted, pl.UInt32), pl.Series("text", texts, pl.String)])
    frame = _clean(frame)
    blank = frame.filter(pl.col("text") == "")
    books.state[blank["row"].to_numpy()] = QUIET
    return frame.filter(pl.col("text") != "")


def _decoded(lines: list[bytes], wanted: Sequence[int], books: _Rows) -> tuple[list[str], list[int]]:
    texts: list[str] = []
    rows: list[int] = []
    for row in wanted:
        try:
            texts.append(lines[row].decode())
            rows.append(row)
        except UnicodeDecodeError:
            books.state[row] = BAD
    return texts, rows


def _clean(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop carriage returns, NULs (a truncated and rewritten file begins with them) and terminal colours."""
    text = pl.col("text").str.strip_chars_end("\r \t").str.strip_chars_start("\x00\ufeff")
    coloured = frame["text"].str.contains("\x1b", literal=True).any()
    return frame.with_columns(text.str.replace_all(_ANSI, "").str.strip_chars_end("\r \t") if coloured else text)


def _read_texts(lines: pl.DataFrame, reading: _Reading, depth: int) -> None:
    for _ in range(depth):
        lines, unwrapped = _unwrap(lines, reading)
        if not unwrapped:
            break
    lines = _read_json_texts(lines, reading, depth)
    for code, (name, dialect) in enumerate(reading.reader.dialects.items()):
        if name == json_app.NAME or lines.is_empty():
            continue
        mine = lines.select(dialect.claim(pl.col("text")).fill_null(False)).to_series()
        if not mine.any():
            continue
        claimed = lines.filter(mine)
        reading.books.claim(claimed["row"].to_numpy(), code)
        reading.parts.append(grouped(_checked(dialect.parse(claimed))))
        lines = lines.filter(~mine)


def _checked(parsed: pl.DataFrame) -> pl.DataFrame:
    return parsed.select(pl.col(name).cast(PARSED[name], strict=False) for name in parsed.columns if name in PARSED)


def _read_json_texts(lines: pl.DataFrame, reading: _Reading, depth: int) -> pl.DataFrame:
    """Scan those texts that begin as JSON objects; return the others."""
    mine = lines.select(json_app.claim(pl.col("text"))).to_series()
    if not mine.any():
        return lines
    objects = lines.filter(mine)
    rows = objects["row"].to_numpy()
    # a joined line may hold a newline of its own; JSON allows none between tokens of one record here
    block = "\n".join(objects["text"].str.replace_all("\n", " ", literal=True).to_list()).encode()
    scanned = json_scan.scan(block + b"\n")
    said = scanned.said.renumbered(pl.Series(rows, dtype=pl.UInt32))
    none = np.zeros(0, np.uint32)
    _note_json(json_scan.Scanned(said, rows[scanned.bad], none, none), reading, depth)
    return lines.filter(~mine)


def _unwrap(lines: pl.DataFrame, reading: _Reading) -> tuple[pl.DataFrame, bool]:
    """Take one layer of envelopes off; pieces of one line are joined under the row of the first."""
    any_unwrapped = False
    books = reading.books
    for code, envelope in enumerate(reading.reader.envelopes.values()):
        if lines.is_empty():
            break
        mine = lines.select(envelope.claim(pl.col("text")).fill_null(False)).to_series()
        if not mine.any():
            continue
        inner = envelope.unwrap(lines.filter(mine))
        inner = inner.select(pl.col(name).cast(dtype) for name, dtype in UNWRAPPED.items())
        books.envelope[inner["row"].to_numpy()] = code
        whole = _joined(inner, books)
        reading.context.append(whole.select("row", "env_time", "env_replica"))
        rest = lines.filter(~mine)
        lines = pl.concat([rest, _blank_out(whole, books)]).sort("row")
        any_unwrapped = True
    return lines, any_unwrapped


def _blank_out(whole: pl.DataFrame, books: _Rows) -> pl.DataFrame:
    cleaned = _clean(whole.select("row", "text"))
    books.state[cleaned.filter(pl.col("text") == "")["row"].to_numpy()] = QUIET
    return cleaned.filter(pl.col("text") != "")


def _joined(inner: pl.DataFrame, books: _Rows) -> pl.DataFrame:
    """Join a piece marked partial with what follows it in the same stream; the pieces after the first are joined."""
    if not inner["partial"].any():
        return inner
    place = ["_source", "stream", "env_replica"]
    inner = inner.with_columns(_source=pl.Series(books.source).gather(inner["row"]))
    starts = (~pl.col("partial").fill_null(False)).shift(1).over(place).fill_null(True)
    grouped = inner.sort("row").with_columns(_record=starts.cum_sum().over(place))
    whole = (
        grouped.group_by(*place, "_record", maintain_order=True)
        .agg(pl.col("row").first(), pl.col("text").str.join(""), pl.col("env_time").first(), partial=pl.lit(False))
        .select(list(UNWRAPPED))
        .sort("row")
    )
    books.state[np.setdiff1d(inner["row"].to_numpy(), whole["row"].to_numpy())] = JOINED
    return whole


def _context(context: list[pl.DataFrame]) -> pl.DataFrame:
    """The innermost envelope's time and replica of each row."""
    empty = pl.DataFrame(schema=pl.Schema({"row": pl.UInt32(), "env_time": pl.String(), "env_replica": pl.String()}))
    merged = pl.concat([empty, *reversed(context)])
    if len(context) < 2:
        return merged
    return merged.group_by("row", maintain_order=True).agg(pl.col("env_time", "env_replica").drop_nulls().first())


def _place(
    events: pl.DataFrame,
    wrapped: pl.DataFrame,
    source: npt.NDArray[np.uint32],
    line: npt.NDArray[np.uint64],
    reader: Reader,
) -> tuple[pl.DataFrame, tuple[tuple[int, str, int], ...]]:
    """Add where each event stands and which replica it is of; return EVENT rows and what was assumed of times."""
    rows = events["row"]
    placed = events.with_columns(source=pl.Series(source).gather(rows), line=pl.Series(line).gather(rows))
    full = _replicas(_with_envelope(placed, wrapped, reader), reader)
    return full.select(pl.col(name).cast(dtype) for name, dtype in EVENT.items()), _assumed(full, reader.zone)


def _replicas(placed: pl.DataFrame, reader: Reader) -> pl.DataFrame:
    """Name the replica of each event that needs one: the line's own, else the envelope's, the path's, the file's."""
    of_one = pl.col("op") != "rollout"
    if not placed.select((of_one & pl.col("replica").is_null()).any()).item():
        return placed
    locus, fallback = pl.Series(reader.locus, dtype=LABEL), pl.Series(reader.fallback, dtype=LABEL)
    by_path = (locus.gather(placed["source"]), fallback.gather(placed["source"]))
    named = pl.coalesce("replica", pl.col("env_replica").cast(LABEL), *by_path)
    return placed.with_columns(replica=pl.when(of_one).then(named))


def _with_envelope(placed: pl.DataFrame, wrapped: pl.DataFrame, reader: Reader) -> pl.DataFrame:
    """Join what the envelope said; its time stands in for a line's own that is missing or has no year."""
    if wrapped.is_empty():
        return placed.with_columns(env_replica=pl.lit(None, pl.String))
    from cachelog.ingest.clock import instants

    joined = placed.join(wrapped, on="row", how="left", maintain_order="left")
    newest = pl.Series(reader.newest, dtype=pl.Datetime("us")).gather(joined["source"])
    clock = instants(joined["env_time"], newest, reader.zone)
    better = pl.col("ts").is_null() | (pl.col("yearless") & pl.col("_env").is_not_null() & ~pl.col("_env_naive"))
    return joined.with_columns(_env=clock["ts"], _env_naive=clock["naive"]).with_columns(
        ts=pl.when(better).then(pl.col("_env")).otherwise(pl.col("ts")),
        naive=pl.when(better).then(pl.col("_env_naive")).otherwise(pl.col("naive")),
        yearless=pl.col("yearless") & ~better,
    )


def _assumed(placed: pl.DataFrame, zone: Zone) -> tuple[tuple[int, str, int], ...]:
    facts = {
        f"no zone in the lines, read as {zone.name}": pl.col("naive") & pl.col("ts").is_not_null(),
        "no year in the lines, taken from the file's own time": pl.col("yearless") & pl.col("ts").is_not_null(),
        "no time in the lines, taken from the event before": pl.col("ts").is_null(),
    }
    found: list[tuple[int, str, int]] = []
    for what, when in facts.items():
        counts = placed.filter(when).group_by("source").len().sort("source")
        found += [(source, what, many) for source, many in counts.iter_rows()]
    return tuple(found)
