"""What is kept between runs: it never changes an answer, and goes when it must."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cachelog import pipeline, recall
from cachelog.contract.limits import DEFAULT
from cachelog.ingest import cache
from cachelog.render import json as report_json

SMALL = replace(DEFAULT, cached_bytes=1, block_bytes=5_000)
BASE = 1_763_640_000


def line(at: int, version: int = 1, result: str = "hit") -> str:
    said = {
        "ts": BASE + at,
        "event": "cache_lookup",
        "result": result,
        "model": "m",
        "version": version,
        "pod": f"p{at % 3}",
        "key": f"k{at % 50}",
    }
    return json.dumps(said) + "\n"


def lines(start: int, end: int) -> str:
    return "".join(line(at, result="miss" if at % 9 == 0 else "hit") for at in range(start, end))


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "logs" / "a.log"
    path.parent.mkdir()
    path.write_text(lines(0, 600))
    age(path)
    return path


def age(path: Path) -> None:
    """A file that changed a moment ago may change again in the same tick of its clock, and is not kept."""
    os.utime(path, (BASE, BASE))


def told(path: Path, *, kept: bool = True) -> str:
    return report_json.render(pipeline.analyze([str(path)], pipeline.Options(cache=kept, limits=SMALL)))


def reads(monkeypatch) -> list[int]:
    """The sizes of the units that are read from now on."""
    from cachelog.ingest import stage

    seen: list[int] = []
    whole = stage._read
    monkeypatch.setattr(stage, "_read", lambda unit, reader: seen.append(len(unit.data)) or whole(unit, reader))
    return seen


def test_a_second_run_reads_nothing_and_says_the_same(log, monkeypatch):
    first = told(log)
    seen = reads(monkeypatch)
    assert told(log) == first == told(log, kept=False)
    assert sum(seen) == log.stat().st_size  # the run without the cache alone


def test_of_a_log_that_grew_only_the_new_end_is_read(log, monkeypatch):
    told(log)
    more = lines(600, 700)
    with log.open("a") as out:
        out.write(more)
    age(log)
    seen = reads(monkeypatch)
    grown = told(log)
    assert sum(seen) == len(more)
    assert grown == told(log, kept=False)
    assert told(log) == grown


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text(lines(0, 600).replace("miss", "hit ")),
        lambda path: path.write_text(lines(0, 599)),
        lambda path: path.write_text(lines(1, 700)),
        lambda path: path.write_bytes(gzip.compress(lines(0, 500).encode())),
    ],
    ids=["rewritten", "cut", "another log", "compressed"],
)
def test_a_log_that_is_another_is_read_anew(log, change):
    told(log)
    change(log)
    os.utime(log, (BASE + 60, BASE + 60))
    assert told(log) == told(log, kept=False)


def test_a_log_without_a_newline_at_the_end_is_read_anew_when_it_grows(log):
    log.write_text(lines(0, 600).rstrip("\n"))
    age(log)
    told(log)
    with log.open("a") as out:
        out.write("\n" + lines(600, 650))
    age(log)
    assert told(log) == told(log, kept=False)


def test_compressed_logs_are_kept_too(log, monkeypatch):
    log.write_bytes(gzip.compress(lines(0, 600).encode()))
    age(log)
    first = told(log)
    seen = reads(monkeypatch)
    assert told(log) == first
    assert seen == []


def test_what_is_kept_of_one_log_serves_it_among_others(log):
    told(log)
    (log.parent / "b.log").write_text(lines(100, 300).replace('"m"', '"n"'))
    age(log.parent / "b.log")
    assert told(log.parent) == told(log.parent, kept=False)
    assert told(log.parent) == told(log.parent, kept=False)


def test_lines_that_name_no_replica_are_named_after_the_file_among_its_siblings(log):
    for name in ("x/app.log", "y/app.log"):
        path = log.parent / name
        path.parent.mkdir()
        path.write_text(lines(0, 100).replace('"pod"', '"nobody"'))
        age(path)
    told(log.parent / "x" / "app.log")
    assert told(log.parent) == told(log.parent, kept=False)


def damage(entry: Path, what: str) -> None:
    rows = next(entry.glob("rows-*"))
    if what == "cut":
        rows.write_bytes(rows.read_bytes()[:100])
    elif what == "gone":
        rows.unlink()
    elif what == "meta":
        (entry / "meta.json").write_text('{"size": "x"}')
    elif what == "books":
        meta = json.loads((entry / "meta.json").read_text())
        (entry / "meta.json").write_text(json.dumps(meta | {"books": {}}))
    else:
        (entry / "meta.json").write_text("[]")


@pytest.mark.parametrize("what", ["cut", "gone", "meta", "books", "list"])
def test_an_entry_that_is_damaged_is_none(log, what):
    expected = told(log)
    (entry,) = cache.folder().iterdir()
    damage(entry, what)
    assert told(log) == expected


def test_entries_are_the_users_alone_and_the_oldest_go(log, monkeypatch):
    told(log)
    (entry,) = cache.folder().iterdir()
    assert cache.folder().stat().st_mode & 0o077 == 0
    assert entry.stat().st_mode & 0o077 == 0
    os.utime(entry, (BASE, BASE))
    other = log.with_name("b.log")
    shutil.copy(log, other)
    age(other)
    pipeline.analyze([str(other)], pipeline.Options(cache=True, limits=replace(SMALL, cache_bytes=1)))
    (left,) = cache.folder().iterdir()
    assert left != entry
    assert cache.size() == (1, cache.clear())
    assert cache.size() == (0, 0)


def test_where_nothing_can_be_kept_nothing_is_said_and_the_answer_stands(log, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert told(log) == told(log, kept=False)


def asked_again(path, **changes):
    return recall.analyzed([str(path)], pipeline.Options(cache=True, limits=SMALL, **changes), None, None)


def counted(monkeypatch):
    """The runs of the whole analysis from now on."""
    runs: list[object] = []
    whole = pipeline.analyze
    monkeypatch.setattr(pipeline, "analyze", lambda *args: runs.append(args) or whole(*args))
    return runs


def test_the_same_question_about_the_same_logs_is_answered_at_once_with_all_that_was_said(log, monkeypatch):
    first = asked_again(log, charts=True)
    runs = counted(monkeypatch)
    assert asked_again(log, charts=True) == first == pipeline.analyze([str(log)], pipeline.Options(charts=True))
    assert len(runs) == 1  # the run without the cache alone


@pytest.mark.parametrize(
    "change",
    [
        lambda log, ask: (log.write_text(lines(0, 600) + line(601)), age(log), ask()),
        lambda log, ask: (log.with_name("b.log").write_text(line(1)), age(log.with_name("b.log")), ask()),
        lambda log, ask: ask(models=("m",)),
        lambda log, ask: ask(tz="+05:30"),
    ],
    ids=["a line more", "a file more", "of one model", "another zone"],
)
def test_another_question_or_other_logs_are_looked_at_anew(log, monkeypatch, change):
    asked_again(log.parent)
    runs = counted(monkeypatch)
    change(log, lambda **changes: asked_again(log.parent, **changes))
    assert len(runs) == 1


def test_reports_are_the_users_alone_go_with_the_cache_and_are_few(log, monkeypatch):
    monkeypatch.setattr(recall, "_MOST", 3)
    for model in ("m*", "*", "?", "m", "[m]"):
        asked_again(log, models=(model,))
    kept = list(cache.reports().iterdir())
    assert len(kept) == 3
    assert {oct(f.stat().st_mode & 0o777) for f in kept} == {"0o600"}
    cache.clear()
    assert not cache.reports().exists()


def test_a_damaged_report_and_a_log_that_may_still_change_are_not_trusted(log, monkeypatch):
    first = asked_again(log)
    (kept,) = cache.reports().iterdir()
    kept.write_bytes(kept.read_bytes()[:-100])
    runs = counted(monkeypatch)
    assert asked_again(log) == first
    log.write_text(lines(0, 600))  # now
    asked_again(log)
    asked_again(log)
    assert len(runs) == 3
