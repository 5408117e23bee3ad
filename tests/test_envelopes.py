"""Envelopes: pieces joined, pods and containers named, nothing taken for an envelope that is none."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest

from cachelog.contract.limits import DEFAULT
from cachelog.envelopes import cri as cri_envelope
from cachelog.envelopes import docker_json as docker_envelope
from cachelog.envelopes import stern as stern_envelope
from cachelog.ingest.discover import Source
from cachelog.ingest.lines import Piece, ReadLog, units
from cachelog.ingest.stage import piece_of
from cachelog.rooms import envelopes
from tests.reading import events, read, read_lines
from tests.wrapping import POD, TIME, cri, docker_json, kubectl, stern

HIT = json.dumps({"event": "cache_lookup", "result": "hit", "model": "m", "version": "1", "key": "a b"})
LOADED = "Loaded model fraud version v41"
UID = "4353b830-0000-4000-8000-000000000000"
ID = "4c7e18eb06658eb0afe41dcd86cf844237737aa372e923f10a2407e0ccad3c1b"


def cut(line, *at):
    return [line[i:j] for i, j in pairwise([0, *at, len(line)])]


def books(staged):
    (found,) = staged.inputs
    return found.events, found.quiet, found.joined, found.unclaimed, found.bad


@pytest.mark.parametrize("at", [(1,), (20, 21), (10, 30, 50, 70)])
def test_pieces_of_a_line_are_one_line_where_it_began(tmp_path, at):
    parts = cut(HIT, *at)
    lines = [cri("first"), *(cri(part, "P") for part in parts[:-1]), cri(parts[-1]), cri(HIT)]
    staged = read_lines(tmp_path, *lines)
    assert events(staged)["line"].to_list() == [2, len(lines)]
    assert events(staged)["key"].n_unique() == 1
    assert books(staged) == (2, 0, len(at), 1, 0)


def test_blanks_at_the_end_of_a_piece_are_kept(tmp_path):
    before = HIT.index(" b") + 1  # the piece ends in the blank of the key
    staged = read_lines(tmp_path, cri(HIT[:before], "P"), cri(HIT[before:]), cri(HIT))
    assert events(staged)["key"].n_unique() == 1


def test_streams_are_joined_apart(tmp_path):
    first, second = cut(HIT, 30)
    lines = [cri(first, "P"), cri(first, "P", "stderr"), cri(second), cri(second, "F", "stderr")]
    assert events(read_lines(tmp_path, *lines))["line"].to_list() == [1, 2]


def test_a_line_whose_end_is_missing_is_bad_and_costs_nothing_else(tmp_path):
    assert books(read_lines(tmp_path, cri(HIT), cri(HIT[:30], "P"))) == (1, 0, 0, 0, 1)


def test_a_unit_does_not_end_inside_a_line_of_either_stream(tmp_path):
    lines = [cri(HIT), cri("half", "P"), *(cri("x" * 40, stream="stderr") for _ in range(20)), cri("rest")]
    (tmp_path / "a.log").write_text("".join(f"{line}\n" for line in lines))
    small = replace(DEFAULT, block_bytes=64)
    found = list(units([Source(str(tmp_path / "a.log"))], ReadLog(), piece=piece_of(envelopes()), limits=small))
    rows = [u.rows for u in found]
    assert sum(rows) == 23
    assert 22 in rows  # all from the open piece on


def test_pieces_are_told_from_lines():
    piece = piece_of(envelopes())
    assert piece(cri("x", "P").encode()) == Piece(b"stdout", True)
    assert piece(cri("x", stream="stderr").encode()) == Piece(b"stderr", False)
    assert piece(docker_json("x").encode()) == Piece(b"stdout", False)
    assert piece(docker_json("x", end="").encode()) == Piece(b"stdout", True)
    assert piece(HIT.encode()) is None


@pytest.mark.parametrize(
    ("path", "pod"),
    [
        (f"/var/log/pods/ml_scorer-0_{UID}/server/0.log", "scorer-0"),
        (f"logs/ml-prod_scorer-0_{UID}/server/1.log.20261123-151733.gz", "scorer-0"),
        (f"/var/log/containers/scorer-0_ml_server-{ID}.log", "scorer-0"),
        ("/var/log/scorer-0.log", None),
        ("/var/log/pods/readme_of_this/server/0.log", None),
    ],
)
def test_the_kubelet_names_the_pod_in_the_path(path, pod):
    assert cri_envelope.locus(path) == pod


def test_the_replica_is_the_pod_of_the_path_when_no_line_names_it(tmp_path):
    folder = tmp_path / f"ml_scorer-7_{UID}" / "server"
    folder.mkdir(parents=True)
    (folder / "0.log").write_text(cri(HIT) + "\n" + cri(HIT.replace('"m"', '"m", "pod": "own"')) + "\n")
    assert events(read(tmp_path))["replica"].to_list() == ["scorer-7", "own"]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (None, ID[:12]),
        ({"Name": "/scorer-0"}, "scorer-0"),
        ({"Name": f"/k8s_server_scorer-0_ml_{UID}_0"}, "scorer-0"),
        ({"Name": "/"}, ID[:12]),
        ({"ID": ID}, ID[:12]),
        (["Name"], ID[:12]),
        ("not json", ID[:12]),
    ],
)
def test_a_container_is_named_by_its_config_else_by_its_id(tmp_path, config, name):
    folder = tmp_path / ID
    folder.mkdir()
    if config is not None:
        (folder / "config.v2.json").write_text(config if isinstance(config, str) else json.dumps(config))
    assert docker_envelope.locus(str(folder / f"{ID}-json.log.1")) == name
    assert docker_envelope.locus(str(folder / "other.log")) is None


def test_docker_pieces_are_joined(tmp_path):
    first, second = cut(HIT, 30)
    staged = read_lines(tmp_path, docker_json(first, end=""), docker_json(second), docker_json(HIT))
    assert events(staged)["line"].to_list() == [1, 3]
    assert books(staged) == (2, 0, 1, 0, 0)


def test_a_long_docker_piece_goes_on_whenever_the_rest_was_written(tmp_path):
    line = HIT[:-1] + ', "blob": "' + "x" * (20 << 10) + '"}'
    first, second = cut(line, 16 << 10)
    later = TIME.replace(":30.", ":59.")
    staged = read_lines(tmp_path, docker_json(first, end=""), docker_json(second, time=later))
    assert events(staged)["line"].to_list() == [1]


def test_what_a_dying_process_left_unended_does_not_swallow_the_next_start(tmp_path):
    later = TIME.replace(":30.", ":31.")
    start = json.dumps({"event": "server_start"})
    staged = read_lines(
        tmp_path, docker_json("bye\n"), docker_json("Segmentation", end=""), docker_json(start, time=later)
    )
    assert events(staged)["op"].to_list() == ["restart"]


def test_docker_lines_that_lost_their_newlines_stay_lines(tmp_path):
    assert books(read_lines(tmp_path, *[docker_json(HIT, end="")] * 3)) == (3, 0, 0, 0, 0)


def test_docker_lines_are_found_among_other_json(tmp_path):
    (tmp_path / "a.log").write_text(HIT + "\n")
    (tmp_path / "b.log").write_text(docker_json(HIT) + "\n")
    staged = read(tmp_path)
    assert [(i.events, i.envelope) for i in staged.inputs] == [(1, None), (1, "docker_json")]


def test_an_object_with_a_log_and_more_is_read_by_its_message(tmp_path):
    fluent = {
        "log": "ts=2026-11-23T15:16:30Z msg=cache_hit model=m",
        "stream": "stdout",
        "kubernetes": {"pod_name": "p-1"},
    }
    found = events(read_lines(tmp_path, json.dumps(fluent)))
    assert found.select("op", "model", "replica").row(0) == ("lookup", "m", "p-1")


def test_kubectl_and_stern_name_the_pod(tmp_path):
    lines = [kubectl(HIT), f"[pod/other-0/x] {HIT}", f"{TIME} {HIT}", stern(HIT), f"ml-prod {stern(HIT)}"]
    assert events(read_lines(tmp_path, *lines))["replica"].to_list() == [POD, "other-0", "app", POD, POD]


@pytest.mark.parametrize(
    ("head", "replica", "time"),
    [
        ("Nov 23 15:16:30 node-3 scorer[4003]:", "node-3", "15:16:30.000000"),
        ("<14>Nov 23 15:16:30 node-3 scorer[4003]:", "node-3", "15:16:30.000000"),
        ("<14>Nov 23 15:16:30 scorer[4003]:", "app", "15:16:30.000000"),
        ("<30>Nov 23 15:16:30 node-3 0123456789ab[812]:", "0123456789ab", "15:16:30.000000"),
        (
            "<30>Nov 23 15:16:30 node-3 fraud-scorer-6d9f7c5b8-4kq2x[812]:",
            "fraud-scorer-6d9f7c5b8-4kq2x",
            "15:16:30.000000",
        ),
        ("<34>Nov 23 2026 16:16:30.5 10.0.0.7 scorer:", "10.0.0.7", "16:16:30.500000"),
        ("<14>2026-11-23T16:16:30.240346+01:00 node-3 scorer[4003]:", "node-3", "15:16:30.240346"),
        ("<14>1 2026-11-23T16:16:30.240346+01:00 node-3 scorer 4003 - -", "node-3", "15:16:30.240346"),
        ('<14>1 2026-11-23T15:16:30Z node-3 scorer - - [k@1 a="]\\"" pod="p-0"]', "p-0", "15:16:30.000000"),
        ("<14>1 2026-11-23T15:16:30Z - scorer 4003 - - \ufeff", "app", "15:16:30.000000"),
        ("83 <40>1 2026-11-23T15:16:30+00:00 host app web.3 -", "web.3", "15:16:30.000000"),
        ("Nov 23 15:16:30.240346 node-3 scorer[4003]:", "node-3", "15:16:30.240346"),
        ("2026-11-23T16:16:30+0100 node-3 scorer[4003]:", "node-3", "15:16:30.000000"),
        (
            "Mon 2026-11-23 15:16:30 UTC node-3 fraud-scorer@3.service[4003]:",
            "node-3/fraud-scorer@3",
            "15:16:30.000000",
        ),
        ("Mon 2026-11-23 16:16:30 +01 node-3 scorer[4003]:", "node-3", "15:16:30.000000"),
        ("Mon 2026-11-23 16:16:30 CET node-3 scorer[4003]:", "node-3", "16:16:30.000000"),
        ("1795446990.240346 node-3 scorer[4003]:", "node-3", "15:16:30.240346"),
        ("[   12.345678] node-3 scorer[4003]:", "node-3", None),
        ("scorer-1  |", "scorer-1", None),
        ("ml_scorer_2  | 2026-11-23T15:16:30.248043060Z", "ml_scorer_2", "15:16:30.248043"),
        ("\x1b[2K\x1b[36mscorer-1  |\x1b[0m", "scorer-1", None),
        ("scorer.1.kq2x7m9zt7mh8wvntqd5c1abc@node-1    |", "scorer.1.kq2x7m9zt7mh8wvntqd5c1abc@node-1", None),
        ('\x1b[34m2026-11-23T16:16:30+01:00\x1b[0m \x1b[31m{instance="a:1", x="y"}\x1b[0m  ', "a:1", "15:16:30.000000"),
        ("2026-11-23T15:16:30Z {}", "app", "15:16:30.000000"),
        ("2026-11-23T15:16:30.240346+00:00 app[web.1]:", "web.1", "15:16:30.240346"),
        ("2026-11-23T15:16:30Z app[6e82d4a2c12345] ams [info]", "6e82d4a2c12345", "15:16:30.000000"),
        ("\x1b[33mscorer-0\x1b[0m scorer 2026-11-23T15:16:30.248043060Z", "scorer-0", "15:16:30.248043"),
    ],
)
def test_heads_of_envelopes_tell_time_and_replica(tmp_path, head, replica, time):
    (row,) = events(read_lines(tmp_path, f"{head} {LOADED}".replace("\ufeff ", "\ufeff"))).to_dicts()
    assert (row["model"], row["replica"]) == ("fraud", replica)
    assert (row["ts"] and row["ts"].strftime("%H:%M:%S.%f")) == time


@pytest.mark.parametrize(
    "line",
    [
        "Nov 23 15:16:30 INFO scorer: Loaded model fraud version v41",
        "2026-11-23T15:16:30.388Z INFO scorer: Loaded model fraud version v41",
        "2026-11-23T15:16:30+01:00  INFO 1 --- [main] c.e.Scorer : Loaded model fraud version v41",
        "2026-11-23 15:16:30,388 [4003] scorer: Loaded model fraud version v41",
        "cache | Loaded model fraud version v41",
        "MODEL=fraud VERSION=v41 loaded",
        "<info> Loaded model fraud version v41",
        "level | count | Loaded model fraud version v41",
    ],
)
def test_heads_of_loggers_are_no_envelopes(tmp_path, line):
    (found,) = read_lines(tmp_path, line).inputs
    assert found.envelope is None


def test_notices_of_tools_say_nothing(tmp_path):
    lines = [
        "-- Boot 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --",
        "-- Journal begins at Mon 2026-11-23 15:00:00 UTC, ends at Mon 2026-11-23 16:00:00 UTC. --",
        'Common labels: {job="ml/scorer"}',
    ]
    assert books(read_lines(tmp_path, *lines)) == (0, 3, 0, 0, 0)


def test_every_envelope_names_its_source_and_what_it_cannot_tell():
    for module in envelopes().values():
        assert module.SOURCE and (module.BLIND is None or module.BLIND)


def test_an_empty_line_in_an_envelope_is_quiet(tmp_path):
    lines = [cri("").rstrip(), docker_json(""), f"[pod/{POD}/x]", f"[pod/{POD}/x] {TIME}"]
    assert books(read_lines(tmp_path, *lines)) == (0, 4, 0, 0, 0)


def test_carriage_returns_behind_envelopes_are_no_part_of_the_line(tmp_path):
    first, second = cut(HIT, 30)
    lines = [cri(first, "P") + "\r", cri(second) + "\r", docker_json(HIT, end="\r\n") + "\r"]
    assert books(read_lines(tmp_path, *lines)) == (2, 0, 1, 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        "cache-lookup done model=fraud version=v41 cache=HIT",
        "cache-model done {not json",
        "2026-11-23 15:16:30,388 INFO uvicorn.error: ready",
        "www.example.com 10.0.0.1 10.2.3.4 - - [23/Nov/2026:15:13:01 +0000]",
        "scorer-0 says hello to everyone",
        "Scorer-0 scorer {}",
        "scorer-0 SCORER {}",
    ],
)
def test_words_that_only_look_like_a_pod_are_no_envelope(line):
    assert not pl.DataFrame({"text": [line]}).select(stern_envelope.claim(pl.col("text"))).item()


def test_the_envelope_in_the_books_is_the_outermost(tmp_path):
    (found,) = read_lines(tmp_path, cri(docker_json(HIT)), cri(HIT)).inputs
    assert found.envelope == "cri"
