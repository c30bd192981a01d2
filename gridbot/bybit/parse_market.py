"""Bybit's rows about the market: tickers, trades, instruments, risk tiers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gridbot.bybit.raw_fields import (
    Row,
    decimal_or_none,
    need_amount,
    need_positive,
    need_text,
    object_of,
    or_zero,
    positive_or_none,
    side_of,
    time_of,
    time_or_none,
    whole_or_none,
)
from gridbot.core.events import TickerEvent
from gridbot.core.instrument import Instrument, RiskTier
from gridbot.exchange.requests import PublicTrade

__all__ = ["parse_instrument", "parse_public_trade", "parse_ticker", "parse_tiers"]


def parse_ticker(row: Row, exchange_ts: int = 0, received_ns: int = 0) -> TickerEvent:
    """A row of market/tickers, or a merged `tickers` topic. FieldError (a ValueError) without symbol or last price."""
    return TickerEvent(
        symbol=need_text(row, "symbol"),
        last_price=need_positive(row, "lastPrice"),
        exchange_ts=exchange_ts,
        mark_price=positive_or_none(row, "markPrice"),
        index_price=positive_or_none(row, "indexPrice"),
        bid1_price=positive_or_none(row, "bid1Price"),
        ask1_price=positive_or_none(row, "ask1Price"),
        funding_rate=decimal_or_none(row.get("fundingRate")),
        next_funding_ts=time_or_none(row.get("nextFundingTime")),
        received_ns=received_ns,
    )


def parse_public_trade(row: Row) -> PublicTrade:
    """A row of the `publicTrade` topic."""
    return PublicTrade(
        symbol=need_text(row, "s"),
        trade_id=need_text(row, "i"),
        side=side_of(row, "S"),
        price=need_positive(row, "p"),
        qty=need_positive(row, "v"),
        exchange_ts=time_of(row, "T"),
    )


def parse_instrument(row: Row, tiers: tuple[RiskTier, ...] = ()) -> Instrument:
    """A row of market/instruments-info. ValueError without a status, and without a positive tick and step."""
    prices, lots, leverage = (
        object_of(row, "priceFilter"),
        object_of(row, "lotSizeFilter"),
        object_of(row, "leverageFilter"),
    )
    risk = object_of(row, "riskParameters")
    delivery_ms = whole_or_none(row.get("deliveryTime"))
    optional: dict[str, Decimal | None] = {
        "min_notional": decimal_or_none(lots.get("minNotionalValue")),
        "min_price": decimal_or_none(prices.get("minPrice")),
        "max_price": decimal_or_none(prices.get("maxPrice")),
        "max_leverage": decimal_or_none(leverage.get("maxLeverage")),
        "max_market_qty": positive_or_none(lots, "maxMktOrderQty"),
        "price_limit_x": decimal_or_none(risk.get("priceLimitRatioX")),
        "price_limit_y": decimal_or_none(risk.get("priceLimitRatioY")),
    }
    return Instrument(
        symbol=need_text(row, "symbol"),
        tick_size=need_positive(prices, "tickSize"),
        qty_step=need_positive(lots, "qtyStep"),
        min_order_qty=need_amount(lots, "minOrderQty"),
        max_order_qty=need_positive(lots, "maxOrderQty"),
        status=need_text(row, "status"),
        funding_interval_minutes=whole_or_none(row.get("fundingInterval")) or 480,
        delivery_ms=None if delivery_ms is None else time_or_none(max(0, delivery_ms)),
        tiers=tiers,
        untold=frozenset(name for name, value in optional.items() if value is None),
        **{name: value for name, value in optional.items() if value is not None},
    )


def parse_tiers(rows: Iterable[Row]) -> tuple[RiskTier, ...]:
    """Rows of market/risk-limit for one symbol, lowest tier first. FieldError when a rate or limit is missing."""
    tiers = [
        RiskTier(
            limit=need_positive(row, "riskLimitValue"),
            mm_rate=need_amount(row, "maintenanceMargin"),
            im_rate=need_amount(row, "initialMargin"),
            mm_deduction=or_zero(row, "mmDeduction"),
            max_leverage=need_positive(row, "maxLeverage"),
        )
        for row in rows
    ]
    return tuple(sorted(tiers, key=lambda tier: tier.limit))
