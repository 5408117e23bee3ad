"""Lines with wild times: they are left out and told, and change nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cachelog import pipeline

SAMPLE = Path(__file__).parent.parent / "sample-logs" / "stale-replica"
WILD = ("9999-12-31T23:59:59Z", "2099-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2026-08-01T00:00:00Z")


def told(report):
    return [(f.rule, f.severity, f.title, f.summary, f.impact) for f in report.findings]


@pytest.mark.parametrize("time", WILD)
def test_one_line_far_from_all_others_changes_no_finding(tmp_path, time):
    logs = shutil.copytree(SAMPLE, tmp_path / "logs")
    line = {"ts": time, "msg": "cache miss", "model": "search-ranker", "version": "v10", "replica": "odd"}
    (logs / "odd.log").write_text(json.dumps(line) + "\n")
    plain, odd = pipeline.analyze([str(SAMPLE)]), pipeline.analyze([str(logs)])
    assert told(odd) == told(plain)
    assert (odd.start, odd.end) == (plain.start, plain.end)
    (note,) = [n.what for n in odd.limits if "far from all others" in n.what]
    assert note == f"1 event is far from all others in time, at {time[:10]} {time[11:13]}h UTC, and left out"


def test_a_quiet_month_between_two_busy_hours_is_no_reason_to_leave_one_out(tmp_path):
    lines = [
        {"ts": f"2026-{month}-01T00:{at // 60:02}:{at % 60:02}Z", "msg": "cache hit", "model": "m", "replica": "a"}
        for month in ("08", "09")
        for at in range(600)
    ]
    (tmp_path / "a.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = pipeline.analyze([str(tmp_path)])
    assert report.models[0].lookups == 1200
    assert not [n for n in report.limits if "far from" in n.what]


def test_a_period_of_thousands_of_years_takes_no_more_windows_than_a_day(tmp_path):
    lines = [
        {"ts": f"{year:04}-01-01T00:00:00Z", "msg": "cache miss", "model": "m", "replica": "a"}
        for year in range(1000, 9999, 9)
    ]
    (tmp_path / "a.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert pipeline.analyze([str(tmp_path)]).errors == ()
