"""What a team writes into cachelog.toml for `cachelog check`: margins, models with margins of their own, suppressions.

    [check]                        # each has an option of the same name
    max-increase-abs = 0.02        # points of the miss rate: 0.02 is 2
    max-increase-rel = 0.25        # of the rate before
    max-miss-rate = 0.4
    [check.models."ranker*"]       # the first pattern that fits a model's name counts
    max-increase-abs = 0.05
    judge = false                  # its miss rate is not judged

    [[suppress]]                   # a finding that is known, by fingerprint or by rule and model
    rule = "version-skew"
    model = "ranker*"
    reason = "A/B test until the end of the month"
    until = 2026-11-30             # from the day after on it counts again

Only these tables are read here; others belong to others.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from cachelog.contract.errors import UsageError
from cachelog.contract.finding import Finding
from cachelog.contract.wording import nearest


@dataclass(frozen=True, slots=True)
class Margins:
    """How much worse a miss rate may be; the greater of the two increases is allowed."""

    absolute: float = 0.02  # difference of the rates
    relative: float = 0.25  # of the rate before
    most: float | None = None  # the highest rate allowed, whatever it was before
    judge: bool = True


@dataclass(frozen=True, slots=True)
class Suppression:
    """A known finding that is not to fail a check until a day."""

    reason: str
    until: date  # the last day on which it holds
    fingerprint: str | None = None
    rule: str = "*"
    model: str = "*"

    def fits(self, finding: Finding) -> bool:
        """Return whether it is this finding that is meant."""
        if self.fingerprint is not None:
            return finding.fingerprint == self.fingerprint
        return fnmatch.fnmatchcase(finding.rule, self.rule) and fnmatch.fnmatchcase(finding.model or "", self.model)


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """The tables of cachelog.toml that `cachelog check` reads."""

    margins: Mapping[str, float] = field(default_factory=dict)  # fields of Margins that [check] sets
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # pattern -> fields of Margins
    suppressions: tuple[Suppression, ...] = ()

    def of(self, model: str, asked: Mapping[str, float]) -> Margins:
        """Return the margins of a model: its own before those asked for on the command line, before [check]."""
        own = next((m for pattern, m in self.models.items() if fnmatch.fnmatchcase(model, pattern)), {})
        return replace(Margins(), **{**self.margins, **asked, **own})


_SHARES = {"max-increase-abs": "absolute", "max-increase-rel": "relative", "max-miss-rate": "most"}
#: The tables that are read here.
TABLES = ("check", "suppress")
_SUPPRESS = ("fingerprint", "rule", "model", "reason", "until")


def read(tables: Mapping[str, Any], path: str) -> CheckConfig:
    """Return what the tables of a cachelog.toml say; raises UsageError on what they cannot mean."""
    check = _table(tables.get("check", {}), f"{path}: [check]")
    models = _table(check.get("models", {}), f"{path}: [check.models]")
    suppressed = tables.get("suppress", [])
    if not isinstance(suppressed, list):
        raise UsageError(f"{path}: suppressions are tables of their own; write [[suppress]]")
    own = {name: (_table(set_, path), f"{path}: [check.models.{name}]") for name, set_ in models.items()}
    return CheckConfig(
        _margins({k: v for k, v in check.items() if k != "models"}, f"{path}: [check]", ()),
        {name: _margins(set_, where, ("judge",)) for name, (set_, where) in own.items()},
        tuple(_suppression(_table(one, path), f"{path}: [[suppress]] {at}") for at, one in enumerate(suppressed, 1)),
    )


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is no table")
    return value


def _known(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            raise UsageError(f"{where} has no {key!r}{nearest(key, known)}; it has {', '.join(known)}")


def _margins(given: Mapping[str, Any], where: str, more: tuple[str, ...]) -> Mapping[str, Any]:
    _known(given, (*_SHARES, *more), where)
    for key, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key == "judge" and not isinstance(value, bool):
            raise UsageError(f"{where}: judge is true or false")
        if key in _SHARES and not (number and 0 <= value <= (1 if key != "max-increase-rel" else 1e6)):
            raise UsageError(f"{where}: {key} = {value!r} is no share; 0.02 is two points of a hundred")
    return {_SHARES.get(key, key): value for key, value in given.items()}


def _suppression(given: Mapping[str, Any], where: str) -> Suppression:
    _known(given, _SUPPRESS, where)
    reason, until = given.get("reason"), given.get("until")
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"{where} has no reason; say why the finding is no failure")
    if not any(isinstance(given.get(key), str) for key in ("fingerprint", "rule", "model")):
        raise UsageError(f"{where} names no fingerprint, rule or model")
    names = {key: str(given[key]) for key in ("fingerprint", "rule", "model") if key in given}
    return Suppression(reason=reason.strip(), until=_day(until, where), **names)


def _day(value: object, where: str) -> date:
    """TOML knows dates; a text is taken as well."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise UsageError(f"{where} has no day on which it ends; write until = 2026-11-30") from None
