"""An order of ours and what the exchange says about it."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, Instrument, OrderStatus, OrderUpdateEvent, Side, client_order_id
from gridbot.orders.ids import wire_id
from gridbot.orders.order import TrackedOrder

__all__ = ["INSTRUMENT", "make_order", "update"]

INSTRUMENT = Instrument("BTCUSDT", Decimal("0.1"), Decimal("0.001"), Decimal("0.001"), Decimal(100))


def make_order(
    n: int = 1,
    *,
    ticks: int = 1000,
    side: Side = Side.BUY,
    direction: Direction = Direction.LONG,
    qty: str = "0.010",
) -> TrackedOrder:
    client = client_order_id("s1", "BTCUSDT", side, ticks, direction)
    return TrackedOrder(
        strat_id="s1",
        symbol="BTCUSDT",
        side=side,
        direction=direction,
        ticks=ticks,
        price=INSTRUMENT.price(ticks),
        qty=Decimal(qty),
        reduce_only=side is direction.close_side,
        client_id=client,
        link_id=wire_id(client, n),
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
