"""The habits: lint, format and types, run by the one test command."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--check", "--no-cache", "."),
        ("mypy", "--no-error-summary"),
    ],
    ids=["lint", "format", "types"],
)
def test_the_code_keeps_the_habits(command):
    ran = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]


def functions():
    for path in sorted((ROOT / "cachelog").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield path.relative_to(ROOT), node.name, (node.end_lineno or 0) - node.lineno + 1


def test_functions_are_short():
    found = list(functions())
    assert [f for f in found if f[2] > 50] == []
    assert sum(lines <= 15 for *_, lines in found) > len(found) / 2
