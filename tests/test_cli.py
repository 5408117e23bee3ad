"""The command line through its real entry point: answers, exit codes, messages."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cachelog.cli import app, running
from cachelog.cli.options import when
from cachelog.contract.errors import UsageError
from cachelog.rooms import detectors

ROOT = Path(__file__).parent.parent
STALE = str(ROOT / "sample-logs" / "stale-replica")
STEADY = str(ROOT / "sample-logs" / "steady")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    return state


@pytest.fixture
def run(capsys):
    def ran(*arguments):
        code = app.run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return ran


def process(*arguments, given=None, **env):
    return subprocess.run(
        [sys.executable, "-m", "cachelog", *arguments], input=given, capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | env,
    )  # fmt: skip


def test_analyze_is_the_default(run):
    assert run(STALE) == run("analyze", STALE)


def test_the_verdict_comes_first(run):
    code, out, err = run(STALE)
    assert (code, err) == (0, "")
    assert out.startswith(
        "search-ranker: older version v9 loaded after newer v10 on 2 of 5 replicas since 05:34:08 UTC"
    )


def test_piped_logs_need_no_path():
    body = "".join(p.read_text() for p in sorted(Path(STALE).glob("*.log")))
    piped = process(given=body)
    assert piped.returncode == 0
    assert "read 1 input" in piped.stdout
    assert process("-", given=body).stdout == piped.stdout


def test_the_entry_point_and_the_module_are_one_program():
    script = Path(sys.executable).parent / "cachelog"
    assert (
        subprocess.run([script, "--version"], capture_output=True, text=True, check=False).stdout
        == process("--version").stdout
    )


def test_version_names_the_engine(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("cachelog ")
    assert "engine: native" in out or "engine: polars" in out


CODES = [
    ([STALE], 0),
    ([STALE, "--fail-on", "high"], 1),
    ([STALE, "--fail-on", "high", "--exit-zero"], 0),
    ([STALE, "--fail-on", "high", "--format", "json"], 1),
    (["check", STALE], 1),
    (["check", STALE, "--exit-zero"], 0),
    (["check", STEADY], 0),
    (["check", STALE, "--fail-on", "none"], 0),
    (["analyze", "/nowhere/at/all"], 2),
    (["--since", "yesterdayish", STALE], 2),
    (["--tz", "Mars/Olympus", STALE], 2),
    (["--rule", "version-regresion", STALE], 2),
    (["--format", "yaml", STALE], 2),
    (["--no-such-option", STALE], 2),
    (["-", "-"], 2),
    (["explain", "version-regresion"], 2),
    (["show"], 2),
    (["show", "F99", STALE], 2),
    (["show", "F1", STALE, "--report", "x.json"], 2),
    (["show", "F1"], 2),
    (["analize"], 2),
    (["inspect", STALE], 0),
    (["rules"], 0),
    (["formats"], 0),
    (["explain", "rollback"], 0),
]


@pytest.mark.parametrize(
    ("arguments", "expected"), CODES, ids=lambda x: " ".join(Path(a).name for a in x) if isinstance(x, list) else None
)
def test_exit_codes_are_those_of_the_contract(run, arguments, expected):
    code, out, err = run(*arguments)
    assert code == expected, err
    if code == 2:
        assert out == ""
        assert err.startswith("cachelog: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["analize"], "analyze"),
        (["explain", "version-regresion"], "version-regression"),
        (["--rule", "rollbak", STALE], "rollback"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(run, arguments, hint):
    assert f"did you mean {hint}?" in run(*arguments)[2]


def test_no_data_is_told_from_nothing_found(run, tmp_path):
    (tmp_path / "a.log").write_text("nothing that anyone\ncould understand\n")
    assert run(tmp_path)[0] == 3
    code, out, _ = run("check", tmp_path)
    assert code == 3
    assert out == "inconclusive: too little to judge: neither lookups nor loads in 2 lines\n"


def test_strict_fails_on_damage(run, tmp_path):
    good = Path(STEADY, "upsell-0.log").read_text()
    (tmp_path / "a.log").write_text(good + '{"torn":\n')
    assert run(tmp_path)[0] == 0
    code, _, err = run(tmp_path, "--strict")
    assert code == 4
    assert "a.log" in err


def test_check_says_the_verdict_in_one_sentence_with_its_numbers(run):
    _, out, _ = run("check", STALE)
    said = " ".join(out.split("\n\n")[0].split())
    assert re.fullmatch(
        r"fail: search-ranker: older version v9 loaded after newer v10 on 2 of 5 replicas since \d\d:\d\d:\d\d UTC; .*"
        r" \(\d findings? at or above high in 2,210 lookups of 2 models on 5 replicas in .*\)(, and 1 more check failed)?",
        said,
    )
    assert "CRITICAL  F1  search-ranker" in out
    assert "proof " in out
    assert (
        run("check", STEADY)[1]
        == "pass: nothing at or above high in 1,826 lookups of 2 models on 3 replicas in 44 min 58 s\n"
    )


def test_check_says_the_verdict_beside_json_as_a_message(run):
    code, out, err = run("check", STEADY, "--format", "json")
    assert (code, json.loads(out)["schema"]) == (0, "cachelog.report/1")
    assert err.startswith("cachelog: pass: nothing at or above high in 1,826 lookups")


def test_too_few_lookups_are_no_pass(run, tmp_path):
    (tmp_path / "a.log").write_text("\n".join(Path(STEADY, "upsell-0.log").read_text().splitlines()[:30]))
    code, out, _ = run("check", tmp_path)
    assert code == 3
    assert re.match(
        r"inconclusive: too little to judge: \d\d lookups, and a changed miss rate shows from 200 on\n", out
    )
    assert run("check", tmp_path, "--exit-zero")[0] == 0


def test_what_the_logs_hide_is_no_pass(run, tmp_path):
    """A file of the rotated set is missing: all may have happened in it."""
    for end in (".log", ".log.2"):
        (tmp_path / f"upsell-0{end}").write_text(Path(STEADY, "upsell-0.log").read_text())
    for name in ("upsell-1.log", "upsell-2.log"):
        (tmp_path / name).write_text(Path(STEADY, name).read_text())
    code, out, _ = run("check", tmp_path)
    assert code == 3
    assert " ".join(out.split()).startswith("inconclusive: these logs do not tell: of the rotated files of ")
    assert run(tmp_path)[0] == 0
    (tmp_path / "upsell-0.log.2").rename(tmp_path / "upsell-0.log.1")
    assert run("check", tmp_path)[0] == 0


def test_loads_alone_bear_a_verdict_on_versions(run):
    code, out, _ = run("check", ROOT / "sample-logs" / "triton-stale-repository", "--fail-on", "critical")
    assert code == 0
    assert out.startswith("pass: nothing at or above critical in the loads of ")


@pytest.mark.parametrize("command", ["analyze", "check"])
@pytest.mark.parametrize("hiding", [["--min-severity", "critical"], ["--top", "0"]])
def test_what_the_exit_code_tells_cannot_be_hidden(run, command, hiding):
    code, _, err = run(command, STALE, "--fail-on", "high", *hiding)
    assert code == 2
    assert "hides what --fail-on high looks for" in err
    assert run(STALE, *hiding)[0] == 0


def test_what_was_filtered_away_is_told_from_what_is_not_there(run):
    code, out, _ = run(STEADY, "--since", "2020-01-01", "--until", "2020-01-02")
    assert code == 3
    assert out.startswith("Nothing to judge: none of the 1,826 events is of the time, the models and the replicas")


@pytest.mark.parametrize("option", ["--model", "--replica"])
def test_a_name_that_is_not_in_the_logs_is_bad_usage_and_not_healthy(run, option):
    code, out, err = run(STALE, option, "bogus*")
    assert (code, out) == (2, "")
    assert err.startswith(f"cachelog: no {option[2:]} 'bogus*' in these logs; they name sea")


def test_show_reads_the_last_analysis_a_report_or_the_logs(run, tmp_path):
    saved = tmp_path / "report.json"
    assert run(STALE, "--format", "json", "-o", saved)[1] == ""
    last, again, read = run("show", "F1"), run("show", "F1", STALE), run("show", "F1", "--report", saved)
    assert last[0] == again[0] == read[0] == 0
    assert last[1] == again[1] == read[1]
    assert "arithmetic" in last[1]
    assert '"version":"v9"' in last[1].replace("\n", "").replace(" ", "")


def test_lines_of_another_file_of_that_name_are_no_evidence(run, tmp_path, monkeypatch):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
    shutil.copytree(STALE, tmp_path / "here" / "logs")
    monkeypatch.chdir(tmp_path / "here")
    run("logs")
    cited = run("show", "F1", "-C", "1")[1]
    shutil.copytree(STALE, tmp_path / "there" / "logs")
    for log in (tmp_path / "there" / "logs").iterdir():
        log.write_text("somebody else's line\n" * 400)
    monkeypatch.chdir(tmp_path / "there")
    elsewhere = run("show", "F1", "-C", "1")[1]
    assert "somebody else" not in elsewhere
    assert "starting up" in elsewhere
    assert len(elsewhere.splitlines()) < len(cited.splitlines())


def test_a_log_that_has_gone_leaves_the_cited_lines(run, tmp_path):
    shutil.copytree(STALE, tmp_path / "logs")
    run(tmp_path / "logs")
    shutil.rmtree(tmp_path / "logs")
    code, out, _ = run("show", "F1")
    assert code == 0
    assert "starting up" in out


def test_a_report_that_cannot_be_read_is_bad_usage(run, tmp_path):
    assert "cannot read" in run("show", "F1", "--report", tmp_path)[2]
    (tmp_path / "r.json").write_text("{}")
    assert "this is no report" in run("show", "F1", "--report", tmp_path / "r.json")[2]
    assert "no such report" in run("show", "F1", "--report", tmp_path / "nowhere.json")[2]


def test_a_finding_is_named_by_its_id_in_any_case_or_its_mark(run):
    found = json.loads(run(STALE, "--format", "json")[1])["findings"][0]
    assert run("show", "f1") == run("show", found["fingerprint"]) == run("show", "F1")
    assert "it has F1" in run("show", "F77")[2]
    run(STEADY)
    assert "it has no findings" in run("show", "F1")[2]


def test_the_last_analysis_is_private(run, home):
    run(STALE)
    assert (home / "cachelog" / "last.json").stat().st_mode & 0o777 == 0o600
    assert (home / "cachelog").stat().st_mode & 0o777 == 0o700


def test_a_report_that_was_asked_for_is_as_private_as_the_user_wants(run, tmp_path):
    before = os.umask(0o027)
    try:
        run(STEADY, "-o", tmp_path / "r.txt")
    finally:
        os.umask(before)
    assert (tmp_path / "r.txt").stat().st_mode & 0o777 == 0o640


def test_a_home_that_cannot_be_written_does_no_harm(run, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/x")
    assert run(STEADY)[0] == 0


def test_a_report_is_written_whole_or_not_at_all(run, tmp_path):
    target = tmp_path / "r.json"
    target.write_text("old")
    assert run(STALE, "--format", "json", "-o", target)[0] == 0
    assert json.loads(target.read_text())["schema"] == "cachelog.report/1"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".cachelog")] == []
    code, _, err = run(STALE, "-o", tmp_path / "no" / "such" / "folder.json")
    assert (code, "cannot write" in err) == (2, True)


def test_filters_choose_what_is_read(run):
    _, out, _ = run(STALE, "--format", "json", "--model", "spell*")
    assert [row["model"] for row in json.loads(out)["models"]] == ["spell-check"]
    _, out, _ = run(STALE, "--format", "json", "--since", "2026-09-14T05:40:00Z", "--until", "2026-09-14T05:41:00Z")
    period = json.loads(out)["period"]
    assert "2026-09-14T05:40:00" <= period["start"] < period["end"] < "2026-09-14T05:41:00"
    _, out, _ = run(STALE, "--format", "json", "--replica", "*-8rw4z")
    assert {r for f in json.loads(out)["findings"] for r in f["replicas"]} == {"search-7d9c8b6f5-8rw4z"}


def test_filters_choose_what_is_shown(run):
    def rules(*arguments):
        return [f["rule"] for f in json.loads(run(STALE, "--format", "json", *arguments)[1])["findings"]]

    assert rules("--top", "1") == ["version-regression"]
    assert rules("--rule", "miss-*") == ["miss-rate-shift"]
    assert "cold-start" not in rules("--min-severity", "low")


def test_what_is_not_shown_is_not_called_healthy(run):
    for hiding in (["--top", "0"], ["--rule", "load-failure"]):
        assert run(STALE, *hiding)[1].startswith("Nothing to show: 3 findings left out as asked, in 2,210 lookups")


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WHEN = {
    "now": NOW, "-3h": datetime(2026, 11, 20, 9, tzinfo=UTC), "-15m": datetime(2026, 11, 20, 11, 45, tzinfo=UTC),
    "2026-11-20T10:00:00Z": datetime(2026, 11, 20, 10, tzinfo=UTC), "2026-11-20T10:00:00+02:00": datetime(2026, 11, 20, 8, tzinfo=UTC),
    "2026-11-20": datetime(2026, 11, 20, tzinfo=UTC),
}  # fmt: skip


@pytest.mark.parametrize("text", WHEN)
def test_times_are_absolute_or_relative_to_now(text):
    assert when(text, NOW, "UTC", "--since") == WHEN[text]


@pytest.mark.parametrize(("tz", "hour"), [("Europe/Berlin", 9), ("+05:30", 4)])
def test_a_naive_time_is_read_in_the_zone_given(tz, hour):
    found = when("2026-11-20T10:00:00", NOW, tz, "--since")
    assert found is not None
    assert (found.hour, found.tzinfo) == (hour, UTC)


def test_what_is_no_time_is_bad_usage():
    with pytest.raises(UsageError, match="--until 'soon' is no time"):
        when("soon", NOW, "UTC", "--until")


@pytest.mark.parametrize(
    ("arguments", "env", "coloured"),
    [([], {}, False), (["--color", "always"], {}, True), ([], {"FORCE_COLOR": "1"}, True), ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
     (["--color", "never"], {"FORCE_COLOR": "1"}, False)],
)  # fmt: skip
def test_colour_follows_option_environment_terminal(run, monkeypatch, arguments, env, coloured):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in run(STALE, *arguments)[1]) is coloured


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_page_fits_its_width(run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(STALE)[1].splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("search-ranker: older version")


def test_ascii_is_nothing_but_ascii(run):
    out = run(STALE, "--ascii")[1]
    assert out.isascii()
    assert out.startswith("search-ranker")


def test_a_reader_that_goes_away_is_quiet():
    with subprocess.Popen(
        [sys.executable, "-m", "cachelog", STALE, "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as ran:
        ran.stdout.close()
        assert ran.stderr.read() == b""
    assert ran.returncode == 141


def test_an_interruption_gives_what_is_known_so_far():
    lines = Path(STEADY, "upsell-0.log").read_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "cachelog", "-", "--format", "json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    ) as ran:  # fmt: skip
        ran.stdin.write(lines * 300)  # more than a unit, so that something is known
        ran.stdin.flush()
        time.sleep(4)
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=30)
    assert ran.returncode == 130, err
    report = json.loads(out)
    assert report["partial"] is True
    assert report["models"][0]["lookups"] > 0
    assert b"Traceback" not in err


def test_a_bug_is_one_sentence_that_says_how_to_report_it(run, monkeypatch):
    from cachelog import pipeline

    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr(pipeline, "analyze", broken)
    code, out, err = run(STALE)
    assert (code, out) == (70, "")
    assert err == (
        "cachelog: a bug: RuntimeError: boom; please report it with what the same command says with --debug\n"
    )
    with pytest.raises(RuntimeError, match="boom"):
        run(STALE, "--debug")


def test_a_rule_that_fails_is_named_and_the_rest_is_shown(run, monkeypatch):
    from cachelog import pipeline

    detect = pipeline._detect
    monkeypatch.setattr(pipeline, "_detect", lambda *given: (detect(*given)[0], ("cold-start: ValueError: x",)))
    code, out, err = run(STALE)
    assert code == 70
    assert "older version v9" in out
    assert "cold-start: ValueError: x" in err
    assert run("check", STALE)[1].startswith("inconclusive: a rule failed")


def test_rules_and_formats_are_listed_for_programs_too(run):
    assert {row["rule"] for row in json.loads(run("rules", "--format", "json")[1])} >= {
        "version-regression",
        "rollback",
    }
    rows = json.loads(run("formats", "--format", "json")[1])
    assert {row["name"] for row in rows} >= {"json_app", "triton", "cri"}
    assert all(row["samples"] and row["about"] for row in rows)
    assert json.loads(run("explain", "rollback", "--format", "json")[1])["page"].startswith("rollback: ")
    assert json.loads(run("show", "F1", STALE, "--format", "json")[1])["finding"]["rule"] == "version-regression"


def test_inspect_says_which_names_were_taken(run):
    code, out, _ = run("inspect", STALE, "--format", "json")
    assert code == 0
    taken = next(i for i in json.loads(out)["inputs"] if i["path"].endswith("8rw4z.log"))
    assert taken["fields"]["version"] == "version"
    assert "json_app" in run("inspect", STALE)[1]


def test_the_demo_writes_an_incident_and_finds_it(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("demo", "d")
    assert code == 0
    assert out.startswith("recommender: older version v9 loaded after newer v10 on 2 of 5 replicas")
    assert "logs written to d" in err
    assert run("demo", "d")[0] == 2


def test_pages_of_the_manual_fit_the_screen(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for command in (["rules"], ["formats"], *(["explain", rule] for rule in detectors())):
        code, out, _ = run(*command)
        assert code == 0
        assert max(map(len, out.splitlines())) <= 60
        assert out.startswith(command[-1] if command[0] == "explain" else ("clock-skew", "what a line says"))
    assert "\nWhat to do\n    " in run("explain", "cold-start")[1]


@pytest.mark.parametrize("packed", [False, True])
def test_inspect_cites_the_first_lines_that_were_not_understood(run, tmp_path, packed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    good = Path(STEADY, "upsell-0.log").read_text().splitlines()[0]
    lines = [*[good] * 9, "who knows", *[good] * 99_990, '{"torn":', "so what", "never shown"]
    body = "\n".join(lines).encode()
    (tmp_path / "a.log").write_bytes(gzip.compress(body, 1) if packed else body)
    _, out, _ = run("inspect", tmp_path, "--format", "json")
    only = json.loads(out)["inputs"][0]
    assert only["unclaimed"] + only["bad"] == 4
    assert [(u["line"], u["text"]) for u in only["unread"]] == [
        (10, "who knows"), (100_001, '{"torn":'), (100_002, "so what"),
    ]  # fmt: skip
    assert "a.log:10 (unclaimed)" in run("inspect", tmp_path)[1]


class Tty(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self):
        return True


def test_a_bar_is_drawn_only_when_it_takes_longer_and_somebody_sees_it(monkeypatch):
    drawn = {}
    for patience in (0.0, 60.0):
        monkeypatch.setattr(running, "_PATIENCE", patience)
        monkeypatch.setattr(sys, "stderr", Tty())
        with running.progress() as advance:
            time.sleep(0.01)
            advance(1_000_000, 4_000_000)
            advance(4_000_000, 4_000_000)
        drawn[patience] = sys.stderr.getvalue()
    assert "reading" in drawn[0.0]
    assert drawn[60.0] == ""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with running.progress() as advance:
        assert advance is None


def test_nothing_to_read_on_a_terminal_is_bad_usage(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Tty())
    for command in ("analyze", "check", "inspect"):
        code, _, err = run(command)
        assert (code, "nothing to read" in err) == (2, True)


def test_an_interruption_outside_reading_is_told(run, monkeypatch):
    from cachelog import pipeline

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "analyze", interrupted)
    assert run(STALE) == (130, "", "cachelog: interrupted\n")


@pytest.mark.parametrize("command", ["analyze", "check", "inspect"])
def test_a_partial_report_says_so_and_exits_so(run, monkeypatch, command):
    from cachelog import inspection, pipeline

    for module, name in ((pipeline, "analyze"), (inspection, "inspect")):
        whole = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, whole=whole: replace(whole(*given), partial=True))
    code, out, err = run(command, STALE)
    assert code == 130
    assert "interrupted" in out.splitlines()[1 if command == "inspect" else 0]
    assert err == "cachelog: interrupted\n"


def test_a_demo_that_cannot_be_written_is_bad_usage(run):
    code, _, err = run("demo", "/dev/null/x")
    assert (code, "cannot write the demo's logs" in err) == (2, True)


def test_a_stream_of_another_encoding_gets_ascii(monkeypatch):
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", latin)
    assert app.run([STALE]) == 0
    latin.flush()
    assert latin.buffer.getvalue().isascii()


def test_every_command_has_help(run):
    for command in sorted(app.COMMANDS):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert "Usage: cachelog " + command in out


def test_help_without_anything_on_a_terminal(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", type("Tty", (), {"isatty": lambda self: True})())
    code, out, err = run()
    assert code == 2
    assert "Usage: cachelog" in out + err


def test_help_loads_nothing_heavy():
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; from cachelog.cli import app; app.run(['--help']); print(sorted({m.split('.')[0] for m in sys.modules} & {'polars', 'numpy', 'pyarrow'}))"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1] == "[]"
