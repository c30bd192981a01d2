"""Orders and executions as the exchange keeps them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import SETTLE_COIN, Direction, Side
from gridbot.paper.accounts.stop_kinds import STOP_OF_CREATE_TYPE, Attached, StopKind, Trail

__all__ = ["Amendment", "Execution", "NewOrder", "Order", "Slippage", "Trigger"]

ZERO = Decimal(0)


@quick_value(frozen=True, slots=True)
class Trigger:
    """Fires when the price named by `by` rises (direction 1) or falls (direction 2) to `price`."""

    price: Decimal
    direction: int
    by: str

    def is_met(self, price: Decimal) -> bool:
        return price >= self.price if self.direction == 1 else price <= self.price


@quick_value(frozen=True, slots=True)
class Slippage:
    """How far from the best price a market order may go: `value` ticks (`TickSize`) or percent (`Percent`)."""

    kind: str
    value: Decimal

    def furthest(self, side: Side, best: Decimal, tick_size: Decimal) -> Decimal:
        """Worst price still taken, when `best` is the best one of the other side."""
        room = self.value * tick_size if self.kind == "TickSize" else best * self.value / 100
        return best + room if side is Side.BUY else best - room


@dataclass(slots=True)  # not frozen: that takes three times as long to make, 3 % of an order
class NewOrder:
    """A create request that passed the checks which need no account. Price and quantity fit tick and step.

    Nobody changes one: several parts share it, and what differs is another one (`replace`).

    `price` is None for a market order. `position_idx` is 0 (one-way), 1 (hedge long) or 2 (hedge short). A stop that
    was attached to an order has that order's link id as `parent_link_id`.
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
    trail: Trail | None = None
    attached: Attached | None = None
    slippage: Slippage | None = None
    rpi_taker_access: bool = False
    parent_link_id: str = ""


@quick_value(frozen=True, slots=True)
class Amendment:
    """Changes to an open order; None keeps a value, an empty `attached` removes its stops."""

    qty: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_by: str | None = None
    attached: Attached | None = None


class _Asked:
    """What of its request never changes, also where an order is amended: it is asked for twenty times a fill."""

    __slots__ = ("link_id", "side", "symbol")
    link_id: str
    side: Side
    symbol: str
    request: NewOrder

    def __post_init__(self) -> None:
        request = self.request
        self.symbol, self.side, self.link_id = request.symbol, request.side, request.order_link_id


@dataclass(slots=True)
class Order(_Asked):
    """One order from acceptance to its end. Times are milliseconds of the exchange's clock.

    `number` counts the orders of the exchange: listings are sorted and paged by it. `reserved` is the margin it locks.
    `children` are the ids of the stops that its fills made, `sibling_id` is the other one of a pair of stops.
    `closed_pnl` is net of the fees to open and to close, in USDT; `cum_fee` is in `fee_coin`.
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
    reserved: Decimal = ZERO
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    cum_fee: Decimal = ZERO
    closed_pnl: Decimal = ZERO
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    smp_order_id: str = ""
    sibling_id: str = ""
    children: tuple[str, ...] = ()
    fee_coin: str = SETTLE_COIN

    @property
    def is_market(self) -> bool:
        return self.request.price is None

    @property
    def is_open(self) -> bool:
        return self.status.is_open

    @property
    def is_waiting(self) -> bool:
        """True while it waits for its trigger: it is in no book, locks no margin, covers no position."""
        return self.status is OrderStatus.UNTRIGGERED or self.status is OrderStatus.TRIGGERED

    @property
    def is_stop(self) -> bool:
        """What `orderFilter=StopOrder` means: not triggered (yet, or ever)."""
        return self.is_waiting or self.status is OrderStatus.DEACTIVATED

    @property
    def stop_kind(self) -> StopKind | None:
        """Which stop of a position it is; None for orders of the account's own."""
        return STOP_OF_CREATE_TYPE.get(self.request.create_type)

    @property
    def unfilled(self) -> Decimal:
        """Quantity not executed; unlike `leaves` it does not become 0 when the order is closed."""
        return self.qty - self.cum_qty

    @property
    def leaves(self) -> Decimal:
        return self.unfilled if self.is_open else ZERO

    def add_fill(self, qty: Decimal, value: Decimal, fee: Decimal, net: Decimal, now_ms: int) -> None:
        """Count a fill of `value` USDT that brought `net` by what it closed; the order ends when nothing is left."""
        self.cum_qty += qty
        self.cum_value += value
        self.cum_fee += fee
        self.closed_pnl += net
        self.updated_ms = now_ms
        self.status = OrderStatus.FILLED if self.unfilled <= 0 else OrderStatus.PARTIALLY_FILLED

    @property
    def direction(self) -> Direction:
        """Leg it works on; in one-way mode the leg that an opening order of this side makes."""
        if self.request.position_idx:
            return Direction.from_position_idx(self.request.position_idx)
        return Direction.of_order(self.side, reduce_only=self.closing)


@quick_value(frozen=True, slots=True)
class Execution:
    """One execution. `fee` is positive when paid; for `Funding` it is the payment and there is no order.

    It is charged in `fee_coin`; `tax` comes on top of it, in USDT.

    `realised` is the profit of the closed part before fees. `position_size` (negative for a short) and `wallet` (USDT)
    are what position and wallet were afterwards.
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
    position_size: Decimal = ZERO
    wallet: Decimal = ZERO
    fee_coin: str = SETTLE_COIN
    tax: Decimal = ZERO

    @property
    def cost(self) -> Decimal:
        """What it cost in USDT."""
        return (self.fee if self.fee_coin == SETTLE_COIN else ZERO) + self.tax

    @property
    def change(self) -> Decimal:
        """Change of the wallet in USDT."""
        return self.realised - self.cost

    @property
    def value(self) -> Decimal:
        return self.price * self.qty
