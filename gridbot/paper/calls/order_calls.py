"""Signed order and execution endpoints (docs/bybit.md 3.2-3.11).

Each takes (exchange, account, parameters, now) and returns `result`; batches return (result, retExtInfo).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Amendment, Order
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.order_params import new_order, with_bbo_price
from gridbot.paper.params.paging import page_by_number
from gridbot.paper.params.stop_params import amended_stops
from gridbot.paper.params.validate import integer, limit_field, order_price, order_qty, text, trigger_by, window
from gridbot.paper.rows.order_rows import execution_row, order_row

__all__ = [
    "amend",
    "amend_batch",
    "cancel",
    "cancel_all",
    "cancel_batch",
    "create",
    "create_batch",
    "executions",
    "history",
    "realtime",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
MAX_BATCH = 20
DAY_MS = 86_400_000


def _ids(order: Order) -> Result:
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def create(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params)
    request = new_order(with_bbo_price(params, market), market.listing)
    return _ids(exchange.place(account, request, now_ms))


def _find_open(exchange: Exchange, account: Account, params: Params) -> Order:
    """The open order meant by a cancel or amend; 110001 when there is none."""
    symbol = require_market(exchange, params).listing.symbol
    order_id, link_id = text(params, "orderId"), text(params, "orderLinkId")
    if not order_id and not link_id:
        raise ApiError(10001, "params error: orderId or orderLinkId is required")
    order = account.find(order_id, link_id)
    if order is None or not order.is_open or order.symbol != symbol:
        raise ApiError(110001, "order not exists or too late to cancel")
    return order


def amend(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    return _amend(exchange, account, _find_open(exchange, account, params), params, now_ms)


def _amend_active(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """As an item of a batch, which knows no conditional orders (docs/bybit.md 3.8)."""
    order = _find_open(exchange, account, params)
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
    if not (symbol or base or settle):
        raise ApiError(10001, "params error: symbol, baseCoin or settleCoin is required")
    chosen = [
        order
        for order in account.open.values()
        if linear and _is_of_kind(order, params) and _matches(exchange, order, symbol, base, settle)
    ]
    for order in chosen[:500]:
        if order.is_open:  # a stop goes with the other one of its pair
            exchange.cancel(account, order, now_ms)
    return {"list": [_ids(order) for order in chosen[:500]], "success": "1"}


def _matches(exchange: Exchange, order: Order, symbol: str, base: str, settle: str) -> bool:
    """Filter of listings and of cancel-all: symbol before base coin before settle coin."""
    if symbol:
        return order.symbol == symbol
    if base:
        return exchange.markets[order.symbol].listing.base_coin == base
    return settle in ("", "USDT")


def _is_of_kind(order: Order, params: Params) -> bool:
    """Filter by `orderFilter`: active orders, conditional ones that wait (or never triggered), all without it."""
    kind = text(params, "orderFilter")
    if kind in ("Order", "OpenOrder"):
        return not order.is_stop
    if text(params, "stopOrderType") == "Stop" and order.request.create_type != "CreateByStopOrder":
        return False  # spares take-profits and stop-losses of positions
    return not kind or (kind == "StopOrder" and order.is_stop)


Single = Callable[[Exchange, Account, Params, int], Result]


def _batch(
    single: Single, exchange: Exchange, account: Account, params: Params, now_ms: int, allowed: int | None
) -> tuple[Result, Result]:
    """Run a call for each item; an item that fails leaves the others alone (docs/bybit.md 3.8)."""
    if not is_linear(params):
        raise ApiError(10001, "params error: Category is invalid")
    items = params.get("request")
    if not isinstance(items, list) or not items or len(items) > MAX_BATCH:
        raise ApiError(10001, f"params error: request invalid, expected 1 to {MAX_BATCH} items")
    if not all(isinstance(item, dict) for item in items):
        raise ApiError(10001, "params error: request invalid, expected objects")
    rows, codes = [], []
    for place, item in enumerate(items):
        row = {
            "category": "linear",
            "symbol": text(item, "symbol"),
            "orderId": "",
            "orderLinkId": text(item, "orderLinkId"),
        }
        created_ms = ""
        try:
            if allowed is not None and place >= allowed:
                raise ApiError(10006, "Too many visits. Exceeded the API Rate Limit.")
            row |= single(exchange, account, {**item, "category": "linear"}, now_ms)
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


def _order_page(
    exchange: Exchange, orders: Iterable[Order], params: Params, *, default: int = 20, maximum: int = 50
) -> Result:
    keyed = ((order.number, order) for order in orders)
    chosen, cursor = page_by_number(keyed, text(params, "cursor"), limit_field(params, default, maximum))
    rows = [order_row(order, exchange.markets[order.symbol].listing) for order in chosen]
    return {"category": "linear", "list": rows, "nextPageCursor": cursor}


def _named(account: Account, params: Params) -> list[Order] | None:
    """The order that an id names, or None when the query names none."""
    order_id, link_id = text(params, "orderId"), text(params, "orderLinkId")
    if not order_id and not link_id:
        return None
    order = account.find(order_id, link_id)
    symbol = text(params, "symbol")
    return [order] if order is not None and symbol in ("", order.symbol) else []


def _visible(exchange: Exchange, stamp_ms: int, now_ms: int) -> bool:
    """False for what the listings, which lag, do not show yet."""
    return now_ms - stamp_ms >= exchange.config.query_lag_ms


def realtime(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    linear = is_linear(params)
    symbol, base, settle = text(params, "symbol"), text(params, "baseCoin"), text(params, "settleCoin")
    if symbol:
        require_market(exchange, params)
    named = _named(account, params)
    if named is not None:
        named = [
            order
            for order in named
            if (order.is_open or order.number >= account.cached_from) and _visible(exchange, order.created_ms, now_ms)
        ]
        return _order_page(exchange, named, params)
    if linear and not (symbol or base or settle):
        raise ApiError(10001, "params error: symbol, baseCoin or settleCoin is required")
    if integer(params, "openOnly", 0) == 0:
        orders = account.open_by_symbol.get(symbol, {}) if symbol else account.open
        source: list[Order] = list(orders.values())
    else:
        source = [order for order in list(account.closed.values())[-500:] if order.number >= account.cached_from]
    chosen = [
        order
        for order in source
        if linear
        and _is_of_kind(order, params)
        and _matches(exchange, order, symbol, base, settle)
        and _visible(exchange, order.created_ms, now_ms)
    ]
    chosen.sort(key=lambda order: -order.number)
    return _order_page(exchange, chosen, params)


def history(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Closed orders; those without a fill are forgotten after a day (docs/bybit.md 3.10)."""
    linear = is_linear(params)
    named = _named(account, params)
    if named is not None:
        named = [order for order in named if not order.is_open and _visible(exchange, order.updated_ms, now_ms)]
        return _order_page(exchange, named, params)
    start, end = window(params, now_ms)
    symbol, base, settle = text(params, "symbol"), text(params, "baseCoin"), text(params, "settleCoin")
    status = text(params, "orderStatus")
    chosen = [
        order
        for order in account.closed.values()
        if linear
        and _is_of_kind(order, params)
        and _matches(exchange, order, symbol, base, settle)
        and start <= order.created_ms <= end
        and (order.cum_qty or now_ms - order.updated_ms < DAY_MS)
        and status in ("", order.status.value)
        and _visible(exchange, order.updated_ms, now_ms)
    ]
    chosen.sort(key=lambda order: -order.number)
    return _order_page(exchange, chosen, params)


def executions(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    linear = is_linear(params)
    limit = limit_field(params, 50, 100)
    order_id, link_id = text(params, "orderId"), text(params, "orderLinkId")
    if order_id or link_id:
        rows = [e for e in account.executions if (e.order_id == order_id if order_id else e.order_link_id == link_id)]
    else:
        start, end = window(params, now_ms)
        symbol, kind, base = text(params, "symbol"), text(params, "execType"), text(params, "baseCoin")
        rows = [
            e
            for e in account.executions
            if start <= e.time_ms <= end
            and symbol in ("", e.symbol)
            and kind in ("", e.exec_type)
            and base in ("", exchange.markets[e.symbol].listing.base_coin)
        ]
    keyed = ((e.number, e) for e in reversed(rows if linear else []))
    chosen, cursor = page_by_number(keyed, text(params, "cursor"), limit)
    return {
        "category": "linear",
        "list": [execution_row(e, exchange.markets[e.symbol].listing) for e in chosen],
        "nextPageCursor": cursor,
    }
