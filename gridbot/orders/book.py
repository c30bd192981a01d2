"""The orders of one strategy: what we asked for and what the exchange has said about it.

Every change goes through `_move`, which checks it against the legal transitions. Each method returns the `Transition`
it caused, or None, so that the caller can record it. An order leaves the live set when it is *settled*: over, and all
its executions are in. The order stream may report `Filled` before the execution arrives; if the level were free in
between, the strategy would place it again before its grid knows of the fill.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from decimal import Decimal

from gridbot.core import Direction, Instrument, LimitOrder, LimitOrders, OrderUpdateEvent
from gridbot.orders.order import LEGAL, IllegalTransition, OrderState, TrackedOrder, Transition, state_of

__all__ = ["OrderBook"]

ZERO = Decimal(0)
FINISHED_KEPT = 2_000


class OrderBook:
    """Live orders by key, and the last `FINISHED_KEPT` finished ones so that late messages find their order."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._live: dict[str, TrackedOrder] = {}
        self._finished: OrderedDict[str, TrackedOrder] = OrderedDict()
        self._key_of_order_id: dict[str, str] = {}
        self._levels: Counter[tuple[Direction, int]] = Counter()
        self._version = 0
        self._view = LimitOrders(long=[], short=[])
        self._sums: dict[tuple[Direction, bool], Decimal] = {}
        self._sums_version = -1

    def __len__(self) -> int:
        """Orders that may still execute."""
        return sum(1 for order in self._live.values() if not order.state.is_final)

    def __iter__(self) -> Iterator[TrackedOrder]:
        """Every order that is not settled, oldest first."""
        return iter(list(self._live.values()))

    @property
    def limit_orders(self) -> LimitOrders:
        """The orders as the engine sees them; its version grows with every change.

        Orders being cancelled are left out (the strategy has decided about them), but their levels stay taken: see
        `has_live`.
        """
        view = self._view
        if view.version != self._version:
            view.long.clear()
            view.short.clear()
            for order in self._live.values():
                if order.state is not OrderState.PENDING_CANCEL:
                    shown = view.long if order.direction is Direction.LONG else view.short
                    shown.append(LimitOrder(order.key, order.side, order.ticks, order.cum_exec_qty > 0))
            view.version = self._version
        return view

    def get(self, key: str) -> TrackedOrder | None:
        """The order with this wire id or exchange id, live or recently finished."""
        key = self._key_of_order_id.get(key, key)
        return self._live.get(key) or self._finished.get(key)

    def has_live(self, direction: Direction, ticks: int) -> bool:
        """Whether a level is taken. Asked before every placement: at most one live order per (direction, price)."""
        return self._levels[direction, ticks] > 0

    def resting_close_qty(self, direction: Direction) -> Decimal:
        """Base coin that live reduce-only orders of this leg may still close."""
        return self._sum(direction, closing=True)

    def opening_notional(self, direction: Direction | None = None) -> Decimal:
        """USDT that live opening orders (of one leg, or both) may still add, at their own prices."""
        legs = Direction if direction is None else (direction,)
        return sum((self._sum(leg, closing=False) for leg in legs), ZERO)

    def unsettled(self) -> list[TrackedOrder]:
        """Orders that are over on the exchange while executions of theirs are missing here."""
        return [o for o in self._live.values() if o.state.is_final]

    # ------------------------------------------------------------------ our own actions

    def add(self, order: TrackedOrder) -> Transition:
        """Add a new or an adopted order, in any state."""
        if order.key in self._live or order.key in self._finished:
            raise IllegalTransition(f"{order.key}: expected an id that was never used, got one the book knows")
        self._live[order.key] = order
        self._levels[order.direction, order.ticks] += 1
        if order.order_id:
            self._key_of_order_id[order.order_id] = order.key
        self._version += 1
        return Transition(order, order.state, order.state, exchange_ts=order.exchange_ts)

    def acknowledge(self, key: str, order_id: str) -> None:
        """The exchange accepted the request. The order counts as open only when the stream or a listing says so."""
        order = self.get(key)
        if order is not None and order_id:
            order.order_id = order_id
            self._key_of_order_id[order_id] = order.key

    def reject(self, key: str, reason: str) -> Transition | None:
        """The order is proved not to exist."""
        return self._move(self._open(key), OrderState.REJECTED, reason)

    def drop_unsent(self, key: str, reason: str) -> Transition | None:
        """Cancel an order whose request never left; nothing has to be sent."""
        order = self._open(key)
        return None if order is None or order.on_wire else self._move(order, OrderState.CANCELLED, reason)

    def lose_reply(self, key: str, reason: str) -> Transition | None:
        """A reply was lost: whether the order exists is unknown until it has been looked up."""
        order = self._open(key)
        if order is None or order.state is OrderState.UNRESOLVED:
            return None
        return self._move(order, OrderState.UNRESOLVED, reason)

    def resend(self, key: str, reason: str) -> Transition | None:
        """A look-up found that the order never arrived: it waits to be sent again, under the same id."""
        order = self._open(key)
        if order is None or order.state is not OrderState.UNRESOLVED:
            return None
        return self._move(order, OrderState.PENDING, reason)

    def ask_cancel(self, key: str, reason: str) -> Transition | None:
        """Mark that a cancel is under way; None when one is already, or there is nothing to cancel."""
        order = self._open(key)
        if order is None or order.state is OrderState.PENDING_CANCEL:
            return None
        return self._move(order, OrderState.PENDING_CANCEL, reason)

    def cancel_failed(self, key: str, reason: str) -> Transition | None:
        """The cancel was refused and the order is still there."""
        order = self._open(key)
        if order is None or order.state is not OrderState.PENDING_CANCEL:
            return None
        after = OrderState.PARTIALLY_FILLED if order.cum_exec_qty > 0 else OrderState.OPEN
        return self._move(order, after, reason)

    def gone(self, key: str, reason: str) -> Transition | None:
        """The exchange no longer knows the order and its executions are in: it is over."""
        order = self._open(key)
        if order is None:
            return None
        complete = order.cum_exec_qty >= order.qty
        return self._move(order, OrderState.FILLED if complete else OrderState.CANCELLED, reason)

    def revive(self, row: OrderUpdateEvent) -> Transition | None:
        """A final order rests after all: live again, as the exchange has it."""
        order = self.get(row.order_link_id) or self.get(row.order_id)
        if order is None or not order.state.is_final:
            return None
        before = order.state
        if order.key not in self._live:
            del self._finished[order.key]
            self._live[order.key] = order
            self._levels[order.direction, order.ticks] += 1
        order.state, order.exchange_ts, order.on_wire = state_of(row.status, row.cum_exec_qty), row.exchange_ts, True
        self.acknowledge(order.key, row.order_id)
        self._take_terms(order, row)
        self._version += 1
        return Transition(order, before, order.state, "it rests after all", row.exchange_ts)

    def settle(self, key: str) -> None:
        """Give up waiting for executions that the exchange's own list does not have either."""
        order = self._live.get(key)
        if order is not None and order.state.is_final:
            order.exec_qty = max(order.exec_qty, order.cum_exec_qty)
            self._retire(order)

    # ------------------------------------------------------------------ what the exchange reports

    def apply_update(self, event: OrderUpdateEvent) -> Transition | None:
        """Apply a stream message or a listing's row; old and repeated news change nothing (docs/bybit.md 3.12)."""
        order = self.get(event.order_link_id) or self.get(event.order_id)
        if order is None or order.state.is_final:
            return None
        self.acknowledge(order.key, event.order_id)
        stale = event.exchange_ts < order.exchange_ts or event.cum_exec_qty < order.cum_exec_qty
        if stale and event.status.is_open:
            return None
        order.exchange_ts = max(order.exchange_ts, event.exchange_ts)
        order.on_wire = True
        self._take_terms(order, event)
        after = state_of(event.status, order.cum_exec_qty)
        if after is order.state or (order.state is OrderState.PENDING_CANCEL and not after.is_final):
            return None  # nothing new; while our cancel is under way only a final state counts
        reason = event.reject_reason if event.reject_reason not in ("", "EC_NoError") else event.cancel_type
        return self._move(order, after, "" if reason == "UNKNOWN" else reason, event.exchange_ts)

    def apply_execution(
        self, key: str, qty: Decimal, leaves_qty: Decimal, exchange_ts: int, *, order_qty: Decimal | None = None
    ) -> Transition | None:
        """Account for one execution of `qty`, which left `leaves_qty` on the order. The caller has removed repeats.

        `order_qty` is the order's quantity as the exchange has it, which may be less than we asked for.
        """
        order = self.get(key)
        if order is None:
            return None
        order.qty = order_qty or order.qty
        order.exec_qty += qty
        # `leaves_qty` tells how much was executed; our own sum only tells whether we have seen all of it.
        order.cum_exec_qty = max(order.cum_exec_qty, order.qty - leaves_qty)
        self._version += 1
        if order.state.is_final:
            if order.is_settled:
                self._retire(order)
            return None
        order.on_wire = True
        order.exchange_ts = max(order.exchange_ts, exchange_ts)
        if order.cum_exec_qty >= order.qty:
            return self._move(order, OrderState.FILLED, "", exchange_ts)
        if order.state in (OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL):
            return None
        return self._move(order, OrderState.PARTIALLY_FILLED, "", exchange_ts)

    # ------------------------------------------------------------------ inside

    def _take_terms(self, order: TrackedOrder, event: OrderUpdateEvent) -> None:
        """Take the exchange's price and quantity: it re-prices outside its band and clamps reduce-only orders."""
        if event.price > 0 and event.price != order.price:
            self._levels[order.direction, order.ticks] -= 1
            order.price, order.ticks = event.price, self.instrument.ticks(event.price)
            self._levels[order.direction, order.ticks] += 1
            self._version += 1
        if event.qty > 0 and event.qty != order.qty:
            order.qty = event.qty
            self._version += 1
        if event.cum_exec_qty > order.cum_exec_qty:
            order.cum_exec_qty = event.cum_exec_qty
            self._version += 1

    def _sum(self, direction: Direction, *, closing: bool) -> Decimal:
        """Computed once per version, since the gate asks for every order of a batch."""
        if self._sums_version != self._version:
            sums = {(leg, kind): ZERO for leg in Direction for kind in (True, False)}
            for order in self._live.values():
                left = order.open_qty
                sums[order.direction, order.reduce_only] += left if order.reduce_only else left * order.price
            self._sums, self._sums_version = sums, self._version
        return self._sums[direction, closing]

    def _open(self, key: str) -> TrackedOrder | None:
        order = self._live.get(self._key_of_order_id.get(key, key))
        return None if order is None or order.state.is_final else order

    def _move(
        self, order: TrackedOrder | None, after: OrderState, reason: str, exchange_ts: int = 0
    ) -> Transition | None:
        if order is None:
            return None
        before = order.state
        if after not in LEGAL[before]:
            raise IllegalTransition(f"{order.key}: {before} -> {after} is not a legal transition ({reason})")
        order.state = after
        self._version += 1
        if order.is_settled:
            self._retire(order)
        return Transition(order, before, after, reason, exchange_ts)

    def _retire(self, order: TrackedOrder) -> None:
        if self._live.pop(order.key, None) is None:
            return
        self._levels[order.direction, order.ticks] -= 1
        self._finished[order.key] = order
        self._version += 1
        while len(self._finished) > FINISHED_KEPT:
            _, forgotten = self._finished.popitem(last=False)
            self._key_of_order_id.pop(forgotten.order_id, None)
