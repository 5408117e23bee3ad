"""The formats of a report: each read by something that is not ours, each with the verdict, none with another's bytes.

`python -m tests.test_formats` writes the golden files anew; read their diff before you commit it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import polars as pl
import pyarrow.parquet as pq
import pytest
import xmlschema
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families
from slack_sdk.models.blocks import Block

from cachelog.contract.finding import Severity
from cachelog.contract.verdict import NOTHING, Anchor, Check, Outcome, Setting, Verdict
from cachelog.render.registry import ENDINGS, ReportFormat, renderer
from cachelog.rooms import detectors
from tests import reports

HERE = Path(__file__).parent
GOLDEN = {
    ReportFormat.JSONL: "jsonl", ReportFormat.MARKDOWN: "md", ReportFormat.BRIEF: "brief.txt", ReportFormat.SARIF: "sarif",
    ReportFormat.JUNIT: "xml", ReportFormat.GITHUB: "github.txt", ReportFormat.GITLAB: "gitlab.json", ReportFormat.PROMETHEUS: "prom",
    ReportFormat.CSV: "csv", ReportFormat.SLACK: "slack.json", ReportFormat.PAGERDUTY: "pagerduty.jsonl",
    ReportFormat.ALERTMANAGER: "alertmanager.json", ReportFormat.GRAFANA: "grafana.jsonl",
}  # fmt: skip
FORMATS = [kind for kind in ReportFormat if kind is not ReportFormat.TEXT]


def verdict(outcome=Outcome.FAIL):
    """Return a verdict with a check of each outcome."""
    return Verdict(
        outcome,
        f"31.0 % of 9,411 lookups missed, {outcome.value} from 5.0 % on",
        (
            Check("fraud", Outcome.FAIL, "F1 (critical): older version v41 loaded", "fraud", ("F1", "F2")),
            Check("spam", Outcome.PASS, "nothing at or above high in 812 lookups", "spam"),
            Check("tags", Outcome.INCONCLUSIVE, "12 lookups, 188 more are needed", "tags"),
            Check("all models", Outcome.FAIL, "F7 (high): clocks differ", None, ("F7",)),
        ),
    )


JUDGED = Setting(
    verdict=verdict(),
    anchor=Anchor("deploy/model.yaml", 3),
    pages={rule: module.__doc__ or "" for rule, module in detectors().items()},
    states={"75b1122a4fe54f1c": "new", "aa": "unchanged"},
    routing_key="0123456789abcdef0123456789abcdef",
)
REPORTS = {
    "incident": reports.report(),
    "healthy": reports.healthy(),
    "empty": reports.empty(),
    "broken": reports.report(partial=True, errors=("cold-start: ValueError: x",)),
    "hostile": reports.hostile(),
    "crowd": reports.crowd(models=500, findings=60),
}
EVERY = [(name, setting) for name in REPORTS for setting in (NOTHING, JUDGED)]
every = pytest.mark.parametrize(("name", "setting"), EVERY, ids=lambda x: x if isinstance(x, str) else "")


def rendered(kind, name="incident", setting=JUDGED):
    return renderer(kind).render(REPORTS[name], setting)


PAGE = "rollback: the fleet went back together.\n\nWhat it says\n    All of them went back.\n\nWhat to do\n    Nothing."
SHORT = replace(JUDGED, pages={"rollback": PAGE})  # the real manual changes with its rules


def golden(kind):
    return HERE / "golden" / f"incident-judged.{GOLDEN[kind]}"


# -- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_file_is_the_golden_one(kind):
    expected = golden(kind).read_bytes()
    assert rendered(kind, setting=SHORT).encode() == expected


def test_every_format_has_a_golden_file_or_is_binary_or_is_tested_apart():
    assert set(FORMATS) - set(GOLDEN) == {ReportFormat.JSON, ReportFormat.PARQUET, ReportFormat.HTML}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", [name for name in REPORTS if name != "crowd"])
def test_the_same_report_gives_the_same_bytes_ended_by_a_newline(kind, name):
    made = rendered(kind, name)
    assert made == rendered(kind, name)
    if isinstance(made, str):
        made.encode()  # no half of a pair of surrogates
        assert made == "" or made.endswith("\n")


IN_CI = [ReportFormat.MARKDOWN, ReportFormat.BRIEF, ReportFormat.SARIF, ReportFormat.JUNIT, ReportFormat.GITLAB, ReportFormat.JSONL, ReportFormat.SLACK]  # fmt: skip


@pytest.mark.parametrize("kind", IN_CI)
@pytest.mark.parametrize("outcome", Outcome)
def test_the_verdict_is_in_every_format_that_ci_reads(kind, outcome):
    made = rendered(kind, setting=replace(JUDGED, verdict=verdict(outcome)))
    assert f"31.0 % of 9,411 lookups missed, {outcome.value} from 5.0 % on" in made
    assert outcome.value in made


def test_every_format_has_an_ending():
    assert {kind for kinds in ENDINGS.values() for kind in kinds} == set(ReportFormat)


# -- SARIF ----------------------------------------------------------------------------------------------

SARIF = jsonschema.Draft4Validator(json.loads((HERE / "schemas" / "sarif-schema-2.1.0.json").read_text()))


def run_of(name, setting=JUDGED):
    return json.loads(rendered(ReportFormat.SARIF, name, setting))["runs"][0]


@every
def test_sarif_keeps_the_schema_of_oasis(name, setting):
    SARIF.validate(json.loads(rendered(ReportFormat.SARIF, name, setting)))


def test_sarif_stands_at_the_anchor_with_the_log_lines_beside_it():
    result = run_of("incident")["results"][0]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("deploy/model.yaml", 3)
    related = [location["physicalLocation"] for location in result["relatedLocations"]]
    assert [(p["artifactLocation"]["uri"], p["region"]["startLine"]) for p in related] == [
        ("logs/fraud-0.log", 84),
        ("logs/fraud-0.log", 199),
    ]
    assert related[0]["region"]["snippet"]["text"] == '{"msg":"loaded","version":"v42"}'
    bare = run_of("incident", NOTHING)["results"][0]["locations"][0]["physicalLocation"]
    assert (bare["artifactLocation"]["uri"], bare["region"]["startLine"]) == ("logs/fraud-0.log", 84)


def test_sarif_says_rank_state_and_what_stays_from_run_to_run():
    results = run_of("incident")["results"]
    assert [r["rank"] for r in results] == sorted((r["rank"] for r in results), reverse=True)
    assert [r.get("baselineState") for r in results] == ["new", "unchanged", None]
    assert [r["level"] for r in results] == ["error", "error", "note"]
    assert results[0]["partialFingerprints"] == {"primaryLocationLineHash": "75b1122a4fe54f1c:1"}
    assert "baselineState" not in json.dumps(run_of("incident", NOTHING))


def test_sarif_explains_each_rule_with_its_manual_page():
    rules = run_of("incident")["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["miss-rate-shift", "rollback", "version-regression"]
    assert all(rule["shortDescription"]["text"] and "What to do" in rule["help"]["text"] for rule in rules)
    assert rules[1]["fullDescription"]["text"].startswith("The replicas that had a newer version")


def test_sarif_tells_of_the_verdict_of_rules_that_failed_and_of_limits():
    called = run_of("broken")["invocations"][0]
    assert called["executionSuccessful"] is False
    told = [(note["descriptor"]["id"], note["level"]) for note in called["toolExecutionNotifications"]]
    assert told == [("verdict", "error"), ("rule-failed", "error")]
    assert len(called["toolConfigurationNotifications"]) == 1


@pytest.mark.parametrize(
    ("path", "uri"),
    [("a b/ü.log", "a%20b/%C3%BC.log"), ("/var/log/x", "file:///var/log/x"), ("x.tgz!m.log", "x.tgz!m.log"), ("c:d", "c%3Ad"), ("b\udcff", "b%FF"), ("\ud800", "%ED%A0%80")],
)  # fmt: skip
def test_sarif_writes_paths_as_uris(path, uri):
    cited = replace(reports.regression().evidence[0], path=path)
    report = reports.report(findings=(reports.regression(evidence=(cited,)),))
    made = json.loads(renderer(ReportFormat.SARIF).render(report, NOTHING))["runs"][0]["results"][0]
    assert made["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_sarif_is_within_what_github_takes():
    run = run_of("crowd")
    assert len(run["results"]) <= 25_000
    assert all(len(result["relatedLocations"]) <= 1_000 for result in run["results"])
    assert all(len(result["locations"]) == 1 for result in run["results"])


# -- JUnit ----------------------------------------------------------------------------------------------

JUNIT = xmlschema.XMLSchema(HERE / "schemas" / "junit-10.xsd")


def suite(name="incident", setting=JUDGED):
    return ElementTree.fromstring(rendered(ReportFormat.JUNIT, name, setting))[0]


@every
def test_junit_keeps_the_schema_of_jenkins(name, setting):
    JUNIT.validate(ElementTree.fromstring(rendered(ReportFormat.JUNIT, name, setting)))


@every
def test_junit_counts_what_it_holds(name, setting):
    made = suite(name, setting)
    states = [case[0].tag if len(case) else "" for case in made.iter("testcase")]
    told = {key: int(made.get(key)) for key in ("tests", "failures", "skipped", "errors")}
    assert told == {
        "tests": len(states), "failures": states.count("failure"), "skipped": states.count("skipped"), "errors": states.count("error"),
    }  # fmt: skip


def test_junit_has_a_case_for_the_verdict_and_for_every_check():
    cases = [(c.get("classname"), c.get("name"), c[0].tag if len(c) else "") for c in suite().iter("testcase")]
    assert cases == [
        ("cachelog.check", "verdict", "failure"),
        ("cachelog.check.model", "fraud", "failure"),
        ("cachelog.check.model", "spam", ""),
        ("cachelog.check.model", "tags", "skipped"),
        ("cachelog.check.logs", "all models", "failure"),
    ]
    failed = suite()[1][0]
    assert failed.get("message") == "F1 (critical): older version v41 loaded"
    assert "logs/fraud-0.log:199 older version loaded" in failed.text


@pytest.mark.parametrize(("outcome", "tag"), [(Outcome.PASS, None), (Outcome.FAIL, "failure"), (Outcome.INCONCLUSIVE, "skipped")])  # fmt: skip
def test_junit_skips_what_is_inconclusive(outcome, tag):
    case = suite(setting=replace(JUDGED, verdict=Verdict(outcome, "so it is")))[0]
    assert (case[0].tag if len(case) else None) == tag


def test_junit_without_a_verdict_has_a_case_a_rule_and_model():
    cases = [(c.get("name"), c[0].tag if len(c) else "") for c in suite(setting=NOTHING).iter("testcase")]
    assert cases == [("version-regression: fraud", "failure"), ("miss-rate-shift: fraud", "failure"), ("rollback: spam", "")]  # fmt: skip
    assert [c.get("name") for c in suite("healthy", NOTHING).iter("testcase")] == ["fraud"]


# -- GitLab ---------------------------------------------------------------------------------------------

GITLAB = jsonschema.Draft202012Validator(json.loads((HERE / "schemas" / "gitlab-code-quality.json").read_text()))


@every
def test_gitlab_keeps_its_schema_and_its_fingerprints_are_unique(name, setting):
    entries = json.loads(rendered(ReportFormat.GITLAB, name, setting))
    GITLAB.validate(entries)
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)


def test_gitlab_is_an_empty_array_where_nothing_is_wrong():
    assert json.loads(rendered(ReportFormat.GITLAB, "healthy", NOTHING)) == []


def test_gitlab_has_the_verdict_as_an_entry():
    found = {}
    for outcome in Outcome:
        entry = json.loads(rendered(ReportFormat.GITLAB, setting=replace(JUDGED, verdict=verdict(outcome))))[0]
        found[outcome.value] = entry["severity"]
        assert entry["location"] == {"path": "deploy/model.yaml", "lines": {"begin": 3}}
    assert found == {"pass": "info", "fail": "critical", "inconclusive": "major"}


@pytest.mark.parametrize(("path", "told"), [("./a/b.log", "a/b.log"), ("/var/log/x", "var/log/x"), ("../../x", "x"), ("-", "-")])  # fmt: skip
def test_gitlab_takes_paths_within_the_repository_only(path, told):
    cited = replace(reports.regression().evidence[0], path=path)
    report = reports.report(findings=(reports.regression(evidence=(cited,)),))
    entries = json.loads(renderer(ReportFormat.GITLAB).render(report, NOTHING))
    assert entries[0]["location"]["path"] == told


# -- GitHub ---------------------------------------------------------------------------------------------


def obeyed(output):
    """Return what the runner of GitHub Actions would do: commands at the start of a line, ##[x] anywhere (its version 1)."""
    done, token = [], None
    for line in output.splitlines():
        found = re.match(r"\s*::([^\s:]+)(?: ([^:]*))?::(.*)", line) or re.search(r"##\[([^\] ]+)()[^\]]*\](.*)", line)
        if token:
            token = None if found and found[1] == token else token
        elif found and found[1] == "stop-commands":
            token = found[3]
        elif found:
            done.append((found[1], found[2] or "", found[3]))
    return done


@every
def test_github_shows_no_more_than_it_can_and_says_what_is_left(name, setting):
    done = obeyed(rendered(ReportFormat.GITHUB, name, setting))
    assert {command for command, *_ in done} <= {"error", "warning", "notice", "group", "endgroup"}
    for level in ("error", "warning", "notice"):
        assert sum(command == level for command, *_ in done) <= 10
    if name == "crowd":
        assert " findings more in the report." in done[0][2]


@pytest.mark.parametrize(("outcome", "level"), [(Outcome.PASS, "notice"), (Outcome.FAIL, "error"), (Outcome.INCONCLUSIVE, "warning")])  # fmt: skip
def test_github_says_the_verdict_first(outcome, level):
    first = obeyed(rendered(ReportFormat.GITHUB, setting=replace(JUDGED, verdict=verdict(outcome))))[0]
    assert first[0] == level
    assert first[1] == f"file=deploy/model.yaml,line=3,title=cachelog check%3A {outcome.value}"
    assert first[2].startswith(f"{outcome.value}: 31.0 %25 of 9,411 lookups")


def test_github_obeys_no_line_of_a_log():
    line = "::error::owned"
    own = rendered(ReportFormat.GITHUB, "incident", NOTHING)
    token = re.search("::stop-commands::([0-9a-f]{64})", own)[1]
    cited = tuple(
        replace(reports.regression().evidence[0], text=text, path=path, role=text)
        for text in (line, f"x\n{line}", f"##[error]{line}", f"::{token}::", f"##[{token}]")
        for path in ("a.log", f"::{token}::\n{line}")
    )
    report = reports.report(findings=(reports.regression(evidence=cited),))
    done = obeyed(renderer(ReportFormat.GITHUB).render(report, NOTHING))
    assert "owned" not in str(done)
    assert [command for command, *_ in done] == ["notice", "error", "group", "endgroup"]


# -- Markdown -------------------------------------------------------------------------------------------

GFM = MarkdownIt("gfm-like", {"linkify": True, "html": True})


@every
def test_markdown_is_under_60_lines(name, setting):
    assert len(rendered(ReportFormat.MARKDOWN, name, setting).splitlines()) < 60


def test_markdown_renders_to_a_verdict_a_table_and_folded_proof():
    html = GFM.render(rendered(ReportFormat.MARKDOWN))
    assert html.startswith("<p><strong>❌ fail: 31.0 % of 9,411 lookups missed")
    assert html.count("<table>") == html.count("</table>") == 1
    assert html.count("<details>") == html.count("</details>") == 2
    assert '<pre><code class="language-text">logs/fraud-0.log:84 newer version loaded: {&quot;msg&quot;' in html
    assert "<td>F1 → F2</td>" in html


# -- Prometheus -----------------------------------------------------------------------------------------


def samples(name, setting=JUDGED):
    families = list(text_string_to_metric_families(rendered(ReportFormat.PROMETHEUS, name, setting)))
    return [sample for family in families for sample in family.samples]


@every
def test_prometheus_parses_each_series_once_without_timestamps(name, setting):
    found = samples(name, setting)
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in found]
    assert len(set(series)) == len(series)
    assert {sample.timestamp for sample in found} == {None}
    assert {family.type for family in text_string_to_metric_families(rendered(ReportFormat.PROMETHEUS, name))} == {"gauge"}  # fmt: skip


def test_prometheus_labels_are_bounded_and_nothing_is_lost():
    found = [sample for sample in samples("crowd") if sample.name == "cachelog_model_lookups"]
    assert len(found) == 201
    assert sum(sample.value for sample in found) == 500 * 12034
    assert [s.value for s in found if s.labels["model"] == "_other"] == [300 * 12034]


def test_prometheus_sums_models_that_no_label_tells_apart():
    rows = tuple(reports.row(model) for model in ("a\x1bb", "a\\x1bb", "_other"))
    made = renderer(ReportFormat.PROMETHEUS).render(reports.report(models=rows, findings=()), NOTHING)
    found = {
        s.labels["model"]: s.value for f in text_string_to_metric_families(made) for s in f.samples if s.name == "cachelog_model_lookups"
    }  # fmt: skip
    assert found == {"a\\x1bb": 2 * 12034, "_other": 12034}


def test_prometheus_has_the_verdict():
    found = {s.labels["verdict"]: s.value for s in samples("incident") if s.name == "cachelog_check_verdict"}
    assert found == {"pass": 0, "fail": 1, "inconclusive": 0}
    assert not [s for s in samples("incident", NOTHING) if s.name == "cachelog_check_verdict"]


# -- tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REPORTS)
def test_csv_has_a_row_a_finding_and_polars_reads_it(name):
    made = rendered(ReportFormat.CSV, name)
    rows = list(csv.reader(io.StringIO(made, newline="")))
    assert len(rows) == 1 + len(REPORTS[name].findings)
    assert {len(row) for row in rows} == {28}
    assert pl.read_csv(io.BytesIO(made.encode()), infer_schema=False).height == len(REPORTS[name].findings)


@pytest.mark.parametrize("name", REPORTS)
def test_parquet_has_the_same_columns_whatever_was_found_and_arrow_reads_it(name):
    table = pq.read_table(io.BytesIO(rendered(ReportFormat.PARQUET, name)))
    empty = pq.read_table(io.BytesIO(rendered(ReportFormat.PARQUET, "empty")))
    assert table.schema == empty.schema
    assert table["fingerprint"].to_pylist() == [finding.fingerprint for finding in REPORTS[name].findings]
    assert table["start"].to_pylist() == [finding.start for finding in REPORTS[name].findings]


def test_parquet_keeps_proof_causes_and_figures():
    found = pq.read_table(io.BytesIO(rendered(ReportFormat.PARQUET))).to_pylist()
    assert [line["line"] for line in found[0]["evidence"]] == [84, 199]
    assert found[1]["causes"][0]["share"] == 0.78
    assert {n["name"]: n["value"] for n in found[0]["numbers"]}["rate_after"] == 0.31


@every
def test_jsonl_has_the_report_line_by_line(name, setting):
    lines = [json.loads(line) for line in rendered(ReportFormat.JSONL, name, setting).splitlines()]
    whole = json.loads(rendered(ReportFormat.JSON, name))
    kinds = [line["kind"] for line in lines]
    assert (lines[0]["kind"], lines[0]["schema"], lines[0]["period"]) == ("run", "cachelog.lines/1", whole["period"])
    assert kinds.count("finding") == len(whole["findings"])
    assert kinds.count("model") == len(whole["models"])
    assert kinds.count("check") == (4 if setting is JUDGED else 0)
    assert all({"kind", *whole["findings"][0]} == set(line) for line in lines if line["kind"] == "finding")


# -- messages -------------------------------------------------------------------------------------------


@every
def test_slack_takes_the_blocks(name, setting):
    message = json.loads(rendered(ReportFormat.SLACK, name, setting))
    blocks = Block.parse_all(message["blocks"])
    for block in blocks:
        block.validate_json()
    assert len(blocks) == len(message["blocks"]) <= 50
    assert all(0 < len(said) <= 3_000 for said in texts(message["blocks"]))


def texts(value):
    """Yield every text of a message."""
    if isinstance(value, dict):
        yield from [value["text"]] if isinstance(value.get("text"), str) else []
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from texts(inner)


@every
def test_pagerduty_takes_the_events(name, setting):
    events = [json.loads(line) for line in rendered(ReportFormat.PAGERDUTY, name, setting).splitlines()]
    for event in events:
        payload = event["payload"]
        assert event["event_action"] == "trigger"
        assert event["routing_key"] == (setting.routing_key or "")
        assert 0 < len(event["dedup_key"]) <= 255
        assert 0 < len(payload["summary"]) <= 1_024
        assert payload["source"]
        assert payload["severity"] in ("critical", "error", "warning", "info")
    assert len({event["dedup_key"] for event in events}) == len(events)


def test_pagerduty_tells_a_cause_and_its_effects_as_one():
    (event,) = [json.loads(line) for line in rendered(ReportFormat.PAGERDUTY).splitlines()]
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["custom_details"]["effects"][0].startswith("F2: fraud: miss rate rose")
    assert rendered(ReportFormat.PAGERDUTY, "healthy") == ""


@every
def test_alertmanager_takes_the_alerts(name, setting):
    alerts = json.loads(rendered(ReportFormat.ALERTMANAGER, name, setting))
    for alert in alerts:
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt"}
        assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", key) for key in (*alert["labels"], *alert["annotations"]))
        assert all(isinstance(v, str) and v for v in (*alert["labels"].values(), *alert["annotations"].values()))
        assert alert.get("endsAt", "9") > alert["startsAt"]
    assert len({json.dumps(alert["labels"]) for alert in alerts}) == len(alerts)


@pytest.mark.parametrize(("minutes", "ongoing", "ends"), [(30, True, False), (30, False, True), (0, False, False)])
def test_alertmanager_takes_what_had_ended_for_resolved(minutes, ongoing, ends):
    finding = reports.regression(start=reports.START, end=reports.at(minutes), ongoing=ongoing)
    (alert,) = json.loads(renderer(ReportFormat.ALERTMANAGER).render(reports.report(findings=(finding,)), NOTHING))
    assert ("endsAt" in alert) is ends


def test_grafana_has_milliseconds_and_tags():
    first = json.loads(rendered(ReportFormat.GRAFANA).splitlines()[0])
    assert (first["time"], first["timeEnd"]) == (1795447082000, 1795448396000)
    assert first["tags"] == ["cachelog", "version-regression", "severity:critical", "model:fraud"]
    assert len(rendered(ReportFormat.GRAFANA).splitlines()) == 3


@every
def test_a_brief_is_small_and_every_line_says_what_it_is(name, setting):
    made = rendered(ReportFormat.BRIEF, name, setting)
    assert len(made) < 16_000
    labels = ("cachelog.brief/1", "NOTE ", "FACT ", "INFERENCE ", "UNKNOWN ", "FINDING ", "NEXT ")
    assert all(line.lstrip().startswith(labels) for line in made.splitlines())


def test_severities_are_told_in_the_words_of_each_place():
    findings = tuple(reports.regression(severity=level, fingerprint=level.word) for level in sorted(Severity, reverse=True))  # fmt: skip
    report = reports.report(findings=tuple(replace(f, id=f"F{n}") for n, f in enumerate(findings, 1)))
    gitlab = json.loads(renderer(ReportFormat.GITLAB).render(report, NOTHING))
    assert [entry["severity"] for entry in gitlab] == ["blocker", "critical", "major", "minor", "info"]
    events = renderer(ReportFormat.PAGERDUTY).render(report, NOTHING).splitlines()
    assert [json.loads(event)["payload"]["severity"] for event in events] == ["critical", "error", "warning", "info"]
    results = json.loads(renderer(ReportFormat.SARIF).render(report, NOTHING))["runs"][0]["results"]
    assert [result["level"] for result in results] == ["error", "error", "warning", "note", "note"]


if __name__ == "__main__":
    for wanted in GOLDEN:
        golden(wanted).write_bytes(rendered(wanted, setting=SHORT).encode())
