"""How much an order is for: what the wallet and the positions of a worker make of the rules of the core."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.config.account_models import StrategyConfig
from gridbot.core import Direction, Instrument, Side, WalletEvent
from gridbot.core.risk_rules import Multipliers
from gridbot.risk.gate import Gate
from gridbot.worker.position_sizer import PositionSizer
from tests.worker.account_bench import BTC, PRICE, AccountBench, position, strategy, ticker, wallet

D = Decimal
NEAR = D(41000)
"""A liquidation price of the long leg at which rule long_2 halves the closes of the short one."""


class Sizer(PositionSizer):
    """With a gate of its own."""

    def __init__(self, config: StrategyConfig, instrument: Instrument = BTC) -> None:
        self.gate = Gate(lambda: 0)
        super().__init__(config, instrument, self.gate)

    def see(self, wallet: WalletEvent) -> None:
        """The account's wallet has come."""
        self.gate.wallet_seen(wallet, 0.0)


def sized(available: str | None) -> PositionSizer:
    """Two legs, of which the long one is near its liquidation."""
    sizer = Sizer(strategy())
    sizer.see(wallet("1000", available))
    sizer.assess(position(Direction.LONG, "1", liq_price=NEAR), PRICE)
    sizer.assess(position(Direction.SHORT, "1"), PRICE)
    return sizer


def closes(sizer: PositionSizer) -> set[Decimal]:
    return {sizer.position(direction).multiplier(direction.close_side) for direction in Direction}


def test_the_free_balance_reaches_the_rule_that_spares_closes() -> None:
    """incident L10: low on money, the bot closed more slowly. Unknown, the balance would change nothing."""
    assert min(closes(sized("10000000"))) < 1
    assert min(closes(sized(None))) < 1
    assert min(closes(sized("1"))) >= 1


@pytest.mark.parametrize(("available", "shrinks"), [("10000000", True), ("1", False)])
def test_the_free_balance_of_a_pushed_wallet_reaches_the_quantity_of_a_close(available: str, *, shrinks: bool) -> None:
    """incident L10, from the wallet's event to the order: a close is for its whole amount when money is short."""
    bench = AccountBench(strategy())
    bench.start()
    runner = bench.runner
    runner.set_price(ticker())
    bench.gate.wallet_seen(wallet("1000", available, ts=5), bench.clock.now_s)
    runner.on_position_update(position(Direction.LONG, "1", liq_price=NEAR), source="rest")
    runner.on_position_update(position(Direction.SHORT, "1"), source="rest")
    quantity = runner.sizer.quantity(Direction.SHORT, Side.BUY, PRICE, resting_close=D(0))
    assert quantity == (D("0.005") if shrinks else D("0.01"))


def test_until_both_legs_are_known_every_factor_is_one() -> None:
    sizer = Sizer(strategy())
    sizer.see(wallet())
    sizer.assess(position(Direction.LONG, "1", liq_price=NEAR), PRICE)
    assert sizer.rule == ""
    assert {sizer.multipliers(direction) for direction in Direction} == {(D(1), D(1))}


def test_a_close_is_for_no_more_than_the_leg_has_beside_what_rests() -> None:
    sizer = Sizer(strategy(amount="q1"))
    sizer.see(wallet())
    sizer.assess(position(Direction.LONG, "1.5"), PRICE)
    assert sizer.quantity(Direction.LONG, Side.SELL, PRICE, resting_close=D(0)) == 1
    assert sizer.quantity(Direction.LONG, Side.SELL, PRICE, resting_close=D("0.5")) == 1
    assert sizer.quantity(Direction.LONG, Side.SELL, PRICE, resting_close=D(1)) == 0, "not the whole of it is left"


@given(
    amount=st.sampled_from(("q0.5", "150", "3", "x0.001")),
    prices=st.lists(st.integers(1, 3_000_000), min_size=2, max_size=6),
    factor=st.sampled_from(("0.5", "1", "3")),
)
def test_no_close_is_larger_at_a_higher_price(amount: str, prices: list[int], factor: str) -> None:
    """So what the highest level does not fit into, none fits into (`Placement`)."""
    sizer = Sizer(strategy(amount=amount), replace(BTC, min_notional=D(5)))
    sizer.see(wallet())
    sizer.long.multipliers = Multipliers(long_sell=D(factor))
    wanted = [sizer.wanted(Direction.LONG, Side.SELL, BTC.price(ticks)) for ticks in sorted(prices)]
    assert all(one >= other for one, other in itertools.pairwise(wanted))


def test_a_quantity_is_worked_out_again_when_the_wallet_or_a_factor_changes() -> None:
    sizer = Sizer(strategy(amount="x0.1"))

    def opening() -> Decimal:
        return sizer.quantity(Direction.LONG, Side.BUY, PRICE, resting_close=D(0))

    sizer.see(wallet("10000"))
    assert opening() == D("0.02")
    sizer.see(wallet("20000"))
    assert opening() == D("0.04")


def test_an_unknown_wallet_sizes_nothing_that_depends_on_it() -> None:
    sizer = Sizer(strategy(amount="x0.1"))
    sizer.see(WalletEvent("USDT", None))
    assert sizer.quantity(Direction.LONG, Side.BUY, PRICE, resting_close=D(0)) == 0


def test_a_quantity_is_worked_out_again_when_the_settings_are_others() -> None:
    sizer = Sizer(strategy(amount="q1"))
    sizer.see(wallet())
    sizer.assess(position(Direction.LONG, "3"), PRICE)
    sizer.assess(position(Direction.SHORT, "1"), PRICE)
    assert sizer.quantity(Direction.LONG, Side.BUY, PRICE, resting_close=D(0)) == 1
    sizer.renew(strategy(amount="q1", early_imbalance_multiplier=2))
    assert sizer.quantity(Direction.LONG, Side.BUY, PRICE, resting_close=D(0)) == 2
