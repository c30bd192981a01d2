"""The exchange's order: by its numbers, and by its time where those do not tell."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from gridbot.core.exchange_sequence import CLOCK_STEP_MS, is_before
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
        (At(5, 3), At(6, -1), "no number"),
        (At(5, 900), At(6 + CLOCK_STEP_MS, 3), "it counts anew"),
    ],
)
def test_which_was_made_first(one: At, other: At, why: str) -> None:
    assert is_before(one, other), why
    assert not is_before(other, one), why


@pytest.mark.parametrize("at", [At(5, 7), At(5, 0)])
def test_nothing_is_before_itself(at: At) -> None:
    assert not is_before(at, at)
