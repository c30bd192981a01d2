"""Isolated margin: at which price a leg is liquidated, and that it loses its own margin and no more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder
from tests.paper.engine import test_money
from tests.paper.engine.isolated import HEDGE, move, new_exchange, row_of, take

D = Decimal


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
