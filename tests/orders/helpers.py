"""An order of ours and what the exchange says about it."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, Instrument, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders.book import OrderBook
from gridbot.orders.ids import Owner, account_tag, wire_id
from gridbot.orders.order import OrderState, TrackedOrder

__all__ = [
    "INSTRUMENT",
    "OWNER",
    "begin_cancel",
    "hold_for_gone",
    "hold_for_rejected",
    "keep_after_cancel",
    "make_order",
    "update",
]

INSTRUMENT = Instrument("BTCUSDT", Decimal("0.1"), Decimal("0.001"), Decimal("0.001"), Decimal(100))
OWNER = Owner.of(account_tag("paper", "alice"), "s1")


def make_order(
    n: int = 1,
    *,
    ticks: int = 1000,
    side: Side = Side.BUY,
    direction: Direction = Direction.LONG,
    qty: str = "0.010",
) -> TrackedOrder:
    return TrackedOrder(
        strat_id="s1",
        symbol="BTCUSDT",
        side=side,
        direction=direction,
        ticks=ticks,
        price=INSTRUMENT.price(ticks),
        qty=Decimal(qty),
        reduce_only=side is direction.close_side,
        link_id=wire_id(OWNER, side, direction, ticks, n),
        on_wire=True,
    )


def update(
    order: TrackedOrder, status: OrderStatus, cum: str = "0", ts: int = 1, **changes: object
) -> OrderUpdateEvent:
    values: dict[str, object] = {
        "symbol": order.symbol,
        "order_id": f"x-{order.link_id}",
        "order_link_id": order.link_id,
        "side": order.side,
        "direction": order.direction,
        "price": order.price,
        "qty": order.qty,
        "status": status,
        "cum_exec_qty": Decimal(cum),
        "exchange_ts": ts,
    }
    return OrderUpdateEvent(**(values | changes))  # type: ignore[arg-type]


# How an order comes into the states that the reconciler has to deal with, without the rules of `orders/life.py`.


def hold_for_gone(book: OrderBook, key: str, reason: str) -> None:
    order = book.get(key)
    if order is not None:
        over = OrderState.FILLED if order.cum_exec_qty >= order.qty else OrderState.CANCELLED
        book.move(order, over, reason)


def hold_for_rejected(book: OrderBook, key: str, reason: str) -> None:
    order = book.get(key)
    if order is not None:
        book.move(order, OrderState.REJECTED, reason)


def begin_cancel(book: OrderBook, key: str, reason: str) -> None:
    order = book.get(key)
    if order is not None:
        book.move(order, OrderState.PENDING_CANCEL, reason)


def keep_after_cancel(book: OrderBook, key: str, reason: str) -> None:
    order = book.get(key)
    if order is not None and order.state is OrderState.PENDING_CANCEL:
        rests = OrderState.PARTIALLY_FILLED if order.cum_exec_qty > 0 else OrderState.OPEN
        book.move(order, rests, reason)
