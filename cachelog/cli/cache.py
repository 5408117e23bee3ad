"""`cachelog cache`: what is kept of the logs between runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Action(StrEnum):
    """What to do with it."""

    SHOW = "show"
    CLEAR = "clear"


def cache(
    action: Annotated[Action, typer.Argument(help="Show where it is and how big, or clear it.")] = Action.SHOW,
) -> int:
    """Show or clear what is kept of big logs, so that a second look at them takes no second reading."""
    from cachelog import pipeline

    if action is Action.CLEAR:
        print(f"freed {_size(pipeline.clear_cache())} in {pipeline.cache_folder()}")
    else:
        entries, size = pipeline.cache_size()
        print(f"{entries} {'log' if entries == 1 else 'logs'}, {_size(size)} in {pipeline.cache_folder()}")
    return 0


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
