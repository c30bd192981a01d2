"""Bybit's JSON rows, of REST and of streams alike, to the core's events. Pure.

Field by field and never by truthiness (lessons L46): `""`, null, a missing field or text that is no number is None,
`"0"` is zero. Only the few fields an event cannot be without are required; a row that lacks one is a `RowProblem` and
leaves its neighbours alone. Positions go by positionIdx, never by side, which is "" for a flat leg (lessons L24).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from gridbot.bybit.types import PublicTrade
from gridbot.core.events import (
    ExecType,
    ExecutionEvent,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    TickerEvent,
    WalletEvent,
)
from gridbot.core.instrument import Instrument, RiskTier
from gridbot.core.vocabulary import Direction, Side

__all__ = [
    "TICKER_FIELDS",
    "RowProblem",
    "decimal_or_none",
    "int_or_none",
    "parse_execution",
    "parse_instrument",
    "parse_order",
    "parse_position",
    "parse_public_trade",
    "parse_rows",
    "parse_ticker",
    "parse_tiers",
    "parse_wallet",
]

Row = Mapping[str, Any]
T = TypeVar("T")

ZERO = Decimal(0)
MAX_MAGNITUDE = 30
"""Powers of ten a price or amount may have; anything beyond is garbage, and garbage that eats memory when formatted."""

TICKER_FIELDS = (
    "lastPrice",
    "markPrice",
    "indexPrice",
    "bid1Price",
    "ask1Price",
    "fundingRate",
    "nextFundingTime",
)


class FieldError(ValueError):
    """A row lacks something it cannot be without, or has something nobody knows."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that could not be used: `index` in its list, `reason`, and the symbol and id where it has them."""

    index: int
    reason: str
    symbol: str = ""
    row_id: str = ""

    def __str__(self) -> str:
        what = " ".join(part for part in (self.symbol, self.row_id) if part)
        return f"row {self.index}{f' ({what})' if what else ''}: {self.reason}"


# ---------------------------------------------------------------------- fields


def decimal_or_none(value: object) -> Decimal | None:
    """A finite number from text, int or float; None for everything else."""
    if type(value) is not str:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        value = str(value)
    if not value:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > MAX_MAGNITUDE:
        return None
    return number


def int_or_none(value: object) -> int | None:
    """A whole number from text or int; None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) <= MAX_MAGNITUDE:
        try:
            return int(value)
        except ValueError:
            return None
    return None


def _text(row: Row, field: str) -> str:
    value = row.get(field)
    return value if isinstance(value, str) else ""


def _need_text(row: Row, field: str) -> str:
    value = _text(row, field)
    if not value:
        raise FieldError(f"expected text in {field}, got {row.get(field)!r:.40}")
    return value


def _need_decimal(row: Row, field: str) -> Decimal:
    value = decimal_or_none(row.get(field))
    if value is None:
        raise FieldError(f"expected a number in {field}, got {row.get(field)!r:.40}")
    return value


def _or_zero(row: Row, field: str) -> Decimal:
    """For amounts where saying nothing means none."""
    value = decimal_or_none(row.get(field))
    return ZERO if value is None else value


def _time(row: Row, *fields: str) -> int:
    for field in fields:
        value = int_or_none(row.get(field))
        if value is not None:
            return value
    return 0


def _side(row: Row) -> Side:
    try:
        return Side(_text(row, "side"))
    except ValueError:
        raise FieldError(f"expected side Buy or Sell, got {row.get('side')!r:.40}") from None


# ---------------------------------------------------------------------- rows


def parse_rows(
    parser: Callable[[Row], T | None], rows: object, *, id_field: str = "orderId"
) -> tuple[list[T], list[RowProblem]]:
    """Run `parser` over each row; what it can read, in order, and what it cannot. Never raises.

    A parser that answers None says that the row is none of ours (a one-way position): neither a result nor a problem.
    """
    if not isinstance(rows, list):
        return [], [RowProblem(0, f"expected a list of rows, got {type(rows).__name__}")]
    good: list[T] = []
    problems: list[RowProblem] = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            problems.append(RowProblem(index, f"expected an object, got {type(row).__name__}"))
            continue
        try:
            parsed = parser(row)
        except FieldError as error:
            problems.append(RowProblem(index, str(error), _text(row, "symbol"), _text(row, id_field)))
            continue
        if parsed is not None:
            good.append(parsed)
    return good, problems


def parse_order(row: Row) -> OrderUpdateEvent:
    """A row of order/realtime, order/history or the `order` topic."""
    status = _text(row, "orderStatus")
    try:
        order_status = OrderStatus(status)
    except ValueError:
        raise FieldError(f"expected a known orderStatus, got {row.get('orderStatus')!r:.40}") from None
    index = int_or_none(row.get("positionIdx"))
    return OrderUpdateEvent(
        symbol=_need_text(row, "symbol"),
        order_id=_need_text(row, "orderId"),
        order_link_id=_text(row, "orderLinkId"),
        side=_side(row),
        direction=Direction.from_position_idx(index) if index in (1, 2) else None,
        price=_or_zero(row, "price"),  # market orders have none
        qty=_need_decimal(row, "qty"),
        status=order_status,
        cum_exec_qty=_or_zero(row, "cumExecQty"),
        leaves_qty=_or_zero(row, "leavesQty"),
        avg_price=_positive_or_none(row, "avgPrice"),
        reduce_only=row.get("reduceOnly") is True,
        cancel_type=_text(row, "cancelType"),
        reject_reason=_text(row, "rejectReason"),
        order_type=_text(row, "orderType") or "Limit",
        exchange_ts=_time(row, "updatedTime", "createdTime"),
        created_ts=_time(row, "createdTime"),
        raw=row,
    )


def parse_execution(row: Row, received_ns: int = 0) -> ExecutionEvent:
    """A row of execution/list or the `execution` topic, of any execType."""
    try:
        exec_type = ExecType(_text(row, "execType"))
    except ValueError:
        exec_type = ExecType.OTHER
    return ExecutionEvent(
        symbol=_need_text(row, "symbol"),
        exec_id=_need_text(row, "execId"),
        order_id=_text(row, "orderId"),
        order_link_id=_text(row, "orderLinkId"),
        side=_side(row),
        price=_need_decimal(row, "execPrice"),
        qty=_need_decimal(row, "execQty"),
        leaves_qty=_or_zero(row, "leavesQty"),
        fee=_or_zero(row, "execFee"),
        closed_size=_or_zero(row, "closedSize"),
        exec_type=exec_type,
        is_maker=row.get("isMaker") is True,
        exchange_ts=_time(row, "execTime"),
        order_qty=decimal_or_none(row.get("orderQty")),
        order_price=decimal_or_none(row.get("orderPrice")),
        fee_rate=decimal_or_none(row.get("feeRate")),
        mark_price=decimal_or_none(row.get("markPrice")),
        received_ns=received_ns,
        raw=row,
    )


def parse_position(row: Row) -> PositionEvent | None:
    """A row of position/list (`avgPrice`) or the `position` topic (`entryPrice`); None for a one-way row.

    A flat leg's entry price is None: there is no entry, whatever number the exchange fills in.
    """
    index = int_or_none(row.get("positionIdx"))
    if index == 0:
        return None
    if index not in (1, 2):
        raise FieldError(f"expected positionIdx 0, 1 or 2, got {row.get('positionIdx')!r:.40}")
    size = _need_decimal(row, "size")
    entry = decimal_or_none(row.get("entryPrice"))
    if entry is None:
        entry = decimal_or_none(row.get("avgPrice"))
    return PositionEvent(
        symbol=_need_text(row, "symbol"),
        direction=Direction.from_position_idx(index),
        size=abs(size),
        entry_price=entry if size and entry else None,
        mark_price=_positive_or_none(row, "markPrice"),
        liq_price=_positive_or_none(row, "liqPrice"),
        leverage=decimal_or_none(row.get("leverage")),
        unrealised_pnl=decimal_or_none(row.get("unrealisedPnl")),
        position_im=decimal_or_none(row.get("positionIM")),
        position_mm=decimal_or_none(row.get("positionMM")),
        cum_realised_pnl=decimal_or_none(row.get("cumRealisedPnl")),
        status=_text(row, "positionStatus") or "Normal",
        seq=_seq(row),
        exchange_ts=_time(row, "updatedTime", "createdTime"),
    )


def parse_wallet(row: Row, exchange_ts: int = 0, coin: str = "USDT") -> WalletEvent | None:
    """An account row of account/wallet-balance or the `wallet` topic; None when a frame does not mention `coin`.

    Frames hold only the coins that changed (lessons L47). Rows carry no time of their own: `exchange_ts` is the
    envelope's.
    """
    coins = row.get("coin")
    for entry in coins if isinstance(coins, list) else ():
        if isinstance(entry, dict) and entry.get("coin") == coin:
            return WalletEvent(
                coin=coin,
                wallet_balance=decimal_or_none(entry.get("walletBalance")),
                equity=decimal_or_none(entry.get("equity")),
                available_balance=decimal_or_none(row.get("totalAvailableBalance")),
                unrealised_pnl=decimal_or_none(entry.get("unrealisedPnl")),
                total_equity=decimal_or_none(row.get("totalEquity")),
                total_initial_margin=decimal_or_none(row.get("totalInitialMargin")),
                total_maintenance_margin=decimal_or_none(row.get("totalMaintenanceMargin")),
                account_im_rate=decimal_or_none(row.get("accountIMRate")),
                account_mm_rate=decimal_or_none(row.get("accountMMRate")),
                exchange_ts=exchange_ts,
            )
    return None


def parse_ticker(row: Row, exchange_ts: int = 0, received_ns: int = 0) -> TickerEvent:
    """A row of market/tickers, or a merged `tickers` topic. FieldError (a ValueError) without symbol or last price."""
    last_price = _need_decimal(row, "lastPrice")
    if last_price <= 0:
        raise FieldError(f"expected a positive lastPrice, got {last_price}")
    return TickerEvent(
        symbol=_need_text(row, "symbol"),
        last_price=last_price,
        exchange_ts=exchange_ts,
        mark_price=_positive_or_none(row, "markPrice"),
        index_price=_positive_or_none(row, "indexPrice"),
        bid1_price=_positive_or_none(row, "bid1Price"),
        ask1_price=_positive_or_none(row, "ask1Price"),
        funding_rate=decimal_or_none(row.get("fundingRate")),
        next_funding_ts=int_or_none(row.get("nextFundingTime")),
        received_ns=received_ns,
    )


def parse_public_trade(row: Row) -> PublicTrade:
    """A row of the `publicTrade` topic."""
    try:
        side = Side(_text(row, "S"))
    except ValueError:
        raise FieldError(f"expected side Buy or Sell, got {row.get('S')!r:.40}") from None
    return PublicTrade(
        symbol=_need_text(row, "s"),
        trade_id=_need_text(row, "i"),
        side=side,
        price=_need_decimal(row, "p"),
        qty=_need_decimal(row, "v"),
        exchange_ts=_time(row, "T"),
    )


def parse_instrument(row: Row, tiers: tuple[RiskTier, ...] = ()) -> Instrument:
    """A row of market/instruments-info. ValueError when tick or step are missing or not positive."""
    prices, lots, leverage = _object(row, "priceFilter"), _object(row, "lotSizeFilter"), _object(row, "leverageFilter")
    optional: dict[str, Decimal | None] = {
        "min_notional": decimal_or_none(lots.get("minNotionalValue")),
        "min_price": decimal_or_none(prices.get("minPrice")),
        "max_price": decimal_or_none(prices.get("maxPrice")),
        "max_leverage": decimal_or_none(leverage.get("maxLeverage")),
    }
    return Instrument(
        symbol=_need_text(row, "symbol"),
        tick_size=_need_decimal(prices, "tickSize"),
        qty_step=_need_decimal(lots, "qtyStep"),
        min_order_qty=_need_decimal(lots, "minOrderQty"),
        max_order_qty=_need_decimal(lots, "maxOrderQty"),
        status=_text(row, "status") or "Trading",
        funding_interval_minutes=int_or_none(row.get("fundingInterval")) or 480,
        tiers=tiers,
        **{name: value for name, value in optional.items() if value is not None},
    )


def parse_tiers(rows: Iterable[Row]) -> tuple[RiskTier, ...]:
    """Rows of market/risk-limit for one symbol, lowest tier first. FieldError when a rate or limit is missing."""
    tiers = [
        RiskTier(
            limit=_need_decimal(row, "riskLimitValue"),
            mm_rate=_need_decimal(row, "maintenanceMargin"),
            im_rate=_need_decimal(row, "initialMargin"),
            mm_deduction=_or_zero(row, "mmDeduction"),
            max_leverage=_need_decimal(row, "maxLeverage"),
        )
        for row in rows
    ]
    return tuple(sorted(tiers, key=lambda tier: tier.limit))


def _object(row: Row, field: str) -> Row:
    value = row.get(field)
    return value if isinstance(value, dict) else {}


def _positive_or_none(row: Row, field: str) -> Decimal | None:
    """For prices, where Bybit writes "0" and "" for "there is none"."""
    value = decimal_or_none(row.get(field))
    return value if value is not None and value > 0 else None


def _seq(row: Row) -> int:
    value = int_or_none(row.get("seq"))
    return -1 if value is None else value
