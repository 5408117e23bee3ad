"""What the platform says beside the logs: read where it stands, told with what the logs show, and no version of a model."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import inspection, pipeline
from cachelog.cli.options import deployed
from cachelog.contract.deploys import Deploy
from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Severity
from cachelog.contract.platform import told as told_by_platform
from cachelog.render import detail, terminal
from cachelog.render.page import PLAIN
from cachelog.rooms import dialects
from tests.platform_objects import event, listed, pod, status
from tests.reading import events, read_lines

LOGS = Path(__file__).parent.parent / "sample-logs" / "stale-replica"
PODS = sorted(path.stem for path in LOGS.glob("search-*.log"))
STALE = ("search-7d9c8b6f5-8rw4z", "search-7d9c8b6f5-l5bjc")
CREATED, BEFORE = "2026-09-14T04:00:00Z", "2026-09-14T05:33:00Z"


def analysed(tmp_path, name, text, *deploys):
    """Return the findings on the sample with a file beside it, by rule."""
    folder = tmp_path / "logs"
    shutil.copytree(LOGS, folder)
    (folder / "EXPECT.json").unlink()
    if text:
        (folder / name).write_text(text)
    report = pipeline.analyze([str(folder)], pipeline.Options(deploys=deploys))
    assert not report.errors
    return {finding.rule: finding for finding in report.findings}, report


def pods(**stale):
    """Return the pods of the sample; `stale` is what differs on those that went back."""
    return [pod(n, CREATED, **({"config": "search-9k4"} | (stale if n in STALE else {}))) for n in PODS]


def test_the_pods_that_went_back_run_the_other_config_map(tmp_path):
    text = listed(pods(config="search-7g2"))
    found = analysed(tmp_path, "pods.json", text)[0]["version-regression"]
    names = ", ".join(STALE)
    assert f"The pods of {names} have ConfigMap search-7g2 (the others search-9k4)." in found.summary
    assert found.numbers["manifest_differs"] == "ConfigMap"
    assert (found.numbers["manifest_value"], found.numbers["manifest_value_of_others"]) == ("search-7g2", "search-9k4")
    (first, *_) = [e for e in found.evidence if e.path.endswith("pods.json")]
    assert first.role == f"manifest of {STALE[0]}: ConfigMap search-7g2"
    items = [number for number, line in enumerate(text.splitlines(), 1) if line == "        {"]
    assert first.line == items[PODS.index(STALE[0])]


@pytest.mark.parametrize("back", [True, False])
def test_pods_that_started_on_the_other_side_of_a_change_of_their_config_map_are_told(tmp_path, back):
    """Two restarted after somebody had changed it back; or all but two did, and these have the old one."""
    late = "2026-09-14T05:34:02Z"
    objects = [
        pod(name, CREATED, config="search", containerStatuses=[status("search", late if (name in STALE) == back else CREATED)])
        for name in PODS
    ]  # fmt: skip
    fields = [{"manager": "kubectl", "time": CREATED}, {"manager": "kubectl-edit", "time": "2026-09-14T05:30:00Z"}]
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "search", "creationTimestamp": "2025-01-01T00:00:00Z", "managedFields": fields},
        "data": {"MODEL_NAME": "search-ranker", "WORKERS": "3"},
    }
    found = analysed(tmp_path, "all.json", listed([*objects, config]))[0]["version-regression"]
    names = ", ".join(STALE)
    when = "ConfigMap search changed (2026-09-14 05:30:00 UTC)"
    said = {
        True: f"The pods of {names} started after {when}, so with the new one; the others before it.",
        False: f"The pods of {names} started before {when}, so with the old one; the others after it.",
    }
    assert said[back] in found.summary
    assert [e.role for e in found.evidence if e.path.endswith("all.json")] == ["ConfigMap search changed"]


def test_a_config_map_that_names_model_and_version_asks_for_it(tmp_path):
    data = {"MODEL_NAME": "fraud", "MODEL_VERSION": "v7"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "creationTimestamp": CREATED}}
    rows = told(tmp_path, json.dumps(config | {"data": data}))
    assert ("rollout", None, "fraud", "v7", "deploy: ConfigMap c changed") in [row[1:] for row in rows]
    assert [row[5] for row in told(tmp_path, json.dumps(config))] == ["manifest: ConfigMap changed"]


def test_equal_manifests_are_ruled_out(tmp_path):
    found = analysed(tmp_path, "pods.json", listed(pods()))[0]["version-regression"]
    assert ("another manifest", "their pods have the same as the others: ConfigMap, image") in [
        (r.cause, r.why) for r in found.rejected
    ]


def test_one_tag_of_two_digests_is_another_image(tmp_path):
    def images(name):
        return [status("search", CREATED, imageID=f"reg/search@sha256:{'old' if name in STALE else 'new'}")]

    text = listed([pod(n, CREATED, config="c", containerStatuses=images(n)) for n in PODS])
    found = analysed(tmp_path, "pods.json", text)[0]["version-regression"]
    assert "image sha256:old (the others sha256:new)" in found.summary


def test_what_the_platform_says_of_a_replica_is_told_with_its_finding(tmp_path):
    said = event("Pod", STALE[0], "Unhealthy", "Liveness probe failed: HTTP 503", "2026-09-14T05:33:50Z")
    other = event("Pod", PODS[0], "Unhealthy", "not theirs", "2026-09-14T05:33:50Z")
    found = analysed(tmp_path, "events.json", listed([other, said]))[0]["version-regression"]
    assert f"says of {STALE[0]} at 05:33:50 UTC: Unhealthy: Liveness probe failed: HTTP 503." in found.summary
    assert "not theirs" not in found.summary


DEPLOYS = {
    "helm": json.dumps(
        [
            {"revision": n, "updated": t, "status": "deployed", "chart": "search-1.4.0", "app_version": "2.9"}
            for n, t in ((1, "2024-01-01T00:00:00.5+02:00"), (2, "2026-09-14T07:33:00.123456789+02:00"))
        ]
    ),
    "argo": json.dumps(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "search", "managedFields": [{"manager": "argocd"}]},
            "spec": {"project": "default", "destination": {"namespace": "prod"}},
            "status": {"history": [{"deployedAt": t, "revision": f"rev{n}"} for n, t in enumerate((CREATED, BEFORE))]},
        },
        indent=2,
    ),
    "rollouts": listed([event("Rollout", "search", "RolloutUpdated", "Rollout updated to revision 2", BEFORE)]),
    "replicasets": listed(
        [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{owner}-7d9c8b6f5",
                    "creationTimestamp": BEFORE,
                    "annotations": {"deployment.kubernetes.io/revision": "2"},
                    "ownerReferences": [{"kind": "Deployment", "name": owner}],
                },
                "spec": {"template": {"spec": {"containers": [{"name": "search", "image": "reg/search:2"}]}}},
            }
            for owner in ("search", "unrelated", "sea")
        ]
    ),
    "github": json.dumps(
        [
            {
                "id": 2,
                "sha": "a84d88e7",
                "ref": "v2.9",
                "environment": "prod",
                "created_at": BEFORE,
                "statuses_url": "https://x/2/statuses",
            }
        ],
        indent=2,
    ),
    "gitlab": json.dumps(
        [
            {
                "iid": 2,
                "sha": "a91957a858320c",
                "ref": "main",
                "status": "success",
                "environment": {"name": "prod"},
                "created_at": "2026-09-14T05:31:00.000Z",
                "deployable": {"finished_at": "2026-09-14T05:33:00.000Z"},
            }
        ]
    ),
}
SAID = {
    "helm": "Helm revision 2, search-1.4.0, app version 2.9, deployed.",
    "argo": "Argo CD application search, revision rev1.",
    "rollouts": "Rollout search: RolloutUpdated: Rollout updated to revision 2.",
    "replicasets": "Deployment search: revision 2, reg/search:2.",
    "github": "GitHub deployment 2 of v2.9 to prod.",
    "gitlab": "GitLab deployment 2 of main at a91957a8 to prod: success.",
}


@pytest.mark.parametrize("source", DEPLOYS)
def test_a_deploy_before_a_rise_is_told_beside_it(tmp_path, source):
    found, report = analysed(tmp_path, f"{source}.json", DEPLOYS[source])
    shift = found["miss-rate-shift"]
    assert f"before it there was a deploy: {SAID[source]}" in shift.summary
    assert [e.path for e in shift.evidence if e.role == "deploy"] == [str(tmp_path / "logs" / f"{source}.json")]
    assert shift.numbers["deploy_seconds_before"] == pytest.approx(20, abs=30)
    # nothing of it is a version of a model, a part of the period, or an announcement
    assert {v.version for row in report.models for v in row.versions} == {"v9", "v10", "v3"}
    assert (report.start.year, report.end.hour) == (2026, 5)
    assert found["version-regression"].severity is Severity.CRITICAL


def test_a_rise_with_no_deploy_near_it_rules_deploys_out(tmp_path):
    text = DEPLOYS["github"].replace(BEFORE, "2026-09-14T05:05:00Z")
    shift = analysed(tmp_path, "github.json", text)[0]["miss-rate-shift"]
    assert [r.why for r in shift.rejected if r.cause == "a deploy"] == [
        "none of 1 that are told of was in the 15 min before it"
    ]
    assert "deploy" not in shift.summary


BEGUN = datetime(2026, 9, 14, 5, 0, tzinfo=UTC)
FLEET = [f"m-5d5f-{x}" for x in ("bbbbb", "ccccc", "ddddd", "fffff")]


def at(minutes):
    return (BEGUN + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def fleet(folder, *, stuck=(), minutes=50, missing=lambda pod, minute: False):
    """Write logs of four pods that all load v1; at minute 8 and later, one after the other, v2 but for those stuck."""
    folder.mkdir()
    for number, name in enumerate(FLEET):
        lines = []
        version = "v1"
        for step in range(minutes * 12):
            minute = step / 12
            if minute == 8 + number and name not in stuck:
                version = "v2"
                lines.append({"ts": at(minute), "event": "model_loaded", "model": "m", "version": version})
            outcome = "miss" if step % 10 == 0 or missing(name, minute) else "hit"
            key = f"{name}{step}" if outcome == "miss" else "k"
            said = {"event": "cache_lookup", "result": outcome, "model": "m", "version": version, "key": key}
            lines.append({"ts": at(minute), **said})
        (folder / f"{name}.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def rules(folder, *deploys):
    report = pipeline.analyze([str(folder)], pipeline.Options(deploys=deploys))
    assert not report.errors
    return {finding.rule: finding for finding in report.findings}


def test_a_rollout_that_stopped_tells_what_holds_the_replica_up(tmp_path):
    folder = fleet(tmp_path / "logs", stuck=FLEET[3:])
    back_off = event("Pod", FLEET[3], "BackOff", 'Back-off pulling image "reg/m:2"', at(12))
    behind = pod(FLEET[3], at(-90), config="c", image="reg/m:1")
    objects = [*(pod(n, at(8), config="c", image="reg/m:2") for n in FLEET[:3]), behind, back_off]
    (folder / "all.json").write_text(listed(objects))
    found = rules(folder)["stuck-rollout"]
    assert f"The pod of {FLEET[3]}, created before the others, has image reg/m:1 (the others reg/m:2)." in found.summary
    assert f'says of {FLEET[3]} at 05:12:00 UTC: BackOff: Back-off pulling image "reg/m:2".' in found.summary
    assert {e.role for e in found.evidence} >= {"trouble told", f"manifest of {FLEET[3]}: image reg/m:1"}


def test_a_deployment_that_ran_out_of_time_is_told_of_its_pods(tmp_path):
    folder = fleet(tmp_path / "logs", stuck=FLEET[3:])
    said = 'ReplicaSet "m-5d5f" has timed out progressing.'
    late = {
        "type": "Progressing",
        "reason": "ProgressDeadlineExceeded",
        "message": said,
        "lastUpdateTime": at(20),
    }
    one = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "m", "creationTimestamp": at(-9000)},
        "status": {"conditions": [late]},
    }
    (folder / "deployments.json").write_text(json.dumps(one, indent=4))
    assert f"The platform says of m at 05:20:00 UTC: Deployment m: {said}" in rules(folder)["stuck-rollout"].summary


def test_arms_with_other_variables_say_so(tmp_path):
    folder = fleet(tmp_path / "logs", stuck=FLEET[2:], minutes=135)
    objects = []
    for name in FLEET:
        one = pod(name, at(-90), config="c")
        one["spec"]["containers"][0]["env"] = [{"name": "MODEL_VERSION", "value": "1" if name in FLEET[2:] else "2"}]
        objects.append(one)
    (folder / "pods.json").write_text(listed(objects))
    found = rules(folder)["version-skew"]
    assert f"The pods of {FLEET[2]}, {FLEET[3]} have MODEL_VERSION 1 (the others 2)." in found.summary


def test_restarts_that_the_platform_tells_of_are_restarts(tmp_path):
    folder = fleet(tmp_path / "logs")
    died = {"reason": "OOMKilled", "exitCode": 137, "startedAt": at(24), "finishedAt": at(29)}
    again = status("search", at(30), restartCount=5, lastState={"terminated": died})
    mesh = status("istio-proxy", at(40), restartCount=9, lastState={"terminated": died | {"startedAt": at(39)}})
    started = event(
        "Pod", FLEET[0], "Started", "Started container search", at(30), firstTimestamp=at(14), count=5, type="Normal"
    )
    elsewhere = [event("Pod", "other-0", "Started", "Started", at(t)) for t in range(10, 20)]
    text = listed([pod(FLEET[0], at(-90), config="c", containerStatuses=[again, mesh]), started, *elsewhere])
    (folder / "all.json").write_text(text)
    found = rules(folder)["replica-restart"]
    assert (found.replicas, found.numbers["restarts"]) == ((FLEET[0],), 6)
    roles = [e.role for e in found.evidence]
    assert "restarted: started container search after OOMKilled (exit code 137), restarts: 5" in roles


def test_a_cold_start_after_a_deploy_names_it(tmp_path):
    folder = fleet(tmp_path / "logs", missing=lambda pod, minute: 0 <= minute - 8 - FLEET.index(pod) < 2)
    (folder / "helm.json").write_text(
        json.dumps([{"revision": 2, "updated": at(7), "status": "deployed", "chart": "m-2", "app_version": "2"}])
    )
    found = rules(folder)["cold-start"]
    assert "1 min before it there was a deploy: Helm revision 2, m-2, app version 2, deployed." in found.summary


def told(tmp_path, *lines):
    return events(read_lines(tmp_path, *lines)).select("line", "op", "replica", "model", "version", "reason").rows()


def test_a_payload_that_names_model_and_version_asks_for_it(tmp_path):
    payload = json.dumps({"model": "fraud", "model_version": "v7"})
    github = json.loads(dialects()["github"].SAMPLES[0]) | {"payload": payload}
    parameters = [{"name": "serving.model", "value": "fraud"}, {"name": "serving.modelVersion", "value": "v7"}]
    argo = json.loads(dialects()["argo"].SAMPLES[0])
    argo["status"]["history"][0]["source"]["helm"] = {"parameters": parameters}
    found = told(tmp_path, json.dumps(github), json.dumps(argo))
    assert [row[:5] for row in found if row[3]] == [(n, "rollout", None, "fraud", "v7") for n in (1, 2)]


def test_objects_are_read_wherever_they_stand(tmp_path):
    """Bare, in lists of one line with or without kinds, watched, one behind the other, and in envelopes."""
    one = event("Pod", "a-0", "Killing", "Stopping container a", BEFORE)
    untyped = {key: value for key, value in one.items() if key not in ("kind", "apiVersion")}
    bare = told(tmp_path, json.dumps(one))
    assert bare == [(1, "rollout", "a-0", None, None, "platform: Killing: Stopping container a")]
    for text in (
        json.dumps({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": [untyped]}),
        json.dumps([one]),
        json.dumps({"type": "ADDED", "object": one}),
        json.dumps({"log": json.dumps(one) + "\n", "stream": "stdout", "time": BEFORE}),
        json.dumps(one, indent=2),
    ):
        assert told(tmp_path, text) == bare
    listed = json.dumps({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [one]})
    stored = json.dumps({"timestamp": BEFORE, "logName": "l", "insertId": "0", "textPayload": listed})
    hits = {"hits": {"total": {"value": 1}, "hits": [{"_index": "i", "_id": "1", "_source": {"@timestamp": BEFORE}}]}}
    hits["hits"]["hits"][0]["_source"] |= {"message": stored, "ecs": {"version": "8"}, "agent": {"type": "filebeat"}}
    assert told(tmp_path, json.dumps(hits)) == bare
    twice = json.dumps(one, indent=4) + "\n" + json.dumps(one, indent=4)
    assert [row[0] for row in told(tmp_path, twice)] == [1, 2 + json.dumps(one, indent=4).count("\n")]


@pytest.mark.parametrize("where", ["metadata", "status"])
def test_a_long_application_is_no_list_of_its_fields(tmp_path, where):
    """Its history stands on lines of its own where it begins within the first 64 KiB, else on that of the whole."""
    fields = [{"manager": f"m{n}", "fieldsType": "FieldsV1", "fieldsV1": {"f:x": {}}} for n in range(1500)]
    application = json.loads(DEPLOYS["argo"])
    application[where]["managedFields"] = fields
    text = json.dumps(application, indent=2)
    assert len(text) > 64 << 10
    found = told(tmp_path, text)
    numbers = [n for n, line in enumerate(text.splitlines(), 1) if '"deployedAt"' in line]
    assert [row[0] for row in found] == ([1, 1] if where == "metadata" else [n - 1 for n in numbers])


@pytest.mark.parametrize("engine", ["native", "polars"])
def test_wrong_types_say_nothing_and_cut_documents_are_counted(tmp_path, monkeypatch, engine):
    monkeypatch.setenv("CACHELOG_ENGINE", engine)
    good = pod("a-1-b", CREATED, config="c")
    wrong = [
        good | {"status": {"containerStatuses": {"name": 5}, "conditions": ["x", None]}, "spec": {"containers": 7}},
        good | {"metadata": {"name": "a", "creationTimestamp": 17}},
        good | {"metadata": {"name": ["a"], "creationTimestamp": CREATED}},
        event("Pod", "a", "Started", "x", "0001-01-01T00:00:00Z"),
        event("Pod", "a", "Started", "x", "2026-13-41T99:00:00Z"),
        event("Pod", "a", "Started", ["x"], CREATED, count="many", type=4),
    ]
    text = listed([*wrong, good, good])
    staged = read_lines(tmp_path, text[: text.rindex('"istio-proxy"')])
    found = events(staged)
    items = [number for number, line in enumerate(text.splitlines(), 1) if line == "        {"]
    assert sorted(set(found["line"])) == [items[n] for n in (0, 5, 6)]  # of the first a label, of the sixth a reason
    assert staged.inputs[0].bad > 0
    item = staged.inputs[0]
    assert item.lines == item.events + item.quiet + item.joined + item.unclaimed + item.bad


def test_rollout_history_is_known_and_says_nothing(tmp_path):
    staged = read_lines(tmp_path, *dialects()["kubectl_rollout"].SAMPLES)
    assert (staged.inputs[0].format, staged.inputs[0].quiet, events(staged).height) == ("kubectl_rollout", 4, 0)


def test_a_deploy_on_the_command_line_is_told_and_cited(tmp_path):
    of_all = Deploy("2026-09-14T05:33:30Z", datetime(2026, 9, 14, 5, 33, 30, tzinfo=UTC))
    of_other = Deploy("x", datetime(2026, 9, 14, 5, 33, 40, tzinfo=UTC), "spell-check")
    found, _ = analysed(tmp_path, "", "", of_all, of_other)
    shift = found["miss-rate-shift"]
    assert "there was a deploy: of all models (--deploy)." in shift.summary
    assert [(e.path, e.line, e.text) for e in shift.evidence if e.role == "deploy"] == [("--deploy", 1, of_all.text)]


def test_a_deploy_of_the_older_version_on_the_command_line_announces_it(tmp_path):
    back = Deploy("x", datetime(2026, 9, 14, 5, 33, 30, tzinfo=UTC), "search-ranker", "v9")
    found, _ = analysed(tmp_path, "", "", back)
    assert "version-regression" not in found
    assert any(e.path == "--deploy" for e in found["rollback"].evidence)


def test_deploys_on_the_command_line_are_checked(tmp_path):
    assert deployed("2026-09-14T05:33:30Z, fraud ,v7,b", BEGUN, "UTC") == Deploy(
        "2026-09-14T05:33:30Z,fraud,v7,b", datetime(2026, 9, 14, 5, 33, 30, tzinfo=UTC), "fraud", "v7,b"
    )
    for wrong in ("noon", "", "2026-09-14T05:33:30Z,", "2026-09-14T05:33:30Z,,v7"):
        with pytest.raises(UsageError, match="--deploy"):
            deployed(wrong, BEGUN, "UTC")
    with pytest.raises(UsageError, match="no model 'nosuch'"):
        analysed(tmp_path, "", "", Deploy("x", BEGUN, "nosuch"))


def test_nothing_that_a_manifest_says_reaches_a_terminal_as_it_is(tmp_path):
    red = "\x1b[31m\u202e"
    text = listed(pods(config=f"c{red}"))
    said = event("Pod", STALE[0], "Unhealthy", f"x{red}\ny", "2026-09-14T05:33:50Z")
    _, report = analysed(tmp_path, "pods.json", text + listed([said]))
    shown = terminal.render(report, PLAIN)
    whole = detail.render(report, report.findings[0], PLAIN, lambda item: ())
    assert "ConfigMap c" in shown
    assert not any(c in shown + whole for c in ("\x1b", "\u202e"))


WHEN = "2026-11-23T15:16:"
SHA, COMMIT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4", "a91957a858320c0e17f3a0eca7cfacbff50ea29a"
HELM = "scorer-1.4.0, app version 2.9.1"
#: dialect -> what its samples tell: sample, time, op, replica, version, digest and reason
GOLDEN = {
    "kubernetes": [
        (1, "30", "restart", "scorer-7d9fd8b6c4-x2k4q", None, None, "platform: Started container scorer"),
        (2, "30", "restart", "scorer-7d9fd8b6c4-x2k4q", None, None, "platform: started container scorer"),
        (2, "30", "rollout", "scorer-7d9fd8b6c4-x2k4q", f"{WHEN}30Z", None, "manifest: started"),
        (2, "28", "rollout", "scorer-7d9fd8b6c4-x2k4q", "7d9fd8b6c4", None, "manifest: pod template"),
        (2, "28", "rollout", "scorer-7d9fd8b6c4-x2k4q", "9f86d081884c", None, "manifest: checksum/config"),
        (2, "28", "rollout", "scorer-7d9fd8b6c4-x2k4q", "reg/scorer:2.9.1", "sha256:3b1e", "manifest: image"),
        (3, "27", "rollout", "scorer-*", "7", None, "deploy: Deployment scorer: revision 7, reg/scorer:2.9.1"),
    ],
    "helm": [
        (1, "30", "rollout", None, "scorer-1.4.0", None, f"deploy: Helm revision 7, {HELM}, Upgrade complete, deployed"),
        (2, "30", "rollout", None, "scorer-1.4.0", None, f"deploy: Helm release scorer revision 7, {HELM}, deployed"),
    ],
    "argo": [
        (1, "27", "rollout", None, SHA, None, f"deploy: Argo CD application scorer, revision {SHA}"),
    ],
    "github": [
        (1, "30", "rollout", None, "v2.9.1", None, "deploy: GitHub deployment 1 of v2.9.1 to production"),
        (2, "02", "rollout", None, None, None, "deploy: GitHub deployment 1 to production: success"),
        (3, "02", "rollout", None, "v2.9.1", None, "deploy: GitHub deployment 1 of v2.9.1 to production: success"),
    ],
    "gitlab": [
        (1, "02", "rollout", None, COMMIT, None, "deploy: GitLab deployment 2 of main at a91957a8 to production: success"),
        (2, "02", "rollout", None, "a91957a8", None, "deploy: GitLab deployment 42 of main at a91957a8 to production: success"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_what_the_samples_of_a_platform_tell(tmp_path, name):
    found = events(read_lines(tmp_path, *dialects()[name].SAMPLES))
    said = pl.col("version", "reason").str.replace("registry.example.com", "reg")
    columns = ["line", pl.col("ts").dt.strftime("%S"), "op", "replica", pl.col("version"), "digest", "reason"]
    assert sorted(map(str, found.with_columns(said).select(columns).rows())) == sorted(map(str, GOLDEN[name]))
    assert found["model"].null_count() == found.height


OBJECTS = [(dialects()[name], json.loads(s)) for name in GOLDEN for s in dialects()[name].SAMPLES]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just(["x", None, {}, [1]]),
)


@given(st.sampled_from(OBJECTS), st.lists(st.tuples(st.integers(0, 60), ANYTHING), max_size=4))
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_an_object_it_is_read(pair, changes):
    """Any value may have any type: what is told has a time, and one of the reasons of the platform."""
    dialect, one = pair
    for number, value in changes:
        one = changed(one, number, value)
    lines = pl.DataFrame({"row": [0], "text": [json.dumps(one)]}, schema_overrides={"row": pl.UInt32})
    found = dialect.parse(lines)
    assert set(found["op"]) <= {"rollout", "restart"}
    assert found["time"].null_count() == found["reason"].null_count() == 0
    assert found.select(told_by_platform(pl.col("reason")).all()).item()
    instants = found["time"].str.to_datetime(time_zone="UTC", strict=True, format="%+")
    assert instants.null_count() == 0


def changed(value, number, by):
    """Return JSON with the number-th value in it replaced, counted depth first."""
    left = [number]

    def walk(one):
        left[0] -= 1
        if left[0] < 0:
            left[0] = 1 << 30
            return by
        if isinstance(one, dict):
            return {key: walk(inner) for key, inner in one.items()}
        return [walk(inner) for inner in one] if isinstance(one, list) else one

    return walk(value)


@pytest.mark.parametrize("name", GOLDEN)
def test_keys_of_objects_are_taken_for_no_fields_of_lines(tmp_path, name):
    path = tmp_path / f"{name}.json"
    path.write_text("".join(f"{sample}\n" for sample in dialects()[name].SAMPLES))
    report = inspection.inspect([str(path)])
    assert report.fields == {str(path): {}}
