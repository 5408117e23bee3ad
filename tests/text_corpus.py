"""Lines of text at the edges of what the native readers read: pairs in every spelling, and access logs with every tail."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cachelog.contract import pairs
from cachelog.dialects import nginx

_KEYS = (*sorted(pairs.ALL.keys), "k", "a.b", "x-y", "@timestamp", "$v", "_", "dur", "request_id")
_LIKELY = (
    "ts",
    "time",
    "level",
    "msg",
    "message",
    "model",
    "version",
    "cache",
    "key",
    "latency_ms",
    "hit",
    "cached",
    "pod",
    "seconds",
)
_BARE = (
    "a", "v41", "hit", "MISS", "2026-11-23T15:16:31.532789Z", "2026-11-23 15:16:31", "1764000000.25", "12.5ms", "0.022", "-0", "1e400", "inf",
    "nan", "007", "a,", "a;", "f(x)", "(a)", "a)", "[b]", "{c},", "<d>;", "))", ",", "é", "a\"b", "it's", "a=b", "=", "C:\\x", "-", "23/Nov/2026:15:13:01",
    "120", "4294967296", "true", "1", "a/b", "\u2028", "x" * 40,
)  # fmt: skip
_INNER = (
    "", "a b", "cache miss", 'say \\"hi\\"', "a\\\\", "\\\\\\\"", "tab\\tnew\\nline", "\\u00e9", "\\x41", "c:\\path", "it's", "model=x version=1", "a,",
    "[a]", " a ", "23/Nov/2026:15:13:01 +0000", "0.101, 0.020", "é", "-",
)  # fmt: skip
_WORDS = (
    "hit",
    "cached",
    "word",
    "cache.hit",
    "a-b",
    "loaded",
    "0.5",
    "(x",
    "it's",
    "|",
    "é",
    "x:",
    "[y]",
    '"open',
    "hit,",
    "fromCache",
    "->",
    "a=",
    "=b",
)


class Writer:
    """Lines by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def line(self) -> str:
        """Return a line of pairs, or something like it."""
        pick, regular = self.random, self.random.random() < 0.6
        tokens = [
            self._pair(regular) if pick.random() < 0.8 else self._word(regular) for _ in range(pick.randrange(1, 9))
        ]
        gaps = (" ",) if regular else (" ", "  ", "\t", " \t ")
        made = "".join(token + pick.choice(gaps) for token in tokens).rstrip(" \t")
        lead = pick.random()
        return ("" if regular or lead < 0.9 else pick.choice((" ", "\t", "("))) + made

    def _pair(self, regular: bool) -> str:
        key = self.random.choice(_LIKELY if self.random.random() < 0.7 else _KEYS)
        return ("" if regular or self.random.random() < 0.95 else "(") + f"{key}={self._value(regular)}"

    def _value(self, regular: bool) -> str:
        kind = self.random.random()
        close = self.random.choice(("", "", "", ",", ");", "]}>"))
        if kind < 0.5:
            return self.random.choice(_BARE) + ("" if regular else close)
        if kind < 0.85:
            return f'"{self.random.choice(_INNER)}"{close}'
        if kind < 0.95:
            return f"'{self.random.choice(_INNER).replace(chr(39), '')}'{close}"
        return "" if regular else self.random.choice(("", '"open', "'open", '"a"b'))

    def _word(self, regular: bool) -> str:
        return self.random.choice(_WORDS[:6] if regular else _WORDS)

    def access(self) -> str:
        """Return a line of an access log, or something like it."""
        pick = self._mostly_first if self.random.random() < 0.7 else self.random.choice
        before = pick(
            (
                "10.0.0.1 - - ",
                "10.0.0.1 - HIT ",
                "::1 - bob ",
                "a b c d e f ",
                "a b c d e f g ",
                "a  b ",
                "h ",
                "MISS - - ",
                " x ",
            )
        )
        zone = pick(("+0000", "-0730", "+9999"))
        days = ("23/Nov/2026", "31/Feb/2026", "23/nov/2026", "01/Jan/1970", "23/Nov/0000", "29/Feb/2024", "23/Foo/2026")
        time = pick(
            (
                *(f"{pick(days)}:15:13:{pick(('01', '60', '59'))} {zone}" for _ in range(4)),
                "2026-11-23T15:13:01+00:00",
                "23/Nov/2026",
            )
        )
        path = pick(
            (
                "/v1/models/fraud:predict?key=f0",
                "/models/r/1/a?version=2&x=1",
                "/",
                "/é",
                "/models/a b",
                "/x?model=q",
                "http://h/x",
                "",
                "/a\\x22",
            )
        )
        method = pick(("GET", "GET", "POST", "HEAD", "get", ""))
        agent = pick(('"curl/7.88.1"', '"a \\"b\\" c"', '"-"', '""', '"HIT"', '"x] \\"GET http://y"', '"open'))
        middle = pick(('200 77 "-" ', '200 77 "-" ', '304 - "-" ', '200 77 "-"  ', "200 "))
        request = pick((f'"{method} {path} HTTP/1.1" ', f'"{method} {path} HTTP/1.1" ', f'"{method}{path}" ', '"-" '))
        return f"{before}[{time}] {request}{middle}{agent}{self._tail()}"

    def _mostly_first(self, choices: Sequence[str]) -> str:
        return choices[0] if self.random.random() < 0.9 else self.random.choice(choices)

    def _tail(self) -> str:
        return "".join(f" {self._end()}" for _ in range(self.random.randrange(0, 5)))

    def _end(self) -> str:
        pick = self.random.choice
        names = [name for names in nginx.FIELDS.values() for name in names]
        value = pick(
            (
                "-",
                "MISS",
                "HIT",
                "0.022",
                "0.101, 0.020 : 0.3",
                "",
                "/models/a/versions/3/p?x=1",
                "r?model=z",
                "a b",
                "x 0.123 y",
                "v1",
                "00.1",
                "7",
                " ",
            )
        )
        pair = f'{pick(names)}="{value}"' if self.random.random() < 0.5 else f"{pick(names)}={value.replace(' ', '')}"
        bare = (
            "HIT",
            "[MISS]",
            '"STALE"',
            '"1.2.3.4"',
            '"-"',
            '"Mozilla/5.0 (X11)"',
            "0.022",
            "1.5",
            "rt",
            "XHIT",
            "HIT,",
            '"a"b',
            "x=HIT",
            'y="MISS"',
            "\\",
            '""',
            "'q'",
        )
        return pair if self.random.random() < 0.6 else pick(bare)
