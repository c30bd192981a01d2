"""The orders of one strategy: what we asked for and what the exchange has said about it.

Every change of state goes through `move`, which checks it against the legal transitions, or through `revive`, the way
back from a final state that the exchange contradicts. Methods return the `Transition` they caused, or None, so that it
can be recorded. An order leaves the live set when it is *settled*: over, and all its executions are in. The order
stream may report `Filled` before the execution arrives; if the level were free in between, the strategy would place it
again before its grid knows of the fill.

The book knows what an order is; `orders/life.py` decides what becomes of it, and is its only writer in a worker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal

from gridbot.core import Direction, Instrument, LimitOrders, OrderUpdateEvent
from gridbot.orders.book_views import BookViews
from gridbot.orders.order import (
    CONTRADICTED,
    LEGAL,
    IllegalTransition,
    OrderState,
    TrackedOrder,
    Transition,
    is_older,
    state_of,
)
from gridbot.orders.order_index import OrderIndex

__all__ = ["OrderBook"]

_PENDING_CANCEL = OrderState.PENDING_CANCEL


class OrderBook:
    """Made of an index (who is there, at which level), and of what others see of it: the engine's view, the sums."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.index = OrderIndex()
        self.strangers: OrderedDict[str, OrderUpdateEvent] = OrderedDict()
        """Orders that are not ours, rest and were reported, by the exchange's id; the last ones."""
        self._views = BookViews(self.index)

    def __len__(self) -> int:
        """Orders that may still execute."""
        return self._views.count()

    def __iter__(self) -> Iterator[TrackedOrder]:
        """Every order that is not settled, oldest first."""
        return iter(list(self.index.live.values()))

    # ------------------------------------------------------------------ what others ask

    @property
    def limit_orders(self) -> LimitOrders:
        """The orders as the engine sees them; its version grows when one of them comes, goes, or is another.

        Orders that are being withdrawn are left out, but their levels stay taken: see `has_live`.
        """
        return self._views.resting

    @property
    def version(self) -> int:
        """Grows with every change that somebody outside may see, also of orders that the engine does not."""
        return self.index.version

    def get(self, key: str) -> TrackedOrder | None:
        """The order with this wire id or exchange id, live or recently finished."""
        return self.index.get(key)

    def has_live(self, direction: Direction, ticks: int) -> bool:
        """Whether a level is taken. Asked before every placement: at most one live order per (direction, price)."""
        return (direction, ticks) in self.index.levels

    def resting_close_qty(self, direction: Direction) -> Decimal:
        """Base coin that live reduce-only orders of this leg may still close."""
        return self._views.exposure(direction, closing=True)

    def opening_notional(self, direction: Direction | None = None) -> Decimal:
        """USDT that live opening orders (of one leg, or both) may still add, at their own prices."""
        return self._views.opening() if direction is None else self._views.exposure(direction, closing=False)

    def unsettled(self) -> list[TrackedOrder]:
        """Orders that are over on the exchange while executions of theirs are missing here."""
        live = self.index.live
        if len(live) == self._views.count():
            return []  # the usual case, each second: all of them may still execute
        return [order for order in live.values() if order.state.is_final]

    # ------------------------------------------------------------------ our own actions

    def add(self, order: TrackedOrder) -> Transition:
        """Add a new or an adopted order, in any state."""
        self.index.add(order)
        return Transition(order, order.state, order.state, exchange_ts=order.exchange_ts)

    def acknowledge(self, key: str, order_id: str) -> None:
        """The exchange accepted the request. The order counts as open only when the stream or a listing says so."""
        order = self.index.get(key)
        if order is not None:
            self.index.name(order, order_id)

    def move(
        self, order: TrackedOrder, after: OrderState, reason: str, *, exchange_ts: int = 0, ret_code: int | None = None
    ) -> Transition | None:
        """Change the state of an order; None when it is final or in that state already."""
        before = order.state
        if before is after or before.is_final:
            return None
        if after not in LEGAL[before]:
            raise IllegalTransition(f"{order.key}: {before} -> {after} is not a legal transition ({reason})")
        order.state = after
        order.cancelling = after is _PENDING_CANCEL
        if after.is_final or after is _PENDING_CANCEL or before is _PENDING_CANCEL:
            self.index.touch(order)  # else it rests, or may rest, as before, for all that others see of it
        if order.is_settled:
            self.index.retire(order)
        return Transition(order, before, after, reason, exchange_ts, ret_code)

    def withdraw(self, order: TrackedOrder, reason: str) -> None:
        """Nobody wants this order any more (an empty reason: somebody does again); the engine no longer sees it."""
        order.withdrawn = reason
        self.index.touch(order)

    def lose_reply(self, key: str, reason: str, ret_code: int | None = None) -> Transition | None:
        """A reply was lost: whether the order exists is unknown until it has been looked up."""
        order = self.index.get(key)
        return None if order is None else self.move(order, OrderState.UNRESOLVED, reason, ret_code=ret_code)

    def settle(self, key: str) -> None:
        """Give up waiting for executions that the exchange's own list does not have either."""
        order = self.index.live.get(key)
        if order is not None and order.state.is_final:
            order.exec_qty = max(order.exec_qty, order.cum_exec_qty)
            self.index.retire(order)

    # ------------------------------------------------------------------ what the exchange reports

    def apply_update(self, event: OrderUpdateEvent, *, is_newest: bool = False) -> Transition | None:
        """Apply a stream message or a listing's row about an order that is not over.

        Old and repeated news change nothing (docs/bybit.md 3.12). What has executed more is newer, whatever its time;
        where that is equal the times decide, unless the row `is_newest`: the answer to a question about this order.
        """
        order = self.index.get(event.order_link_id) or self.index.get(event.order_id)
        if order is None or order.state.is_final:
            return None
        self.index.name(order, event.order_id)
        is_open = event.status.is_open
        if is_open and (event.cum_exec_qty < order.cum_exec_qty or (is_older(order, event) and not is_newest)):
            return None
        self.index.take_terms(order, event, self.instrument)
        after = state_of(event.status, order.cum_exec_qty)
        if not is_open:
            order.ended_ts = event.exchange_ts
        elif order.state is _PENDING_CANCEL:
            return None  # while our cancel is under way only a final state counts
        if after is order.state:
            return None
        reason = event.reject_reason if event.reject_reason not in ("", "EC_NoError") else event.cancel_type
        return self.move(order, after, "" if reason == "UNKNOWN" else reason, exchange_ts=event.exchange_ts)

    def revive(self, order: TrackedOrder, event: OrderUpdateEvent, reason: str) -> Transition:
        """The exchange contradicts the end of an order: take its word, also for how it ended."""
        self.index.name(order, event.order_id)
        self.index.bring_back(order)
        self.index.take_terms(order, event, self.instrument)
        order.ended_ts = 0 if event.status.is_open else max(order.ended_ts, event.exchange_ts)
        before, after = order.state, state_of(event.status, order.cum_exec_qty)
        if after is not before and after not in CONTRADICTED[before]:
            raise IllegalTransition(f"{order.key}: {before} cannot become {after} again ({reason})")
        order.state = after
        self.index.touch(order)
        if order.is_settled:
            self.index.retire(order)
        return Transition(order, before, after, reason, event.exchange_ts)

    def apply_execution(
        self, key: str, qty: Decimal, leaves_qty: Decimal, exchange_ts: int, *, order_qty: Decimal | None = None
    ) -> Transition | None:
        """Account for one execution of `qty`, which left `leaves_qty` on the order. The caller has removed repeats.

        `order_qty` is the order's quantity as the exchange has it, which may be less than we asked for. An order that
        is over although it has executed is put right: it existed, and it is filled when it is complete.
        """
        order = self.index.get(key)
        if order is None:
            return None
        order.exec_qty += qty
        # `leaves_qty` tells how much was executed; our own sum only tells whether we have seen all of it.
        known, done = order.cum_exec_qty, (order_qty or order.qty) - leaves_qty
        order.cum_exec_qty = max(known, done)
        if order_qty and (done > known or (done == known and exchange_ts >= order.exchange_ts)):
            order.qty = order_qty
        self.index.touch(order)
        if order.state.is_final:
            return _executed_after_its_end(self.index, order, exchange_ts)
        order.on_wire = True
        order.exchange_ts = max(order.exchange_ts, exchange_ts)
        if order.cum_exec_qty >= order.qty:
            return self.move(order, OrderState.FILLED, "", exchange_ts=exchange_ts)
        if order.state is _PENDING_CANCEL:
            return None
        return self.move(order, OrderState.PARTIALLY_FILLED, "", exchange_ts=exchange_ts)


def _executed_after_its_end(index: OrderIndex, order: TrackedOrder, exchange_ts: int) -> Transition | None:
    before = order.state
    if not order.ended_ts and before is not OrderState.FILLED:
        order.state = OrderState.FILLED if order.cum_exec_qty >= order.qty else OrderState.CANCELLED
    if order.is_settled:
        index.retire(order)
    else:
        index.bring_back(order)
    if order.state is before:
        return None
    return Transition(order, before, order.state, "executed after all", exchange_ts)
