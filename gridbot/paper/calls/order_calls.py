"""Signed calls of order/ that place, change and end orders (docs/bybit.md 3.2-3.8).

Each takes (exchange, account, parameters, now) and returns `result`; batches return (result, retExtInfo).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Amendment, Order
from gridbot.paper.api_error import OVER_QUOTA, ApiError, permission_denied
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.calls.order_queries import is_of_kind, matches
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.order_params import new_order, with_bbo_price
from gridbot.paper.params.stop_params import amended_stops, usual_mode
from gridbot.paper.params.validate import choice, integer, order_price, order_qty, text, trigger_by

__all__ = [
    "amend",
    "amend_batch",
    "cancel",
    "cancel_all",
    "cancel_batch",
    "create",
    "create_batch",
    "set_dcp",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
MAX_BATCH = 20
DCP_PRODUCTS = frozenset({"OPTIONS", "SPOT", "DERIVATIVES"})
"""Of which only the last has orders here."""
DAY_MS = 86_400_000


def _ids(order: Order) -> Result:
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def create(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params)
    usual = usual_mode(account, market.listing.symbol)
    request = new_order(with_bbo_price(params, market), market.listing, usual)
    return _ids(exchange.place(account, request, now_ms))


def _find_open(exchange: Exchange, account: Account, params: Params, verb: str = "cancel") -> Order:
    """The open order meant by a cancel or amend; 110001 when there is none. `verb` is for the text."""
    symbol = require_market(exchange, params).listing.symbol
    order_id, link_id = text(params, "orderId"), text(params, "orderLinkId")
    if not order_id and not link_id:
        raise ApiError(10001, "params error: orderId or orderLinkId is required")
    order = account.find(order_id, link_id)
    if order is None or not order.is_open or order.symbol != symbol:
        raise ApiError(110001, f"order not exists or too late to {verb}")
    return order


def amend(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    return _amend(exchange, account, _find_open(exchange, account, params, "replace"), params, now_ms)


def _amend_active(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Amend as an item of a batch; conditional orders are refused there (docs/bybit.md 3.8)."""
    order = _find_open(exchange, account, params, "replace")
    if order.is_waiting:
        raise ApiError(10001, "params error: conditional orders cannot be amended in a batch")
    return _amend(exchange, account, order, params, now_ms)


def _amend(exchange: Exchange, account: Account, order: Order, params: Params, now_ms: int) -> Result:
    listing = exchange.markets[order.symbol].listing
    change = Amendment(
        order_qty(params, listing, market=False),
        order_price(params, listing),
        order_price(params, listing, "triggerPrice"),
        trigger_by(params, "triggerBy") if text(params, "triggerBy") else None,
        amended_stops(params, order.request.attached, listing),
    )
    exchange.amend(account, order, change, now_ms)
    return _ids(order)


def cancel(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    order = _find_open(exchange, account, params)
    exchange.cancel(account, order, now_ms)
    return _ids(order)


def cancel_all(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    linear = is_linear(params)
    symbol, base, settle = text(params, "symbol"), text(params, "baseCoin"), text(params, "settleCoin")
    if not (symbol or base or settle) and text(params, "category") in ("linear", "inverse"):
        raise ApiError(10001, "params error: symbol, baseCoin or settleCoin is required")
    chosen = [
        order
        for order in account.open.values()
        if linear and is_of_kind(order, params) and matches(exchange, order, symbol, base, settle)
    ]
    if symbol and chosen:
        exchange.auction.check_change(symbol, cancels=True)
    chosen = [order for order in chosen if not exchange.auction.holds(order.symbol)][:500]
    for order in chosen:
        if order.is_open:  # a stop goes with the other one of its pair
            exchange.cancel(account, order, now_ms)
    return {"list": [_ids(order) for order in chosen], "success": "1"}


Single = Callable[[Exchange, Account, Params, int], Result]


def _batch(
    single: Single, exchange: Exchange, account: Account, params: Params, now_ms: int, allowed: int | None
) -> tuple[Result, Result]:
    """Run a call for each item; one that fails does not affect the others (docs/bybit.md 3.8).

    The row of a cancel or amend that failed has the id that was sent, that of a create has none. In another category
    each item fails.
    """
    is_linear(params)
    category = text(params, "category")
    items = params.get("request")
    if not isinstance(items, list) or not items or len(items) > MAX_BATCH:
        raise ApiError(10001, f"params error: request invalid, expected 1 to {MAX_BATCH} items")
    if not all(isinstance(item, dict) for item in items):
        raise ApiError(10001, "params error: request invalid, expected objects")
    rows, codes = [], []
    for place, item in enumerate(items):
        row = {
            "category": category,
            "symbol": text(item, "symbol"),
            "orderId": "" if single is create else text(item, "orderId"),
            "orderLinkId": text(item, "orderLinkId"),
        }
        created_ms = ""
        try:
            if allowed is not None and place >= allowed:
                raise ApiError(*OVER_QUOTA)
            row |= single(exchange, account, {**item, "category": category}, now_ms)
            created_ms = str(now_ms)
            codes.append({"code": 0, "msg": "OK"})
        except ApiError as error:
            codes.append({"code": error.code, "msg": error.message})
        if single is create:
            row["createAt"] = created_ms
        rows.append(row)
    return {"list": rows}, {"list": codes}


def create_batch(
    exchange: Exchange, account: Account, params: Params, now_ms: int, allowed: int | None = None
) -> tuple[Result, Result]:
    return _batch(create, exchange, account, params, now_ms, allowed)


def amend_batch(
    exchange: Exchange, account: Account, params: Params, now_ms: int, allowed: int | None = None
) -> tuple[Result, Result]:
    return _batch(_amend_active, exchange, account, params, now_ms, allowed)


def cancel_batch(
    exchange: Exchange, account: Account, params: Params, now_ms: int, allowed: int | None = None
) -> tuple[Result, Result]:
    return _batch(cancel, exchange, account, params, now_ms, allowed)


def set_dcp(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Cancel all orders when the connections with `dcp.future` have been gone for `timeWindow` seconds."""
    text(params, "timeWindow", required=True)
    seconds, product = integer(params, "timeWindow", 0), choice(params, "product", DCP_PRODUCTS, "OPTIONS")
    if not 3 <= seconds <= 300:
        raise ApiError(10001, "params error: timeWindow invalid, expected 3 to 300")
    if not exchange.config.dcp:
        raise permission_denied()
    if product == "DERIVATIVES":
        account.dcp_window_s = seconds
        account.changes.settings()
    return {}
