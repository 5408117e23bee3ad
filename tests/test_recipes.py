"""The recipes of docs/ run: their scripts by a shell with stand-ins for kubectl and logcli, what they call by cachelog."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cachelog.cli import app

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "recipes"
PAGE = (ROOT / "docs" / "recipes.md").read_text()
SAMPLE = ROOT / "sample-logs" / "stale-replica"
ODD = "search-7d9c8b6f5-8rw4z"
#: What stands for a path of a machine, below the folder of the test.
PATHS = {
    "/opt/cachelog/bin/": "",
    "/var/lib/node_exporter/textfile": "textfile",
    "/var/log/app": "app",
    "%S": "state",
    "/state": "state",
}

#: As kubectl and logcli are asked, so they answer: few lines and no names unless told.
KUBECTL = r"""#!/bin/sh
[ "$1" = get ] && { echo '{"apiVersion": "v1", "kind": "List", "items": []}'; exit; }
case " $* " in *" -l "*--prefix*--timestamps*--tail=-1*) ;; *) echo "kubectl $*" >&2; exit 1 ;; esac
cat "$LOGS/prefixed"
"""
LOGCLI = r"""#!/bin/sh
case "$*" in *--limit=0*--forward*--quiet*"-o jsonl") cat "$LOGS/jsonl" ;; *) echo "logcli $*" >&2; exit 1 ;; esac
"""
CACHELOG = r"""#!/bin/sh
call=$(mktemp "$LOGS/call.XXXXXX")
for word; do printf '%s\0' "$word"; done > "$call"
if [ -p /dev/stdin ]; then cat > "$call.stdin"; fi
exit "${CACHELOG_EXITS:-0}"
"""


def documents(name: str) -> dict[str, dict]:
    """Return the documents of a YAML file by their kind."""
    return {each.get("kind", ""): each for each in yaml.safe_load_all((ROOT / name).read_text())}


def pod(spec: dict) -> dict:
    return spec["template"]["spec"]["containers"][0]


def argo() -> str:
    metric = documents("docs/recipes/argo-rollouts.yaml")["AnalysisTemplate"]["spec"]["metrics"][0]
    return pod(metric["provider"]["job"]["spec"])["args"][0]


def cronjob() -> str:
    return "set -e\n" + pod(documents("docs/recipes/cronjob.yaml")["CronJob"]["spec"]["jobTemplate"]["spec"])["args"][0]


def gitlab() -> str:
    jobs = yaml.safe_load((FOLDER / "gitlab-ci.yml").read_text())
    return "\n".join(["set -e", *jobs["logs"]["script"], *jobs["cachelog"]["script"]])


def action() -> str:
    return next(step for step in documents("action.yml")[""]["runs"]["steps"] if step.get("id") == "check")["run"]


def systemd() -> str:
    return re.search(r"^ExecStart=(.+)$", (FOLDER / "cachelog-report.service").read_text(), re.M)[1]


def cron() -> list[str]:
    lines = (FOLDER / "cachelog.cron").read_text().splitlines()
    return [line.split(None, 6)[6] for line in lines if line[:1] in "*0123456789" and line]


def blocks() -> list[str]:
    """Return the shell blocks of the page that need no more than kubectl, logcli and cachelog."""
    found = re.findall(r"^```sh\n(.+?)^```", PAGE, re.S | re.M)
    return [block for block in found if block.split()[0] in ("kubectl", "logcli", "cachelog")]


SCRIPTS = {
    "argo": argo(),
    "cronjob": cronjob(),
    "gitlab": gitlab(),
    "action": action(),
    "systemd": systemd(),
    "cron": cron()[0],
    **{f"page {number}": block for number, block in enumerate(blocks())},
}
GIVEN = {
    "APP": "scorer",
    "MODEL": "search-ranker",
    "VERSION": "v10",
    "CANARY": "7d9c8b6f5",
    "CI_COMMIT_TAG": "v10",
    "PATHS": "app\n",
    "ARGS": "--expect=search-ranker=v10\n--output=a page.html\n\n",
    "SLACK_URL": "",
    "GITHUB_OUTPUT": "outputs",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The sample as kubectl and logcli tell it."""
    folder = tmp_path_factory.mktemp("told")
    with open(folder / "prefixed", "w") as prefixed, open(folder / "jsonl", "w") as jsonl:
        for path in sorted(SAMPLE.glob("*.log")):
            for line in path.read_text().splitlines():
                prefixed.write(f"[pod/{path.stem}/scorer] {line}\n")
                jsonl.write(json.dumps({"labels": {"pod": path.stem}, "line": line, "timestamp": when(line)}) + "\n")
    return folder


def when(line: str) -> str:
    return datetime.fromtimestamp(json.loads(line)["ts"], UTC).isoformat()


@pytest.fixture
def place(tmp_path, told):
    """A folder with logs and with stand-ins for the programs that recipes call."""
    for name, script in {"kubectl": KUBECTL, "logcli": LOGCLI, "cachelog": CACHELOG}.items():
        stand_in = tmp_path / "bin" / name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(script)
        stand_in.chmod(0o755)
    for name in ("textfile", "state/cachelog"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copytree(SAMPLE, tmp_path / "app")
    for name in ("prefixed", "jsonl"):
        (tmp_path / name).symlink_to(told / name)
    return tmp_path


def shell(script: str, place: Path, **env: str) -> subprocess.CompletedProcess[str]:
    for path, stands in PATHS.items():
        script = script.replace(path, stands)
    given = {**os.environ, **GIVEN, "LOGS": str(place), "PATH": f"{place / 'bin'}:{os.environ['PATH']}", **env}
    said = subprocess.run(
        ["bash", "-c", script], cwd=place, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert "unbound" not in said.stderr
    return said


def calls(place: Path) -> list[tuple[list[str], Path | None]]:
    """Return the arguments of each call of cachelog, and what was piped to it."""
    made = sorted(path for path in place.glob("call.*") if path.suffix != ".stdin")
    piped = [path.with_name(f"{path.name}.stdin") for path in made]
    return [
        (path.read_text().split("\0")[:-1], pipe if pipe.exists() else None)
        for path, pipe in zip(made, piped, strict=True)
    ]


def call(place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Run the one call of cachelog that a script made, here."""
    [(arguments, piped)] = calls(place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    if piped is None:
        return app.run(arguments), arguments
    with open(piped, "rb") as handle:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=handle, isatty=lambda: False, fileno=handle.fileno))
        return app.run(arguments), arguments


def written(arguments: list[str]) -> list[str]:
    """Return the files that -o names."""
    named = [arguments[at + 1] for at, word in enumerate(arguments) if word == "-o"]
    named += [word.partition("=")[2] for word in arguments if word.startswith("--output=")]
    return [name.partition("=")[2] or name for name in named]


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_recipe_finds_the_older_version(name, place, monkeypatch, capsys):
    said = shell(SCRIPTS[name], place)
    assert (said.returncode, said.stderr) == (0, "")
    code, arguments = call(place, monkeypatch)
    assert code == (1 if "check" in arguments else 0)
    assert re.search(r"older\s+version\s+v9\s+loaded\s+after\s+newer\s+v10", "".join(capsys.readouterr()))
    for path in written(arguments):
        assert ODD in (place / path).read_text() or "version-regression" in (place / path).read_text()


def test_the_action_hands_on_verdicts_and_runs_nothing_that_it_is_given(place, tmp_path):
    evil = {"PATHS": "$(touch broken)\n`touch broken`; touch broken\n--config\n", "ARGS": "--on=*; touch broken"}
    outputs = tmp_path / "outputs"
    said = shell(SCRIPTS["action"], place, CACHELOG_EXITS="3", GITHUB_OUTPUT=str(outputs), **evil)
    assert (said.returncode, outputs.read_text()) == (3, "exit-code=3\n")
    assert calls(place)[0][0] == [
        *("check", "--format", "github", "--on=*; touch broken", "--"),
        *("$(touch broken)", "`touch broken`; touch broken", "--config"),
    ]
    assert not (place / "broken").exists()


@pytest.mark.parametrize(("exits", "code"), [("3", 0), ("70", 70)])
def test_a_cronjob_without_news_is_no_failed_job(exits, code, place):
    assert shell(SCRIPTS["cronjob"], place, CACHELOG_EXITS=exits).returncode == code


def test_what_two_fetches_of_a_cronjob_hold_counts_once(place, monkeypatch, capsys):
    shell(SCRIPTS["cronjob"], place)
    call(place, monkeypatch)
    capsys.readouterr()
    [fetched] = (place / "state" / "logs").iterdir()
    fetched.with_name("later.log").write_bytes(fetched.read_bytes())
    [(arguments, _)] = calls(place)
    assert (app.run(arguments), capsys.readouterr().out) == (0, "")
    assert app.run([*arguments[:4], "--format", "json"]) == 0
    [ranker] = [m for m in json.loads(capsys.readouterr().out)["models"] if m["model"] == "search-ranker"]
    assert ranker["lookups"] == 1996


def test_a_cronjob_posts_only_where_there_is_an_address(place):
    shell(SCRIPTS["cronjob"], place, SLACK_URL="https://hooks.example.com/a b")
    assert calls(place)[0][0][-2:] == ["--notify", "https://hooks.example.com/a b"]


def test_cron_ends_no_line_at_a_percent_sign(tmp_path):
    assert not any("%" in line for line in cron())
    assert app.run([*shlex.split(cron()[1].replace("/var/log/app", "/nothing"))[1:], "--state", f"{tmp_path}/s"]) == 3


def texts() -> list[str]:
    return [PAGE, *(path.read_text() for path in (*sorted(FOLDER.iterdir()), ROOT / "action.yml"))]


def test_every_option_of_a_recipe_is_one():
    """Also of those that no test runs."""
    lines = [line for text in texts() for line in re.sub(r"\\\n\s*|(?<=\S)\n\s+(?=-)", " ", text).splitlines()]
    named = [found for line in lines for found in re.findall(r"\bcachelog (\w+)\b([^|`]*)", line)]
    seen = set()
    for name, rest in named:
        command = next((c for c in app.app.registered_commands if c.name == name), None)
        if command is None:
            continue
        seen.add(name)
        known = {p.replace("_", "-") for p in command.callback.__annotations__} | {"output"}
        assert set(re.findall(r"--([a-z][a-z-]+)", rest)) <= known, rest
    assert seen >= {"analyze", "check", "report", "watch"}


def test_options_given_to_the_action_are_ones_of_check():
    command = next(c for c in app.app.registered_commands if c.name == "check")
    known = {p.replace("_", "-") for p in command.callback.__annotations__} | {"output"}
    given = re.findall(r"^ +--([a-z-]+)=", "\n".join(texts()), re.M)
    assert {"expect", "output", "sarif-anchor"} <= set(given) <= known


def test_alerts_are_on_metrics_that_there_are(tmp_path, capsys):
    assert app.run(["report", str(SAMPLE), "--state", str(tmp_path / "s.json"), "--format", "prometheus"]) == 0
    written = {family.name for family in text_string_to_metric_families(capsys.readouterr().out)}
    rules = yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"\bcachelog_\w+", rule["expr"])}
    assert len(asked) == len(rules) and asked <= written


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", "docs/recipes/github-workflow.yml"),
        ("gitlab-ci", "docs/recipes/gitlab-ci.yml"),
    ],
)
def test_files_for_ci_are_valid(schema, name, capsys):
    from check_jsonschema import main

    with pytest.raises(SystemExit) as said:
        main(["--builtin-schema", f"vendor.{schema}", str(ROOT / name)])
    assert said.value.code == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", ["argo-rollouts.yaml", "cronjob.yaml"])
def test_pods_run_unprivileged_and_read_only(name):
    found = documents(f"docs/recipes/{name}")
    job = found["CronJob"]["spec"]["jobTemplate"]["spec"] if "CronJob" in found else None
    job = job or found["AnalysisTemplate"]["spec"]["metrics"][0]["provider"]["job"]["spec"]
    assert job["template"]["spec"]["securityContext"]["runAsNonRoot"]
    assert pod(job)["securityContext"]["readOnlyRootFilesystem"]
    assert found["Role"]["rules"] == [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]
    assert f"USER {job['template']['spec']['securityContext']['runAsUser']}:" in (ROOT / "Containerfile").read_text()


def test_every_file_is_on_the_page():
    assert {path.name for path in FOLDER.iterdir()} == set(re.findall(r"\(recipes/([\w.-]+)\)", PAGE))
