"""What others see of a book: the resting orders for the engine, and the sums for gate and sizer.

Both are asked for with each price and each order, and a book may have a hundred orders. So nothing is worked out anew:
the index names the orders that have changed, and only those are looked at when somebody asks again.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, LimitOrder, LimitOrders
from gridbot.core.exact import WIDE
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.order_index import OrderIndex

__all__ = ["BookViews"]

ZERO = Decimal(0)
# Constants: a member of an enum asked for by name costs more than all else that is done with it here.
_LONG, _SHORT, _PENDING_CANCEL = Direction.LONG, Direction.SHORT, OrderState.PENDING_CANCEL

_Lane = tuple[Direction, bool]
"""A leg, and whether it is about its closes."""


class BookViews:
    """One per index; it takes the names of changed orders from it, so there can be no second one."""

    def __init__(self, index: OrderIndex) -> None:
        self._index = index
        self._resting = LimitOrders()
        self._shown: dict[str, LimitOrder] = {}
        """What of `_resting` stands for which order."""
        self._parts: dict[str, tuple[_Lane, Decimal]] = {}
        """What each order that may still execute adds to which sum."""
        self._sums: dict[_Lane, Decimal] = {(leg, closing): ZERO for leg in Direction for closing in (True, False)}

    @property
    def resting(self) -> LimitOrders:
        """The orders as the engine sees them: without those that are being withdrawn, which it has decided about.

        Always the same object, in the order of the index. Its version grows when something of it has changed: that an
        order which is there was acknowledged, too, is no news for the engine.
        """
        if self._index.touched:
            self._look()
        return self._resting

    def count(self) -> int:
        """Orders that may still execute."""
        if self._index.touched:
            self._look()
        return len(self._parts)

    def exposure(self, direction: Direction, *, closing: bool) -> Decimal:
        """What the orders of a leg may close (base coin), or open (USDT at their own prices)."""
        if self._index.touched:
            self._look()
        return self._sums[direction, closing]

    def opening(self) -> Decimal:
        """What the orders of both legs may open (USDT at their own prices)."""
        if self._index.touched:
            self._look()
        return self._sums[_LONG, False] + self._sums[_SHORT, False]

    # ------------------------------------------------------------------ inside

    def _look(self) -> None:
        """Who asks calls it where something was touched: asking is common, and there is seldom anything to look at."""
        touched = self._index.touched
        live = self._index.live
        for key, order in touched.items():
            is_live = live.get(key) is order
            self._count(order, is_open=is_live and not order.state.is_final)
            self._show(order, is_shown=is_live and _is_shown(order))
        touched.clear()

    def _count(self, order: TrackedOrder, *, is_open: bool) -> None:
        key = order.key
        known = self._parts.pop(key, None)
        if known is not None:
            lane, part = known
            self._sums[lane] = WIDE.subtract(self._sums[lane], part)
        if is_open:
            lane = order.direction, order.reduce_only
            left = order.qty - order.cum_exec_qty
            part = left if order.reduce_only else left * order.price
            self._sums[lane] = WIDE.add(self._sums[lane], part)
            self._parts[key] = lane, part

    def _show(self, order: TrackedOrder, *, is_shown: bool) -> None:
        key, view = order.key, self._resting
        known = self._shown.get(key)
        rows = view.long if order.direction is _LONG else view.short
        if not is_shown:
            if known is not None:
                del self._shown[key], rows[_place_of(known, rows)]
                view.version += 1
            return
        has_fills = order.cum_exec_qty > 0
        if known is not None:
            if known.ticks == order.ticks and known.has_fills is has_fills:
                return
            rows[_place_of(known, rows)] = self._shown[key] = LimitOrder(key, order.side, order.ticks, has_fills)
        elif next(reversed(self._index.live)) == key:
            row = self._shown[key] = LimitOrder(key, order.side, order.ticks, has_fills)
            rows.append(row)
        else:
            self._show_all()  # it was withdrawn, and is not: it has its place among the others again
        view.version += 1

    def _show_all(self) -> None:
        view = self._resting
        view.long.clear()
        view.short.clear()
        self._shown.clear()
        for order in filter(_is_shown, self._index.live.values()):
            row = LimitOrder(order.key, order.side, order.ticks, order.cum_exec_qty > 0)
            self._shown[order.key] = row
            (view.long if order.direction is _LONG else view.short).append(row)


def _is_shown(order: TrackedOrder) -> bool:
    return order.state is not _PENDING_CANCEL and not order.withdrawn


def _place_of(row: LimitOrder, rows: list[LimitOrder]) -> int:
    """By identity: comparing orders costs more than looking at them all."""
    place = 0
    while rows[place] is not row:
        place += 1
    return place
