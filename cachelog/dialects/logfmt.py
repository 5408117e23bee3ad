"""Lines of key=value pairs: logrus, slog, go-kit, zerolog console, hand-written ones."""

from __future__ import annotations

import polars as pl

from cachelog.contract import pairs, servers
from cachelog.contract.pairs import KEY, VALUE

NAME = "logfmt"
SAMPLES = (
    'time=2026-01-02T11:32:00.037Z level=info msg="cache miss" pod=inference-g5-35fab model=price-elasticity '
    "version=20260930-1 key=40 dur=37.949ms",
    "ts=2026-11-23T15:16:31.532789Z level=info msg=prediction replica=fraud-scorer-6d9f7c5b8-9zt7m model=fraud "
    "model_version=v41 cache=miss cache_key=fraud:v41:f0 latency_ms=11.66 status=200",
    'time="2021-09-15T21:17:10.220731Z" level=error msg="error retrieving pod status: \\"a\\" is not found" reason= ',
    'logger=settings t=2025-04-24T19:51:48.520963849Z level=info msg="Starting Grafana" version=11.5.2',
    "event=cache_lookup model=fraud version=7 cached",
)
SOURCE = "brandur.org/logfmt; go-logfmt/logfmt, log/slog TextHandler"
BLIND: str | None = None

HINTS = ("=",)

#: Lines that begin like this are logfmt whatever follows, also when a quote is left open.
_LEAD = rf"(?:time|timestamp|ts|t|level|lvl|severity|msg|caller|logger)={VALUE}[ \t]+(?:.*[ \t])?{KEY}="
_FLAG = r"[A-Za-z_][A-Za-z0-9_.-]*"
_ANY = rf"(?:{_FLAG}[ \t]+)*{KEY}={VALUE}"
#: Pairs of systems that have dialects of their own: Traffic Server's WELF, what memcached tells its watchers.
_OWNED = r"^(?:id=firewall time=|ts=[0-9]+\.[0-9]+ gid=[0-9]+ type=)"
#: Texts of which one stands early in every such line: ingest/pairs.hpp leaves what has one to claim.
OWNED = ("id=firewall time=", " gid=", " source=")
_STRICT = rf"{KEY}={VALUE}[ \t]+{_ANY}(?:[ \t]+(?:{KEY}={VALUE}|{_FLAG}))*[ \t]*$"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line consists of at least two key=value pairs, and bare keys."""
    owned = text.str.contains(_OWNED) | text.str.contains(servers.OLLAMA)
    return text.str.contains(rf"(?s)^(?:{_LEAD}|{_STRICT})") & ~owned


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one PARSED row a line; the names of fields are those of contract/fields.py."""
    fields = pairs.canonical(pairs.read(lines["text"]))
    return pl.concat([lines.select("row"), fields], how="horizontal")
