"""JSON documents over many lines: every record is read, where it begins, whatever is wrong around it."""

from __future__ import annotations

import json
from random import Random

import pytest

from cachelog import rooms
from cachelog.contract.layout import DOCUMENTS
from cachelog.ingest import documents
from tests import wrapping_json as wraps
from tests.reading import events, read_lines
from tests.wrapping import POD

HITS = [json.dumps({"event": "cache_lookup", "result": "hit", "model": "m", "version": str(i)}) for i in range(30)]


def rewritten(text, size=None):
    data = text.encode()
    size = size or len(data)
    document = documents.Document()
    parts = [document.feed(data[i : i + size]) for i in range(0, len(data), size)]
    return b"".join([*parts, document.close()]).decode()


def where(text, needle):
    return [number for number, line in enumerate(text.split("\n"), 1) if needle in line]


def versions(staged):
    return sorted(events(staged)["version"].to_list(), key=int)


def gcloud(**dump):
    return json.dumps([json.loads(wraps.gcp(hit)) for hit in HITS], **dump)


def hits(**dump):
    found = [json.loads(wraps.elasticsearch(hit)) for hit in HITS]
    return json.dumps({"took": 1, "hits": {"total": {"value": 3}, "hits": found}}, **dump)


def loki(**dump):
    result = [{"stream": {"pod": POD}, "values": [[wraps.NS, hit]]} for hit in HITS]
    return json.dumps(
        {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {"a": [{}]}}}, **dump
    )


def pages(**dump):
    return "\n".join(wraps.cloudwatch_events(HITS[i : i + 10], **dump) for i in range(0, 30, 10))


def plain(**dump):
    return "\n".join(json.dumps(json.loads(hit), **dump) for hit in HITS)


DOCUMENTED = [gcloud, hits, loki, pages, plain, lambda **dump: wraps.cloudwatch_events(HITS, **dump)]


@pytest.mark.parametrize("make", DOCUMENTED)
@pytest.mark.parametrize("indent", [0, 1, 4, "\t"])
def test_a_record_of_a_document_is_read_and_cited_where_it_begins(tmp_path, make, indent):
    text = make(indent=indent)
    staged = read_lines(tmp_path, text)
    assert versions(staged) == [str(i) for i in range(30)]
    (books,) = staged.inputs
    assert (books.lines, books.events, books.unclaimed, books.bad) == (text.count("\n") + 1, 30, 0, 0)
    lines = text.split("\n")
    for line in events(staged)["line"].to_list():
        assert lines[line - 1].strip()[:1] in ("{", "[")


def test_otlp_in_lines_with_indents_is_read(tmp_path):
    staged = read_lines(tmp_path, wraps.otlp_records(HITS, indent=2))
    assert versions(staged) == [str(i) for i in range(30)]
    assert set(events(staged)["replica"]) == {POD}


@pytest.mark.parametrize("make", DOCUMENTED)
def test_how_much_is_read_at_once_changes_nothing(make):
    text = make(indent=2)
    whole = rewritten(text)
    assert whole.count("\n") == text.count("\n")
    for size in (1, 7, 100, 4096):
        assert rewritten(text, size) == whole


def test_an_array_with_a_record_a_line_is_lines(tmp_path):
    text = "[\n" + ",\n".join(HITS) + "\n]"
    assert rewritten(text).split("\n")[1] == HITS[0]
    staged = read_lines(tmp_path, text)
    assert events(staged)["line"].to_list() == list(range(2, 32))
    packed = "[" + HITS[0] + ", " + HITS[1] + ",\n" + HITS[2] + "]"
    assert events(read_lines(tmp_path, packed))["line"].to_list() == [1, 1, 2]


def test_a_document_that_is_cut_off_gives_its_complete_records(tmp_path):
    text = wraps.cloudwatch_events(HITS, indent=2)
    for cut in range(100, len(text) - 60, 97):
        (books,) = (staged := read_lines(tmp_path, text[:cut])).inputs
        complete = text[:cut].count('"eventId": "3"\n    }')
        assert len(versions(staged)) == complete
        assert books.events == complete
        assert books.bad <= 1


WRONG = '{"timestamp": 1, "eventId": "1", "message": 5}'


@pytest.mark.parametrize("wrong", ["7", "null", '"x"', "[1]", WRONG, "{}"])
def test_what_is_no_record_costs_itself_alone(tmp_path, wrong):
    text = wraps.cloudwatch_events(HITS, indent=2)
    first = text.index("    },\n") + 7
    staged = read_lines(tmp_path, text[:first] + f"    {wrong},\n" + text[first:])
    assert versions(staged) == [str(i) for i in range(30)]
    assert staged.inputs[0].bad == (1 if wrong in ("7", "null", '"x"', WRONG) else 0)


def test_a_newline_in_a_text_costs_its_record_and_no_other(tmp_path):
    text = gcloud(indent=2)
    at = text.index('"version": "7"')
    staged = read_lines(tmp_path, text[: at + 13] + "\n" + text[at + 13 :])
    assert versions(staged) == [str(i) for i in range(30) if i != 7]


def test_documents_and_lines_of_all_kinds_may_follow_each_other(tmp_path):
    lines = [gcloud(indent=1), "free words", HITS[3], "2026-11-23 15:16:29 INFO predict model=m version=99 cache=HIT",
             pages(indent=1), '{"a": [', "not json", HITS[4]]  # fmt: skip
    staged = read_lines(tmp_path, *lines)
    assert len(versions(staged)) >= 62
    (books,) = staged.inputs
    assert books.lines == sum(line.count("\n") + 1 for line in lines)
    assert books.lines == books.events + books.quiet + books.joined + books.unclaimed + books.bad


@pytest.mark.parametrize("seed", range(40))
def test_no_bytes_change_the_number_of_lines(seed):
    random = Random(seed)
    text = random.choice(DOCUMENTED)(indent=random.choice([0, 2]))
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(text))
        text = (
            text[:at]
            + random.choice(['"', "{", "}", "[", "]", "\n", "\\", ",", "x", ""])
            + text[at + random.randrange(3) :]
        )
    whole = rewritten(text)
    assert whole.count("\n") == text.count("\n")
    assert rewritten(text, 50) == whole


def test_lines_of_json_are_no_document():
    for head in (HITS[0] + "\n" + HITS[1], '{"a": 1', "[INFO] x,\n{", '{"torn": "te\n' + HITS[0], "", "[1,\n2]", "{\n"):
        assert not documents.begins(head.encode()), head


def test_the_arrays_of_documents_are_those_of_the_envelopes():
    layouts = [one for module in rooms.envelopes().values() for one in getattr(module, "LAYOUTS", ())]
    of_objects = {"", "items", "status.history"}
    assert {one.arrays[0] for one in layouts if one.arrays} | of_objects == DOCUMENTS
