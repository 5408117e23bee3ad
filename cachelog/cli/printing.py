"""Out of the program: standard output, files, and what the reader's screen can show."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from cachelog.cli.options import Colour, Output
from cachelog.contract.errors import UsageError

if TYPE_CHECKING:
    from cachelog.render.page import Look


class ReaderGone(Exception):
    """Nobody reads standard output any more (exit 141); no OSError, for Typer turns a broken pipe into exit 1."""


_PIPED = 100  # cells of a page that no screen shows


def look(output: Output) -> Look:
    """Return what standard output, or the file asked for, can show: option before environment before terminal."""
    from cachelog.render.page import Look

    terminal = output.output is None and sys.stdout.isatty()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Look(
        width=_width(terminal),
        colour=_coloured(output.color, terminal),
        ascii_only=output.ascii or (output.output is None and encoding not in ("utf8", "utf_8")),
        bars=terminal,
    )


def _width(terminal: bool) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size((_PIPED, 24)).columns if terminal else _PIPED


def _coloured(asked: Colour, terminal: bool) -> bool:
    """See no-color.org and force-color.org."""
    if asked is not Colour.AUTO:
        return asked is Colour.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def put(text: str, output: Output) -> None:
    """Write text to standard output, or to the file asked for, whole or not at all; raises UsageError."""
    ended = text if text.endswith("\n") or not text else text + "\n"
    if output.output is None:
        try:
            sys.stdout.write(ended)
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        return
    try:
        write_whole(output.output, ended)
    except OSError as error:
        raise UsageError(f"cannot write {output.output!r}: {error.strerror}") from None


def write_whole(path: str, text: str, mode: int = 0o666) -> None:
    """Write a temporary file beside `path` and rename it, so that nobody sees half of it; raises OSError."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".cachelog-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)
        os.chmod(temporary, mode & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    """Return the user's mask, which can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def say(message: str, to: TextIO | None = None) -> None:
    """Write a message to standard error, in what its encoding can show and without control characters."""
    stream = to or sys.stderr
    plain = "".join(c if c.isprintable() else "?" for c in message)
    encoding = stream.encoding or "ascii"
    stream.write(plain.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
