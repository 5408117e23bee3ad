"""Records of several lines: CSV and journald's export give what their lines say, under the lines they stand on."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import rooms
from cachelog.contract.limits import DEFAULT
from cachelog.ingest.cite import cite
from cachelog.ingest.discover import Source
from cachelog.ingest.lines import ReadLog, units
from cachelog.ingest.records import Rewritten
from cachelog.ingest.stage import Asked, stage
from tests.reading import events, read

DIALECTS, ENVELOPES = rooms.dialects(), rooms.envelopes()
#: Dialects of which a line says something only beside others of its own: among all samples in one file they mix.
TOGETHER = ("llamacpp", "lmcache", "ollama", "prometheus", "redis", "sglang", "text_kv", "tgi", "vllm")
SAMPLES = [s for name, module in DIALECTS.items() if name not in TOGETHER for s in module.SAMPLES]
HIT = json.dumps({"event": "cache_lookup", "result": "hit", "model": "m", "version": "1", "key": "a b"})
US = 1_795_446_990_240_346


def exported(*records, binary=()):
    """Write records (dicts) as journalctl does; the fields named binary, and those with newlines, with their size."""
    out = b""
    for i, record in enumerate(records):
        fields = {"__CURSOR": f"s=bc;i={i:x}", "__REALTIME_TIMESTAMP": str(US + i), "_HOSTNAME": "node-3"} | record
        for key, value in fields.items():
            data = value if isinstance(value, bytes) else value.encode()
            if b"\n" in data or key in binary:
                out += key.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
            else:
                out += key.encode() + b"=" + data + b"\n"
        out += b"\n"
    return out


def staged_bytes(folder, body, name="a.log", block=DEFAULT.block_bytes):
    (folder / name).write_bytes(body)
    limits = replace(DEFAULT, block_bytes=block)
    return stage([str(folder / name)], DIALECTS, ENVELOPES, Asked(limits=limits))


def told(staged):
    return events(staged).sort("line", "model").drop("source", "line", "replica", "ts")


def adds_up(staged):
    (books,) = staged.inputs
    return books.lines == books.events + books.quiet + books.joined + books.unclaimed + books.bad


@pytest.mark.parametrize("binary", [(), ("MESSAGE",), ("MESSAGE", "_CMDLINE")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_export_says_what_its_messages_say(tmp_path, binary, pack):
    body = exported(*({"MESSAGE": s, "_CMDLINE": "x" * 2570, "MODEL": "no"} for s in SAMPLES), binary=binary)
    staged = staged_bytes(tmp_path, pack(body))
    bare = staged_bytes(tmp_path, "".join(f"{s}\n" for s in SAMPLES).encode(), "bare.log")
    assert told(staged).equals(told(bare))
    (books,) = staged.inputs
    assert adds_up(staged) and books.envelope.startswith("journald_export") and books.lines == body.count(b"\n")
    assert (books.unclaimed, books.bad) == (bare.inputs[0].unclaimed, 0)


def test_time_and_replica_of_a_record(tmp_path):
    plain = {"MESSAGE": "Loaded model fraud version v41", "SYSLOG_IDENTIFIER": "scorer", "MODEL_VERSION": "9"}
    body = exported(
        plain,
        plain | {"_SYSTEMD_UNIT": "scorer@2.service", "_SOURCE_REALTIME_TIMESTAMP": str(US - 1_000_000)},
        plain | {"CONTAINER_NAME": "k8s_server_scorer-0_ml_4353b830_0"},
        plain | {"CONTAINER_NAME": "scorer-1"},
    )
    found = events(staged_bytes(tmp_path, body))
    assert found["replica"].to_list() == ["node-3", "node-3/scorer@2", "scorer-0", "scorer-1"]
    assert (found["ts"].dt.epoch("us") - US).to_list() == [0, -1_000_000, 2, 3]


def test_the_line_of_the_message_is_cited(tmp_path):
    body = exported({"MESSAGE": HIT}, {"MESSAGE": HIT.replace(", ", ",\n"), "_CMDLINE": "a\nb"}, {"MESSAGE": HIT})
    staged = staged_bytes(tmp_path, body)
    lines = body.split(b"\n")
    wanted = [i for i, text in enumerate(lines, 1) if text.startswith(b"MESSAGE")]
    assert events(staged)["line"].to_list() == wanted
    cited = cite(staged.sources[0], wanted, marks=staged.read.marks[0])
    assert all(text.startswith('MESSAGE={"event": "cache_lookup",') for text in cited.values())


def test_pieces_that_dockers_driver_cut_are_one_message(tmp_path):
    piece = {"CONTAINER_PARTIAL_MESSAGE": "true", "CONTAINER_PARTIAL_ID": "7"}
    last = piece | {"CONTAINER_PARTIAL_LAST": "true"}
    body = exported({"MESSAGE": HIT[:30]} | piece, {"MESSAGE": HIT}, {"MESSAGE": HIT[30:]} | last)
    assert events(staged_bytes(tmp_path, body))["line"].to_list() == [4, 11]


def test_other_lines_with_names_and_equal_signs_are_no_export(tmp_path):
    body = b"starting with\nMODEL_DIR=/models\n_HOSTNAME=x\nMESSAGE=Loaded model fraud version v41\n"
    assert staged_bytes(tmp_path, body).inputs[0].envelope is None


def test_a_record_is_not_cut_by_a_unit_and_damage_stays_where_it_is(tmp_path):
    rng = random.Random(3)
    records = [{"MESSAGE": rng.choice(SAMPLES), "_CMDLINE": "a\nb" * rng.randrange(900)} for _ in range(80)]
    body = exported(*records, binary=("MESSAGE",))
    whole, cut = staged_bytes(tmp_path, body), staged_bytes(tmp_path, body, block=4096)
    assert events(cut).sort("line", "model").equals(events(whole).sort("line", "model"))
    for broken in (body[: len(body) // 3], body[:5000] + body[5100:], body[:2000] + b"\xff\xff" * 60 + body[2000:]):
        assert adds_up(staged_bytes(tmp_path, broken))


def written(rows, separator=","):
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


@pytest.mark.parametrize(
    "header",
    [
        ("_time", "host", "source", "sourcetype", "_raw"),
        ("@timestamp", "host", "@log", "@logStream", "@message"),
        ("Date", "Host", "Service", "Status", "Message"),
        ("Time", "hostname", "labels", "id", "Line"),
        ("TimeGenerated", "Computer", "ContainerId", "LogSource", "LogMessage"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_exports_say_what_their_lines_say(tmp_path, header, separator):
    when = "2026-11-23T15:16:30.240Z"
    rows = [header, *((when, "node-3", "s", "t", sample) for sample in SAMPLES)]
    staged = staged_bytes(tmp_path, b"\xef\xbb\xbf" + written(rows, separator))
    bare = staged_bytes(tmp_path, "".join(f"{s}\n" for s in SAMPLES).encode(), "bare.log")
    # a message in an object is read for what happened, not for how long it took
    assert told(staged).drop("seconds").equals(told(bare).drop("seconds"))
    assert events(staged)["line"].to_list() == [n + 1 for n in events(bare)["line"].to_list()]
    unnamed = events(bare).filter(events(bare)["replica"] == "bare")["line"].to_list()
    assert set(events(staged).filter(events(staged)["line"].is_in([n + 1 for n in unnamed]))["replica"]) <= {
        "node-3",
        None,
    }
    assert adds_up(staged)


def test_columns_may_be_the_fields_themselves(tmp_path):
    rows = [
        ("timestamp", "event", "model", "version", "result"),
        ("2026-11-23T15:16:30Z", "cache_lookup", "m", "1.10", "miss"),
    ]
    (row,) = events(staged_bytes(tmp_path, written(rows))).to_dicts()
    assert (row["model"], row["version"], row["outcome"], row["line"]) == ("m", "1.10", "miss", 2)


def test_records_of_several_lines_keep_the_numbers_of_theirs(tmp_path):
    pretty = json.dumps(json.loads(HIT), indent=1)
    rows = [
        ("_time", "_raw"),
        ("1795446990", pretty),
        ("1795446991", HIT),
        ("1795446992", 'a "quoted"\n\nword'),
        ("1795446993", HIT),
    ]
    body = written(rows)
    staged = staged_bytes(tmp_path, body)
    at = [
        i
        for i, text in enumerate(body.decode().split("\n"), 1)
        if text.startswith("17954469") and "cache_lookup" in text
    ]
    assert events(staged)["line"].to_list() == [2, *at]
    assert "cache_lookup" in cite(staged.sources[0], [2], marks=staged.read.marks[0])[2]
    assert adds_up(staged) and staged.inputs[0].lines == body.count(b"\n")


def test_rows_that_do_not_fit_the_header_cost_only_themselves(tmp_path):
    body = b"_time,host,_raw\n" + f'1795446990,a,"{HIT.replace(chr(34), chr(34) * 2)}"\n'.encode() * 2
    broken = body + b"1795446990\n\n1795446990,a,b,c,d,e\n1795446990,\xff,x\n" + body.split(b"\n")[1] + b"\n"
    staged = staged_bytes(tmp_path, broken)
    assert events(staged)["line"].to_list() == [2, 3, 8]
    assert adds_up(staged) and staged.inputs[0].bad == 1


@pytest.mark.parametrize(
    "first",
    [
        "time,2026-11-23",
        "model=a, version=b",
        "a,b,c",
        "some words, and more",
        '{"time": 1, "msg": 2}',
        "time,time",
        "message",
    ],
)
def test_a_first_line_with_commas_is_no_header_by_itself(tmp_path, first):
    body = f"{first}\n{HIT}\n".encode()
    staged = staged_bytes(tmp_path, body)
    assert events(staged)["line"].to_list() == [2]
    assert staged.read.marks[0]


def reshaped(body, sizes):
    """Read through Rewritten in steps of these sizes."""
    given_ = io.BytesIO(body)
    steps = iter(sizes)

    def fill(view):
        return given_.readinto(view[: max(next(steps, 97), 1)])

    made, out = Rewritten(fill), b""
    view = memoryview(bytearray(64))
    while count := made.readinto(view):
        out += bytes(view[:count])
    return out


BODIES = st.one_of(
    st.lists(st.tuples(st.binary(max_size=30), st.booleans()), min_size=1, max_size=6).map(
        lambda found: exported(*({"MESSAGE": m} for m, _ in found), binary=("MESSAGE",))
    ),
    st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=8).map(
        lambda rows: b"_time,_raw\n" + written(rows)
    ),
    st.binary(max_size=200).map(lambda b: b"__CURSOR=x\n" + b),
    st.binary(max_size=200).map(lambda b: b"_time,_raw\n" + b),
)


@given(BODIES, st.lists(st.integers(1, 60), max_size=30))
@settings(max_examples=300, deadline=None)
def test_rewriting_keeps_the_number_of_lines_however_it_is_read(body, sizes):
    first = 64  # the head is read at once
    out = reshaped(body, [first, *sizes])
    assert out == reshaped(body, [first])
    ended = body if body.endswith(b"\n") else body + b"\n"
    assert (out if out.endswith(b"\n") else out + b"\n").count(b"\n") == ended.count(b"\n")


def test_units_of_a_rewritten_input_number_its_lines(tmp_path):
    (tmp_path / "a.csv").write_bytes(written([("_time", "_raw"), *((str(US), "x\ny") for _ in range(3))]))
    log = ReadLog()
    found = list(units([Source(str(tmp_path / "a.csv"))], log))
    assert sum(u.rows for u in found) == 7 and log.marks[0] == []
    assert read(tmp_path).inputs[0].lines == 7
