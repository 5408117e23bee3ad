"""What the logs cannot tell is said, with what it blocks."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace

import pytest

from cachelog import pipeline
from cachelog.cli.check import untold
from cachelog.contract.limits import DEFAULT

T = "2026-11-20T12:%02d:%02dZ"


def limits(folder, **options):
    report = pipeline.analyze([str(folder)], pipeline.Options(**options))
    return {note.what: (note.blocks, note.where) for note in report.limits}


def write(folder, name, *rows):
    path = folder / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def hit(i, **more):
    return {
        "ts": T % (i // 60, i % 60),
        "event": "cache_lookup",
        "result": "hit",
        "model": "m",
        "version": "1",
        "pod": "p",
    } | more


def load(i, **more):
    return {"ts": T % (i // 60, i % 60), "event": "model_loaded", "model": "m", "version": "1", "pod": "p"} | more


def test_logs_without_lookups_tell_no_rates(tmp_path):
    write(tmp_path, "a.log", load(1), load(2, version="2"))
    assert "miss rates" in limits(tmp_path)["no lookups in these logs"][0]


def test_models_without_load_lines_are_known_by_what_they_served(tmp_path):
    write(tmp_path, "a.log", *(hit(i) for i in range(30)))
    assert limits(tmp_path)["no load lines for m"][0].startswith("when a version was loaded")


def test_a_cache_of_which_only_misses_are_logged_has_no_rate(tmp_path):
    write(
        tmp_path,
        "a.log",
        *(hit(i) for i in range(30)),
        {"ts": T % (1, 0), "event": "model_cache_miss", "model": "m", "pod": "p"},
    )
    assert limits(tmp_path)["of the cache 'model' only misses are logged"] == ("its miss rate", None)


def test_versions_without_order_block_the_regression(tmp_path):
    write(tmp_path, "a.log", *(hit(i, version=v) for i in range(60) for v in ("blue", "green")))
    assert limits(tmp_path)["which version of m is newer is not known"] == ("version-regression of this model", "m")


def test_versions_that_a_given_order_does_not_name_are_told(tmp_path):
    write(tmp_path, "a.log", *(hit(i, version=v) for i in range(60) for v in ("blue", "green", "red")))
    said = limits(tmp_path, order=("green", "blue"))
    assert said["the order that was given has not red of m"] == ("version-regression to and from these versions", "m")


def test_a_piece_that_an_input_tells_again_is_told(tmp_path):
    rows = [
        hit(i, ts=f"2026-11-20T12:{i // 60:02d}:{i % 60:02d}.{(i * 37) % 1000:03d}Z", key=f"k{i}") for i in range(300)
    ]
    path = write(tmp_path, "a.log", *rows[:200], *rows[100:200], *rows[200:])
    said = {what: where for what, (_, where) in limits(tmp_path).items() if "again" in what}
    assert said == {"at least 90 lines stand there again, a whole piece further on; they count twice": path}


def test_lookups_of_a_busy_key_in_one_instant_are_no_piece_told_again(tmp_path):
    rows = [
        hit(i // 4, ts=f"2026-11-20T12:{i // 240:02d}:{i // 4 % 60:02d}.123Z", key=f"k{i % 2}") for i in range(1200)
    ]
    write(tmp_path, "a.log", *rows)
    assert not [what for what in limits(tmp_path) if "again" in what]


def test_an_order_only_observed_is_said_to_be(tmp_path):
    write(tmp_path, "a.log", *(hit(i, version="aa11bb22" if i < 1500 else "cc33dd44") for i in range(0, 3000, 5)))
    assert limits(tmp_path)["the labels of m have no order; newer means seen later in this log"][1] == "m"


def test_times_without_zone_are_said_to_be_read_as_utc(tmp_path):
    path = write(tmp_path, "a.log", *(hit(i, ts=f"2026-11-20 12:00:{i:02d},123") for i in range(30)))
    assert limits(tmp_path)["no zone in the lines, read as UTC"] == ("the absolute time of its events", path)


def test_files_with_the_same_assumption_are_named_together(tmp_path):
    for name in "abc":
        write(tmp_path, f"{name}.log", *(hit(i, ts=f"2026-11-20 12:00:{i:02d},123") for i in range(9)))
    where = limits(tmp_path, tz="+02:00")["no zone in the lines, read as +02:00"][1]
    assert where.endswith("a.log and 2 more")


def test_an_input_mostly_not_understood_is_named(tmp_path):
    path = write(tmp_path, "a.log", hit(1), "qwertz", "asdf", '{"torn":')
    said = limits(tmp_path)["3 of 4 lines were not understood (2 unclaimed, 1 bad)"]
    assert said == ("everything these lines say", path)


def test_events_without_any_time_are_counted(tmp_path):
    timeless = {k: v for k, v in hit(0).items() if k != "ts"}
    write(tmp_path, "a.log", timeless, timeless)
    write(tmp_path, "b.log", hit(1))
    assert "2 events have no time and no neighbour with one" in limits(tmp_path)


def test_a_healthy_complete_log_has_nothing_to_say(tmp_path):
    write(tmp_path, "a.log", load(0), *(hit(i) for i in range(1, 600)))
    assert limits(tmp_path) == {}


def test_the_lines_around_a_cited_one_are_read_again(tmp_path):
    write(tmp_path, "a.log", *(hit(i) for i in range(10)))
    report = pipeline.analyze([str(tmp_path)])
    evidence = pipeline.Evidence(0, 5, None, "x", path=report.inputs[0].path)
    found = pipeline.context(report, evidence, 1)
    assert [(number, cited) for number, _, cited in found] == [(4, False), (5, True), (6, False)]
    assert json.loads(found[1][1])["ts"] == T % (0, 4)


# -- what bars a verdict ------------------------------------------------------------------------------


def barred(folder):
    """Return what is said of which `check` makes an inconclusive."""
    report = pipeline.analyze([str(folder)])
    said = {note.what: (note.blocks, note.where) for note in report.limits if note.bars}
    assert bool(untold(report)) == bool(said)
    return said


def healthy(folder, name="a.log", many=600, **more):
    return write(folder, name, load(0, **more), *(hit(i, **more) for i in range(1, many)))


def test_a_cache_without_hits_bars_a_verdict_where_no_other_has_any(tmp_path):
    misses = [
        {"ts": T % (0, i), "event": "model_cache_miss", "model": "m", "version": "1", "pod": "p"} for i in range(40)
    ]
    write(tmp_path, "a.log", load(0), *misses)
    assert barred(tmp_path) == {"of the cache 'model' only misses are logged": ("its miss rate", None)}
    healthy(tmp_path, "b.log")
    assert not barred(tmp_path)


def test_logs_without_any_version_bar_a_verdict(tmp_path):
    write(tmp_path, "a.log", *(hit(i, version=None) for i in range(600)))
    (what,) = barred(tmp_path)
    assert what == "no line names a version of m"
    assert barred(tmp_path)[what][0].startswith("version-regression, ")
    write(tmp_path, "b.log", *(hit(i, model="other") for i in range(600)))
    assert not barred(tmp_path) and what in limits(tmp_path)


@pytest.mark.parametrize(
    ("rate", "said"), [({"sample_rate": 0.1}, "sample_rate=0.1"), ({"SampleInterval": 10}, "SampleInterval=10")]
)
def test_lines_that_say_that_they_are_a_sample_are_one(tmp_path, rate, said):
    path = healthy(tmp_path, **rate)
    assert barred(tmp_path)[f"its lines are a sample ({said})"][1] == path


@pytest.mark.parametrize(
    "rate", [{"sample_rate": 1}, {"sample_rate": 16000}, {"sampling_rate": "1.0"}, {"SampleInterval": 1}]
)
def test_lines_that_are_all_there_are_no_sample(tmp_path, rate):
    healthy(tmp_path, **rate)
    assert limits(tmp_path) == {}


@pytest.mark.parametrize(
    ("line", "many"),
    [
        ("Nov 20 12:05:00 node systemd-journald[311]: Suppressed 1432 messages from scorer.service", "1,432"),
        ("<46>Nov 20 12:05:00 node rsyslogd: imjournal: 20341 messages lost due to rate-limiting (20000 allowed)", "20,341"),
        ("2026-11-20T12:05:00.1+00:00 heroku[logplex]: Error L10 (output buffer overflow): 491 messages dropped since 2026-11-20T12:04:01+00:00.", "491"),
        ("Nov 20 12:05:00 node rsyslogd: imuxsock[pid: 3141, name: x] from <y>: begin to drop messages due to rate-limiting", "some"),
    ],
)  # fmt: skip
def test_lines_that_a_collector_left_out_are_told(tmp_path, line, many):
    healthy(tmp_path)
    path = write(tmp_path, "syslog", line, "Nov 20 12:05:01 node cron[1]: nothing")
    assert barred(tmp_path)[f"its collector says that {many} lines were left out"][1] == path


def test_a_file_of_a_rotated_set_that_is_not_there_is_told(tmp_path):
    lines = [load(0), *(hit(i) for i in range(1, 600))]
    for number, end in enumerate(("", ".1", ".3.gz")):
        data = "".join(json.dumps(row) + "\n" for row in lines[200 * (2 - number) : 200 * (3 - number)]).encode()
        (tmp_path / f"app.log{end}").write_bytes(gzip.compress(data) if end.endswith("gz") else data)
    assert list(barred(tmp_path)) == [f"of the rotated files of {tmp_path}/app.log these are missing: .2"]
    (tmp_path / "app.log.3.gz").rename(tmp_path / "app.log.2.gz")
    assert not barred(tmp_path)


def test_runs_of_a_container_before_those_that_are_there_are_told(tmp_path):
    folder = tmp_path / "var/log/pods/ns_p_1d7220dd/scorer"
    folder.mkdir(parents=True)
    healthy(folder, "2.log")
    found = limits(tmp_path)["the logs of earlier runs of the container are not there"]
    assert found == ("what happened before its last restarts", f"{folder}/") and not barred(tmp_path)
    healthy(folder, "0.log")
    assert not [what for what in limits(tmp_path) if "earlier runs" in what]


def warned(i):
    return {"ts": T % (i // 60, i % 60), "level": "warning", "msg": f"slow request {i}"}


def test_logs_from_warnings_on_are_told(tmp_path):
    path = write(tmp_path, "a.log", *(warned(i) for i in range(100)), load(200))
    assert barred(tmp_path)["nothing below WARNING is logged"][1] == path
    write(tmp_path, "b.log", {**warned(1), "level": "INFO"}, *(warned(i) for i in range(100)))
    healthy(tmp_path, "c.log")
    assert limits(tmp_path)["nothing below WARNING is logged"][1] == path and not barred(tmp_path)


@pytest.mark.parametrize(
    "line", ["2026-11-20 12:00:01,000 [WARN ] main x.Y - slow", "E1120 12:00:01.000000 1 a.cc:1] slow"]
)
def test_levels_are_known_in_any_shape(tmp_path, line):
    write(tmp_path, "a.log", *[line] * 30)
    assert "nothing below WARNING is logged" in limits(tmp_path)


def test_what_is_told_of_first_lines_does_not_depend_on_units_or_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write(tmp_path, "a.log", *(warned(i) | {"sample_rate": 0.5} for i in range(50)), load(200))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    small = replace(DEFAULT, block_bytes=300, cached_bytes=1)
    (whole,) = pipeline.analyze([path]).inputs
    assert whole.signs == {"level": 50, "sampled: sample_rate=0.5": 3}
    for options in (pipeline.Options(limits=small), *[pipeline.Options(limits=small, cache=True)] * 2):
        assert pipeline.analyze([path], options).inputs == (whole,)


def asked(many):
    return [f'2026-11-20T12:{i // 60:02d}:{i % 60:02d}Z {{pod="p"}} {json.dumps(hit(i))}' for i in range(many)]


@pytest.mark.parametrize(("many", "told"), [(30, True), (500, True), (31, False), (499, False)])
def test_as_many_lines_as_were_asked_for_at_most_may_not_be_all(tmp_path, many, told):
    path = write(tmp_path, "a.log", *asked(many))
    assert barred(tmp_path) == (
        {f"exactly {many} lines, as if it was cut at that number": ("what came before or after these lines", path)}
        if told
        else {}
    )


def test_a_round_number_of_lines_of_a_file_is_told_and_bars_nothing(tmp_path):
    healthy(tmp_path, many=1000)
    assert list(limits(tmp_path)) == ["exactly 1,000 lines, as if it was cut at that number"] and not barred(tmp_path)


def test_gaps_bar_a_verdict(tmp_path):
    for pod in "abc":
        lines = [hit(i, pod=pod) for i in range(3000) if not (pod == "b" and 1000 < i < 1700)]
        write(tmp_path, f"{pod}.log", load(0, pod=pod), *lines)
    (what,) = barred(tmp_path)
    assert barred(tmp_path)[what] == ("what happened meanwhile; counts and rates of that time", "b")


def test_an_order_that_nobody_knows_bars_a_verdict(tmp_path):
    write(tmp_path, "a.log", *(hit(i, version=v) for i in range(600) for v in ("blue", "green")))
    assert list(barred(tmp_path)) == ["which version of m is newer is not known"]


def test_what_only_has_to_be_known_bars_nothing(tmp_path):
    write(tmp_path, "a.log", *(hit(i, ts=f"2026-11-20 12:{i // 60:02d}:{i % 60:02d},123") for i in range(601)))
    assert limits(tmp_path) and not barred(tmp_path)


@pytest.mark.parametrize(("last", "said"), [("2026-11-21T12:00:00Z", None), ("2026-12-20T12:00:00Z", "over 30 days")])
def test_windows_of_weeks_are_said_to_hide_what_lasts_an_hour(tmp_path, last, said):
    write(tmp_path, "a.log", *(hit(i) for i in range(300)), hit(0, ts=last))
    notes = [what for what in limits(tmp_path) if "windows of" in what]
    assert [note.startswith(said) for note in notes] == ([True] if said else [])
