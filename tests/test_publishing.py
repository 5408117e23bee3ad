"""Where a report goes: several formats at once, files by their endings, GitHub's files, and webhooks only when asked."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cachelog.cli import app, publishing
from cachelog.cli.options import Outputs
from cachelog.cli.publishing import Judged, Target, planned, publish
from cachelog.contract.errors import UsageError
from cachelog.contract.verdict import Anchor, Outcome, Verdict
from cachelog.render.registry import ReportFormat
from tests import reports

ROOT = Path(__file__).parent.parent
STALE = str(ROOT / "sample-logs" / "stale-replica")
STEADY = str(ROOT / "sample-logs" / "steady")
PLACES = ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "PAGERDUTY_ROUTING_KEY", "CACHELOG_NOTIFY_TOKEN")
F = ReportFormat


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name in (*PLACES, "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsysbinary):
    def ran(*arguments):
        code = app.run([str(a) for a in arguments])
        out, err = capsysbinary.readouterr()
        return code, out.decode(errors="replace"), err.decode()

    return ran


def told(report=None, verdict=None, **asked):
    """Publish a report made by hand."""
    publish(report or reports.report(), planned(Outputs(**asked)), lambda look: "the page\n", verdict)


# -- which format goes where ----------------------------------------------------------------------------

ASKED = [
    ([], None, [(F.TEXT, None)]),
    ([], F.JSON, [(F.JSON, None)]),
    (["r.json"], None, [(F.JSON, "r.json")]),
    (["r.md", "r.json"], None, [(F.MARKDOWN, "r.md"), (F.JSON, "r.json")]),
    (["r.json"], F.GITHUB, [(F.GITHUB, None), (F.JSON, "r.json")]),
    (["r.json"], F.TEXT, [(F.TEXT, None), (F.JSON, "r.json")]),
    (["r.json"], F.JSON, [(F.JSON, "r.json")]),
    (["gl.json"], F.GITLAB, [(F.GITLAB, "gl.json")]),
    (["gl.json", "r.md"], F.GITLAB, [(F.GITLAB, None), (F.JSON, "gl.json"), (F.MARKDOWN, "r.md")]),
    (["r.md", "r.txt"], F.BRIEF, [(F.BRIEF, None), (F.MARKDOWN, "r.md"), (F.TEXT, "r.txt")]),
    (["gitlab=gl.json", "r.json", "x.xml"], F.BRIEF, [(F.BRIEF, None), (F.GITLAB, "gl.json"), (F.JSON, "r.json"), (F.JUNIT, "x.xml")]),
    (["report"], F.JSON, [(F.JSON, "report")]),
    (["report"], None, [(F.TEXT, "report")]),
    (["R.XML"], None, [(F.JUNIT, "R.XML")]),
    (["a=b.json"], None, [(F.JSON, "a=b.json")]),
    (["e.ndjson", "e.prom", "e.csv", "e.parquet", "e.sarif", "e.txt"], None, [
        (F.JSONL, "e.ndjson"), (F.PROMETHEUS, "e.prom"), (F.CSV, "e.csv"), (F.PARQUET, "e.parquet"), (F.SARIF, "e.sarif"), (F.TEXT, "e.txt")]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "wanted", "targets"), ASKED, ids=lambda x: str(x)[:40])
def test_the_ending_names_the_format_and_format_is_for_what_no_ending_tells(files, wanted, targets):
    assert list(planned(Outputs(output=files, format=wanted)).targets) == [Target(*target) for target in targets]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"output": ["no/such/r.json"]}, "no such folder"),
        ({"output": ["."]}, "it is a folder"),
        ({"output": ["a.json", "./a.json"]}, "is named twice"),
        ({"output": ["a.jsno"]}, r"no format has the ending of 'a.jsno' \(did you mean .json\?\)"),
        ({"sarif_anchor": "/etc/passwd"}, "is no PATH or PATH:LINE within the repository"),
        ({"sarif_anchor": "../x"}, "within the repository"),
        ({"sarif_anchor": ""}, "within the repository"),
        ({"sarif_anchor": "a:0"}, "within the repository"),
        ({"notify": ["ftp://x/y"]}, "begins with http://"),
        ({"notify": ["hello"]}, "begins with http://"),
        ({"notify": ["https://"]}, "begins with http://"),
        ({"notify": ["https://x:99999/"]}, "begins with http://"),
        ({"notify": ["https://example.org/hook"]}, "cannot tell what example.org takes; name it: slack|pagerduty"),
        ({"notify": ["csv=https://example.org/hook"]}, "cannot tell what example.org takes"),
        ({"notify": ["pagerduty=https://example.org/"]}, "PAGERDUTY_ROUTING_KEY"),
    ],
)
def test_what_cannot_be_written_or_posted_is_said_before_the_logs_are_read(asked, said):
    with pytest.raises(UsageError, match=said.replace("|", r"\|")):
        planned(Outputs(**asked))


@pytest.mark.parametrize(
    ("given", "anchor"), [("deploy/m.yaml", Anchor("deploy/m.yaml")), ("./m.yaml:7", Anchor("m.yaml", 7)), ("a:b", Anchor("a:b"))]
)  # fmt: skip
def test_an_anchor_is_a_path_and_a_line(given, anchor):
    assert planned(Outputs(sarif_anchor=given)).anchor == anchor


# -- writing --------------------------------------------------------------------------------------------


def test_several_formats_are_written_at_once(run, tmp_path):
    names = ["r.json", "r.md", "r.xml", "r.sarif", "r.prom", "r.csv", "r.parquet", "r.jsonl", "r.txt"]
    asked = [part for name in names for part in ("-o", tmp_path / name)]
    code, out, err = run("check", STALE, "--format", "brief", "-o", "gitlab=gl.json", *asked)
    assert code == 1
    assert out.startswith("cachelog.brief/1\n")
    assert err.startswith("cachelog: fail: ")
    assert json.loads((tmp_path / "r.json").read_text())["schema"] == "cachelog.report/1"
    assert json.loads((tmp_path / "gl.json").read_text())[0]["check_name"] == "check"
    assert pq.read_table(tmp_path / "r.parquet").num_rows > 1
    assert (tmp_path / "r.txt").read_text().startswith("fail: ")
    assert not list(tmp_path.glob(".cachelog-*"))
    assert {path.name for path in tmp_path.iterdir()} == {*names, "gl.json", "state"}


@pytest.mark.parametrize("kind", [F.JSON, F.SARIF, F.GITHUB, F.PARQUET])
def test_the_exit_code_does_not_depend_on_the_format(run, kind):
    assert run("check", STALE, "--format", kind.value)[0] == 1


def test_formats_are_utf8_whatever_the_locale():
    ran = subprocess.run(
        [sys.executable, "-m", "cachelog", "check", STALE, "--format", "markdown"], capture_output=True, check=False, cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stdout.decode().startswith("**❌ fail: ")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "r.json").write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UsageError, match=r"cannot write 'r\.json': No space left on device"):
        told(output=["r.json"])
    assert (tmp_path / "r.json").read_text() == "old"
    assert not list(tmp_path.glob(".cachelog-*"))


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    told(output=["link.json"])
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["partial"] is False
    os.mkfifo(tmp_path / "pipe.json")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe.json").read_text()))
    reader.start()
    told(output=["json=pipe.json"])
    reader.join(10)
    assert json.loads(read[0])["schema"] == "cachelog.report/1"
    assert (tmp_path / "pipe.json").is_fifo()


def test_parquet_is_not_for_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(UsageError, match="name a file"):
        planned(Outputs(format=F.PARQUET))
    assert planned(Outputs(format=F.PARQUET, output=["x.parquet"]))


def test_the_verdict_is_said_once(run):
    for arguments in (["--format", "text"], ["--format", "github", "-o", "x.json"]):
        assert run("check", STEADY, *arguments)[2] == ""
    for arguments in (["--format", "sarif"], ["-o", "x.txt"]):
        assert run("check", STEADY, *arguments)[2].startswith(
            "cachelog: pass: nothing at or above high in 1,826 lookups"
        )


def test_every_model_is_a_check_of_its_own(run):
    lines = [json.loads(line) for line in run("check", STALE, "--format", "jsonl")[1].splitlines()]
    checks = {line["name"]: (line["outcome"], line["sentence"]) for line in lines if line["kind"] == "check"}
    assert set(checks) == {"search-ranker", "spell-check", "miss rate of search-ranker"}
    assert checks["search-ranker"][0] == "fail"
    assert checks["search-ranker"][1].startswith("F1 (critical): search-ranker: older version v9")
    assert checks["spell-check"] == ("pass", "nothing at or above high in 214 lookups")


def test_a_model_with_too_few_lookups_is_inconclusive_beside_others(run, tmp_path):
    kept = Path(STEADY, "upsell-0.log").read_text().splitlines()
    few = [line.replace('"upsell', '"tiny') for line in kept[:20] if '"upsell' in line]
    (tmp_path / "a.log").write_text("\n".join(kept + few))
    lines = [json.loads(line) for line in run("check", tmp_path / "a.log", "--format", "jsonl")[1].splitlines()]
    outcomes = {line["name"]: line["outcome"] for line in lines if line["kind"] == "check"}
    assert "inconclusive" in outcomes.values()
    assert "pass" in outcomes.values()


# -- GitHub ---------------------------------------------------------------------------------------------


def test_github_gets_a_summary_and_outputs_where_it_names_the_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    (tmp_path / "summary").write_text("before\n")
    told(format=F.GITHUB, verdict=Judged(Verdict(Outcome.FAIL, "so it is"), {}, {}))
    assert (tmp_path / "summary").read_text().startswith("before\n**❌ fail: so it is**\n")
    assert (tmp_path / "output").read_text() == "verdict=fail\nfindings=3\n"
    assert len((tmp_path / "summary").read_bytes()) < 1 << 20
    told(format=F.JSON)
    assert (tmp_path / "output").read_text() == "verdict=fail\nfindings=3\n"


def test_a_summary_that_cannot_be_written_is_a_message(monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nowhere/at/all")
    told(format=F.GITHUB)
    assert "cannot write what $GITHUB_STEP_SUMMARY names" in capsys.readouterr().err


def test_the_page_is_shielded_in_actions_only(monkeypatch, capsys):
    page = "head\n    ::error::owned\n"
    for inside in ("", "true"):
        monkeypatch.setenv("GITHUB_ACTIONS", inside)
        publish(reports.report(), planned(Outputs()), lambda look: page)
        out = capsys.readouterr().out
        assert out.startswith("::stop-commands::") is (inside == "true")


def test_messages_hold_nothing_that_the_runner_obeys(capsys):
    publishing.say("cachelog: x ##[error]owned\n::error::owned")
    assert capsys.readouterr().err == "cachelog: x #?[error]owned?::error::owned\n"


# -- webhooks -------------------------------------------------------------------------------------------


@pytest.fixture
def service():
    """A service that takes what is posted; `answers` are the codes it gives first."""
    got: list[tuple[str, str, dict[str, str]]] = []
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.path, body, dict(self.headers)))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got, answers
    server.shutdown()
    server.server_close()


def test_notify_posts_what_the_service_takes(service, monkeypatch, capsys):
    url, got, _ = service
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "abc")
    monkeypatch.setenv("CACHELOG_NOTIFY_TOKEN", "secret")
    told(notify=[f"{url}/api/v2/alerts", f"{url}/api/annotations", f"slack={url}/hook", f"pagerduty={url}/enqueue"])
    assert [path for path, *_ in got] == ["/api/v2/alerts", *["/api/annotations"] * 3, "/hook", "/enqueue"]
    assert json.loads(got[0][1])[0]["labels"]["rule"] == "version-regression"
    assert json.loads(got[4][1])["blocks"]
    assert json.loads(got[5][1])["routing_key"] == "abc"
    assert {headers["Content-Type"] for *_, headers in got} == {"application/json"}
    assert [headers.get("Authorization") for *_, headers in got] == [*["Bearer secret"] * 4, None, None]
    assert capsys.readouterr() == ("the page\n", "")


def test_notify_takes_the_format_that_is_asked_for(service, capsys):
    url, got, _ = service
    told(notify=[url], format=F.SLACK)
    assert got[0][1] == capsys.readouterr().out


def test_nothing_is_posted_where_nothing_is_wrong(service, monkeypatch):
    url, got, _ = service
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "abc")
    told(reports.healthy(), notify=[f"alertmanager={url}", f"pagerduty={url}", f"grafana={url}"])
    assert got == []


def test_a_busy_service_is_asked_again(service, capsys):
    url, got, answers = service
    answers += [503, 429]
    told(notify=[f"slack={url}/services/T0/SECRET"])
    assert len(got) == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("code", [400, 404, 302])
def test_a_refusal_is_a_message_without_the_address_and_changes_no_exit_code(service, run, code):
    url, got, answers = service
    answers += [code] * 4
    ended, _, err = run("check", STEADY, "--notify", f"slack={url}/services/T0/SECRET")
    assert ended == 0
    assert err == f"cachelog: 127.0.0.1 did not take the slack message: HTTP {code}\n"
    assert len(got) == 1  # no redirection is followed


def test_a_service_that_is_not_there_is_a_message_without_the_address(capsys, monkeypatch):
    monkeypatch.setattr("cachelog.cli.notifying._TRIES", 0)
    told(notify=["slack=http://127.0.0.1:9/services/T0/SECRET"])
    said = capsys.readouterr().err
    assert said == "cachelog: 127.0.0.1 could not be reached: ConnectionError\n"


def test_without_the_library_notify_says_what_to_install(monkeypatch):
    monkeypatch.setattr("cachelog.cli.notifying.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'cachelog\[notify\]'"):
        planned(Outputs(notify=["https://hooks.slack.com/services/x"]))


def test_nothing_else_in_the_house_uses_a_network():
    """Only cli/notifying.py imports what can open a connection."""
    networked = {"requests", "urllib3", "socket", "http", "ftplib", "smtplib", "ssl", "httpx", "urllib.request"}
    found = set()
    sources = [
        path for path in (ROOT / "cachelog").rglob("*.py") if any(name in path.read_text() for name in networked)
    ]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            if any(name in networked or name.split(".")[0] in networked for name in names):
                found.add(path.name)
    assert found == {"notifying.py"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--fail-on", "hihg"], r"--fail-on 'hihg' is none of its choices \(did you mean high\?\): none, info, low, "),
        (["--format", "yaml"], r"--format 'yaml' is none of its choices: text, json, "),
        (["--top", "x"], "--top takes a whole number; see"),
        (["--top", "-1"], "--top takes 0 or more; see"),
        (["-o", "x.typo"], r"no format has the ending of 'x.typo'.* or take one of \.txt, \.json, "),
        (["--since", "now", "--until", "-3h"], "--since now is not before --until -3h"),
    ],
)
def test_what_is_refused_is_said_in_one_sentence_of_ours(given, says, tmp_path, capsys):
    from cachelog.cli.app import run

    (tmp_path / "a.log").write_text("")
    assert run(["analyze", str(tmp_path), *given]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert re.search(says, err)
    assert "Value error" not in err
    assert "Input" not in err
