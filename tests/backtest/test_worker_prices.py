"""When prices reach the worker, and what is known of them in between."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.backtest.run_options import Options
from tests.backtest.backtest_examples import START_MS, config_of, day_of
from tests.backtest.driven import Driven, driven

LATE_MS = 250
BTC, ETH = "BTCUSDT", "ETHUSDT"
DAYS = (day_of([50_000, 50_001, 50_002, 50_003]), day_of([3_000, 3_001], every_ms=9_000, symbol=ETH))
CONFIG = config_of({}, {"strat_id": "eth", "symbol": ETH, "amount": "q0.1"})


def price_of(run: Driven, symbol: str) -> Decimal | None:
    return run.worker.runners[symbol].risk_state.last_price


@pytest.mark.parametrize(("ms", "price"), [(1250, 50_000), (1251, 50_001), (3250, 50_002), (3251, 50_003)])
def test_a_price_reaches_the_worker_so_long_after_its_trade(ms, price):
    with driven(CONFIG, DAYS, Options(ticker_ms=LATE_MS)) as run:
        run.until(ms)
        assert price_of(run, BTC) == price
        assert run.venue.markets[BTC].last == 50_000 + (ms - 1) // 1000


def test_how_old_a_price_is_counts_from_when_it_reached_the_worker_told_or_not():
    with driven(CONFIG, DAYS, Options(ticker_ms=LATE_MS)) as run:
        assert run.drive.age_s(BTC) > 1e6  # none has come
        run.until(5_000)
        assert (run.drive.age_s(BTC), run.drive.age_s(ETH)) == (1.75, 4.75)
        run.loop.now_us = (START_MS + 9_500) * 1000  # nobody has been told of the second price of ETH
        assert (run.drive.age_s(BTC), run.drive.age_s(ETH)) == (6.25, 0.25)
        assert price_of(run, ETH) == 3_000
        run.drive.hear(ETH)
        assert price_of(run, ETH) == 3_001


def test_prices_are_fresh_while_the_oldest_newest_one_is():
    with driven(CONFIG, DAYS, Options(ticker_ms=LATE_MS)) as run:
        run.until(7_249)
        assert run.drive.are_fresh(7)
        run.until(7_251)  # the first price of ETH came at 250
        assert not run.drive.are_fresh(7)
        run.until(9_251)
        assert run.drive.are_fresh(7)


@pytest.mark.parametrize(("balance", "again"), [("10000", []), ("9999", [ETH])])
def test_after_another_balance_only_what_may_follow_from_it_is_looked_at_again(balance, again):
    """A cap refuses levels of one strategy, whose sizes are asked about again; the other one has all that it wants."""
    days = day_of([50_000] * 60), day_of([3_000] * 60, symbol=ETH)
    capped = {"strat_id": "eth", "symbol": ETH, "amount": "q0.1", "caps": {"max_open_orders": 2}}
    with driven(config_of({}, capped), days, Options()) as run:
        run.until(30_000)
        prices, wallet = run.drive._at_worker, run.venue.wallet()
        prices.happened()
        prices.look()
        before = {symbol: prices._by_symbol[symbol].looked for symbol in (BTC, ETH)}
        run.worker._on_wallet(replace(wallet, wallet_balance=Decimal(balance), exchange_ts=wallet.exchange_ts + 1), "")
        prices.happened()
        prices.look()
        assert [symbol for symbol in (BTC, ETH) if prices._by_symbol[symbol].looked is not before[symbol]] == again
