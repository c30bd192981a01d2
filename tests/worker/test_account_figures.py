"""What an account is worth between two frames of its wallet."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.core import Direction, WalletEvent
from gridbot.worker.account_figures import STILL_S, AccountFigures, Figures
from tests.worker.account_bench import AccountBench, position, ticker, wallet

D = Decimal


class Bench:
    """A long leg of 0.1 bought at 50000."""

    def __init__(self) -> None:
        self.account = AccountBench()
        self.account.start()
        self.figures = AccountFigures()
        self.wallet: WalletEvent | None = replace(wallet(), unrealised_pnl=D(0))
        self.leg("0.1")
        self.price(50000)

    def leg(self, size: str) -> None:
        self.account.runner.on_position_update(position(Direction.LONG, size), source="rest")

    def price(self, price: object) -> None:
        self.account.runner.set_price(ticker(price))

    def look(self, after_s: float = 0.5) -> Figures:
        self.account.clock.now_s += after_s
        return self.figures.look([self.account.runner], self.wallet, self.account.clock.now_s)


def test_equity_follows_the_price_between_two_frames_of_the_wallet() -> None:
    bench = Bench()
    assert bench.look() == Figures(D(5000), D(10000), D(10000))
    bench.price(49000)
    assert bench.look() == Figures(D(4900), D(10000), D(9900))
    bench.wallet = None
    assert bench.look() == Figures(D(4900))
    bench.wallet = replace(wallet(), wallet_balance=None)
    assert bench.look() == Figures(D(4900))


def test_legs_that_nobody_trades_count_as_the_wallet_told_when_ours_stood_still() -> None:
    bench = Bench()
    bench.look()
    bench.look(STILL_S)
    bench.wallet = replace(wallet(ts=2), unrealised_pnl=D(-300))
    assert bench.look().equity == 10000, "not yet: a fill may be on its way"
    assert bench.look(STILL_S).equity == 9700
    bench.price(51000)
    assert bench.look().equity == 9800
    bench.wallet = replace(wallet(ts=3), unrealised_pnl=D(101))  # ours are 100: the exchange's price was another
    bench.look()
    assert bench.look(STILL_S).equity == 10100, "no others any more"


def test_a_wallet_of_a_fill_is_not_taken_for_a_leg_of_somebody_else() -> None:
    bench = Bench()
    bench.look()
    bench.look(STILL_S)
    bench.wallet = replace(wallet("10050", ts=2), unrealised_pnl=D(-500))  # the frame of the leg comes after it
    bench.look()
    bench.leg("0.2")
    bench.look()
    assert bench.look(STILL_S).equity == 10050


def test_the_margin_ratio_is_carried_on_by_what_the_legs_are_worth() -> None:
    bench = Bench()
    assert bench.look().margin_ratio is None, "the exchange tells none"
    bench.wallet = replace(wallet(ts=2), account_mm_rate=D("0.01"), total_equity=D(10000))
    assert bench.look().margin_ratio == D("0.01")
    bench.price(25000)  # half the value; 2500 of 10000 are lost
    assert bench.look().margin_ratio == D("0.01") / 2 * 10000 / 7500
    bench.leg("0.9")
    bench.wallet = replace(wallet(ts=3), account_mm_rate=D("0.5"), total_equity=D(1000))
    bench.look()
    bench.price(20000)
    assert bench.look().margin_ratio == 1, "nothing is left"
    bench.wallet = replace(wallet(ts=4), account_mm_rate=D("0.5"))
    bench.look()
    bench.price(10000)
    assert bench.look().margin_ratio == D("0.25")
