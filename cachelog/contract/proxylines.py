"""What access lines of HTTP caches share: NCSA lines with whole URLs, Squid's native format, requests as lookups."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from cachelog.contract import urls

#: [23/Nov/2026:15:13:01 +0000] without the brackets.
CLOCK = r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}"
QUOTED = r'"(?:[^"\\]|\\.)*"'
#: host ident user [time] "METHOD http://..." as forward proxies and Varnish write it; nginx logs the path alone.
PROXIED = rf'^[^"\[]+ \[{CLOCK}\] "[A-Z]+ [a-z]+://'
#: ... with status and bytes; groups: time, method, URL, what follows the bytes.
NCSA = rf'(?s)^[^"\[]+ \[({CLOCK})\] "([A-Z]+) ([^ "\\]+)[^"]*" [0-9]{{3}} [0-9-]+(.*)$'

#: The head of Squid's native format: time and elapsed milliseconds; in front of it is no more.
NATIVE = r"^[0-9]{9,10}\.[0-9]{3} +[0-9]+ [^ ]+ [A-Z_]+/[0-9]{3} [0-9]+ [A-Z]+ [^ ]+ "
_NATIVE = r"^([0-9]+\.[0-9]{3}) +([0-9]+) [^ ]+ ([A-Z_]+)/[0-9]{3} [0-9]+ ([A-Z]+) ([^ ]+) "

#: Outcomes of logs that do not say whether there is a cache.
PERHAPS_HIT, PERHAPS_MISS = "perhaps_hit", "perhaps_miss"
#: Methods of which an answer may come out of a cache (RFC 9110 §9.2.3).
CACHEABLE = ("GET", "HEAD")


def native(lines: pl.DataFrame) -> pl.DataFrame:
    """Read Squid's native format [row, text] to PARSED rows: access.log of Squid, squid.log of Traffic Server.

    Requests that no cache is asked for are logged as misses there; they count as bypass.
    """
    names = ["time", "ms", "tag", "method", "target"]
    cut = lines["text"].str.extract_groups(_NATIVE).struct.rename_fields(names).struct.unnest()
    return lookups(lines.select("row").hstack(cut), asked(pl.col("tag"), pl.col("method")), {"ms": pl.col("ms")})


def asked(tag: pl.Expr, method: pl.Expr) -> pl.Expr:
    """Return the tag of a request, BYPASS for a miss of a method that is not cached."""
    never = tag.str.contains("^(?:TCP_MISS|Miss)") & ~method.is_in(list(CACHEABLE))
    return pl.when(never).then(pl.lit("BYPASS")).otherwise(tag)


def perhaps(said: pl.Expr, served: pl.Expr, method: pl.Expr, forwarded: pl.Expr) -> pl.Expr:
    """Return the outcome of a request to a proxy that tells for certain only what its cache served.

    What the log `said` by name counts. Else `served` by the cache is PERHAPS_HIT, and a `forwarded` GET or HEAD
    PERHAPS_MISS: ingest/carry.py keeps the latter for models of which the former occurs, as nothing else in such a log
    tells if there is a cache at all.
    """
    cacheable = method.is_in(list(CACHEABLE))
    guessed = pl.when(served).then(pl.lit(PERHAPS_HIT)).when(forwarded & cacheable).then(pl.lit(PERHAPS_MISS))
    return pl.coalesce(said, guessed)


def lookups(cut: pl.DataFrame, outcome: pl.Expr, more: Mapping[str, pl.Expr] | None = None) -> pl.DataFrame:
    """Turn requests [row, time, method, target] into PARSED lookups of an edge; `more` are other columns of PARSED.

    `target` is a URL or a path. Requests that name no model are left out, and those without an outcome. The key is
    the path with its query, unless the log has cut the query off ("/a?").
    """
    frame = cut.with_columns(
        urls.telling(pl.col("target")).alias("url"), _path=urls.path(pl.col("target")), outcome=outcome
    ).filter(pl.col("outcome").is_not_null())
    whole = pl.col("method").is_in(list(CACHEABLE)) & ~pl.col("_path").str.ends_with("?")
    kept = frame.join(_placed(frame["url"]), on="url", how="left", maintain_order="left")
    return kept.filter(pl.col("model").is_not_null()).select(
        "row",
        "time",
        "outcome",
        "model",
        "version",
        op=pl.lit("lookup"),
        cache=pl.lit("edge"),
        key=pl.when(whole).then(pl.col("_path")),
        **(more or {}),
    )


def _placed(target: pl.Series) -> pl.DataFrame:
    """Return url, model, version: each distinct URL is read once."""
    distinct = target.drop_nulls().unique().to_frame("url")
    return distinct.with_columns(model=urls.model(pl.col("url")), version=urls.version(pl.col("url")))
