"""The zone of times without one, out of the envelopes around them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.reading import events, read_lines

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
