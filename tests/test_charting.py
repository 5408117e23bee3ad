"""What charts show: every lookup of the stretch once, in a bounded number of points, and nothing of it in the JSON."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import demo, pipeline
from cachelog.contract.finding import Confidence, Finding, Severity
from cachelog.contract.limits import DEFAULT
from cachelog.contract.platform import SAID
from cachelog.contract.rule import Frames
from cachelog.metrics import charting, windows
from cachelog.metrics.proportions import wilson
from cachelog.metrics.residency import LEVELS
from cachelog.render import json as renderer

START = datetime(2026, 3, 1, tzinfo=UTC)
SAMPLE = "sample-logs/stale-replica"


@cache
def incident():
    return pipeline.analyze([SAMPLE], pipeline.Options(charts=True))


def frames(replicas: int, minutes: int, seed: int = 1) -> Frames:
    """Return frames of one model whose replicas are asked now and then; each holds v1, then v2."""
    rng = np.random.default_rng(seed)
    times = [START + timedelta(seconds=10 * int(w)) for w in rng.integers(0, minutes * 6, 40 * replicas)]
    lookups = rng.integers(1, 50, len(times))
    rows = pl.DataFrame(
        {
            "model": "m", "cache": "default", "version": "v2", "w": times,
            "replica": [f"pod-{i % replicas}" for i in range(len(times))],
            "lookups": lookups, "misses": rng.binomial(lookups, 0.2), "set": 0,
        }
    )  # fmt: skip
    rows = rows.with_columns(hits=pl.col("lookups") - pl.col("misses"), stale=0)
    counts = pl.concat([pl.DataFrame(schema=windows.COUNTS), rows.cast({"set": pl.UInt32})], how="diagonal_relaxed")
    names = [f"pod-{i}" for i in range(replicas)]
    end, half = START + timedelta(minutes=minutes), START + timedelta(minutes=minutes / 2)
    levels = pl.DataFrame(
        [("m", name, at, f"v{at + 1}", *stretch, 0, 1, "load") for name in names for at, stretch in enumerate(((START, half), (half, end)))],
        schema=LEVELS, orient="row",
    )  # fmt: skip
    loads = pl.DataFrame({"ts": half, "op": "load", "replica": names, "model": "m", "version": "v2"})
    order = pl.DataFrame({"model": ["m", "m"], "version": ["v1", "v2"], "ord": [0, 1], "basis": "parsed:int"})
    active = pl.DataFrame({"model": "m", "replica": names})
    return Frames(START, end, timedelta(seconds=10), counts, counts, loads, order, levels, active)


def finding(**changes) -> Finding:
    made = Finding(
        id="F1", rule="miss-rate-shift", severity=Severity.HIGH, confidence=Confidence.HIGH, title="t", summary="s",
        model="m", replicas=("pod-0",), start=START, end=START + timedelta(days=2),
    )  # fmt: skip
    return replace(made, **changes)


def picture(known: Frames, limits=DEFAULT, **changes):
    return charting.charts(known, [finding(**changes)], limits).pictures["F1"]


def test_the_json_report_is_the_same_to_the_byte_with_charts():
    assert incident().charts is not None
    assert renderer.render(incident()) == renderer.render(pipeline.analyze([SAMPLE]))


def test_a_regression_is_drawn_with_its_two_replicas_against_the_three_others():
    found = incident().charts.pictures["F1"]
    assert [line.name for line in found.rates.lines] == ["2 affected", "3 not affected"]
    assert [sum(line.lookups) for line in found.rates.lines] == [811, 1185]  # 402 + 409, the rest of 1,996
    assert found.versions == ("v10", "v9")
    assert [(lane.affected, [band.version for band in lane.bands]) for lane in found.lanes] == [
        *[(True, ["v9", "v10", "v9"])] * 2,
        *[(False, ["v9", "v10"])] * 3,
    ]
    assert sorted(mark.kind for mark in found.marks) == [*["load"] * 7, *["restart"] * 2, "rollout"]


def test_a_restart_of_a_pod_shows_the_model_that_it_harmed_most(tmp_path):
    report = pipeline.analyze(["sample-logs/crash-loop"], pipeline.Options(charts=True))
    loop = next(f for f in report.findings if f.rule == "replica-restart")
    harmed = [f.model for f in report.findings if f.caused_by == loop.id]
    assert loop.model is None and report.charts.pictures[loop.id].model in (
        harmed[:1] or {row.model for row in report.models}
    )


def test_a_gap_shows_the_model_that_its_replica_is_asked_most():
    found = picture(frames(3, 60), model=None)
    assert found.model == "m" and found.rates is not None


@settings(max_examples=25)
@given(replicas=st.integers(1, 12), minutes=st.integers(1, 3000), seed=st.integers(0, 9))
def test_every_lookup_is_in_one_window_and_the_windows_are_few(replicas, minutes, seed):
    known = frames(replicas, minutes, seed)
    found = picture(known)
    for rates, most in ((found.rates, DEFAULT.chart_points + 1), (found.figures, DEFAULT.chart_rows)):
        assert all(len(line.lookups) == rates.windows <= most for line in rates.lines)
        assert sum(sum(line.lookups) for line in rates.lines) == known.counts["lookups"].sum()
        assert sum(sum(line.misses) for line in rates.lines) == known.counts["misses"].sum()
    assert found.rates.start <= START and found.rates.start.timestamp() % found.rates.seconds == 0
    own = known.counts.filter(pl.col("replica") == "pod-0")["lookups"].sum()
    assert sum(found.rates.lines[0].lookups) == own
    line = found.rates.lines[0]
    for n, y, low, high in zip(line.lookups, line.misses, line.low, line.high, strict=True):
        assert (low, high) == (pytest.approx(wilson(y, n)[1:]) if n else (0.0, 1.0))


def test_replicas_beyond_the_lanes_are_summed_by_the_version_that_they_end_with():
    found = picture(frames(55, 60), replicas=("pod-54", "pod-53"))
    assert [lane.replica for lane in found.lanes[:3]] == ["pod-53", "pod-54", "pod-0"]
    assert len(found.lanes) == DEFAULT.chart_replicas
    assert found.rest == {"v2": 55 - DEFAULT.chart_replicas}


def test_of_too_many_bands_the_last_ones_are_drawn_and_the_others_counted():
    found = picture(frames(10, 60), replace(DEFAULT, chart_bands=10))
    assert [[band.version for band in lane.bands] for lane in found.lanes] == [["v2"]] * 10
    assert found.undrawn == 10 and found.versions == ("v2",)


def test_of_too_many_events_an_even_selection_is_drawn_and_their_number_is_told():
    limits = replace(DEFAULT, chart_marks=4)
    found = picture(frames(10, 60), limits)
    assert found.happened == 10
    assert [mark.replica for mark in found.marks] == ["pod-0", "pod-3", "pod-6", "pod-9"]


def test_deploys_that_the_platform_tells_of_are_marked_where_they_concern_the_replicas():
    rows = [
        (START + timedelta(minutes=minute), 0, 1, replica, None, "img:2", None, reason)
        for minute, replica, reason in ((1, None, "deploy: all"), (2, "pod-*", "deploy: helm"), (3, "web-*", "deploy: helm"), (4, None, "manifest: image"))
    ]  # fmt: skip
    known = replace(frames(2, 60), platform=pl.DataFrame(rows, schema=SAID, orient="row"))
    assert [(mark.time.minute, mark.kind, mark.version) for mark in picture(known).marks[:2]] == [
        (1, "rollout", "img:2"),
        (2, "rollout", "img:2"),
    ]
    assert picture(known).happened == 4  # and two loads


def test_a_short_finding_in_a_long_log_is_shown_with_what_surrounds_it():
    begun = START + timedelta(hours=20)
    found = picture(frames(4, 2880), start=begun, end=begun + timedelta(minutes=30))
    assert (found.start, found.end) == (begun - timedelta(minutes=30), begun + timedelta(minutes=60))
    assert all(found.start <= band.start <= band.end <= found.end for lane in found.lanes for band in lane.bands)


def test_only_the_best_ranked_findings_that_nothing_explains_have_a_picture():
    many = [finding(id=f"F{i}", caused_by="F0" if i % 2 else None) for i in range(100)]
    drawn = charting.charts(frames(3, 60), many, DEFAULT).pictures
    assert list(drawn) == [f"F{i}" for i in range(0, 2 * DEFAULT.chart_findings, 2)]


def test_no_rate_is_drawn_where_the_logs_tell_none(tmp_path):
    known = frames(2, 60)
    misses = known.counts.with_columns(cache=pl.lit("model"), hits=pl.lit(0), stale=pl.lit(0))
    found = picture(replace(known, counts=misses, totals=misses))
    assert found.rates is None and found.figures is None
    assert len(found.lanes) == 2


def test_the_pictures_do_not_depend_on_the_order_of_the_files(tmp_path):
    demo.write(tmp_path)
    files = [str(tmp_path / name) for name in ("lookups.jsonl", "models.jsonl")]
    options = pipeline.Options(charts=True)
    assert pipeline.analyze(files, options).charts == pipeline.analyze(files[::-1], options).charts
