"""README is true: its example is what the program says, its commands and options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cachelog.cli import app
from cachelog.rooms import detectors

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def example() -> tuple[str, str]:
    """The command of the example, and what README says it prints."""
    block = README.split("<!-- example -->\n```console\n$ ", 1)[1].split("\n```", 1)[0]
    command, _, printed = block.partition("\n")
    return command, printed


def test_the_example_is_what_the_program_prints(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    command, printed = example()
    assert app.run(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out.rstrip("\n") == printed


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"`(?:[^`|]*\\\| )?cachelog ([^`|]*)", README.split("## Use")[1])))
)
def test_every_command_of_the_readme_is_one(command):
    words = shlex.split(command)
    assert words[0] in app.COMMANDS or "/" in words[0]
    named = words[0] if words[0] in app.COMMANDS else "analyze"
    registered = next(c for c in app.app.registered_commands if c.name == named)
    known = {p.replace("_", "-") for p in registered.callback.__annotations__}
    assert {w[2:] for w in words if w.startswith("--")} <= known
    assert named != "explain" or words[1] in detectors()


def test_there_are_exactly_two_set_up_commands():
    setup = README.split("## Set up")[1].split("## Use")[0]
    assert len(re.findall(r"```sh\n(.+?)\n```", setup, re.S)) == 2


def test_ci_runs_the_test_command_of_the_readme():
    assert "<!-- test command -->" in README
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text()
