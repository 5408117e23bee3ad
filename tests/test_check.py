"""`cachelog check` through its real entry point: what passes, what fails, and when there is too little to tell."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from cachelog.cli import app, deciding

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEPLOY = "2026-11-20T12:30:00Z"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def check(capsys):
    def ran(*arguments):
        code = app.run(["check", *(str(a) for a in arguments)])
        out, err = capsys.readouterr()
        return code, out if "json" in arguments else " ".join(out.split()), err

    return ran


def line(at, pod, **said):
    return json.dumps({"ts": (T0 + timedelta(seconds=at)).isoformat(), "pod": pod, **said}) + "\n"


def lookups(seed, start, end, miss, *, rate=2.0, model="ranker", version="v1", pods=("a", "b"), keys=40, cold=True):
    """Lines of lookups, every `1/rate` seconds; the first lookup of a key on a pod misses, others by chance."""
    dice, seen, lines = random.Random(seed), set(), []
    for number in range(int((end - start) * rate)):
        at, pod, key = start + number / rate, pods[number % len(pods)], dice.randrange(keys or 1)
        first = (pod, key) not in seen
        seen.add((pod, key))
        hit = "miss" if dice.random() < miss or (first and cold and keys) else "hit"
        lines.append(
            line(at, pod, msg="lookup", model=model, version=version, cache=hit, **({"key": f"k{key}"} if keys else {}))
        )
    return "".join(lines)


def loads(at, version, model="ranker", pods=("a", "b")):
    return "".join(line(at, pod, msg="loaded model", model=model, version=version) for pod in pods)


def deployed(before, after, **more):
    """An hour of logs: v1 with one miss rate, and after half an hour v2 with another."""
    first = loads(0, "v1") + lookups(1, 1, 1800, before, **more)
    return first + loads(1800, "v2") + lookups(2, 1801, 3600, after, version="v2", **more)


def written(folder, text, name="fleet.log"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


# -- before and after -----------------------------------------------------------------------------------


def test_a_rise_beyond_the_margin_fails_with_its_numbers(check, tmp_path):
    code, out, _ = check(written(tmp_path / "logs", deployed(0.05, 0.20)), "--fail-on", "critical")
    assert code == 1
    assert "fail: ranker: miss rate 4.7 % in 3,280 lookups before, 21.1 % in 3,478 after" in out
    for part in (
        "lookups before, ",
        " after: +1",
        "(90 % interval +",
        "+2.0 points allowed",
        "with a chance of over 99.9 %",
    ):
        assert part in out


def test_the_same_rate_passes_where_there_are_lookups_enough(check, tmp_path):
    code, out, _ = check(written(tmp_path / "logs", deployed(0.05, 0.05, rate=4.0)))
    assert (code, out.startswith("pass: nothing at or above high in ")) == (0, True)
    assert "ranker: miss rate 5.0 % in " in out


def test_few_lookups_are_inconclusive_and_say_how_many_are_missing(check, tmp_path):
    logs = written(tmp_path / "logs", deployed(0.05, 0.05, rate=0.4, keys=8))
    code, out, _ = check(logs)
    assert code == 3
    assert "on each side would decide it" in out
    assert " more before and " in out
    assert [check(logs, "--inconclusive", how)[0] for how in ("pass", "fail")] == [0, 1]


def test_cold_misses_of_a_deploy_are_no_rise(check, tmp_path):
    """With 400 keys most misses after the deploy are first lookups: the raw rate doubles."""
    cold = deployed(0.02, 0.02, rate=4.0, keys=400)
    raw = [cold.count('"v1", "cache": "miss"'), cold.count('"v2", "cache": "miss"')]
    assert min(raw) > 700
    warm = lookups(1, 0, 1800, 0.02, rate=4.0, keys=400, cold=False)
    logs = written(
        tmp_path / "logs", warm + loads(1800, "v2") + lookups(2, 1801, 3600, 0.02, rate=4.0, version="v2", keys=400)
    )
    code, out, _ = check(logs, "--fail-on", "none", "--deployed-at", DEPLOY)
    assert code == 0
    assert "pass: " in out


def test_a_deploy_that_left_no_line_is_named(check, tmp_path):
    same = lookups(1, 0, 1800, 0.05) + lookups(2, 1800, 3600, 0.2)
    logs = written(tmp_path / "logs", same)
    assert "points allowed" not in check(logs, "--fail-on", "critical")[1]
    code, out, _ = check(logs, "--fail-on", "critical", "--deployed-at", DEPLOY)
    assert code == 1
    assert "fail: ranker: miss rate " in out


def test_a_model_without_a_miss_before_is_judged(check, tmp_path):
    quiet = {"keys": 0, "cold": False, "rate": 1.0}
    logs = written(tmp_path / "a", deployed(0.0, 0.0, **quiet))
    assert check(logs)[0] == 0
    code, out, _ = check(written(tmp_path / "b", deployed(0.0, 0.08, **quiet)), "--fail-on", "critical")
    assert code == 1
    assert "miss rate 0.0 % in " in out


def test_before_may_be_another_set_of_logs(check, tmp_path):
    old = written(tmp_path / "old", lookups(1, -90_000, -88_200, 0.05))
    good = written(tmp_path / "good", lookups(2, 0, 1800, 0.05, rate=4.0))
    bad = written(tmp_path / "bad", lookups(3, 0, 1800, 0.2))
    assert check(bad, "--before", old)[0] == 1
    code, out, _ = check(good, "--before", old, "--max-increase-abs", "0.04")
    assert code == 0
    assert "in 3,280 lookups before, " in out  # those of the old logs
    assert check(bad, "--before", tmp_path / "nowhere")[0] == 2


def test_margins_may_be_wider_for_one_model(check, tmp_path, monkeypatch):
    logs = written(tmp_path / "logs", deployed(0.05, 0.12))
    monkeypatch.chdir(tmp_path)
    assert check(logs, "--fail-on", "critical", "--max-increase-abs", "0.2")[0] == 0
    (tmp_path / "cachelog.toml").write_text('[check.models."rank*"]\nmax-increase-abs = 0.2\n')
    assert check(logs, "--fail-on", "critical")[0] == 0
    assert check(logs, "--fail-on", "critical", "--config", "-")[0] == 1
    (tmp_path / "cachelog.toml").write_text('[check.models."rank*"]\njudge = false\n')
    assert "points allowed" not in check(logs, "--fail-on", "critical")[1]


def test_a_highest_rate_needs_no_before(check, tmp_path):
    logs = written(tmp_path / "logs", lookups(1, 0, 1800, 0.1))
    code, out, _ = check(logs, "--max-miss-rate", "0.05")
    assert code == 1
    assert "5.0 % allowed" in out
    assert check(logs, "--max-miss-rate", "0.2")[0] == 0
    assert check(logs, "--max-miss-rate", "0.1")[0] == 3


def test_where_all_lookups_were_cold_there_is_no_telling(check, tmp_path):
    code, out, _ = check(written(tmp_path / "logs", deployed(0.05, 0.05, rate=0.1, keys=8)))
    assert code == 3
    assert "no lookups of warm caches after the deploy (2026-11-20 12:30:00 UTC) and its grace, 30 are needed" in out


def test_rare_keys_that_are_asked_for_first_neither_fail_nor_pass(check, tmp_path):
    """The cache is warm before; after, most keys come for the first time, for as long as the log goes."""
    warm = lookups(1, 0, 1800, 0.02, keys=3000, cold=False)
    logs = written(tmp_path / "logs", warm + loads(1800, "v2") + lookups(2, 1801, 3600, 0.02, version="v2", keys=3000))
    code, out, _ = check(logs, "--fail-on", "none", "--deployed-at", DEPLOY, "--grace", "5m")
    assert code == 3
    assert re.search(r"[\d,]+ of the misses are the first ones of a key since the deploy, the caches are not warm", out)


# -- what is known already ------------------------------------------------------------------------------


def stale(at=1800):
    """Pod a goes back to v1 after both had v2."""
    both = loads(0, "v1") + lookups(1, 1, 600, 0.05) + loads(600, "v2") + lookups(2, 601, at, 0.05, version="v2")
    back = loads(at, "v1", pods=("a",)) + lookups(3, at + 1, 3600, 0.05, version="v1", pods=("a",), rate=1.0)
    return both + back + lookups(4, at + 1, 3600, 0.05, version="v2", pods=("b",), rate=1.0)


def test_a_baseline_lets_known_findings_pass(check, tmp_path, capsys):
    logs = written(tmp_path / "logs", stale())
    saved = tmp_path / "report.json"
    assert app.run(["analyze", str(logs), "--format", "json", "-o", str(saved)]) == 0
    code, out, _ = check(logs, "--max-increase-abs", "1")
    assert code == 1
    assert "older version v1 loaded after newer v2" in out
    code, out, _ = check(logs, "--max-increase-abs", "1", "--baseline", saved)
    assert code == 0
    assert "pass: nothing new or worse at or above high" in out
    assert "known: F1 ranker: older version v1" in out
    empty = tmp_path / "empty.json"
    document = json.loads(saved.read_text())
    empty.write_text(json.dumps(document | {"findings": []}))
    code, out, _ = check(logs, "--max-increase-abs", "1", "--baseline", empty)
    assert code == 1
    assert "new or worse at or above high" in out
    assert "new: F1" in out


def test_a_rise_that_the_baseline_knows_fails_nothing_until_it_gets_worse(check, tmp_path):
    before = loads(0, "v1") + lookups(1, 1, 1800, 0.05) + loads(1800, "v2")
    logs = written(tmp_path / "logs", before + lookups(2, 1801, 3600, 0.20, version="v2"))
    saved = tmp_path / "report.json"
    code, out, _ = check(logs, "--fail-on", "critical", "-o", saved)
    assert code == 1
    code, out, _ = check(logs, "--fail-on", "critical", "--baseline", saved)
    assert code == 0
    assert "known, 21.1 % in the baseline" in out
    assert "known: miss rate of ranker" in out
    analysed = tmp_path / "analysed.json"  # a report without a verdict: its findings tell of the rise
    app.run(["analyze", str(logs), "-o", str(analysed)])
    assert check(logs, "--fail-on", "critical", "--baseline", analysed)[0] == 0
    written(tmp_path / "logs", before + lookups(2, 1801, 3600, 0.35, version="v2"))
    code, out, _ = check(logs, "--fail-on", "critical", "--baseline", saved, "--format", "json")
    (one,) = [c for c in json.loads(out)["check"]["checks"] if c["name"] == "miss rate of ranker"]
    assert (code, one["outcome"], one["state"]) == (1, "fail", "worse")
    written(tmp_path / "logs", before + lookups(2, 1801, 3600, 0.05, version="v2"))
    code, out, _ = check(logs, "--fail-on", "critical", "--baseline", saved)
    assert code == 0
    assert "resolved: miss rate of ranker" in out


def test_an_effect_that_got_worse_is_told_with_the_known_cause(check, tmp_path):
    logs = written(
        tmp_path / "logs",
        stale().replace('"hit"', '"miss"', 0) + lookups(9, 1801, 3600, 0.6, pods=("a",), version="v1"),
    )
    saved = tmp_path / "report.json"
    app.run(["analyze", str(logs), "-o", str(saved)])
    document = json.loads(saved.read_text())
    effects = [f for f in document["findings"] if f["caused_by"] == "F1"]
    assert effects
    for effect in effects:
        effect["severity"] = "info"
    saved.write_text(json.dumps(document))
    code, out, _ = check(logs, "--max-increase-abs", "1", "--fail-on", "low", "--baseline", saved)
    assert code == 1
    assert ", an effect of F1 (known): ranker: older version v1 loaded after newer v2" in out


def test_the_page_says_no_sentence_twice(check, tmp_path):
    logs = written(tmp_path / "logs", deployed(0.05, 0.20))
    for options in (["--fail-on", "critical"], ["--max-increase-abs", "1", "--expect", "ranker=v3"]):
        _, out, _ = check(logs, *options)
        assert out.count("90 % interval") == 1


def test_a_finding_that_grew_is_worse_and_one_that_went_is_resolved(check, tmp_path):
    logs = written(tmp_path / "logs", stale())
    saved = tmp_path / "report.json"
    app.run(["analyze", str(logs), "--format", "json", "-o", str(saved)])
    document = json.loads(saved.read_text())
    for finding in document["findings"]:
        finding["severity"] = "low"
    document["findings"].append(document["findings"][0] | {"fingerprint": "gone", "title": "what was there before"})
    saved.write_text(json.dumps(document))
    code, out, _ = check(logs, "--max-increase-abs", "1", "--baseline", saved, "--format", "json")
    block = json.loads(out)["check"]
    assert code == 1
    assert "worse" in block["states"].values()
    assert block["resolved"] == [{"fingerprint": "gone", "title": "what was there before"}]


SUPPRESSION = '[[suppress]]\nrule = "version-*"\nmodel = "rank*"\nreason = "A/B test"\nuntil = {}\n'


def test_a_suppression_holds_until_its_day(check, tmp_path, monkeypatch):
    logs = written(tmp_path / "logs", stale())
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "cachelog.toml"
    config.write_text(SUPPRESSION.format(datetime.now(UTC).date() + timedelta(days=1)))
    code, out, _ = check(logs, "--max-increase-abs", "1")
    assert code == 0
    assert "A/B test): F1 ranker: older version v1" in out
    config.write_text(SUPPRESSION.format(datetime.now(UTC).date() - timedelta(days=1)))
    code, out, _ = check(logs, "--max-increase-abs", "1")
    assert code == 1
    assert "no longer suppressed (until " in out


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[check]\nmax-increase = 0.1\n", "did you mean max-increase-"),
        ("[check]\nmax-miss-rate = 5\n", "is no share"),
        ("[check]\njudge = false\n", "has no 'judge'"),
        ('[check.models.a]\njudge = "no"\n', "judge is true or false"),
        ('[[suppress]]\nrule = "x"\nuntil = 2026-11-30\n', "has no reason"),
        ('[[suppress]]\nrule = "x"\nreason = "y"\n', "has no day on which it ends"),
        ('[[suppress]]\nreason = "y"\nuntil = 2026-11-30\n', "names no fingerprint, rule or model"),
        ("[suppress]\n", "write [[suppress]]"),
        ("check = 1\n", "[check] is no table"),
        ("[check\n", "no TOML"),
    ],
)
def test_what_a_config_cannot_mean_is_refused(check, tmp_path, config, said):
    (tmp_path / "c.toml").write_text(config)
    code, _, err = check(written(tmp_path / "logs", stale()), "--config", tmp_path / "c.toml")
    assert code == 2
    assert said in err


# -- expectations ---------------------------------------------------------------------------------------


def test_an_expected_version_is_on_every_replica_or_the_check_fails(check, tmp_path):
    good = written(tmp_path / "good", deployed(0.05, 0.05))
    none = ("--fail-on", "none")
    code, out, _ = check(good, *none, "--expect", "ranker=v2")
    assert code == 0
    assert "2 of 2 replicas have ranker v2 and answer with it" in out
    assert check(good, *none, "--expect", "ranker=v3")[0] == 1
    back = written(tmp_path / "back", stale())
    code, out, _ = check(back, *none, "--expect", "ranker=v2")
    assert code == 1
    assert "1 of 2 replicas have ranker v2 and answer with it; a still on v1" in out
    assert check(back, *none, "--expect", "ranker=v2", "--on", "b")[0] == 0
    code, out, _ = check(back, *none, "--expect", "ranker=v2", "--on", "pod-*")
    assert code == 3
    assert "no replica 'pod-*' of ranker; its replicas are a, b" in out
    assert check(back, *none, "--expect", "nobody=v2")[0] == 3
    assert check(back, "--expect", "ranker")[0] == 2


def test_a_version_that_is_loaded_but_not_served_is_not_there(check, tmp_path):
    both = loads(0, "v1") + lookups(1, 1, 600, 0.05) + loads(600, "v2") + lookups(2, 601, 1800, 0.05, version="v1")
    code, out, _ = check(written(tmp_path / "logs", both), "--fail-on", "none", "--expect", "ranker=v2")
    assert code == 1
    assert "a has it, but " in out


def test_a_loaded_version_is_enough_where_lookups_name_none(check, tmp_path):
    logs = loads(0, "v1") + loads(600, "v2") + line(1200, "a", msg="loaded model", model="other", version="1")
    code, out, _ = check(written(tmp_path / "logs", logs), "--fail-on", "none", "--expect", "ranker=v2")
    assert "2 of 2 replicas have ranker v2 loaded" in out
    assert code == 0


def test_replicas_converge_in_time_or_not(check, tmp_path):
    none = ("--fail-on", "none", "--expect-converged")
    slow = loads(0, "v1") + lookups(1, 1, 600, 0.05) + loads(600, "v2", pods=("a",)) + loads(1200, "v2", pods=("b",))
    slow += lookups(3, 601, 1200, 0.05, version="v2", pods=("a",)) + lookups(4, 601, 1200, 0.05, pods=("b",))
    logs = written(tmp_path / "slow", slow + lookups(2, 1201, 2400, 0.05, version="v2"))
    code, out, _ = check(logs, *none, "15m")
    assert code == 0
    assert "all 2 replicas of ranker have v2 10 min after the deploy (15 min allowed)" in out
    assert check(logs, *none, "5m")[0] == 1
    half = written(tmp_path / "half", stale(at=3000))
    assert check(half, *none, "10m")[0] == 1
    assert check(half, *none, "soon")[0] == 2


# -- waiting --------------------------------------------------------------------------------------------


def test_waiting_ends_as_soon_as_there_is_a_verdict(check, tmp_path):
    begun = time.monotonic()
    logs = written(tmp_path / "logs", deployed(0.02, 0.5))
    code, out, _ = check(logs, "--fail-on", "critical", "--wait", "60s")
    assert code == 1
    assert "fail: ranker: miss rate " in out
    assert time.monotonic() - begun < 30


def test_waiting_sees_what_is_written_meanwhile(check, tmp_path):
    logs = written(tmp_path / "logs", loads(0, "v1") + lookups(1, 1, 600, 0.05))
    more = loads(600, "v2") + lookups(2, 601, 900, 0.05, version="v2")

    def write():
        with open(logs / "fleet.log", "a") as file:
            file.write(more)

    thread = threading.Timer(0.8, write)
    thread.start()
    code, out, err = check(logs, "--fail-on", "none", "--expect", "ranker=v2", "--wait", "16s")
    thread.join()
    assert "look 1 of 9: fail: 0 of 2 replicas have ranker v2" in err
    assert code == 0
    assert "2 of 2 replicas have ranker v2 and answer with it" in out


def test_waiting_for_what_does_not_change_says_what_one_look_says(check, tmp_path):
    logs = written(tmp_path / "logs", deployed(0.10, 0.125))
    plain = check(logs, "--format", "json")
    code, out, err = check(logs, "--format", "json", "--wait", "1s")
    assert (code, json.loads(out)["check"]) == (plain[0], json.loads(plain[1])["check"])
    assert code == 3
    assert err.count("look ") == 1


def test_waiting_is_over_in_time(check, tmp_path, monkeypatch):
    monkeypatch.setattr(deciding, "LOOKS", 2)
    logs = written(tmp_path / "logs", deployed(0.05, 0.05, rate=0.1, keys=8))
    code, _, err = check(logs, "--wait", "1s")
    assert code == 3
    assert err.count("look 1 of 2") == 1
    assert check("-", "--wait", "1s")[0] == 2
    assert check(logs, "--wait", "ages")[0] == 2


# -- the report -----------------------------------------------------------------------------------------


def test_the_verdict_stands_beside_the_report_in_json(check, tmp_path):
    logs = written(tmp_path / "logs", deployed(0.05, 0.20))
    code, out, err = check(logs, "--format", "json", "--fail-on", "critical")
    document = json.loads(out)
    block = document["check"]
    assert (code, document["schema"], block["schema"]) == (1, "cachelog.report/1", "cachelog.check/1")
    assert block["outcome"] == "fail"
    assert block["deployed_at"] == {"ranker": "2026-11-20T12:30:00.000000Z"}
    findings, rate = block["checks"]
    assert (findings["name"], findings["outcome"], rate["name"]) == ("ranker", "pass", "miss rate of ranker")
    assert rate["numbers"]["rate_before"] < 0.07 < 0.15 < rate["numbers"]["rate_after"]
    assert rate["numbers"]["lookups_still_needed"] >= 0
    assert err == f"cachelog: fail: {block['sentence']}\n"
    assert check(logs, "--format", "json", "--fail-on", "critical")[1] == out
    assert "check" not in json.loads(_analysed(logs, tmp_path))


def _analysed(logs, folder):
    app.run(["analyze", str(logs), "--format", "json", "-o", str(folder / "r.json")])
    return (folder / "r.json").read_text()


def test_many_models_share_the_error_of_a_false_fail(check, tmp_path):
    """A rise that fails alone is not beyond doubt as one of twenty."""
    alone = deployed(0.05, 0.078, rate=0.6, keys=0, cold=False)
    logs = written(tmp_path / "logs", alone)
    assert check(logs, "--fail-on", "critical")[0] == 1
    for number in range(19):
        model = f"m{number}"
        other = lookups(number, 0, 1800, 0.05, model=model, rate=0.1, keys=0, cold=False)
        other += lookups(number, 1800, 3600, 0.05, version="v2", model=model, rate=0.1, keys=0, cold=False)
        (logs / f"{model}.log").write_text(other)
    code, out, _ = check(logs, "--fail-on", "critical")
    assert code == 3
    assert out.startswith("inconclusive: ranker: miss rate ")
    assert " more checks inconclusive" in out
