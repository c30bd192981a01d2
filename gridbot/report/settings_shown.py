"""The settings of a span: those of its newest run, in plain words, and which of them changed within it. Pure.

The records hold an account's configuration without its secrets. What is called like a secret is left out here again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from gridbot.doors.bounded_json import JsonMistake, read_json

__all__ = ["Settings", "StrategySettings", "settings_shown"]

_SECRET: Final = re.compile(r"secret|token|passw|api_?key|private|credential", re.IGNORECASE)
_LABELS: Final = {
    "amount": "size of an order",
    "caps.max_margin": "most margin",
    "caps.max_notional": "cap: value of positions and opening orders",
    "caps.max_open_orders": "cap: resting orders",
    "caps.max_orders_per_minute": "cap: orders a minute",
    "caps.session_loss_includes_unrealised": "loss limit counts open losses",
    "caps.session_loss_limit": "loss limit of a session",
    "early_imbalance_multiplier": "size factor of an early imbalance",
    "grid_count": "levels",
    "grid_step": "distance of levels, %",
    "increase_same_position_on_low_margin": "low margin doubles the own side",
    "leverage": "leverage",
    "low_balance_fraction": "low balance, part of the position",
    "max_liq_ratio": "short: liquidation / price below which it is reduced",
    "max_margin": "most margin of one side, multiple of the wallet",
    "min_liq_ratio": "long: liquidation / price above which it is reduced",
    "min_total_margin": "positions / wallet below which both sides are kept equal",
    "rebalance_threshold": "imbalance at which the grid is built anew",
    "shadow_mode": "shadow: decides, sends nothing",
    "tick_size": "tick size",
}
_ELSEWHERE: Final = frozenset({"strat_id", "account", "symbol", "kind", "name"})
"""Shown in the heading, or the same for all."""


@dataclass(frozen=True, slots=True)
class StrategySettings:
    """Name, symbol, and label and value of each setting."""

    strategy: str
    symbol: str
    shadow: bool
    rows: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the newest configuration; `changed` names what was another in an earlier run of the span."""

    account: list[tuple[str, str]]
    strategies: list[StrategySettings]
    changed: list[str]


def settings_shown(texts: Sequence[str], strategy: str | None = None) -> Settings:
    """Those of the whole account, or of one strategy. `texts`: a span's configurations as JSON, the oldest first."""
    configs = [found for text in texts if (found := _config(text)) is not None]
    if not configs:
        return Settings([], [], [])
    newest = configs[-1]
    strategies = [
        StrategySettings(
            _word(row.get("strat_id")), _word(row.get("symbol")), row.get("shadow_mode") is True, list(_rows(row))
        )
        for row in _strategies(newest)
        if strategy in (None, row.get("strat_id"))
    ]
    return Settings(list(_rows(_account(newest))), strategies, _changes(configs, strategy))


def _config(text: str) -> dict[str, Any] | None:
    try:
        found = read_json(text)
    except JsonMistake:
        return None
    return found if isinstance(found, dict) else None


def _account(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("account")
    return found if isinstance(found, dict) else {}


def _strategies(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = config.get("strategies")
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _rows(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in _flat(values):
        if name not in _ELSEWHERE:
            yield _LABELS.get(name, name.replace("_", " ")), _explained(name, value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if _SECRET.search(name):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _explained(name: str, value: Any) -> str:
    text = _word(value)
    if name == "amount" and text[:1] == "x":
        return f"{text} (multiple of the wallet)"
    if name == "amount" and text[:1] == "q":
        return f"{text[1:]} coins"
    return f"{text} USDT" if name in {"amount", "balance"} and text.replace(".", "").isdecimal() else text


def _word(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _changes(configs: Sequence[Mapping[str, Any]], strategy: str | None) -> list[str]:
    """Names of the settings of the account and its strategies that are not the same in all runs."""
    found: dict[str, None] = {}
    for before, after in pairwise(configs):
        old, new = _all_of(before, strategy), _all_of(after, strategy)
        found |= {name: None for name in [*old, *new] if old.get(name, ...) != new.get(name, ...)}
    return list(found)


def _all_of(config: Mapping[str, Any], strategy: str | None) -> dict[str, Any]:
    found = {} if strategy else {name.replace("_", " "): value for name, value in _flat(_account(config))}
    for row in _strategies(config):
        if strategy in (None, row.get("strat_id")):
            name = _word(row.get("strat_id"))
            found |= {f"{name}: {_LABELS.get(key, key.replace('_', ' '))}": value for key, value in _flat(row)}
    return found
