"""Which orders there are, under which names, and which levels they take. The storage of an `OrderBook`."""

from __future__ import annotations

from collections import OrderedDict

from gridbot.core import Direction, Instrument, OrderUpdateEvent
from gridbot.orders.order import IllegalTransition, TrackedOrder

__all__ = ["FINISHED_KEPT", "OrderIndex"]

FINISHED_KEPT = 500
"""As many as the exchange lists closed ones beside the open orders."""


class OrderIndex:
    """Live orders by key, and the last `FINISHED_KEPT` settled ones so that late messages find their order.

    `version` grows with every change that somebody outside may see.
    """

    def __init__(self) -> None:
        self.live: dict[str, TrackedOrder] = {}
        """Every order that is not settled, the oldest first."""
        self.finished: OrderedDict[str, TrackedOrder] = OrderedDict()
        self.levels: dict[tuple[Direction, int], int] = {}
        """How many live orders each level has; levels without one are not in it."""
        self.retired = 0
        """How many orders have been settled."""
        self.version = 0
        self.touched: dict[str, TrackedOrder] = {}
        """The orders that have changed since `BookViews` looked last, which empties it."""
        self._key_of_order_id: dict[str, str] = {}

    @property
    def names(self) -> int:
        """How many exchange ids are known."""
        return len(self._key_of_order_id)

    def get(self, key: str) -> TrackedOrder | None:
        """The order with this wire id or exchange id, live or recently finished."""
        key = self._key_of_order_id.get(key, key)
        return self.live.get(key) or self.finished.get(key)

    def touch(self, order: TrackedOrder) -> None:
        """Something of an order has changed that others may see. Call it at the latest before anybody looks."""
        self.version += 1
        self.touched[order.key] = order

    def is_crowded(self, order: TrackedOrder) -> bool:
        """Whether another order that we want rests at the level of a live one, or may rest there."""
        if self.levels[order.direction, order.ticks] == 1:
            return False
        return any(
            other.is_live and other.ticks == order.ticks and other.direction is order.direction
            for other in self.live.values()
            if other is not order
        )

    def add(self, order: TrackedOrder) -> None:
        """Add an order. IllegalTransition when its key is known."""
        key = order.key
        if key in self.live or key in self.finished:
            raise IllegalTransition(f"{key}: expected an id that was never used, got one the book knows")
        self._enter(key, order)
        if order.order_id:
            self._key_of_order_id[order.order_id] = key

    def name(self, order: TrackedOrder, order_id: str) -> None:
        """The exchange's id of an order has become known."""
        if order_id and order_id != order.order_id:
            self._key_of_order_id.pop(order.order_id, None)
            order.order_id = order_id
            self._key_of_order_id[order_id] = order.key

    def take_terms(self, order: TrackedOrder, event: OrderUpdateEvent, instrument: Instrument) -> None:
        """Take what the exchange says of a live order: it re-prices outside its band and clamps reduce-only orders."""
        order.exchange_ts = max(order.exchange_ts, event.exchange_ts)
        order.on_wire = True
        if event.price > 0 and event.price != order.price:
            self._leave(order)
            order.price, order.ticks = event.price, instrument.ticks(event.price)
            self._take(order)
            self.touch(order)
        if event.qty > 0 and event.qty != order.qty:
            order.qty = event.qty
            self.touch(order)
        if event.cum_exec_qty > order.cum_exec_qty:
            order.cum_exec_qty = event.cum_exec_qty
            self.touch(order)

    def retire(self, order: TrackedOrder) -> None:
        """An order is settled: its level is free."""
        if self.live.pop(order.key, None) is None:
            return
        self._leave(order)
        self.finished[order.key] = order
        self.retired += 1
        self.touch(order)
        self.forget(FINISHED_KEPT)

    def forget(self, kept: int) -> None:
        """Keep only so many settled orders, the newest: nothing can come any more of those before."""
        while len(self.finished) > kept:
            _, forgotten = self.finished.popitem(last=False)
            self._key_of_order_id.pop(forgotten.order_id, None)

    def bring_back(self, order: TrackedOrder) -> None:
        """A settled order is not over after all, or not settled; nothing when it is live."""
        if self.finished.pop(order.key, None) is not None:
            self._enter(order.key, order)

    def _enter(self, key: str, order: TrackedOrder) -> None:
        self.live[key] = order
        self._take(order)
        self.touch(order)

    def _take(self, order: TrackedOrder) -> None:
        level = order.direction, order.ticks
        self.levels[level] = self.levels.get(level, 0) + 1

    def _leave(self, order: TrackedOrder) -> None:
        level = order.direction, order.ticks
        left = self.levels[level] - 1
        if left:
            self.levels[level] = left
        else:
            del self.levels[level]
