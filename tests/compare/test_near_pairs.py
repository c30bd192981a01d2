"""What no level has in common is paired across levels: the nearest price first, and the sides may be exchanged."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.compare.near_pairs import near_pairs
from gridbot.compare.row_pairs import BLOCK, HERE, THERE
from tests.examples import examples

REACH, NEAR = 60, 1000
Row = tuple[int, int]
ROWS = st.lists(st.tuples(st.integers(0, 300), st.integers(9_985, 10_015)), max_size=8)


def stream(here: list[Row], there: list[Row]) -> list[tuple[int, int, int, int, int]]:
    sides = (enumerate(sorted(here)), enumerate(sorted(there)))
    rows = [(0, at_ms, side, ticks, number) for side, of in enumerate(sides) for number, (at_ms, ticks) in of]
    return sorted(rows, key=lambda row: (row[0], row[1], row[3], row[2], row[4]))


def pairs_of(here: list[Row], there: list[Row]) -> list[tuple[Row, Row]]:
    found = near_pairs(stream(here, there), REACH, NEAR)
    return sorted((sorted(here)[mine], sorted(there)[theirs]) for mine, theirs in found)


def could_be(one: Row, other: Row) -> bool:
    return abs(one[0] - other[0]) <= REACH and abs(one[1] - other[1]) <= max(one[1], other[1]) * NEAR // 1_000_000


def test_the_nearest_price_goes_before_the_nearest_time() -> None:
    assert pairs_of([(0, 10_000)], [(1, 10_004), (30, 10_001)]) == [((0, 10_000), (30, 10_001))]
    assert pairs_of([(0, 10_000)], [(9, 10_002), (3, 9_998)]) == [((0, 10_000), (3, 9_998))]


def test_near_is_parts_in_a_million_of_the_higher_price_and_at_least_a_tick() -> None:
    assert pairs_of([(0, 10_000)], [(0, 10_010)]) == [((0, 10_000), (0, 10_010))]
    assert pairs_of([(0, 10_000)], [(0, 10_011)]) == []
    assert pairs_of([(0, 10_011)], [(0, 10_000)]) == []
    assert list(near_pairs([(0, 0, HERE, 50, 1), (0, 0, THERE, 51, 2)], REACH, NEAR)) == [(1, 2)]


def test_kinds_and_times_out_of_reach_have_nothing_to_do_with_one_another() -> None:
    assert pairs_of([(0, 10_000)], [(REACH + 1, 10_001)]) == []
    assert list(near_pairs([(0, 0, HERE, 50, 1), (1, 0, THERE, 51, 2)], REACH, NEAR)) == []


@settings(max_examples=examples(80), deadline=None)
@given(ROWS, ROWS)
def test_each_row_is_in_one_pair_at_most_and_the_sides_may_be_exchanged(here: list[Row], there: list[Row]) -> None:
    found = list(near_pairs(stream(here, there), REACH, NEAR))
    assert len({mine for mine, _ in found}) == len({theirs for _, theirs in found}) == len(found)
    pairs = pairs_of(here, there)
    assert all(could_be(one, other) for one, other in pairs)
    assert pairs == sorted((one, other) for other, one in pairs_of(there, here))


@settings(max_examples=examples(80), deadline=None)
@given(ROWS, ROWS)
def test_no_two_are_left_that_could_be_a_pair(here: list[Row], there: list[Row]) -> None:
    pairs = pairs_of(here, there)
    mine, theirs = list(here), list(there)
    for one, other in pairs:
        mine.remove(one)
        theirs.remove(other)
    assert [(one, other) for one in mine for other in theirs if could_be(one, other)] == []


def test_many_at_a_time_are_weighed_in_blocks() -> None:
    rows = sorted(
        (
            (0, number // 2, side, 10_000 + 100 * (number % 90) + side, number)
            for number in range(4 * BLOCK)
            for side in (0, 1)
        ),
        key=lambda row: (row[1], row[3]),
    )
    found = dict(near_pairs(rows, REACH, NEAR))
    assert len(found) >= 0.95 * 4 * BLOCK
