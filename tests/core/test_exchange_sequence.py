"""The exchange's order: by its numbers, and by its time where those do not tell."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.exchange_sequence import CLOCK_STEP_MS, has_later_number, in_order, is_before, is_outdated
from tests.case_table import case_table


class At(NamedTuple):
    exchange_ts: int
    seq: int


@case_table(
    ("one", "other", "why"),
    [
        (At(1, 1), At(2, 2), "number and time agree"),
        (At(9000, 1), At(1000, 2), "the clock was set back"),
        (At(5, 7), At(5, 8), "one millisecond"),
        (At(5, 7), At(6, 7), "one number: a leg may change without a trade"),
        (At(5, 0), At(6, 3), "no number"),
        (At(5, 0), At(6, -1), "no number"),
        (At(9000, -1), At(1000, 3), "a leg's first fill, while the clock was back"),
        (At(5, -1), At(6, -1), "a leg that never traded, whose settings were changed"),
        (At(5, 900), At(6 + CLOCK_STEP_MS, -1), "it counts anew: the symbol is listed again"),
        (At(5, 900), At(6 + CLOCK_STEP_MS, 3), "it counts anew"),
    ],
)
def test_which_was_made_first(one: At, other: At, why: str) -> None:
    assert is_before(one, other), why
    assert not is_before(other, one), why


@pytest.mark.parametrize("at", [At(5, 7), At(5, 0)])
def test_nothing_is_before_itself(at: At) -> None:
    assert not is_before(at, at)


@given(st.builds(At, st.integers(0, 3 * CLOCK_STEP_MS), st.integers(-1, 3)), st.data())
def test_two_are_never_before_each_other(one: At, data: st.DataObject) -> None:
    other = data.draw(st.builds(At, st.integers(0, 3 * CLOCK_STEP_MS), st.integers(-1, 3)))
    assert not (is_before(one, other) and is_before(other, one))
    assert is_before(one, other) or is_before(other, one) or one.exchange_ts == other.exchange_ts


NUMBERED = st.builds(At, st.integers(0, CLOCK_STEP_MS), st.sampled_from([-1, 1, 2, 3]))


@given(NUMBERED, NUMBERED, NUMBERED)
def test_numbered_ones_that_one_clock_step_spans_have_one_order(first: At, second: At, third: At) -> None:
    """So whichever way they arrive, the newest is kept, and none older is taken after it."""
    if is_before(first, second) and is_before(second, third):
        assert is_before(first, third)
    if not is_before(first, second) and not is_before(second, third):
        assert not is_before(first, third)


@case_table(
    ("one", "known", "outdated", "why"),
    [
        (At(1, 1), At(2, 2), True, "number and time agree"),
        (At(1, 3), At(9000, 2), False, "the clock was set back"),
        (At(1, 3), At(2 + CLOCK_STEP_MS, 2), False, "by far"),
        (At(1, 3), At(2 + CLOCK_STEP_MS, -1), False, "by far, and a leg has its first fill"),
        (At(2 + CLOCK_STEP_MS, 3), At(1, 900), False, "it counts anew"),
        (At(1, 0), At(2, 3), True, "no number"),
        (At(1, 3), At(2, 0), True, "no number"),
    ],
)
def test_what_came_later_was_mostly_made_later(one: At, known: At, *, outdated: bool, why: str) -> None:
    assert is_outdated(one, known) is outdated, why
    assert has_later_number(one, known) is (one.seq > known.seq and 0 not in (one.seq, known.seq))


@given(st.lists(st.builds(At, st.integers(0, 3 * CLOCK_STEP_MS), st.integers(-1, 6)), max_size=8))
def test_in_the_order_of_several_none_follows_one_that_it_is_before(made: list[At]) -> None:
    """Though numbers and times may contradict each other all around."""
    found = in_order(made, lambda each: "BTCUSDT")
    assert sorted(found) == sorted(made)
    assert not any(is_before(later, one) for one, later in pairwise(found))


def test_the_order_of_several_is_that_of_their_numbers_and_symbols_do_not_mix() -> None:
    btc = [At(9000, 1), At(4000, 2), At(4000 + CLOCK_STEP_MS, 3)]
    eth = [At(5000, 900), At(6000, 0)]
    mixed = [btc[2], eth[1], btc[0], eth[0], btc[1]]
    found = in_order(mixed, lambda each: "ETH" if each in eth else "BTC")
    assert [each for each in found if each in btc] == btc
    assert [each for each in found if each in eth] == eth
