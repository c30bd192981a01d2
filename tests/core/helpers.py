"""Short names for building what the core's tests need."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridbot.core import (
    CancelIntent,
    Direction,
    ExecutionEvent,
    Instrument,
    LegState,
    LimitOrder,
    LimitOrders,
    Multipliers,
    RiskInputs,
    Side,
    TickerEvent,
)
from gridbot.strategies.grid import GridConfig, GridEngine
from tests.examples import examples

SYMBOL = "XUSDT"
EXAMPLES = examples(40)
"""Hypothesis examples per property."""

LONG, SHORT = Direction.LONG, Direction.SHORT
BUY, SELL = Side.BUY, Side.SELL


def d(text: str | int) -> Decimal:
    return Decimal(text)


def instrument(tick: str | Decimal = "0.1", step: str = "0.001", **changes: Any) -> Instrument:
    values: dict[str, Any] = {"min_order_qty": d("0.001"), "max_order_qty": d(1000), **changes}
    return Instrument(SYMBOL, Decimal(tick), d(step), **values)


def engine(tick: str = "0.1", count: int = 4, step: str = "1", threshold: str = "0.3", **more: Any) -> Any:
    """A `GridEngine`; Any, as its grid is None before the first price and every test knows better."""
    return GridEngine(SYMBOL, instrument(tick), GridConfig(count, d(step), d(threshold)), "grid-1", **more)


def ticker(price: str | Decimal, ts: int = 0) -> TickerEvent:
    return TickerEvent(SYMBOL, Decimal(price), ts)


def fill(price: str | Decimal, leaves: str = "0", ts: int = 0, side: Side = BUY, **more: Any) -> ExecutionEvent:
    values: dict[str, Any] = {
        "symbol": SYMBOL,
        "exec_id": "e",
        "order_id": "o",
        "order_link_id": "l",
        "qty": d(1),
        **more,
    }
    return ExecutionEvent(side=side, price=Decimal(price), leaves_qty=d(leaves), exchange_ts=ts, **values)


def leg(size: str = "1", entry: str | None = "100", liq: str | None = None) -> LegState:
    return LegState(d(size), None if entry is None else d(entry), None if liq is None else d(liq))


def inputs(last: str | None = "100", wallet: str | None = "1000", available: str | None = None) -> RiskInputs:
    return RiskInputs(*(None if text is None else d(text) for text in (last, wallet, available)))


def factors(result: Multipliers) -> dict[str, str]:
    """Only what is not 1."""
    names = ("long_buy", "long_sell", "short_buy", "short_sell")
    return {name: str(getattr(result, name)) for name in names if getattr(result, name) != 1}


class Book:
    """Orders of both legs that do what intents say."""

    def __init__(self) -> None:
        self.orders = LimitOrders()
        self.made = 0

    def add(self, direction: Direction, side: Side, ticks: int, *, has_fills: bool = False) -> LimitOrder:
        self.made += 1
        order = LimitOrder(f"k{self.made}", side, ticks, has_fills)
        self.orders[direction].append(order)
        self.orders.version += 1
        return order

    def remove(self, direction: Direction, key: str) -> None:
        orders = self.orders[direction]
        orders[:] = [order for order in orders if order.key != key]
        self.orders.version += 1

    def apply(self, intents, refuse=lambda intent: False) -> None:
        for intent in intents:
            if refuse(intent):
                continue
            if isinstance(intent, CancelIntent):
                self.remove(intent.direction, intent.key)
            else:
                self.add(intent.direction, intent.side, intent.ticks)
