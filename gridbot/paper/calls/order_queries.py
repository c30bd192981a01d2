"""Signed calls of order/ and execution/ that list (docs/bybit.md 3.9-3.11).

Each takes (exchange, account, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.paging import below, page_by_number
from gridbot.paper.params.validate import integer, limit_field, text, window
from gridbot.paper.rows.order_rows import OrderView, execution_row, order_row

__all__ = ["executions", "history", "is_of_kind", "matches", "realtime"]

Params = Mapping[str, Any]
Result = dict[str, Any]
DAY_MS = 86_400_000
_NUMBER = attrgetter("number")


def matches(exchange: Exchange, row: Order | Execution, symbol: str, base: str, settle: str) -> bool:
    """Filter of listings and of cancel-all: symbol before base coin before settle coin."""
    if symbol:
        return row.symbol == symbol
    if base:
        return exchange.state.base_coin(row.symbol) == base
    return settle in ("", "USDT")


def is_of_kind(order: Order, params: Params) -> bool:
    """Filter by `orderFilter`: active orders, conditional ones that wait (or never triggered), all without it."""
    kind = text(params, "orderFilter")
    if kind in ("Order", "OpenOrder"):
        return not order.is_stop
    if text(params, "stopOrderType") == "Stop" and order.request.create_type != "CreateByStopOrder":
        return False  # spares take-profits and stop-losses of positions
    return not kind or (kind == "StopOrder" and order.is_stop)


def _order_page(exchange: Exchange, orders: Iterable[Order], params: Params, view: OrderView) -> Result:
    keyed = ((order.number, order) for order in orders)
    chosen, cursor = page_by_number(keyed, text(params, "cursor"), limit_field(params, 20, 50))
    rows = [order_row(order, exchange.state.no_qty(order.symbol), view) for order in chosen]
    return {"category": text(params, "category"), "list": rows, "nextPageCursor": cursor}


def _named(account: Account, params: Params) -> list[Order] | None:
    """The order with the query's id as a list of one or none; None when the query has no id.

    An id overrules every other filter but the category.
    """
    order_id, link_id = text(params, "orderId"), text(params, "orderLinkId")
    if not order_id and not link_id:
        return None
    order = account.find(order_id, link_id)
    return [order] if order is not None and is_linear(params) else []


def _visible(exchange: Exchange, order: Order, stamp_ms: int, now_ms: int) -> bool:
    """False while a change is too recent for the listings, which lag. An order of before the clock went back is shown,
    also when the clock comes to its time again.
    """
    return order.number <= exchange.shown_to or not 0 <= now_ms - stamp_ms < exchange.config.query_lag_ms


def realtime(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    linear = is_linear(params)
    symbol, base, settle = text(params, "symbol"), text(params, "baseCoin"), text(params, "settleCoin")
    named = _named(account, params)
    if named is not None:
        named = [
            order
            for order in named
            if (order.is_open or order.number >= account.cached_from)
            and _visible(exchange, order, order.created_ms, now_ms)
        ]
        return _order_page(exchange, named, params, OrderView.REALTIME)
    if symbol and linear:
        require_market(exchange, params)
    if linear and not (symbol or base or settle):
        raise ApiError(10001, "params error: symbol, baseCoin or settleCoin is required")
    if integer(params, "openOnly", 0) == 0:
        orders = account.open_by_symbol.get(symbol, {}) if symbol else account.open
        source: list[Order] = list(orders.values())
    else:
        source = [order for order in account.closed.highest_first(last=500) if order.number >= account.cached_from]
    source.sort(key=_NUMBER, reverse=True)
    last = below(text(params, "cursor"))
    chosen = (  # no more of them than the page needs
        order
        for order in source
        if linear
        and (last is None or order.number < last)
        and is_of_kind(order, params)
        and matches(exchange, order, symbol, base, settle)
        and _visible(exchange, order, order.created_ms, now_ms)
    )
    return _order_page(exchange, chosen, params, OrderView.REALTIME)


def history(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Closed orders; those without a fill are forgotten after a day (docs/bybit.md 3.10)."""
    linear = is_linear(params)
    named = _named(account, params)
    if named is not None:
        named = [order for order in named if not order.is_open and _visible(exchange, order, order.updated_ms, now_ms)]
        return _order_page(exchange, named, params, OrderView.HISTORY)
    start, end = window(params, now_ms)
    symbol, base, settle = text(params, "symbol"), text(params, "baseCoin"), text(params, "settleCoin")
    status = text(params, "orderStatus")
    chosen = (
        order
        for order in account.closed.highest_first(below(text(params, "cursor")), symbol)
        if linear
        and is_of_kind(order, params)
        and matches(exchange, order, symbol, base, settle)
        and start <= order.created_ms <= end
        and (order.cum_qty or now_ms - order.updated_ms < DAY_MS)
        and status in ("", order.status.value)
        and _visible(exchange, order, order.updated_ms, now_ms)
    )
    return _order_page(exchange, chosen, params, OrderView.HISTORY)


def executions(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    linear = is_linear(params)
    limit = limit_field(params, 50, 100)
    order_id, link_id, last = text(params, "orderId"), text(params, "orderLinkId"), below(text(params, "cursor"))
    if order_id or link_id:
        found = account.executions.newest_first(last, mention=order_id or link_id)
        rows = (e for e in found if (e.order_id == order_id if order_id else e.order_link_id == link_id))
    else:
        start, end = window(params, now_ms)
        symbol, kind = text(params, "symbol"), text(params, "execType")
        base, settle = text(params, "baseCoin"), text(params, "settleCoin")
        rows = (
            e
            for e in account.executions.newest_first(last, start, end, symbol)
            if matches(exchange, e, symbol, base, settle) and kind in ("", e.exec_type)
        )
    keyed = ((e.number, e) for e in rows if linear)
    chosen, cursor = page_by_number(keyed, text(params, "cursor"), limit)
    return {
        "category": text(params, "category"),
        "list": [execution_row(e, exchange.state.no_qty(e.symbol)) for e in chosen],
        "nextPageCursor": cursor,
    }
