"""Several fills of one trade, where an earlier one decides what becomes of a later one."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder, Order
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.settings import MatchingModel, PaperConfig

D = Decimal
SYMBOL = "LTCUSDT"


def exchange_with_a_long(matching: MatchingModel) -> tuple[Exchange, Account]:
    """One-way mode, one coin long from 85.01; little of the market stands at each price."""
    config = PaperConfig(matching=matching)
    exchange = Exchange(config, {SYMBOL: SymbolMarket(LISTINGS[SYMBOL], D(85), D(10000), 0)}, "0123456789ab", 0)
    account = exchange.state.add_account("a", "k", "s", D(1000))
    exchange.place(account, NewOrder(SYMBOL, Side.BUY, D("1.0"), None, 0), 1)
    assert account.leg(SYMBOL, 0).size == 1
    return exchange, account


def sell(exchange: Exchange, account: Account, qty: str, *, reduce_only: bool) -> Order:
    request = NewOrder(SYMBOL, Side.SELL, D(qty), D("85.10"), 0, reduce_only=reduce_only)
    return exchange.place(account, request, 2)


def test_a_closing_order_ended_by_an_earlier_fill_of_the_same_trade_is_not_filled() -> None:
    exchange, account = exchange_with_a_long(MatchingModel.QUEUE)
    opening = sell(exchange, account, "1.0", reduce_only=False)
    closing = sell(exchange, account, "1.0", reduce_only=True)
    ahead = exchange.markets[SYMBOL].depth.level_qty(8510)
    exchange.trade(SYMBOL, Side.BUY, 8510, ahead + D("1.4"), 3)
    assert (opening.status, opening.cum_qty) == (OrderStatus.FILLED, 1)
    assert (closing.status, closing.cum_qty) == (OrderStatus.CANCELLED, 0)
    assert closing.cancel_type == "CancelByReduceOnly"
    assert account.leg(SYMBOL, 0).size == 0


def test_a_closing_order_whose_fill_is_bigger_than_the_position_is_filled_for_what_there_is() -> None:
    exchange, account = exchange_with_a_long(MatchingModel.TOUCH)
    sell(exchange, account, "0.4", reduce_only=False)
    closing = sell(exchange, account, "1.0", reduce_only=True)
    exchange.trade(SYMBOL, Side.BUY, 8510, D("0.1"), 3)
    assert (closing.status, closing.cum_qty) == (OrderStatus.CANCELLED, D("0.6"))
    assert account.leg(SYMBOL, 0).size == 0
