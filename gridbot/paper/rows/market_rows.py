"""Public rows as Bybit sends them: instruments, tickers, books, trades, risk limits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from gridbot.paper.market.instruments import AUCTION_PHASES, PRE_LAUNCH, Listing, Phase
from gridbot.paper.market.symbol_market import PublicTrade, SymbolMarket
from gridbot.paper.rows.row_numbers import multiples, plain

__all__ = [
    "book_rows",
    "instrument_row",
    "open_interest",
    "public_trade",
    "recent_trade",
    "risk_rows",
    "ticker_row",
    "with_rpi_size",
]

INTEREST_INTERVALS_MS = {
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}


def instrument_row(listing: Listing) -> dict[str, Any]:
    instrument = listing.instrument
    qty, market_qty = plain(instrument.max_order_qty), plain(listing.max_market_qty)
    return {
        "symbol": listing.symbol,
        "symbolId": listing.symbol_id,
        "contractType": "LinearPerpetual",
        "status": instrument.status,
        "baseCoin": listing.base_coin,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "symbolType": "",
        "launchTime": str(listing.launch_ms),
        "deliveryTime": str(instrument.delivery_ms or 0),
        "deliveryFeeRate": "",
        "priceScale": str(listing.price_scale),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": format(instrument.max_leverage, "f"),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": format(instrument.min_price, "f"),
            "maxPrice": format(instrument.max_price, "f"),
            "tickSize": format(instrument.tick_size, "f"),
        },
        "lotSizeFilter": {
            "maxOrderQty": qty,
            "minOrderQty": format(instrument.min_order_qty, "f"),
            "qtyStep": format(instrument.qty_step, "f"),
            "postOnlyMaxOrderQty": qty,
            "maxMktOrderQty": market_qty,
            "minNotionalValue": plain(instrument.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": instrument.funding_interval_minutes,
        "copyTrading": "both",
        "upperFundingRate": plain(listing.funding_cap),
        "lowerFundingRate": plain(-listing.funding_cap),
        "displayName": "",
        "fullName": "",
        "marketRegion": "",
        "underlyingTicker": "",
        "tags": [],
        "forbidUplWithdrawal": False,
        "riskParameters": {
            "priceLimitRatioX": plain(listing.price_limit_x),
            "priceLimitRatioY": plain(listing.price_limit_y),
        },
        "isPreListing": instrument.status == PRE_LAUNCH,
        "preListingInfo": _pre_listing(listing) if instrument.status == PRE_LAUNCH else None,
    }


def _pre_listing(listing: Listing) -> dict[str, Any]:
    """Phases that follow each other on command (`list_as`) have no time, those of `launch` have."""
    fees = {"auctionFeeRate": "0", "takerFeeRate": "0.001", "makerFeeRate": "0.0004"}
    return {
        "curAuctionPhase": listing.auction_phase,
        "phases": [
            {"phase": phase.name, "startTime": _time(phase.start_ms), "endTime": _time(phase.end_ms)}
            for phase in listing.phases or [Phase(name, 0, 0) for name in AUCTION_PHASES]
        ],
        "auctionFeeInfo": fees,
        "skipCallAuction": False,
    }


def _time(at_ms: int) -> str:
    return str(at_ms) if at_ms else ""


def open_interest(market: SymbolMarket) -> Decimal:
    """Base coin; modelled, and the same all the time: what 100 million USDT bought when the market began."""
    return (Decimal(100_000_000) / market.first).quantize(market.instrument.qty_step)


def ticker_row(market: SymbolMarket, *, stream: bool = False) -> dict[str, str]:
    """All ticker fields; the stream has a tick direction, REST has the fields of dated contracts."""
    interest, day, depth = open_interest(market), market.day, market.depth
    row = {
        "symbol": market.listing.symbol,
        "lastPrice": format(market.last, "f"),
        "indexPrice": format(market.index, "f"),
        "markPrice": format(market.mark, "f"),
        "prevPrice24h": format(day.prev_24h, "f"),
        "price24hPcnt": plain(((market.last - day.prev_24h) / day.prev_24h).quantize(Decimal("0.000001"))),
        "highPrice24h": format(day.high, "f"),
        "lowPrice24h": format(day.low, "f"),
        "prevPrice1h": format(day.prev_1h, "f"),
        "openInterest": format(interest, "f"),
        "openInterestValue": plain((interest * market.mark).quantize(Decimal("0.01"))),
        "singleOpenInterest": format(interest / 2, "f"),
        "singleOpenInterestValue": plain((interest * market.mark / 2).quantize(Decimal("0.01"))),
        "turnover24h": format(day.turnover.quantize(Decimal("0.0001")), "f"),
        "volume24h": format(day.volume.quantize(Decimal("0.0001")), "f"),
        "fundingRate": plain(market.funding_rate),
        "nextFundingTime": str(market.next_funding_ms),
        "ask1Price": format(depth.ask, "f"),
        "ask1Size": format(depth.level_qty(depth.ask_ticks), "f"),
        "bid1Price": format(depth.bid, "f"),
        "bid1Size": format(depth.level_qty(depth.bid_ticks), "f"),
        "preOpenPrice": "" if market.pre_open is None else format(market.pre_open[0], "f"),
        "preQty": "" if market.pre_open is None else plain(market.pre_open[1]),
        "curPreListingPhase": market.listing.phase,
        "fundingIntervalHour": str(max(1, market.funding_interval_ms // 3_600_000)),
        "fundingCap": plain(market.listing.funding_cap),
    }
    if stream:
        row["tickDirection"] = market.tick
    else:
        row.update(
            dict.fromkeys(("predictedDeliveryPrice", "basisRate", "basis", "basisRateYear", "deliveryFeeRate"), "")
        )
        row["deliveryTime"] = "0"
    return row


def book_rows(market: SymbolMarket, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(bids, asks) as price and size text; none of what is over."""
    if market.listing.is_over:
        return [], []
    instrument, steps = market.instrument, market.depth.level_steps
    bids, asks = market.depth.levels(depth)

    def rows(levels: range) -> list[tuple[str, str]]:
        prices = multiples(instrument.tick_size, levels)
        return list(zip(prices, multiples(instrument.qty_step, map(steps, levels)), strict=True))

    return rows(bids), rows(asks)


def with_rpi_size(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Levels of a book with retail price improvement: price, size without it, its size. Nobody quotes it here."""
    return [(*row, "0") for row in rows]


def recent_trade(trade: PublicTrade, symbol: str) -> dict[str, Any]:
    return {
        "execId": trade.trade_id,
        "symbol": symbol,
        "price": format(trade.price, "f"),
        "size": format(trade.size, "f"),
        "side": trade.side.value,
        "time": str(trade.time_ms),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.seq),
    }


def public_trade(trade: PublicTrade, symbol: str) -> dict[str, Any]:
    return {
        "T": trade.time_ms,
        "s": symbol,
        "S": trade.side.value,
        "v": format(trade.size, "f"),
        "p": format(trade.price, "f"),
        "L": trade.tick,
        "i": trade.trade_id,
        "BT": False,
        "RPI": False,
        "seq": trade.seq,
    }


def risk_rows(listing: Listing) -> list[dict[str, Any]]:
    return [
        {
            "id": listing.symbol_id * 10 + number,
            "symbol": listing.symbol,
            "riskLimitValue": plain(tier.limit),
            "maintenanceMargin": plain(tier.mm_rate),
            "initialMargin": plain(tier.im_rate),
            "isLowestRisk": 1 if number == 1 else 0,
            "maxLeverage": format(tier.max_leverage, "f"),
            "mmDeduction": plain(tier.mm_deduction) if tier.mm_deduction else "",
        }
        for number, tier in enumerate(listing.instrument.tiers, start=1)
    ]
