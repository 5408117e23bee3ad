"""What is read of each envelope: its own samples, and lines of applications in it, counted once (tests/golden).

`python -m tests.test_envelope_goldens` writes the golden anew.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from cachelog import rooms
from tests.reading import events, read_apart
from tests.wrapping import WRAPPERS
from tests.wrapping_json import JSON_WRAPPERS

GOLDEN = Path(__file__).parent / "golden" / "envelopes.json"
LINES = (
    '{"event":"cache_lookup","result":"hit","model":"fraud","version":"41","key":"a"}',
    "predict model=fraud version=v41 key=f3 cache=MISS 7.39ms",
    "Loaded model fraud version v41 from s3://models/fraud/v41 in 120.8 ms",
    'I1123 15:09:56.579892 10645 model_lifecycle.cc:472] "loading: fraud:41"',
    "2026/11/23 15:13:00 [notice] 14562#14562: start worker process 14564",
)
WAYS = {name: [way] for name, way in WRAPPERS.items()} | JSON_WRAPPERS


def counted(folder: Path) -> dict[str, list]:
    """Return, by file, the envelope, lines, events, quiet, joined, unclaimed and bad lines, replicas, and the ops."""
    for name, module in rooms.envelopes().items():
        (folder / f"{name}-samples").write_text("".join(f"{sample}\n" for sample in module.SAMPLES))
        for number, way in enumerate(WAYS.get(name, ())):
            (folder / f"{name}-{number}").write_text("".join(f"{way(line)}\n" for line in LINES))
    staged = read_apart(folder)
    found = events(staged)
    told = {}
    for source, books in enumerate(staged.inputs):
        mine = found.filter(found["source"] == source)
        states = [books.lines, books.events, books.quiet, books.joined, books.unclaimed, books.bad]
        replicas = sorted({name for name in mine["replica"].to_list() if name and "samples" not in name})
        told[Path(books.path).name] = [books.envelope, *states, replicas, mine.sort("line")["op"].to_list()]
    return told


def test_envelopes_hold_what_they_held(tmp_path):
    found = counted(tmp_path)
    assert found == json.loads(GOLDEN.read_text())
    assert {name.partition("-")[0] for name in found} == set(rooms.envelopes())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        lines = ",\n".join(
            f" {json.dumps(name)}: {json.dumps(told)}" for name, told in sorted(counted(Path(place)).items())
        )
        GOLDEN.write_text("{\n" + lines + "\n}\n")
