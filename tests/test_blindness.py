"""What the logs cannot tell is said, with what it blocks."""

from __future__ import annotations

import json

from cachelog import pipeline

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
