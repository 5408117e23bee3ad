"""Times as logs write them, to microseconds in UTC.

Understood: RFC 3339 and its relatives (blank for T, comma for the dot, slashes for dashes), with zone or naive;
epoch seconds, milli-, micro- and nanoseconds; access logs (23/Nov/2026:15:13:01 +0000, HAProxy's
without a zone); glog (1123 15:09:56.250369) and syslog (Nov 23 15:13:01), which have no year; times of day (15:13:01),
which have no date. A naive time is read in the zone the user gave, a time without a year gets the latest year that is
not after the file's own time; all of this is counted, so that the report can say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from cachelog.contract.errors import UsageError
from cachelog.contract.event import TS
from cachelog.ingest import digits

_NAIVE = pl.Datetime("us")
#: Times of day stand before it, on the second day of 1970 or beside it, until ingest/days.py knows theirs.
NEW_DAY = datetime(1970, 1, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Zone:
    """How naive times are read: an IANA name, or a fixed offset in minutes."""

    name: str = "UTC"

    def to_utc(self, naive: pl.Expr) -> pl.Expr:
        """Return the naive datetimes as instants; a time that a clock change skipped becomes null."""
        if (offset := fixed_offset(self.name)) is not None:
            return (naive - pl.duration(microseconds=offset // timedelta(microseconds=1))).dt.replace_time_zone("UTC")
        zoned = naive.dt.replace_time_zone(self.name, ambiguous="earliest", non_existent="null")
        return zoned.dt.convert_time_zone("UTC")


def fixed_offset(name: str) -> timedelta | None:
    """Return the offset that "+05:30" or "Z" means, None for an IANA name; raises UsageError on an unknown zone."""
    if name in ("UTC", "Z", "utc"):
        return timedelta(0)
    if name[:1] in "+-" and name[1:3].isdigit():
        parsed = datetime.strptime(name.replace(":", ""), "%z").utcoffset()
        return parsed or timedelta(0)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"unknown time zone {name!r}; give an IANA name like Europe/Berlin or an offset like +05:30"
        ) from None
    return None


@dataclass(frozen=True)
class Shape:
    """One way to write a time: rows that match `pattern` are parsed by `parse` to naive or UTC microseconds."""

    name: str
    pattern: str
    parse: Callable[[pl.Expr], pl.Expr]
    zoned: bool
    yearless: bool = False
    dateless: bool = False


def _iso(text: pl.Expr) -> pl.Expr:
    """Turn relatives of ISO 8601 into YYYY-MM-DDTHH:MM:SS.f."""
    day = text.str.slice(0, 10).str.replace_all("/", "-", literal=True)
    return day + "T" + text.str.slice(11).str.replace(",", ".", literal=True)


def _iso_utc(text: pl.Expr) -> pl.Expr:
    bare = _iso(text).str.strip_chars_end("Zz ")
    return bare.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)


def _iso_zoned(text: pl.Expr) -> pl.Expr:
    spaced = _iso(text).str.replace(r" ?([+-]\d\d):?(\d\d)$", "$1$2")
    return spaced.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", strict=False).dt.replace_time_zone(None)


def _epoch(text: pl.Expr) -> pl.Expr:
    """The number of digits before the dot tells the unit: 9-11 seconds, 12-14 ms, 15-17 us, 18-20 ns."""
    whole = text.str.extract(r"^(\d+)").cast(pl.Int64, strict=False)
    digits = text.str.extract(r"^(\d+)").str.len_bytes()
    part = text.str.extract(r"\.(\d+)$").fill_null("").str.pad_end(9, "0").str.slice(0, 9).cast(pl.Int64)  # nanoseconds
    us = (
        pl.when(digits <= 11)
        .then(whole * 1_000_000 + part // 1000)
        .when(digits <= 14)
        .then(whole * 1000 + part // 1_000_000)
        .when(digits <= 17)
        .then(whole)
        .otherwise(whole // 1000)
    )
    return us.cast(_NAIVE)


def _access(text: pl.Expr) -> pl.Expr:
    parsed = text.str.to_datetime("%d/%b/%Y:%H:%M:%S %z", time_unit="us", strict=False)
    return parsed.dt.replace_time_zone(None)


def _haproxy(text: pl.Expr) -> pl.Expr:
    return text.str.to_datetime("%d/%b/%Y:%H:%M:%S%.f", time_unit="us", strict=False)


def _glog(text: pl.Expr) -> pl.Expr:
    """The leap year 2000 stands in until the year is known."""
    return ("2000" + text).str.to_datetime("%Y%m%d %H:%M:%S%.f", time_unit="us", strict=False)


def _of_day(text: pl.Expr) -> pl.Expr:
    plain = pl.lit("1970-01-02 ") + text.str.replace(",", ".", literal=True)
    return plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)


def _glog_dated(text: pl.Expr) -> pl.Expr:
    return text.str.to_datetime("%Y%m%d %H:%M:%S%.f", time_unit="us", strict=False)


def _compact(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars_end("Z").str.to_datetime("%Y%m%dT%H%M%S%.f", time_unit="us", strict=False)


def _asctime(text: pl.Expr) -> pl.Expr:
    single = text.str.replace_all(r" +", " ")
    return single.str.to_datetime("%a %b %e %H:%M:%S%.f %Y", time_unit="us", strict=False)


def _half_days(text: pl.Expr) -> pl.Expr:
    return text.str.to_datetime("%Y-%m-%d %I:%M:%S %p", time_unit="us", strict=False)


def _exponent(text: pl.Expr) -> pl.Expr:
    return (text.cast(pl.Float64, strict=False) * 1e6).round().cast(pl.Int64, strict=False).cast(_NAIVE)


def _syslog(text: pl.Expr) -> pl.Expr:
    single = "2000 " + text.str.replace_all(r" +", " ")
    return single.str.to_datetime("%Y %b %e %H:%M:%S%.f", time_unit="us", strict=False)


def _day_month(text: pl.Expr) -> pl.Expr:
    plain = text.str.replace(r"^(\d+ [A-Za-z]+ \d+), ", "$1 ").str.replace(",", ".", literal=True)
    return plain.str.to_datetime("%d %b %Y %H:%M:%S%.f", time_unit="us", strict=False)


_DATE = r"^\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?"
SHAPES = (
    Shape("iso utc", _DATE + r" ?[Zz]$", _iso_utc, zoned=True),
    Shape("iso zoned", _DATE + r" ?[+-]\d\d:?\d\d$", _iso_zoned, zoned=True),
    Shape("iso naive", _DATE + "$", _iso_utc, zoned=False),
    Shape("epoch", r"^\d{9,20}(?:\.\d+)?$", _epoch, zoned=True),
    Shape("access", r"^\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$", _access, zoned=True),
    Shape("access naive", r"^\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)?$", _haproxy, zoned=False),
    Shape("glog", r"^\d{4} \d\d:\d\d:\d\d(?:\.\d+)?$", _glog, zoned=False, yearless=True),
    Shape("syslog", r"^[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)?$", _syslog, zoned=False, yearless=True),
    Shape("day month", r"^\d{1,2} [A-Z][a-z]{2} \d{4},? \d\d:\d\d:\d\d(?:[.,]\d+)?$", _day_month, zoned=False),
    Shape("glog dated", r"^\d{8} \d\d:\d\d:\d\d(?:\.\d+)?$", _glog_dated, zoned=False),
    Shape("compact utc", r"^\d{8}T\d{6}(?:\.\d+)?Z$", _compact, zoned=True),
    Shape("compact", r"^\d{8}T\d{6}(?:\.\d+)?$", _compact, zoned=False),
    Shape("asctime", r"^[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? \d{4}$", _asctime, zoned=False),
    Shape("half days", r"^\d{4}-\d\d-\d\d \d{1,2}:\d\d:\d\d [AP]M$", _half_days, zoned=False),
    Shape("of day", r"^\d\d:\d\d:\d\d(?:[.,]\d+)?$", _of_day, zoned=False, yearless=True, dateless=True),
    Shape("exponent", r"^1\.\d+e\+09$", _exponent, zoned=True),
)

CLOCK: pl.Schema = pl.Schema({"ts": TS, "naive": pl.Boolean(), "yearless": pl.Boolean()})


def instants(times: pl.Series, newest: pl.Series, zone: Zone) -> pl.DataFrame:
    """Parse `times` (String) to a CLOCK frame of the same height.

    `newest` (Datetime us, naive UTC) is the time a row's file was last written: it decides missing years.
    ts is null where the shape is unknown. `naive` and `yearless` mark what was assumed.
    """
    frame = pl.DataFrame({"text": times.str.strip_chars(), "newest": newest}).with_row_index("at")
    known = digits.read(frame["text"])
    parts = [_counted(part, zone) for part in known]
    open_ = frame["text"].is_not_null().to_numpy().copy()
    for part in known:
        open_[part.at] = False
    rest = frame.filter(pl.Series(open_)) if open_.any() else frame.clear()
    for shape in SHAPES:
        if rest.is_empty():
            break
        mine = pl.col("text").str.contains(shape.pattern)
        taken = rest.filter(mine)
        if taken.height:
            parts.append(_read(taken, shape, zone))
            rest = rest.filter(~mine) if taken.height < rest.height else rest.clear()
    if not parts:
        return pl.DataFrame(schema=CLOCK).clear(frame.height)
    if len(parts) == 1 and parts[0].height == frame.height:
        return parts[0].select(list(CLOCK))
    read = pl.concat(parts)
    return (
        frame.select("at")
        .join(read, on="at", how="left", maintain_order="left")
        .select("ts", pl.col("naive").fill_null(False), pl.col("yearless").fill_null(False))
    )


def _counted(part: digits.Read, zone: Zone) -> pl.DataFrame:
    at, naive = pl.Series("at", part.at, pl.UInt32), pl.Series("ts", part.us).cast(_NAIVE)
    frame = pl.DataFrame([at, naive])
    ts = pl.col("ts").dt.replace_time_zone("UTC") if part.zoned else zone.to_utc(pl.col("ts"))
    return frame.select("at", ts=ts.cast(TS), naive=pl.lit(not part.zoned), yearless=pl.lit(False))


def _read(rows: pl.DataFrame, shape: Shape, zone: Zone) -> pl.DataFrame:
    parsed = rows.with_columns(ts=shape.parse(pl.col("text")).cast(_NAIVE))
    if shape.yearless and not shape.dateless:
        parsed = parsed.with_columns(ts=_with_year(pl.col("ts"), pl.col("newest")))
    ts = pl.col("ts").dt.replace_time_zone("UTC") if shape.zoned else zone.to_utc(pl.col("ts"))
    return parsed.select("at", ts=ts.cast(TS), naive=pl.lit(not shape.zoned), yearless=pl.lit(shape.yearless))


def _with_year(ts: pl.Expr, newest: pl.Expr) -> pl.Expr:
    """Give the year of `newest`, or the one before where that would be more than a day in its future.

    29 February of a year without one lands on 1 March; logs do not hold such a day.
    """
    this = _in_year(ts, newest.dt.year())
    return pl.when(this > newest + pl.duration(days=1)).then(_in_year(ts, newest.dt.year() - 1)).otherwise(this)


def _in_year(ts: pl.Expr, year: pl.Expr) -> pl.Expr:
    start = pl.datetime(year, ts.dt.month(), pl.lit(1), time_unit="us")
    return start + pl.duration(days=ts.dt.day() - 1) + (ts - ts.dt.truncate("1d"))


def from_mtime(mtime: float | None) -> datetime:
    """Return the naive UTC time of a file's last change; pipes have none and count as the far future of no wrap."""
    if mtime is None:
        return datetime(2000, 12, 31)
    return datetime.fromtimestamp(mtime, UTC).replace(tzinfo=None)
