"""cachelog watch: findings as they arise, corrected by what comes late; its last word is that of `analyze`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from cachelog import demo
from cachelog.cli import watch
from cachelog.cli.app import run
from cachelog.contract.finding import Confidence, Evidence, Finding, Severity
from cachelog.following.announce import Announcer, Kind
from cachelog.following.session import Session

RULE = "version-regression"


def finding(severity: Severity = Severity.HIGH, *replicas: str, model: str = "m") -> Finding:
    mark = f"{model}{replicas}"
    said = {"title": "t", "summary": "", "confidence": Confidence.HIGH, "fingerprint": mark, "model": model}
    return Finding(rule=RULE, severity=severity, replicas=replicas, **said)


def kinds(notes) -> list[Kind]:
    return [note.kind for note in notes]


def test_a_finding_is_told_when_two_looks_found_it_and_once():
    announcer = Announcer()
    assert announcer.look([finding()]) == []
    assert announcer.waiting
    assert kinds(announcer.look([finding()])) == [Kind.FOUND]
    assert announcer.look([finding()]) == []
    assert not announcer.waiting


def test_what_comes_and_goes_at_the_end_of_the_log_is_never_told():
    announcer = Announcer()
    for found in ([finding()], [], [finding()], []):
        assert announcer.look(found) == []
    assert announcer.look([], last=True) == []


def test_a_change_of_severity_or_replicas_and_the_end_are_told_and_numbers_are_not():
    announcer = Announcer()
    announcer.look([finding(Severity.HIGH, "a")], last=True)
    assert announcer.look([replace(finding(Severity.HIGH, "a"), summary="other numbers")]) == []
    worse = finding(Severity.CRITICAL, "a", "b")
    assert announcer.look([worse]) == []
    (note,) = announcer.look([worse])
    assert (note.kind, note.finding, note.before.severity) == (Kind.CHANGED, worse, Severity.HIGH)
    assert announcer.look([]) == []
    assert kinds(announcer.look([])) == [Kind.WITHDRAWN]
    assert kinds(announcer.look([worse], last=True)) == [Kind.FOUND]


def test_information_and_what_is_below_the_level_is_not_told():
    announcer = Announcer(Severity.HIGH)
    found = [finding(Severity.INFO), finding(Severity.MEDIUM, model="n"), finding(model="o")]
    assert [n.finding.model for n in announcer.look(found, last=True)] == ["o"]


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    demo.write(folder)
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))
    return folder


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(watch, "_POLL_S", 0.01)
    monkeypatch.setattr(watch, "_IDLE_S", 0.01)
    monkeypatch.setattr(watch, "_JUDGE_S", 0.0)
    monkeypatch.setattr(watch, "_JUDGE_SHARE", 0.0)


def told(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_the_last_word_is_that_of_analyze(logs, capsys, hasty):
    assert run(["watch", str(logs), "--until-eof", "--format", "jsonl", "--fail-on", "high"]) == 1
    notes = told(capsys.readouterr().out)
    assert run(["analyze", str(logs), "--format", "json"]) == 0
    assert notes[-1]["report"] == json.loads(capsys.readouterr().out)
    assert [note["kind"] for note in notes] == ["found", "found", "found", "report"]
    assert notes[0]["finding"]["rule"] == "version-regression"


def test_findings_are_told_while_the_log_is_written_and_rotated(logs, tmp_path, capsys, hasty, monkeypatch):
    folder = tmp_path / "live"
    folder.mkdir()
    texts = {path.name: path.read_text().splitlines(keepends=True) for path in logs.iterdir()}
    stamps = [json.loads(row)["ts"] for row in texts["lookups.jsonl"]]
    ends = [*(stamps[part * len(stamps) // 8] for part in range(1, 8)), "3"]
    parts, take = iter(range(8)), Session.take

    def grown(session: Session):
        if (part := next(parts, None)) is not None:
            for name, rows in texts.items():
                begun = ends[part - 1] if part else ""
                with (folder / name).open("a") as out:
                    out.write("".join(row for row in rows if begun <= json.loads(row)["ts"] < ends[part]))
            if part == 5:
                (folder / "lookups.jsonl").rename(folder / "lookups.jsonl.1")
        return take(session)

    monkeypatch.setattr(Session, "take", grown)
    options = ["--until-eof", "--format", "jsonl", "--state", str(tmp_path / "s.json")]
    assert run(["watch", str(folder), *options]) == 0
    notes = told(capsys.readouterr().out)
    run(["analyze", str(folder), "--format", "json"])
    assert notes[-1]["report"] == json.loads(capsys.readouterr().out)
    first = next(note for note in notes if note["finding"]["rule"] == RULE)
    assert first["at"] < notes[-1]["at"]  # before the log ended


def test_standard_input_is_followed_to_its_end_and_ctrl_c_ends_with_the_answer(logs):
    text = "".join((logs / name).read_text() for name in ("models.jsonl", "lookups.jsonl"))
    command = [sys.executable, "-m", "cachelog", "watch", "--format", "jsonl"]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    report = told(ran.stdout)[-1]["report"]
    assert (report["inputs"][0]["path"], report["inputs"][0]["lines"]) == ("-", text.count("\n"))
    assert report["findings"][0]["evidence"][0]["text"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(text)
        process.stdin.flush()
        first = process.stdout.readline()  # told while the pipe is open
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert json.loads(first)["kind"] == "found"
    assert told(rest)[-1]["report"]["models"] == report["models"]


def test_a_line_of_text_tells_what_changed():
    from cachelog.render import live

    before, now = finding(Severity.HIGH, "a"), finding(Severity.CRITICAL, "a")
    assert "was high: t (version-regression of m, on a)" in live.line("changed", now, before, None)
    assert "now on 2 replicas: t" in live.line("changed", finding(Severity.HIGH, "a", "b"), before, None)
    assert "withdrawn: t" in live.line("withdrawn", before, before, None)


def test_a_line_of_text_names_rule_model_versions_replicas_and_the_first_line_that_proves_it():
    from cachelog.render import live
    from cachelog.render.page import Look

    cited = (
        Evidence(0, 7, None, "older version loaded", "logs/a.log", ""),
        Evidence(0, 9, None, "x", "logs/a.log", ""),
    )
    one = replace(finding(Severity.HIGH, "a", "b", "c", "d"), version_from="10", version_to="9", evidence=cited)
    where = "version-regression of m, 10 -> 9, on a, b, c and 1 more; logs/a.log:7"
    assert live.line("found", one, None, None, Look(ascii_only=True)) == f"! HIGH t ({where})\n"
    cause = replace(one, rule="replica-restart", model=None)
    assert "; effect of replica-restart; logs/a.log:7" in live.line("found", one, None, None, cause=cause)
    evil = replace(one, replicas=("\x1b[31mevil\n",), evidence=(replace(cited[0], path="a\nb" * 200),))
    assert live.line("found", evil, None, None).count("\n") == 1
    assert "\x1b" not in live.line("found", evil, None, None)


def test_the_view_shows_hostile_names_as_text(tmp_path):
    from cachelog.pipeline import analyze
    from cachelog.render import live
    from cachelog.render.page import Look

    row = {
        "event": "cache_lookup",
        "result": "miss",
        "model": "\x1b[31m[red]evil\u202e",
        "pod": "p",
        "ts": 1_763_640_000,
    }
    (tmp_path / "a.log").write_text(json.dumps(row) + "\n")
    seen = live.view(analyze([str(tmp_path / "a.log")]), (1, 100), Look(80))
    assert "[red]evil" in seen
    assert "\x1b[31m" not in seen
    assert "\u202e" not in seen
