"""Isolated margin: what a leg sets aside, and what is added to it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.rows.account_rows import wallet_row
from tests.paper.engine.isolated import move, new_exchange, refused, row_of, take

D = Decimal


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
