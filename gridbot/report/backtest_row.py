"""What a backtest's file says of its run: the one row of its table `backtests`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.report.facts import Table

__all__ = ["Backtest", "backtest_from", "tried_beside"]

_WHOM: Final = re.compile(r"(?:\d{4}-\d\d-\d\d \d\d:\d\d )?([^: ]+): ", re.ASCII).match
"""Of a warning: what it is about, after the time at which an operator would have been told."""

NOT_TRADING: Final = frozenset({"storage", "supervisor", "web"})
"""Sections of a configuration that change nothing in a backtest."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """`config` (by account), `options` and `market` are JSON objects as the run wrote them. Times are ms UTC."""

    name: str
    from_ms: int | None
    to_ms: int | None
    finished: bool
    config: Mapping[str, Any]
    options: Mapping[str, Any]
    market: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def matching(self) -> str:
        """When a resting order fills: queue, touch or through; empty when the row does not say."""
        found = self.options.get("matching", "")
        return found if isinstance(found, str) else ""

    def config_of(self, account: str) -> str:
        """Configuration of an account as JSON, secrets removed; empty when the row has none."""
        found = self.config.get(account)
        return orjson.dumps(found).decode() if isinstance(found, dict) else ""

    def about(self, account: str) -> Backtest:
        """The same run without the warnings that are about the markets and the strategies of other accounts alone."""
        mine = _names(account, self.config)
        others = {name for each in self.config for name in _names(each, self.config)} - mine
        return replace(self, warnings=tuple(each for each in self.warnings if _whom(each) not in others))


def _names(account: str, config: Mapping[str, Any]) -> set[str]:
    """What a warning that is about an account may begin with: its name, or a strategy or a market of it."""
    found = config.get(account)
    strategies = found.get("strategies") if isinstance(found, dict) else None
    rows = [row for row in strategies if isinstance(row, dict)] if isinstance(strategies, list) else []
    return {account, *(str(row.get(key)) for row in rows for key in ("strat_id", "symbol"))}


def _whom(warning: str) -> str:
    found = _WHOM(warning)
    return found[1] if found else ""


def tried_beside(run: Backtest, others: Iterable[Backtest], account: str) -> int:
    """How many other runs of an account cover some of the same days with other settings of what trades: what a choice
    may have been made of. A run that says nothing of the account is none.
    """
    mine = _trading(run, account)
    beside = (other for other in others if other.name != run.name and account in other.config and _overlap(run, other))
    return sum(1 for other in beside if _trading(other, account) != mine)


def _trading(run: Backtest, account: str) -> Any:
    found = run.config.get(account)
    return {key: found[key] for key in found.keys() - NOT_TRADING} if isinstance(found, dict) else found


def _overlap(one: Backtest, other: Backtest) -> bool:
    if one.from_ms is None or one.to_ms is None or other.from_ms is None or other.to_ms is None:
        return False
    return one.from_ms < other.to_ms and other.from_ms < one.to_ms


def backtest_from(table: Table) -> Backtest | None:
    """The row of the table; None when it has none."""
    if not table.rows:
        return None
    row = dict(zip(table.columns, table.rows[0], strict=True))
    warnings = _json(row.get("warnings"))
    return Backtest(
        name=str(row.get("name", "")),
        from_ms=_ms(row.get("from_ts")),
        to_ms=_ms(row.get("to_ts")),
        finished=row.get("finished") is True,
        config=_object(row.get("config")),
        options=_object(row.get("options")),
        market=_object(row.get("market")),
        warnings=tuple(str(word) for word in warnings) if isinstance(warnings, list) else (),
    )


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except JsonMistake:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    found = _json(value)
    return found if isinstance(found, dict) else {}


def _ms(value: Any) -> int | None:
    if isinstance(value, datetime):
        return int(value.replace(tzinfo=UTC).timestamp() * 1000)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
