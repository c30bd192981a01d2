"""What others see of a book: the resting orders for the engine, and the sums for gate and sizer.

Each is computed at most once per version of the index: both are asked for many times between two changes.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, LimitOrder, LimitOrders
from gridbot.orders.order import OrderState
from gridbot.orders.order_index import OrderIndex

__all__ = ["EngineView", "Exposure"]

ZERO = Decimal(0)


class EngineView:
    """The orders as the engine sees them: without those that are being withdrawn, which it has decided about."""

    def __init__(self, index: OrderIndex) -> None:
        self._index = index
        self._view = LimitOrders(long=[], short=[])

    def current(self) -> LimitOrders:
        """Always the same object; its version is the index's."""
        view = self._view
        if view.version != self._index.version:
            view.long.clear()
            view.short.clear()
            for order in self._index.live.values():
                if order.state is not OrderState.PENDING_CANCEL and not order.withdrawn:
                    shown = view.long if order.direction is Direction.LONG else view.short
                    shown.append(LimitOrder(order.key, order.side, order.ticks, order.cum_exec_qty > 0))
            view.version = self._index.version
        return view


class Exposure:
    """What live orders may still close (base coin) and open (USDT at their own prices), per leg."""

    def __init__(self, index: OrderIndex) -> None:
        self._index = index
        self._version = -1
        self._sums: dict[tuple[Direction, bool], Decimal] = {}

    def of(self, direction: Direction, *, closing: bool) -> Decimal:
        """The sum of one leg's closes or opens."""
        if self._version != self._index.version:
            sums = {(leg, kind): ZERO for leg in Direction for kind in (True, False)}
            for order in self._index.live.values():
                left = order.open_qty
                sums[order.direction, order.reduce_only] += left if order.reduce_only else left * order.price
            self._sums, self._version = sums, self._index.version
        return self._sums[direction, closing]
