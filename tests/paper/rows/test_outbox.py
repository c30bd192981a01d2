"""What one event says on the private streams: both legs, sequence numbers, and an order of frames that is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.charges import Charges
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.account_rows import position_row, wallet_row
from gridbot.paper.rows.outbox import Push
from gridbot.paper.settings import PaperConfig, PositionMode
from gridbot.paper.worth.valuation import Valuation
from tests.case_table import case_table

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


def _new_mode(exchange: Exchange) -> None:
    exchange.accounts["a"].isolated = True


def _new_margin(exchange: Exchange) -> None:
    exchange.accounts["a"].leg("LTCUSDT", 1).extra = D(7)


def _new_tax(exchange: Exchange) -> None:
    exchange.accounts["a"].charges = Charges(tax=D("0.18"))


OF_ANY_LEG = (_new_mark, _new_leverage, _new_stop, _new_terms, _traded)
OF_WHAT_IS_HELD = (_new_mode, _new_margin, _new_tax)


@case_table(
    ("held", "change"),
    [(0, change) for change in OF_ANY_LEG] + [(held, each) for held in (1, 2) for each in OF_ANY_LEG + OF_WHAT_IS_HELD],
)
def test_rows_of_legs_and_wallet_are_never_old_ones(held: int, change: Callable[[Exchange], None]) -> None:
    """With so many legs that hold something: what is known from the order before is used only when it still holds."""
    exchange = new_exchange(PositionMode.HEDGE)
    account, state = exchange.accounts["a"], exchange.state
    account.isolated = change is _new_margin
    for idx in (1, 2)[:held]:
        side = Side.BUY if idx == 1 else Side.SELL
        exchange.place(account, NewOrder("LTCUSDT", side, D(3), None, idx, "IOC"), 1)
    exchange.outbox.take()
    before = place(exchange, "80.00", 1)
    change(exchange)
    _, positions, wallet = place(exchange, "81.00", 1)
    valuation = Valuation(exchange.markets, state.valuation.default_leverage, state.valuation.taker_fee)
    figures = valuation.totals(account)
    legs = [account.leg("LTCUSDT", idx) for idx in (1, 2)]
    assert positions.rows == [position_row(account, leg, valuation, figures, stream=True) for leg in legs]
    assert wallet.rows == [wallet_row(account, figures)]
    assert positions.rows != before[1].rows


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
