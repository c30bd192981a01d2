"""Metrics of strategies. Pure: the status model in, samples out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from supervisor.metrics.account_metrics import environment_of
from supervisor.metrics.metric_types import LABELS, Json, Kind, Metric, Reader, Sample, number, one_of
from supervisor.status.model import StrategyState

__all__ = ["STRATEGY_METRICS"]

STATES: Final = (*(word.value for word in StrategyState), "unknown")
ROUTINE: Final = "not_covered"
"""A close of a flat leg: nobody wants it yet."""
DIRECTIONS: Final = ("long", "short")


def _rows(model: Json) -> Iterator[tuple[Json, Json]]:
    for account in model["accounts"]:
        for row in account.get("strategies") or ():
            yield account, row


def _names(account: Json, row: Json) -> tuple[str, str]:
    return account["account"], str(row["strat_id"])


def _kinds(account: Json, row: Json) -> tuple[str, str]:
    """What must not be added up: environments, and money that is not there."""
    return environment_of(account), one_of("mode", row.get("mode"))


def _figure(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for account, row in _rows(model):
            if (value := number(row.get(key))) is not None:
                yield _names(account, row), value

    return read


def _kept_apart(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for account, row in _rows(model):
            if (value := number(row.get(key))) is not None:
                yield (*_names(account, row), *_kinds(account, row)), value

    return read


def _leg(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for account, row in _rows(model):
            for direction in DIRECTIONS:
                if (value := number((row.get(direction) or {}).get(key))) is not None:
                    yield (*_names(account, row), *_kinds(account, row), direction), value

    return read


def _notional(model: Json) -> Iterator[Sample]:
    for account, row in _rows(model):
        price = number(row.get("last_price"))
        for direction in DIRECTIONS:
            size = number((row.get(direction) or {}).get("size"))
            if price is not None and size is not None:
                yield (*_names(account, row), *_kinds(account, row), direction), price * size


def _to_liquidation(model: Json) -> Iterator[Sample]:
    for account, row in _rows(model):
        price = number(row.get("last_price"))
        for direction in DIRECTIONS:
            at = number((row.get(direction) or {}).get("liq"))
            if price and at:
                left = price - at if direction == "long" else at - price
                yield (*_names(account, row), *_kinds(account, row), direction), left / price


def _states(model: Json) -> Iterator[Sample]:
    for account, row in _rows(model):
        now = row.get("state") or STATES[-1]
        for word in STATES:
            yield (*_names(account, row), word), float(word == now)


def _by_reason(counts: Any) -> dict[str, float]:
    sums: dict[str, float] = {}
    for word, count in (counts or {}).items():
        name = one_of("reason", word)
        sums[name] = sums.get(name, 0.0) + (number(count) or 0.0)
    return sums


def _waiting(model: Json) -> Iterator[Sample]:
    for account, row in _rows(model):
        for reason, count in _by_reason(row.get("waiting")).items():
            yield (*_names(account, row), reason), count


def _wanted(model: Json) -> Iterator[Sample]:
    for account, row in _rows(model):
        if "waiting" in row:
            wait = sum(count for reason, count in _by_reason(row["waiting"]).items() if reason != ROUTINE)
            yield _names(account, row), (number(row.get("open_orders")) or 0.0) + wait


def _refusals(model: Json) -> Iterator[Sample]:
    for account in model["accounts"]:
        ours = {str(row["strat_id"]) for row in account.get("strategies") or ()}
        for strategy, counts in ((account.get("counts") or {}).get("refusals") or {}).items():
            if strategy in ours:  # one that was removed leaves with its last count
                for reason, count in _by_reason(counts).items():
                    yield (account["account"], strategy, reason), count


S = ("account", "strategy")
MONEY = (*S, "environment", "mode")
LEG = (*MONEY, "direction")
GAUGE, COUNTER = Kind.GAUGE, Kind.COUNTER
STRATEGY_METRICS: Final = (
    Metric("gridbot_strategy_state", GAUGE, "", (*S, "state"),
           "1 for the state that the strategy is in, 0 for the others; `unknown` without a report.",
           "accounts[].strategies[].state", _states),
    Metric("gridbot_strategy_orders_placed", GAUGE, "", S,
           "Orders of ours that live.", "accounts[].strategies[].open_orders", _figure("open_orders")),
    Metric("gridbot_strategy_orders_wanted", GAUGE, "", S,
           "Orders that it would have now: those that live, and levels that wait for another reason than a flat leg.",
           "accounts[].strategies[].open_orders, waiting", _wanted),
    Metric("gridbot_strategy_levels", GAUGE, "", S,
           "Levels of its ladder.", "accounts[].strategies[].levels", _figure("levels")),
    Metric("gridbot_strategy_levels_waiting", GAUGE, "", (*S, "reason"),
           "Levels without an order, by what the gate said at the last decision.",
           "accounts[].strategies[].waiting", _waiting),
    Metric("gridbot_strategy_refusals_total", COUNTER, "", (*S, "reason"),
           "Times that the gate began to refuse a level, by reason.",
           "accounts[].counts.refusals", _refusals),
    Metric("gridbot_strategy_fills_total", COUNTER, "", MONEY,
           "Fills since the strategy's first start.", "accounts[].strategies[].fills", _kept_apart("fills")),
    Metric("gridbot_strategy_realised_usdt", GAUGE, "usdt", MONEY,
           "Realised profit and loss since its first start, before fees and funding.",
           "accounts[].strategies[].realised", _kept_apart("realised")),
    Metric("gridbot_strategy_fees_usdt", GAUGE, "usdt", MONEY,
           "Fees paid since its first start; less than before after a rebate.",
           "accounts[].strategies[].fees", _kept_apart("fees")),
    Metric("gridbot_strategy_funding_usdt", GAUGE, "usdt", MONEY,
           "Funding paid since its first start; below 0 it was received.",
           "accounts[].strategies[].funding", _kept_apart("funding")),
    Metric("gridbot_strategy_unrealised_usdt", GAUGE, "usdt", MONEY,
           "Unrealised profit and loss of both legs.",
           "accounts[].strategies[].unrealised", _kept_apart("unrealised")),
    Metric("gridbot_strategy_last_price_usdt", GAUGE, "usdt", S,
           "The last price of its symbol.", "accounts[].strategies[].last_price", _figure("last_price")),
    Metric("gridbot_strategy_position_coins", GAUGE, "coins", LEG,
           "Size of a leg, in coins of its symbol.", "accounts[].strategies[].long.size, short.size", _leg("size")),
    Metric("gridbot_strategy_position_usdt", GAUGE, "usdt", LEG,
           "A leg at the last price.", "accounts[].strategies[].long.size, short.size, last_price", _notional),
    Metric("gridbot_strategy_entry_price_usdt", GAUGE, "usdt", LEG,
           "Average entry price of a leg.", "accounts[].strategies[].long.entry, short.entry", _leg("entry")),
    Metric("gridbot_strategy_liquidation_distance_ratio", GAUGE, "ratio", LEG,
           "How far the last price may go until it is at a leg's liquidation price, in relation to it; below 0 beyond.",
           "accounts[].strategies[].long.liq, short.liq, last_price", _to_liquidation),
)  # fmt: skip
assert frozenset(STATES) == LABELS["state"].values
