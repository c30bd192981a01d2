"""The hypothetical exchange of a shadow strategy: its orders rest here and the real market fills them. Pure.

A resting order fills, whole, when the market trades through its price or the other side of the book reaches it: Buy
when the last price is below, or the best ask at or below; Sell the other way round. It answers with the same events as
the real exchange, so that a strategy behaves as if it were live. Fees are the maker's.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.core import (
    Direction,
    ExecutionEvent,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    Side,
    TickerEvent,
)
from gridbot.orders.order import TrackedOrder

__all__ = ["ShadowVenue"]

ZERO = Decimal(0)


@dataclass(slots=True)
class _Leg:
    size: Decimal = ZERO
    entry: Decimal = ZERO


class ShadowVenue:
    """One symbol in hedge mode. Quantities in base coin, prices and fees in USDT, times in ms UTC."""

    def __init__(self, symbol: str, *, run_id: str, maker_fee: Decimal = Decimal("0.0002")) -> None:
        self._symbol = symbol
        self._run_id = run_id
        self._maker_fee = maker_fee
        self._resting: dict[str, TrackedOrder] = {}
        self._legs = {Direction.LONG: _Leg(), Direction.SHORT: _Leg()}
        self._count = 0

    def place(self, order: TrackedOrder, now_ms: int) -> OrderUpdateEvent:
        """Rest an order."""
        self._count += 1
        order.order_id = f"shadow-{self._run_id}-{self._count}"
        self._resting[order.key] = order
        return _update(order, OrderStatus.NEW, ZERO, now_ms)

    def cancel(self, order: TrackedOrder, now_ms: int) -> OrderUpdateEvent:
        """Withdraw an order."""
        self._resting.pop(order.key, None)
        return _update(order, OrderStatus.CANCELLED, ZERO, now_ms)

    def restore(self, position: PositionEvent) -> None:
        """Start from a leg that an earlier run had."""
        leg = self._legs[position.direction]
        leg.size, leg.entry = position.size, position.entry_price or ZERO

    def on_ticker(self, ticker: TickerEvent) -> list[ExecutionEvent]:
        """Fill what the market has reached, nearest to the old price first."""
        reached = [order for order in self._resting.values() if _reached(order, ticker)]
        if not reached:
            return []
        reached.sort(key=lambda order: -order.ticks if order.side is Side.BUY else order.ticks)
        return [fill for order in reached if (fill := self._fill(order, ticker.exchange_ts)) is not None]

    def positions(self, mark: Decimal | None, now_ms: int) -> list[PositionEvent]:
        """Both legs, flat ones included."""
        return [
            PositionEvent(
                symbol=self._symbol,
                direction=direction,
                size=leg.size,
                entry_price=leg.entry if leg.size else None,
                mark_price=mark,
                exchange_ts=now_ms,
            )
            for direction, leg in self._legs.items()
        ]

    def _fill(self, order: TrackedOrder, now_ms: int) -> ExecutionEvent | None:
        del self._resting[order.key]
        leg = self._legs[order.direction]
        qty = min(order.qty, leg.size) if order.reduce_only else order.qty
        if qty <= 0:
            return None
        if order.reduce_only:
            leg.size -= qty
        else:
            leg.entry = (leg.entry * leg.size + order.price * qty) / (leg.size + qty)
            leg.size += qty
        self._count += 1
        return ExecutionEvent(
            symbol=self._symbol,
            exec_id=f"shadow-{self._run_id}-{self._count}",
            order_id=order.order_id,
            order_link_id=order.link_id,
            side=order.side,
            price=order.price,
            qty=qty,
            leaves_qty=ZERO,
            fee=qty * order.price * self._maker_fee,
            closed_size=qty if order.reduce_only else ZERO,
            exchange_ts=now_ms,
        )


def _reached(order: TrackedOrder, ticker: TickerEvent) -> bool:
    if order.side is Side.BUY:
        return ticker.last_price < order.price or (ticker.ask1_price is not None and ticker.ask1_price <= order.price)
    return ticker.last_price > order.price or (ticker.bid1_price is not None and ticker.bid1_price >= order.price)


def _update(order: TrackedOrder, status: OrderStatus, cum: Decimal, now_ms: int) -> OrderUpdateEvent:
    return OrderUpdateEvent(
        symbol=order.symbol,
        order_id=order.order_id,
        order_link_id=order.link_id,
        side=order.side,
        direction=order.direction,
        price=order.price,
        qty=order.qty,
        status=status,
        cum_exec_qty=cum,
        reduce_only=order.reduce_only,
        cancel_type="CancelByUser" if status is OrderStatus.CANCELLED else "",
        exchange_ts=now_ms,
        created_ts=now_ms,
    )
