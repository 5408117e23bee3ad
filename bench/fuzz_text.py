"""Holds a build of the native readers of text against the dialects: `python -m bench.fuzz_text LIBRARY BLOCKS SEED`.

Run by fuzz_scan.sh under sanitizers. Every block is read whole, and with bytes put in anywhere.
"""

from __future__ import annotations

import sys
from random import Random
from types import ModuleType

from bench.fuzz_scan import use

_PUT = ("=", '"', "'", "\\", " ", "\t", ",", ")", "[", "] ", "/", "-", ":", "HIT", "0", "\u00e9", "?", ".")


def main(library: str, blocks: int, seed: int) -> int:
    """Return how many blocks are read differently."""
    use("cachelog.ingest._text", library)
    from tests.text_corpus import Writer
    from tests.text_reading import DIALECTS, WRITERS

    wrong = 0
    for number in range(seed, seed + blocks):
        writer, random = Writer(number), Random(number)
        for name, dialect in DIALECTS.items():
            lines = [WRITERS[name](writer) for _ in range(300)]
            wrong += _wrong(dialect, lines) + _wrong(dialect, [_damaged(line, random) for line in lines])
        _sort(random)
    print(f"{library}: {blocks} times 600 lines of each dialect, {wrong} blocks read differently")
    return wrong


def _wrong(dialect: ModuleType, lines: list[str]) -> bool:
    from tests.text_reading import check

    try:
        check(dialect, lines)
    except AssertionError as difference:
        print(difference)
        return True
    return False


def _damaged(line: str, random: Random) -> str:
    at, put = random.randrange(len(line) + 1), random.choice(_PUT)
    return line[:at] + put + line[at + random.choice((0, len(put))) :]


def _sort(random: Random) -> None:
    """Sort bytes of any kind, in a buffer that ends with them."""
    from cachelog import rooms
    from cachelog.ingest import sorting

    data = bytes(random.choices(b"\n\n \t\r\x00\x1b\xef\xbb\xbf\xc3\xa9{=I1a-[]:.T\xff", k=random.randrange(400)))
    found = sorting.Sorter(rooms.dialects(), rooms.envelopes()).block(data, None)
    for dialect in rooms.dialects().values():
        if dialect.NAME != "json_app" and hasattr(dialect, "claim"):  # others are of objects alone
            found.quiet(dialect)
            found.scanned(dialect)
            found.asked(dialect)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
