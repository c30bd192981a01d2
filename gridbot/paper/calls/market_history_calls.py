"""Public calls of market/ that list by time: candles, fundings, open interest, ratios, delivery prices.

Each takes (exchange, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.market_history import Candle
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.params.paging import page_by_name, page_by_number
from gridbot.paper.params.validate import choice, limit_field, text, time_field
from gridbot.paper.rows import candle_rows, market_rows
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "account_ratio",
    "delivery_price",
    "funding_history",
    "index_price_kline",
    "kline",
    "mark_price_kline",
    "open_interest",
    "premium_index_price_kline",
]

Params = Mapping[str, Any]
Result = dict[str, Any]


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


def account_ratio(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """Share of holders that are long, at each period since the exchange began, newest first: always one half."""
    market = require_market(exchange, params)
    periods = market_rows.INTEREST_INTERVALS_MS
    step = periods[choice(params, "period", frozenset(periods))]
    first = max(exchange.started_ms, time_field(params, "startTime", 0))
    last = min(now_ms, time_field(params, "endTime", now_ms))
    row = {"symbol": market.listing.symbol, "buyRatio": "0.5", "sellRatio": "0.5"}
    stamps = range(last // step * step, first // step * step - 1, -step)
    rows = ((at_ms, {**row, "timestamp": str(at_ms)}) for at_ms in stamps)
    chosen, cursor = page_by_number(rows, text(params, "cursor"), limit_field(params, 50, 500))
    return {"list": chosen, "nextPageCursor": cursor}


def delivery_price(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """Of contracts that were delisted, by symbol; dated ones are not listed here. Without a symbol, of one settle coin,
    which is USDC when none is named."""
    linear, symbol = is_linear(params), text(params, "symbol")
    wanted = linear and bool(symbol or text(params, "settleCoin") == SETTLE_COIN)
    rows = []
    for market in exchange.markets.values() if wanted else ():
        listing, price = market.listing, market.listing.delivery_price
        if price is not None and market.instrument.status == "Closed" and symbol in ("", listing.symbol):
            ended_ms = str((market.instrument.delivery_ms or 0) + listing.settling_ms)
            row = {"symbol": listing.symbol, "deliveryPrice": plain(price), "deliveryTime": ended_ms}
            rows.append((listing.symbol, row))
    chosen, cursor = page_by_name(sorted(rows), text(params, "cursor"), limit_field(params, 50, 200))
    return {"category": text(params, "category"), "list": chosen, "nextPageCursor": cursor}
