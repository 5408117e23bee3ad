"""One run at a time: a lock beside the state, which the system lets go of when its holder dies, however it dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cachelog.contract.errors import UsageError


class Locked(Exception):
    """Another run has the lock."""


@contextmanager
def only_one(state: str) -> Iterator[None]:
    """Hold the lock of a state; raises Locked, UsageError where it cannot be written."""
    import fcntl

    try:
        os.makedirs(os.path.dirname(os.path.abspath(state)), mode=0o700, exist_ok=True)
        file = os.open(f"{state}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"cannot keep the state {state!r}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode("ascii", "replace").strip()
            raise Locked(f"another run has the state {state!r} (process {holder or 'unknown'})") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
