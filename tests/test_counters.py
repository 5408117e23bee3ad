"""Counters and figures become lookups: differences, restarts, spans, and what must not be counted twice."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import rooms
from cachelog.contract.event import EVENT, empty
from cachelog.contract.limits import DEFAULT
from cachelog.ingest.counters import counted, scraped
from cachelog.ingest.discover import Source
from cachelog.ingest.meaning import Meanings
from cachelog.ingest.stage import Asked, stage
from tests.reading import events, read, read_lines
from tests.wrapping import WRAPPERS, cri

HIT, MISS = "nv_cache_num_hits_per_model", "nv_cache_num_misses_per_model"


def scrape(time, **figures):
    """Return one scrape of a Triton: model -> (hits, misses)."""
    lines = [time, f"# HELP {HIT} Number of cache hits per model", f"# TYPE {HIT} counter"] if time else []
    lines += [f'{HIT}{{model="{m}",version="1"}} {float(h)}' for m, (h, _) in figures.items()]
    return lines + [f'{MISS}{{model="{m}",version="1"}} {float(x)}' for m, (_, x) in figures.items()]


def minutes(*readings, model="fraud"):
    return [line for i, r in enumerate(readings) for line in scrape(f"# 2026-01-02T10:{i:02}:00Z", **{model: r})]


def lookups(staged):
    """Return (minute, outcome, n) of every lookup."""
    rows = events(staged).filter(pl.col("op") == "lookup").sort("ts", "model", "outcome")
    return rows.select(pl.col("ts").dt.minute(), "outcome", "n").rows()


def test_a_counter_gives_the_differences_of_its_readings_and_nothing_before_the_first(tmp_path):
    staged = read_lines(tmp_path, *minutes((120, 4), (220, 4), (220, 9)), name="triton-0.prom")
    assert lookups(staged) == [(1, "hit", 100), (2, "miss", 5)]
    row = events(staged).filter(pl.col("op") == "lookup").row(0, named=True)
    assert (row["model"], row["version"], row["cache"], row["replica"]) == ("fraud", "1", "response", "triton-0")
    assert (row["reason"], row["key"], row["seconds"]) == ("counter", None, None)


def test_counters_of_a_cache_start_over_together(tmp_path):
    """The process restarted: misses went on past the old reading, hits did not."""
    staged = read_lines(tmp_path, *minutes((120, 4), (20, 7), (30, 8)))
    assert lookups(staged) == [(1, "hit", 20), (1, "miss", 7), (2, "hit", 10), (2, "miss", 1)]


def test_a_labelled_counter_that_appears_later_began_at_nought(tmp_path):
    name = 'feature_cache_requests_total{model="m",result="%s"} %d'
    lines = [
        "# 2026-01-02T10:00:00Z",
        name % ("hit", 5),
        "# 2026-01-02T10:01:00Z",
        name % ("hit", 9),
        name % ("miss", 2),
    ]
    staged = read_lines(tmp_path, *lines)
    assert lookups(staged) == [(1, "hit", 4), (1, "miss", 2)]
    assert set(events(staged).filter(pl.col("op") == "lookup")["cache"]) == {"feature_cache"}


def test_queries_without_hits_are_misses_and_engines_add_up(tmp_path):
    name = 'vllm:prefix_cache_%s_total{engine="%d",model_name="Qwen/Qwen2.5"} %.1f'
    readings = [(100, 40, 10, 0), (300, 140, 30, 5)]
    lines = []
    for i, (q0, h0, q1, h1) in enumerate(readings):
        lines += [f"# 2026-01-02T10:{i:02}:00Z", name % ("queries", 0, q0), name % ("queries", 1, q1)]
        lines += [name % ("hits", 0, h0), name % ("hits", 1, h1)]
    staged = read_lines(tmp_path, *lines)
    assert lookups(staged) == [(1, "hit", 105), (1, "miss", 115)]
    assert set(events(staged)["model"].drop_nulls()) == {"Qwen/Qwen2.5"}


@pytest.mark.parametrize(
    "line",
    [
        'cache_lookup_seconds_count{result="hit"} 5', "cache_hit_ratio 0.9", 'cache_evictions_total{cause="size"} 3',
        'nv_cache_hit_duration_per_model{model="a",version="1"} 7', 'vllm:kv_cache_usage_perc{engine="0"} 0.1',
        "cache_hits_total NaN", "cache_hits_created 1.7e9", 'http_requests_total{status="200"} 4', "nv_cache_num_hits 3",
    ],
)  # fmt: skip
def test_other_metrics_are_quiet(tmp_path, line):
    assert events(read_lines(tmp_path, "# 2026-01-02T10:00:00Z", line)).filter(pl.col("reason") != "scrape").is_empty()


NAMED = {
    'prediction_cache_hits_total{model_name="m",pod="p-1"} 7': ("hits", "prediction_cache", "m", "p-1"),
    'app_model_cache_misses_total{model="m"} 7': ("misses", "model", "m", "app"),
    'cache_gets_total{cache="users",name="users",result="miss"} 7': ("misses", "users", None, "app"),
    'http_cache_requests_total{status="200",cache="hit"} 7': ("hits", "http_cache", None, "app"),
    "redis_keyspace_misses_total 7": ("misses", "redis_keyspace", None, "app"),
    'lmcache:num_lookup_hits_total{model_name="m"} 7': ("hits", "lmcache", "m", "app"),
    'sglang:prompt_tokens_total{model_name="m"} 7': ("lookups", "prefix", "m", "app"),
}


@pytest.mark.parametrize("line", NAMED)
def test_counters_say_of_what_they_are(tmp_path, line):
    (row,) = events(read_lines(tmp_path, line)).to_dicts()
    what, cache, model, replica = NAMED[line]
    assert (row["op"], row["reason"], row["seconds"]) == ("sample", f"{what} since start", 7)
    assert (row["cache"], row["model"], row["replica"]) == (cache, model, replica)


STAMPS = {
    "# 2026-01-02T10:00:00Z": 0, "### scraped at 2026-01-02 10:00:00.5+00:00": 0, "1767348000": 0, "# 1767348000123": 0,
    "=== 2026-01-02T12:00:00+02:00 ===": 0, "Fri Jan  2 10:00:00 UTC 2026": 0, "Fri 02 Jan 2026 10:00:00 AM UTC": 0,
    "Fri 02 Jan 2026 10:00:00 PM GMT": 12,
}  # fmt: skip


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_line_between_scrapes_tells_their_time(tmp_path, stamp):
    found = events(read_lines(tmp_path, stamp, *scrape(None, m=(1, 2))))
    assert {t.replace(microsecond=0) for t in found["ts"]} == {datetime(2026, 1, 2, 10 + STAMPS[stamp], tzinfo=UTC)}


def test_samples_may_have_times_of_their_own(tmp_path):
    lines = [
        f'{name}{{model="m"}} {i + n} {1767348000000 + 60000 * i}'
        for i in range(2)
        for n, name in enumerate((HIT, MISS))
    ]
    assert lookups(read_lines(tmp_path, *lines)) == [(1, "hit", 1), (1, "miss", 1)]


NAMES = [
    "t-{}.prom",
    "2026-01-02T10-0{}-00Z/t.prom",
    "t_20260102-100{}00.prom",
    "t-2026-01-02T10:0{}:00Z.txt",
    "t.{}.prom",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_for_each_scrape_is_one_series(tmp_path, name):
    """The time is in the name, or it is the file's own; a number alone is no time, and t-0 and t-1 may be two pods."""
    for i in range(3):
        path = tmp_path / "dump" / name.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(scrape(None, m=(10 * i, i))) + "\n")
        os.utime(path, (1767348000 + 60 * i,) * 2)
    found = lookups(read(tmp_path / "dump"))
    apart = name in (NAMES[0], NAMES[1])
    assert found == ([] if apart else [(i, o, n) for i in (1, 2) for o, n in (("hit", 10), ("miss", 1))])


def test_the_time_of_a_file_is_that_in_its_name_or_its_own():
    sources = [
        Source("a/m-20260102T100000Z.prom", mtime=5.0),
        Source("m.1767348000.prom"),
        Source("m.prom", mtime=60.0),
        Source("-"),
    ]
    assert scraped(sources)["scraped"].to_list() == [
        datetime(2026, 1, 2, 10, tzinfo=UTC), datetime(2026, 1, 2, 10, tzinfo=UTC), datetime(1970, 1, 1, 0, 1, tzinfo=UTC), None,
    ]  # fmt: skip
    assert scraped([Source("m-20269902T100000Z.prom")])["scraped"].to_list() == [None]


def test_scrapes_without_any_time_are_counted_all_the_same(tmp_path):
    lines = [line for i in range(3) for line in scrape(None, a=(10 * i, i), b=(5 * i, 0))]
    rows = events(read_lines(tmp_path, *lines)).filter(pl.col("op") == "lookup")
    assert rows.group_by("model", "outcome").agg(pl.col("n").sum()).sort("model", "outcome").rows() == [
        ("a", "hit", 20), ("a", "miss", 2), ("b", "hit", 10),
    ]  # fmt: skip
    assert rows["ts"].null_count() == rows.height


def test_scrapes_printed_into_a_container_log_have_a_time_on_every_line(tmp_path):
    lines = []
    for i, figures in enumerate([(1, 1), (5, 2)]):
        for j, line in enumerate(scrape(None, m=figures)):
            lines.append(cri(line).replace("15:16:30.248", f"15:1{i}:0{j}.0"))
    assert lookups(read_lines(tmp_path, *lines)) == [(11, "hit", 4), (11, "miss", 1)]


def test_a_model_that_comes_and_one_that_goes_do_not_disturb_the_others(tmp_path):
    one = [line for i in range(3) for line in scrape(f"# 2026-01-02T10:0{i}:00Z", a=(i, 0), b=(10 * i, i))]
    two = [line for i in range(3, 6) for line in scrape(f"# 2026-01-02T10:0{i}:00Z", b=(10 * i, i), c=(7 * i, 1))]
    rows = events(read_lines(tmp_path, *one, *two)).filter(pl.col("op") == "lookup")
    found = rows.group_by("model", "outcome").agg(pl.col("n").sum()).sort("model", "outcome").rows()
    assert found == [("a", "hit", 2), ("b", "hit", 50), ("b", "miss", 5), ("c", "hit", 14)]


READINGS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.booleans()), min_size=2, max_size=12)
BEGIN = datetime(2026, 1, 2, 10, tzinfo=UTC)


def samples(readings):
    """Return samples of two counters, a reading a minute."""
    rows = [
        {"ts": BEGIN + timedelta(minutes=i), "source": 0, "line": 3 * i + at, "replica": "r", "op": "sample",
         "cache": "response", "model": "m", "key": 1, "reason": f"{what} since start", "n": 1, "seconds": float(value)}
        for i, reading in enumerate(readings)
        for at, (what, value) in enumerate(zip(("hits", "misses"), reading, strict=True), 1)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=EVENT)


@given(READINGS, st.randoms())
@settings(max_examples=40, deadline=None)
def test_what_was_counted_comes_out_in_whatever_order_it_was_read(growth, rng):
    """After a restart the counters begin at 0; growth that reaches the old readings at once cannot be seen."""
    hits = misses = 0
    readings, expected = [], {"hit": 0, "miss": 0}
    for i, (h, m, restart) in enumerate(growth):
        restarted = restart and (h < hits or m < misses)
        hits, misses = (h, m) if restarted else (hits + h, misses + m)
        readings.append((hits, misses))
        if i:
            expected["hit"], expected["miss"] = expected["hit"] + h, expected["miss"] + m
    told = samples(readings)
    found = counted(told)
    asked = found.filter(pl.col("op") == "lookup").with_columns(pl.col("outcome").cast(pl.String))
    assert dict(asked.group_by("outcome").agg(pl.col("n").sum()).rows()) == {o: n for o, n in expected.items() if n}
    shuffled = told[rng.sample(range(told.height), told.height)]
    assert sorted(map(str, counted(shuffled).rows())) == sorted(map(str, found.rows()))


@pytest.mark.parametrize("block", [1, 60])
def test_where_units_are_cut_does_not_matter(tmp_path, block):
    (tmp_path / "m.prom").write_text("\n".join(minutes((1, 0), (5, 1), (2, 1), (9, 4))) + "\n")
    asked = Asked(limits=replace(DEFAULT, block_bytes=block))
    staged = stage([str(tmp_path)], rooms.dialects(), rooms.envelopes(), asked)
    whole = [(1, "hit", 4), (1, "miss", 1), (2, "hit", 2), (2, "miss", 1), (3, "hit", 7), (3, "miss", 3)]
    assert lookups(staged) == whole == lookups(read(tmp_path))


def test_no_samples_are_none():
    assert counted(empty()).is_empty()


def test_a_weight_that_is_too_big_for_one_row_is_split(tmp_path):
    rows = lookups(read_lines(tmp_path, *minutes((0, 0), (2**33 + 5, 1))))
    assert sum(n for _, outcome, n in rows if outcome == "hit") == 2**33 + 5
    assert len(rows) == 4


LINE = "2026-11-23 15:{:02}:31,614 INFO scorer: {}"


def figures(tmp_path, *messages):
    return lookups(read_lines(tmp_path, *(LINE.format(i, m) for i, m in enumerate(messages))))


SPOKEN = {
    "cache stats (last 60 s) model=m hits=120 misses=4": (120, 4),
    "model m cache in the last minute: 120 hits, 4 misses": (120, 4),
    "interval stats model=m cache_hits=120 cache_misses=4": (120, 4),
    "per interval CacheStats{hitCount=120, missCount=4, loadSuccessCount=9}": (120, 4),
    "since last: hits: 1,120, requests: 1,124": (1120, 4),
    "cache stats (last 60 s) hits=96.8% misses=3.2%": None,
    "cache stats (last 60 s) hits=12": None,
    "total so far model=m hits=120 misses=4": None,
    "model=m hits=120 misses=4": None,
}


@pytest.mark.parametrize("message", SPOKEN)
def test_figures_of_an_interval_are_counts_and_others_are_none_by_themselves(tmp_path, message):
    found = figures(tmp_path, message)
    if SPOKEN[message] is not None:
        assert found == [(0, "hit", SPOKEN[message][0]), (0, "miss", SPOKEN[message][1])]
    else:
        assert found == []


def test_figures_that_only_grow_go_on_and_others_start_over(tmp_path):
    growing = [f"cache stats model=m hits={h} misses={x}" for h, x in [(10, 4), (50, 6), (90, 9), (5, 1), (30, 3)]]
    assert figures(tmp_path, *growing) == [
        (1, "hit", 40), (1, "miss", 2), (2, "hit", 40), (2, "miss", 3), (3, "hit", 5), (3, "miss", 1), (4, "hit", 25),
        (4, "miss", 2),
    ]  # fmt: skip
    random_ = [f"cache stats model=m hits={h} misses={x}" for h, x in [(10, 4), (50, 2), (20, 9), (15, 1), (30, 3)]]
    assert sum(n for _, _, n in figures(tmp_path, *random_)) == 10 + 50 + 20 + 15 + 30 + 4 + 2 + 9 + 1 + 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cumulative", [True, False])
def test_growth_tells_counters_from_counts_of_intervals(tmp_path, cumulative, seed):
    rng = random.Random(seed)
    counts = [(rng.randrange(50, 150), rng.randrange(1, 20)) for _ in range(12)]
    hits = misses = 0
    lines = []
    for h, m in counts:
        hits, misses = (hits + h, misses + m) if cumulative else (h, m)
        lines.append(
            f'{{"msg":"cache stats","model":"m","hits":{hits},"misses":{misses},"ts":"2026-01-02T10:{len(lines):02}:00Z"}}'
        )
    found = lookups(read_lines(tmp_path, *lines))
    wanted = counts[1:] if cumulative else counts
    assert sum(n for _, o, n in found if o == "hit") == sum(h for h, _ in wanted)
    assert sum(n for _, o, n in found if o == "miss") == sum(m for _, m in wanted)
    assert {r for r in events(read_lines(tmp_path, *lines))["reason"] if r in ("counter", "interval")} == {
        "counter" if cumulative else "interval"
    }


@pytest.mark.parametrize("wrapper", sorted(WRAPPERS))
def test_figures_in_json_are_read_in_any_envelope(tmp_path, wrapper):
    line = '{"event":"cache_interval","model":"m","version":"3","cache":{"hits":7,"requests":9},"ts":"2026-01-02T10:00:00Z"}'
    rows = events(read_lines(tmp_path, WRAPPERS[wrapper](line)))
    assert rows.select("op", "outcome", "model", "version", "n").rows() == [
        ("lookup", "hit", "m", "3", 7),
        ("lookup", "miss", "m", "3", 2),
    ]


def test_lookups_that_have_lines_of_their_own_are_not_counted_again(tmp_path):
    said = [
        "predict model=m cache=HIT",
        "stats of the last minute model=m hits=1 misses=0",
        "last minute: hits=5 misses=5",
    ]
    assert figures(tmp_path, *said) == [(0, "hit", 1)]
    line = '{"event":"cache_lookup","result":"hit","model":"m","hits":12,"misses":3,"ts":"2026-01-02T10:00:00Z"}'
    assert lookups(read_lines(tmp_path, line)) == [(0, "hit", 1)]


def test_other_caches_of_the_same_replica_are_counted_beside_them(tmp_path):
    lines = ["predict model=m cache=HIT", "last minute cache_name=features hits=5 misses=2"]
    assert figures(tmp_path, *lines) == [(0, "hit", 1), (1, "hit", 5), (1, "miss", 2)]


def test_a_line_of_figures_is_nothing_else(tmp_path):
    rows = events(read_lines(tmp_path, LINE.format(1, "Model m: hits=5 misses=3 loaded=3 evicted=1")))
    assert set(rows["op"]) == {"sample"}


def test_figures_are_told_while_another_thread_learns_words(tmp_path, monkeypatch):
    of = Meanings.of

    def amid(self, words):
        vocabulary, place = of(self, words)
        vocabulary.table = pl.concat([vocabulary.table, vocabulary.table.head(1)])  # its figures are not there yet
        return vocabulary, place

    monkeypatch.setattr(Meanings, "of", amid)
    found = events(read_lines(tmp_path, "2026-11-23T15:16:29Z cache stats (last 60 s) model=m hits=120 misses=4"))
    assert sorted(found.select("outcome", "n").rows()) == [("hit", 120), ("miss", 4)]
