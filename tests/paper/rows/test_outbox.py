"""What one event says on the private streams: both legs, sequence numbers, and an order of frames that is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.account_rows import position_row
from gridbot.paper.rows.outbox import Push
from gridbot.paper.settings import PaperConfig, PositionMode

D = Decimal


def new_exchange(mode: PositionMode, seed: int = 1) -> Exchange:
    config = PaperConfig(position_mode=mode, fault_seed=seed)
    exchange = Exchange(config, {"LTCUSDT": SymbolMarket(LISTINGS["LTCUSDT"], D(85), D(10000), 0)}, "0123456789ab", 0)
    account = exchange.state.add_account("a", "k", "s", D(10000))
    account.listening = {"order", "execution", "position", "wallet"}
    return exchange


def place(exchange: Exchange, price: str | None, idx: int) -> list[Push]:
    tif = "IOC" if price is None else "PostOnly"
    request = NewOrder("LTCUSDT", Side.BUY, D(1), None if price is None else D(price), idx, tif)
    exchange.place(exchange.accounts["a"], request, 1)
    return exchange.outbox.take()


def test_a_position_frame_has_both_legs_in_hedge_mode() -> None:
    for mode, idx, legs in ((PositionMode.HEDGE, 1, [1, 2]), (PositionMode.ONE_WAY, 0, [0])):
        pushes = place(new_exchange(mode), "80.00", idx)
        assert [push.topic for push in pushes] == ["order", "position", "wallet"]
        assert [row["positionIdx"] for row in pushes[1].rows] == legs


def test_a_new_order_moves_the_sequence_number_of_its_leg_and_not_its_time() -> None:
    exchange = new_exchange(PositionMode.HEDGE)
    never_traded = place(exchange, "80.00", 1)[1].rows
    assert [row["seq"] for row in never_traded] == [-1, -1]
    fill = next(push for push in place(exchange, None, 1) if push.topic == "position").rows[0]
    execution = exchange.accounts["a"].executions[-1]
    later, other = place(exchange, "81.00", 1)[1].rows
    assert later["seq"] > fill["seq"] >= execution.seq
    assert later["updatedTime"] == fill["updatedTime"]
    assert other["seq"] == -1


def _new_mark(exchange: Exchange) -> None:
    exchange.markets["LTCUSDT"].mark += 1


def _new_leverage(exchange: Exchange) -> None:
    exchange.accounts["a"].leverage["LTCUSDT"] = D(3)
    exchange.accounts["a"].sell_leverage["LTCUSDT"] = D(4)


def _new_stop(exchange: Exchange) -> None:
    exchange.accounts["a"].leg("LTCUSDT", 2).stop_loss = D(99)


def _new_terms(exchange: Exchange) -> None:
    instrument = exchange.markets["LTCUSDT"].instrument
    lowest, *tiers = instrument.tiers
    exchange.markets["LTCUSDT"].instrument = replace(instrument, tiers=(replace(lowest, limit=D(7)), *tiers))


def _traded(exchange: Exchange) -> None:
    for side in (Side.BUY, Side.SELL):
        exchange.place(exchange.accounts["a"], NewOrder("LTCUSDT", side, D(1), None, 1, "IOC"), 1)
    exchange.outbox.take()


@pytest.mark.parametrize("change", [_new_mark, _new_leverage, _new_stop, _new_terms, _traded])
def test_the_row_of_a_flat_leg_is_never_an_old_one(change: Callable[[Exchange], None]) -> None:
    exchange = new_exchange(PositionMode.HEDGE)
    account, valuation = exchange.accounts["a"], exchange.state.valuation
    before = place(exchange, "80.00", 1)[1].rows
    change(exchange)
    rows = place(exchange, "81.00", 1)[1].rows
    legs = [account.leg("LTCUSDT", idx) for idx in (1, 2)]
    assert rows == [position_row(account, leg, valuation, valuation.totals(account), stream=True) for leg in legs]
    assert rows != before


def test_whether_execution_or_order_comes_first_is_drawn_from_the_seed() -> None:
    def orders(seed: int) -> list[list[str]]:
        exchange = new_exchange(PositionMode.HEDGE, seed)
        return [[push.topic for push in place(exchange, None, 1)] for _ in range(20)]

    drawn = orders(1)
    first = {tuple(topics) for topics in drawn}
    assert first == {
        ("order", "execution", "position", "wallet"),
        ("execution", "order", "position", "wallet"),
    }
    assert orders(1) == drawn
    assert orders(2) != drawn
