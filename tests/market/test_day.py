"""What a day is, and what is refused to be one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from gridbot.market.day import DayRefused, check_day, day_start_ms, ticks_of
from tests.case_table import case_table
from tests.market.market_examples import INSTRUMENT, START_MS, made_day


def test_a_day_is_made_of_arrays() -> None:
    day = ticks_of(
        INSTRUMENT, [START_MS, START_MS + 5], [10, 11], [3, 0], [-1, 1], fundings=[(START_MS, Decimal("0.0001"))]
    )
    assert (day.symbol, day.date, day.kind, len(day)) == ("BTCUSDT", date(2026, 9, 1), "trades", 2)
    assert [list(column) for column in (day.times_ms, day.prices, day.sizes, day.sides)] == [
        [START_MS, START_MS + 5],
        [10, 11],
        [3, 0],
        [-1, 1],
    ]
    assert day.mark_unit == INSTRUMENT.tick_size
    assert day.tiers == INSTRUMENT.tiers
    assert day.start_ms == START_MS
    assert day.fundings == ((START_MS, Decimal("0.0001")),)
    assert day.pyramid.next_outside(0, 10, 10) == 1


def test_tiers_that_nobody_knows_are_none() -> None:
    assert ticks_of(replace(INSTRUMENT, tiers=()), [START_MS], [1]).tiers is None


def test_sides_follow_the_price_where_none_are_given() -> None:
    day = ticks_of(INSTRUMENT, [START_MS] * 6, [10, 10, 9, 9, 12, 12])
    assert list(day.sides) == [1, 1, -1, -1, 1, 1]
    assert list(day.sizes) == [1] * 6


def test_the_columns_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        made_day().prices[0] = 1


def test_the_arrays_given_stay_as_they_are() -> None:
    mine = np.array([5, 6])
    day = ticks_of(INSTRUMENT, [START_MS, START_MS], mine)
    mine[0] = 9
    assert list(day.prices) == [5, 6]


def test_a_day_starts_at_midnight_utc() -> None:
    assert day_start_ms(date(1970, 1, 2)) == 86_400_000


@case_table(
    ("times", "prices", "more", "words"),
    [
        ([], [], {}, "times_ms: expected at least one tick, got none"),
        ([START_MS], [1, 2], {}, "times_ms: expected 2 entries, as many as prices, got 1"),
        ([START_MS], [1], {"sizes": [1, 2]}, "sizes: expected 1 entries, as many as prices, got 2"),
        ([START_MS], [1], {"sides": [1, 1]}, "sides: expected 1 entries"),
        ([START_MS + 9, START_MS + 8], [1, 1], {}, "times_ms, index 1: expected a time not before the one in front"),
        ([START_MS, START_MS + 86_400_000], [1, 1], {}, "times_ms, index 1: expected a time of 2026-09-01, got"),
        ([START_MS], [0], {}, "prices, index 0: expected a price above zero, got 0"),
        ([START_MS], [1], {"sizes": [-1]}, "sizes, index 0: expected a size not below zero, got -1"),
        ([START_MS], [1], {"sides": [0]}, "sides, index 0: expected 1 or -1, got 0"),
        ([START_MS], [1], {"marks": [(START_MS, 0)]}, "marks, index 0: expected a price above zero, got 0"),
        ([START_MS], [1], {"marks": [(START_MS - 1, 1)]}, "marks_ms, index 0: expected a time of 2026-09-01"),
        ([START_MS], [1.5], {}, "prices: expected whole numbers, got float64"),
    ],
)
def test_what_is_no_day_is_refused(times: list[int], prices: list[int], more: dict[str, Any], words: str) -> None:
    with pytest.raises(DayRefused, match=words):
        ticks_of(INSTRUMENT, times, prices, **more)


def test_marks_without_times_are_refused() -> None:
    with pytest.raises(DayRefused, match="marks_ms: expected 1 entries, as many as marks, got 0"):
        check_day(replace(made_day(), marks_ms=np.empty(0, np.int64)))
