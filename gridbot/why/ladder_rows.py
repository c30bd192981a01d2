"""The ladder of a strategy with its orders, as plain values for a picture. Pure."""

from __future__ import annotations

from typing import Any

from gridbot.orders.order import TrackedOrder
from gridbot.why.asked_about import Scene

__all__ = ["MOST_ORDERS", "ladder_rows"]

MOST_ORDERS = 1100
"""Both legs of the largest ladder that a configuration may ask for."""


def ladder_rows(scene: Scene, most: int = MOST_ORDERS) -> dict[str, Any]:
    """JSON-able. `levels` from the lowest up: price and side, None where nothing is placed; prices are text in USDT.

    `orders` are those that are not settled, of both legs, quantities as text in the base coin. Of more than `most`
    those nearest to the last price are told, and `left_out` says how many are not.
    """
    view, ladder = scene.view, scene.ladder
    levels = () if ladder is None else ladder.levels
    price, ticker = view.book.instrument.price, view.ticker
    orders = sorted(view.book, key=lambda order: order.ticks)
    if len(orders) > most:
        middle = ticker.last_price if ticker is not None else price(orders[len(orders) // 2].ticks)
        orders = sorted(sorted(orders, key=lambda order: abs(order.price - middle))[:most], key=lambda each: each.ticks)
    return {
        "tick_size": f"{view.book.instrument.tick_size:f}",
        "anchor": _text(None if ladder is None else ladder.anchor),
        "last_fill": _text(None if ladder is None else ladder.last_fill),
        "mark_price": _text(None if ticker is None else ticker.mark_price),
        "levels": [[f"{price(ticks):f}", side and str(side)] for ticks, side in levels],
        "orders": [_order(scene, order) for order in orders],
        "left_out": len(view.book) - len(orders),
    }


def _order(scene: Scene, order: TrackedOrder) -> dict[str, Any]:
    return {
        "leg": str(order.direction),
        "side": str(order.side),
        "price": f"{scene.view.book.instrument.price(order.ticks):f}",
        "qty": f"{order.qty:f}",
        "filled": f"{order.cum_exec_qty:f}",
        "closes": order.side is order.direction.close_side,
        "state": str(order.state),
        "link_id": order.link_id,
    }


def _text(value: Any) -> str | None:
    return None if value is None else f"{value:f}"
