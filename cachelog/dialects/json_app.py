"""Application logs with one JSON object a line: structlog, zap, pino, logrus, zerolog, nginx with a JSON log_format.

Names of fields: contract/fields.py. A dotted alias matches the dotted key as well as the nested object.
This module is the Polars engine; ingest/json_scan.py uses the native scanner instead where it is built.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from cachelog.contract.fields import ALIASES, EDGE_ALIASES

NAME = "json_app"
SAMPLES = (
    '{"timestamp": "2026-11-20T14:02:11.081616Z", "level": "info", "pod": "scorer-0", "event": "cache_lookup", '
    '"result": "hit", "model": "fraud", "version": "42", "key": "6", "latency_ms": 3.144}',
    '{"level":"info","ts":1771811880.057085,"caller":"cache/lru.go:88","msg":"model loaded","hostname":"scorer-0",'
    '"model_name":"fraud","model_version":"20260930-1","sha256":"bef02ba88b6d1dc1","duration_ms":651.522}',
    '{"time":"2026-11-23T15:13:01+00:00","request":"GET /v1/models/fraud:predict HTTP/1.1","status":"200",'
    '"upstream_cache_status":"MISS","model":"fraud","model_version":"41","host":"edge-a"}',
)

#: Canonical field -> aliases; `edge` is the status of an HTTP cache, which no other field may shadow.
FIELDS: Mapping[str, tuple[str, ...]] = ALIASES | {
    "outcome": tuple(a for a in ALIASES["outcome"] if a not in EDGE_ALIASES),
    "edge": EDGE_ALIASES,
}
_HEADS = {alias.split(".", 1)[0] for names in FIELDS.values() for alias in names} | {
    alias for names in FIELDS.values() for alias in names
}
_SAMPLED = 200  # lines of a block whose keys are looked at first; what they miss is looked for afterwards


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line begins as a JSON object."""
    return text.str.strip_chars_start(" \t").str.starts_with("{")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every line that is a valid JSON object; the others are bad."""
    texts = lines["text"].to_list()
    rows = lines["row"].to_list()
    scanned = _scan(texts, rows, _sampled_keys(texts))
    return shape(_rescan(scanned, texts, rows))


def shape(scanned: pl.DataFrame) -> pl.DataFrame:
    """Turn scanned canonical fields (row, and any of FIELDS) into PARSED columns."""
    if "edge" not in scanned.columns:
        return scanned
    edge = pl.col("edge").is_not_null()
    outcome = pl.col("outcome").cast(pl.String) if "outcome" in scanned.columns else pl.lit(None, pl.String)
    cache = pl.col("cache").cast(pl.String) if "cache" in scanned.columns else pl.lit(None, pl.String)
    return scanned.with_columns(
        outcome=pl.when(edge).then(pl.col("edge").cast(pl.String)).otherwise(outcome),
        cache=pl.when(edge).then(pl.lit("edge")).otherwise(cache),
    ).drop("edge")


def _sampled_keys(texts: Sequence[str]) -> frozenset[str]:
    step = max(1, len(texts) // _SAMPLED)
    return frozenset().union(*(_keys(texts[i]) for i in range(0, len(texts), step)))


def _keys(text: str) -> frozenset[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(found) & _HEADS if isinstance(found, dict) else frozenset()


def _scan(texts: Sequence[str], rows: Sequence[int], keys: Iterable[str]) -> pl.DataFrame:
    """Parse lines with an explicit schema of strings; lines that fail are left out, found by bisection."""
    schema = pl.Schema({key: pl.String() for key in sorted(keys)})
    parts = list(_parts(texts, rows, schema))
    empty = pl.DataFrame(schema=pl.Schema({"row": pl.UInt32()} | dict(schema)))
    return _canonical(pl.concat([empty, *parts]))


def _parts(texts: Sequence[str], rows: Sequence[int], schema: pl.Schema) -> Iterable[pl.DataFrame]:
    if not texts:
        return
    frame = _read("\n".join(texts), schema, len(texts))
    if frame is not None:
        yield frame.select(pl.Series("row", rows, pl.UInt32), pl.all())
    elif len(texts) > 1:
        half = len(texts) // 2
        yield from _parts(texts[:half], rows[:half], schema)
        yield from _parts(texts[half:], rows[half:], schema)


def _read(block: str, schema: pl.Schema, height: int) -> pl.DataFrame | None:
    """Read a block, None when any line of it is no JSON object; a keyless schema still checks every line."""
    probe = schema if len(schema) else pl.Schema({"\0": pl.String()})
    try:
        frame = pl.read_ndjson(io.StringIO(block), schema=probe)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return frame.select(list(schema)) if frame.height == height and len(schema) else _height_only(frame, height)


def _height_only(frame: pl.DataFrame, height: int) -> pl.DataFrame | None:
    return pl.DataFrame(height=height) if frame.height == height else None


def _canonical(raw: pl.DataFrame) -> pl.DataFrame:
    """Coalesce aliases, best first; nested paths are read only from the rows that have them."""
    columns = {name: _values(raw, aliases) for name, aliases in FIELDS.items()}
    chosen = [pl.coalesce(values).alias(name) for name, values in columns.items() if values]
    frame = raw.select("row", *chosen)
    return _typed(frame)


def _values(raw: pl.DataFrame, aliases: Sequence[str]) -> list[pl.Expr]:
    values: list[pl.Expr] = []
    for alias in aliases:
        head, _, rest = alias.partition(".")
        if alias in raw.columns:
            values.append(pl.col(alias))
        if rest and head in raw.columns:
            nested = pl.col(head).str.starts_with("{")
            values.append(pl.when(nested).then(pl.col(head)).str.json_path_match("$." + rest))
    return values


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = {"seconds": pl.Float64(), "n": pl.UInt32()}
    present = {name: dtype for name, dtype in numbers.items() if name in frame.columns}
    return frame.with_columns(pl.col(name).cast(dtype, strict=False) for name, dtype in present.items())


def _rescan(scanned: pl.DataFrame, texts: Sequence[str], rows: Sequence[int]) -> pl.DataFrame:
    """Scan again, with all their keys, the lines that are no plain lookup: a key may be new in them."""
    doubt = pl.lit(False)
    for name in ("model", "time"):
        doubt |= pl.col(name).is_null() if name in scanned.columns else pl.lit(True)
    said = [pl.col(n).is_not_null() for n in ("outcome", "hit", "edge") if n in scanned.columns]
    doubt |= ~pl.any_horizontal(said) if said else pl.lit(True)
    doubtful = set(scanned.filter(doubt)["row"].to_list())
    again = [(text, row) for text, row in zip(texts, rows, strict=True) if row in doubtful]
    keys = frozenset().union(*(_keys(text) for text, _ in again)) if again else frozenset()
    if not keys:
        return scanned
    second = _scan([t for t, _ in again], [r for _, r in again], keys)
    kept = scanned.filter(~doubt)
    return pl.concat([kept, second], how="diagonal").sort("row")
