"""What is wrong with a day is found, and named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridbot.market.day import Day, day_start_ms, ticks_of
from gridbot.market.day_check import CheckLimits, check_symbol
from gridbot.market.day_files import read_document, replace_columns
from gridbot.market.market_root import Market
from tests.market.market_examples import DAY, INSTRUMENT, START_MS

LATER = date(2026, 9, 2)


def whole_day(day: date = DAY, **changes: Any) -> Day:
    """A tick each minute, with marks and a funding: nothing is wrong with it."""
    start = day_start_ms(day)
    prices = changes.pop("prices", [600_000 + at % 7 for at in range(1440)])
    made = ticks_of(
        INSTRUMENT,
        [start + 60_000 * at for at in range(len(prices))],
        prices,
        marks=[(start + 1_200_000 * at + 1, 60_000) for at in range(72)],
        mark_unit=Decimal(1),
        fundings=[(start + at * 28_800_000, Decimal("0.0001")) for at in range(3)],
    )
    return replace(made, **changes)


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def found(market: Market, days: Iterable[Day], **limits: Any) -> list[str]:
    for day in days:
        market.put(day)
    return [finding.text for finding in check_symbol(market, "BTCUSDT", None, None, CheckLimits(**limits))]


def test_nothing_is_found_where_nothing_is_wrong(market: Market) -> None:
    assert found(market, [whole_day(), whole_day(LATER)]) == []


def test_a_span_of_days_is_looked_at(market: Market) -> None:
    for day in (whole_day(notes=("first",)), whole_day(LATER, notes=("second",))):
        market.put(day)
    assert [one.text for one in check_symbol(market, "BTCUSDT", LATER, None)] == ["second"]
    assert [one.text for one in check_symbol(market, "BTCUSDT", None, DAY)] == ["first"]


def test_missing_days(market: Market) -> None:
    (text,) = found(market, [whole_day(), whole_day(date(2026, 9, 4))])
    assert text == "expected a day after 2026-09-01, 2 are missing before 2026-09-04"


def test_gaps(market: Market) -> None:
    gaps = tuple((START_MS + at * 3_600_000, START_MS + at * 3_600_000 + 600_000) for at in range(7))
    texts = found(market, [whole_day(gaps=gaps)])
    assert texts[0] == "nothing from 00:00:00 to 00:10:00 UTC (10 minutes)"
    assert texts[5:] == ["and 2 more gaps"]


def test_a_jump_within_a_day_and_over_midnight(market: Market) -> None:
    prices = [600_000 + at % 7 for at in range(1440)]
    prices[5] = 700_000
    texts = found(market, [whole_day(prices=prices), whole_day(LATER, prices=[500_000 + at % 7 for at in range(1440)])])
    assert texts[0] == "tick 5 at 00:05:00 UTC: a jump of +16.7%, from 60000.40 to 70000.00"
    assert texts[1].startswith("tick 6 at 00:06:00 UTC: a jump of -14.3%")
    # The first day had something wrong with it, so its last price is not believed.
    assert len([text for text in texts if "jump" in text]) == 2


def test_a_jump_over_midnight(market: Market) -> None:
    low = [500_000 + at % 7 for at in range(1440)]
    texts = found(market, [whole_day(), whole_day(LATER, prices=low, marks=np.full(72, 50_000))])
    assert texts == ["tick 0 at 00:00:00 UTC: a jump of -16.7%, from 60000.40 to 50000.00"]
    assert found(market, [], jump=0.2) == []


def test_a_tick_size_that_is_finer_than_the_prices(market: Market) -> None:
    (text,) = found(market, [whole_day(prices=[600_000 + 5 * (at % 9) for at in range(1440)])])
    assert text == ("all prices are multiples of 0.50, but the tick size is 0.10: are the rules of that time?")


def test_sizes_below_the_least_order(market: Market) -> None:
    day = whole_day(instrument=replace(INSTRUMENT, min_order_qty=Decimal("0.002")))
    (text,) = found(market, [day])
    assert text == "1440 trades are smaller than the least order of 0.002, the first is tick 0 of 0.001"


def test_a_mark_price_far_away(market: Market) -> None:
    wrong = np.array([70_000] + [60_000] * 71)
    (text,) = found(market, [whole_day(marks=wrong)])
    assert text == "1 mark prices are over 5% away from the last price, the first at 00:00:00 UTC: 70000 beside 60000"


def test_a_hole_in_the_mark_prices(market: Market) -> None:
    whole = whole_day()
    left = np.r_[0:10, 30:72]
    (text,) = found(market, [replace(whole, marks_ms=whole.marks_ms[left], marks=whole.marks[left])])
    since = "390 ticks have no mark price of the last 30 minutes, the first at 03:31:00 UTC"
    assert text == f"{since}: the last price is taken for it"


def test_mark_prices_that_begin_after_the_ticks(market: Market) -> None:
    """Those of minutes may be a minute later; on a day after another one the mark price of the day before counts."""
    days = [whole_day(), whole_day(LATER)]
    days = [replace(day, marks_ms=day.marks_ms[1:], marks=day.marks[1:]) for day in days]
    texts = [text.partition(" UTC")[0] for text in found(market, days)]
    assert texts == [
        "20 ticks have no mark price of the last 30 minutes, the first at 00:00:00",
        "9 ticks have no mark price of the last 30 minutes, the first at 00:11:00",
    ]


def test_trades_that_are_there_twice(market: Market) -> None:
    day = whole_day(times_ms=np.full(1440, START_MS), prices=np.full(1440, 600_000))
    (text,) = found(market, [day])
    assert text == "100% of the trades say the same as another one: was a file imported twice?"
    pairs = np.repeat(np.arange(720), 2)  # two trades of one time, and then both of them again
    times, prices = START_MS + pairs // 2 * 240_000, 600_000 + np.tile([0, 1, 0, 1], 360)
    (text,) = found(market, [whole_day(times_ms=times, prices=prices, sides=np.ones(1440, np.int8))])
    assert text.startswith("50% of the trades say the same as another one")


def test_what_a_backtest_will_mention_is_a_note(market: Market) -> None:
    none = np.empty(0, np.int64)
    plain = whole_day(marks=none, marks_ms=none, fundings=(), notes=("said",), instrument=replace(INSTRUMENT, tiers=()))
    market.put(plain)
    notes = list(check_symbol(market, "BTCUSDT", None, None))
    assert [note.text.partition(":")[0] for note in notes] == [
        "said",
        "no mark prices",
        "no fundings",
        "no risk-limit tiers",
    ]
    assert all(note.is_note for note in notes)
    market.put(whole_day(fundings=[(START_MS, Decimal("0.0001"))]))
    (note,) = check_symbol(market, "BTCUSDT", None, None)
    assert (note.is_note, note.text.partition(":")[0]) == (True, "1 funding, where the rules say 3")


def test_damage_is_found_before_anything_is_believed(market: Market) -> None:
    market.put(whole_day())
    path = next(market.directory("BTCUSDT", DAY).glob("prices-*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 64
    path.write_bytes(data)
    (text,) = [one.text for one in check_symbol(market, "BTCUSDT", None, None)]
    assert text.startswith(f"{path}: expected the checksum")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"times_ms": np.zeros(1440, np.int64)}, "times_ms, index 0: expected a time of 2026-09-01"),
        ({"sides": np.zeros(1440, np.int8)}, "sides, index 0: expected 1 or -1"),
        ({"pyramid": np.ones((2, 96), np.int64)}, "expected a pyramid over the prices, got one over others"),
        ({"sides": np.ones(3, np.int8)}, "expected columns of one length"),
    ],
)
def test_columns_that_another_program_has_written(market: Market, columns: dict[str, Any], words: str) -> None:
    market.put(whole_day())
    directory = market.directory("BTCUSDT", DAY)
    document = read_document(directory)
    assert document is not None
    replace_columns(directory, document, columns)
    texts = [one.text for one in check_symbol(market, "BTCUSDT", None, None) if not one.is_note]
    assert [text for text in texts if words in text]


def test_a_day_without_ticks(market: Market) -> None:
    market.put(whole_day())
    directory = market.directory("BTCUSDT", DAY)
    document = read_document(directory)
    assert document is not None
    replace_columns(directory, replace(document, form=None), {})
    assert [one.text for one in check_symbol(market, "BTCUSDT", None, None)] == [
        "expected ticks, got marks or fundings alone; import trades or candles"
    ]
