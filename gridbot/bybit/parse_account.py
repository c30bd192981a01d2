"""Bybit's rows of orders, executions, positions, wallets and money, of REST and of streams alike, as values. Pure.

Positions go by positionIdx, never by side, which is "" for a flat leg (incident L24).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from gridbot.bybit.parse_costs import costs_of
from gridbot.bybit.raw_fields import (
    LONGEST_ID,
    FieldError,
    Row,
    amount_if_any,
    amount_or_zero,
    decimal_or_none,
    need_amount,
    need_decimal,
    need_positive,
    need_text,
    or_zero,
    positive_or_none,
    side_of,
    text_of,
    time_of,
    time_or_none,
    whole_or_none,
    words_of,
)
from gridbot.core.events import (
    CoinBalance,
    ExecType,
    ExecutionEvent,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    WalletEvent,
)
from gridbot.core.vocabulary import SETTLE_COIN, Direction, Side
from gridbot.doors.plain_text import shown
from gridbot.exchange.requests import Transaction

__all__ = ["parse_execution", "parse_order", "parse_position", "parse_transaction", "parse_wallet"]


def parse_order(row: Row) -> OrderUpdateEvent:
    """A row of order/realtime, order/history or the `order` topic."""
    status = row.get("orderStatus")
    order_status = _STATUSES.get(status) if isinstance(status, str) else None
    if order_status is None:
        raise FieldError(f"expected a known orderStatus, got {shown(status)}")
    price, order_type = amount_or_zero(row, "price"), text_of(row, "orderType") or "Limit"
    if not price and order_type == "Limit":  # market orders have none
        raise FieldError(f"expected a price above 0 of a limit order, got {shown(row.get('price'))}")
    index = whole_or_none(row.get("positionIdx"))
    return OrderUpdateEvent(
        symbol=need_text(row, "symbol"),
        order_id=need_text(row, "orderId"),
        order_link_id=text_of(row, "orderLinkId"),
        side=side_of(row),
        direction=Direction.from_position_idx(index) if index in (1, 2) else None,
        price=price,
        qty=need_amount(row, "qty"),
        status=order_status,
        cum_exec_qty=amount_or_zero(row, "cumExecQty"),
        leaves_qty=amount_or_zero(row, "leavesQty"),
        avg_price=positive_or_none(row, "avgPrice"),
        reduce_only=row.get("reduceOnly") is True,
        cancel_type=words_of(row, "cancelType"),
        reject_reason=words_of(row, "rejectReason"),
        order_type=order_type,
        exchange_ts=time_of(row, "updatedTime", "createdTime"),
        created_ts=time_of(row, "createdTime"),
        raw=row,
    )


def parse_execution(row: Row, received_ns: int = 0) -> ExecutionEvent:
    """A row of execution/list or the `execution` topic, of any execType.

    Rows that move no leg may lack side, price and quantity: dividends and settlements are not documented. A trade is
    refused without its fee and what is left of its order: an empty text would say that it was free, and complete.
    """
    word = text_of(row, "execType")
    exec_type = ExecType(word)
    trades, is_fill = exec_type.moves_legs, exec_type is ExecType.TRADE
    costs = costs_of(row, always_told=exec_type in _WITH_FEE)
    number = need_positive if trades else amount_if_any
    qty, closed = number(row, "execQty"), (amount_or_zero if trades else amount_if_any)(row, "closedSize")
    if trades and closed > qty:
        raise FieldError(f"expected a closedSize of at most execQty {qty}, got {closed}")
    return ExecutionEvent(
        symbol=need_text(row, "symbol"),
        exec_id=need_text(row, "execId"),
        order_id=text_of(row, "orderId"),
        order_link_id=text_of(row, "orderLinkId"),
        side=side_of(row) if trades or text_of(row, "side") in _SIDES else Side.BUY,
        price=number(row, "execPrice"),
        qty=qty,
        leaves_qty=(need_amount if is_fill else amount_if_any)(row, "leavesQty"),
        fee=costs.fee,
        closed_size=closed or qty if exec_type.only_closes else closed,
        exec_type=exec_type,
        exec_word=word,
        fee_currency=costs.currency,
        taxes=costs.taxes,
        other_fees=costs.other,
        is_maker=row.get("isMaker") is True,
        exchange_ts=time_of(row, "execTime"),
        order_qty=decimal_or_none(row.get("orderQty")),
        order_price=decimal_or_none(row.get("orderPrice")),
        fee_rate=decimal_or_none(row.get("feeRate")),
        mark_price=decimal_or_none(row.get("markPrice")),
        seq=max(0, _seq(row)),
        realised=decimal_or_none(row.get("execPnl")),
        received_ns=received_ns,
        raw=row,
    )


def parse_position(row: Row) -> PositionEvent | None:
    """A row of position/list (`avgPrice`) or the `position` topic (`entryPrice`); None for a one-way row.

    A flat leg's entry price is None: the number that the exchange fills in has no meaning.
    """
    index = whole_or_none(row.get("positionIdx"))
    if index == 0:
        return None
    if index not in (1, 2):
        raise FieldError(f"expected positionIdx 0, 1 or 2, got {shown(row.get('positionIdx'))}")
    size, reduce_only = need_amount(row, "size"), row.get("isReduceOnly")
    entry = positive_or_none(row, "entryPrice") or positive_or_none(row, "avgPrice")
    return PositionEvent(
        symbol=need_text(row, "symbol"),
        direction=Direction.from_position_idx(index),
        size=size,
        entry_price=entry if size else None,
        mark_price=positive_or_none(row, "markPrice"),
        liq_price=positive_or_none(row, "liqPrice"),
        leverage=decimal_or_none(row.get("leverage")),
        unrealised_pnl=decimal_or_none(row.get("unrealisedPnl")),
        position_im=decimal_or_none(row.get("positionIM")),
        position_mm=decimal_or_none(row.get("positionMM")),
        cum_realised_pnl=decimal_or_none(row.get("cumRealisedPnl")),
        status=text_of(row, "positionStatus") or "Normal",
        reduce_only=reduce_only if isinstance(reduce_only, bool) else None,
        seq=_seq(row),
        exchange_ts=time_of(row, "updatedTime", "createdTime"),
    )


def parse_one_way_position(row: Row) -> PositionEvent | None:
    """An open position that is none of a hedge, as the leg of its side; None for a leg of a hedge, or a flat row."""
    side = row.get("side")
    if whole_or_none(row.get("positionIdx")) != 0 or side not in ("Buy", "Sell"):
        return None
    return parse_position({**row, "positionIdx": 1 if side == "Buy" else 2})


def parse_wallet(row: Row, exchange_ts: int = 0, coin: str = SETTLE_COIN) -> WalletEvent:
    """An account row of account/wallet-balance or the `wallet` topic.

    Frames hold only the coins that changed (incident L47), so there may be no row of `coin`; the account's totals count
    all the same. Rows carry no time of their own: `exchange_ts` is the envelope's.
    """
    coins = row.get("coin")
    rows = [entry for entry in (coins if isinstance(coins, list) else ()) if isinstance(entry, dict)]
    found = [entry for entry in rows if entry.get("coin") == coin]
    entry = found[0] if found else {}
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
        has_coin=bool(found),
        others=tuple(_others(rows, coin)) if len(rows) > len(found) else (),
    )


def parse_transaction(row: Row) -> Transaction:
    """A row of account/transaction-log: how the wallet moved, and what it was afterwards.

    Each field is read by itself rather than by a helper: a ledger check reads hundred thousands of these rows.
    """
    get: Callable[[str], Any] = row.get
    kind, symbol, exec_id, currency = get("type"), get("symbol"), get("tradeId"), get("currency")
    flow, funding, fee, at_ms = get("cashFlow"), get("funding"), get("fee"), get("transactionTime")
    try:  # all four at once: nearly always they are what they should be
        together = kind + symbol + exec_id + currency
        are_plain = kind and len(together) <= LONGEST_ID and together.isprintable()
    except TypeError:
        are_plain = False
    if not are_plain:
        kind, symbol = need_text(row, "type"), text_of(row, "symbol")
        exec_id, currency = text_of(row, "tradeId"), text_of(row, "currency")
    return Transaction(
        kind,
        symbol,
        exec_id,
        currency,
        _ZERO if flow in _NOTHING else or_zero(row, "cashFlow"),
        _ZERO if funding in _NOTHING else or_zero(row, "funding"),
        _ZERO if fee in _NOTHING else or_zero(row, "fee"),
        need_decimal(row, "change"),
        time_or_none(at_ms) or time_of(row, "transactionTime"),
    )


def _others(rows: Iterable[Row], coin: str) -> Iterator[CoinBalance]:
    for entry in rows:
        name, balance = text_of(entry, "coin"), decimal_or_none(entry.get("walletBalance"))
        if name not in ("", coin) and balance is not None:
            yield CoinBalance(name, balance, decimal_or_none(entry.get("usdValue")))


_SIDES = frozenset(Side)
_STATUSES = {status.value: status for status in OrderStatus}
_ZERO = Decimal(0)
_NOTHING = ("", "0")
_WITH_FEE = frozenset({ExecType.TRADE, ExecType.FUNDING})
"""Types of which each captured row has an `execFee`; with a funding it is all that it is about."""


def _seq(row: Row) -> int:
    """0 for a row without one; every number below 0 is that of a leg that never traded."""
    return max(-1, whole_or_none(row.get("seq")) or 0)
