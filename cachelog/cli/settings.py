"""Where the user says how logs of their own are to be read: --map, --config and cachelog.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cachelog.contract.config import TABLES, CheckConfig
from cachelog.contract.errors import UsageError
from cachelog.contract.wording import nearest

if TYPE_CHECKING:
    from cachelog.custom import Format
    from cachelog.pipeline import Options

_KEYS = ("format", "map", *TABLES)


Config = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="Formats of your own (default: cachelog.toml here or above; - for none)."),
]


@dataclass(frozen=True)
class Reading:
    """How lines are read that no dialect knows."""

    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=PATH",
            help="Read a field from there: version=$.mv, model=/m=([a-z]+)/, outcome:WARM=hit (repeatable).",
        ),
    ] = None
    config: Config = None

    def into(self, options: Options) -> Options:
        """Return the options with what the user said of lines; raises UsageError."""
        formats, maps = configured(self.config)
        return _with(options, (*(self.map or ()), *maps), formats)


def again(options: Options, config: Sequence[str] | None) -> Options:
    """Return options that a report remembers, with the formats they speak of, which lie here and now; as `into`."""
    formats = configured(config)[0] if options.configs else ()
    return replace(_with(options, options.maps, formats), configs=options.configs)


def _with(options: Options, maps: tuple[str, ...], formats: tuple[Format, ...]) -> Options:
    from cachelog import custom
    from cachelog.contract.own import Own

    own = custom.maps(maps)
    whole = Own(own.maps, own.words, tuple(f.declared for f in formats))
    configs = tuple(dict.fromkeys(one.source for one in formats))
    return replace(options, maps=maps, configs=configs, own=whole, formats={one.name: one.module for one in formats})


def configured(files: Sequence[str] | None) -> tuple[tuple[Format, ...], tuple[str, ...]]:
    """Return the formats of the configuration, those of nearer files first, and its maps as --map has them."""
    from cachelog import custom, rooms

    formats: tuple[Format, ...] = ()
    maps: list[str] = []
    for path, document in _documents(files):
        taken = {*rooms.built_in(), *rooms.envelopes(), custom.NAME}
        if "format" in document:
            found = custom.formats(document["format"], path, dict.fromkeys(taken))
            nearer = {one.name for one in formats}
            formats += tuple(one for one in found if one.name not in nearer)
        maps += _maps(document.get("map", {}), path)
    return formats, tuple(maps)


def checking(files: Sequence[str] | None) -> CheckConfig:
    """Return what the nearest configuration that speaks of checks says of them; raises UsageError."""
    from cachelog.contract.config import read

    told = (read(document, path) for path, document in _documents(files) if any(table in document for table in TABLES))
    return next(told, CheckConfig())


def _maps(table: object, path: str) -> list[str]:
    from cachelog import custom

    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise UsageError(f'{path}: map: give a table of texts, as in version = "$.mv"')
    for field, value in table.items():
        if ":" not in field:
            custom.place(field, value, f"{path}: map.{field}")
    return [f"{field}={value}" for field, value in table.items()]


def _documents(files: Sequence[str] | None) -> list[tuple[str, Mapping[str, object]]]:
    """Return the files of configuration and what is in them, nearest first; raises UsageError."""
    if files is not None:
        return [(path, _read(Path(path), path)) for path in files if path != "-"]
    return [(str(path), _read(path, str(path))) for path in _found() if path.is_file()]


def _found() -> list[Path]:
    """Return where configuration may be: from here up to the root of the repository, the user's, the machine's."""
    from cachelog import custom

    here = Path.cwd()
    above = [here, *here.parents]
    root = next((at for at, folder in enumerate(above) if (folder / ".git").exists()), 0)
    project = next((folder / custom.FILE for folder in above[: root + 1] if (folder / custom.FILE).is_file()), None)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config"))
    shared = [home / "cachelog" / "config.toml", Path("/etc/cachelog/config.toml")]
    return [*([project] if project else []), *shared]


def _read(path: Path, shown: str) -> Mapping[str, object]:
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {shown!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown}: no TOML: {error}") from None
    for key in document:
        if key not in _KEYS:
            raise UsageError(f"{shown}: no key {key!r}{nearest(key, _KEYS)}; there are {', '.join(_KEYS)}")
    return document
