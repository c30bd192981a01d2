"""The pyramid against a plain loop."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gridbot.market.pyramid import FACTOR, Pyramid, levels_of
from tests.case_table import case_table


def plain(prices: list[int], start: int, low: int, high: int) -> int:
    return next((at for at in range(start, len(prices)) if not low <= prices[at] <= high), len(prices))


# Long enough for three levels; few values, so that an interval often holds for long.
WALKS = st.lists(st.integers(-2, 2), max_size=1200).map(
    lambda moves: [100 + sum(moves[:at]) for at in range(len(moves))]
)


@given(WALKS, st.integers(0, 1300), st.integers(-30, 30), st.integers(0, 60))
@example([100] * (FACTOR**3 + 1), 0, -1, 2)
@example([100] * FACTOR**3 + [101], 0, 0, 0)
@example([], 0, 0, 0)
def test_a_look_up_finds_what_a_plain_loop_finds(prices: list[int], start: int, below: int, width: int) -> None:
    low = 100 + below
    high = low + width
    assert Pyramid(np.array(prices, np.int64)).next_outside(start, low, high) == plain(
        prices, min(start, len(prices)), low, high
    )


@case_table("size", [1, FACTOR, FACTOR + 1, FACTOR**2, FACTOR**2 + 1, FACTOR**3 - 1, 3 * FACTOR**3 + 7])
def test_one_price_is_found_from_everywhere_before_it(size: int) -> None:
    for place in {0, 1, size // 2, size - 1} & set(range(size)):
        prices = np.full(size, 50)
        prices[place] = 90
        pyramid = Pyramid(prices)
        for start in {0, place // 2, place}:
            assert pyramid.next_outside(start, 40, 60) == place
        assert pyramid.next_outside(place + 1, 40, 60) == size


def test_an_interval_that_holds_nothing_ends_at_once() -> None:
    assert Pyramid(np.full(1000, 7)).next_outside(3, 9, 8) == 3


def test_levels_are_lowest_and_highest_of_those_below() -> None:
    prices = np.arange(FACTOR * 2 + 1)
    ((low, high),) = levels_of(prices)
    assert list(low) == [0, FACTOR, 2 * FACTOR]
    assert list(high) == [FACTOR - 1, 2 * FACTOR - 1, 2 * FACTOR]


def test_levels_given_are_those_used() -> None:
    prices = np.arange(FACTOR + 1)
    pyramid = Pyramid(prices, levels_of(prices))
    assert len(pyramid) == FACTOR + 1
    assert pyramid.next_outside(0, 0, FACTOR - 1) == FACTOR
