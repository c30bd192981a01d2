"""Orders and executions as the exchange keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Direction, Side

__all__ = ["Execution", "NewOrder", "Order", "Trigger"]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a conditional order waits for: that the price `by` rises (direction 1) or falls (2) to `price`."""

    price: Decimal
    direction: int
    by: str

    def is_met(self, price: Decimal) -> bool:
        return price >= self.price if self.direction == 1 else price <= self.price


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A create request that passed the checks which need no account. Price and quantity fit tick and step.

    `price` is None for a market order. `position_idx` is 0 (one-way), 1 (hedge long) or 2 (hedge short).
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None
    position_idx: int
    time_in_force: str = "GTC"
    order_link_id: str = ""
    reduce_only: bool = False
    close_on_trigger: bool = False
    smp_type: str = "None"
    close_all: bool = False
    create_type: str = "CreateByUser"
    trigger: Trigger | None = None


@dataclass(slots=True)
class Order:
    """One order from acceptance to its end. Times are milliseconds of the exchange's clock.

    `number` counts the orders of the exchange: listings are sorted and paged by it. `reserved` is the margin it locks.
    """

    number: int
    order_id: str
    request: NewOrder
    qty: Decimal
    price: Decimal
    closing: bool
    last_price: Decimal
    created_ms: int
    updated_ms: int
    status: OrderStatus = OrderStatus.NEW
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    cum_fee: Decimal = ZERO
    closed_pnl: Decimal = ZERO
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    reserved: Decimal = ZERO
    smp_order_id: str = ""

    @property
    def symbol(self) -> str:
        return self.request.symbol

    @property
    def side(self) -> Side:
        return self.request.side

    @property
    def link_id(self) -> str:
        return self.request.order_link_id

    @property
    def is_market(self) -> bool:
        return self.request.price is None

    @property
    def is_open(self) -> bool:
        return self.status.is_open

    @property
    def is_waiting(self) -> bool:
        """True while it waits for its trigger: it is in no book, locks no margin, covers no position."""
        return self.status in (OrderStatus.UNTRIGGERED, OrderStatus.TRIGGERED)

    @property
    def is_stop(self) -> bool:
        """What `orderFilter=StopOrder` means: not triggered (yet, or ever)."""
        return self.is_waiting or self.status is OrderStatus.DEACTIVATED

    @property
    def unfilled(self) -> Decimal:
        """What was not executed; `leaves` shows 0 once the order is closed, this does not."""
        return self.qty - self.cum_qty

    @property
    def leaves(self) -> Decimal:
        return self.unfilled if self.is_open else ZERO

    @property
    def direction(self) -> Direction:
        """Leg it works on; in one-way mode the leg that an opening order of this side makes."""
        if self.request.position_idx:
            return Direction.from_position_idx(self.request.position_idx)
        return Direction.of_order(self.side, reduce_only=self.closing)


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution. `fee` is positive when paid; for `Funding` it is the payment and there is no order.

    `realised` is the profit of the closed part before fees.
    """

    number: int
    exec_id: str
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_rate: Decimal
    exec_type: str
    is_maker: bool
    time_ms: int
    seq: int
    mark_price: Decimal
    closed_size: Decimal = ZERO
    realised: Decimal = ZERO
    leaves_qty: Decimal = ZERO
    order_id: str = ""
    order_link_id: str = ""
    order_price: Decimal = ZERO
    order_qty: Decimal = ZERO
    order_type: str = "UNKNOWN"
    create_type: str = ""

    @property
    def value(self) -> Decimal:
        return self.price * self.qty
