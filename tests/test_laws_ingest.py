"""Laws of reading: every line is accounted for, claims are exclusive, envelopes and the order of work change nothing."""

from __future__ import annotations

import gzip
import itertools
import random
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachelog import rooms
from cachelog.contract import jsonlines, opening
from cachelog.contract.limits import DEFAULT
from cachelog.ingest import stage as staging
from cachelog.ingest.claim import Layouts
from tests.reading import events, read, read_apart, read_lines
from tests.wrapping import NODE_TOOLS, TIME, WRAPPERS, cri, docker_json

DIALECTS, ENVELOPES = rooms.dialects(), rooms.envelopes()
SAMPLES = [(name, sample) for name, module in DIALECTS.items() for sample in module.SAMPLES]
WRAPPED = [(name, sample) for name, module in ENVELOPES.items() for sample in module.SAMPLES]
#: What envelopes may change: where the event stands, and when, where the line itself does not say.
LOCUS = ("source", "line", "replica", "ts")

JUNK = [b"", b"   ", b"\xff\xfe", b"{", b'{"a":', b"free words", b"\x00" * 9, b"\x1b[31m", b"Caused by: x", b"[pod/"]


LAYOUTS = Layouts.of(ENVELOPES, DIALECTS)


def claims(modules, sample):
    """Return who claims a line; what is an object of a dialect's is no line of JSON of an application."""
    line = pl.DataFrame({"text": [sample]})
    opened = opening.opened(jsonlines.decode_any(sample), LAYOUTS.layouts)
    codes = LAYOUTS.codes if modules is ENVELOPES else LAYOUTS.dialects
    if opened is not None and opened.layout >= 0 and codes[opened.layout] >= 0:
        return {list(modules)[codes[opened.layout]]}
    return {n for n, m in modules.items() if hasattr(m, "claim") and line.select(m.claim(pl.col("text"))).item()}


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_a_line_of_a_dialect_is_claimed_by_this_dialect_alone(name, sample):
    assert claims(DIALECTS, sample) == {name}


@pytest.mark.parametrize("name", sorted(n for n, m in {**DIALECTS, **ENVELOPES}.items() if hasattr(m, "SHAPE")))
def test_what_is_claimed_has_the_shape(name):
    module = {**DIALECTS, **ENVELOPES}[name]
    everybody = [s for m in {**DIALECTS, **ENVELOPES}.values() for s in m.SAMPLES]
    lines = pl.DataFrame({"text": [line.rstrip() for line in everybody]})
    claimed = lines.filter(module.claim(pl.col("text")).fill_null(False))
    assert claimed.height
    assert claimed["text"].str.contains(f"^(?:{module.SHAPE.removeprefix('^')})").all()


@pytest.mark.parametrize(("name", "sample"), [(n, s) for n, s in SAMPLES if hasattr(DIALECTS[n], "HINTS")])
def test_a_line_of_a_dialect_has_one_of_its_hints(name, sample):
    assert any(hint in sample for hint in DIALECTS[name].HINTS)


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_no_envelope_claims_a_bare_line(name, sample):
    assert claims(ENVELOPES, sample) == set()


@pytest.mark.parametrize(("name", "sample"), WRAPPED)
def test_a_line_of_an_envelope_is_claimed_by_this_envelope_alone(name, sample):
    assert claims(ENVELOPES, sample) == {name}


#: Dialects of which a line says something only beside others of its own: figures become lookups by their times.
TOGETHER = ("llamacpp", "lmcache", "ollama", "prometheus", "redis", "sglang", "text_kv", "tgi", "vllm")


def told(staged):
    return events(staged).drop(LOCUS)


def combinations(outer):
    inner = [(), *((name,) for name in WRAPPERS if name != outer)]
    deep = itertools.permutations([n for n in NODE_TOOLS if n != outer], 2) if outer in NODE_TOOLS else ()
    return [(outer, *names) for names in (*inner, *deep)]


def wrapped_in(names, lines):
    for name in reversed(names):
        lines = [WRAPPERS[name](line) for line in lines]
    return lines


@pytest.mark.parametrize("outer", WRAPPERS)
def test_envelopes_change_nothing_but_locus_and_clock(tmp_path, outer):
    """All samples at once, a file for each combination; lines that have a whole time of their own keep it."""
    lines = [sample for name, sample in SAMPLES if name not in TOGETHER]
    bare = read_lines(tmp_path, *lines, name="bare.log")
    timed = [i for i, line in enumerate(lines, 1) if "2026-1" in line[:60] or "2021" in line[:40]]
    folder = tmp_path / "wrapped"
    folder.mkdir()
    for names in (found := combinations(outer)):
        body = "".join(f"{line}\n" for line in wrapped_in(names, lines))
        (folder / f"{'+'.join(names)}.log").write_text(body)
    inside = read_apart(folder)
    assert len(inside.inputs) == len(found)
    for source, books in enumerate(inside.inputs):
        mine = events(inside).filter(pl.col("source") == source)
        assert mine.drop(LOCUS).equals(told(bare)), books.path
        assert mine["line"].to_list() == events(bare)["line"].to_list(), books.path
        assert books.envelope.split("+")[0] == outer
        same = [found.filter(pl.col("line").is_in(timed))["ts"].to_list() for found in (events(bare), mine)]
        assert same[0] == same[1], books.path


def test_the_time_of_the_envelope_stands_in_for_one_that_is_missing_or_has_no_year(tmp_path):
    loaded = "Loaded model fraud version v41"
    triton = "I1123 15:09:57.932261 1 model_lifecycle.cc:839] \"successfully loaded 'fraud'\""
    naive = "2026-11-23 15:16:29,500 INFO scorer: Loaded model fraud version v41"
    found = events(read_lines(tmp_path, cri(loaded), cri(triton), cri(naive)))["ts"].dt.to_string("%T%.6f").to_list()
    assert found == [TIME[11:26], TIME[11:26], "15:16:29.500000"]


LINE = st.one_of(
    st.sampled_from([sample.encode() for _, sample in SAMPLES + WRAPPED]),
    st.sampled_from(JUNK),
    st.binary(max_size=60).filter(lambda b: b"\n" not in b),
    st.tuples(st.sampled_from([s for _, s in SAMPLES]), st.sampled_from(sorted(WRAPPERS))).map(
        lambda pair: WRAPPERS[pair[1]](pair[0]).encode()
    ),
    st.tuples(st.sampled_from([s for _, s in SAMPLES]), st.integers(0, 40)).map(
        lambda p: cri(p[0][: p[1]], "P").encode()
    ),
    st.tuples(st.sampled_from([s for _, s in SAMPLES]), st.integers(0, 40)).map(
        lambda p: docker_json(p[0][: p[1]], end="").encode()
    ),
)
FILES = st.lists(st.lists(LINE, max_size=12), min_size=1, max_size=4)


@given(FILES, st.sampled_from([16 << 20, 100]))
@settings(max_examples=20, deadline=None)
def test_every_line_of_every_input_is_accounted_for(tmp_path_factory, files, block):
    folder = tmp_path_factory.mktemp("books")
    bodies = [b"\n".join([b"no compressed file begins like this", *lines]) for lines in files]
    for i, body in enumerate(bodies):
        (folder / f"{i}.log").write_bytes(gzip.compress(body) if i == 1 else body)
    staged = staged_with(folder, block=block)
    for books, body in zip(staged.inputs, bodies, strict=True):
        assert books.lines == body.count(b"\n") + (not body.endswith(b"\n"))
        assert books.lines == books.events + books.quiet + books.joined + books.unclaimed + books.bad


def staged_with(folder, block=DEFAULT.block_bytes):
    limits = replace(DEFAULT, block_bytes=block)
    return staging.stage([str(folder)], DIALECTS, ENVELOPES, staging.Asked(limits=limits))


def mixed_folder(folder, seed, share=1.0):
    """Files of one dialect, mixed ones and wrapped ones, with lines cut into pieces across whatever a unit may be."""
    rng = random.Random(seed)
    for name in sorted(DIALECTS):
        lines = [rng.choice(DIALECTS[name].SAMPLES) for _ in range(max(2, int(20 * share)))]
        (folder / f"{name}.log").write_text("".join(f"{line}\n" for line in lines))
    everything = [sample for _, sample in SAMPLES] * 2
    rng.shuffle(everything)
    everything = everything[: int(len(everything) * share)]
    (folder / "mixed.log").write_text("".join(f"{line}\n" for line in everything))
    pieces = []
    for line in everything:
        cuts = sorted(rng.sample(range(len(line)), rng.randrange(3)))
        parts = [line[i:j] for i, j in itertools.pairwise([0, *cuts, len(line)])]
        other = [cri("an error", stream="stderr")] if rng.random() < 0.3 else []
        pieces += [cri(part, "P") for part in parts[:-1]] + other + [cri(parts[-1])]
    (folder / "pieces.log").write_text("".join(f"{line}\n" for line in pieces))
    return folder


def everything_told(staged):
    by_path = {s.path: i for i, s in enumerate(staged.sources)}
    paths = pl.DataFrame({"source": list(by_path.values()), "path": list(by_path)}).cast({"source": pl.UInt32})
    found = events(staged).join(paths, on="source").drop("source")
    order = ["path", "line", "model", "version", "op", "outcome", "reason", "key"]
    return found.sort(order), sorted(staged.inputs, key=lambda i: i.path)


@pytest.mark.parametrize("block", [1, 997, 5000])
def test_where_units_are_cut_does_not_matter(tmp_path, block):
    folder = mixed_folder(
        tmp_path, 1, 0.1 if block == 1 else 0.35
    )  # a unit takes as long for one line as for a hundred
    whole, cut = (everything_told(staged_with(folder, b)) for b in (DEFAULT.block_bytes, block))
    assert cut[0].equals(whole[0])
    assert cut[1] == whole[1]


@pytest.mark.parametrize("threads", [1, 7])
def test_the_number_of_threads_does_not_matter(tmp_path, threads, monkeypatch):
    folder = mixed_folder(tmp_path, 2, 0.2)
    whole = everything_told(staged_with(folder, 3000))
    monkeypatch.setattr(staging, "_THREADS", threads)
    again = everything_told(staged_with(folder, 3000))
    assert again[0].equals(whole[0])
    assert again[1] == whole[1]


def test_the_order_of_files_does_not_matter(tmp_path):
    files = sorted(map(str, mixed_folder(tmp_path, 3).iterdir()))
    whole = everything_told(read(tmp_path))
    for seed in range(3):
        shuffled = random.Random(seed).sample(files, len(files))
        again = everything_told(staging.stage(shuffled, DIALECTS, ENVELOPES))
        assert again[0].equals(whole[0])
        assert again[1] == whole[1]
