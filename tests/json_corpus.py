"""JSON lines that engines could read differently: made of what is rare, and mutated."""

from __future__ import annotations

import json
from random import Random

from cachelog.contract.jsonlines import DEPTH, FIELDS

ALIASES = sorted({alias for names in FIELDS.values() for alias in names})
HEADS = sorted({alias.split(".")[0] for alias in ALIASES if "." in alias})
COMMON = ("ts", "event", "msg", "pod", "model", "version", "cache", "key", "latency_ms")
TIMES = (
    "2026-11-20T12:00:00Z", "2026-11-20T12:00:00.123456Z", "2026-11-20 12:00:00,123", "2026/11/20 12:00:00.5z",
    "2026-11-20T12:00:00.123456789+05:30", "2026-11-20T12:00:00-0800", "2026-11-20T12:00:00 +0100",
    "2026-02-29T00:00:00Z", "2024-02-29T23:59:59Z", "2026-13-01T00:00:00Z", "2026-11-20T24:00:00Z", "1969-12-31T23:59:59.999Z",
    "2026-11-20T12:00:60Z", "2026-11-20T12:00:00.1234567891Z", "2026-11-20T12:00:00.Z", "2026-11-20T12:00:00+24:00",
    "2026-11-20T12:00:00+05:60", "2026-11-20T12:00", " 2026-11-20T12:00:00Z ", "0000-01-01T00:00:00Z",
    "1763640000", "1763640000.057085", "1763640000057", "1763640000057.25", "1763640000057085", "1763640000057085123",
    "17636400000570851234", "176364000", "17636400", "1763640000.", "1763640000.1234567891", "Nov  3 15:13:01",
    "20/Nov/2026:12:00:00 +0130", "1120 12:00:00.250369", "yesterday", "", "2026-11-20T12:00:00Zx",
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "42", "1.10", "1.0", "-0.0", "1e3", "1E+2", "2.5e-3", "1e400", "-1e400", "1e-400", "0e5", "1e22", "1e23",
    "12345678901234567890", "123456789012345678901234567890123456789012", "0.1", "123456789.123456789", "5e-324",
    "1.7976931348623157e308", "9007199254740993", "3.141592653589793238", "1763640000.0570852", "1763640000.1234569999",
    "1763640000057.50", "1763640000", "-1763640000", "1.7636400e9", "100000000000000000000000.5", "0.0000001", "1e-7",
)  # fmt: skip
BAD_NUMBERS = (
    "00",
    "01",
    "-",
    "+1",
    "1.",
    ".5",
    "1e",
    "1e+",
    "1.2.3",
    "0x1",
    "NaN",
    "Infinity",
    "-Infinity",
    "1_0",
    "--1",
)
TEXTS = (
    "", "a", "hit", "MISS", "fraud", "v41", "42", "1.10", "-0", "1e3", "null", "true", "modèle", "名前", "😀", "a b", "\u2028", "\x7f", "\x00",
    "\t", "\n", '"', "\\", "{", "{}", "[x]", '{"a":1}', "[INFO] started", "cache hit for k", "x" * 15, "y" * 16, "z" * 17, "w" * 70,
    "\ufeff", "12.5ms", "250µs", " 7 ", "1e5", "inf", "nan", ".5", "+5", "GET /v1/models/m:predict HTTP/1.1", '":', '\\u0041',
)  # fmt: skip
ESCAPED = (
    r"\ud800",
    r"\udc00\ud800",
    r"\ud83d\ude00",
    r"\u0000",
    r"\u00e9",
    r"\/",
    r"\b\f\n\r\t",
    r"\u007bx}",
    r"\uD83Dx",
    r"\\u0041",
)
BAD_ESCAPES = (r"\q", r"\u12", r"\u12g4", r"\U0041", r"\x41", "\\", "\t", "\x01", "\x1f")


class Writer:
    """Writes random objects; one that is made from the same seed writes the same.

    Half of the writers are sober: they know few keys, leave no gaps, and escape only what must be.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.sober = seed % 2 == 0
        self.known = self.random.sample(ALIASES, 6) + self.random.sample(HEADS, 2)

    def line(self) -> bytes:
        """Return a line, mostly valid."""
        r = self.random.random()
        if r < 0.03:
            return self.random.choice(
                [b"", b"  ", b"\r", b"plain text", b"[1,2]", b"42", b'"x"', b"\xff{", b"\xef\xbb\xbf{}", b"{}", b"{ }"]
            )
        if r < 0.5:
            return self.plain()
        made = self.object(0).encode("utf-8")
        made = (
            self.random.choice([b"", b"", b"", b" ", b"\t"])
            + made
            + self.random.choice([b"", b"", b"", b" ", b"\r", b" \r"])
        )
        return self.mutated(made) if self.random.random() < (0.02 if self.sober else 0.25) else made

    def plain(self) -> bytes:
        """Return a line as applications write it."""
        r = self.random
        made = {
            "ts": r.choice(TIMES[:7]), "level": "info", "pod": f"p{r.randrange(5)}", "event": r.choice(["cache_lookup", "model_load", "http"]),
            "model": r.choice(["fraud", "rank"]), "version": r.choice(["41", "42", 42]), "cache": r.choice(["hit", "miss"]),
            "key": f"k{r.randrange(50)}", "latency_ms": round(r.random() * 20, 3), "msg": "handled request",
        }  # fmt: skip
        return json.dumps(made, separators=r.choice([(",", ":"), (", ", ": ")])).encode()

    def object(self, depth: int) -> str:
        """Return an object with keys that fields ask for, and some that none does."""
        pairs = [
            f"{self.key(depth)}{self.gap()}:{self.gap()}{self.value(depth)}" for _ in range(self.random.randrange(7))
        ]
        return "{" + self.gap() + f"{self.gap()},{self.gap()}".join(pairs) + self.gap() + "}"

    def gap(self) -> str:
        """Return white space, mostly none."""
        return "" if self.sober else self.random.choice(["", "", "", "", "", " ", "\t", " \r"])

    def key(self, depth: int) -> str:
        """Return a key."""
        r = self.random
        last = [alias.split(".")[-1] for alias in ALIASES if "." in alias]
        if self.sober and not depth:
            return self.string(r.choice(self.known))
        name = r.choice(
            [
                r.choice(COMMON),
                r.choice(ALIASES),
                r.choice(HEADS),
                r.choice(last),
                r.choice(["x", "é", "", "a b", "tags"]),
            ]
        )
        if depth and r.random() < 0.5:
            name = r.choice(last)
        return self.string(name)

    def string(self, text: str) -> str:
        """Return a JSON string, sometimes with needless escapes."""
        if text and not self.sober and self.random.random() < 0.1:
            at = self.random.randrange(len(text))
            escaped = "".join(f"\\u{unit:04x}" for unit in _units(text[at]))
            return json.dumps(text[:at])[:-1] + escaped + json.dumps(text[at + 1 :])[1:]
        return json.dumps(text, ensure_ascii=not self.sober and self.random.random() < 0.3)

    def value(self, depth: int) -> str:
        """Return any value."""
        r = self.random
        kind = r.random()
        if kind < 0.35:
            return self.string(r.choice(r.choice([TEXTS, TIMES])))
        if kind < 0.6:
            return r.choice(NUMBERS)
        if kind < 0.75 and depth < 5:
            return self.object(depth + 1)
        if kind < 0.78:  # an array of one string
            one = self.string(r.choice(r.choice([TEXTS, TIMES]))) if r.random() < 0.8 else f'"{r.choice(ESCAPED)}"'
            return f"[{self.gap()}{one}{self.gap()}]"
        if kind < 0.83 and depth < 5:
            return "[" + ",".join(self.value(depth + 1) for _ in range(r.randrange(4))) + "]"
        if kind < 0.92 and not (self.sober and self.random.random() < 0.9):
            return '"' + r.choice(["", "a"]) + r.choice(ESCAPED) + r.choice(["", "b"]) + '"'
        return r.choice(["true", "false", "null", '"plain"', '"other"'])

    def mutated(self, line: bytes) -> bytes:
        """Return the line with one thing wrong, or nothing by luck."""
        r = self.random
        at = r.randrange(len(line) + 1)
        how = r.randrange(6)
        if how == 0:
            return line[:at]
        if how == 1:
            return line[:at] + line[at + 1 :]
        if how == 2:
            return line[:at] + bytes([r.choice(b'{}[],:"\\ 0-.eEtfn\x00\x01\x0b\x0c\x7f\x80\xc0\xed\xff')]) + line[at:]
        if how == 3:
            return (
                line[:at]
                + r.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe2\x82"])
                + line[at:]
            )
        if how == 4:
            wrong = r.choice([*BAD_NUMBERS, "nul", "True", "nulll", "{,}", "[1,]", '{"a":}', '{"a" 1}', "[}", ""])
            return line.rstrip(b" \t\r")[:-1] + f',"x":{wrong}}}'.encode()
        return line.rstrip(b" \t\r")[:-1] + b',"msg":"a' + r.choice(BAD_ESCAPES).encode() + b'b"}'


def _units(char: str) -> list[int]:
    raw = char.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


def nested(depth: int, inner: str = "1") -> bytes:
    """Return lines' deepest kinds: brackets of both kinds around a value; the line is `depth` + 1 deep."""
    opening = ["[" if i % 2 else '{"a":' for i in range(depth)]
    closing = ["]" if i % 2 else "}" for i in reversed(range(depth))]
    return f'{{"x":{"".join(opening)}{inner}{"".join(closing)}}}'.encode()


def corners() -> list[bytes]:
    """Return lines at the limits, each the only one of its kind."""
    deep = [nested(d) for d in (DEPTH - 2, DEPTH - 1, DEPTH, 4 * DEPTH, 100_000)]
    sibling = (
        '{"a":' + "[" * (DEPTH - 2) + "]" * (DEPTH - 2) + ',"b":' + "[" * (DEPTH - 2) + "]" * (DEPTH - 2) + "}"
    ).encode()
    open_ = [b'{"a":' * 5000, b"{" * 3000, b'{"a":' + b"[" * 200_000]
    pairs = [f'{{"{a}":"x","{a}":"y"}}'.encode() for a in ("model", "ts", "labels")]
    objects = [b'{"model":{"name":"m"}}', b'{"model":{"name":{"x":1}},"model_name":"n"}', b'{"model":null,"servable":"s"}',
               b'{"k8s":{"pod":{"name":"a","name":"b"}}}', b'{"k8s":{"pod.name":"no"}}', b'{"k8s.pod.name":"yes","host":"h"}',
               b'{"labels":{"model":"m","version":1.10}}', b'{"labels":"{\\"model\\":\\"m\\"}"}', b'{"model":[1,2],"predictor":"p"}',
               b'{"message":{"event":"cache_hit"}}', b'{"message":"[x]","tags":[1]}', b'{"message":"{x}","tags":{"a":"{"}}',
               b'{"kubernetes":{"pod":{"name":"in"},"pod_name":"out"}}', b'{"kubernetes":{"x":1},"kubernetes":{"pod_name":"2nd"}}']  # fmt: skip
    single = [b'{"model":["m"],"version":[ "\\u0034" ]}', b'{"model":["a","b"],"servable":"s"}', b'{"model":[["m"]],"servable":["s"]}',
              b'{"resp_headers":{"X-Cache":["HIT"],"Cache-Status":["A; hit, B; fwd=miss"]}}', b'{"ts":["2026-11-20T12:00:00Z"],"ms":["1.5"]}',
              b'{"message":["[x]"],"labels":["[\\"m\\"]"]}', b'{"events":["x"],"model":"[\\"m\\"]"}', b'{"model":["m"],"model":"n","version":[1]}',
              b'{"model":["\\ud800"]}', b'{"model":["m" ,null]}', b'{"model":["m"}', b'{"labels":{"model":["m"]},"fields":[{"model":"x"}]}']  # fmt: skip
    numbers = [
        f'{{"version":{n},"ts":{n},"latency_ms":{n},"duration":{n},"n":{n},"key":{n},"pod":{n}}}'.encode()
        for n in NUMBERS
    ]
    texts = [
        f'{{"version":{t},"ts":{t},"latency_ms":{t},"latency":{t},"n":{t},"key":{t},"pod":{t}}}'.encode()
        for t in map(json.dumps, TEXTS)
    ]
    bad = [f'{{"version":{n}}}'.encode() for n in BAD_NUMBERS] + [f'{{"version":"{e}"}}'.encode() for e in BAD_ESCAPES]
    return [*deep, sibling, *open_, *pairs, *objects, *single, *numbers, *texts, *bad]
