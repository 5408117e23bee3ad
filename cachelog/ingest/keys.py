"""The hash that stands for a cache key: 64 bits, the same on every machine and in both engines.

Keys are only ever compared for equality, and some logs hold secrets in them, so events keep the hash alone. The seed
is fixed so that shards agree; whoever can write the log could make two keys collide, and gains a wrong miss count
in a log that is his own anyway. scan.cpp computes the same function byte by byte.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

_SEED = np.uint64(0x51A7C0DE5EEDF00D)
_ODD1 = np.uint64(0x9E3779B97F4A7C15)
_ODD2 = np.uint64(0xD6E8FEB86659FD93)

_Words = npt.NDArray[np.uint64]


def hashed(keys: pl.Series) -> pl.Series:
    """Return the UInt64 hash of each text, null for null; a column that holds hashes already is returned as it is."""
    if keys.dtype == pl.UInt64:
        return keys
    distinct = pl.DataFrame({"key": keys.cast(pl.String)})
    unique = distinct["key"].drop_nulls().unique()
    table = pl.DataFrame({"key": unique, "hash": _hash(unique)})
    return distinct.join(table, on="key", how="left", maintain_order="left")["hash"].rename(keys.name)


def _hash(texts: pl.Series) -> pl.Series:
    """Texts are hashed in groups of equal numbers of 8-byte words, padded with zeros."""
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    result = np.zeros(len(texts), np.uint64)
    for words in np.unique((lengths + 7) // 8).tolist():
        mine = np.flatnonzero((lengths + 7) // 8 == words)
        result[mine] = _mixed(_padded(texts.gather(mine), words), lengths[mine].astype(np.uint64))
    return pl.Series(result)


def _padded(texts: pl.Series, words: int) -> _Words:
    """Return the texts as an array (texts, words) of little-endian words."""
    raw = np.array(texts.cast(pl.Binary).to_list(), dtype=f"S{max(words, 1) * 8}")
    return raw.view("<u8").astype(np.uint64).reshape(len(texts), max(words, 1))[:, :words]


def _mixed(words: _Words, lengths: _Words) -> _Words:
    mixed = _SEED ^ (lengths * _ODD2)
    for column in range(words.shape[1]):
        mixed = (mixed ^ words[:, column]) * _ODD1
        mixed ^= mixed >> np.uint64(32)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _ODD2
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _ODD1
    mixed ^= mixed >> np.uint64(32)
    return np.where(mixed == 0, np.uint64(1), mixed)  # 0 means none in scan.cpp
