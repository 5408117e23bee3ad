"""Model and version in the paths of model servers and of the gateways before them.

Understood: /v1/models/M[/versions/V][:predict], /v2/models/M/versions/V/infer, /models/M/V/..., /predictions/M[/V],
/model/M@V, ?model=M&version=V. A full URL or a request line ("GET /path HTTP/1.1") will do as well.
"""

from __future__ import annotations

import polars as pl

#: Texts in queries that may name a model or a version.
TELLING = ("odel=", "odel_name=", "odelName=", "ersion=")
_ROOT = r"/(?:models?|predictions?|inference|servables?)/"
_NAME = r"[^/?#:@ \"]+"
_NUMBER = r"v?[0-9][^/?#:@ \"]*"  # a version without the word before it begins with a digit

_MODEL = rf"{_ROOT}({_NAME})"
_MODEL_QUERY = r"[?&](?:model|model_name|modelName)=([^&# \"]+)"
_VERSION_WORD = r"/versions?/([^/?#: \"]+)"
_VERSION_AFTER = rf"{_ROOT}{_NAME}[/@:]({_NUMBER})"
_VERSION_QUERY = r"[?&](?:version|model_version|modelVersion)=([^&# \"]+)"


def model(url: pl.Expr) -> pl.Expr:
    """Return the model that a request path names, null where it names none."""
    return pl.coalesce(url.str.extract(_MODEL), _where_query(url).str.extract(_MODEL_QUERY))


def version(url: pl.Expr) -> pl.Expr:
    """Return the version that a request path names, null where it names none."""
    word = url.str.extract(_VERSION_WORD)
    return pl.coalesce(word, url.str.extract(_VERSION_AFTER), _where_query(url).str.extract(_VERSION_QUERY))


def telling(url: pl.Expr) -> pl.Expr:
    """Return the URL without a query that names neither model nor version: what differs between requests is there."""
    named = url.str.contains_any(list(TELLING))
    asks = url.str.contains("?", literal=True)
    return pl.when(asks & ~named).then(url.str.extract(r"(?s)^([^?]*)")).otherwise(url)


def path(url: pl.Expr) -> pl.Expr:
    """Return the path and query of a whole URL; a path as it is."""
    return url.str.replace(r"^[a-z][a-z0-9+.-]*://[^/?#]*", "")


def _where_query(url: pl.Expr) -> pl.Expr:
    return pl.when(url.str.contains("?", literal=True)).then(url)
