"""The history of cache entries: native code and numpy say the same of what came before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelog.metrics import reuse

ROWS = st.lists(st.tuples(st.integers(reuse.HIT, reuse.EXPIRED), st.booleans()), max_size=40)


@pytest.mark.skipif(reuse.NATIVE is None, reason="the extension cachelog.metrics._tally is not built")
@given(ROWS)
def test_both_ways_find_the_same_rows_before(rows):
    kind = np.array([kind for kind, _ in rows], np.uint8)
    head = np.array([at == 0 or begins for at, (_, begins) in enumerate(rows)], np.bool_)
    told, native = reuse._followed(kind, head), reuse._native(reuse.NATIVE, kind, head)
    for one, other in zip(told, native, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_came_before_is_of_the_same_entry():
    kind = np.array([reuse.MISS, reuse.HIT, reuse.EVICT, reuse.MISS, reuse.HIT], np.uint8)
    start, before, filled, evicted, expired = reuse._followed(kind, np.array([1, 0, 0, 0, 1], np.bool_))
    assert start.tolist() == [0, 0, 0, 0, 4]
    assert before.tolist() == [-1, 0, 1, 1, -1]
    assert filled.tolist() == [-1, 0, 0, 0, -1]
    assert evicted.tolist() == [-1, -1, -1, 2, -1]
    assert expired.tolist() == [-1] * 5
