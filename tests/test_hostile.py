"""A hostile folder: no traceback, an exit code of the contract, every line counted, nothing that moves a terminal."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading

import pytest

T = "2026-11-20T12:%02d:%02dZ"
ESCAPES = "\x1b[31mred\x1b]0;owned\x07\x9b2J\u202egnp.exe\u2066\u200b[bold]::error::x|<script>"
CODES = {0, 1, 2, 3, 4}


def cachelog(*arguments, given=None, **env):
    return subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-m", "cachelog", *map(str, arguments)],
        input=given, capture_output=True, timeout=120, check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | env,
    )  # fmt: skip


def line(i, model="m", **more):
    fields = {
        "ts": T % (i // 60 % 60, i % 60),
        "event": "cache_lookup",
        "result": "hit" if i % 3 else "miss",
        "model": model,
    }
    return json.dumps(fields | {"pod": "p", "version": "1"} | more)


def deep(levels):
    return '{"a":' * levels + "1" + "}" * levels


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "random.bin").write_bytes(random.Random(1).randbytes(500_000))
    (folder / "empty.log").write_bytes(b"")
    (folder / "bomb.json").write_text(deep(200_000) + "\n" + line(1) + "\n" + "[" * 100_000 + "\n")
    (folder / "long.log").write_bytes(b'{"event":"' + b"x" * (20 << 20) + b"\n" + line(2).encode() + b"\n")
    (folder / "escapes.log").write_text(
        "\n".join(line(i, model=ESCAPES, pod=ESCAPES, version=ESCAPES) for i in range(300))
    )
    (folder / "good.log").write_text("\n".join(line(i) for i in range(300)))
    (folder / "gone.log").symlink_to(folder / "was-never-here")
    (folder / "loop").symlink_to(folder)
    (folder / "locked").mkdir()
    (folder / "locked" / "a.log").write_text(line(3))
    (folder / "locked").chmod(0)
    os.mkfifo(folder / "pipe")
    tiny = folder / "tiny"
    tiny.mkdir()
    for i in range(2000):
        (tiny / f"{i}.log").write_text(line(i) + "\n")
    yield folder
    (folder / "locked").chmod(0o700)


def test_everything_is_counted_and_nothing_is_fatal(hostile, tmp_path):
    ran = cachelog(hostile, "--format", "json", XDG_STATE_HOME=str(tmp_path))
    assert ran.returncode in CODES
    assert b"Traceback" not in ran.stderr
    report = json.loads(ran.stdout)
    for item in report["inputs"]:
        assert item["lines"] == item["events"] + item["quiet"] + item["joined"] + item["unclaimed"] + item["bad"]
    lookups = {row["model"]: row["lookups"] for row in report["models"]}
    assert lookups["m"] >= 300 + 2000 + 2
    assert sum(lookups.values()) == lookups["m"] + 300
    said = " ".join(limit["what"] for limit in report["limits"])
    assert "not a regular file" in said
    assert "No such file" in said


@pytest.mark.parametrize("command", [[], ["check"], ["inspect"], ["--ascii"]])
def test_nothing_in_a_log_moves_the_terminal(hostile, command, tmp_path):
    ran = cachelog(*command, hostile / "escapes.log", XDG_STATE_HOME=str(tmp_path))
    assert ran.returncode in CODES
    shown = ran.stdout.decode()
    assert shown
    assert not [
        c for c in shown if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or ord(c) in (0x202E, 0x2066, 0x200B)
    ]
    assert "--ascii" not in command or shown.isascii()


def test_a_file_that_vanishes_between_reading_and_citing_costs_only_its_text(tmp_path, monkeypatch):
    from cachelog import pipeline

    sample = tmp_path / "logs"
    import shutil
    from pathlib import Path

    shutil.copytree(Path(__file__).parent.parent / "sample-logs" / "stale-replica", sample)
    cited = pipeline._cited

    def vanish(findings, sources, spool):
        for path in sample.iterdir():
            path.unlink()
        return cited(findings, sources, spool)

    monkeypatch.setattr(pipeline, "_cited", vanish)
    report = pipeline.analyze([str(sample)])
    assert report.findings
    assert all(e.path and e.line for f in report.findings for e in f.evidence)


def test_logs_are_never_taken_for_options_or_commands(tmp_path):
    (tmp_path / "--format=json").write_text(line(1))
    (tmp_path / "check").write_text(line(1))
    ran = subprocess.run(
        [sys.executable, "-m", "cachelog", "analyze", "--", "--format=json", "./check"], cwd=tmp_path, capture_output=True,
        text=True, check=False, env=os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")},
    )  # fmt: skip
    assert ran.returncode == 0
    assert "2 lookups" in ran.stdout


def test_a_fifo_that_is_named_is_read(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    body = "\n".join(line(i) for i in range(100)) + "\n"
    writer = threading.Thread(target=lambda: path.write_text(body))
    writer.start()
    ran = cachelog(path, "--format", "json", XDG_STATE_HOME=str(tmp_path))
    writer.join()
    assert json.loads(ran.stdout)["models"][0]["lookups"] == 100
