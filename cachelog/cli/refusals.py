"""What the parser of the command line refuses, in one sentence of ours: the option, the value, and the choices."""

from __future__ import annotations

import re

from cachelog.contract.wording import nearest

_VALUE = re.compile(r"Invalid value for '?([^':]+)'?: (?:Value error, )?(.*)", re.DOTALL)
_CHOICE = re.compile(r"'(.*)' is not one of (.+)", re.DOTALL)
_BOUND = re.compile(r"Input should be (greater|less) than or equal to (\S+)")
_NUMBERS = {"valid integer": "a whole number", "valid number": "a number"}


def plainly(message: str) -> str:
    """Return what a parser says, without the words of its libraries."""
    found = _VALUE.fullmatch(message)
    if found is None:
        return message
    option, why = found[1].split(" / ")[-1], found[2]
    if choice := _CHOICE.fullmatch(why):
        return _chosen(option, choice[1], re.findall(r"'([^']*)'", choice[2]))
    if bound := _BOUND.match(why):
        return f"{option} takes {bound[2]} or {'more' if bound[1] == 'greater' else 'less'}"
    number = next((said for says, said in _NUMBERS.items() if says in why), None)
    return f"{option} takes {number}" if number else f"{option}: {why}"


def _chosen(option: str, value: str, choices: list[str]) -> str:
    return f"{option} {value!r} is none of its choices{nearest(value, choices)}: {', '.join(choices)}"
