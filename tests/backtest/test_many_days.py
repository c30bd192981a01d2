"""A run of many days holds the files of few: whoever may open 1,024 files can run years. It opens days again and
again, and each has to be what it was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.backtest import run, symbol_feed
from gridbot.backtest.mark_feed import DayRefusedHere
from gridbot.backtest.run_days import RunDays
from gridbot.backtest.run_sums import Progress
from gridbot.market.day import Day, day_start_ms, ticks_of
from gridbot.market.market_root import Market
from tests.backtest.backtest_examples import BTC, DAY, config_of

DAYS = 20
HOUR_MS = 3_600_000
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


def made(
    day: date,
    *,
    prices: Sequence[int] = (500_000,) * 24,
    times: Sequence[int] = tuple(range(0, 24 * HOUR_MS, HOUR_MS)),
    marks: Sequence[tuple[int, int]] = ((0, 500_000),),
    fundings: Sequence[tuple[int, Decimal]] = (),
) -> Day:
    """A day of BTCUSDT on which nothing happens; times in ms after its midnight."""
    start = day_start_ms(day)
    return ticks_of(
        BTC,
        [start + at for at in times],
        prices,
        marks=[(start + at, price) for at, price in marks],
        fundings=[(start + at, rate) for at, rate in fundings],
    )


def test_files_that_are_open_do_not_grow_with_the_days(tmp_path: Path) -> None:
    market = Counting(tmp_path / "market")
    for day in (DAY + timedelta(days=number) for number in range(DAYS)):
        market.put(made(day))
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


CHANGES: list[dict[str, Any]] = [
    {"marks": [(0, 500_001)]},
    {"fundings": [(8 * HOUR_MS, Decimal("0.0001"))]},
    {"prices": [500_000] * 23 + [500_001]},
    {"prices": [500_000] * 25, "times": [HOUR_MS * hour // 2 for hour in range(25)]},
]


def test_a_day_that_is_imported_again_is_refused_by_whoever_has_seen_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.put(made(DAY))
    days = RunDays(market)
    days.day("BTCUSDT", DAY)
    market.put(made(DAY))
    days.day("BTCUSDT", DAY)
    days.look()
    for change in CHANGES:
        market.put(made(DAY, **change))
        with pytest.raises(DayRefusedHere, match=f"BTCUSDT: {DAY} was imported again"):
            days.day("BTCUSDT", DAY)
        with pytest.raises(DayRefusedHere, match=f"BTCUSDT: {DAY} was imported again"):
            days.look()
    shutil.rmtree(market.directory("BTCUSDT", DAY))
    with pytest.raises(DayRefusedHere, match=f"BTCUSDT: {DAY} cannot be read any more: .* import or fetch it"):
        days.day("BTCUSDT", DAY)


def test_a_run_ends_when_a_day_of_it_is_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places in the trades of before were looked up in those of after, with the pyramid of after."""
    monkeypatch.setattr(symbol_feed, "KEPT_OPEN", 1)  # so that days are opened again in a run of two
    market, second = Market(tmp_path / "market"), DAY + timedelta(days=1)
    market.put(made(DAY))
    market.put(made(second))
    begin = datetime(DAY.year, DAY.month, DAY.day, 22, 59, tzinfo=UTC)
    asked: Any = {"from_": begin, "to": begin + timedelta(minutes=63), "into": tmp_path / "run.duckdb"}
    changes = iter([lambda: market.put(made(second, **CHANGES[-1]))])

    def import_again(_: Progress) -> None:
        for change in changes:
            change()

    with pytest.raises(DayRefusedHere, match=f"BTCUSDT: {second} was imported again while the backtest ran"):
        run(config_of(), market, on_progress=import_again, **asked)
    with duckdb.connect(str(tmp_path / "run.duckdb"), read_only=True) as con:
        [(finished, warnings)] = con.execute("SELECT finished, warnings FROM backtests").fetchall()
    assert not finished
    assert f"broken off: BTCUSDT: {second} was imported again" in str(warnings)
