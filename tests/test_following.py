"""Logs that grow are followed through anything, and the answer is that of a batch run on the same bytes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import demo, pipeline
from cachelog.contract.errors import UsageError
from cachelog.contract.limits import DEFAULT
from cachelog.following.session import Kept, Session
from cachelog.ingest import growth, journal
from cachelog.ingest.discover import Source
from cachelog.ingest.feed import Feeds
from cachelog.ingest.streams import Contents, Look, NotWhole, unpacked
from cachelog.pipeline import Options
from cachelog.render import json as report_json

BASE = 1_763_640_000
SMALL = replace(DEFAULT, block_bytes=10_000, line_bytes=20_000)
OPTIONS = Options(limits=SMALL)


def line(at: int, version: int = 1) -> str:
    result = "miss" if at % 9 == 0 else "hit"
    said = {"ts": BASE + at, "event": "cache_lookup", "result": result, "model": "m", "version": version}
    return json.dumps({**said, "pod": f"p{at % 3}", "key": f"k{at % 50}"}) + "\n"


def lines(start: int, end: int) -> str:
    return "".join(line(at) for at in range(start, end))


def aged(folder: Path) -> None:
    """What changed a moment ago may be a copy that is being made."""
    for path in folder.rglob("*"):
        os.utime(path, (BASE, BASE))


def followed(folder: Path, state: Path | None, options: Options = OPTIONS, keep: timedelta | None = None) -> str:
    aged(folder)
    with Session.opened([str(folder)], options, Kept(str(state) if state else None, keep)) as session:
        while session.take().more:
            pass
        session.commit()
        found = session.report()
        session.commit()
    return report_json.render(found)


def batch(folder: Path, options: Options = OPTIONS) -> str:
    return report_json.render(pipeline.analyze([str(folder)], options))


def read(folder: Path, session: Session) -> tuple[list[tuple[object, ...]], list[object]]:
    """The events and the books of a session."""
    aged(folder)
    take(session)
    return _plain(session.follower.staged())


def read_at_once(folder: Path) -> tuple[list[tuple[object, ...]], list[object]]:
    return _plain(pipeline._stage([str(folder)], OPTIONS, str(folder.parent), None))


def _plain(staged) -> tuple[list[tuple[object, ...]], list[object]]:
    paths = [source.path for source in staged.sources]
    rows = [(paths[row["source"]], *map(str, row.values())) for row in staged.events.iter_rows(named=True)]
    inputs = [replace(item, unread=tuple(e.line for e in item.unread)) for item in staged.inputs if item.lines]
    return sorted(row[:1] + row[3:] + (row[2],) for row in rows), inputs


def take(session: Session) -> int:
    """Take in all there is; return how many lines."""
    taken = session.take()
    return taken.lines + (take(session) if taken.more else 0)


def rotate(folder: Path, how: str) -> None:
    log, first, second = (folder / name for name in ("a.log", "a.log.1", "a.log.2"))
    if not log.exists() or not log.stat().st_size:
        return
    if first.exists():
        number = 2 + len(list(folder.iterdir()))
        older = folder / f"a.log.{number}"
        first.rename(older)
        if how == "compress":
            Path(f"{older}.gz").write_bytes(gzip.compress(older.read_bytes()))
            older.unlink()
    if how == "truncate":
        shutil.copyfile(log, first)
        os.truncate(log, 0)
    else:
        log.rename(first)
    assert not second.exists()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 60), st.integers(0, 90)),
        st.tuples(st.just("rotate"), st.sampled_from(["rename", "truncate", "compress"]), st.just(0)),
        st.tuples(st.just("look"), st.booleans(), st.just(0)),
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=6)
@given(steps=STEPS)
def test_whatever_happens_to_a_log_its_events_are_those_of_reading_it_at_once(tmp_path_factory, steps):
    home = tmp_path_factory.mktemp("steps")
    folder, state = home / "logs", home / "state"
    folder.mkdir()
    at, held = 0, ""
    session = Session.opened([str(folder)], OPTIONS, Kept(str(state)))
    for what, how, cut in steps:
        if what == "write":
            text = held + lines(at, at + how)
            at += how
            end = len(text) - cut if cut < len(text) else len(text)
            with (folder / "a.log").open("a") as out:
                out.write(text[:end])
            held = text[end:]
        elif what == "rotate":
            rotate(folder, how)
        else:
            aged(folder)
            session.take()
            if how:  # a crash: what was not committed is forgotten
                session.__exit__()
                session = Session.opened([str(folder)], OPTIONS, Kept(str(state)))
            else:
                session.commit()
    assert read(folder, session) == read_at_once(folder)
    session.__exit__()


SHAPES = {
    "csv": ("ts,pod,model,result,key\n", lambda at: f"{BASE + at},p{at % 3},m,{'hit' if at % 5 else 'miss'},k{at}\n"),
    "cri": ("", lambda at: f"2026-11-20T10:00:{at % 60:02}Z stdout P {line(at)[:30]}\n"
            f"2026-11-20T10:00:{at % 60:02}Z stdout F {line(at)[30:]}"),
    "text": ("", lambda at: f"2026-11-20T10:00:{at % 60:02}Z cache {'hit' if at % 5 else 'miss'} model=m key=k{at}\n"),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_lines_is_followed_in_pieces(tmp_path, shape):
    head, row = SHAPES[shape]
    folder = tmp_path / "logs"
    folder.mkdir()
    whole = (head + "".join(row(at) for at in range(400))).encode()
    with Session.opened([str(folder)], OPTIONS) as session:
        for end in (10, 1_333, 9_000, len(whole)):
            (folder / "a.log").write_bytes(whole[:end])
            assert read(folder, session) == read_at_once(folder)


def test_a_document_and_a_compressed_log_that_grow_are_read_anew(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    records = [json.loads(line(at)) for at in range(60)]
    with Session.opened([str(folder)], OPTIONS) as session:
        for many in (5, 30, 60):
            (folder / "d.json").write_text(json.dumps(records[:many], indent=1))
            (folder / "z.log.gz").write_bytes(gzip.compress(lines(0, many).encode()))
            assert read(folder, session) == read_at_once(folder)


def test_a_line_too_long_to_keep_is_one_bad_line_however_it_comes(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "a.log"
    with Session.opened([str(folder)], OPTIONS) as session:
        for piece in (lines(0, 3), "x" * 30_000, "y" * 90_000, "z\n" + lines(3, 6), lines(6, 9)):
            with log.open("a") as out:
                out.write(piece)
            assert read(folder, session) == read_at_once(folder)


def test_runs_go_on_where_the_last_one_ended_and_answer_as_one_over_everything(tmp_path):
    folder, state = tmp_path / "logs", tmp_path / "state"
    folder.mkdir()
    whole = tmp_path / "whole"
    whole.mkdir()
    demo.write(whole)
    for path in whole.iterdir():
        text = path.read_text()
        (folder / path.name).write_text(text[: len(text) // 2])
    followed(folder, state, Options())
    for path in whole.iterdir():
        text = path.read_text()
        with (folder / path.name).open("a") as out:
            out.write(text[len(text) // 2 :])
    (folder / "lookups.jsonl").rename(folder / "lookups.jsonl.1")
    answer = followed(folder, state, Options())
    assert json.loads(answer)["findings"]
    assert answer == batch(folder, Options())


@pytest.mark.parametrize("where", ["save", "replace", "sweep"])
def test_a_crash_while_a_step_is_made_lasting_loses_and_doubles_nothing(tmp_path, monkeypatch, where):
    folder, state = tmp_path / "logs", tmp_path / "state"
    folder.mkdir()
    (folder / "a.log").write_text(lines(0, 100))
    followed(folder, state)
    with (folder / "a.log").open("a") as out:
        out.write(lines(100, 200))

    class Crash(Exception):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        if where == "save":
            patch.setattr(journal.store, "save", crash)
        elif where == "replace":
            patch.setattr(Path, "replace", crash)
        else:
            patch.setattr(journal.Journal, "_let_go", crash)
        with pytest.raises(Crash):
            followed(folder, state)
    assert followed(folder, state) == batch(folder)
    kept = {entry.name for entry in Path(f"{state}.events").iterdir()}
    assert kept == set(json.loads(state.read_text())["segments"])


def test_a_file_that_is_truncated_while_it_is_read_is_not_believed(tmp_path, monkeypatch):
    folder, state = tmp_path / "logs", tmp_path / "state"
    folder.mkdir()
    log = folder / "a.log"
    log.write_text(lines(0, 100))
    followed(folder, state)
    with log.open("a") as out:
        out.write(lines(100, 200))
    taken, whole = growth._taken, []

    def truncated(*given: object, **options: object) -> object:
        if not whole:  # between reading and believing
            whole.append(shutil.copyfile(log, folder / "a.log.1"))
            log.write_text(lines(500, 700))
        return taken(*given, **options)

    monkeypatch.setattr(growth, "_taken", truncated)
    followed(folder, state)
    assert followed(folder, state) == batch(folder)


def test_a_copy_is_not_read_twice_and_one_that_is_half_made_waits(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log, copy = folder / "a.log", folder / "a.log.1"
    log.write_text(lines(0, 300))
    with Session.opened([str(folder)], OPTIONS) as session:
        take(session)
        copy.write_text(lines(0, 120))
        assert take(session) == 0
        os.truncate(log, 0)  # before the copy is whole, as seen by who looks at the copy first
        half = session.take()
        assert (half.lines, half.unsure) == (0, 1)
        copy.write_text(lines(0, 310))
        assert take(session) == 10
        assert sum(row.lookups or 0 for row in session.report().models) == 310


def test_what_was_cited_once_is_cited_when_its_file_is_gone(tmp_path):
    folder, state = tmp_path / "logs", tmp_path / "state"
    folder.mkdir()
    demo.write(folder)
    before = json.loads(followed(folder, state, Options()))
    for path in folder.iterdir():
        path.unlink()
    after = json.loads(followed(folder, state, Options()))
    texts = [[item["text"] for item in finding["evidence"]] for finding in before["findings"]]
    assert texts == [[item["text"] for item in finding["evidence"]] for finding in after["findings"]]
    assert all(all(found) for found in texts)


def test_what_is_older_than_what_is_kept_goes_and_the_report_says_so(tmp_path):
    folder, state = tmp_path / "logs", tmp_path / "state"
    folder.mkdir()
    hours = timedelta(hours=2)
    for part in range(4):
        (folder / "a.log").open("a").write(lines(part * 4_000, part * 4_000 + 300))
        answer = json.loads(followed(folder, state, keep=hours))
    start = BASE + 12_299 - 2 * 3_600
    assert answer["models"][0]["lookups"] == 300 + sum(BASE + at >= start for at in range(8_000, 8_300))
    assert any("events are kept for 2 h" in note["what"] for note in answer["limits"])
    assert len(json.loads(state.read_text())["segments"]) == 2


def test_many_small_steps_become_few_segments(tmp_path):
    folder, state = tmp_path / "logs", tmp_path / "state"
    folder.mkdir()
    with Session.opened([str(folder)], OPTIONS, Kept(str(state))) as session:
        for part in range(20):
            (folder / "a.log").open("a").write(lines(part * 10, part * 10 + 10))
            take(session)
            session.commit()
        assert len(session.journal.segments) < 17
        assert sum(row.lookups or 0 for row in session.report().models) == 200


def test_a_state_that_is_damaged_is_refused_with_what_to_do(tmp_path):
    state = tmp_path / "state"
    state.write_text('{"schema": "cachelog.state/1"}')
    with pytest.raises(UsageError, match="name another, or remove it"):
        Session.opened([str(tmp_path)], OPTIONS, Kept(str(state)))


def test_memory_holds_so_many_events_and_the_answer_is_the_same(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    options = replace(OPTIONS, limits=replace(SMALL, held_events=200))
    with Session.opened([str(folder)], options) as session:
        for part in range(8):
            (folder / "a.log").open("a").write(lines(part * 100, part * 100 + 100))
            take(session)
            session.follower.staged()
        held = sum(segment.events for segment in session.journal.segments if segment.held)
        assert held <= 200 < sum(segment.events for segment in session.journal.segments)
        assert report_json.render(session.report()) == batch(folder)


def test_a_log_that_is_rotated_away_for_a_moment_is_no_mistake_of_the_user(tmp_path):
    log, state = tmp_path / "a.log", tmp_path / "state"
    log.write_text(lines(0, 10))
    with Session.opened([str(log)], OPTIONS, Kept(str(state))) as session:
        assert take(session) == 10
        log.rename(tmp_path / "elsewhere.log")
        assert take(session) == 0
        log.write_text(lines(10, 30))
        assert take(session) == 20
    with pytest.raises(UsageError, match="no such file"), Session.opened(["/nowhere"], OPTIONS) as session:
        session.take()


def test_time_is_not_spent_on_files_that_did_not_change(tmp_path, monkeypatch):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_text(lines(0, 100))
    with Session.opened([str(folder)], OPTIONS) as session:
        take(session)
        monkeypatch.setattr(growth.Contents, "__init__", lambda *_: pytest.fail("it was opened"))
        begun = time.monotonic()
        assert take(session) == 0
        assert time.monotonic() - begun < 1


def test_memory_does_not_grow_with_days(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "a.log"
    held: list[int] = []
    with Session.opened([str(folder)], OPTIONS, Kept(None, timedelta(seconds=300))) as session:
        for part in range(12):
            log.write_text(lines(part * 100, part * 100 + 100))  # rotated away, unseen
            take(session)
            session.commit()
            held.append(sum(segment.events for segment in session.journal.segments))
        assert max(held) <= 2 * 300 + 200
        assert 300 <= sum(row.lookups or 0 for row in session.report().models) <= 301


def test_a_pipe_that_is_watched_for_days_does_not_fill_the_disk(tmp_path):
    source = Source(str(tmp_path / "pipe"), pipe=True)
    os.mkfifo(source.path)
    feeds = Feeds.of([source.path], str(tmp_path))
    with open(source.path, "wb") as out:
        out.write(b"begun\n" + b"x" * (1 << 20) + b"\nended\n")
    file = Path(feeds.files[source.path]()[0])
    while not feeds.ended:
        time.sleep(0.01)
    whole = file.stat()
    feeds.trim(source.path, 1 << 20)
    assert file.stat().st_size == whole.st_size
    assert file.stat().st_blocks < whole.st_blocks / 2
    assert file.read_bytes().startswith(b"begun\n")
    assert file.read_bytes().endswith(b"x\nended\n")


def test_a_file_is_read_only_while_its_name_is_its_own(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("ours\n")
    look = Look.at(Source(str(log)), str(log))
    assert Contents(look).read(0, 100) == b"ours\n"
    log.rename(tmp_path / "a.log.1")
    log.write_text("theirs\n")
    assert Contents(look).read(0, 100) is None
    with pytest.raises(NotWhole):
        list(unpacked(look))


def test_a_compressed_copy_is_taken_only_when_it_is_whole(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log, copy = folder / "a.log.1", folder / "a.log.1.gz"
    log.write_text(lines(0, 200))
    with Session.opened([str(folder)], OPTIONS) as session:
        take(session)
        log.open("a").write(lines(200, 300))
        packed = gzip.compress(log.read_bytes())
        log.unlink()
        for bytes_, aged_, expected in [(packed[:-30], False, 0), (packed[:-30], True, 0), (packed, True, 100)]:
            copy.write_bytes(bytes_)
            os.utime(copy, (BASE, BASE) if aged_ else None)
            assert take(session) == expected
        assert sum(row.lookups or 0 for row in session.report().models) == 300


def test_a_log_of_one_line_without_an_end_is_known_by_that_line(tmp_path):
    folder, state = tmp_path / "logs", tmp_path / "state"
    folder.mkdir()
    log = folder / "a.log"
    log.write_text(line(0)[:40])
    followed(folder, state)
    (folder / "a.log.1").write_text(line(0))
    log.write_text(lines(50, 90))  # the same file, another log
    assert followed(folder, state) == batch(folder)


def test_a_file_that_was_seen_before_its_first_byte_is_one_input(tmp_path):
    folder, state = tmp_path / "logs", tmp_path / "state.json"
    folder.mkdir()
    (folder / "b.log").write_text(lines(0, 300))
    (folder / "a.log").write_text("")
    assert followed(folder, state) == batch(folder)
    (folder / "a.log").write_text(lines(300, 600))
    assert followed(folder, state) == batch(folder)
    shutil.copy(folder / "b.log", folder / "b.log.1")
    (folder / "b.log").write_text("")
    assert followed(folder, state) == batch(folder)
    (folder / "b.log").write_text(lines(600, 900))
    assert followed(folder, state) == batch(folder)
