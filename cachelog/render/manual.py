"""The manual in the program: pages of rules, and lists of names with what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from itertools import groupby

from rich.cells import cell_len

from cachelog.render.page import PLAIN, Look, Page


def render(docstring: str, look: Look = PLAIN) -> str:
    """Return the docstring of a rule as a page: its headings stand at the edge, its paragraphs fit the width."""
    page = Page(look)
    for number, lines in enumerate(_blocks(docstring)):
        if number:
            page.blank()
        for indented, block in groupby(lines, lambda line: line.startswith(" ")):
            words = " ".join(line.strip() for line in block)
            page.prose(page.safe(words), style="" if indented else "bold", first=("    ",) if indented else ())
    return page.text()


def _blocks(docstring: str) -> list[list[str]]:
    lines = cleandoc(docstring).splitlines()
    return [list(block) for blank, block in groupby(lines, lambda line: not line.strip()) if not blank]


def terms(sections: Mapping[str, Mapping[str, str]], look: Look = PLAIN, closing: str = "") -> str:
    """Return lists of names and what they mean, each under its heading (none where it is "")."""
    page = Page(look)
    for number, (heading, meanings) in enumerate(sections.items()):
        if number:
            page.blank()
        if heading:
            page.line((heading, "bold"))
        width = max(map(cell_len, meanings), default=0)
        for name, meaning in meanings.items():
            page.prose(page.safe(meaning), first=(("  " if heading else "") + name.ljust(width) + "  ",))
    if closing:
        page.blank()
        page.prose(closing)
    return page.text()
