"""Archives: members read like files, hostile ones refused by name, and the rest still read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import pytest
import zstandard

from cachelog import rooms
from cachelog.contract.limits import DEFAULT
from cachelog.ingest import archives, unpack
from cachelog.ingest.cite import cite
from cachelog.ingest.discover import Source, discover
from cachelog.ingest.lines import ReadLog, units
from cachelog.ingest.stage import Asked, stage
from tests.reading import events, read

UID = "4353b830-0000-4000-8000-000000000000"
TIME = 1_795_446_990


def line(i, model="m"):
    fields = {"ts": f"2026-11-20T12:00:{i:02d}Z", "event": "cache_lookup", "result": "hit", "model": model}
    return json.dumps(fields | {"version": "1"}) + "\n"


BODY = "".join(line(i) for i in range(20)).encode()
NEXT = 512 + -(-len(BODY) // 512) * 512  # where in a tar the header after a first member of this body stands


def tar_of(*members):
    """Write a tar of (name, bytes) and of ready TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            body = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size, info.mtime = len(body), TIME
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def zip_of(*members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, body in members:
            archive.writestr(name, body)
    return out.getvalue()


def special(name, kind, to=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def told(staged):
    return [(i.path, i.lines, i.note) for i in staged.inputs]


def notes(staged):
    return {i.path.partition("!")[2]: i.note for i in staged.inputs if i.note}


def same_but_for_the_place(a, b):
    return events(a).drop("source", "replica").equals(events(b).drop("source", "replica"))


PACKS = {
    "a.tar": bytes, "a.tgz": gzip.compress, "a.tar.gz": gzip.compress, "a.tar.bz2": bz2.compress,
    "a.txz": lzma.compress, "a.tar.zst": zstandard.compress,
}  # fmt: skip


@pytest.mark.parametrize("name", [*PACKS, "a.zip", "b.zip", "c.zip"])
def test_members_of_every_kind_of_archive_read_like_files(tmp_path, name):
    files = [("pod/0.log", BODY), ("./pod/1.log.gz", gzip.compress(BODY)), ("z.bz2", bz2.compress(BODY)), ("e", b"")]
    methods = {"b.zip": zipfile.ZIP_STORED, "c.zip": zipfile.ZIP_LZMA}
    packed = PACKS[name](tar_of(*files)) if name in PACKS else zip_of(*files, method=methods.get(name, 8))
    (tmp_path / name).write_bytes(packed)
    plain = tmp_path / "plain.log"
    plain.write_bytes(BODY * 3)
    staged = read(tmp_path / name)
    here = str(tmp_path / name)
    names = ["pod/0.log", "pod/1.log.gz", "z.bz2", "e"]
    assert told(staged) == [(f"{here}!{n}", 0 if n == "e" else 20, None) for n in names]
    alone = events(read(plain)).drop("source", "line", "replica")
    assert events(staged).drop("source", "line", "replica").equals(alone)


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
@pytest.mark.parametrize("cut", [False, True])
def test_bz2_and_xz_read_like_plain_and_say_when_they_are_cut(tmp_path, pack, cut):
    body = b"".join(b"line %d\n" % i for i in range(200_000))
    packed = pack(body[:1000]) + b"\0\0\0\0" + pack(body[1000:])
    (tmp_path / "a.log").write_bytes(packed[:-100] if cut else packed)
    log = ReadLog()
    data = b"".join(bytes(u.data) for u in units([Source(str(tmp_path / "a.log"))], log))
    assert log.notes == ({0: "ended early: the compressed file is cut short"} if cut else {})
    assert data == body or (cut and body.startswith(data.rstrip(b"\n")))
    if not cut:
        assert cite(Source(str(tmp_path / "a.log")), [1, 150_000], marks=log.marks[0])[150_000] == "line 149999"


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_damage_in_a_packed_file_is_a_note(tmp_path, pack):
    packed = bytearray(pack(BODY * 50))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "a.log").write_bytes(packed)
    (found,) = read(tmp_path).inputs
    assert found.note.startswith("ended early: ")


def test_text_that_begins_like_bz2_is_text():
    assert not unpack.packed(b"BZh9 is what bzip2 writes")
    assert unpack.packed(bz2.compress(b"")) and unpack.packed(bz2.compress(b"x")) and unpack.packed(lzma.compress(b""))


def test_a_line_of_a_member_is_cited_by_its_address(tmp_path):
    for pack in (bytes, gzip.compress):
        (tmp_path / "a.tar").write_bytes(pack(tar_of(("x.log", b"no\n" * 9), ("pod/0.log", BODY))))
        path = f"{tmp_path}/a.tar!pod/0.log"
        assert cite(Source(path), [17]) == {17: line(16).strip()}
        staged = read(tmp_path)
        index = [s.path for s in staged.sources].index(path)
        assert cite(staged.sources[index], [17], marks=staged.read.marks[index]) == {17: line(16).strip()}


def test_findings_cite_members_and_show_reads_them(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    run = [sys.executable, "-m", "cachelog"]
    env = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    subprocess.run([*run, "demo", str(tmp_path / "demo")], check=True, capture_output=True, env=env)
    with tarfile.open(folder / "logs.tgz", "w:gz") as tar:
        tar.add(tmp_path / "demo", "logs")
    made = subprocess.run([*run, "analyze", str(folder), "--format", "json"], capture_output=True, env=env, check=True)
    report = json.loads(made.stdout)
    cited = report["findings"][0]["evidence"][0]
    assert "logs.tgz!logs/" in cited["path"] and cited["text"]
    shown = subprocess.run([*run, "show", "F1"], capture_output=True, env=env, check=True, text=True).stdout
    assert cited["text"][:30] in shown


def test_the_pod_is_named_by_the_path_inside_the_archive(tmp_path):
    body = "2026-11-23T15:16:30.248043060Z stdout F " + line(1)
    (tmp_path / "node_logs.tgz").write_bytes(
        gzip.compress(
            tar_of(
                (f"ml_scorer-7_{UID}/server/0.log", body.encode()),
                ("edge-a/access.log", BODY),
                ("edge-b/access.log", BODY),
            )
        )
    )
    assert sorted(events(read(tmp_path))["replica"].unique()) == ["edge-a", "edge-b", "scorer-7"]


def test_an_archive_in_an_archive_is_opened_once(tmp_path):
    inner = gzip.compress(tar_of(("pod/0.log", BODY), ("deep.zip", zip_of(("x.log", BODY)))))
    for name, pack in (("a.zip", zip_of), ("b.tgz", lambda *m: gzip.compress(tar_of(*m)))):
        path = tmp_path / name
        path.write_bytes(pack(("in!ner.tgz", inner), ("z.log", BODY)))
        staged = read(path)
        deep = "not read: an archive in an archive in an archive"
        assert told(staged) == [
            (f"{path}!in!ner.tgz!pod/0.log", 20, None),
            (f"{path}!in!ner.tgz!deep.zip", 0, deep),
            (f"{path}!z.log", 20, None),
        ]
        assert cite(staged.sources[0], [3]) == {3: line(2).strip()}


def test_a_file_named_like_an_archive_that_is_none_is_a_file(tmp_path):
    (tmp_path / "a.tgz").write_bytes(gzip.compress(BODY))
    (tmp_path / "b.tar").write_bytes(BODY)
    (tmp_path / "c!d.log").write_bytes(BODY)
    assert [(i.path[len(str(tmp_path)) + 1 :], i.lines) for i in read(tmp_path).inputs] == [
        ("a.tgz", 20), ("b.tar", 20), ("c!d.log", 20)
    ]  # fmt: skip


def test_the_same_archive_named_twice_counts_once(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_of(("x.log", BODY)))
    os.link(tmp_path / "a.tar", tmp_path / "b.tar")
    assert len(discover([str(tmp_path), str(tmp_path / "a.tar")])) == 1


def test_a_packed_tar_is_unpacked_once_for_its_list_and_once_for_its_members(tmp_path, monkeypatch):
    (tmp_path / "a.tgz").write_bytes(gzip.compress(tar_of(*((f"{i % 7}/{i}.log", BODY * 20) for i in range(50)))))
    begun = []
    start = archives._gunzip
    monkeypatch.setattr(archives, "_gunzip", lambda raw: begun.append(1) or start(raw))
    assert len(read(tmp_path).inputs) == 50
    assert len(begun) == 2


HOSTILE = {
    "../../etc/cron.d/x": "not read: its name leads outside the archive",
    "/etc/passwd": "not read: its name leads outside the archive",
    "a/../../b.log": "not read: its name leads outside the archive",
    "link.log": "not read: a link; links in archives are not followed",
    "hard.log": "not read: a link; links in archives are not followed",
    "null": "not read: a device or a pipe, no file",
    "fifo": "not read: a device or a pipe, no file",
}


def hostile_tar():
    return tar_of(
        ("first.log", BODY), ("../../etc/cron.d/x", BODY), ("/etc/passwd", BODY), ("a/../../b.log", BODY),
        special("link.log", tarfile.SYMTYPE, "/etc/passwd"), special("hard.log", tarfile.LNKTYPE, "first.log"),
        special("null", tarfile.CHRTYPE), special("fifo", tarfile.FIFOTYPE), special("folder", tarfile.DIRTYPE),
        ("last.log", BODY),
    )  # fmt: skip


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_hostile_tar_is_refused_by_name_and_the_rest_is_read(tmp_path, pack):
    (tmp_path / "a.tar").write_bytes(pack(hostile_tar()))
    staged = read(tmp_path)
    assert notes(staged) == HOSTILE
    assert [(i.path.partition("!")[2], i.lines) for i in staged.inputs if not i.note] == [
        ("first.log", 20), ("last.log", 20)
    ]  # fmt: skip
    assert os.listdir(tmp_path) == ["a.tar"]


def test_a_hostile_zip_is_refused_by_name_and_the_rest_is_read(tmp_path):
    names = ["first.log", "../x.log", "/abs.log", "C:\\x.log", "..\\y.log", "secret.log", "odd.log", "link", "last.log"]
    packed = bytearray(zip_of(*((name, BODY) for name in names)))
    at = [m for m in range(len(packed)) if packed[m : m + 4] == b"PK\x01\x02"]
    packed[at[5] + 8] |= 1  # encrypted
    packed[at[6] + 10] = 99  # AES
    packed[at[7] + 38 : at[7] + 42] = (0o120777 << 16).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(packed)
    staged = read(tmp_path)
    outside = "not read: its name leads outside the archive"
    assert notes(staged) == {
        "../x.log": outside, "/abs.log": outside, "C:\\x.log": outside, "..\\y.log": outside,
        "secret.log": "not read: encrypted", "odd.log": "not read: compressed by a method that is not understood",
        "link": HOSTILE["link.log"],
    }  # fmt: skip
    assert [i.path.partition("!")[2] for i in staged.inputs if i.lines] == ["first.log", "last.log"]


def test_lying_sizes_are_said(tmp_path):
    packed = bytearray(zip_of(("short.log", BODY), ("last.log", BODY)))
    at = packed.index(b"PK\x01\x02")
    packed[at + 24 : at + 28] = (100).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(packed)
    head = tarfile.TarInfo.frombuf(bytes(tar_of(("b.log", BODY))[:512]), "utf-8", "strict")
    head.size = 8 << 30
    (tmp_path / "b.tar").write_bytes(tar_of(("a.log", BODY))[:NEXT] + head.tobuf() + BODY)
    staged = read(tmp_path)
    by_name = {i.path[len(str(tmp_path)) + 1 :]: (i.lines, i.note or "") for i in staged.inputs}
    assert by_name["a.zip!last.log"] == (20, "")
    assert "ended early: Bad CRC-32" in by_name["a.zip!short.log"][1]
    assert by_name["b.tar!a.log"] == (20, "")
    assert by_name["b.tar!b.log"] == (20, "ended early: the archive ends inside this member")
    assert by_name["b.tar"] == (0, "not read to the end: unexpected end of data")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_damaged_archive_gives_what_comes_before(tmp_path, pack):
    whole = tar_of(("a.log", BODY), ("b.log", os.urandom(50_000)), ("c.log", BODY))
    packed = pack(whole)
    (tmp_path / "a.tar").write_bytes(packed[: len(packed) // 2])
    staged = read(tmp_path)
    found = {i.path.partition("!")[2]: i for i in staged.inputs}
    assert found[""].note.startswith("not read")
    if pack is not bz2.compress:  # one block holds it all
        assert found["a.log"].lines == 20 and found["b.log"].note
    garbage = bytearray(whole)
    garbage[NEXT : NEXT + 512] = b"x" * 512
    (tmp_path / "a.tar").write_bytes(pack(bytes(garbage)))
    found = {i.path.partition("!")[2]: (i.lines, i.note) for i in read(tmp_path).inputs}
    assert found == {"a.log": (20, None), "": (0, "not read to the end: the archive is damaged in its middle")}


def test_a_zip_without_its_end_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of(("a.log", BODY))[:-30])
    (tmp_path / "b.log").write_bytes(BODY)
    assert told(read(tmp_path))[0][2] == "not read: the zip is damaged: File is not a zip file"


SMALL = replace(DEFAULT, unpacked_bytes=1 << 20, unpacked_ratio=100)


def read_with(path, limits):
    return stage([str(path)], rooms.dialects(), rooms.envelopes(), Asked(limits=limits))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_bombs_end_where_they_grow_beyond_all_measure(tmp_path, pack):
    bomb = pack((b"0" * 1023 + b"\n") * (32 << 10))
    (tmp_path / "plain.log").write_bytes(bomb)
    (tmp_path / "in.tar").write_bytes(tar_of(("a.log", BODY), ("bomb", bomb)))
    (tmp_path / "in.zip").write_bytes(zip_of(("a.log", BODY), ("bomb", bomb)))
    staged = read_with(tmp_path, SMALL)
    by_name = {i.path[len(str(tmp_path)) + 1 :]: i for i in staged.inputs}
    for name in ("plain.log", "in.tar!bomb", "in.zip!bomb"):
        assert by_name[name].note == f"ended early: {archives.GROWN}", name
        assert by_name[name].bytes < 16 << 20
    assert by_name["in.tar!a.log"].lines == by_name["in.zip!a.log"].lines == 20


def test_a_packed_tar_that_is_a_bomb_ends_in_its_list(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "DEFAULT", SMALL)
    (tmp_path / "a.tgz").write_bytes(gzip.compress(tar_of(("a.log", BODY), ("z", bytes(64 << 20)), ("b.log", BODY))))
    found = archives.members(str(tmp_path / "a.tgz"), SMALL)
    assert [(m.path.partition("!")[2], m.note) for m in found] == [
        ("a.log", None), ("z", None), ("", f"not read to the end: {archives.GROWN}")
    ]  # fmt: skip


def test_zip_members_that_overlap_are_refused(tmp_path):
    packed = bytearray(zip_of(("a.log", os.urandom(3000)), ("b.log", BODY)))
    first = packed.index(b"PK\x01\x02")
    packed[first + 20 : first + 24] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(packed)
    assert told(read(tmp_path))[0][2] == "not read: its members overlap, as only those of bombs do"


def test_a_header_that_claims_to_be_huge_is_not_read_into_memory(tmp_path):
    info = special("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 7 << 30
    (tmp_path / "a.tar").write_bytes(tar_of(("a.log", BODY))[:NEXT] + info.tobuf() + bytes(4096))
    found = {i.path.partition("!")[2]: i.note for i in read(tmp_path).inputs}
    assert found == {"a.log": None, "": "not read to the end: a header of the archive has a size that no header has"}


def test_too_many_members_are_said(tmp_path):
    for name, pack in (("a.tar", tar_of), ("a.zip", zip_of)):
        (tmp_path / name).write_bytes(pack(*((f"{i}.log", BODY) for i in range(9))))
        found = archives.members(str(tmp_path / name), replace(DEFAULT, members=5))
        assert "more than 5 members" in found[-1].note


def test_a_name_that_occurs_twice_is_said(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_of(("a.log", b"old\n"), ("b.log", BODY), ("a.log", BODY)))
    assert [t[1:] for t in told(read(tmp_path))] == [
        (20, None), (20, None), (0, "of 1 names that occur more than once only the last is read")
    ]  # fmt: skip


def test_an_inner_archive_that_is_too_big_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_of(("in.tar", tar_of(("x.log", BODY * 100))), ("b.log", BODY)))
    found = archives.members(str(tmp_path / "a.tar"), replace(DEFAULT, inner_bytes=1 << 12))
    assert [m.note for m in found] == ["not read: an archive in an archive, of more than 0 MiB", None]
