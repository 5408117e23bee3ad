"""Lines of JSON envelopes that engines could read differently: laid out as declared, with rare values, and mutated."""

from __future__ import annotations

from cachelog import rooms
from cachelog.contract.layout import Layout, Place
from cachelog.ingest.claim import Layouts
from tests.json_corpus import NUMBERS, TEXTS, TIMES, Writer

LAYOUTS = Layouts.of(rooms.envelopes(), rooms.dialects()).layouts


class Envelopes(Writer):
    """Writes lines as some layout has them; one that is made from the same seed writes the same."""

    def line(self) -> bytes:
        """Return a line, mostly an envelope."""
        if self.random.random() < 0.2:
            return super().line()
        made = self.laid_out(self.random.choice(LAYOUTS)).encode("utf-8")
        return self.mutated(made) if self.random.random() < 0.15 else made

    def laid_out(self, layout: Layout) -> str:
        """Return a line in a layout, each of whose parts may be missing or wrong."""
        tree: dict[str, object] = {}
        levels = [tree]
        for array in layout.arrays:
            levels.append({})
            _put(levels[-2], array or "\0", levels[-1])
        roles = (layout.time, layout.replica, layout.stream, layout.unless, *layout.tells)
        for paths in roles:
            for place in layout.places(paths):
                if self.random.random() < (0.02 if paths is layout.unless else 0.6):
                    self.put(levels, place, self.scalar())
        for place in [place for parts in layout.payloads for place in parts]:
            if self.random.random() < 0.7:
                self.put(levels, place, self.payload(layout))
        return self.level(tree, layout, 0)

    def put(self, levels: list[dict[str, object]], place: Place, value: str) -> None:
        """Put a value at a place, with the key's dots or without."""
        key, at = place.key or "\0self", levels[place.level]
        if place.pair:
            kept = at.setdefault(key, {})
            if isinstance(kept, dict):
                kept[place.pair] = value
        elif self.random.random() < 0.5:
            _put(at, key, value)
        else:
            at.setdefault(key, value)

    def level(self, tree: dict[str, object], layout: Layout, level: int) -> str:
        """Return an element, with as many of the next level's as comes."""
        arrays = layout.arrays
        if level == len(arrays) and "\0self" in tree:
            return self.whole(tree["\0self"])
        if level == len(arrays) and layout.of_arrays:
            return "[" + ",".join(self.member(tree.get(str(i), "1")) for i in range(3)) + "]"
        if level < len(arrays) and not arrays[level]:
            return self.elements(tree, layout, level)
        members = []
        for key, value in self.random.sample(list(tree.items()), len(tree)):
            inner = self.nested(key, value, layout, level, arrays[level] if level < len(arrays) else "")
            members.append(f"{self.string(key)}:{inner}")
        if self.random.random() < 0.2:
            members.insert(self.random.randrange(len(members) + 1), f"{self.key(0)}:{self.value(2)}")
        return "{" + ",".join(members) + "}"

    def nested(self, key: str, value: object, layout: Layout, level: int, array: str) -> str:
        """Return what is at a key on the way to an array, or anywhere else."""
        if array and key == array:
            return self.elements({array: value}, layout, level)
        if isinstance(value, dict) and array.startswith(f"{key}."):
            rest = array[len(key) + 1 :]
            return "{" + ",".join(f'"{k}":{self.nested(k, v, layout, level, rest)}' for k, v in value.items()) + "}"
        return self.member(value)

    def elements(self, tree: dict[str, object], layout: Layout, level: int) -> str:
        """Return an array of elements, now and then with something else."""
        below = next(iter(tree.values()))
        assert isinstance(below, dict)
        made = [self.level(below, layout, level + 1) for _ in range(self.random.choice([0, 1, 1, 2, 3]))]
        if self.random.random() < 0.1:
            made.insert(0, self.value(3))
        return "[" + self.gap() + ",".join(made) + "]"

    def member(self, value: object) -> str:
        """Return a value that was put, an object, or a list of pairs for a dict of names."""
        if not isinstance(value, dict):
            return str(value)
        if self.random.random() < 0.7:
            name = self.random.choice(["key", "field"])
            pairs = [f'{{"{name}":{self.string(k)},"value":{self.wrapped(v)}}}' for k, v in value.items()]
            if self.random.random() < 0.3:
                pairs = [self.string(f"{k}:{self.random.choice(TEXTS)}") for k in value]
            return "[" + ",".join([*pairs, *self.random.choice([[], [], ["1"], ['{"key":1}']])]) + "]"
        return "{" + ",".join(f"{self.string(k)}:{self.member(v)}" for k, v in value.items()) + "}"

    def whole(self, value: object) -> str:
        """Return an element that counts as a whole."""
        return self.member(value) if isinstance(value, dict) else self.object(1)

    def wrapped(self, value: object) -> str:
        """Return a value, perhaps as an AnyValue."""
        said = self.member(value)
        names = ["stringValue", "intValue", "doubleValue", "boolValue", "kvlistValue", "arrayValue"]
        return f'{{"{self.random.choice(names)}":{said}}}' if self.random.random() < 0.7 else said

    def scalar(self) -> str:
        """Return a value as times and names are written."""
        r = self.random
        return r.choice([self.string(r.choice(TIMES)), r.choice(NUMBERS), self.string(r.choice(TEXTS)), self.value(3)])

    def payload(self, layout: Layout) -> str:
        """Return what may hold a line."""
        r = self.random
        texts = [
            *TEXTS,
            "a\n",
            "a\nb\n",
            "\n",
            "INFO x",
            "a model=m",
            "xmodel=m",
            " 12",
            "a=b",
            "A1 b",
            "A1b ",
            self.object(2),
        ]
        made = r.choice(
            [self.string(r.choice(texts)), self.string(r.choice(texts)), self.object(2), self.value(2), self.bytes()]
        )
        return self.wrapped(made) if layout.typed and r.random() < 0.7 else made

    def bytes(self) -> str:
        """Return a text as an array of its bytes, mostly."""
        r = self.random
        raw = r.choice([b"INFO x", "é".encode(), b"\xff", b"\x1b[1mx", b"a\n", b""])
        more: list[float] = r.choice([[], [], [], [256], [-1], [1.5]])
        return str([*raw, *more])


def _put(tree: dict[str, object], path: str, value: object) -> None:
    *heads, last = path.split(".") if path.strip("\0") else [path]
    for head in heads:
        inner = tree.setdefault(head, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(last, value)
