"""Public calls of market/ that tell how the market is now (docs/bybit.md 2.2, 2.3); its past: `market_history_calls`.

Each takes (exchange, parameters, now) and returns `result`. Pools and components are modelled: they have Bybit's fields
and legal values, and nothing trades on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.params.paging import page_by_name
from gridbot.paper.params.validate import choice, integer, limit_field, text
from gridbot.paper.rows import market_rows, pool_rows

__all__ = [
    "adl_alert",
    "fee_group_info",
    "full_orderbook",
    "index_price_components",
    "instruments_info",
    "insurance",
    "is_linear",
    "orderbook",
    "price_limit",
    "recent_trades",
    "require_market",
    "risk_limit",
    "rpi_orderbook",
    "server_time",
    "tickers",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
MINUTE_MS = 60_000
FULL_DEPTH = 10_000
"""Bybit shows up to 10,000 levels; the modelled book has no end, and its deepest topic ends here."""


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
        if market.instrument.status == status
        and base in ("", market.listing.base_coin)
        and not text(params, "symbolType")  # crypto has none
    ]
    chosen, cursor = page_by_name(rows, text(params, "cursor"), limit)
    return {"category": text(params, "category"), "list": chosen, "nextPageCursor": cursor}


def tickers(exchange: Exchange, params: Params, now_ms: int) -> Result:
    rows = [market_rows.ticker_row(market) for market in _chosen(exchange, params)]
    return {"category": text(params, "category"), "list": rows}


def orderbook(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params)
    bids, asks = market_rows.book_rows(market, limit_field(params, 25, 1000))
    return _book(market, bids, asks, now_ms)


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


def price_limit(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params, default_category="linear")
    highest, lowest = market.price_band()
    return {
        "symbol": market.listing.symbol,
        "buyLmt": format(highest, "f"),
        "sellLmt": format(lowest, "f"),
        "ts": str(now_ms),
    }


def insurance(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """One pool in USDT, less what liquidations have cost it."""
    rows = (
        [pool_rows.insurance_row(exchange.markets, exchange.accounts.values())]
        if text(params, "coin") in ("", pool_rows.COIN)
        else []
    )
    return {"updatedTime": str(now_ms // MINUTE_MS * MINUTE_MS), "list": rows}


def adl_alert(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """Far from deleveraging, which does not happen here."""
    symbols = [text(params, "symbol")] if text(params, "symbol") else sorted(exchange.markets)
    rows = [pool_rows.adl_row(symbol, exchange.accounts.values()) for symbol in symbols if symbol in exchange.markets]
    return {"updatedTime": str(now_ms // MINUTE_MS * MINUTE_MS), "list": rows}


def index_price_components(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """The index follows the traded price of this exchange alone."""
    name = text(params, "indexName", required=True)
    market = exchange.markets.get(name)
    if market is None:
        raise ApiError(10001, "params error: indexName invalid")
    price = format(market.index, "f")
    component = {"exchange": "Bybit", "spotPair": name, "equivalentPrice": price, "multiplier": "1", "price": price}
    return {
        "indexName": name,
        "lastPrice": price,
        "updateTime": str(now_ms),
        "components": [{**component, "weight": "1"}],
    }


def fee_group_info(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """One group with all contracts. Bybit's groups concern its Pro and market maker levels, which do not exist here."""
    choice(params, "productType", frozenset({"contract"}))
    group = integer(params, "groupId", 1)
    if not 1 <= group <= 9:
        raise ApiError(10001, "params error: groupId invalid, expected 1 to 9")
    row = {
        "groupName": "G1(Major Coins)",
        "weightingFactor": 1,
        "symbolsNumbers": len(exchange.markets),
        "symbols": sorted(exchange.markets),
        "feeRates": {"pro": [], "marketMaker": []},
        "updateTime": str(exchange.started_ms),
    }
    return {"list": [row] if group == 1 else []}


def rpi_orderbook(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """The book with the size of retail price improvement quotes as a third figure: there are none."""
    market = require_market(exchange, params, default_category="linear")
    text(params, "limit", required=True)
    bids, asks = market_rows.book_rows(market, limit_field(params, 50, 50))
    return _book(market, market_rows.with_rpi_size(bids), market_rows.with_rpi_size(asks), now_ms)


def full_orderbook(exchange: Exchange, params: Params, now_ms: int) -> Result:
    market = require_market(exchange, params)
    bids, asks = market_rows.book_rows(market, FULL_DEPTH)
    return _book(market, bids, asks, now_ms)


def _book(market: SymbolMarket, bids: list[Any], asks: list[Any], now_ms: int) -> Result:
    return {
        "s": market.listing.symbol,
        "b": bids,
        "a": asks,
        "ts": now_ms,
        "u": market.updates,
        "seq": market.seq,
        "cts": market.updated_ms,
    }
