"""Public REST endpoints (docs/bybit.md 2.2, 2.3). Each takes (exchange, parameters, now) and returns `result`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.market_history import Candle
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.params.paging import page_by_name, page_by_number
from gridbot.paper.params.validate import choice, limit_field, text, time_field
from gridbot.paper.rows import candle_rows, market_rows
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "funding_history",
    "index_price_kline",
    "instruments_info",
    "kline",
    "mark_price_kline",
    "open_interest",
    "orderbook",
    "premium_index_price_kline",
    "price_limit",
    "recent_trades",
    "risk_limit",
    "server_time",
    "system_status",
    "tickers",
]

Params = Mapping[str, Any]
Result = dict[str, Any]


def is_linear(params: Params, *, default: str = "") -> bool:
    """False for the other categories, which exist but list nothing here."""
    category = text(params, "category") or default
    if category not in ("linear", "inverse", "spot", "option"):
        raise ApiError(10001, "params error: Category is invalid")
    return category == "linear"


def require_market(exchange: Exchange, params: Params, *, default_category: str = "") -> SymbolMarket:
    symbol = text(params, "symbol", required=True)
    market = exchange.markets.get(symbol)
    if not is_linear(params, default=default_category) or market is None:
        raise ApiError(10001, "Not supported symbols")
    return market


def _chosen(exchange: Exchange, params: Params) -> list[SymbolMarket]:
    """The market of `symbol`, or all of them."""
    if not is_linear(params):
        return []
    if text(params, "symbol"):
        return [require_market(exchange, params)]
    return [exchange.markets[symbol] for symbol in sorted(exchange.markets)]


def server_time(exchange: Exchange, params: Params, now_ms: int) -> Result:
    return {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}


def instruments_info(exchange: Exchange, params: Params, now_ms: int) -> Result:
    limit = limit_field(params, 500, 1000)
    markets = _chosen(exchange, params)
    status, base = text(params, "status") or "Trading", text(params, "baseCoin")
    rows = [
        (market.listing.symbol, market_rows.instrument_row(market.listing))
        for market in markets
        if market.instrument.status == status and base in ("", market.listing.base_coin)
    ]
    chosen, cursor = page_by_name(rows, text(params, "cursor"), limit)
    return {"category": text(params, "category"), "list": chosen, "nextPageCursor": cursor}


def tickers(exchange: Exchange, params: Params, now_ms: int) -> Result:
    rows = [market_rows.ticker_row(market) for market in _chosen(exchange, params)]
    return {"category": text(params, "category"), "list": rows}


def orderbook(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params)
    bids, asks = market_rows.book_rows(market, limit_field(params, 25, 1000))
    seq = market.seq
    return {
        "s": market.listing.symbol,
        "b": bids,
        "a": asks,
        "ts": now_ms,
        "u": market.updates,
        "seq": seq,
        "cts": market.updated_ms,
    }


def _kline(params: Params, market: SymbolMarket, candles: Sequence[Candle], now_ms: int) -> Result:
    interval = choice(params, "interval", frozenset(candle_rows.INTERVALS))
    rows = candle_rows.kline_rows(
        candle_rows.group_candles(candles, interval),
        start=time_field(params, "start", 0),
        end=time_field(params, "end", now_ms),
        limit=limit_field(params, 200, 1000),
    )
    return {"symbol": market.listing.symbol, "category": "linear", "list": rows}


def kline(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params, default_category="linear")
    return _kline(params, market, market.candles, now_ms)


def _price_kline(params: Params, market: SymbolMarket, candles: Sequence[Candle], now_ms: int) -> Result:
    """Candles of a price that is not traded have no volume."""
    result = _kline(params, market, candles, now_ms)
    result["list"] = [row[:5] for row in result["list"]]
    return result


def mark_price_kline(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params, default_category="linear")
    return _price_kline(params, market, market.mark_candles, now_ms)


def index_price_kline(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params, default_category="linear")
    return _price_kline(params, market, market.index_candles, now_ms)


def premium_index_price_kline(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params, default_category="linear")
    return _price_kline(params, market, market.premium_candles, now_ms)


def open_interest(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """At each interval since the exchange began, newest first."""
    market = require_market(exchange, params)
    interval = choice(params, "intervalTime", frozenset(market_rows.INTEREST_INTERVALS_MS))
    step = market_rows.INTEREST_INTERVALS_MS[interval]
    first = max(exchange.started_ms, time_field(params, "startTime", 0))
    last = min(now_ms, time_field(params, "endTime", now_ms))
    value = format(market_rows.open_interest(market), "f")
    stamps = range(last // step * step, first // step * step - 1, -step)
    rows = ((at_ms, {"openInterest": value, "timestamp": str(at_ms)}) for at_ms in stamps)
    chosen, cursor = page_by_number(rows, text(params, "cursor"), limit_field(params, 50, 200))
    return {"symbol": market.listing.symbol, "category": "linear", "list": chosen, "nextPageCursor": cursor}


def recent_trades(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params)
    limit = limit_field(params, 500, 1000)
    trades = list(market.trades)[-limit:]
    rows = [market_rows.recent_trade(trade, market.listing.symbol) for trade in reversed(trades)]
    return {"category": "linear", "list": rows}


def risk_limit(exchange: Exchange, params: Params, now_ms: int) -> Result:
    markets = _chosen(exchange, params)
    groups = [(market.listing.symbol, market_rows.risk_rows(market.listing)) for market in markets]
    chosen, cursor = page_by_name(groups, text(params, "cursor"), 15)
    rows = [row for group in chosen for row in group]
    return {"category": text(params, "category"), "list": rows, "nextPageCursor": cursor}


def funding_history(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """Settled fundings, newest first. A start without an end is an error, as documented."""
    market = require_market(exchange, params)
    limit = limit_field(params, 200, 200)
    start, end = time_field(params, "startTime", 0), time_field(params, "endTime", 0)
    if start and not end:
        raise ApiError(10001, "params error: endTime is required with startTime")
    settled = [pair for pair in reversed(market.fundings) if start <= pair[0] and (not end or pair[0] <= end)]
    rows = [
        {"symbol": market.listing.symbol, "fundingRate": plain(rate), "fundingRateTimestamp": str(at_ms)}
        for at_ms, rate in settled[:limit]
    ]
    return {"category": "linear", "list": rows}


def system_status(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """Maintenance, as the control endpoint has announced it."""
    return {"list": exchange.announced.maintenance(text(params, "id"), text(params, "state"))}


def price_limit(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params, default_category="linear")
    highest, lowest = market.price_band()
    return {
        "symbol": market.listing.symbol,
        "buyLmt": format(highest, "f"),
        "sellLmt": format(lowest, "f"),
        "ts": str(now_ms),
    }
