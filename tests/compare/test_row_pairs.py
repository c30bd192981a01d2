"""Rows of a level are paired one to one, at the least cost, whichever side comes first and however they came."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.compare.row_pairs import BLOCK, HERE, THERE, blocks, row_pairs
from tests.examples import examples

REACH = 60
Times = list[int]
TIMES = st.lists(st.integers(0, 400), max_size=7)


def stream(*levels: tuple[Times, Times]) -> list[tuple[int, int, int, int]]:
    """Rows as `row_pairs` takes them: of each level the times here and there; rows are numbered by time."""
    rows = []
    for level, sides in enumerate(levels):
        for side, times in enumerate(sides):
            rows += [(level, at_ms, side, level * 10_000 + number) for number, at_ms in enumerate(sorted(times))]
    return sorted(rows, key=lambda row: (row[0], row[1], row[2], row[3]))


def times_of(here: Times, there: Times) -> list[tuple[int, int]]:
    pairs = list(row_pairs(stream((here, there)), REACH))
    return sorted((sorted(here)[mine], sorted(there)[theirs]) for mine, theirs in pairs)


def cost(pairs: Sequence[tuple[int, int]], rows: int) -> int:
    """Twice what the page of the module says."""
    return sum(2 * abs(mine - theirs) for mine, theirs in pairs) + REACH * (rows - 2 * len(pairs))


def least_cost(here: Times, there: Times) -> int:
    """By trying every way there is."""
    best = REACH * (len(here) + len(there))
    for count in range(1, min(len(here), len(there)) + 1):
        for mine in itertools.combinations(range(len(here)), count):
            for theirs in itertools.permutations(range(len(there)), count):
                pairs = [(here[one], there[other]) for one, other in zip(mine, theirs, strict=True)]
                if all(abs(one - other) <= REACH for one, other in pairs):
                    best = min(best, cost(pairs, len(here) + len(there)))
    return best


def test_the_picture_of_the_module() -> None:
    here, there = [0, 31_000, 62_000], [2_000, 33_000, 45_000]
    pairs = list(row_pairs(stream((here, there)), 15_000))
    assert sorted(pairs) == [(0, 0), (1, 1)]


def test_a_missing_row_shifts_none_after_it() -> None:
    assert times_of([0, 30, 60, 90], [31, 61, 91]) == [(30, 31), (60, 61), (90, 91)]


def test_of_two_equally_near_the_later_is_taken_whichever_side_it_is_on() -> None:
    assert times_of([5], [0, 10]) == [(5, 10)]
    assert times_of([0, 10], [5]) == [(10, 5)]


def test_the_reach_is_within_reach() -> None:
    assert times_of([0], [REACH]) == [(0, REACH)]
    assert times_of([0], [REACH + 1]) == []


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(0, 200), max_size=4), st.lists(st.integers(0, 200), max_size=4))
def test_no_other_way_to_pair_them_costs_less(here: Times, there: Times) -> None:
    assert cost(times_of(here, there), len(here) + len(there)) == least_cost(here, there)


@settings(max_examples=examples(60), deadline=None)
@given(TIMES, TIMES)
def test_the_sides_may_be_exchanged(here: Times, there: Times) -> None:
    assert times_of(here, there) == sorted((mine, theirs) for theirs, mine in times_of(there, here))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(TIMES, TIMES), max_size=3))
def test_each_row_is_in_one_pair_or_alone_and_pairs_are_of_one_level(levels: list[tuple[Times, Times]]) -> None:
    rows = stream(*levels)
    level_of = {(side, number): level for level, _, side, number in rows}
    at = {(side, number): at_ms for _, at_ms, side, number in rows}
    pairs = list(row_pairs(rows, REACH))
    for side in (HERE, THERE):
        numbers = [pair[side] for pair in pairs]
        assert len(set(numbers)) == len(numbers)
    for mine, theirs in pairs:
        assert level_of[HERE, mine] == level_of[THERE, theirs]
        assert abs(at[HERE, mine] - at[THERE, theirs]) <= REACH


@settings(max_examples=examples(40), deadline=None)
@given(TIMES, TIMES, st.randoms(use_true_random=False))
def test_rows_of_one_time_may_come_in_any_order(here: Times, there: Times, draw: random.Random) -> None:
    rows = stream((here, there))
    shuffled = sorted(draw.sample(rows, len(rows)), key=lambda row: row[:2])
    times = [{row[3]: row[1] for row in shuffled if row[2] == side} for side in (HERE, THERE)]
    found = sorted((times[HERE][mine], times[THERE][theirs]) for mine, theirs in row_pairs(shuffled, REACH))
    assert found == times_of(here, there)


@pytest.mark.parametrize("step", [2, 7])
def test_a_level_without_a_pause_is_cut_and_memory_holds_one_block(step: int) -> None:
    count = 5 * BLOCK
    rows = sorted((0, number * step + side, side, number) for number in range(count) for side in (HERE, THERE))
    sizes = [len(block.here) + len(block.there) for block in blocks(rows, REACH)]
    assert sum(sizes) == 2 * count
    assert max(sizes) < BLOCK
    pairs = set(row_pairs(rows, REACH))
    assert len(pairs) >= 0.98 * count
    assert all(abs(mine - theirs) * step <= REACH for mine, theirs in pairs)


def test_rows_of_one_time_alone_need_no_table() -> None:
    rows = sorted((0, 5, side, number) for number in range(20_000) for side in (HERE, THERE))
    assert len(set(row_pairs(rows, REACH))) == 20_000
