"""nginx as text: access logs (combined, with what a log_format appends to it) and the error log, which is quiet.

The status of the cache is `$upstream_cache_status`, named (cache=MISS, cs="HIT") or bare (... "Mozilla/5.0" HIT,
[HIT], cache:HIT, or before the request: 10.0.0.1 - HIT [...], [...] 200 HIT "GET ..."); `-` and nothing mean that the
cache was not asked. A log_format without it tells nothing about caches. The key is the request URI, as proxy_cache_key
has it by default. Formats that begin with $time_iso8601, $msec or [$time_local] are read where the address follows.
NCSA lines of others with a path and a status of that kind are read too, as Fastly's (HIT-CLUSTER, PASS, hit, pass).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from cachelog.contract import pairs, urls
from cachelog.contract.pairs import Wanted

NAME = "nginx"
SAMPLES = (
    '127.0.0.1 - - [23/Nov/2026:15:13:01 +0000] "GET /v1/models/fraud:predict?key=f0 HTTP/1.1" 200 77 "-" '
    '"scoring-client/2.3 (go1.22)" rt=0.022 urt="0.022" cache=MISS upstream_path="/models/fraud/versions/41/predict"',
    '127.0.0.1 - - [23/Nov/2026:15:14:38 +0000] "GET /models/resnet/1/model.bin HTTP/1.1" 200 10400 "-" "curl/7.88.1"',
    '10.0.0.9 - bob [23/Nov/2026:15:14:38 +0000] "GET /models/resnet/1/a HTTP/1.1" 200 104 "-" "Mozilla/5.0 (X11)" HIT',
    '216.177.153.243 - MISS [25/Aug/2015:15:28:59 -0500] "GET/ HTTP/1.1" 403 0 "-" "curl/7.15.5 (x86_64) zlib/1.2.3"',
    # nginx 1.22.1 with other log_formats
    '127.0.0.1 - - [24/Nov/2026:11:48:04 +0000] 200 MISS "GET /models/resnet/2/model.bin HTTP/1.1" 1000 "curl/7.88.1"',
    'MISS [24/Nov/2026:11:48:04 +0000] 127.0.0.1 "GET /models/resnet/2/model.bin HTTP/1.1" 200 0.001',
    '[24/Nov/2026:11:48:04 +0000] 127.0.0.1 MISS "GET /v1/models/fraud/versions/41:predict?key=f0 HTTP/1.1" 200',
    '2026-11-24T11:48:04+00:00 127.0.0.1 STALE 0.002 "GET /models/short/1/m HTTP/1.1" 200',
    '1795520884.191 127.0.0.1 127.0.0.1 "GET /models/resnet/2/model.bin HTTP/1.1" 200 cache:MISS rt:0.001',
    # Fastly's Apache-like format with fastly_info.state appended
    '192.0.2.7 - - [24/Nov/2026:11:48:04 +0000] "GET /v1/models/fraud HTTP/2" 200 1000 "-" "curl/8.5.0" HIT-CLUSTER',
    # the formats that cPanel and EasyEngine give for the status of the cache
    'x.example scorer 443 192.0.2.7 HIT - [24/Nov/2026:11:48:05 +0000] " GET /v1/models/m HTTP/1.1 " 200 77 "-" "-"',
    '192.0.2.7 - MISS [24/Nov/2026:11:48:06 +0000]  "GET /v1/models/fraud HTTP/1.1" 200 77 "-" "curl/8.5.0"',
    "2026/11/23 15:13:00 [notice] 14562#14562: start worker process 14564",
)
HINTS = ('"', "#")
BLIND: str | None = "without $upstream_cache_status in the log_format nothing about caches"
SOURCE = "nginx.org ngx_http_log_module, ngx_http_upstream_module ($upstream_cache_status); nginx 1.22.1 run"

_MONTHS = ("/Jan/", "/Feb/", "/Mar/", "/Apr/", "/May/", "/Jun/", "/Jul/", "/Aug/", "/Sep/", "/Oct/", "/Nov/", "/Dec/")
_NCSA = rf"[0-9]{{2}}(?:{'|'.join(_MONTHS)})[0-9]{{4}}:[0-9:]{{8}} [+-][0-9]{{4}}"
_CLOCK = rf"(?:{_NCSA}|20[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:.]+[^\]]*)"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ADDRESS = r"[0-9a-fA-F.:]{3,45} "
_BETWEEN = r'(?:[^ "\[]+ ){0,8}'
_ACCESS = rf'^[^ \[]+ (?:[^ \[]+ ){{0,5}}\[(?:{_CLOCK}\] |{_NCSA}\]  ){_BETWEEN}"'
_TIMED = (
    rf"^(?:\[{_CLOCK}\]|[0-9]{{10}}\.[0-9]{{3}}|[0-9-]{{10}}T[0-9:]{{8}}[+-][0-9]{{2}}:[0-9]{{2}}) {_ADDRESS}{_BETWEEN}"
    r'"[A-Z]+ /'
)
_PROXIED = r'\] (?:[^ "\[]+ ){0,8}"[A-Z]+ https?://'  # Varnish logs whole URLs
_ERROR = r"^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \[(?:debug|info|notice|warn|error|crit|alert|emerg)\] [0-9]+#[0-9]+: "
SHAPE = rf"{_ACCESS}|{_TIMED}|{_ERROR}"
# most lines; every byte decides, so the regex engine takes its fast path
_COMBINED = (
    r'(?s)^([^\[]*)\[([^\]]+)\] "([A-Z]+) (/[^ "\\]*) HTTP/[0-9.]+" [0-9]{3} [0-9-]+ '
    rf"{_QUOTED} {_QUOTED}(.*)$"
)
_OTHER = r'(?s)^([^\["]*)\[([^\]]+)\] {1,2}" ?(?:([A-Z]+) (/[^ "]*))?(?:[^"\\]|\\.)*"(.*)$'
_PARTS = ("_before", "_time", "_method", "_path", "_tail")
# the time in brackets or first of all, with more before the request
_ODD = r'(?s)^([^"]*) "(?:([A-Z]+) (/[^ "]*))?(?:[^"\\]|\\.)*"(.*)$'
_ODD_PARTS = ("_before", "_method", "_path", "_tail")
_ODD_TIME = r"\[([^\]]+)\]|^([0-9]{10}\.[0-9]{3}|[0-9-]{10}T[^ ]+) "

STATUSES = ("HIT", "MISS", "EXPIRED", "STALE", "UPDATING", "REVALIDATED", "BYPASS")
#: With those that edges of other makes write into the same lines; ingest/access.hpp leaves lines with these to parse.
OTHER_STATUSES = ("PASS", "hit", "miss", "pass", "pipe")
_STATUS = r"((?:HIT|MISS|PASS|HITPASS)(?:-[A-Z]+)*|EXPIRED|STALE|UPDATING|REVALIDATED|BYPASS|hit|miss|pass|pipe)"
_BARE_STATUS = rf'(?:^|[ \[":]){_STATUS}(?:$|[ \]"])'
_USER_STATUS = rf"(?:^| )({'|'.join(STATUSES)}) "  # users may have lower case names
_FREE_TEXT = r' "[^"]*[^"A-Z-][^"]*"'  # quoted by itself and no status: agents may say anything
_BARE_SECONDS = r"(?:^|[ :])([0-9]+\.[0-9]{3})(?: |$)"

#: PARSED field -> the names that log_formats give to it, best first.
_NAMES: dict[str, tuple[str, ...]] = {
    "outcome": (
        "upstream_cache_status", "cache_status", "cache", "cs", "ucs", "proxy_cache", "proxy_cache_status", "x_cache",
        "x-cache", "X-Cache", "cacheStatus",
    ),
    "seconds": ("rt", "request_time", "req_time", "urt", "upstream_response_time", "upstream_time"),
    "url": ("upstream_path", "upstream_uri", "upstream_url", "uri", "path"),
    "model": ("model", "model_name"),
    "version": ("model_version", "version"),
    "key": ("cache_key", "key"),
    "replica": ("hostname", "pod", "pod_name", "edge", "node", "instance", "replica"),
}  # fmt: skip
_WANTED = Wanted(frozenset(name for names in _NAMES.values() for name in names))

#: What ingest/access.hpp reads of a line: names in its pairs; time, path and what is bare stand in places of their own.
FIELDS: dict[str, tuple[str, ...]] = {
    **{field: names for field, names in _NAMES.items() if field != "url"},
    "upstream": _NAMES["url"],
    "time": (),
    "path": (),
}


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line is of an access log in NCSA form with a path, begins with a time, or is of an error log."""
    return text.str.contains(_ACCESS) & ~text.str.contains(_PROXIED) | text.str.contains(rf"{_TIMED}|{_ERROR}")


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row for every request for which the cache was asked."""
    cut = _cut(lines)
    named = pairs.read(cut["_tail"], _WANTED)
    frame = cut.hstack(named.get_columns())
    asked = frame.with_columns(outcome=_outcome(named.columns)).filter(pl.col("outcome").is_not_null())
    cacheable = pl.when(pl.col("_method").is_in(["GET", "HEAD"])).then(pl.col("_path"))
    return shape(
        asked.select(
            "row",
            "outcome",
            time="_time",
            replica=_said("replica", named.columns),
            model=_said("model", named.columns),
            version=_said("version", named.columns),
            key=pl.coalesce(_said("key", named.columns), cacheable),
            seconds=_seconds(named.columns),
            upstream=urls.telling(_said("url", named.columns)),
            path=urls.telling(pl.col("_path")),
        )
    )


def shape(asked: pl.DataFrame) -> pl.DataFrame:
    """Turn FIELDS of requests for which the cache was asked (any of them) into PARSED columns."""
    names = ("model", "version", "upstream", "path")
    full = asked.with_columns(pl.lit(None, pl.String).alias(name) for name in names if name not in asked.columns)
    return _with_models(full).with_columns(op=pl.lit("lookup"), cache=pl.lit("edge"))


def _cut(lines: pl.DataFrame) -> pl.DataFrame:
    """Cut access lines into _PARTS; the tail is without free text that a client may have sent."""
    combined = _extracted(lines, _COMBINED)
    rest = lines.filter(combined["_time"].is_null())
    parts = [combined.filter(pl.col("_time").is_not_null())]
    if rest.height:
        other = _extracted(rest, _OTHER)
        parts.append(other.filter(pl.col("_time").is_not_null()))
        parts.append(_odd(rest.filter(other["_time"].is_null())))
    cut = pl.concat(parts)
    quoting = cut["_tail"].str.contains(' "', literal=True)
    return cut.with_columns(pl.col("_tail").str.replace_all(_FREE_TEXT, "")) if quoting.any() else cut


def _extracted(lines: pl.DataFrame, pattern: str, parts: Sequence[str] = _PARTS) -> pl.DataFrame:
    groups = lines["text"].str.extract_groups(pattern).struct.rename_fields(list(parts)).struct.unnest()
    return lines.select("row").hstack(groups)


def _odd(lines: pl.DataFrame) -> pl.DataFrame:
    """Cut lines with more than a time before the request; what is no time there may be the status or the duration."""
    cut = _extracted(lines, _ODD, _ODD_PARTS).filter(pl.col("_before").is_not_null())
    before = pl.col("_before")
    return cut.select(
        "row",
        _before=before.str.replace(_ODD_TIME, "") + " ",
        _time=pl.coalesce(before.str.extract(_ODD_TIME, 1), before.str.extract(_ODD_TIME, 2)),
        _method="_method",
        _path="_path",
        _tail="_tail",
    ).filter(pl.col("_time").is_not_null())


def _said(field: str, columns: Sequence[str]) -> pl.Expr:
    """What the pairs of a line say about a field, - being nothing."""
    given = [pl.when(pl.col(name) != "-").then(pl.col(name)) for name in _NAMES[field] if name in columns]
    return pl.coalesce(given) if given else pl.lit(None, pl.String)


def _outcome(columns: Sequence[str]) -> pl.Expr:
    bare = pl.coalesce(pl.col("_tail").str.extract(_BARE_STATUS), pl.col("_before").str.extract(_USER_STATUS))
    given = [pl.col(name) for name in _NAMES["outcome"] if name in columns]
    unnamed = pl.all_horizontal(value.is_null() for value in given) if given else pl.lit(True)
    return pl.when(unnamed).then(bare).otherwise(_said("outcome", columns))


def _seconds(columns: Sequence[str]) -> pl.Expr:
    """The time of the request, else the sum over the upstreams asked in turn: "0.101, 0.020 : 0.300"."""
    said = _said("seconds", columns)
    listed = pl.when(said.str.contains("[,:]")).then(said).str.extract_all(r"[0-9]+(?:\.[0-9]+)?")
    bare = pl.coalesce(pl.col("_tail").str.extract(_BARE_SECONDS), pl.col("_before").str.extract(_BARE_SECONDS))
    one = pl.coalesce(said, bare).cast(pl.Float64, strict=False)
    return pl.coalesce(one, listed.cast(pl.List(pl.Float64)).list.sum())


def _with_models(asked: pl.DataFrame) -> pl.DataFrame:
    """Read each distinct pair of paths once; the upstream's first, as gateways put the version there."""
    places = ["upstream", "path"]
    distinct = asked.select(places).unique()
    read = distinct.with_columns(
        url=pl.coalesce(places),
        url_model=pl.coalesce(urls.model(pl.col(place)) for place in places),
        url_version=pl.coalesce(urls.version(pl.col(place)) for place in places),
    )
    named = asked.join(read, on=places, how="left", nulls_equal=True, maintain_order="left")
    return named.with_columns(
        model=pl.coalesce("model", "url_model"), version=pl.coalesce("version", "url_version")
    ).drop(*places, "url_model", "url_version")
