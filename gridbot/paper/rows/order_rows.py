"""Rows of orders, executions and closed positions as Bybit sends them. Pure.

Field sets follow docs/bybit.md 2.7 (names), docs/bybit.md 3 and docs/bybit_streams.md 5.2, 5.3 (meaning). Numbers are
text. What is not set is the empty string in answers; on the stream it is mostly `"0"` or `"UNKNOWN"`, as captured.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson

from gridbot.core.events import OrderStatus
from gridbot.paper.accounts.bookings import ClosedPnl
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.stop_kinds import STOP_OF_CREATE_TYPE, Attached, TpslMode
from gridbot.paper.market.instruments import Listing
from gridbot.paper.rows.row_numbers import cut, plain

__all__ = ["OrderView", "closed_pnl_row", "execution_row", "fast_execution_row", "order_row"]


class OrderView(StrEnum):
    """Where an order is shown: order/realtime, order/history or the order topic."""

    REALTIME = "realtime"
    HISTORY = "history"
    STREAM = "stream"


STOPS = {"CreateByStopOrder": "Stop"} | {create_type: kind.value for create_type, kind in STOP_OF_CREATE_TYPE.items()}

NOT_USED: dict[str, Any] = dict.fromkeys(
    """
    blockTradeId isLeverage orderIv marketUnit takeProfit stopLoss ocoTriggerBy tpLimitPrice slLimitPrice tpTriggerBy
    slTriggerBy placeType
    """.split(),  # noqa: SIM905 - a list of strings is no easier to read
    "",
) | {"smpGroup": "0"}

RPI = {"rpiTakerAccess": False, "rpiMatchedQty": "0"}
"""Whether the order met a quote of retail price improvement, whatever its request allowed: nobody quotes them here."""

STREAM_ONLY = {"category": "linear", "feeCurrency": "", "tpLimitPrice": "0", "slLimitPrice": "0"}
SAME: dict[OrderView, dict[str, Any]] = {
    OrderView.REALTIME: NOT_USED,
    OrderView.HISTORY: NOT_USED | RPI | {"extraFees": ""},
    OrderView.STREAM: NOT_USED | RPI | STREAM_ONLY,
}
"""Fields that are the same in every row of a view, unless it brings stops along."""


def order_row(order: Order, listing: Listing, view: OrderView) -> dict[str, Any]:
    request, stream = order.request, view is OrderView.STREAM
    trigger = request.trigger
    row: dict[str, Any] = (
        SAME[view]
        | _amounts(order, listing.instrument.qty_step * 0)
        | {
            "symbol": request.symbol,
            "orderId": order.order_id,
            "orderLinkId": request.order_link_id,
            "parentOrderLinkId": request.parent_link_id,
            "side": request.side.value,
            "positionIdx": request.position_idx,
            "orderStatus": order.status.value,
            "createType": request.create_type,
            "cancelType": order.cancel_type,
            "rejectReason": order.reject_reason,
            "timeInForce": "IOC" if order.is_market else request.time_in_force,
            "price": "0" if request.price is None and order.is_stop else format(order.price, "f"),
            "qty": format(order.qty, "f"),
            "orderType": "Market" if order.is_market else "Limit",
            "stopOrderType": STOPS.get(request.create_type, "Stop") if trigger else "" if stream else "UNKNOWN",
            "triggerPrice": format(trigger.price, "f") if trigger else "",
            "tpslMode": _tpsl_mode(order) or ("UNKNOWN" if stream else ""),
            "triggerDirection": trigger.direction if trigger else 0,
            "triggerBy": trigger.by if trigger else "",
            "lastPriceOnCreated": format(order.last_price, "f"),
            "reduceOnly": request.reduce_only,
            "closeOnTrigger": request.close_on_trigger,
            "smpType": request.smp_type,
            "smpOrderId": order.smp_order_id,
            "slippageToleranceType": request.slippage.kind if request.slippage else "UNKNOWN",
            "slippageTolerance": plain(request.slippage.value) if request.slippage else "0" if stream else "",
            "createdTime": str(order.created_ms),
            "updatedTime": str(order.updated_ms),
        }
    )
    if request.attached is not None:
        row |= _attached_fields(request.attached)
    if stream:
        row["closedPnl"] = plain(order.closed_pnl)
        if order.status is OrderStatus.FILLED:
            row["leavesQty"] = "0"
    return row


def _amounts(order: Order, no_qty: Decimal) -> dict[str, Any]:
    """What was executed and what is left; `no_qty` is 0 with the quantity step's decimals."""
    fee, leaves = plain(order.cum_fee), order.leaves
    return {
        "avgPrice": plain(order.cum_value / order.cum_qty) if order.cum_qty else "",
        "leavesQty": format(leaves or no_qty, "f"),
        "leavesValue": plain(leaves * order.price),
        "cumExecQty": format(order.cum_qty or no_qty, "f"),
        "cumExecValue": plain(order.cum_value),
        "cumExecFee": fee,
        "cumFeeDetail": {order.fee_coin: fee} if order.cum_qty else {},
    }


def _attached_fields(attached: Attached) -> dict[str, str]:
    fields: dict[str, str] = {}
    for prefix, name, stop in (("tp", "takeProfit", attached.take_profit), ("sl", "stopLoss", attached.stop_loss)):
        if stop is not None:
            fields[name] = format(stop.price, "f")
            fields[f"{prefix}TriggerBy"] = stop.by
            if stop.limit is not None:
                fields[f"{prefix}LimitPrice"] = format(stop.limit, "f")
    return fields


def _tpsl_mode(order: Order) -> str:
    """Of a stop, or of the stops that an order brings along; empty for any other order."""
    if order.request.attached is not None:
        return order.request.attached.mode.value
    kind = order.stop_kind
    return "" if kind is None else (TpslMode.PARTIAL if kind.is_partial else TpslMode.FULL).value


def execution_row(execution: Execution, listing: Listing, *, stream: bool = False) -> dict[str, Any]:
    """A row of execution/list or of the execution topic (`execPnl` and a list as `extraFees` there)."""
    no_qty = "0" if stream or execution.exec_type == "Funding" else format(listing.instrument.qty_step * 0, "f")
    row: dict[str, Any] = {
        "symbol": execution.symbol,
        "orderId": execution.order_id,
        "orderLinkId": execution.order_link_id,
        "side": execution.side.value,
        "orderPrice": format(execution.order_price, "f"),
        "orderQty": format(execution.order_qty, "f"),
        "leavesQty": format(execution.leaves_qty, "f") if execution.leaves_qty else no_qty,
        "createType": execution.create_type,
        "orderType": execution.order_type,
        "stopOrderType": STOPS.get(execution.create_type, "UNKNOWN"),
        "execFee": plain(execution.fee),
        "execId": execution.exec_id,
        "execPrice": format(execution.price, "f"),
        "execQty": format(execution.qty, "f"),
        "execType": execution.exec_type,
        "execValue": plain(execution.value),
        "execTime": str(execution.time_ms),
        "feeCurrency": "" if execution.exec_type == "Funding" else execution.fee_coin,
        "isMaker": execution.is_maker,
        "feeRate": cut(execution.fee_rate, 8),
        "tradeIv": "",
        "markIv": "",
        "markPrice": format(execution.mark_price, "f"),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": format(execution.closed_size, "f") if execution.closed_size else no_qty,
        "marketUnit": "",
        "seq": execution.seq,
    }
    if stream:
        row["category"] = "linear"
        row["isLeverage"] = "0"
        row["execPnl"] = plain(execution.realised)
        row["extraFees"] = _extra_fees(execution)
    else:
        row["extraFees"] = orjson.dumps(_extra_fees(execution)).decode() if execution.tax else ""
    return row


def _extra_fees(execution: Execution) -> list[dict[str, str]]:
    if not execution.tax:
        return []
    rate = plain(execution.tax / execution.value) if execution.value else "0"
    kind = {"feeCoin": "USDT", "feeType": "GST", "subFeeType": "IND_GST"}
    return [{**kind, "feeRate": rate, "fee": plain(execution.tax)}]


def fast_execution_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields of execution.fast; a maker's link id is withheld there (docs/bybit_streams.md 5.3)."""
    names = ("category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "side", "execTime", "seq")
    return {name: row[name] for name in names} | {"orderLinkId": "" if row["isMaker"] else row["orderLinkId"]}


def closed_pnl_row(row: ClosedPnl) -> dict[str, Any]:
    order = row.order
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "side": order.side.value,
        "qty": format(order.qty, "f"),
        "orderPrice": format(order.price, "f"),
        "orderType": "Market" if order.is_market else "Limit",
        "execType": row.exec_type,
        "closedSize": format(row.closed_size, "f"),
        "cumEntryValue": plain(row.entry_value),
        "avgEntryPrice": plain(row.entry_value / row.closed_size),
        "cumExitValue": plain(row.exit_value),
        "avgExitPrice": plain(row.exit_value / row.closed_size),
        "closedPnl": plain(row.net),
        "fillCount": str(row.fill_count),
        "leverage": plain(row.leverage),
        "openFee": plain(row.open_fee),
        "closeFee": plain(row.close_fee),
        "createdTime": str(row.created_ms),
        "updatedTime": str(row.updated_ms),
    }
