"""Zones, days and years of times that have none, out of envelopes, files and other inputs."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cachelog import pipeline, shards
from cachelog.contract.limits import DEFAULT
from cachelog.pipeline import Options
from cachelog.render import json as report_json
from tests.reading import events, read, read_lines

START = datetime(2026, 11, 23, 15, 16, 30, 240_000, UTC)


def lines(off=0.0, late=0.05, many=200, apart=0.4, pod="p", seconds=False, shipped=None):
    """Write lines whose clock is `off` hours from UTC, in an envelope written `late` seconds after them."""
    out = []
    for i in range(many):
        when = START + timedelta(seconds=i * apart)
        outer = shipped or when + timedelta(seconds=late)
        own = (when + timedelta(hours=off)).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        stamp = outer.strftime("%Y-%m-%dT%H:%M:%SZ" if seconds else "%Y-%m-%dT%H:%M:%S.%f000Z")
        head = f'{stamp} {{pod="{pod}"}} ' if seconds else f"[pod/{pod}/c] {stamp} "
        out.append(f"{head}{own} INFO scorer: predict model=m version=v1 key=k{i} cache=HIT")
    return out


def instants(staged):
    return events(staged)["ts"].to_list()


def truth(many=200, apart=0.4):
    return [START + timedelta(seconds=i * apart) for i in range(many)]


@pytest.mark.parametrize("seconds", [False, True])
@pytest.mark.parametrize(("off", "said"), [(5.5, "+05:30"), (-8, "-08:00"), (5.75, "+05:45"), (14, "+14:00")])
def test_the_zone_is_that_by_which_line_and_envelope_differ(tmp_path, off, said, seconds):
    staged = read_lines(tmp_path, *lines(off, seconds=seconds))
    assert instants(staged) == truth()
    assert staged.inputs[0].clock == f"no zone in the lines, read as UTC{said}, as their envelopes tell (200 events)"


def test_a_zone_that_was_assumed_and_is_told_is_no_assumption(tmp_path):
    staged = read_lines(tmp_path, *lines())
    assert (instants(staged), staged.inputs[0].clock) == (truth(), None)
    wrong = read_lines(tmp_path, *lines(), tz="Europe/Berlin")
    assert instants(wrong) == truth()
    assert wrong.inputs[0].clock.startswith("no zone in the lines, read as Europe/Berlin-01:00, as")


def test_every_replica_has_its_own_zone(tmp_path):
    both = [line for pair in zip(lines(pod="a"), lines(5.5, pod="b"), strict=True) for line in pair]
    assert instants(read_lines(tmp_path, *both)) == [when for when in truth() for _ in "ab"]


@pytest.mark.parametrize(
    "told",
    [
        {"off": 5.5, "late": 40},  # too late to be sure
        {"off": 5.4},  # no zone
        {"off": 30},  # a day and more
        {"off": 0, "shipped": START + timedelta(hours=5, seconds=10)},  # all at once, long after
        {"off": 0, "apart": 5, "shipped": START + timedelta(hours=5)},
    ],
)
def test_nothing_is_concluded_from_anything_else(tmp_path, told):
    staged = read_lines(tmp_path, *lines(**told))
    own = [when + timedelta(hours=told["off"]) for when in truth(apart=told.get("apart", 0.4))]
    assert instants(staged) == own
    assert staged.inputs[0].clock == "no zone in the lines, read as UTC (200 events)"


def test_lines_with_a_zone_and_envelopes_without_one_stay_as_they_are(tmp_path):
    zoned = "2026-11-23T15:16:30.240Z INFO scorer: predict model=m version=v1 key=k cache=HIT"
    bsd = "Nov 23 20:46:30 node scorer[1]: 2026-11-23 15:16:30,240 INFO scorer: predict model=m version=v1 key=k cache=HIT"
    staged = read_lines(tmp_path, f"[pod/p/c] 2026-11-23T20:46:30.250000000Z {zoned}", bsd)
    assert instants(staged) == [START, START]
    assert staged.inputs[0].clock == "no zone in the lines, read as UTC (1 events)"


def cri(line, when):
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}000Z stdout F {line}"


def test_what_stands_in_the_time_of_the_envelope_is_not_moved(tmp_path):
    """A container in another zone, whose server prints lines without a time."""
    inner = [line.split("Z ", 1)[1] for line in lines(-5)]
    whens = [when + timedelta(milliseconds=3) for when in truth()]
    both = [cri(line, when) for line, when in zip(inner, whens, strict=True)]
    started = cri("INFO:     Started server process [7]", START - timedelta(seconds=1))
    found = events(read_lines(tmp_path, started, *both))
    assert found["ts"].to_list() == [START - timedelta(seconds=1), *truth()]


def written(folder):
    """Two pods, one in its own zone, the other in UTC; a third without an envelope; as files that are old."""
    folder.mkdir()
    for pod, off in (("a", 5.5), ("b", 0)):
        (folder / f"{pod}.log").write_text("\n".join(lines(off, many=900, pod=pod)) + "\n")
    (folder / "c.log").write_text("\n".join(line.split("Z ", 1)[1] for line in lines(many=300)) + "\n")
    for path in folder.iterdir():
        os.utime(path, (1_800_000_000, 1_800_000_000))
    return folder


def test_neither_cuts_nor_memory_nor_caches_nor_machines_change_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = written(tmp_path / "logs")

    def told(**options):
        return report_json.render(pipeline.analyze([str(folder)], Options(**options)))

    whole, small = told(), replace(DEFAULT, block_bytes=12_000, held_events=400, cached_bytes=1)
    assert "UTC+05:30, as their envelopes tell (900 events)" in whole
    assert told(limits=small) == told(limits=small, cache=True) == told(limits=small, cache=True) == whole
    staged = [str(tmp_path / f"staged-{name}") for name in "abc"]
    for name, into in zip("abc", staged, strict=True):
        shards.stage([str(folder / f"{name}.log")], into, Options())
    assert report_json.render(shards.merge(staged, [], Options())) == whole


@pytest.mark.parametrize("off", [0, 5.5])
def test_a_part_of_a_big_file_is_found_by_its_times_in_utc(tmp_path, off):
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines(off, many=4000)) + "\n")
    since, until = START + timedelta(seconds=400), START + timedelta(seconds=500)
    small = replace(DEFAULT, sought_bytes=1)
    (model,) = pipeline.analyze([str(path)], Options(since=since, until=until, limits=small)).models
    assert model.lookups == 250


def glog(when, version):
    return f"I{when:%m%d %H:%M:%S.%f} 1 model_lifecycle.cc:839] \"successfully loaded 'm' version {version}\""


def dated(folder, written_in, **others):
    """A log without years that was copied in some year, beside others."""
    old = folder / "triton-0.log"
    old.write_text("".join(glog(START + timedelta(minutes=i), i) + "\n" for i in range(5)))
    at = datetime(written_in, 3, 1, tzinfo=UTC).timestamp()
    os.utime(old, (at, at))
    for name, said in others.items():
        (folder / f"{name}.log").write_text("\n".join(said) + "\n")
    staged = read(folder)
    found = staged.events.filter(staged.events["source"] == len(others))
    return found["ts"].min(), staged.inputs[-1].clock


def zoned(year):
    when = f"{year}-11-23T15:16:{{:02d}}Z INFO scorer: predict model=m version=v1 key=k cache=HIT"
    return [when.format(i) for i in range(30)]


def test_a_year_that_the_file_hides_is_that_of_the_inputs_beside_it(tmp_path):
    first, clock = dated(tmp_path, 2031, app=zoned(2026))
    assert first == START
    assert clock == (
        "no year in the lines, taken from the other inputs (5 events); no zone in the lines, read as UTC (5 events)"
    )


@pytest.mark.parametrize("others", [{}, {"app": zoned(2030)}, {"app": zoned(2020), "scorer": zoned(2024)}])
def test_the_year_of_the_file_stays_where_the_others_meet_it_or_leave_several(tmp_path, others):
    first, clock = dated(tmp_path, 2031, **others)
    assert first == START.replace(year=2030)
    assert "no year in the lines, taken from the file's own time (5 events)" in clock


CLOCKS = ("22:59:58.100", "23:59:58.100", "00:00:01.100", "00:00:00.900", "23:00:01.100", "01:00:01.100")
DAYS = (21, 21, 22, 22, 22, 23)


@pytest.mark.parametrize("written", ["2026-11-23T01:00:05Z", "2026-11-23T06:30:00Z", "2026-11-22T20:00:00Z"])
def test_times_of_day_are_on_the_days_before_the_file_was_written(tmp_path, written):
    path = tmp_path / "app.log"
    path.write_text("".join(f"{clock} [main] INFO  c.e.C -- cache hit model=m version=1 key=k\n" for clock in CLOCKS))
    os.utime(path, (datetime.fromisoformat(written).timestamp(),) * 2)
    staged = read(path)
    assert instants(staged) == [
        datetime.fromisoformat(f"2026-11-{day}T{clock}Z") for day, clock in zip(DAYS, CLOCKS, strict=True)
    ]
    assert "no date in the lines, taken from the file's own time (6 events)" in staged.inputs[0].clock


def test_the_day_of_the_envelope_stands_in_for_one_that_is_missing(tmp_path):
    line = "2026-11-23T15:16:30.248043060Z stdout F 15:16:30.240 [main] INFO  c.e.C -- cache hit model=m version=1"
    assert instants(read_lines(tmp_path, line)) == [datetime(2026, 11, 23, 15, 16, 30, 248043, UTC)]


def test_times_of_day_in_no_order_tell_no_day(tmp_path):
    clocks = ["23:00:00", "01:00:00"] * 500
    staged = read_lines(
        tmp_path, *(f"{clock} [main] INFO  c.e.C -- cache hit model=m key={i}" for i, clock in enumerate(clocks))
    )
    assert staged.untimed() == len(clocks)
