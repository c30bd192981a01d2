"""What can happen to one order, as a table. Which event causes which change is in `orders/life.py`.

::

                 ┌────────────► rejected
                 │                  ▲
    pending ─────┼──► open ──► partially filled ──► filled
      │  ▲       │     │  ▲         │  ▲              ▲
      ▼  │       │     ▼  │         ▼  │              │
    unresolved ◄─┴── pending cancel ───┴──────────► cancelled

`pending` is on its way (or waits to be sent). `unresolved` means that a reply was lost: the order may or may not exist,
so its level stays taken until a look-up by orderLinkId has answered. The state follows the cumulative executed
quantity, never a single message (incident L17). `CONTRADICTED` has the way back from a final state that was only
inferred.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from gridbot.core import Direction, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders.retry import NO_TRIES, Tries

__all__ = [
    "CONTRADICTED",
    "LEGAL",
    "IllegalTransition",
    "OrderState",
    "TrackedOrder",
    "Transition",
    "is_in_doubt",
    "is_older",
    "state_of",
]

ZERO = Decimal(0)


class OrderState(StrEnum):
    """Where an order is in its life, as far as we can prove it."""

    PENDING = "pending"
    UNRESOLVED = "unresolved"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    is_final: bool
    """Whether nothing more is expected of the exchange."""

    def __init__(self, value: str) -> None:
        self.is_final = value in ("filled", "cancelled", "rejected")

    __hash__ = str.__hash__  # the enum's own is five times slower, and states are looked up with every message


S = OrderState
_FINAL = frozenset(state for state in S if state.is_final)

LEGAL: dict[OrderState, frozenset[OrderState]] = {
    S.PENDING: frozenset(S) - {S.PENDING},
    S.UNRESOLVED: frozenset(S) - {S.UNRESOLVED},
    S.OPEN: frozenset({S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.UNRESOLVED, *_FINAL}),
    S.PARTIALLY_FILLED: frozenset({S.PENDING_CANCEL, S.UNRESOLVED, *_FINAL}),
    S.PENDING_CANCEL: frozenset({S.OPEN, S.PARTIALLY_FILLED, S.UNRESOLVED, *_FINAL}),
    S.FILLED: frozenset(),
    S.CANCELLED: frozenset(),
    S.REJECTED: frozenset(),
}
"""Every legal change of state; final states have none."""

CONTRADICTED: dict[OrderState, frozenset[OrderState]] = {
    S.CANCELLED: frozenset({S.OPEN, S.PARTIALLY_FILLED, S.FILLED}),
    S.REJECTED: frozenset({S.OPEN, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED}),
    S.FILLED: frozenset(),
}
"""What a final state becomes when the exchange contradicts it. A complete order never comes back."""


class IllegalTransition(Exception):
    """A change of state that is not in the table: a bug of ours, never the exchange's fault."""


@dataclass(slots=True)
class TrackedOrder:
    """One of our orders, from the decision to its end. Quantities in base coin, `price` in USDT, times in ms UTC.

    `link_id` is the id on the wire. `exchange_ts` is the newest exchange time seen, so that an older message cannot
    turn the state back (`is_older`, `is_in_doubt`). `sent_ms` is our clock when its create request (last) left,
    `attempt` how often it did. Changed by its book and by `orders/life.py` alone.
    """

    strat_id: str
    symbol: str
    side: Side
    direction: Direction
    ticks: int
    price: Decimal
    qty: Decimal
    reduce_only: bool
    link_id: str
    order_id: str = ""
    state: OrderState = OrderState.PENDING
    cum_exec_qty: Decimal = ZERO
    exec_qty: Decimal = ZERO
    """The sum of the executions we have seen. The order stream may be ahead of it: the two streams are not in step."""
    attempt: int = 0
    sent_ms: int | None = None
    exchange_ts: int = 0
    post_only: bool = True
    on_wire: bool = False
    """The exchange may have it: a request has left, and was not proved to be without effect."""
    in_flight: bool = False
    """A create request is under way. Its answer will say more than any look-up before it."""
    cancelling: bool = False
    """A cancel request waits or is under way; False again once it was answered."""
    withdrawn: str = ""
    """Why nobody wants it any more; empty while somebody does. A withdrawn order is never sent (again), and it is
    cancelled as soon as it is known to rest."""
    create_tries: Tries = NO_TRIES
    cancel_tries: Tries = NO_TRIES
    answered_with: int | None = None
    """The code of the newest answer to its create that left open whether it exists."""
    ended_ts: int = 0
    """Exchange time at which the exchange itself said that it is over; 0 when it has not: then we have inferred it."""
    key: str = field(init=False, repr=False)
    """Its name in the engine and the book: our wire id, or the exchange's id for an order that has none."""

    def __post_init__(self) -> None:
        self.key = self.link_id or self.order_id

    @property
    def open_qty(self) -> Decimal:
        """What may still execute."""
        return ZERO if self.state.is_final else self.qty - self.cum_exec_qty

    @property
    def is_live(self) -> bool:
        """It may rest, and we want it: there may be one such order per leg and price."""
        return not (self.withdrawn or self.state.is_final or self.state is S.PENDING_CANCEL)

    @property
    def is_cancel_answered(self) -> bool:
        """Our cancel was answered, and no other waits or is under way: the end of the order is all that is missing."""
        return self.state is S.PENDING_CANCEL and not self.cancelling and self.cancel_tries.due_s is None

    @property
    def is_settled(self) -> bool:
        """Over, and every execution of it has been seen. Until then its level stays taken."""
        return self.state.is_final and self.exec_qty >= self.cum_exec_qty


class Transition(NamedTuple):
    """An order that has changed, from which state, and why: what gets recorded."""

    order: TrackedOrder
    before: OrderState
    after: OrderState
    reason: str = ""
    exchange_ts: int = 0
    ret_code: int | None = None
    """The exchange's code, when its answer to a request caused the change."""
    is_sending: bool = False
    """Nothing has changed but that its create request leaves."""


def state_of(status: OrderStatus, cum_exec_qty: Decimal) -> OrderState:
    """Our state for an exchange status. The executed quantity outranks the status: a `New` with fills is partial."""
    if status is OrderStatus.FILLED:
        return S.FILLED
    if status is OrderStatus.REJECTED:
        return S.REJECTED
    if status.is_open:
        return S.PARTIALLY_FILLED if cum_exec_qty > 0 else S.OPEN
    return S.CANCELLED


def is_older(order: TrackedOrder, row: OrderUpdateEvent) -> bool:
    """Whether a row says that it was made before what we know: what is executed only grows, its time mostly."""
    if row.cum_exec_qty != order.cum_exec_qty:
        return row.cum_exec_qty < order.cum_exec_qty
    return row.exchange_ts < order.exchange_ts


def is_in_doubt(order: TrackedOrder, row: OrderUpdateEvent) -> bool:
    """Whether a row about an order that is not over is older by its time alone, and says something else.

    It is a repetition, or the exchange's clock was set back and the row is the newest: only the exchange can tell.
    """
    if not row.status.is_open or row.cum_exec_qty != order.cum_exec_qty or row.exchange_ts >= order.exchange_ts:
        return False
    rests_by_both = order.state in (S.OPEN, S.PARTIALLY_FILLED, S.PENDING_CANCEL)
    return not rests_by_both or row.price not in (0, order.price) or row.qty not in (0, order.qty)
