"""How the process of a command begins and ends: what costs time and helps nobody is left out."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn


def begin() -> None:
    """Set the process up, before anything heavy is imported."""
    # Starting takes a quarter of a million small objects, which all live to the end: looking through them for what
    # nothing refers to takes a tenth of a short run. A process that goes on, as `watch` does, is still looked through.
    gc.set_threshold(200_000)
    # numpy's linear algebra is asked for a handful of numbers: threads of its own would only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # closed by a caller who wants the exit code only
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def end(code: int) -> NoReturn:
    """Leave at once: to take down every module and object one by one takes as long as reading a thousand lines."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more, which the exit code tells already
            stream.flush()
    os._exit(code)
