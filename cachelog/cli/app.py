"""The entry point: which command, and every way to end with the exit code of CONTRACT."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cachelog.cli import (
    analyze,
    cache,
    check,
    demo,
    explain,
    formats,
    inspect,
    process,
    report,
    shards,
    show,
    verify,
    watch,
)
from cachelog.cli.naming import nearest
from cachelog.cli.options import flat
from cachelog.cli.printing import ReaderGone, emit, say
from cachelog.cli.refusals import plainly
from cachelog.contract.errors import UsageError

app = typer.Typer(
    name="cachelog",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the time, and no boxes where it is piped
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = (analyze.analyze, check.check, show.show, inspect.inspect, explain.explain, explain.rules, formats.formats)
_STAGES = (shards.stage, shards.detect, shards.merge)
for _command in (*_COMMANDS, verify.verify, report.report, watch.watch, demo.demo, cache.cache, *_STAGES):
    app.command(_command.__name__)(flat(_command))

COMMANDS = frozenset(c.name or "" for c in app.registered_commands)
_OWN = ("-h", "--help", "--version", "--install-completion", "--show-completion")


def _version(asked: bool) -> None:
    if asked:
        import cachelog
        from cachelog.pipeline import engine

        print(f"cachelog {cachelog.__version__} (engine: {engine()})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and the engine.")
    ] = False,
) -> None:
    """Read the logs of a model-serving fleet and say, ranked and with proof, why its caches miss.

    `cachelog logs/` is `cachelog analyze logs/`.
    """


def main() -> None:
    """Run the command line and exit."""
    process.begin()
    process.end(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; nothing but a bug with --debug raises."""
    try:
        code = _run(arguments)
        emit("")  # what Typer wrote itself
        if code == 130:
            say("cachelog: interrupted")
        return code
    except UsageError as error:
        say(f"cachelog: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    except (ReaderGone, BrokenPipeError):
        return 141
    except Exception as error:
        if "--debug" in arguments:
            raise
        wish = "please report it with what the same command says with --debug"
        say(f"cachelog: a bug: {type(error).__name__}: {error}; {wish}")
        return 70


def _run(arguments: Sequence[str]) -> int:
    given = _with_command(arguments)
    try:
        code = app(given, prog_name="cachelog", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer keeps the classes of its usage errors to itself
            raise
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error, file=sys.stderr)
            return 2
        hint = f"; see `{context.command_path} --help`" if context else ""
        raise UsageError(f"{plainly(error.format_message().rstrip('.'))}{hint}") from None
    return code if isinstance(code, int) else 0


def _with_command(arguments: Sequence[str]) -> list[str]:
    """Put `analyze` before what names no command: `cachelog logs/`, `cachelog --since -1h logs/`, `... | cachelog`."""
    if not arguments:
        return [] if sys.stdin is None or sys.stdin.isatty() else ["analyze"]
    first = arguments[0]
    if first in COMMANDS or first.split("=")[0] in _OWN:
        return list(arguments)
    bare = not first.startswith("-") and not set(first) & set("/*?[") and not os.path.lexists(first)
    if bare and (near := nearest(first, COMMANDS)):
        raise UsageError(f"{first!r} is neither a command nor a path{near}")
    return ["analyze", *arguments]
