"""An exchange with one account in isolated margin, as the tests of it need it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.account_rows import position_row
from gridbot.paper.settings import PaperConfig, PositionMode

D = Decimal
HEDGE, ONE_WAY = PositionMode.HEDGE, PositionMode.ONE_WAY


def new_exchange(balance: int = 1000, mode: PositionMode = HEDGE, *symbols: str) -> Exchange:
    markets = {
        symbol: SymbolMarket(LISTINGS[symbol], LISTINGS[symbol].default_price, D(10_000_000), 0)
        for symbol in symbols or ("LTCUSDT",)
    }
    exchange = Exchange(PaperConfig(position_mode=mode), markets, "0123456789ab", 0)
    account = exchange.state.add_account("a", "k", "s", D(balance))
    exchange.positions.set_margin_mode(account, 0, isolated=True)
    return exchange


def take(exchange: Exchange, side: Side, idx: int, qty: str, symbol: str = "LTCUSDT") -> Leg:
    account = exchange.accounts["a"]
    exchange.place(account, NewOrder(symbol, side, D(qty), None, idx, "IOC"), 1)
    return account.leg(symbol, idx)


def row_of(exchange: Exchange, leg: Leg) -> dict[str, Any]:
    account = exchange.accounts["a"]
    return position_row(account, leg, exchange.state.valuation, exchange.totals(account))


def move(exchange: Exchange, price: str, symbol: str = "LTCUSDT") -> None:
    market = exchange.markets[symbol]
    side = Side.BUY if D(price) >= market.last else Side.SELL
    exchange.trade(symbol, side, market.instrument.ticks(D(price)), D(0), 2)
    exchange.on_time(2)


def refused(call: Any, *arguments: Any, **named: Any) -> int:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **named)
    return caught.value.code
