"""Public REST endpoints that report on the market as a whole (shared sheet bybit-v5-more, section 2).

Each takes (exchange, parameters, now) and returns `result`. Ratios, pools and components are modelled: they have
Bybit's fields and legal values, and nothing trades on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbot.paper.api_error import ApiError
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.params.paging import page_by_name, page_by_number
from gridbot.paper.params.validate import choice, integer, limit_field, text, time_field
from gridbot.paper.rows import market_rows, pool_rows
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "account_ratio",
    "adl_alert",
    "announcements",
    "delivery_price",
    "fee_group_info",
    "full_orderbook",
    "index_price_components",
    "insurance",
    "rpi_orderbook",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
MINUTE_MS = 60_000
FULL_DEPTH = 10_000
"""Bybit shows up to 10,000 levels; the modelled book has no end, and its deepest topic ends here."""


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


def delivery_price(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """Of contracts that were delisted, by symbol; dated ones are not listed here."""
    symbol = text(params, "symbol")
    rows = []
    for market in exchange.markets.values() if is_linear(params) else ():
        listing, price = market.listing, market.listing.delivery_price
        if price is not None and market.instrument.status == "Closed" and symbol in ("", listing.symbol):
            ended_ms = str((market.instrument.delivery_ms or 0) + listing.settling_ms)
            row = {"symbol": listing.symbol, "deliveryPrice": plain(price), "deliveryTime": ended_ms}
            rows.append((listing.symbol, row))
    chosen, cursor = page_by_name(sorted(rows), text(params, "cursor"), limit_field(params, 50, 200))
    return {"category": text(params, "category"), "list": chosen, "nextPageCursor": cursor}


def announcements(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """News, as the control endpoint has announced them."""
    text(params, "locale", required=True)
    rows = exchange.announced.news(text(params, "type"), text(params, "tag"))
    limit, page = limit_field(params, 20, 1000), max(1, integer(params, "page", 1))
    return {"total": len(rows), "list": rows[(page - 1) * limit : page * limit]}
