"""BentoML's servers, 1.0 to 1.4: starts, which name the tag of the bento that is served, and what services log.

A tag is name:version; the version is the bento's, which holds its models. Access lines tell of no cache.
"""

from __future__ import annotations

import polars as pl

from cachelog.contract import model_ids, sentences
from cachelog.contract.heads import LEVEL, TIME

NAME = "bentoml"
SOURCE = "bentoml/BentoML src/bentoml/_internal/log.py, server/http/access.py, serving.py"
BLIND = "BentoML names the version that it serves only when it starts, and logs no cache lookups of its own"
HINTS = ("] [",)
SAMPLES = (
    '2026-11-23T15:13:00+0000 [INFO] [cli] Starting production HTTP BentoServer from "scorer:v41" listening '
    "on http://0.0.0.0:3000 (Press CTRL+C to quit)",
    "2026-11-23T15:13:02+0000 [INFO] [entry_service:scorer:1] Service scorer initialized",
    "2026-11-23T15:13:05+0000 [INFO] [entry_service:scorer:1] 127.0.0.1:56132 "
    "(scheme=http,method=POST,path=/predict,type=application/json,length=85) "
    "(status=200,type=application/json,length=19) 5.371ms (trace=8f1d,span=a1,sampled=0,service.name=scorer)",
    "2026-11-23T15:13:05+0000 [INFO] [entry_service:scorer:1] prediction cache miss model=scorer version=v41 "
    "key=a (trace=8f1d,span=a1,sampled=0,service.name=scorer)",
)

_COMPONENT = r"(?:cli|(?:dev_)?(?:grpc_)?api_server|(?:entry_)?service|runner|monitoring)"
_HEAD = rf"(?s)^({TIME}) \[{LEVEL}\] \[{_COMPONENT}(?::[^\]]*)?\] (.*)$"
_TRACE = r" \(trace=[^ ()]*\)$"
_STARTING = r'^Starting (?:production|bare|development) \S+ BentoServer from "([^"]*)" '
_ACCESS = r"^\S+ \(scheme="
_QUIET = r"^(?:Start|Service \S+ (?:initialized|loaded)|Running |Completed |Prometheus |Loading service )"


def claim(text: pl.Expr) -> pl.Expr:
    """Return whether a line has the head of BentoML's server logs: time, level and component."""
    return text.str.contains(_HEAD)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return PARSED rows of starts, and of what services log."""
    text = pl.col("text")
    cut = lines.filter(sentences.telling(text)).select(
        "row", time=text.str.extract(_HEAD, 1), message=text.str.extract(_HEAD, 2).str.replace(_TRACE, "")
    )
    starting = pl.col("message").str.contains(_STARTING)
    logged = cut.filter(~starting & ~pl.col("message").str.contains(_ACCESS))
    read = sentences.printed(logged, _QUIET)
    return pl.concat([_starts(cut.filter(starting)), read], how="diagonal")


def _starts(cut: pl.DataFrame) -> pl.DataFrame:
    """A start is a row, and the bento that it loads another, where its tag names a version."""
    tag = pl.col("message").str.extract(_STARTING)
    boots = cut.select("row", "time", op=pl.lit("restart"))
    loads = cut.select(
        "row", "time", op=pl.lit("load"), model=model_ids.model(tag), version=model_ids.version(tag)
    ).filter(pl.col("version").is_not_null())
    return pl.concat([boots, loads], how="diagonal")
