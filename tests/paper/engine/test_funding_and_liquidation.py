"""What time and the mark price do to positions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.engine.liquidation import TAKE_OVER
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.account_rows import position_row
from gridbot.paper.rows.order_rows import execution_row
from gridbot.paper.rows.transaction_rows import entries, kind_of, transaction_row
from gridbot.paper.settings import PaperConfig, PositionMode
from tests.paper.support import BOB, Inbox, Venue, eventually, limit_order, manual_config, venue_of

D = Decimal
HOUR = 3_600_000


def new_exchange(balance: int = 1000) -> Exchange:
    config = PaperConfig(position_mode=PositionMode.HEDGE, default_leverage=D(50))
    markets = {
        symbol: SymbolMarket(LISTINGS[symbol], LISTINGS[symbol].default_price, D(10000), 0)
        for symbol in ("BTCUSDT", "LTCUSDT")
    }
    exchange = Exchange(config, markets, "0123456789ab", 0)
    exchange.state.add_account("a", "k", "s", D(balance))
    return exchange


def take(exchange: Exchange, symbol: str, side: Side, idx: int, qty: str) -> None:
    exchange.place(exchange.accounts["a"], NewOrder(symbol, side, D(qty), None, idx, "IOC"), 1)


def balanced(exchange: Exchange) -> bool:
    account = exchange.accounts["a"]
    parts = account.realised - account.fees + account.funding + account.insurance
    return account.wallet == account.deposit + parts


def test_longs_pay_and_shorts_receive_funding_at_its_time() -> None:
    exchange = new_exchange()
    account = exchange.accounts["a"]
    take(exchange, "BTCUSDT", Side.BUY, 1, "0.020")
    take(exchange, "BTCUSDT", Side.SELL, 2, "0.005")
    exchange.on_time(8 * HOUR - 1)
    assert account.funding == 0
    exchange.on_time(8 * HOUR)
    mark = exchange.markets["BTCUSDT"].mark
    assert account.funding == -(D("0.015") * mark * D("0.0001"))
    exchange.on_time(8 * HOUR + 1)
    long, short = [e for e in account.executions if e.exec_type == "Funding"]
    assert (long.side, long.qty, long.fee > 0) == (Side.BUY, D("0.020"), True)
    assert (short.side, short.qty, short.fee < 0) == (Side.SELL, D("0.005"), True)
    assert balanced(exchange)


def test_a_funding_s_row_has_the_price_it_was_settled_at_and_a_rate_that_is_cut() -> None:
    exchange = new_exchange()
    account, market = exchange.accounts["a"], exchange.markets["LTCUSDT"]
    take(exchange, "LTCUSDT", Side.BUY, 1, "1.0")
    exchange.trade("LTCUSDT", Side.SELL, 8400, D(0), 2)
    exchange.settle_funding("LTCUSDT", D("0.000123456789"), 3)
    funding = account.executions[-1]
    row = execution_row(funding, market.listing.no_qty)
    assert (row["execPrice"], row["markPrice"], row["execValue"]) == ("84.00", "85.00", "84")
    assert (row["feeRate"], row["execFee"]) == ("0.00012345", "0.01037037")
    entry = next(each for each in entries(account) if kind_of(each) == "SETTLEMENT")
    assert transaction_row(account, entry)["feeRate"] == "0.00012345"


def test_a_ladder_that_opens_counts_when_a_liquidation_is_due() -> None:
    """The margin of opening orders is maintenance margin, too: they go, and the leg is whole without them."""
    exchange = new_exchange()
    account = exchange.accounts["a"]
    take(exchange, "LTCUSDT", Side.BUY, 1, "150")
    for ticks in range(7000, 7100, 10):
        exchange.place(account, NewOrder("LTCUSDT", Side.BUY, D(20), D(ticks) / 100, 1, "PostOnly"), 1)
    figures = exchange.totals(account)
    assert figures.order_maintenance > figures.holdings.maintenance
    ticks = 8500
    while account.open:
        ticks -= 1
        exchange.trade("LTCUSDT", Side.SELL, ticks, D(0), 2)
        before = exchange.totals(account)
        exchange.on_time(2)
    assert before.holdings.maintenance < before.equity <= before.maintenance
    assert account.legs[("LTCUSDT", 1)].size == 150
    assert {order.cancel_type for order in account.closed.values() if not order.cum_qty} == {"CancelAllBeforeLiq"}


def test_the_mark_follows_the_last_price_with_its_half_life() -> None:
    market = SymbolMarket(LISTINGS["BTCUSDT"], D(60000), D(10000), 0, mark_halflife_s=1.0, funding_rate=D(0))
    market.apply(Side.BUY, 601000, D("0.1"), 0)
    assert (market.last, market.mark) == (D(60100), D(60000))
    market.revalue(1000)
    assert market.mark == market.index == D(60050)
    market.revalue(60_000)
    assert market.mark == D(60100)


def test_a_single_leg_is_liquidated_when_maintenance_exceeds_equity() -> None:
    exchange = new_exchange()
    account = exchange.accounts["a"]
    take(exchange, "LTCUSDT", Side.BUY, 1, "400")
    exchange.place(account, NewOrder("LTCUSDT", Side.BUY, D(1), D(80), 1, "PostOnly"), 1)
    exchange.trade("LTCUSDT", Side.SELL, 8400, D(0), 2)
    exchange.on_time(2)
    assert account.legs[("LTCUSDT", 1)].size == 400
    exchange.trade("LTCUSDT", Side.SELL, 8301, D(0), 3)
    exchange.on_time(3)
    assert account.legs[("LTCUSDT", 1)].size == 0
    assert not account.open
    assert next(iter(account.closed.values())).cancel_type == "UNKNOWN"
    cancelled = [order for order in account.closed.values() if order.cancel_type == "CancelAllBeforeLiq"]
    assert len(cancelled) == 1
    bust = account.executions[-1]
    assert (bust.exec_type, bust.create_type, bust.order_link_id) == ("BustTrade", TAKE_OVER, "")
    assert 0 <= account.wallet < account.deposit
    assert balanced(exchange)


def test_of_a_pair_the_excess_goes_first_and_the_hedge_may_survive() -> None:
    exchange = new_exchange()
    account = exchange.accounts["a"]
    take(exchange, "LTCUSDT", Side.BUY, 1, "400")
    take(exchange, "LTCUSDT", Side.SELL, 2, "100")
    ticks = 8500
    while account.legs[("LTCUSDT", 1)].size == 400:
        ticks -= 5
        exchange.trade("LTCUSDT", Side.SELL, ticks, D(0), 2)
        exchange.on_time(2)
    assert [account.legs[("LTCUSDT", idx)].size for idx in (1, 2)] == [100, 100]
    assert balanced(exchange)


def test_a_gap_beyond_the_wallet_is_made_good_and_never_more() -> None:
    exchange = new_exchange()
    account = exchange.accounts["a"]
    take(exchange, "LTCUSDT", Side.BUY, 1, "400")
    exchange.trade("LTCUSDT", Side.SELL, 5000, D(0), 2)
    exchange.on_time(2)
    assert account.wallet == 0
    assert account.insurance > 0
    assert balanced(exchange)
    exchange.on_time(3)
    assert account.wallet == 0


def test_the_liquidation_estimate_is_near_the_price_that_liquidates() -> None:
    """For one leg: docs/incidents-operations.md 7.5 with the equity of the moment before."""
    exchange = new_exchange()
    account = exchange.accounts["a"]
    take(exchange, "LTCUSDT", Side.BUY, 1, "400")
    leg = account.legs[("LTCUSDT", 1)]
    estimate = D(position_row(account, leg, exchange.state.valuation, exchange.totals(account))["liqPrice"])
    ticks = 8500
    while leg.size:
        ticks -= 1
        exchange.trade("LTCUSDT", Side.SELL, ticks, D(0), 2)
        exchange.on_time(2)
    assert abs(D(ticks) / 100 - estimate) < D("0.2")


@pytest.fixture
def geared() -> Iterator[Venue]:
    with venue_of(manual_config(default_leverage=50)) as venue:
        yield venue


def test_funding_and_liquidation_reach_the_streams(geared: Venue) -> None:
    inbox = Inbox()
    socket = geared.websocket("private", BOB)
    socket.execution_stream(inbox)
    socket.order_stream(inbox)
    eventually(lambda: geared.server.exchange.accounts["bob"].listening == {"execution", "order"})
    http = geared.http(BOB)
    http.place_order(category="linear", symbol="BTCUSDT", side="Buy", orderType="Market", qty="0.300", positionIdx=1)
    geared.call(geared.server.market.settle_funding, "BTCUSDT", "0.0001")
    funding = inbox.wait(lambda row: row.get("execType") == "Funding", "execution")
    assert (funding["execFee"], funding["feeRate"], funding["orderType"]) == ("1.8", "0.0001", "UNKNOWN")
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "50000.00", 1))
    geared.call(geared.server.market.set_mark, "BTCUSDT", "58600.00")
    inbox.wait(lambda row: row.get("cancelType") == "CancelAllBeforeLiq", "order")
    bust = inbox.wait(lambda row: row.get("execType") == "BustTrade", "execution")
    assert (bust["createType"], bust["execPrice"]) == (TAKE_OVER, "58600.00")
    assert http.get_positions(category="linear", settleCoin="USDT")["result"]["list"] == []
    socket.exit()
