"""Requests to the exchange and its answers, except for the answers that are events (`core.events`)."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import SETTLE_COIN, Direction, Side

__all__ = [
    "OF_EXECUTIONS",
    "ORDERS_AT_ONCE",
    "SETTLE_COIN",
    "AccountInfo",
    "ApiKeyInfo",
    "CancelRef",
    "FeeRate",
    "OrderAck",
    "OrderRequest",
    "PublicTrade",
    "RateLimit",
    "Taking",
    "Transaction",
]

ORDERS_AT_ONCE = 4
"""Requests for orders that may be unanswered at a time; the transport sends so many without delay."""


OF_EXECUTIONS = frozenset(
    {"TRADE", "SETTLEMENT", "LIQUIDATION", "ADL", "DELIVERY", "FORWARD_SPLIT_SETTLE", "REVERSE_SPLIT_SETTLE"}
)
"""Kinds of the transaction log's rows that executions make; all else is transfers, interest, gifts."""


class Taking(StrEnum):
    """How an order that ends at once takes: what it does not find at once is cancelled (IOC)."""

    LIMIT = "limit"
    MARKET = "market"
    WHOLE = "whole"
    """At the market, whatever the leg has: quantity 0 with reduceOnly and closeOnTrigger."""


class OrderRequest(NamedTuple):
    """One order to create. `qty` is base coin, `price` USDT; both already rounded to the instrument's steps.

    `direction` becomes positionIdx 1 or 2. `order_link_id` has at most 36 characters of [A-Za-z0-9_-]. A limit order
    that may rest, unless `taking` says how it takes. `one_way`: what takes is for a position without a hedge, and
    positionIdx is 0.
    """

    symbol: str
    side: Side
    direction: Direction
    qty: Decimal
    price: Decimal
    order_link_id: str
    reduce_only: bool
    post_only: bool = True
    taking: Taking | None = None
    one_way: bool = False


@quick_value(frozen=True, slots=True)
class OrderAck:
    """The request was accepted, nothing more: the order's state comes by stream or listing (docs/bybit.md 3.12)."""

    order_id: str
    order_link_id: str


@quick_value(frozen=True, slots=True)
class CancelRef:
    """Names an order to cancel. With both ids given the exchange goes by `order_id`; "" is not sent."""

    order_id: str = ""
    order_link_id: str = ""


@quick_value(frozen=True, slots=True)
class PublicTrade:
    """One trade of the market; `side` is the taker's. USDT, base coin, milliseconds UTC."""

    symbol: str
    trade_id: str
    side: Side
    price: Decimal
    qty: Decimal
    exchange_ts: int


@quick_value(frozen=True, slots=True)
class RateLimit:
    """`X-Bapi-Limit*` headers of the last answer of an endpoint.

    `limit` is the quota per second, `remaining` what is left of it, `reset_ms` (UTC, exchange's clock) when it is full
    again; Bybit writes "now" there while some is left.
    """

    limit: int
    remaining: int
    reset_ms: int


@quick_value(frozen=True, slots=True)
class ApiKeyInfo:
    """What the API key may do (`user/query-api`). `user_id` is the account's UID; the key itself is not kept.

    `deadline_days` is negative for a key that is bound to addresses; others expire.
    """

    user_id: str
    read_only: bool
    contract_trade: tuple[str, ...]
    can_withdraw: bool
    wallet: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    is_unified: bool = True
    expires_at: str = ""
    deadline_days: int | None = None
    vip_level: str = ""

    @property
    def is_bound(self) -> bool:
        """Whether the exchange takes it from certain addresses only."""
        return bool(self.ips) and "*" not in self.ips


@quick_value(frozen=True, slots=True)
class AccountInfo:
    """`account/info`. `margin_mode` is REGULAR_MARGIN (cross), ISOLATED_MARGIN or PORTFOLIO_MARGIN, account-wide."""

    margin_mode: str
    unified_margin_status: int | None = None
    updated_ts: int | None = None


@quick_value(frozen=True, slots=True)
class FeeRate:
    """Fees of a symbol as fractions of the traded value; a maker rebate is negative."""

    symbol: str
    maker: Decimal
    taker: Decimal


class Transaction(NamedTuple):
    """A row of the transaction log. Amounts in `currency`: `change` = `cash_flow` + `funding` - `fee`.

    `kind` is Bybit's type (TRADE, SETTLEMENT for funding, LIQUIDATION, TRANSFER_IN, ...), `exec_id` that of the
    execution where there is one. A named tuple: a check makes hundred thousands of them.
    """

    kind: str
    symbol: str
    exec_id: str
    currency: str
    cash_flow: Decimal
    funding: Decimal
    fee: Decimal
    change: Decimal
    exchange_ts: int

    @property
    def is_of_execution(self) -> bool:
        """Whether an execution made it, so that our records have to have it."""
        return self.kind in OF_EXECUTIONS and bool(self.symbol)

    @property
    def is_usdt(self) -> bool:
        """False for what moved another coin, such as a fee paid in MNT."""
        return self.currency in ("", SETTLE_COIN)

    @property
    def realised(self) -> Decimal:
        """What an execution realised, before fees and funding."""
        return Decimal(0) if self.funding else self.cash_flow

    @property
    def cost(self) -> Decimal:
        """Its fee, or the funding paid: the rest of what the wallet moved by, whatever the exchange counts as one."""
        return self.realised - self.change
