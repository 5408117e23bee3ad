"""A page of text for a terminal or a pipe: lines that fit its width, with the signs and colours it can show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO

from rich.cells import cell_len, chop_cells
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from cachelog.contract.finding import Finding, Severity
from cachelog.render.text import log_line, printable

Part = str | tuple[str, str]  # text, or text with a Rich style

_WORDY = 1_200  # characters of a title, a summary or a name
_LONG = 4_000  # characters of a log line; the middle of longer ones is never looked at
MEASURE = 110  # cells of a line of prose at most: longer ones are hard to read on

_NARROWEST = 40  # cells: below that nothing is readable, and lines may run over
_LEAST = 8  # cells of a line beside its indent
_SIGNS = {
    "arrow": ("→", "->"),
    "bar": ("┃", "|"),
    "gap": ("…", "..."),
    "effect": ("└", "`-"),
    "from": ("←", "<-"),
    "item": ("•", "-"),
}
_SEVERITY_SIGNS = {
    Severity.CRITICAL: ("■", "!!"),
    Severity.HIGH: ("▲", "!"),
    Severity.MEDIUM: ("◆", "*"),
    Severity.LOW: ("○", "-"),
    Severity.INFO: ("·", "."),
}
SEVERITY_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
_LEVELS = ("▁▂▃▄▅▆▇█", "_.-:=+*#")
_FLAT = 0.05  # share; a miss rate that stays below is drawn low, not as mountains of noise
#: A number keeps its unit beside it.
_BREAK = re.compile(r"(?<=\D) +| +(?!(?:%|pp|ms|s|min|h|UTC|kB|MB|GB)(?:\W|$))")


@dataclass(frozen=True)
class Look:
    """What the reader's screen can show: its width in cells, colours, nothing but ASCII, bars beside cards."""

    width: int = 100
    colour: bool = False
    ascii_only: bool = False
    bars: bool = False


PLAIN = Look()


@dataclass
class Page:
    """Lines under construction. All text passes `safe` or `raw`, nothing is read as Rich markup."""

    look: Look
    _lines: list[Text] = field(default_factory=list)
    _prefix: tuple[Part, ...] = ()

    @property
    def width(self) -> int:
        """Return the cells that a line may take here."""
        return max(self.look.width, _NARROWEST) - sum(cell_len(_plain(part)) for part in self._prefix)

    def sign(self, name: str) -> str:
        """Return a sign by its name, in ASCII where nothing else is shown."""
        return _SIGNS[name][self.look.ascii_only]

    def severity(self, level: Severity) -> str:
        """Return the sign of a severity: it must be told without colours too."""
        return _SEVERITY_SIGNS[level][self.look.ascii_only]

    def safe(self, text: str) -> str:
        """Return text that a log may have put words into, safe to print and of a bearable length."""
        if len(text) > _WORDY:
            text = text[: _WORDY // 2] + self.sign("gap") + text[-_WORDY // 2 :]
        return printable(text, ascii_only=self.look.ascii_only)

    def raw(self, text: str) -> str:
        """Return a line of a log, safe to print."""
        return log_line(text, ascii_only=self.look.ascii_only)

    def names(self, names: Sequence[str], most: int = 5, cells: int = 48) -> str:
        """Return the first names of a list, each safe and not too long, and how many more there are."""
        shown = [self.fit(self.safe(name), cells) for name in names[:most]]
        more = f" and {len(names) - most:,} more" if len(names) > most else ""
        return ", ".join(shown) + more

    def fit(self, text: str, cells: int, tail: float = 0.5) -> str:
        """Return text with its middle left out when it takes more than `cells`, `tail` of which are for its end."""
        if cell_len(text) <= cells:
            return text
        gap = self.sign("gap")
        end = int((cells - len(gap)) * tail)
        return _first(text, cells - len(gap) - end) + gap + _last(text, end)

    def blank(self) -> None:
        """Add an empty line."""
        self.line()

    def line(self, *parts: Part) -> None:
        """Add one line as it is; the caller sees that it fits."""
        line = Text()
        for part in (*self._prefix, *parts):
            text, style = part if isinstance(part, tuple) else (part, "")
            line.append(text, style or None)
        line.rstrip()
        self._lines.append(line)

    def prose(self, text: str, *, style: str = "", first: Sequence[Part] = (), indent: int | None = None) -> None:
        """Add a wrapped paragraph that begins after `first`; the lines after it begin at `indent` cells."""
        start = sum(cell_len(_plain(part)) for part in first)
        hang = start if indent is None else indent
        room = min(self.width, MEASURE)
        lines = wrapped(text, room - start, room - hang)
        for number, line in enumerate(lines):
            self.line(*(first if number == 0 else (" " * hang,)), (line, style))

    def fact(self, label: str, text: str, *, indent: int = 10) -> None:
        """Add a labelled paragraph; an empty one is left out."""
        if text:
            self.prose(text, first=((label.ljust(indent), "dim"),))

    def headline(self, finding: Finding) -> None:
        """Add severity, id and title of a finding."""
        word = f"{self.severity(finding.severity)} {finding.severity.name}"
        first: tuple[Part, ...] = ((word, SEVERITY_STYLES[finding.severity]), f"  {self.safe(finding.id)}  ")
        self.prose(self.safe(finding.title), style="bold", first=first, indent=2)

    def heading(self, text: str) -> None:
        """Add a blank line and a heading."""
        self.blank()
        self.line((text, "bold"))

    @contextmanager
    def barred(self, style: str) -> Iterator[None]:
        """Put a coloured bar beside the lines added meanwhile, where bars are shown; else two blanks."""
        before = self._prefix
        bar = (self.sign("bar"), style.replace("bold ", "")) if self.look.bars else ("", "")
        self._prefix = (*before, bar, " ") if self.look.bars else before
        yield
        self._prefix = before

    def table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[Part]],
        *,
        right: Sequence[str] = (),
        fold: Sequence[str] = (),
    ) -> None:
        """Add a table without rules; columns named in `right` stand to the right, those in `fold` give way to fit."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
        for head in heads:
            side: JustifyMethod = "right" if head in right else "left"
            table.add_column(Text(head), justify=side, overflow="fold", no_wrap=head not in fold, min_width=len(head))
        for row in rows:
            table.add_row(*(Text(*part) if isinstance(part, tuple) else Text(part) for part in row))
        console = Console(file=StringIO(), width=self.width, color_system="standard", markup=False, emoji=False)
        for segments in console.render_lines(table, pad=False):
            self.line(*((segment.text, str(segment.style or "")) for segment in segments))

    def quote(self, text: str, *, first: str, lines: int, style: str = "dim") -> None:
        """Add a raw line of a log, filled to the edge; what is beyond `lines` lines is left out in its middle."""
        room = max(self.width - cell_len(first), _LEAST)
        whole = text if len(text) <= _LONG else text[: _LONG // 2] + text[-_LONG // 2 :]
        shown = self.fit(self.raw(whole), room * lines - 1, tail=0.6)
        for number, piece in enumerate(chop_cells(shown, room)[:lines] or [""]):
            self.line(first if number == 0 else " " * cell_len(first), (piece, style))

    def spark(self, trend: Sequence[float | None], cells: int) -> str:
        """Return rates over time as one character a step, from 0 to their maximum; a blank where nothing was asked."""
        levels = _LEVELS[self.look.ascii_only]
        steps = _merged(trend, cells)
        top = max([_FLAT, *(value for value in steps if value is not None)])
        return "".join(" " if v is None else levels[min(int(v / top * len(levels)), len(levels) - 1)] for v in steps)

    def text(self) -> str:
        """Return the page, each line ended by a newline."""
        out = StringIO()
        console = Console(
            file=out, width=10**6, color_system="standard" if self.look.colour else None, highlight=False,
            force_terminal=self.look.colour, no_color=not self.look.colour, markup=False, emoji=False,
            legacy_windows=False,
        )  # fmt: skip
        for line in self._lines:
            console.print(line, soft_wrap=True)
        return out.getvalue()


def wrapped(text: str, first: int, rest: int) -> list[str]:
    """Return `text` in lines of at most `first`, then `rest` cells; words longer than a line are cut."""
    lines: list[str] = []
    line, room = "", max(first, _LEAST)
    for word in _BREAK.split(text):
        if cell_len(joined := f"{line} {word}" if line else word) <= room:
            line = joined
            continue
        if line:
            lines.append(line)
            room = max(rest, _LEAST)
        line = word
        while cell_len(line) > room:
            lines.append(piece := chop_cells(line, room)[0])
            line, room = line[len(piece) :], max(rest, _LEAST)
    return [*lines, line]


def _plain(part: Part) -> str:
    return part if isinstance(part, str) else part[0]


def _first(text: str, cells: int) -> str:
    return chop_cells(text, cells)[0] if cells > 0 else ""


def _last(text: str, cells: int) -> str:
    return _first(text[::-1], cells)[::-1]


def _merged(trend: Sequence[float | None], cells: int) -> list[float | None]:
    """Average neighbours so that at most `cells` steps are left."""
    step = -(-len(trend) // max(cells, 1)) or 1
    groups = ([v for v in trend[at : at + step] if v is not None] for at in range(0, len(trend), step))
    return [sum(group) / len(group) if group else None for group in groups]
