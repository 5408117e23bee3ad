"""cachelog report: what is new since the last run, silence when nothing is, one run at a time."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cachelog import demo
from cachelog.cli import publishing
from cachelog.cli.app import run
from cachelog.cli.locking import only_one
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Confidence, Finding, Report, Severity
from cachelog.contract.standing import News, Run, compared, told
from cachelog.following import history, runs
from cachelog.following.session import Session
from cachelog.render import digest

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    demo.write(folder)
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))
    return folder


def report(logs: Path, *options: str) -> int:
    return run(["report", str(logs), "--state", str(logs.parent / "state.json"), *options])


def finding(name: str, severity: Severity) -> Finding:
    said = {"title": f"{name} is wrong", "summary": "", "confidence": Confidence.HIGH, "fingerprint": name, "id": name}
    return Finding(rule="new-keys", severity=severity, **said)


def test_findings_are_new_then_known_then_worse_then_resolved():
    low, info = finding("a", Severity.LOW), finding("i", Severity.INFO)
    first = compared((), [low, info])
    assert first == News(new=(low,))
    noted = told((), first, NOW)
    assert compared(noted, [low]) == News(known=(low,))
    high = replace(low, severity=Severity.HIGH)
    worse = compared(noted, [high])
    assert worse == News(worse=(high,))
    later = told(noted, worse, NOW + timedelta(hours=1))
    assert (later[0].severity, later[0].first_seen, later[0].runs) == (Severity.HIGH, NOW, 2)
    assert compared(later, [low]) == News(known=(low,))  # better again is no news
    assert compared(later, []) == News(resolved=later)
    assert told(later, compared(later, []), NOW) == ()
    assert compared(later, [], whole=False) == News()
    assert told(later, News(), NOW) == later


def test_an_effect_that_got_worse_is_told_with_its_cause():
    cause, other = finding("F1", Severity.HIGH), finding("F4", Severity.LOW)
    effect, quiet = (replace(finding(name, Severity.HIGH), caused_by="F1") for name in ("F2", "F3"))
    found = (cause, effect, quiet, other)
    whole = Report(tool={}, partial=False, start=None, end=None, inputs=(), limits=(), models=(), findings=found)
    news = News(worse=(effect,), known=(cause, quiet, other))
    assert digest.told(whole, news) == [cause, effect]
    assert digest.notes(whole, news) == ["worse: F2 F2 is wrong, an effect of F1 (known): F1 is wrong"]
    page = digest.render(whole, news, Run(number=2, at=NOW, seconds=1.0, lines=1, bytes=1, inputs=1))
    assert "F3 is wrong" in page
    assert "F1 is wrong" not in page  # its card stands above


def test_the_second_run_is_silent_and_says_known_when_it_is_asked_for_all(logs, capsys):
    assert report(logs, "--quiet-unless", "new") == 0
    first = capsys.readouterr()
    assert first.out.startswith("first look: 3 new; 4,390 new lines")
    assert "version-regression" not in first.err
    assert report(logs, "--quiet-unless", "new", "--fail-on", "low") == 0
    assert capsys.readouterr() == ("", "")
    assert report(logs, "--quiet-unless", "any", "--fail-on", "low") == 1
    assert "3 known; 0 new lines" in capsys.readouterr().out
    assert report(logs, "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["run"]["number"], said["run"]["known"]) == (
        "cachelog.report/1",
        4,
        ["F1", "F2", "F3"],
    )


def test_what_is_gone_is_resolved_once(logs, capsys):
    report(logs)
    state = logs.parent / "state.json"
    said = json.loads(state.read_text())
    gone = {**said["notes"]["told"][0], "fingerprint": "0" * 16, "title": "old trouble"}
    said["notes"]["told"].append(gone)
    state.write_text(json.dumps(said))
    capsys.readouterr()
    report(logs)
    assert "resolved\n" in (out := capsys.readouterr().out)
    assert "old trouble (since" in out
    report(logs)
    assert "old trouble" not in capsys.readouterr().out


def test_news_that_could_not_be_told_is_told_by_the_next_run(logs, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise UsageError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "save", full)
        assert report(logs, "-o", str(logs.parent / "x.json")) == 2
    assert report(logs) == 0
    assert "first look: 3 new; 0 new lines" in capsys.readouterr().out


def test_files_are_written_also_when_there_is_nothing_to_tell(logs, capsys):
    prom, sarif = logs.parent / "cachelog.prom", logs.parent / "c.sarif"
    report(logs)
    capsys.readouterr()
    assert report(logs, "--quiet-unless", "new", "-o", str(prom), "-o", str(sarif), "--format", "text") == 0
    assert capsys.readouterr() == ("", "")
    metrics = dict(line.rsplit(" ", 1) for line in prom.read_text().splitlines() if line[0] != "#")
    assert float(metrics["cachelog_last_run_timestamp_seconds"]) > 1.7e9
    assert metrics["cachelog_last_run_input_lines"] == "0"
    assert metrics['cachelog_findings_by_standing{standing="known"}'] == "3"
    states = {result["baselineState"] for result in json.loads(sarif.read_text())["runs"][0]["results"]}
    assert states == {"unchanged"}


def test_a_second_run_at_the_same_time_says_so_and_does_nothing(logs, capsys):
    with only_one(str(logs.parent / "state.json")):
        assert report(logs) == 3
        out, err = capsys.readouterr()
    assert out == ""
    assert f"another run has the state '{logs.parent}/state.json' (process {os.getpid()}); this one did nothing" in err
    assert not (logs.parent / "state.json").exists()
    assert report(logs) == 0


def test_time_that_is_over_leaves_the_rest_to_the_next_run(logs, capsys, monkeypatch):
    take, slow = Session.take, iter([1.2])

    def taken(session: Session):
        found = take(session)
        time.sleep(next(slow, 0) and 0.2)
        return replace(found, more=True) if found.lines else found

    monkeypatch.setattr(Session, "take", taken)
    monkeypatch.setattr(runs, "_LEAST", 0.0001)
    with Session.opened([str(logs)], runs_options()) as session:
        session.journal.notes["judged"] = 1e9
        result = runs.run(session, NOW, 1.0)
    assert result.run.partial == "--max-seconds 1 was over before all was read"
    assert result.report.partial
    assert result.news.resolved == ()
    assert "the next run goes on from there" in result.report.limits[-1].what


def runs_options():
    from cachelog.pipeline import Options

    return Options()


def test_runs_leave_a_history_and_a_trend(logs, capsys):
    assert report(logs, "--trend") == 3
    assert "no run yet" in capsys.readouterr().out
    report(logs)
    report(logs)
    capsys.readouterr()
    assert report(logs, "--trend") == 0
    out = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in out[:3]] == ["run", "1", "2"]
    assert "15.7%" in out[1]
    assert out[3].startswith("recommender")
    rows = history.read(history.path_of(str(logs.parent / "state.json")))
    assert rows.select("run", "model", "lookups", "lines").rows() == [
        (1, None, 4375, 4390),
        (1, "recommender", 4375, 4390),
        (2, None, 4375, 0),
        (2, "recommender", 4375, 0),
    ]


def test_a_run_that_died_after_its_history_does_not_count_twice(tmp_path):
    path = str(tmp_path / "h.parquet")
    one = runs.Run(number=1, at=NOW, seconds=1.0, lines=5, bytes=50, inputs=1)
    for lines in (5, 7):
        history.append(path, history.rows(replace(one, lines=lines), News(), ()))
    assert history.read(path)["lines"].to_list() == [7]


def test_state_is_found_again_by_the_paths_and_is_the_users_alone(logs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert run(["report", str(logs)]) == 0
    assert run(["report", f"{logs}/../logs", "--quiet-unless", "new"]) == 0
    assert "3 new" in capsys.readouterr().out
    (state,) = (tmp_path / "xdg" / "cachelog").glob("report-*.json")
    for path in state.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-"], "standard input cannot be gone on with"),
        ([], "name log files, folders or globs"),
        (["logs", "--keep", "soon"], "give one like 90s, 10m, 24h or 7d"),
    ],
)
def test_what_makes_no_sense_is_refused(options, says, capsys):
    assert run(["report", *options]) == 2
    assert says in capsys.readouterr().err


def test_without_any_event_there_is_too_little_to_say(tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("nothing of interest\n")
    assert report(tmp_path / "logs", "--quiet-unless", "new") == 3
    assert capsys.readouterr().out == ""


def test_ctrl_c_ends_reading_and_nothing_is_lost(logs, capsys, monkeypatch):
    take = Session.take

    def interrupted(session: Session):
        os.kill(os.getpid(), signal.SIGINT)
        return replace(take(session), more=True)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "take", interrupted)
        assert report(logs, "--format", "json") == 130
    said = json.loads(capsys.readouterr().out)
    assert (said["partial"], said["run"]["partial"]) == (True, "interrupted")
    assert report(logs, "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["partial"], said["models"][0]["lookups"]) == (False, 4375)


def test_who_wants_silence_unless_there_is_news_gets_the_news_whatever_is_written(logs, capsys, tmp_path):
    report(logs, "--quiet-unless", "new", "-o", str(tmp_path / "m.prom"))
    assert "first look: " in capsys.readouterr().out
    report(logs, "--quiet-unless", "new", "-o", str(tmp_path / "m.prom"))
    assert capsys.readouterr().out == ""


def test_a_state_in_a_folder_that_is_not_there_is_a_typo(logs, tmp_path, capsys):
    assert run(["report", str(logs), "--state", str(tmp_path / "no" / "state.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err
