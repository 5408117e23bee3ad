"""Lines of applications in the layouts of common loggers (tests/layouts): what they say is read, whatever is around it.

heads.txt has a head a line, the message at @@; lookups.txt pairs of a hit and a miss, loads.txt loads; objects.jsonl,
in paragraphs of one logger, a hit and a miss of version 3, and mostly loads of versions 3 and 2.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from cachelog.ingest import json_scan
from tests.reading import events, read, read_lines

FOLDER = Path(__file__).parent / "layouts"
HEADS, LOOKUPS, LOADS = ((FOLDER / f"{name}.txt").read_text().splitlines() for name in ("heads", "lookups", "loads"))
LOGGERS = [group.splitlines() for group in (FOLDER / "objects.jsonl").read_text().split("\n\n")]
OBJECT_SAYS = (("lookup", "hit", "3"), ("lookup", "miss", "3"), ("load", None, "3"), ("load", None, "2"))
AT = datetime(2026, 11, 23, 15, 16, 30, tzinfo=UTC)
SAID = ("op", "outcome", "model", "version")
#: Of a day that nobody knows, or of none.
UNTIMED = ("15:16:30", "INFO[0000]", "info: ", "INFO:", "[15:16:30")
LABELS = (("resnet50", "3"), ("fraud-scorer", "1.4.0"), ("bert_base", "20260930-1"), ("ranker", "41"))


def filled(text: str, number: int) -> str:
    model, version = LABELS[number % len(LABELS)]
    return text.replace("<model>", model).replace("<version>", version)


def written(folder: Path) -> dict[tuple[str, int], tuple[str, ...]]:
    """Write a file for each head, with every fifth message, another fifth by the next; return what each line says."""
    messages = [(text, ("lookup", ("hit", "miss")[i % 2])) for i, text in enumerate(LOOKUPS)]
    messages += [(text, ("load", None)) for text in LOADS]
    expected = {}
    for at, head in enumerate(HEADS):
        chosen = [(at + i, *messages[i]) for i in range(at % 5, len(messages), 5)]
        name = f"{at:03d}.log"
        lines = [head.replace("@@", filled(text, number)) for number, text, _ in chosen]
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        for line, (number, _, said) in enumerate(chosen, 1):
            expected[name, line] = (*said, *LABELS[number % len(LABELS)])
    return expected


def plain(version: str | None) -> str | None:
    """Sentences say v3 of version 3 as often as they say 3."""
    return version.removeprefix("v") if version else None


def test_what_applications_say_is_read_behind_the_heads_of_their_loggers(tmp_path):
    expected = written(tmp_path)
    staged = read(tmp_path)
    found = events(staged)
    names = [Path(source.path).name for source in staged.sources]
    said = {
        (names[row["source"]], row["line"]): (row["op"], row["outcome"], row["model"], plain(row["version"]))
        for row in found.to_dicts()
    }
    wanted = {key: (*told[:3], plain(told[3])) for key, told in expected.items()}
    assert {key: said.get(key) for key in wanted if said.get(key) != wanted[key]} == {}
    assert len(found) == len(wanted)
    timed = {i for i, name in enumerate(names) if not HEADS[int(name[:3])].startswith(UNTIMED)}
    when = found.filter(pl.col("source").is_in(timed))
    assert when["ts"].null_count() == 0
    assert ((when["ts"] - AT).abs() < timedelta(seconds=1)).all()


def test_what_python_prints_of_a_dict_is_read(tmp_path):
    line = "{'event': 'cache_lookup', 'cache_hit': False, 'model': 'fraud', 'version': 41, 'key': None}"
    (row,) = events(read_lines(tmp_path, line)).to_dicts()
    assert tuple(row[name] for name in SAID) == ("lookup", "miss", "fraud", "41")


@pytest.mark.parametrize("engine", ["native", "polars"])
def test_objects_of_common_loggers_say_what_happened(tmp_path, monkeypatch, engine):
    if engine == "native" and json_scan.NATIVE is None:
        pytest.skip("the native scanner is not built")
    monkeypatch.setenv(json_scan.VARIABLE, engine)
    lines = [line for group in LOGGERS for line in group]
    wanted = [(op, outcome, "resnet50", version) for g in LOGGERS for op, outcome, version in OBJECT_SAYS[: len(g)]]
    found = events(read_lines(tmp_path, *lines, name="app.jsonl"))
    said = {row["line"]: tuple(row[name] for name in SAID) for row in found.to_dicts()}
    assert {lines[i]: said.get(i + 1) for i, told in enumerate(wanted) if said.get(i + 1) != told} == {}
    assert len(found) == len(lines)
    assert ((found["ts"] - AT).abs() < timedelta(seconds=1)).all()
