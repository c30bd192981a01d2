"""Switching between cross and isolated margin, and leverage of each side."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api_error import ApiError
from tests.paper.engine.isolated import ONE_WAY, move, new_exchange, refused, row_of, take

D = Decimal


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
