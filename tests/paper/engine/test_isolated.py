"""Isolated margin: what a leg sets aside, what liquidates it, and that money is conserved whatever is done to it."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.account_rows import position_row, wallet_row
from gridbot.paper.settings import PaperConfig, PositionMode
from tests.examples import examples
from tests.paper.engine import test_money

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


# ---------------------------------------------------------------------- margin and balance


def test_a_leg_sets_its_margin_aside_by_its_entry_whatever_the_mark() -> None:
    exchange = new_exchange()
    leg = take(exchange, Side.BUY, 1, "10")
    account = exchange.accounts["a"]
    entry = leg.cost / 10
    margin = leg.cost / 10 + leg.cost * D("0.9") * D("0.00055")
    row = row_of(exchange, leg)
    assert D(row["positionIM"]) == D(row["positionBalance"]) == round(margin, 8)
    assert (row["tradeMode"], row["leverage"], row["autoAddMargin"]) == (0, "10", 0)
    available = exchange.totals(account).available
    assert available == account.wallet - margin
    move(exchange, "83.00")
    row = row_of(exchange, leg)
    assert D(row["positionIM"]) == round(margin, 8)
    assert D(row["positionMM"]) == round(10 * 83 * D("0.01") + leg.cost * D("0.9") * D("0.00055"), 8)
    assert exchange.totals(account).available == available  # the loss is the leg's
    liquidation = entry * D("0.9") / D("0.99")
    assert 0 <= D(row["liqPrice"]) - liquidation < D("0.01")
    assert 0 <= D(row["bustPrice"]) - entry * D("0.9") < D("0.01")


def test_legs_of_a_pair_give_each_other_no_relief_and_have_prices_of_their_own() -> None:
    exchange = new_exchange()
    long, short = take(exchange, Side.BUY, 1, "10"), take(exchange, Side.SELL, 2, "10")
    long_row, short_row = row_of(exchange, long), row_of(exchange, short)
    assert D(long_row["liqPrice"]) < 85 < D(short_row["liqPrice"])
    assert D(long_row["positionIM"]) + D(short_row["positionIM"]) > 170


def test_account_wide_figures_do_not_exist() -> None:
    exchange = new_exchange()
    take(exchange, Side.BUY, 1, "10")
    row = wallet_row(exchange.accounts["a"], exchange.totals(exchange.accounts["a"]))
    empty = {name for name, value in row.items() if value == ""}
    assert {"accountIMRate", "accountMMRate", "totalAvailableBalance", "totalMarginBalance"} <= empty
    assert {"totalInitialMargin", "totalMaintenanceMargin"} <= empty
    assert D(row["totalEquity"]) > 0
    coin = row["coin"][0]
    free = D(coin["walletBalance"]) - D(coin["totalPositionIM"]) - D(coin["totalOrderIM"])
    assert abs(free - exchange.totals(exchange.accounts["a"]).available) < D("1e-7")


def test_profit_of_a_leg_opens_nothing() -> None:
    exchange = new_exchange(100)
    take(exchange, Side.BUY, 1, "10")
    move(exchange, "95.00")
    request = NewOrder("LTCUSDT", Side.BUY, D(2), D("94.00"), 1, "GTC")
    assert refused(exchange.place, exchange.accounts["a"], request, 3) == 110007


# ---------------------------------------------------------------------- adding margin


def test_margin_is_added_and_taken_back() -> None:
    exchange = new_exchange()
    account, leg = exchange.accounts["a"], take(exchange, Side.BUY, 1, "10")
    add = exchange.positions.add_margin
    before, available = row_of(exchange, leg), exchange.totals(account).available
    add(account, leg, D(50), 5)
    after = row_of(exchange, leg)
    assert D(after["positionIM"]) - D(before["positionIM"]) == 50
    assert D(before["liqPrice"]) - D(after["liqPrice"]) == pytest.approx(D(50) / 10 / D("0.99"), abs=D("0.02"))
    assert exchange.totals(account).available == available - 50
    assert (account.wallet, leg.updated_ms) == (account.deposit - account.fees, 5)
    assert refused(add, account, leg, D("-50.0001"), 6) == 110078
    assert refused(add, account, leg, available, 6) == 110014
    assert refused(add, account, leg, D(0), 6) == 110027
    assert refused(add, account, account.leg("LTCUSDT", 2), D(1), 6) == 110033
    add(account, leg, D(-50), 7)
    assert row_of(exchange, leg) | {"updatedTime": ""} == before | {"updatedTime": ""}


def test_margin_that_keeps_a_leg_alive_is_not_given_back() -> None:
    exchange = new_exchange()
    account, leg = exchange.accounts["a"], take(exchange, Side.BUY, 1, "10")
    exchange.positions.add_margin(account, leg, D(50), 2)
    move(exchange, "76.00")
    assert leg.size == 10
    assert refused(exchange.positions.add_margin, account, leg, D(-50), 3) == 110011
    assert leg.extra == 50


def test_a_part_that_is_closed_takes_its_share_of_what_was_added() -> None:
    exchange = new_exchange()
    account, leg = exchange.accounts["a"], take(exchange, Side.BUY, 1, "10")
    exchange.positions.add_margin(account, leg, D(50), 2)
    take(exchange, Side.SELL, 1, "4")
    assert leg.extra == 30
    take(exchange, Side.SELL, 1, "6")
    assert leg.extra == 0
    assert exchange.totals(account).available == account.wallet


def test_in_cross_margin_nothing_can_be_added() -> None:
    exchange = new_exchange()
    account, leg = exchange.accounts["a"], take(exchange, Side.BUY, 1, "10")
    exchange.positions.set_margin_mode(account, 2, isolated=False)
    assert refused(exchange.positions.add_margin, account, leg, D(1), 3) == 110015
    assert refused(exchange.positions.set_auto_add, account, leg, 3, on=True) == 110076


# ---------------------------------------------------------------------- liquidation


@pytest.mark.parametrize(("side", "idx", "sign"), [(Side.BUY, 1, -1), (Side.SELL, 2, 1)])
def test_a_leg_is_liquidated_at_its_price_and_loses_its_margin_only(side: Side, idx: int, sign: int) -> None:
    exchange = new_exchange()
    account, leg = exchange.accounts["a"], take(exchange, side, idx, "10")
    other = take(exchange, Side.SELL if idx == 1 else Side.BUY, 3 - idx, "1")
    exchange.place(account, NewOrder("LTCUSDT", Side.BUY, D(1), D("60.00"), 1, "PostOnly"), 1)
    row, wallet = row_of(exchange, leg), account.wallet
    margin = D(row["positionIM"])
    move(exchange, str(D(row["liqPrice"]) - sign * D("0.01")))
    assert leg.size == 10
    move(exchange, row["liqPrice"])
    assert (leg.size, other.size) == (0, 1)
    bust = account.executions[-1]
    assert (bust.exec_type, bust.create_type) == ("BustTrade", "CreateByTakeOver_PassThrough")
    assert bust.price == D(row["bustPrice"])
    assert 0 <= margin - (wallet - account.wallet) < D("0.11")  # one tick of ten coins
    assert [order.cancel_type for order in account.closed.values() if not order.cum_qty] == ["CancelAllBeforeLiq"]
    assert exchange.liquidator.take()[0].price == bust.price
    test_money.check_log(account)


def test_a_gap_costs_no_more_than_the_margin() -> None:
    exchange = new_exchange()
    account, leg = exchange.accounts["a"], take(exchange, Side.BUY, 1, "10")
    wallet, margin = account.wallet, D(row_of(exchange, leg)["positionIM"])
    move(exchange, "40.00")
    assert leg.size == 0
    assert margin - D("0.11") < wallet - account.wallet <= margin
    assert account.insurance == 0


def test_another_symbols_leg_and_orders_stay() -> None:
    exchange = new_exchange(5000, HEDGE, "LTCUSDT", "ETHUSDT")
    account = exchange.accounts["a"]
    leg, other = take(exchange, Side.BUY, 1, "10"), take(exchange, Side.BUY, 1, "0.10", "ETHUSDT")
    exchange.place(account, NewOrder("ETHUSDT", Side.BUY, D("0.10"), D("1000.00"), 1, "PostOnly"), 1)
    move(exchange, "40.00")
    assert (leg.size, other.size, len(account.open)) == (0, D("0.10"), 1)


def test_of_a_big_leg_only_what_is_above_the_lower_tier_goes_first() -> None:
    exchange = new_exchange(1_000_000)
    account = exchange.accounts["a"]
    tiers = exchange.markets["LTCUSDT"].instrument.tiers
    leg = take(exchange, Side.BUY, 1, f"{tiers[0].limit * D('1.2') / 85:.1f}")
    size = leg.size
    move(exchange, row_of(exchange, leg)["liqPrice"])
    staged = account.executions[-1]
    assert (staged.exec_type, staged.create_type) == ("Trade", "CreateByLiq")
    assert staged.price == exchange.markets["LTCUSDT"].mark
    assert 0 < leg.size < size
    assert leg.size * exchange.markets["LTCUSDT"].mark <= tiers[0].limit
    test_money.check_log(account)


def test_auto_add_keeps_a_leg_alive_until_the_balance_is_gone() -> None:
    exchange = new_exchange(220)
    account, leg = exchange.accounts["a"], take(exchange, Side.BUY, 1, "10")
    exchange.positions.set_auto_add(account, leg, 2, on=True)
    assert row_of(exchange, leg)["autoAddMargin"] == 1
    initial, price = leg.cost / 10, row_of(exchange, leg)["liqPrice"]
    move(exchange, price)
    assert (leg.size, leg.extra) == (10, initial)
    move(exchange, row_of(exchange, leg)["liqPrice"])
    assert leg.size == 10
    assert initial < leg.extra < 2 * initial
    assert exchange.totals(account).available < D("1e-7")
    move(exchange, row_of(exchange, leg)["liqPrice"])
    assert (leg.size, leg.extra, leg.auto_add) == (0, 0, True)
    assert 0 <= account.wallet < D("0.2")


def test_a_funding_that_the_balance_cannot_pay_comes_out_of_the_margin() -> None:
    exchange = new_exchange(86)
    account, leg = exchange.accounts["a"], take(exchange, Side.BUY, 1, "10")
    available, price = exchange.totals(account).available, D(row_of(exchange, leg)["liqPrice"])
    assert 0 < available < D("0.5")
    exchange.settle_funding("LTCUSDT", D("0.001"), 3)
    assert leg.extra == available - D("0.85")
    assert exchange.totals(account).available == 0
    assert D(row_of(exchange, leg)["liqPrice"]) > price


# ---------------------------------------------------------------------- settings


def test_each_side_may_have_its_own_leverage_in_hedge_mode() -> None:
    exchange = new_exchange(600)
    account = exchange.accounts["a"]
    exchange.positions.set_leverage(account, "LTCUSDT", D(20), D(5), 1)
    long, short = take(exchange, Side.BUY, 1, "10"), take(exchange, Side.SELL, 2, "10")
    assert [row_of(exchange, leg)["leverage"] for leg in (long, short)] == ["20", "5"]
    assert D(row_of(exchange, short)["positionIM"]) > 3 * D(row_of(exchange, long)["positionIM"])
    exchange.place(account, NewOrder("LTCUSDT", Side.SELL, D(1), D("90.00"), 2, "PostOnly"), 1)
    assert account.order_margin == 18 + (90 + 108) * D("0.00055")
    take(exchange, Side.BUY, 2, "1")
    assert next(iter(account.closed_pnl.values())).leverage == 5
    assert refused(exchange.positions.set_leverage, account, "LTCUSDT", D(20), D(5), 2) == 110043
    assert refused(exchange.positions.set_leverage, account, "LTCUSDT", D(20), D(500), 2) == 110013
    assert refused(exchange.positions.set_leverage, account, "LTCUSDT", D(20), D(1), 2) == 110007
    move(exchange, "84.00")
    assert refused(exchange.positions.set_leverage, account, "LTCUSDT", D(50), D(5), 2) == 110011
    assert row_of(exchange, long)["leverage"] == "20"


def test_only_in_isolated_hedge_mode() -> None:
    exchange = new_exchange(1000, ONE_WAY)
    account = exchange.accounts["a"]
    assert refused(exchange.positions.set_leverage, account, "LTCUSDT", D(20), D(5), 1) == 10001
    exchange.positions.switch_mode(account, "LTCUSDT", hedge=True)
    exchange.positions.set_leverage(account, "LTCUSDT", D(20), D(5), 1)
    exchange.positions.switch_mode(account, "LTCUSDT", hedge=False)
    assert (account.leverage, account.sell_leverage) == ({"LTCUSDT": D(5)}, {})
    exchange.positions.set_margin_mode(account, 2, isolated=False)
    exchange.positions.switch_mode(account, "LTCUSDT", hedge=True)
    assert refused(exchange.positions.set_leverage, account, "LTCUSDT", D(20), D(5), 1) == 10001


def test_the_mode_is_switched_with_positions_and_orders_when_their_margin_is_there() -> None:
    exchange = new_exchange()
    account = exchange.accounts["a"]
    switch = exchange.positions.set_margin_mode
    exchange.positions.set_leverage(account, "LTCUSDT", D(20), D(5), 1)
    leg = take(exchange, Side.BUY, 1, "10")
    exchange.place(account, NewOrder("LTCUSDT", Side.BUY, D(1), D("80.00"), 1, "PostOnly"), 1)
    reserved = account.order_margin
    exchange.positions.add_margin(account, leg, D(50), 2)
    switch(account, 7, isolated=False)
    assert (account.isolated, account.mode_ms, leg.extra) == (False, 7, 0)
    assert (account.leverage, account.sell_leverage) == ({"LTCUSDT": D(5)}, {})
    assert account.order_margin > 2 * reserved  # at 5x instead of 20x
    assert row_of(exchange, leg)["bustPrice"] == ""
    switch(account, 8, isolated=False)
    assert account.mode_ms == 7
    switch(account, 9, isolated=True)
    assert row_of(exchange, leg)["bustPrice"] != ""


def test_a_switch_that_would_liquidate_or_lacks_margin_changes_nothing() -> None:
    exchange = new_exchange(90)
    account = exchange.accounts["a"]
    switch = exchange.positions.set_margin_mode
    exchange.positions.set_leverage(account, "LTCUSDT", D(20), D(19), 1)
    leg = take(exchange, Side.BUY, 1, "10")
    exchange.place(account, NewOrder("LTCUSDT", Side.SELL, D(1), D("90.00"), 2, "PostOnly"), 1)
    exchange.positions.add_margin(account, leg, D(20), 2)
    before = (dict(account.leverage), dict(account.sell_leverage), leg.extra, account.order_margin, account.mode_ms)
    move(exchange, "80.50")
    assert leg.size == 10
    with pytest.raises(ApiError) as caught:
        switch(account, 3, isolated=False)
    assert (caught.value.code, caught.value.message) == (3400045, "Set margin mode failed")
    assert [reason["reasonCode"] for reason in caught.value.result["reasons"]] == ["110006"]
    assert account.isolated
    assert before == (account.leverage, account.sell_leverage, leg.extra, account.order_margin, account.mode_ms)

    cross = new_exchange()
    account = cross.accounts["a"]
    cross.positions.set_margin_mode(account, 0, isolated=False)
    take(cross, Side.BUY, 1, "10")
    move(cross, "70.00")
    with pytest.raises(ApiError) as caught:
        cross.positions.set_margin_mode(account, 3, isolated=True)
    assert [reason["reasonCode"] for reason in caught.value.result["reasons"]] == ["110011"]
    assert not account.isolated


# ---------------------------------------------------------------------- money is conserved

adding = st.tuples(st.just("add"), st.sampled_from((1, 2)), st.integers(-300, 300))
auto = st.tuples(st.just("auto"), st.sampled_from((1, 2)), st.booleans())
switching = st.tuples(st.just("switch"), st.booleans())
gearing = st.tuples(st.just("gear"), st.integers(1, 75), st.integers(1, 75))
taking = st.tuples(st.just("take"), st.sampled_from((1, 2)), st.integers(1, 400))
paths = st.lists(
    st.one_of(taking, adding, auto, switching, gearing, test_money.trading, test_money.placing, test_money.funding),
    max_size=30,
)


def do(exchange: Exchange, step: tuple[Any, ...], now_ms: int, mode: PositionMode) -> None:
    account, positions = exchange.accounts["a"], exchange.positions
    leg = account.leg("LTCUSDT", step[1] if mode is HEDGE and step[0] in ("add", "auto", "take") else 0)
    match step:
        case ("add", _, amount):
            positions.add_margin(account, leg, D(amount), now_ms)
        case ("auto", _, on):
            positions.set_auto_add(account, leg, now_ms, on=on)
        case ("switch", isolated):
            positions.set_margin_mode(account, now_ms, isolated=isolated)
        case ("gear", buy, sell):
            positions.set_leverage(account, "LTCUSDT", D(buy), D(sell if mode is HEDGE else buy), now_ms)
        case ("take", idx, qty):
            side = Side.BUY if idx == 1 else Side.SELL
            exchange.place(account, NewOrder("LTCUSDT", side, D(qty) / 10, None, leg.position_idx, "IOC"), now_ms)
        case _:
            test_money.do(exchange, step, now_ms, mode)


def check(account: Account, exchange: Exchange) -> None:
    valuation, open_orders = exchange.state.valuation, account.open.values()
    margins = [valuation.order_margin(account, order) for order in open_orders]
    if account.hedge or exchange.config.position_mode is HEDGE:  # in one-way mode what opens depends on the leg
        assert account.order_margin == sum(margin.initial for margin in margins)
        assert account.order_maintenance == sum(margin.maintenance for margin in margins)
    assert account.order_margin >= 0
    assert account.isolated or (not account.sell_leverage and not any(leg.extra for leg in account.legs.values()))
    figures = exchange.totals(account)
    for leg in account.legs.values():
        assert leg.size or not leg.extra
        if account.isolated and leg.size:
            margin = figures.margin_of(leg)
            assert margin.initial > 0
            row = row_of(exchange, leg)
            bust, price = D(row["bustPrice"] or 0), D(row["liqPrice"] or 0)
            if bust and price:
                assert (bust <= price) if leg.direction.open_side is Side.BUY else (bust >= price)


@settings(max_examples=examples(80), deadline=None)
@given(paths, st.sampled_from(PositionMode))
def test_money_is_conserved(path: list[tuple[Any, ...]], mode: PositionMode) -> None:
    exchange = test_money.new_exchange(mode)
    account = exchange.accounts["a"]
    exchange.positions.set_margin_mode(account, 0, isolated=True)
    for now_ms, step in enumerate(path, start=1):
        before = exchange.totals(account)
        legs = {idx: (leg.size, before.margin_of(leg)) for (_, idx), leg in account.legs.items()}
        count = account.executions[-1].number if len(account.executions) else 0
        with suppress(ApiError):
            do(exchange, step, now_ms, mode)
        test_money.check(exchange)
        check(account, exchange)
        if step[0] == "trade" and account.isolated:
            assert not any(exchange.state.valuation.is_due(account, leg) for leg in account.legs.values())
            check_busts(account, count, legs)


def check_busts(account: Account, after: int, legs: dict[int, Any]) -> None:
    """When nothing but legs of before was taken over, it cost no more than their margins."""
    new = [execution for execution in account.executions if execution.number > after]
    if new and all(execution.create_type == "CreateByTakeOver_PassThrough" for execution in new):
        lost = -sum((bust.change for bust in new), D(0))
        assert lost <= sum((margin.initial for size, margin in legs.values() if size), D(0)) + D("0.000001")
