"""Which trades and mark prices the exchange of a backtest is given, and when the next one matters."""

from __future__ import annotations

from decimal import Decimal

from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.run_options import Options
from tests.backtest.backtest_examples import BTC, START_MS, config_of, day_of
from tests.backtest.driven import driven

SYMBOL = "BTCUSDT"
PRICES = [50_000] * 20 + [50_100] * 5 + [49_300]  # the grid has orders each 500 USDT
NO_MARKS = (Decimal(0), Decimal(1_000_000))


def ms_of(us: int) -> int:
    return us // 1000 - START_MS


def test_a_trade_that_meets_an_order_has_its_turn_and_those_before_it_are_jumped_over():
    with driven(config_of(), [day_of(PRICES)], Options()) as run:
        run.until(25_000)
        assert (run.venue.markets[SYMBOL].last, run.records.fills) == (50_100, 0)
        assert run.drive.looks < len(PRICES)
        run.until(26_000)
        assert (run.venue.markets[SYMBOL].last, run.records.fills) == (49_300, 1)


def test_the_mark_price_of_the_data_goes_on_with_the_trades():
    marks = [(START_MS + 5_000 * number, BTC.ticks(Decimal(50_000 + number))) for number in range(5)]
    with driven(config_of(), [day_of(PRICES, marks=marks)], Options()) as run:
        run.until(10_000)
        assert run.venue.markets[SYMBOL].mark == 50_001  # that of this very moment has not had its turn
        run.until(10_001)
        assert run.venue.markets[SYMBOL].mark == 50_002


def test_when_prices_leave_an_interval_is_told_by_the_trades_and_marks_to_come():
    marks = [(START_MS + 5_000 * number, BTC.ticks(Decimal(50_000 + number))) for number in range(5)]
    with driven(config_of(), [day_of(PRICES, marks=marks)], Options()) as run:
        run.until(10_001)
        low, high = BTC.ticks(Decimal(50_000)), BTC.ticks(Decimal(50_050))
        assert ms_of(run.drive.leaves_us(SYMBOL, (low, high), NO_MARKS)) == 20_000
        assert ms_of(run.drive.leaves_us(SYMBOL, (low, high), (Decimal(0), Decimal(50_002)))) == 15_000
        assert run.drive.leaves_us(SYMBOL, (0, high * 2), NO_MARKS) == FAR
