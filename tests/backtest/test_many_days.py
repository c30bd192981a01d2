"""A run of many days holds the files of few: whoever may open 1,024 files can run years."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

from gridbot.backtest import run
from gridbot.market.day import Day, day_start_ms, ticks_of
from gridbot.market.market_root import Market
from tests.backtest.backtest_examples import BTC, DAY, config_of

DAYS = 20
OF_A_DAY = 7
"""Columns of a day with mark prices, each a file that is mapped."""


class Counting(Market):
    """Remembers how many files were open when a day was asked for."""

    most = 0

    def day(self, symbol: str, day: date) -> Day:
        """As `Market`."""
        found = super().day(symbol, day)
        self.most = max(self.most, len(os.listdir("/proc/self/fd")))
        return found


def test_files_that_are_open_do_not_grow_with_the_days(tmp_path: Path) -> None:
    market = Counting(tmp_path / "market")
    for day in (DAY + timedelta(days=number) for number in range(DAYS)):
        start = day_start_ms(day)
        times = [start + 3_600_000 * hour for hour in range(24)]
        market.put(ticks_of(BTC, times, [500_000] * 24, marks=[(start, 500_000)]))
    before = len(os.listdir("/proc/self/fd"))

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    result = run(
        config_of(),
        market,
        from_=DAY,
        to=DAY + timedelta(days=DAYS - 1),
        into=tmp_path / "run.duckdb",
        on_progress=stop,
    )
    assert len(result.summary["market"]["BTCUSDT"]["days"]) == DAYS
    result.close()
    assert market.most - before <= 6 * OF_A_DAY, "three days of the feed, two that are looked at, and libraries"
