"""What happens to a strategy, as values.

The same types come from the streams and from REST: an open order of a listing is an `OrderUpdateEvent`, a row of
`position/list` a `PositionEvent`. Prices and quantities are `Decimal` in USDT and base coin, times are integers:
`exchange_ts` in milliseconds UTC on the exchange's clock, `received_ns` from `time.monotonic_ns()` at the moment the
frame reached us (0 when not measured). None means "the exchange did not say"; zero means zero (incident L46).
`raw` is the row an event was read from, kept as evidence where that is configured; no decision depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, final

from gridbot.core.execution_types import ExecType
from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import SETTLE_COIN, Direction, Side

__all__ = [
    "CoinBalance",
    "Event",
    "ExecType",
    "ExecutionEvent",
    "OrderStatus",
    "OrderUpdateEvent",
    "PositionEvent",
    "TickerEvent",
    "WalletEvent",
]

ZERO = Decimal(0)
_BUY, _LONG, _SHORT = Side.BUY, Direction.LONG, Direction.SHORT


class OrderStatus(StrEnum):
    """Bybit's `orderStatus` for linear contracts (docs/bybit.md 3.1)."""

    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    UNTRIGGERED = "Untriggered"
    TRIGGERED = "Triggered"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    PARTIALLY_FILLED_CANCELED = "PartiallyFilledCanceled"
    REJECTED = "Rejected"
    DEACTIVATED = "Deactivated"

    is_open: bool
    """Whether more may happen to it."""

    def __init__(self, value: str) -> None:
        self.is_open = value in ("New", "PartiallyFilled", "Untriggered", "Triggered")


@quick_value(frozen=True, slots=True)
class TickerEvent:
    """Newest market prices of a symbol. Decisions use `last_price`; the others are for information."""

    symbol: str
    last_price: Decimal
    exchange_ts: int = 0
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    bid1_price: Decimal | None = None
    ask1_price: Decimal | None = None
    funding_rate: Decimal | None = None
    next_funding_ts: int | None = None
    received_ns: int = 0


@quick_value(frozen=True, slots=True)
class ExecutionEvent:
    """One execution, mostly of an order. `fee` is all that it cost in USDT: positive paid, negative earned.

    `closed_size` is the part of `qty` that reduced a position. Executions carry no positionIdx: `direction` follows
    from side and `closed_size`. `leaves_qty` 0 means that the order is complete. `realised` is the exchange's own
    figure before fees, which its lists do not have; `seq` its sequence number in the symbol, 0 when it gave none.

    `taxes` is the part of `fee` that came on top of the exchange's own. That one is in `fee_currency`; what is charged
    in other coins than USDT is in `other_fees`, by coin, and not in `fee`. `exec_word` is the type as the exchange
    called it. Where it moves no leg, side, price and quantity may have no meaning (Buy and 0 when it gave none).
    """

    symbol: str
    exec_id: str
    order_id: str
    order_link_id: str
    side: Side
    price: Decimal
    qty: Decimal
    leaves_qty: Decimal = ZERO
    fee: Decimal = ZERO
    closed_size: Decimal = ZERO
    exec_type: ExecType = ExecType.TRADE
    exec_word: str = ""
    fee_currency: str = SETTLE_COIN
    taxes: Decimal = ZERO
    other_fees: tuple[tuple[str, Decimal], ...] = ()
    is_maker: bool = True
    exchange_ts: int = 0
    order_qty: Decimal | None = None
    order_price: Decimal | None = None
    fee_rate: Decimal | None = None
    mark_price: Decimal | None = None
    seq: int = 0
    realised: Decimal | None = None
    received_ns: int = 0
    raw: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def is_close(self) -> bool:
        return self.closed_size > 0

    @property
    def direction(self) -> Direction:
        closes = self.closed_size > 0
        return _LONG if (self.side is _BUY) != closes else _SHORT  # `Direction.of_order`


@quick_value(frozen=True, slots=True)
class OrderUpdateEvent:
    """State of one order as the exchange reported it; `exchange_ts` is its `updatedTime`.

    `leaves_qty` is 0 once an order is closed, even when nothing was executed: the part not executed is
    `qty - cum_exec_qty`. `direction` is None in one-way mode (positionIdx 0), which is never ours.
    """

    symbol: str
    order_id: str
    order_link_id: str
    side: Side
    direction: Direction | None
    price: Decimal
    qty: Decimal
    status: OrderStatus
    cum_exec_qty: Decimal = ZERO
    leaves_qty: Decimal = ZERO
    avg_price: Decimal | None = None
    reduce_only: bool = False
    cancel_type: str = ""
    reject_reason: str = ""
    order_type: str = "Limit"
    exchange_ts: int = 0
    created_ts: int = 0
    raw: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)


@quick_value(frozen=True, slots=True)
class PositionEvent:
    """One leg of a symbol; `size` 0 is a flat leg, and an event like any other (incident L24).

    `reduce_only`: the exchange has cut the leg's risk tier and lets it only become smaller; None when it did not tell.
    """

    symbol: str
    direction: Direction
    size: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liq_price: Decimal | None = None
    leverage: Decimal | None = None
    unrealised_pnl: Decimal | None = None
    position_im: Decimal | None = None
    position_mm: Decimal | None = None
    cum_realised_pnl: Decimal | None = None
    status: str = "Normal"
    reduce_only: bool | None = False
    seq: int = 0
    exchange_ts: int = 0

    @property
    def entry_value(self) -> Decimal:
        """size × entry in USDT; Bybit's own `positionValue` is mark-based on some paths (incident L48)."""
        return self.size * self.entry_price if self.entry_price is not None else ZERO


class CoinBalance(NamedTuple):
    """Another coin than the settle coin: what the wallet has of it, and what the exchange says that is worth in USD."""

    coin: str
    balance: Decimal
    usd_value: Decimal | None = None

    @property
    def price(self) -> Decimal | None:
        """USD a coin, where that can be told."""
        return self.usd_value / self.balance if self.balance and self.usd_value else None


@final
@quick_value(frozen=True, slots=True)
class WalletEvent:
    """The settle coin's row and the account totals, in coin units (USDT) and USD respectively.

    Without `has_coin` there was no row of the coin, so its figures have not changed: `on_top_of` keeps them. `others`
    are the rows of other coins; unless it `is_whole`, a coin that is not among them has not changed either.
    """

    coin: str
    wallet_balance: Decimal | None
    equity: Decimal | None = None
    available_balance: Decimal | None = None
    unrealised_pnl: Decimal | None = None
    total_equity: Decimal | None = None
    total_initial_margin: Decimal | None = None
    total_maintenance_margin: Decimal | None = None
    account_im_rate: Decimal | None = None
    account_mm_rate: Decimal | None = None
    exchange_ts: int = 0
    has_coin: bool = True
    others: tuple[CoinBalance, ...] = ()
    is_whole: bool = False

    def on_top_of(self, before: WalletEvent | None) -> WalletEvent:
        """This wallet, with the figures of the one before where it has none of its own."""
        if before is None or (self.has_coin and (self.is_whole or not before.others)):
            return self
        others = {} if self.is_whole else {each.coin: each for each in before.others}
        others |= {each.coin: each for each in self.others}
        after = replace(self, others=tuple(others.values()))
        if self.has_coin:
            return after
        return replace(
            after,
            wallet_balance=before.wallet_balance,
            equity=before.equity,
            unrealised_pnl=before.unrealised_pnl,
            has_coin=before.has_coin,
        )


Event = TickerEvent | ExecutionEvent | OrderUpdateEvent | PositionEvent | WalletEvent
