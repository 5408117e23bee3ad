"""Out of the program: standard output, files, and what the reader's screen can show."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from cachelog.cli.options import Colour, Output, Outputs
from cachelog.contract.errors import UsageError

if TYPE_CHECKING:
    from cachelog.render.page import Look


class ReaderGone(Exception):
    """Nobody reads standard output any more (exit 141); no OSError, for Typer turns a broken pipe into exit 1."""


_PIPED = 100  # cells of a page that no screen shows


def look(output: Output) -> Look:
    """Return what standard output, or the file asked for, can show: option before environment before terminal."""
    return looks(output, filed=output.output is not None)


def looks(output: Output | Outputs, *, filed: bool) -> Look:
    """Return what standard output, or else a file, can show."""
    from cachelog.render.page import Look

    terminal = not filed and sys.stdout.isatty()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Look(
        width=_width(terminal),
        colour=_coloured(output.color, terminal),
        ascii_only=output.ascii or (not filed and encoding not in ("utf8", "utf_8")),
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
        emit(ended)
    else:
        save(output.output, ended)


def emit(body: str | bytes) -> None:
    """Write to standard output: text in its encoding, bytes as they are; raises ReaderGone and UsageError."""
    try:
        if isinstance(body, str):
            sys.stdout.write(body)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(body)
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise UsageError(f"cannot write to standard output: {error.strerror}") from None


def save(path: str, body: str | bytes) -> None:
    """Write a file, whole or not at all; raises UsageError."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            _into_device(path, body)
        else:
            write_whole(os.path.realpath(path), body)
    except OSError as error:
        raise UsageError(f"cannot write {path!r}: {error.strerror}") from None


def _into_device(path: str, body: str | bytes) -> None:
    """Write to a pipe or /dev/null as it is: a file in its place would be something else."""
    with open(path, "wb") as out:
        out.write(body.encode() if isinstance(body, str) else body)


def write_whole(path: str, body: str | bytes, mode: int = 0o666) -> None:
    """Write a temporary file beside `path` and rename it, so that nobody sees half of it; raises OSError."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".cachelog-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(body.encode() if isinstance(body, str) else body)
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
    plain = "".join(c if c.isprintable() else "?" for c in message).replace("##[", "#?[")  # GitHub's runner obeys it
    encoding = stream.encoding or "ascii"
    stream.write(plain.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
