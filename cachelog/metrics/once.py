"""What several rules ask for is computed once, also when they run at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def once(function: Callable[P, T]) -> Callable[P, T]:
    """Keep the last result; whoever asks for it while it is computed waits for it."""
    kept, lock = lru_cache(maxsize=1)(function), threading.RLock()

    @wraps(function)
    def shared(*args: P.args, **kwargs: P.kwargs) -> T:
        with lock:
            return kept(*args, **kwargs)  # type: ignore[arg-type]  # of frames, which are known by themselves

    return shared
