"""Times that are written as no dialect knows: how the user says it, and how `inspect` proposes it."""

from __future__ import annotations

import pytest

from cachelog import custom, pipeline
from cachelog.contract.errors import UsageError
from cachelog.ingest.suggest import candidates, layout_of, proposal
from cachelog.request import Options

PLACES = (
    "model=/asked (\\w+)/",
    "replica=/gate (\\S+)/",
    "outcome=/-> (\\w+)/",
    "outcome:WARM=hit",
    "outcome:COLD=miss",
)


def line(time, at):
    return f"{time} gate pod-{at % 3} asked {'fraud' if at % 2 else 'geo'} -> {'COLD' if at % 5 else 'WARM'}"


@pytest.mark.parametrize(
    ("time", "layout"),
    [
        ("24/11/2026 10:{:02d}:05", "%d/%m/%Y %H:%M:%S"),
        ("11/24/2026 10:{:02d}:05 AM", "%m/%d/%Y %I:%M:%S %p"),
        ("24.11.2026 10:{:02d}:05,250", "%d.%m.%Y %H:%M:%S,%3f"),
        ("24-11-2026 10:{:02d}:05.5", "%d-%m-%Y %H:%M:%S%.f"),
    ],
)
def test_a_time_that_ends_in_its_year_is_proposed_and_read(tmp_path, time, layout):
    lines = [line(time.format(at), at) for at in range(60)]
    found = candidates(lines)
    assert {one.field: one.layout for one in found}["time"] == layout
    assert "version" not in {one.field for one in found}
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    maps = custom.maps([*(m for m in proposal(found, {}) if m.startswith("time:")), *PLACES])
    report = pipeline.analyze([str(tmp_path)], Options(own=maps))
    assert sum(row.lookups or 0 for row in report.models) == 60
    assert f"{report.start:%Y-%m-%d %H:%M:%S}" == "2026-11-24 10:00:05"


def test_a_year_in_a_path_is_no_version():
    lines = [f"2026-11-24T10:00:{at:02d} gate p-{at % 3} /data/24/11/2026/m{at % 2}: WARM" for at in range(60)]
    assert "version" not in {one.field for one in candidates(lines)}
    served = [f"2026-11-24T10:00:{at:02d} gate p-{at % 3} served fraud@1.{at // 30}.3 WARM" for at in range(60)]
    assert "version" in {one.field for one in candidates(served)}


def test_of_day_and_month_the_one_over_twelve_is_the_day():
    assert layout_of(["03/04/2026 10:00:00", "03/14/2026 10:00:00"]) == "%m/%d/%Y %H:%M:%S"
    assert layout_of(["03/04/2026 10:00:00"]) == "%d/%m/%Y %H:%M:%S"
    assert layout_of(["2026-11-24 10:00:00"]) is None


@pytest.mark.parametrize("layout", ["foo", "%d/%m %H:%M", "%H:%M:%S", "%Q"])
def test_a_layout_without_a_date_or_a_time_is_refused(layout):
    with pytest.raises(UsageError, match="no layout of a date and a time"):
        custom.maps([f"time:{layout}=$.t"])


def test_a_zone_in_a_layout_counts(tmp_path):
    rows = "".join(f'{{"t": "24/11/2026 10:0{at}:00 +0200", "cache": "hit", "model": "m"}}\n' for at in range(9))
    (tmp_path / "a.log").write_text(rows)
    report = pipeline.analyze([str(tmp_path)], Options(own=custom.maps(["time:%d/%m/%Y %H:%M:%S %z=$.t"])))
    assert f"{report.start:%H:%M}" == "08:00"
