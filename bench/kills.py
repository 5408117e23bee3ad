"""Kill `report` and `watch` at random moments while logs are written and rotated: is anything lost or doubled?

    python -m bench.kills report 200        (or watch)

A writer appends to logs in odd pieces and rotates them as logrotate does (rename, copy and truncate, compress). Against
it one run after the other is started and killed (SIGKILL) at a random moment. At the end a last run, that is let live,
must say what one batch run over all files says, to the byte but for the time of the run.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_START = 1_763_900_000
_ALONE = {"OPENBLAS_NUM_THREADS": "1"}  # a process that forks has no threads of its own
_LONGEST_S = 4.0
_PODS = ("pod-a", "pod-b", "pod-c")
_CHILD = """
import json, os, sys
import cachelog.pipeline, cachelog.following.runs, cachelog.cli.watch, cachelog.cli.report, cachelog.following.history
from cachelog.cli import app, watch
cachelog.pipeline.detectors(), cachelog.pipeline.dialects(), cachelog.pipeline.envelopes()
watch._COMMIT_S, watch._POLL_S, watch._JUDGE_S = 0.1, 0.02, 0.1
for line in sys.stdin:
    arguments, out = json.loads(line)
    pid = os.fork()
    if not pid:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
        os._exit(app.run(arguments))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass
class Writer:
    """Writes and rotates logs of a few pods in a folder until it is stopped; `lines` counts what it wrote."""

    folder: Path
    seed: int
    pause: float = 0.002
    lines: int = 0
    rotations: dict[str, int] = field(default_factory=lambda: {"rename": 0, "truncate": 0, "compress": 0})
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Write until `stop` is set."""
        dice = random.Random(self.seed)
        while not self.stop.is_set():
            pod = dice.choice(_PODS)
            self._write(self.folder / f"{pod}.log", pod, dice)
            if dice.random() < 0.05:
                self._rotate(self.folder / f"{dice.choice(_PODS)}.log", dice)
            time.sleep(self.pause * dice.random() * 2)

    def _write(self, path: Path, pod: str, dice: random.Random) -> None:
        many = dice.randrange(1, 40)
        text = "".join(_line(self.lines + at, pod) for at in range(many))
        cut = dice.randrange(len(text)) if dice.random() < 0.5 else len(text)
        with path.open("a") as out:
            out.write(text[:cut])
            out.flush()
            if cut < len(text):
                time.sleep(self.pause * dice.random())
                out.write(text[cut:])
        self.lines += many

    def _rotate(self, path: Path, dice: random.Random) -> None:
        if not path.exists() or not path.stat().st_size:
            return
        for old in sorted(path.parent.glob(path.name + ".*"), key=_age, reverse=True):
            ending = ".gz" if old.suffix == ".gz" else ""
            old.rename(path.with_name(f"{path.name}.{_age(old) + 1}{ending}"))
        first = path.with_name(path.name + ".1")
        if dice.random() < 0.5:
            path.rename(first)
            self.rotations["rename"] += 1
        else:
            shutil.copyfile(path, first)
            os.truncate(path, 0)
            self.rotations["truncate"] += 1
        second = path.with_name(path.name + ".2")
        if second.exists() and dice.random() < 0.5:
            packed = path.with_name(path.name + ".2.gz")
            with second.open("rb") as plain, gzip.open(packed, "wb") as out:
                shutil.copyfileobj(plain, out)
            second.unlink()
            self.rotations["compress"] += 1


def _age(path: Path) -> int:
    return int(path.name.removesuffix(".gz").rpartition(".")[2])


def _line(number: int, pod: str) -> str:
    version = "v1" if number < 3_000 or pod == "pod-a" else "v2"
    said = {"ts": _START + number / 100, "pod": pod, "model": "fraud", "version": version, "key": f"k{number % 97}"}
    if number % 1_000 == 1:
        return json.dumps({**said, "event": "model_loaded"}) + "\n"
    result = "miss" if number % 7 == 0 else "hit"
    return json.dumps({**said, "event": "cache_lookup", "result": result}) + "\n"


@dataclass(frozen=True)
class Outcome:
    """How it ended: what was written and rotated, how many runs were killed, and both answers."""

    lines: int
    rotations: dict[str, int]
    killed: int
    steps: int  # that were made lasting before the last run
    followed: dict[str, object]
    batch: dict[str, object]


def killed(command: str, kills: int, seed: int, folder: Path, pause: float = 0.002, longest: float = 1.0) -> Outcome:
    """Kill runs of a command while logs are written into a folder; return what the last run and a batch run say."""
    dice = random.Random(seed)
    logs, state = folder / "logs", folder / "state" / "s.json"
    logs.mkdir(parents=True)
    state.parent.mkdir()
    writer = Writer(logs, seed, pause)
    thread = threading.Thread(target=writer.run)
    thread.start()
    with _Runs(folder / "out") as runs:
        try:
            _kill(runs, [command, str(logs), "--state", str(state)], kills, (dice, longest))
        finally:
            writer.stop.set()
            thread.join()
        steps = int(json.loads(state.read_text())["named"]) if state.exists() else 0
        followed = _last(runs, command, logs, state)
        batch = json.loads(runs.answer(["analyze", str(logs), "--no-cache", "--format", "json"]))
    return Outcome(writer.lines, writer.rotations, kills, steps, followed, batch)


def _kill(runs: _Runs, arguments: list[str], kills: int, dice: tuple[random.Random, float]) -> None:
    """Kill so many runs; the time they get follows the time they need, so that some are killed late and some end."""
    chance, span = dice
    while kills:
        if runs.kill(arguments, chance.random() * span):
            kills, span = kills - 1, min(span * 1.1, _LONGEST_S)
        else:
            span *= 0.8


class _Runs:
    """Runs of the command line, each forked off a process that has loaded it: most moments are those of its work."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | _ALONE
        )

    def __enter__(self) -> _Runs:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def kill(self, arguments: list[str], after: float) -> bool:
        """Start a run and kill it some seconds later; return whether it still ran."""
        said = self._started(arguments, os.devnull)
        pid = int(said.readline())
        if not select.select([said], [], [], after)[0]:
            os.kill(pid, signal.SIGKILL)
        return self._ended(said) != 0

    def answer(self, arguments: list[str]) -> str:
        """Return what a run says that is let live."""
        self._out.unlink(missing_ok=True)
        said = self._started(arguments, str(self._out))
        said.readline()
        if self._ended(said):
            raise RuntimeError(f"{arguments[0]} was killed")
        return self._out.read_text()

    def _started(self, arguments: list[str], out: str) -> IO[bytes]:
        given, said = self._process.stdin, self._process.stdout
        assert given is not None
        assert said is not None
        given.write(json.dumps([arguments, out]).encode() + b"\n")
        given.flush()
        return said

    def _ended(self, said: IO[bytes]) -> int:
        code = int(said.readline())
        if code not in (0, -signal.SIGKILL):
            raise RuntimeError(f"exit {code}")
        return code


def _last(runs: _Runs, command: str, logs: Path, state: Path) -> dict[str, object]:
    asked = [command, str(logs), "--state", str(state)]
    if command == "report":
        found: dict[str, object] = json.loads(runs.answer([*asked, "--format", "json"]))
        return {name: value for name, value in found.items() if name != "run"}
    ran = runs.answer([*asked, "--format", "jsonl", "--until-eof"])
    told: dict[str, object] = json.loads(ran.splitlines()[-1])["report"]
    return told


def _first_apart(followed: object, batch: object) -> str:
    """Return where two answers differ first."""
    if isinstance(followed, list) and isinstance(batch, list) and len(followed) == len(batch):
        pairs = zip(followed, batch, strict=True)
        return next((_first_apart(one, other) for one, other in pairs if one != other), "")
    return f"{str(followed)[:1000]} is no {str(batch)[:1000]}"


def main(arguments: list[str]) -> int:
    """Run it and say how it ended."""
    command, kills = arguments[0], int(arguments[1])
    seed = int(arguments[2]) if len(arguments) > 2 else 1
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        found = killed(command, kills, seed, Path(folder), pause=0.02)
    same = found.followed == found.batch
    seconds = time.monotonic() - begun
    print(f"{command}: {found.killed} kills in {seconds:.0f} s, {found.steps} lasting steps")
    print(f"{found.lines:,} lines, rotations {found.rotations}")
    print("what it says at the end is what one batch run says" if same else "DIFFERENT")
    for name in () if same else found.batch:
        if found.followed[name] != found.batch[name]:
            print(name, _first_apart(found.followed[name], found.batch[name]), sep=": ")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
