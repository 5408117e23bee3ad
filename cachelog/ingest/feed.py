"""Inputs that can be read once only, while they come: threads copy them into files, which are followed like any log."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cachelog.ingest.discover import Source, any_pipe
from cachelog.ingest.opened import copy_of, raw_of

_AT_ONCE = 1 << 20
_BEGINNING = 64 << 10  # bytes by which a log is known, and its shape
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # of fallocate(2)


@dataclass(frozen=True)
class Feeds:
    """Pipes by their path, each with what tells its file and whether it has ended."""

    files: Mapping[str, Callable[[], tuple[str, bool]]]
    feeds: tuple[Feed, ...]

    @classmethod
    def of(cls, paths: Sequence[str], spool: str) -> Feeds:
        """Begin to copy the pipes among paths."""
        feeds = tuple(Feed(path, spool) for path in dict.fromkeys(paths) if any_pipe([path]))
        return cls({feed.path: feed.told for feed in feeds}, feeds)

    @property
    def ended(self) -> bool:
        """Whether there are pipes, and all have ended."""
        return bool(self.feeds) and all(feed.told()[1] for feed in self.feeds)

    def trim(self, path: str, end: int) -> None:
        """Let go of the disk that the first bytes of a pipe take, but for its beginning; the others stay in place."""
        for feed in self.feeds:
            if feed.path == path and end > _BEGINNING:
                feed.trim(end)

    def close(self) -> None:
        """Stop copying."""
        for feed in self.feeds:
            feed.stop()


class Feed:
    """One pipe, copied by a thread until it ends."""

    def __init__(self, path: str, spool: str) -> None:
        self.path = path
        source = Source(path, pipe=True)
        self._file = copy_of(source, spool) or ""
        self._ended = self._stopped = False
        with open(self._file, "wb"):
            pass
        threading.Thread(target=self._copy, args=(source,), daemon=True).start()

    def told(self) -> tuple[str, bool]:
        """Return the file, and whether no more comes."""
        return self._file, self._ended

    def trim(self, end: int) -> None:
        """Punch a hole into the file, where the system can; Python has no call for it."""
        with suppress(OSError, AttributeError), open(self._file, "r+b") as file:
            call = ctypes.CDLL(None, use_errno=True).fallocate64
            call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
            call(file.fileno(), _PUNCH_HOLE | _KEEP_SIZE, _BEGINNING, end - _BEGINNING)

    def stop(self) -> None:
        """Take no more, and let go of the file."""
        self._stopped = True

    def _copy(self, source: Source) -> None:
        with suppress(OSError, ValueError), open(self._file, "ab", buffering=0) as out:
            raw = raw_of(source)
            while not self._stopped and (data := os.read(raw.fileno(), _AT_ONCE)):
                out.write(data)
        self._ended = True
