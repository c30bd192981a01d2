"""Where mark prices are next of interest, and what of a day is in memory."""

from __future__ import annotations

import sys
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.backtest.mark_feed import FAR, DayRefusedHere, MarkColumns, Marks
from gridbot.backtest.symbol_feed import Cursor, Place, SymbolFeed
from gridbot.market.day import DAY_MS, Day, ticks_of
from gridbot.market.market_root import Market
from tests.backtest.backtest_examples import BTC, DAY, START_MS

UNIT = Decimal("0.5")


@pytest.mark.parametrize(("low", "high", "at_ms"), [("49", "51", 30), ("50.2", "60", 30), ("51.1", "60", 20)])
def test_a_mark_leaves_an_interval_whose_bounds_lie_between_two_units(low: str, high: str, at_ms: int) -> None:
    marks = marks_of([(10, 104), (20, 102), (30, 96)])  # 52, 51, 48
    assert marks.next_outside(5, Decimal(low), Decimal(high)) == (10 if Decimal(high) < 52 else at_ms)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=300),
    st.lists(st.integers(0, 120), max_size=4),
    st.integers(0, 310),
    st.decimals("0.1", 30, places=2),
    st.decimals("0.1", 30, places=2),
)
def test_it_is_the_first_one_outside(
    prices: list[int], lengths: list[int], after: int, low: Decimal, high: Decimal
) -> None:
    """Whatever the day it is in, also in one that is not as fine as others, or has none."""
    rows = list(enumerate(prices, 1))
    days = []
    for length in lengths:
        days.append(rows[:length])
        rows = rows[length:]
    marks = marks_of(*days, rows)
    outside = (at for at, price in enumerate(prices, 1) if at > after and not low <= price * UNIT <= high)
    assert marks.next_outside(after, low, high) == next(outside, FAR)
    moments = [after, 0, 310, *range(1, 300, 7)]
    known = [prices[min(at, len(prices)) - 1] if at else None for at in moments]
    assert [marks.at(at) for at in moments] == [None if price is None else price * UNIT for price in known]
    newest, there = marks.newest(np.array(moments))
    assert [int(price) * marks.unit if is_there else None for price, is_there in zip(newest, there, strict=True)] == [
        None if price is None else price * UNIT for price in known
    ]


def marks_of(*days: list[tuple[int, int]]) -> Marks:
    """Days of times and prices in `UNIT`; every second day keeps them in a fifth of it."""

    def columns(number: int) -> MarkColumns:
        fine = 5 if number % 2 else 1
        times, prices = (np.array([row[of] for row in days[number]], np.int64) for of in (0, 1))
        return MarkColumns(times, prices * fine, UNIT / fine)

    return Marks("BTCUSDT", [partial(columns, number) for number in range(len(days))])


def test_days_whose_units_do_not_fit_are_refused() -> None:
    def load(unit: str) -> MarkColumns:
        return MarkColumns(np.array([1]), np.array([7]), Decimal(unit))

    with pytest.raises(DayRefusedHere, match="BTCUSDT: mark prices in units that are no multiples of each other"):
        Marks("BTCUSDT", [partial(load, "0.2"), partial(load, "0.5")])


def test_where_a_day_has_no_mark_prices_the_last_price_is_taken() -> None:
    """The mark price of the day before stood for days: open results, margins and orders' bands went by it."""
    hour, unit = 3_600_000, Decimal("0.04")
    starts = [START_MS + number * DAY_MS for number in range(3)]
    days = [
        ticks_of(BTC, [starts[0] + 5], [600_000], marks=[(starts[0], 1_500_000)], mark_unit=unit),
        ticks_of(BTC, [starts[1] + 5, starts[1] + 6, starts[1] + 7], [400_000, 400_000, 390_000]),
        ticks_of(
            BTC,
            [starts[2] + hour + at for at in (-1, 0, 1, 2 * hour)],
            [500_000, 500_010, 510_000, 520_000],
            marks=[(starts[2] + hour // 2, 1_250_001), (starts[2] + 2 * hour, 1_300_001)],
            mark_unit=unit,
        ),
    ]
    marks = SymbolFeed("BTCUSDT", [partial(_nth, days, number) for number in range(3)], START_MS, FAR).marks
    at = {
        starts[0] + 6: "60000",
        starts[1] + 5: "40000",
        starts[1] + 7: "39000",
        starts[2] + hour: "50000.04",
        starts[2] + hour + 1: "51000",
        starts[2] + 2 * hour: "52000.04",
        starts[2] + 3 * hour: "52000",
    }
    assert {moment: marks.at(moment) for moment in at} == {moment: Decimal(price) for moment, price in at.items()}
    assert marks.next_outside(starts[0] + 6, Decimal(39_500), Decimal(60_000)) == starts[1] + 7


def test_before_the_first_mark_price_of_all_the_last_price_is_taken() -> None:
    minute = 60_000
    first, second = START_MS, START_MS + DAY_MS
    days = [
        ticks_of(
            BTC, [first, first + 9], [600_000, 590_000], marks=[(first + at, 595_000) for at in (minute, DAY_MS - 1)]
        ),
        ticks_of(BTC, [second, second + minute], [580_000, 500_000], marks=[(second + minute, 585_000)]),
    ]
    marks = SymbolFeed("BTCUSDT", [partial(_nth, days, number) for number in range(2)], first, FAR).marks
    moments = (first, first + 9, first + minute, second, second + minute)
    assert [marks.at(at) for at in moments] == [*map(Decimal, (60_000, 59_000, 59_500, 59_500, 58_500))]
    assert marks.next_outside(first, Decimal(59_400), Decimal(60_000)) == first + 9


def _nth(days: list[Day], number: int) -> Day:
    return days[number]


def test_a_price_that_is_reached_days_later_is_not_searched_for_in_each_day_again() -> None:
    """At each look all days up to it were opened anew, and so was the one it had come from."""
    starts = [START_MS + number * DAY_MS for number in range(9)]
    days = [ticks_of(BTC, [at, at + 1], [600_000 + 900 * (at == starts[8]), 600_001]) for at in starts]
    opened: list[int] = []

    def load(number: int) -> Day:
        opened.append(number)
        return days[number]

    loads = [partial(load, number) for number in range(len(days))]
    feed = SymbolFeed("BTCUSDT", loads, START_MS, START_MS + 9 * DAY_MS)
    cursor = Cursor(feed)
    assert cursor.next_outside(599_990, 600_010) == Place(8, 0)
    opened.clear()
    for low in range(100):
        assert cursor.next_outside(599_000 + low, 600_100) == Place(8, 0)
        assert feed.open(0).prices[0] == 600_000
        assert feed.open(8).prices[0] == 600_900
    assert opened == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_read_of_a_day_can_be_given_back(tmp_path: Path) -> None:
    count = 50_000
    Market(tmp_path).put(ticks_of(BTC, START_MS + np.arange(count), np.full(count, 600_000)))
    market = Market(tmp_path)
    feed = SymbolFeed("BTCUSDT", [partial(market.day, "BTCUSDT", DAY)], START_MS, START_MS + DAY_MS)
    assert (sum(feed.open(0).prices), held(tmp_path) > 0) == (count * 600_000, True)
    feed.let_go()
    assert held(tmp_path) == 0
    assert feed.open(0).prices[count - 1] == 600_000


def held(directory: Path) -> int:
    """kB of memory that this process has of the columns in a directory."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if line[0] in "0123456789abcdef" and not line.startswith(("Rss", "Pss")):
            ours = str(directory) in line and "pyramid" not in line
        elif ours and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found
