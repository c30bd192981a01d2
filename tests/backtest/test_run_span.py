"""What is said of the market of a span, before anybody believes in what comes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gridbot.backtest.cannot_run import CannotRun
from gridbot.backtest.run_days import DaysInMemory, RunDays
from gridbot.backtest.run_span import end_of_data, feeds_of
from gridbot.backtest.run_sums import RunSums
from tests.backtest.backtest_examples import DAY, config_of, day_of


def us(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def warnings(first: date, last: date, *numbers: int) -> list[str]:
    """Of a span of January 2026 in which these days are there."""
    days = [replace(day_of([50_000] * 9), date=DAY.replace(day=number)) for number in numbers]
    sums = RunSums()
    feeds_of(config_of().strategies_of("alice"), RunDays(DaysInMemory(days)), us(first), us(last), sums)
    return sums.warnings


def test_missing_days_are_named():
    said = warnings(date(2026, 1, 5), date(2026, 1, 6), 5)
    assert not [text for text in said if "missing" in text]
    said = warnings(date(2026, 1, 4), date(2026, 1, 11), 5, 7, 8)
    assert said[-1] == (
        "BTCUSDT: 4 of 7 days are missing and were jumped over: 2026-01-04, 2026-01-06, 2026-01-09 to 2026-01-10"
    )
    said = warnings(date(2026, 1, 4), date(2026, 1, 20), 5, 7, 9, 11, 13, 15, 17, 19)
    assert said[-1].endswith(" 2026-01-10, 2026-01-12 and 3 more")


def test_a_span_without_days_says_what_to_fetch():
    with pytest.raises(CannotRun, match="data fetch BTCUSDT --from 2026-02-01 --to 2026-02-02"):
        warnings(date(2026, 2, 1), date(2026, 2, 3), 5)


def test_a_run_ends_with_the_last_day_that_there_is():
    days = RunDays(DaysInMemory([replace(day_of([50_000] * 9), date=DAY.replace(day=number)) for number in (5, 7)]))
    begin, behind = us(date(2026, 1, 5)), us(date(2026, 1, 8))
    for end, wanted, said in (
        (behind - 1, behind - 1, []),
        (behind, behind, []),
        (
            us(date(2999, 1, 1)),
            behind,
            ["the data ends with 2026-01-07, and so does the run, which was to last until 2999-01-01 00:00"],
        ),
    ):
        sums = RunSums()
        assert (end_of_data(["ETHUSDT", "BTCUSDT"], days, begin, end, sums), sums.warnings) == (wanted, said)
    assert end_of_data(["BTCUSDT"], days, behind, behind + 9, RunSums()) == behind + 9  # `feeds_of` says what to fetch
