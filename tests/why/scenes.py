"""A strategy that may trade, with two wishes below the price and their proposals; tests change one thing of it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from gridbot.core import Direction, Side
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.risk.caps import Caps
from gridbot.strategies.base import Wish
from gridbot.why.asked_about import Scene
from tests.orders.helpers import INSTRUMENT, make_order
from tests.risk.helpers import NOW, NOW_MS, Bench, proposal

D = Decimal
LONG, SHORT, BUY, SELL = Direction.LONG, Direction.SHORT, Side.BUY, Side.SELL
OPEN, CLOSE = Wish(LONG, 1000, BUY), Wish(LONG, 1010, SELL)
NO_MONEY = make_error("ab not enough", ErrorKind.BALANCE, ret_code=110007)

__all__ = ["BUY", "CLOSE", "LONG", "NOW", "NOW_MS", "NO_MONEY", "OPEN", "SELL", "SHORT", "Bench", "D", "add", "scene"]


def scene(bench: Bench | None = None, wishes: Iterable[Wish] = (OPEN, CLOSE), qty: str = "0.1", **more: Any) -> Scene:
    """The scene of a bench's strategy as it is now."""
    bench = bench or Bench()
    view = bench.risk_state
    values: dict[str, Any] = {
        "account": "alice",
        "view": view,
        "gate": bench.gate.state,
        "others": bench.gate.account,
        "wishes": tuple(wishes),
        "command": lambda words: f"gb {words}",
        "proposals": {
            (wish.direction, wish.ticks): proposal(
                wish.ticks, wish.side, wish.direction, qty if not wish.closes or view.legs[wish.direction].size else "0"
            )
            for wish in wishes
        },
    }
    return Scene(**(values | more))


def bench_with(**caps: Any) -> Bench:
    return Bench(Caps(**caps))


def add(bench: Bench, state: OrderState = OrderState.OPEN, ticks: int = 1000, **more: Any) -> TrackedOrder:
    """An order of ours at a level, in this state."""
    order = make_order(len(bench.risk_state.book) + 1, ticks=ticks, **{k: v for k, v in more.items() if k == "side"})
    order.state = state
    for name, value in more.items():
        if name != "side":
            setattr(order, name, value)
    bench.risk_state.book.add(order)
    return order


assert INSTRUMENT.price(1000) == D(100)
