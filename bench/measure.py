"""Runs commands in alternation and measures each as a whole process: wall, CPU and peak memory.

The peak that Linux gives for a child is never below what its parent held when it was started, so whoever measures
imports nothing heavy (tests/test_bench.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall and of CPU (user and system), peak resident megabytes, and what it printed."""

    wall: float
    cpu: float
    peak: float
    out: str


@dataclass(frozen=True)
class Command:
    """A command under a name, with variables of its environment, and what is done, unmeasured, before each run."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None


def run(command: Command) -> Run:
    """Run a command to its end; raises RuntimeError when it fails."""
    if command.before:
        command.before()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **command.environment}
        process = subprocess.Popen(command.arguments, stdout=out, stderr=err, env=environment, cwd=ROOT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command.name} ended with {process.returncode}: {err.read()[-2000:]}")
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / unit, out.read())


def alternate(commands: Sequence[Command], rounds: int) -> dict[str, list[Run]]:
    """Run every command once a round, in turn, so that what else the machine does falls on all alike.

    A first run of each, which fills the page cache and compiles modules, does not count.
    """
    for command in commands:
        run(command)
    runs: dict[str, list[Run]] = {command.name: [] for command in commands}
    for _ in range(rounds):
        for command in commands:
            runs[command.name].append(run(command))
    return runs
