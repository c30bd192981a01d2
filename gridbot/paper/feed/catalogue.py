"""Instruments as the exchange publishes them: from a saved file, or fetched from a REST address. Reads files, network.

A file holds answers of `market/instruments-info` and `market/risk-limit`, and `market/tickers` if its prices are
wanted, as the exchange sent them, one after the other (`curl ... >> instruments.json`).
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gridbot.core.instrument import Instrument, RiskTier
from gridbot.core.strict_numbers import amount_of, decimal_of, time_of, whole_of
from gridbot.doors.bounded_json import LONGEST, read_json
from gridbot.doors.plain_text import shown
from gridbot.paper.market.instruments import Listing

__all__ = ["CatalogueError", "fetch", "parse", "read"]

TIMEOUT_S = 10.0
QUESTIONS = ("instruments-info", "risk-limit", "tickers")
Row = Mapping[str, Any]
LONGEST_SYMBOL = 100
MISTAKES = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What comes of a file or an answer that is none of the three."""


class CatalogueError(Exception):
    """Instruments cannot be loaded; the text says from where and why."""


def read(path: Path) -> dict[str, Listing]:
    """Listings of a file of saved answers."""
    try:
        return parse(_rows(_documents(path.read_text(encoding="utf-8"))))
    except MISTAKES as error:
        raise CatalogueError(
            f"{path}: expected answers of market/instruments-info and market/risk-limit, got: {shown(str(error), 300)}"
        ) from error


def fetch(url: str, symbols: Iterable[str]) -> dict[str, Listing]:
    """Listings of some symbols from a REST address such as https://api.bybit.com; unknown symbols are left out."""
    try:
        answers = [_get(f"{url.rstrip('/')}/v5/market/{what}", symbol) for symbol in symbols for what in QUESTIONS]
        return parse(_rows(answers))
    except MISTAKES as error:
        raise CatalogueError(
            f"expected instruments from {url}, got: {shown(str(error), 300)}; is there a network?"
        ) from error


def parse(rows: Iterable[Row]) -> dict[str, Listing]:
    """Listings from rows of the three endpoints in any order. Raise ValueError when one is not understood.

    Only USDT perpetuals count. An instrument without tiers is an error; without a ticker its default price is 0.
    """
    instruments: dict[str, Row] = {}
    tiers: dict[str, list[Row]] = {}
    prices: dict[str, Decimal] = {}
    for row in rows:
        symbol = str(row["symbol"])
        if not symbol.isprintable() or len(symbol) > LONGEST_SYMBOL:
            raise ValueError(f"expected a symbol, got {shown(symbol)}")
        if "lotSizeFilter" in row:
            if row["contractType"] == "LinearPerpetual" and row["settleCoin"] == "USDT":
                instruments[symbol] = row
        elif "riskLimitValue" in row:
            tiers.setdefault(symbol, []).append(row)
        elif "lastPrice" in row:
            prices[symbol] = amount_of(row["lastPrice"])
    return {
        symbol: _listing(row, tiers.get(symbol, []), prices.get(symbol, Decimal(0)))
        for symbol, row in instruments.items()
    }


def _get(address: str, symbol: str) -> Any:
    with urllib.request.urlopen(f"{address}?category=linear&symbol={quote(symbol)}", timeout=TIMEOUT_S) as answer:
        return read_json(answer.read(LONGEST + 1))


def _documents(text: str) -> Iterator[Any]:
    """JSON values that follow one another."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        begin = at
        _, at = decoder.raw_decode(text, begin)
        yield read_json(text[begin:at])


def _rows(answers: Iterable[Any]) -> Iterator[Row]:
    for answer in answers:
        if answer["retCode"] == 0:  # a symbol that is not known there is refused
            yield from answer["result"]["list"]


def _tier(row: Row) -> RiskTier:
    return RiskTier(
        limit=amount_of(row["riskLimitValue"]),
        mm_rate=amount_of(row["maintenanceMargin"]),
        im_rate=amount_of(row["initialMargin"]),
        mm_deduction=amount_of(row.get("mmDeduction") or 0),
        max_leverage=amount_of(row["maxLeverage"]),
    )


def _listing(row: Row, tier_rows: list[Row], price: Decimal) -> Listing:
    symbol, sizes, prices = str(row["symbol"]), row["lotSizeFilter"], row["priceFilter"]
    if not tier_rows:
        raise ValueError(f"{symbol}: no rows of market/risk-limit")
    ratios = row.get("riskParameters") or {}
    instrument = Instrument(
        symbol=symbol,
        tick_size=amount_of(prices["tickSize"]),
        qty_step=amount_of(sizes["qtyStep"]),
        min_order_qty=amount_of(sizes["minOrderQty"]),
        max_order_qty=amount_of(sizes["maxOrderQty"]),
        min_notional=amount_of(sizes.get("minNotionalValue") or 5),
        min_price=amount_of(prices["minPrice"]),
        max_price=amount_of(prices["maxPrice"]),
        max_leverage=amount_of(row["leverageFilter"]["maxLeverage"]),
        status=str(row["status"]),
        funding_interval_minutes=whole_of(row["fundingInterval"]),
        tiers=tuple(sorted(map(_tier, tier_rows), key=lambda tier: tier.limit)),
    )
    return Listing(
        instrument=instrument,
        symbol_id=whole_of(row.get("symbolId") or 0),
        base_coin=str(row["baseCoin"]),
        default_price=price,
        max_market_qty=amount_of(sizes.get("maxMktOrderQty") or sizes["maxOrderQty"]),
        launch_ms=time_of(row["launchTime"]),
        price_limit_x=amount_of(ratios.get("priceLimitRatioX") or "0.05"),
        price_limit_y=amount_of(ratios.get("priceLimitRatioY") or "0.1"),
        funding_cap=decimal_of(row.get("upperFundingRate") or "0.005"),
    )
