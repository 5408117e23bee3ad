"""Model ids that hold a version: fraud:v41, fraud@3, and ModelMesh's fraud__isvc-60ac5fc3c4.

Servers that load models on demand take an opaque id; where it says name and version apart, they are read apart. A dash
(resnet50-v2) does not: such ids are names of models as often as not.
"""

from __future__ import annotations

import polars as pl

_MARKED = r"^([^:@\s]+)[:@]([vV]?[0-9][A-Za-z0-9_.+-]*)$"
_MESHED = r"^(.+)__(isvc-[0-9a-f]{10})$"  # kserve/modelmesh-serving: a hash of the spec, new with every change

#: What an application writes for a model and its version: name@... is clear, but of name:... only plain numbers are:
#: llama3:8b is another model than llama3:70b.
_NUMBERED = r"^([^:@\s]+)(?:@([vV]?[0-9][A-Za-z0-9_.+-]*)|:([vV]?[0-9]+(?:[._-][0-9]+)*))$"


def numbered(ids: pl.Expr) -> pl.Expr:
    """Return model and version (a struct) of ids that hold both beyond doubt; nulls for all others."""
    groups = ids.str.extract_groups(_NUMBERED).struct
    return pl.struct(model=groups["1"], version=pl.coalesce(groups["2"], groups["3"]))


def model(ids: pl.Expr) -> pl.Expr:
    """Return the model of an id: what stands before its version, all of it where it has none."""
    return pl.coalesce(ids.str.extract(_MARKED, 1), ids.str.extract(_MESHED, 1), ids)


def version(ids: pl.Expr) -> pl.Expr:
    """Return the version that an id holds, null where it holds none."""
    return pl.coalesce(ids.str.extract(_MARKED, 2), ids.str.extract(_MESHED, 2))
