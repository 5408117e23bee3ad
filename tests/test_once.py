"""What several rules ask for at the same time is computed once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cachelog.metrics.once import once


def test_who_asks_while_it_is_computed_waits_for_the_same_result():
    asked, ready = [], threading.Event()

    @once
    def slow(what):
        asked.append(what)
        assert ready.wait(5)
        return [what]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(slow, "a"), pool.submit(slow, "a")
        ready.set()
        assert first.result() is second.result()
    assert asked == ["a"]
    assert slow("b") == ["b"]
    assert asked == ["a", "b"]


def test_one_that_raises_is_asked_again():
    tries = []

    @once
    def fails(what):
        tries.append(what)
        raise ValueError(what)

    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            fails("a")
    assert tries == ["a", "a"]
