"""Logs that no dialect knows: inspect proposes maps, maps and formats of one's own read them, in both engines."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cachelog.cli import app
from cachelog.ingest import json_scan

DOCS = (Path(__file__).parent.parent / "docs" / "own-formats.md").read_text()
ENGINES = ["polars", *(["native"] if json_scan.NATIVE else [])]


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.delenv("CACHELOG_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    def ran(*arguments):
        code = app.run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return ran


def requests(many=600):
    """A fleet of two whose cache gets worse for one model in the middle."""
    r, start = random.Random(4), datetime(2026, 11, 24, 10, tzinfo=UTC)
    for i in range(many):
        model = r.choice(["fraud", "rank"])
        warm = r.random() < (0.4 if model == "fraud" and i * 2 > many else 0.9)
        version = 41 + (i * 2 > many)
        yield start + timedelta(seconds=6 * i), r.choice(["gw-1", "gw-2"]), model, version, warm, r.randrange(99), i % 7


def as_text(t, box, model, version, warm, key, ms):
    return f"{t:%Y-%m-%d %H:%M:%S} gate@{box} >> asked /models/{model}/{version} for k{key}: {'WARM' if warm else 'COLD'} in {ms}.5ms"


def as_json(t, box, model, version, warm, key, ms):
    unit = {"mdl": model, "rev": version}
    said = {"when": t.isoformat(), "ctx": {"unit": unit, "box": box}, "res": "WARM" if warm else "COLD"}
    return json.dumps({**said, "lat": {"msec": ms + 0.5}, "k": {"hash": f"k{key}"}})


def as_pairs(t, box, model, version, warm, key, ms):
    return f"stamp={t.isoformat()} box={box} unit={model} rev={version} answer={'warm' if warm else 'cold'} ck=k{key} spent={ms}.5ms"


def as_both(t, box, model, version, warm, key, ms):
    return f"<{int(t.timestamp())}> {box} PREDICT {model}#r{version} memo={'y' if warm else 'n'} dt={ms}us fp=k{key}"


def as_phrases(t, box, model, version, warm, key, ms):
    return f"{t:%Y/%m/%d %H:%M:%S} [{box}] infer({model}, rev {version}) -> {'from store' if warm else 'built'} ({ms}.1 ms)"


SHAPES = {"text": as_text, "json": as_json, "pairs": as_pairs, "both": as_both, "phrases": as_phrases}


def written(path, shape):
    rows = list(requests())
    path.write_text("".join(f"{SHAPES[shape](*row)}\n" for row in rows))
    return rows


@pytest.mark.parametrize("shape", SHAPES)
def test_what_inspect_proposes_reads_the_log(run, home, shape, monkeypatch):
    rows = written(home / "a.log", shape)
    assert run("analyze", "a.log")[0] == 3
    code, out, _ = run("inspect", "a.log")
    assert code == 3
    typed = shlex.split(re.search(r"^try +cachelog (analyze(?:.*\\\n)*.*)$", out, re.MULTILINE)[1].replace("\\\n", " "))
    told = []
    for engine in ENGINES:
        monkeypatch.setenv("CACHELOG_ENGINE", engine)
        code, out, err = run(*typed, "--no-cache", "--format", "json")
        assert code == 0, err
        told.append(json.loads(out))
    assert all(one == told[0] for one in told)
    report = told[0]
    for row in report["models"]:
        mine = [r for r in rows if r[2] == row["model"]]
        assert (row["lookups"], row["hits"]) == (len(mine), sum(r[4] for r in mine))
        assert {v["version"] for v in row["versions"]} <= {"41", "42", "r41", "r42"}
        assert len(row["versions"]) == 2
        assert {name for v in row["versions"] for name in v["replicas"]} == {"gw-1", "gw-2"}
    assert report["period"]["start"] == "2026-11-24T10:00:00.000000Z"
    assert sum(item["events"] for item in report["inputs"]) == len(rows)


def test_ids_of_requests_are_not_proposed_as_keys(run, home):
    lines = (
        f'{{"ts":"2026-11-24T10:00:00Z","mdl":"fraud","res":"{"WC"[i % 2]}ARM","hash":"{i:016x}"}}' for i in range(300)
    )
    (home / "a.log").write_text("\n".join(lines).replace("CARM", "COLD") + "\n")
    told = json.loads(run("inspect", "a.log", "--format", "json")[1])["inputs"][0]
    assert told["maps"] == ["model=$.mdl", "outcome=$.res", "outcome:COLD=miss", "outcome:WARM=hit"]


def test_where_nothing_looks_like_an_outcome_inspect_says_how_to_name_it(run, home):
    (home / "a.log").write_text('{"ts":"2026-11-24T10:00:00Z","mdl":"fraud","zeta":"x"}\n' * 9)
    assert "no place looks like hit or miss" in " ".join(run("inspect", "a.log")[1].split())


def read(run, *arguments, engine=None):
    code, out, err = run("analyze", *arguments, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def versions(report):
    return {v["version"] for row in report["models"] for v in row["versions"]}


LOOKUP = '{{"ts":"2026-11-24T10:00:00Z","model":"fraud","version":"app-1","mv":{},"cache":"hit","pod":"a"}}\n'


@pytest.mark.parametrize("engine", ENGINES)
def test_a_map_goes_before_the_usual_name_and_numbers_stay_as_written(run, home, engine, monkeypatch):
    monkeypatch.setenv("CACHELOG_ENGINE", engine)
    (home / "a.log").write_text(LOOKUP.format("1.10") * 2 + LOOKUP.format("null"))
    assert versions(read(run, "a.log")) == {"app-1"}
    assert versions(read(run, "a.log", "--map", "version=$.mv")) == {"1.10", "app-1"}


def test_what_was_read_with_other_maps_is_not_taken_from_the_cache(run, home):
    (home / "a.log").write_text(LOOKUP.format("7") * 60_000)
    os.utime(home / "a.log", (1, 1))
    seen = [versions(read(run, "a.log", *maps)) for maps in [(), ("--map", "version=$.mv"), ()]]
    assert seen == [{"app-1"}, {"7"}, {"app-1"}]
    assert run("cache")[1].startswith("1 log,")


def test_a_map_through_envelopes_and_pairs(run, home):
    inner = json.dumps(
        {"log": "time=2026-11-24T10:00:00Z res=warm mdl=fraud\n", "stream": "stdout", "time": "2026-11-24T10:00:00Z"}
    )
    (home / "a.log").write_text(inner + "\n2026-11-24 10:00:01 INFO x says res=cold mdl=fraud rev=8\n")
    maps = ["outcome=res", "outcome:warm=hit", "outcome:cold=miss", "model=mdl", "version=rev"]
    report = read(run, "a.log", *(part for one in maps for part in ("--map", one)))
    assert [(r["model"], r["hits"], r["misses"]) for r in report["models"]] == [("fraud", 1, 1)]


def test_flags_fixed_texts_and_words_of_events(run, home):
    lines = [
        {"ts": "2026-11-24T10:00:00Z", "kind": "swapped", "m": "b"},
        {"ts": "2026-11-24T10:00:01Z", "warm": True},
        {"ts": "2026-11-24T10:00:02Z", "warm": False},
    ]
    (home / "a.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = ("hit=$.warm", 'model="fraud"', "event=kind", "event:swapped=load", "model=m", 'version="3"')
    report = read(run, "a.log", *(part for one in given for part in ("--map", one)))
    found = {r["model"]: (r["hits"], r["misses"]) for r in report["models"]}
    assert found["fraud"] == (1, 1) and "b" in found


def test_a_map_that_finds_nothing_is_said(run, home):
    (home / "a.log").write_text(LOOKUP.format(1))
    limits = [note["what"] for note in read(run, "a.log", "--map", "version=$.nowhere")["limits"]]
    assert "the map version=$.nowhere found nothing in any line" in limits


def test_outcomes_without_a_meaning_are_an_error_that_says_what_to_type(run, home):
    written(home / "a.log", "json")
    code, _, err = run("check", "a.log", "--map", "outcome=$.res", "--map", "model=$.ctx.unit.mdl")
    assert code == 2
    assert "--map outcome:COLD=miss --map outcome:WARM=hit" in err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("versoin=$.a", "did you mean version?"),
        ("version=$.a[0]", "elements of arrays"),
        ("version=/(?=a)b/", "look-ahead and look-behind are not supported"),
        ("version=/ab/", "no group"),
        ("version=/(a/", "unclosed group"),
        ("version=/(a{1000}){1000}/", "too big"),
        ("version", "FIELD=$.path"),
        ("outcome:X=hat", "did you mean hit?"),
        ("model:X=hit", "only words of outcome and event"),
        ("version=$.", "keys of objects"),
    ],
)
def test_bad_maps_are_one_sentence(run, home, given, says):
    (home / "a.log").write_text(LOOKUP.format(1))
    code, out, err = run("a.log", "--map", given)
    assert (code, out) == (2, "")
    assert says in err and err.count("\n") == 1


def test_hostile_lines_do_not_slow_an_expression_down_and_are_escaped(run, home):
    (home / "a.log").write_text("x" * 200_000 + "\n" + "\x1b]0;own\x07 @@ evil 17 \u202egnp\n" * 3)
    code, out, _ = run("inspect", "a.log", "--map", "model=/(x+x+)+y/")
    assert code == 3
    assert "\x1b" not in out and "\u202e" not in out
    assert "3 lines, first 2:" in out and "<*>" in out
    assert run("inspect", "a.log", "--format", "json")[1].isascii()


def test_templates_do_not_depend_on_the_order_of_units(run, home):
    lines = [f"%% lost {i % 5} of {i} by {'abc'[i % 3]}" for i in range(300)]
    (home / "a.log").write_text("\n".join(lines) + "\n")
    told = json.loads(run("inspect", "a.log", "--format", "json")[1])
    assert told["inputs"][0]["templates"] == [{"text": "%% lost <*> of <*> by <*>", "lines": 300, "first": 1}]


# ---- cachelog.toml


def example(mark):
    return re.search(rf"<!-- {mark}.*?-->\n```\w+\n(.*?)```", DOCS, re.DOTALL)[1]


def test_the_example_of_the_manual_is_right(run, home):
    (home / "cachelog.toml").write_text(example("toml example"))
    code, out, err = run("formats", "check")
    assert (code, err) == (0, "")
    assert out == "2 formats, 3 samples: all samples are read as they say\n"
    assert "The gate before our models." in run("formats")[1]


GATE = """
[[format]]
name = "gate"
regex = '''^(?<time>\\S+ \\S+) gate@(?<replica>\\S+) >> asked /models/(?<model>[^/]+)/(?<version>\\d+) for (?<key>\\w+): (?<outcome>\\w+) in (?<ms>[\\d.]+)ms$'''
words = { WARM = "hit", COLD = "miss" }
"""
UNIT = """
[[format]]
name = "unit"
paths = { time = "$.when", model = "$.ctx.unit.mdl", version = "$.ctx.unit.rev", outcome = "$.res", replica = "ctx.box" }
words = { WARM = "hit", COLD = "miss" }
"""


@pytest.mark.parametrize(("shape", "table", "name"), [("text", GATE, "gate"), ("json", UNIT, "unit")])
def test_a_format_is_a_dialect(run, home, shape, table, name, monkeypatch):
    rows = written(home / "a.log", shape)
    (home / ".git").mkdir()
    (home / "cachelog.toml").write_text(table)
    (home / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(home / "deep" / "er")
    for engine in ENGINES:
        monkeypatch.setenv("CACHELOG_ENGINE", engine)
        report = read(run, home / "a.log")
        assert report["inputs"][0]["format"] == name
        assert {r["model"]: r["hits"] for r in report["models"]} == {
            model: sum(r[4] for r in rows if r[2] == model) for model in ("fraud", "rank")
        }
    assert run(home / "a.log", "--config", "-")[0] == 3


def test_a_format_is_kept_apart_from_other_lines_of_its_file(run, home):
    (home / "c.toml").write_text(UNIT)
    theirs = LOOKUP.format(1) + '{"res":"WARM","other":1}\n'
    (home / "a.log").write_text(theirs + SHAPES["json"](*next(requests())) + "\n")
    told = json.loads(run("inspect", "a.log", "--config", "c.toml", "--format", "json")[1])["inputs"][0]
    assert {one["dialect"]: one["lines"] for one in told["claimed"]} == {"json_app": 1, "unit": 2}


def test_samples_that_are_read_otherwise_are_one_sentence_each(run, home):
    sample = "[[format.samples]]\nline = '''{}'''\nsays = {{ {} }}\n"
    line = SHAPES["json"](*next(requests()))
    wrong = [
        (line, 'outcome = "stale"'),
        ("zzz", "quiet = true"),
        (line.replace("COLD", "LUKE").replace("WARM", "LUKE"), 'op = "lookup"'),
    ]
    (home / "c.toml").write_text(UNIT + "".join(sample.format(*one) for one in wrong))
    code, out, err = run("formats", "check", "--config", "c.toml")
    assert code == 1
    assert out == "1 format, 3 samples: 3 of them not as they say\n"
    assert len(err.splitlines()) == 3
    assert (
        "sample 1: outcome is" in err and "sample 2: the line is not claimed" in err and "'LUKE' has no meaning" in err
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = ", "no TOML"),
        ("formats = 1", "no key 'formats' (did you mean format?)"),
        ("[[format]]\nnam = 'x'", "no key 'nam' (did you mean name?)"),
        ("[[format]]\nname = 'x'", "give either regex"),
        ("[format]\nname = 'x'", "two brackets"),
        ("[[format]]\nname = 'nginx'\nregex = '(?<model>x)'", "'nginx' is taken"),
        ("[[format]]\nname = 'x'\nregex = '(?!a)(?<model>x)'", "format x: regex: look-ahead"),
        ("[[format]]\nname = 'x'\nregex = '(?<modle>x)'", "group modle: no field 'modle' (did you mean model?)"),
        ("[[format]]\nname = 'x'\npaths = { model = '/(x)/' }", "paths.model: give keys"),
        ("[[format]]\nname = 'x'\npaths = { model = '$.m' }\nneeds = ['version']", "needs: give a list"),
        ("[[format]]\nname = 'x'\nregex = '(?<model>x)'\nwords = { W = 'hat' }", "words.W: no meaning 'hat'"),
        ("[[format]]\nname = 'x'\nregex = '(?<model>x)'\nfixed = { colour = 'red' }", "fixed.colour: no field"),
        ("[map]\nversion = '$.a[0]'", "map.version: elements of arrays"),
        ("[map]\nversion = 1", "map: give a table of texts"),
    ],
)
def test_a_bad_configuration_is_one_sentence_with_file_and_key(run, home, text, says):
    (home / "cachelog.toml").write_text(text)
    (home / "a.log").write_text(LOOKUP.format(1))
    code, out, err = run("analyze", "a.log")
    assert (code, out) == (2, "")
    assert says in err and "cachelog.toml" in err and err.count("\n") == 1


def test_a_missing_configuration_and_nothing_to_check_are_usage(run, home):
    assert "cannot read 'no.toml'" in run("formats", "check", "--config", "no.toml")[2]
    code, _, err = run("formats", "check")
    assert code == 2 and "no [[format]]" in err


# ---- plug-ins


def plugged(home, monkeypatch, code, name="turnstile"):
    (home / "site" / "turnstile_logs-1.0.dist-info").mkdir(parents=True)
    at = home / "site" / "turnstile_logs-1.0.dist-info"
    (at / "METADATA").write_text("Metadata-Version: 2.1\nName: turnstile-logs\nVersion: 1.0\n")
    (at / "entry_points.txt").write_text(f"[cachelog.dialects]\n{name} = turnstile_logs\n")
    (home / "site" / "turnstile_logs.py").write_text(code)
    monkeypatch.syspath_prepend(str(home / "site"))
    monkeypatch.delitem(__import__("sys").modules, "turnstile_logs", raising=False)


def test_the_plug_in_of_the_manual_reads_its_lines(run, home, monkeypatch):
    plugged(home, monkeypatch, example("plug-in example"))
    (home / "a.log").write_text("%T 2026-11-24T10:00:00Z ts-1 fraud@41 +\n%T 2026-11-24T10:00:01Z ts-1 fraud@41 -\n")
    report = read(run, "a.log")
    assert [(r["model"], r["hits"], r["misses"]) for r in report["models"]] == [("fraud", 1, 1)]
    listed = json.loads(run("formats", "--format", "json")[1])
    assert [one["source"] for one in listed if one["name"] == "turnstile"] == [
        "wiki/turnstile (plug-in of turnstile-logs 1.0)"
    ]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise RuntimeError('no\\nway')", "cannot be loaded: RuntimeError: no way"),
        ("NAME = 'turnstile'", "is no dialect: it has no SAMPLES, claim, parse"),
        ("NAME = 'other'\nSAMPLES = ()\nclaim = parse = print", "its NAME is 'other'"),
        (
            "NAME = 'turnstile'\nSAMPLES = ()\ndef claim(t): return t.str.starts_with('%')\ndef parse(l): return l[99, 99]",
            "broke: ",
        ),
    ],
)
def test_a_broken_plug_in_is_one_sentence_and_can_be_switched_off(run, home, monkeypatch, code, says):
    plugged(home, monkeypatch, code)
    (home / "a.log").write_text(LOOKUP.format(1) + "%T x\n")
    ended, _, err = run("analyze", "a.log")
    assert ended == 2
    assert says in err and "turnstile-logs 1.0" in err and err.count("\n") == 1
    if says != "broke: ":
        assert "turnstile-logs 1.0" in run("formats")[1]
    monkeypatch.setenv("CACHELOG_PLUGINS", "off")
    assert run("analyze", "a.log")[0] == 0
