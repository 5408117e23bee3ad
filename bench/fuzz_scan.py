"""Holds a build of the native scanner against the definition: `python -m bench.fuzz_scan LIBRARY BLOCKS SEED`.

Run by fuzz_scan.sh under sanitizers. Every block is scanned whole, cut at a line, and from a buffer that ends with it;
every second one is of envelopes.
"""

from __future__ import annotations

import importlib.util
import sys
from random import Random


def use(name: str, library: str) -> None:
    """Make the library the extension of this name that cachelog imports."""
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module


def main(library: str, blocks: int, seed: int) -> int:
    """Return how many blocks are read differently."""
    use("cachelog.ingest._scan", library)
    from tests.json_corpus import Writer, corners
    from tests.layout_corpus import Envelopes

    wrong = sum(_wrong([line]) for line in corners()) + _wrong(corners())
    for number in range(seed, seed + blocks):
        writer = Envelopes(number) if number % 2 else Writer(number)
        lines = [writer.line() for _ in range(300)]
        cut = Random(number).randrange(len(lines))
        wrong += any([_wrong(lines), _wrong(lines[:cut]), _wrong(lines[cut:])])
    print(f"{library}: {blocks} blocks of 300 lines and {len(corners())} corners, {wrong} read differently")
    return wrong


def _wrong(lines: list[bytes]) -> bool:
    from cachelog.ingest import json_scan
    from tests.layout_corpus import LAYOUTS
    from tests.scanning import defined, differences

    block = b"".join(line + b"\n" for line in lines)
    found = differences(json_scan._scan_native(block), defined(block))
    for bodies in (False, True):
        found += differences(json_scan._scan_native(block, LAYOUTS, bodies), defined(block, LAYOUTS, bodies))
    for difference in found:
        print(difference, *(lines if len(lines) == 1 else ()))
    return bool(found)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
