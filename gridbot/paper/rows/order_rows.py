"""Rows of orders, executions and closed positions as Bybit sends them. Pure.

Field sets follow docs/bybit.md 2.7 (names), docs/bybit.md 3 and docs/bybit_streams.md 5.2, 5.3 (meaning). Numbers are
text. What is not set is the empty string in answers; on the stream it is mostly `"0"` or `"UNKNOWN"`, as captured.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

from gridbot.core.events import OrderStatus
from gridbot.paper.accounts.bookings import ClosedPnl
from gridbot.paper.accounts.exchange_order import Execution, Order, Trigger
from gridbot.paper.accounts.stop_kinds import STOP_OF_CREATE_TYPE, Attached, TpslMode
from gridbot.paper.rows.row_numbers import cut, plain

__all__ = ["OrderView", "closed_pnl_row", "execution_row", "fast_execution_row", "order_row"]


class OrderView(StrEnum):
    """Where an order is shown: order/realtime, order/history or the order topic."""

    REALTIME = "realtime"
    HISTORY = "history"
    STREAM = "stream"


STOPS = {"CreateByStopOrder": "Stop"} | {create_type: kind.value for create_type, kind in STOP_OF_CREATE_TYPE.items()}

SAME: dict[str, Any] = dict.fromkeys(
    """
    blockTradeId isLeverage orderIv marketUnit takeProfit stopLoss ocoTriggerBy tpLimitPrice slLimitPrice tpTriggerBy
    slTriggerBy placeType avgPrice triggerPrice triggerBy tpslMode slippageTolerance
    """.split(),  # noqa: SIM905 - a list of strings is no easier to read
    "",
) | {
    "smpGroup": "0",
    "cumExecValue": "0",
    "cumExecFee": "0",
    "stopOrderType": "UNKNOWN",
    "triggerDirection": 0,
    "slippageToleranceType": "UNKNOWN",
}

RPI = {"rpiTakerAccess": False, "rpiMatchedQty": "0"}
"""Whether the order met a quote of retail price improvement, whatever its request allowed: nobody quotes them here."""

ON_STREAM = {
    "category": "linear",
    "feeCurrency": "",
    "tpLimitPrice": "0",
    "slLimitPrice": "0",
    "stopOrderType": "",
    "tpslMode": "UNKNOWN",
    "slippageTolerance": "0",
    "closedPnl": "0",
}
PLAIN: dict[OrderView, dict[str, Any]] = {
    OrderView.REALTIME: SAME,
    OrderView.HISTORY: SAME | RPI | {"extraFees": ""},
    OrderView.STREAM: SAME | RPI | ON_STREAM,
}
"""What the row of a plain order without a fill has anyway: most rows, and copying costs less than writing."""


def order_row(order: Order, no_qty: str, view: OrderView) -> dict[str, Any]:
    """A row of an order; `no_qty` is how a quantity of 0 is written (`Listing.no_qty`)."""
    request, leaves = order.request, order.leaves
    row = PLAIN[view] | {
        "symbol": request.symbol,
        "orderId": order.order_id,
        "orderLinkId": request.order_link_id,
        "parentOrderLinkId": request.parent_link_id,
        "side": request.side,
        "positionIdx": request.position_idx,
        "orderStatus": order.status,
        "createType": request.create_type,
        "cancelType": order.cancel_type,
        "rejectReason": order.reject_reason,
        "timeInForce": request.time_in_force,
        "price": format(order.price, "f"),
        "qty": format(order.qty, "f"),
        "leavesQty": format(leaves, "f") if leaves else no_qty,
        "leavesValue": plain(leaves * order.price) if leaves else "0",
        "cumExecQty": no_qty,
        "cumFeeDetail": {},
        "orderType": "Limit",
        "lastPriceOnCreated": format(order.last_price, "f"),
        "reduceOnly": request.reduce_only,
        "closeOnTrigger": request.close_on_trigger,
        "smpType": request.smp_type,
        "smpOrderId": order.smp_order_id,
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }
    if request.price is None:
        row |= {"orderType": "Market", "timeInForce": "IOC"}
        if order.is_stop:
            row["price"] = "0"
    if order.cum_qty:
        row |= _filled_fields(order)
    if request.trigger is not None:
        row |= _trigger_fields(order, request.trigger)
    if request.attached is not None:
        row |= _attached_fields(request.attached)
    if request.slippage is not None:
        row["slippageToleranceType"] = request.slippage.kind
        row["slippageTolerance"] = plain(request.slippage.value)
    if view is OrderView.STREAM:
        if order.closed_pnl:
            row["closedPnl"] = plain(order.closed_pnl)
        if order.status is OrderStatus.FILLED:
            row["leavesQty"] = "0"
    return row


def _filled_fields(order: Order) -> dict[str, Any]:
    fee = plain(order.cum_fee)
    return {
        "avgPrice": plain(order.cum_value / order.cum_qty),
        "cumExecQty": format(order.cum_qty, "f"),
        "cumExecValue": plain(order.cum_value),
        "cumExecFee": fee,
        "cumFeeDetail": {order.fee_coin: fee},
    }


def _trigger_fields(order: Order, trigger: Trigger) -> dict[str, Any]:
    """Of an order with a trigger, which may be a stop of a position."""
    fields: dict[str, Any] = {
        "triggerPrice": format(trigger.price, "f"),
        "triggerDirection": trigger.direction,
        "triggerBy": trigger.by,
        "stopOrderType": STOPS.get(order.request.create_type, "Stop"),
    }
    kind = order.stop_kind
    if kind is not None:
        fields["tpslMode"] = (TpslMode.PARTIAL if kind.is_partial else TpslMode.FULL).value
    return fields


def _attached_fields(attached: Attached) -> dict[str, str]:
    fields = {"tpslMode": attached.mode.value}
    for prefix, name, stop in (("tp", "takeProfit", attached.take_profit), ("sl", "stopLoss", attached.stop_loss)):
        if stop is not None:
            fields[name] = format(stop.price, "f")
            fields[f"{prefix}TriggerBy"] = stop.by
            if stop.limit is not None:
                fields[f"{prefix}LimitPrice"] = format(stop.limit, "f")
    return fields


def execution_row(execution: Execution, no_qty: str = "", *, stream: bool = False) -> dict[str, Any]:
    """A row of execution/list, where a quantity of 0 is written as `no_qty`, or of the execution topic (`execPnl` and a
    list as `extraFees` there)."""
    if stream or not no_qty or execution.exec_type == "Funding":
        no_qty = "0"
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
