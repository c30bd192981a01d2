"""What others see of a book: the resting orders for the engine, and the sums for gate and sizer.

Each is computed at most once per version of the index: both are asked for many times between two changes.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, LimitOrder, LimitOrders
from gridbot.orders.order import OrderState, TrackedOrder
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
    """How many orders may still execute, and what they may close (base coin) and open (USDT at their own prices).

    Each leg has a sum of its closes and one of its opens.
    """

    def __init__(self, index: OrderIndex) -> None:
        self._index = index
        self._version = -1
        self._count = 0
        self._sums: dict[tuple[Direction, bool], Decimal] = {}

    def count(self) -> int:
        """Orders that may still execute."""
        self._refresh()
        return self._count

    def of(self, direction: Direction, *, closing: bool) -> Decimal:
        """The sum of one leg's closes or opens."""
        self._refresh()
        return self._sums[direction, closing]

    def added(self, order: TrackedOrder) -> None:
        """`order` is the only change since the version before: nothing else has to be looked at (a batch adds many)."""
        if self._version == self._index.version - 1:
            self._version += 1
            self._include(order)

    def _refresh(self) -> None:
        if self._version != self._index.version:
            self._version, self._count = self._index.version, 0
            self._sums = {(leg, closing): ZERO for leg in Direction for closing in (True, False)}
            for order in self._index.live.values():
                self._include(order)

    def _include(self, order: TrackedOrder) -> None:
        if not order.state.is_final:
            self._count += 1
            left = order.open_qty
            self._sums[order.direction, order.reduce_only] += left if order.reduce_only else left * order.price
